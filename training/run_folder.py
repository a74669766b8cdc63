"""The folder of a run, `checkpoints/<name>`: what is in it and how it is found again.

run.json              options, value maps, classes, teacher: all that test.py needs but the weights;
                      images left out and digests of the others' names, for --continue_train;
                      digests of all that the run is made from, for --resume and --like;
                      command, program, packages and device of each start, for --like
train_opt.txt         the options, as CUT and pix2pix write them
latest.pth            everything else that --continue_train needs
previous.pth          the same, one checkpoint earlier: should latest.pth be damaged
damaged.pth           a latest.pth that was: the run went on from previous.pth
latest_net_G.pth ...  each network alone, for test.py, for fine-tuning and for other tools
20_net_G.pth ...      the same at the end of epoch 20
best_net_G.pth ...    the same at the end of the epoch that --val_freq found best
best.json             which epoch that was, and what was measured
validation.json, .md  what a classifier and its baselines make of the held-out images
loss_log.csv          losses; validation_log.csv: validation
loss_log.txt          losses, as CUT and pix2pix write them
finished              there once the last epoch, or the fit, is done
lock                  there while a process trains the run
web/index.html        curves of the logs, and sample images
tensorboard/          the same as event files (--tensorboard)
"""

import glob
import json
import math
import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

from data.fingerprint import digests, fingerprint
from training.position import Position
from util.checkpoint import load, run_path, saving
from util.errors import DamagedError, UserError, WriteError
from util.files import remove_leftovers, temporary_beside, write_text


