"""Command lines of the small programs; train.py, test.py and evaluate.py have options/."""

import argparse
from typing import NoReturn

from util.errors import UserError


class Parser(argparse.ArgumentParser):
    """Reports a bad flag like every other mistake: in one sentence, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help lists the flags.")
