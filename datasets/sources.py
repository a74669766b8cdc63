"""Videos of a folder, with their classes, splits and ground truth by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.dsiac import VideoName
from data.folders import walk_files
from util.errors import UserError


@dataclass(frozen=True)
class SourceVideo:
    """One video: its file, its class, where its images go, and its ground truth, if any.

    class_name, split: "" for none.
    """

    path: Path
    class_name: str
    split: str
    agt: Path | None
    boxes: Path | None

    @property
    def name(self) -> str:
        """Of the video; the names of its images begin with it."""
        return self.path.stem

    @property
    def parsed(self) -> VideoName:
        """What the name says."""
        return VideoName.parse(self.name)

    def file(self, number: int) -> str:
        """The image of frame `number` (from 1), relative to the dataset."""
        folders = [folder for folder in (self.split, self.class_name) if folder]
        return "/".join([*folders, f"{self.name}_{number}.png"])


def find_videos(
    arf: Path, *, agt: Path | None, boxes: Path | None, test: Sequence[str]
) -> list[SourceVideo]:
    """The video `arf`, or all videos in and below this folder, sorted by path.

    agt, boxes: folders with <video>.agt and <video>.bbox_met in them or below; test: scenarios and
    videos of the test set; "train" is the split of all others, or "" where `test` is empty. The
    class is the vehicle of the name; for a name without one the first folder below `arf`.
    Raises UserError where there is no video or folder, and for two files of one name.
    """
    videos = [arf] if arf.is_file() else list(_files_below(arf, ".arf", flag="--arf").values())
    if not videos:
        raise UserError(f"there is no .arf file in {arf} or below; check --arf.")
    agt_files = _files_below(agt, ".agt", flag="--agt") if agt else {}
    box_files = _files_below(boxes, ".bbox_met", flag="--boxes") if boxes else {}
    found = []
    for path in videos:
        name, folders = VideoName.parse(path.stem), path.relative_to(arf).parts[:-1]
        held_out = not {path.stem, name.scenario}.isdisjoint(test)
        video = SourceVideo(
            path,
            class_name=name.class_name or (folders[0] if folders else ""),
            split=("test" if held_out else "train") if test else "",
            agt=agt_files.get(path.stem.lower()),
            boxes=box_files.get(path.stem.lower()),
        )
        found.append(video)
    return found


def _files_below(folder: Path, suffix: str, *, flag: str) -> dict[str, Path]:
    """Files of a kind by stem in lower case."""
    if not folder.is_dir():
        raise UserError(f"there is no {folder}; check {flag}.")
    found: dict[str, Path] = {}
    for path in sorted(walk_files(folder)):
        if path.suffix.lower() == suffix and path.is_file():
            twin = found.setdefault(path.stem.lower(), path)
            if twin != path:
                raise UserError(f"{twin} and {path} have one name; leave one of them in {flag}.")
    return found


def choose(
    videos: Sequence[SourceVideo],
    *,
    scenarios: Sequence[str] | None,
    classes: Sequence[str] | None,
) -> list[SourceVideo]:
    """Those of the scenarios and of the classes, by name or number; None for any.

    Raises UserError for a name that fits no video, and where the videos left are of several
    cameras, or none.
    """
    chosen = list(videos)
    for flag, asked, names in (
        ("scenarios", scenarios, lambda r: {r.parsed.scenario}),
        ("classes", classes, lambda r: {r.class_name, r.parsed.vehicle}),
    ):
        if asked is None:
            continue
        known = set().union(*map(names, videos)) - {""}
        if unknown := sorted(set(asked) - known):
            raise UserError(
                f"--{flag} {' '.join(unknown)} fits none of the {len(videos)} videos; they are "
                f"of {', '.join(sorted(known)) or 'names that tell nothing of it'}."
            )
        chosen = [video for video in chosen if names(video) & set(asked)]
    if not chosen:
        raise UserError("no video is of both the --scenarios and the --classes; change one.")
    cameras = sorted({video.parsed.camera for video in chosen} - {""})
    if len(cameras) > 1:
        raise UserError(
            f"the videos come from the cameras {' and '.join(cameras)}, whose values do not "
            "compare; name the folder of one camera with --arf."
        )
    return chosen
