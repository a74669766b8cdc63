"""Write a trained generator for other runtimes: `python export.py --name NAME --out FILE`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from options import parse_export
from util.errors import UserError, run_main
from util.files import check_writable
from util.packages import require

PACKAGES = {"onnx": ("onnx", "onnxscript"), "torch_export": ()}


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, load the generator, write the file."""
    options = parse_export(argv)
    if options.out is None:
        raise UserError("no file is given to write the generator to; name one with --out.")
    check_writable(Path(options.out))
    require(f"--format {options.format}", *PACKAGES[options.format])
    if sys.stdout.isatty():
        print(f"{options.name}: loading torch ...", flush=True)
    # Only now, as torch takes seconds: --help and a wrong flag are answered without.
    from translating.export import export

    print(export(options))


if __name__ == "__main__":
    run_main(main)
