"""What a check has found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line. state: well, without something that a part alone needs, or to be mended first.

    text: what was found and, unless all is well, what to do.
    """

    state: Literal["ok", "optional", "to do"]
    text: str


@dataclass(frozen=True)
class Setting:
    """What the programs will be told, as far as it matters. places: folders that they write into;
    weights_dir: None for the folder of torch.hub; server: of visdom, with its port.
    """

    places: tuple[Path, ...]
    weights_dir: Path | None
    gpu_ids: str
    server: str
