"""The displays of a run: those that its flags ask for."""

from collections.abc import Mapping
from pathlib import Path

from options import DisplayOptions
from training.display import Display
from training.event_files import EventFiles
from training.page import TrainingPage
from training.visdom_view import VisdomView
from util.packages import require


def require_packages(options: DisplayOptions) -> None:
    """Raises UserError where a display lacks a package: before there is anything of the run."""
    if not options.no_html:
        require("the training page (which --no_html leaves out)", "dominate", "matplotlib")
    if options.display_id > 0:
        require("--display_id 1", "visdom")
    if options.tensorboard:
        require("--tensorboard", "tensorboard")


def open_displays(
    options: DisplayOptions,
    folder: Path,
    *,
    run: str,
    facts: Mapping[str, str],
    details: Mapping[str, str],
    logs: Mapping[str, Path],
    resume_steps: Mapping[str, int | None],
    images_behind: int,
) -> list[Display]:
    """Each goes on where the run does.

    folder, run: that of the run, and its name. facts, details: of the page. logs: files of
    `LossLog` by what is in them, "losses" and "validation". resume_steps: of these and of
    "samples", the last step that a resumed run has behind it; None in a new run. images_behind:
    how many images it has seen.
    """
    found: list[Display] = []
    if not options.no_html:
        curves = {f"{kind.capitalize()}, by step": log for kind, log in logs.items()}
        page = TrainingPage(
            folder / "web",
            title=f"{run}: training",
            facts=facts,
            details=details,
            logs=curves,
            behind=images_behind,
        )
        found.append(page)
    if options.display_id > 0:
        server, port, env = options.display_server, options.display_port, options.display_env
        found.append(VisdomView(server, port, run=run, env=env, logs=logs))
    if options.tensorboard:
        found.append(EventFiles(folder / "tensorboard", resume_steps=resume_steps))
    return found
