"""Command lines of the small programs; train.py, test.py and evaluate.py have options/."""

import argparse
from typing import NoReturn

from util.errors import UserError


class Parser(argparse.ArgumentParser):
    """Reports a bad flag like every other mistake: in one sentence, exit code 2.

    description: of the program, shown by --help as it is.
    """

    def __init__(self, description: str) -> None:
        super().__init__(
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help lists the flags.")