@dataclass(frozen=True)
class RunFolder:
    """checkpoints_dir/name; nothing is created before the first save.

    way_out: what the user can do where it holds no run.
    """

    path: Path
    way_out: str = "name the folder of a run"

    @classmethod
    def of(
        cls, checkpoints_dir: str, name: str, *, flag: str = "--name", otherwise: str = ""
    ) -> "RunFolder":
        """flag: what names the run; otherwise: what else than naming another the user can do.

        Raises UserError for a name that leaves `checkpoints_dir`.
        """
        path = run_path(checkpoints_dir, name, flag=flag)
        return cls(path, f"check {flag} and --checkpoints_dir{otherwise}")

    @property
    def state_file(self) -> Path:
        """Everything that continuing needs."""
        return self.path / "latest.pth"

    @property
    def previous_file(self) -> Path:
        """The state before that one."""
        return self.path / "previous.pth"

    @property
    def has_state(self) -> bool:
        """Whether there is anything to go on from, damaged or not."""
        return self.state_file.exists() or self.previous_file.exists()

    @property
    def finished_file(self) -> Path:
        """Marks that the last epoch is done, or the fit."""
        return self.path / "finished"

    def network_file(self, label: str, network: str) -> Path:
        """label: "latest", "best" or an epoch's number; network: "G", "D", "F" or "classifier"."""
        return self.path / f"{label}_net_{network}.pth"

    def require_new(self) -> None:
        """Raises UserError where the folder holds a run, or networks of other tools."""
        if self.has_state or self.finished_file.exists():
            way_on = "go on with it (--continue_train), " if self.has_state else ""
            raise UserError(
                f"{self.path} holds a run already; {way_on}choose another --name, or delete the "
                "folder."
            )
        networks = sorted(file.name for file in self.path.glob("*_net_*.pth"))
        if networks and not (self.path / "run.json").exists():
            raise UserError(
                f"{self.path} holds networks that are not of this program ({', '.join(networks)}), "
                "which a run there would overwrite; choose another --name."
            )

    def begin(self, record: Mapping[str, Any], *, continued: bool) -> None:
        """Create the folder and write run.json. Raises UserError for a folder with another run."""
        try:
            if not continued:
                self.require_new()
            self.path.mkdir(parents=True, exist_ok=True)
            self.finished_file.unlink(missing_ok=True)
            remove_leftovers(self.path)
            if not continued:  # of a run killed before its first state
                for best in chain(self.path.glob("best_net_*.pth"), self.path.glob("best.json")):
                    best.unlink()
            write_text(self.path / "run.json", json.dumps(record, indent=1) + "\n")
        except OSError as error:
            raise WriteError(f"cannot write into {self.path} ({error.strerror}).") from None

    def write_documents(self, texts: Mapping[str, str]) -> None:
        """Files for people and programs, by their names. Raises WriteError."""
        for name, text in texts.items():
            write_text(self.path / name, text)

    def mark_finished(self, epochs: int) -> None:
        """Leave the mark that `begin` takes away. Raises WriteError."""
        write_text(self.finished_file, f"{epochs} epochs\n")
        remove_leftovers(self.path)  # of a run killed while it left its mark

    def record(self) -> dict[str, Any]:
        """What `begin` wrote. Raises UserError where there is none."""
        file = self.path / "run.json"
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if not _is_record(record):
                raise ValueError("it is no record of a run")
            return record
        except FileNotFoundError:
            raise UserError(
                f"there is no run {self.path} (no {file.name} in it); {self.way_out}."
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{file} cannot be read ({error}); restore or retrain it.") from None

    def save(self, state: Mapping[str, Any], exports: Mapping[str, Any]) -> None:
        """Write latest.pth and each network alone; what was latest.pth becomes previous.pth.

        The state takes its name last: where it is of the last epoch, so are the networks. Raises
        WriteError, and all is as it was.
        """
        networks = {self.network_file("latest", name): c for name, c in exports.items()}
        with saving({**networks, self.state_file: dict(state)}):
            if self.state_file.exists():
                self._keep_previous()

    def _keep_previous(self) -> None:
        """A second name for the state, so that at no moment there is none."""
        spare = temporary_beside(self.previous_file)
        try:
            os.link(self.state_file, spare)
            spare.replace(self.previous_file)
        except OSError:  # no hard links here: for a moment previous.pth is the only one
            self.state_file.replace(self.previous_file)
        finally:
            spare.unlink(missing_ok=True)

    def load_state(self) -> dict[str, Any]:
        """Read latest.pth. Raises UserError where there is none, DamagedError for a broken one."""
        return _load_state(self.state_file)

    def recover_state(self) -> tuple[dict[str, Any], str]:
        """The state to go on from, and what the user should know, "" for nothing.

        That is latest.pth or, where it is damaged or gone, previous.pth: the steps between the two
        are taken again and come to the same. The damaged file is kept as damaged.pth. Raises
        UserError where there is no state, DamagedError where none can be read.
        """
        try:
            if self.state_file.exists() or not self.previous_file.exists():
                return self.load_state(), ""
            found = f"there is no {self.state_file}"
        except DamagedError:
            if not self.previous_file.exists():
                raise
            found = f"{self.state_file} is damaged, and kept as damaged.pth"
        try:
            state = _load_state(self.previous_file)
        except DamagedError:
            raise DamagedError(
                f"{self.state_file} and {self.previous_file} are both damaged; start another run "
                "from networks that were saved (--pretrained_name, --epoch)."
            ) from None
        if self.state_file.exists():
            self.state_file.replace(self.path / "damaged.pth")
        return state, f"{found}: the run goes on from {self.previous_file.name}"

    def save_networks(self, label: str, exports: Mapping[str, Any]) -> None:
        """Write each network alone. Raises WriteError, and all are as they were."""
        with saving({self.network_file(label, name): c for name, c in exports.items()}):
            pass

    def keep_last(self, count: int) -> None:
        """Remove the networks of all epochs that were saved under their number but the last."""
        files: defaultdict[int, list[Path]] = defaultdict(list)
        for file in self.path.glob("*_net_*.pth"):
            label, _, _ = file.name.partition("_net_")
            if label.isdecimal():
                files[int(label)].append(file)
        for epoch in sorted(files)[:-count]:
            for file in files[epoch]:
                with suppress(OSError):  # tried again when the next epoch is saved
                    file.unlink()

    def save_best(self, exports: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Write each network alone under the label "best", and best.json. Raises WriteError."""
        text = json.dumps(record, indent=1, allow_nan=False) + "\n"
        with saving({self.network_file("best", name): c for name, c in exports.items()}):
            write_text(self.path / "best.json", text)

    def fingerprint(self, label: str) -> str:
        """Of the content of all networks that were saved under this label."""
        files = sorted(self.path.glob(f"{glob.escape(label)}_net_*.pth"))
        names = [file.name for file in files]
        return fingerprint(zip(names, digests(files), strict=True))

    def load_networks(self, label: str, names: list[str]) -> dict[str, Any]:
        """State dicts of those of the networks `names` that were saved under this label.

        Raises UserError where none was.
        """
        if label not in ("latest", "best") and not label.isdecimal():
            raise UserError(f"--epoch {label} is neither latest, best nor an epoch's number.")
        files = {name: self.network_file(label, name) for name in names}
        found = {name: file for name, file in files.items() if file.exists()}
        if not found:
            wanted = ", ".join(file.name for file in files.values())
            hint = "train with --val_freq" if label == "best" else "check the run's name and epoch"
            raise UserError(f"{self.path} has none of {wanted}; {hint}.")
        contents = {name: load(file, hint="name another run") for name, file in found.items()}
        for name, content in contents.items():
            if not isinstance(content, Mapping):
                raise UserError(f"{found[name]} holds no state dict; name another run or epoch.")
        # A classifier's file wraps its weights, to keep classes and accuracy with them.
        return {name: content.get("weights", content) for name, content in contents.items()}


def _is_record(record: Any) -> bool:
    """Whether it is of the kind that `begin` is given, as far as its users rely on that."""
    if not isinstance(record, dict):
        return False
    names = ("options", "value_maps", "left_out", "images", "inputs")
    options, maps, left_out, images, inputs = (record.get(name, {}) for name in names)
    return (
        {"options", "value_maps"} <= record.keys()
        and _are_starts(record.get("starts", []))
        and all(isinstance(part, dict) for part in (options, maps, left_out, images, inputs))
        and all(map(_is_value_map, maps.values()))
        and all(isinstance(reason, str) for reason in left_out.values())
        and type(record.get("processes", 1)) is int
        and record.get("processes", 1) > 0
    )


def _are_starts(record: Any) -> bool:
    kinds = {"packages": dict, "device": str, "changed": list}
    return isinstance(record, list) and all(
        isinstance(start, dict) and all(isinstance(start.get(k), t) for k, t in kinds.items())
        for start in record
    )


def _is_value_map(record: Any) -> bool:
    names = {"low", "high", "bits"}
    if not isinstance(record, dict) or record.keys() - {"unit"} != names:
        return False
    numbers = all(type(record[name]) in (int, float) for name in names)
    return (
        numbers
        and -math.inf < record["low"] < record["high"] < math.inf
        and record["bits"] in (8, 16, 32)
        and isinstance(record.get("unit", ""), str)
    )


def _way_without_state(folder: Path) -> str:
    """How training goes on from a folder without a state: it may have networks of other tools."""
    labels = {file.name.partition("_net_")[0] for file in folder.glob("*_net_*.pth")}
    if not labels:
        return "train without --continue_train first"
    label = "latest" if "latest" in labels else min(labels)
    files = ", ".join(sorted(file.name for file in folder.glob(f"{label}_net_*.pth")))
    epoch = "" if label == "latest" else f" and --epoch {label}"
    return (
        f"a new run can start from the networks that are there ({files}): leave out "
        f"--continue_train, name this run with --pretrained_name{epoch}, and give another --name"
    )


def _load_state(file: Path) -> dict[str, Any]:
    state = load(file, hint=_way_without_state(file.parent))
    if not isinstance(state, dict) or not {"position", "schedule", "model"} <= state.keys():
        raise DamagedError(f"{file} holds no training state; train anew.")
    position, known = state["position"], {item.name for item in fields(Position)}
    if not isinstance(position, dict) or not all(
        name in known and type(value) is int and value >= 0 for name, value in position.items()
    ):
        raise DamagedError(
            f"{file} holds a position that this version does not know; go on with the version that "
            "wrote it."
        )
    return state
