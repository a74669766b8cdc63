"""Whether real_B is the partner of real_A, or a random image stored under its name."""

from collections.abc import Sequence
from dataclasses import dataclass

from metrics.measure import ImageValues

CARE = "fake_B vs real_B compares different scenes and is no measure of quality."


@dataclass(frozen=True)
class Pairing:
    """unpaired: True, False or None for unknown; note: what that means for the reader."""

    unpaired: bool | None
    note: str


def judge_pairing(recorded: bool | None, rows: Sequence[ImageValues]) -> Pairing:
    """What test.py recorded, else what the images themselves show.

    A record is trusted: one real image may well be the target of several simulated ones. Without a
    record, one target under the names of several sources gives unpaired data away.
    """
    if "real_B" not in rows[0].contents:
        return Pairing(None, "there is no real_B: fake_B vs real_B is not measured.")
    if recorded is False:
        return Pairing(True, f"real_B is UNPAIRED, as test.py recorded; {CARE}")
    if recorded:
        return Pairing(False, "real_B is the partner of real_A, as test.py recorded.")
    repeated = find_repeated_target(rows)
    if repeated:
        first, second = repeated
        return Pairing(True, f"real_B is UNPAIRED, {first} and {second} have the same one; {CARE}")
    return Pairing(None, "pairing unknown: treat fake_B vs real_B with care.")


def find_repeated_target(rows: Sequence[ImageValues]) -> tuple[str, str] | None:
    """Names of two images that share a target though their sources differ; None without such.

    Where there are no sources, translations stand for them.
    """
    first: dict[bytes, tuple[str, bytes]] = {}
    for row in rows:
        source = row.contents.get("real_A", row.contents["fake_B"])
        name, its_source = first.setdefault(row.contents["real_B"], (row.name, source))
        if source != its_source:
            return name, row.name
    return None
