"""Whether real_B is a partner: records, and what the images give away."""

import pytest

from metrics.measure import ImageValues
from metrics.pairing import judge_pairing


def rows(*contents):
    """contents: digests of (real_A, real_B), or of real_A alone."""
    kinds = ("real_A", "real_B")
    return [
        ImageValues(
            f"image{i}", {}, {"fake_B": c[0] + b"*", **dict(zip(kinds, c, strict=False))}, ""
        )
        for i, c in enumerate(contents)
    ]


DISTINCT = rows((b"a0", b"b0"), (b"a1", b"b1"), (b"a2", b"b2"))
ONE_TARGET = rows((b"a0", b"b0"), (b"a1", b"b1"), (b"a2", b"b0"))
SAME_PAIR_TWICE = rows((b"a0", b"b0"), (b"a0", b"b0"))
NO_TARGET = rows((b"a0",), (b"a1",))


@pytest.mark.parametrize(
    ("recorded", "images", "unpaired"),
    [
        (True, DISTINCT, False),
        (True, ONE_TARGET, False),
        (False, DISTINCT, True),
        (None, DISTINCT, None),
        (None, ONE_TARGET, True),
        (None, SAME_PAIR_TWICE, None),
        (True, NO_TARGET, None),
    ],
)
def test_verdict(recorded, images, unpaired):
    assert judge_pairing(recorded, images).unpaired is unpaired


@pytest.mark.parametrize(
    ("recorded", "images", "words"),
    [
        (None, ONE_TARGET, "UNPAIRED, image0 and image2 have the same one"),
        (False, DISTINCT, "UNPAIRED"),
        (None, DISTINCT, "pairing unknown: treat fake_B vs real_B with care"),
        (None, NO_TARGET, "no real_B"),
    ],
)
def test_note(recorded, images, words):
    assert words in judge_pairing(recorded, images).note


def test_without_sources_translations_stand_for_them():
    images = [
        ImageValues(name, {}, {"fake_B": fake, "real_B": b"b"}, "")
        for name, fake in (("x", b"f0"), ("y", b"f1"))
    ]
    assert judge_pairing(None, images).unpaired is True
