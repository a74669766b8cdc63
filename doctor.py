"""Look at this machine: a line for each thing that the programs need, ok or with what to do.

python doctor.py                         on the device that training would take
python doctor.py --weights_dir DIR --checkpoints_dir DIR --results_dir DIR --gpu_ids 0

Exit code 0, or 2 where something has to be mended first ("to do"); "optional" is what a part alone
needs: a metric, the live view.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036  before anything that older ones cannot read
    print(f"to do     Python {sys.version.split()[0]} is older than 3.11; call a newer one.")
    sys.exit(2)

from options.groups import DisplayOptions
from util.cli import Parser
from util.errors import run_main


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, look, print."""
    default = DisplayOptions()
    parser = Parser(__doc__)
    add = parser.add_argument
    for name in ("checkpoints", "results"):
        add(f"--{name}_dir", default=name, type=Path, metavar="DIR", help="to be written to")
    add("--weights_dir", type=Path, metavar="DIR", help="weights of FID, KID and LPIPS")
    add("--gpu_ids", default="auto", metavar="TEXT", help="as of train.py")
    add("--display_server", default=default.display_server, metavar="TEXT", help="that of visdom")
    add("--display_port", default=default.display_port, type=int, metavar="INT", help="its port")
    args = parser.parse_args(argv)
    from diagnosis.checks import diagnose
    from diagnosis.finding import Setting

    places = (args.checkpoints_dir, args.results_dir)
    server = f"{args.display_server}:{args.display_port}"
    to_do = 0
    for found in diagnose(Setting(places, args.weights_dir, args.gpu_ids, server)):
        print(f"{found.state:<8}  {found.text}", flush=True)
        to_do += found.state == "to do"
    if to_do:
        print(f"{to_do} to do")
        raise SystemExit(2)


if __name__ == "__main__":
    run_main(main)
