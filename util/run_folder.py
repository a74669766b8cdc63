"""The folder of a run, `checkpoints/<name>`: what is in it and how it is found again.

run.json              options, value maps, classes, teacher: all that test.py needs but the weights
latest.pth            everything that --continue_train needs
latest_net_G.pth ...  each network alone, for test.py, for fine-tuning and for other tools
20_net_G.pth ...      the same at the end of epoch 20
best_net_G.pth ...    the same at the end of the epoch that --val_freq found best
best.json             which epoch that was, and what was measured
loss_log.csv          losses; validation_log.csv: validation
finished              there once the last epoch is done
web/index.html        sample images
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from util.checkpoint import load, run_path, save
from util.errors import UserError
from util.files import write_text


@dataclass(frozen=True)
class RunFolder:
    """checkpoints_dir/name; nothing is created before the first save."""

    path: Path

    @classmethod
    def of(cls, checkpoints_dir: str, name: str, *, flag: str = "--name") -> "RunFolder":
        """Raises UserError for a name that leaves `checkpoints_dir`."""
        return cls(run_path(checkpoints_dir, name, flag=flag))

    @property
    def state_file(self) -> Path:
        """Everything that continuing needs."""
        return self.path / "latest.pth"

    @property
    def finished_file(self) -> Path:
        """Marks that the last epoch is done."""
        return self.path / "finished"

    def network_file(self, label: str, network: str) -> Path:
        """label: "latest", "best" or an epoch's number; network: "G", "D", "F" or "classifier"."""
        return self.path / f"{label}_net_{network}.pth"

    def begin(self, record: Mapping[str, Any], *, continued: bool) -> None:
        """Create the folder and write run.json. Raises UserError for a folder with another run."""
        try:
            if self.state_file.exists() and not continued:
                raise UserError(
                    f"{self.path} holds a run already; go on with it (--continue_train), choose "
                    "another --name, or delete the folder."
                )
            self.path.mkdir(parents=True, exist_ok=True)
            self.finished_file.unlink(missing_ok=True)
            # Of a run killed while it saved, or before its first state.
            kinds = [".*.part"] if continued else [".*.part", "best_net_*.pth", "best.json"]
            for leftover in chain.from_iterable(map(self.path.glob, kinds)):
                leftover.unlink()
            write_text(self.path / "run.json", json.dumps(record, indent=1) + "\n")
        except OSError as error:
            raise UserError(f"cannot write into {self.path} ({error.strerror}).") from None

    def mark_finished(self, epochs: int) -> None:
        """Leave the mark that `begin` takes away."""
        write_text(self.finished_file, f"{epochs} epochs\n")

    def record(self) -> dict[str, Any]:
        """What `begin` wrote. Raises UserError where there is none."""
        file = self.path / "run.json"
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(record, dict) or "options" not in record:
                raise ValueError("it is no record of a run")
            return record
        except FileNotFoundError:
            raise UserError(
                f"there is no run {self.path} (no {file.name} in it); check --name and "
                "--checkpoints_dir, or give a bare state dict with --weights."
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(f"{file} cannot be read ({error}); restore or retrain it.") from None

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write latest.pth."""
        save(self.state_file, dict(state))

    def load_state(self) -> dict[str, Any]:
        """Read latest.pth. Raises UserError where there is none."""
        state = load(self.state_file, hint="train without --continue_train first")
        if not isinstance(state, dict) or not {"position", "schedule", "model"} <= state.keys():
            raise UserError(f"{self.state_file} holds no training state; train anew.")
        return state

    def save_networks(self, label: str, exports: Mapping[str, Any]) -> None:
        """Write each network alone."""
        for network, content in exports.items():
            save(self.network_file(label, network), content)

    def save_best(self, exports: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Write each network alone under the label "best", then best.json."""
        self.save_networks("best", exports)
        write_text(self.path / "best.json", json.dumps(record, indent=1, allow_nan=False) + "\n")

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
