"""Whether real_B is a partner: records, and what the images give away."""

import pytest

from metrics.measure import ImageValues
from metrics.pairing import judge_pairing


def rows(*contents):
    return [ImageValues(f"image{i}", {}, c) for i, c in enumerate(contents)]


DISTINCT = rows((b"a0", b"b0"), (b"a1", b"b1"), (b"a2", b"b2"))
ONE_TARGET = rows((b"a0", b"b0"), (b"a1", b"b1"), (b"a2", b"b0"))
SAME_PAIR_TWICE = rows((b"a0", b"b0"), (b"a0", b"b0"))
NO_TARGET = rows(None, None)


@pytest.mark.parametrize(
    ("recorded", "images", "unpaired"),
    [
        ([True], DISTINCT, False),
        ([True, True], ONE_TARGET, False),
        ([False], DISTINCT, True),
        ([True, False], DISTINCT, True),
        ([None, False], DISTINCT, True),
        ([None], DISTINCT, None),
        ([True, None], DISTINCT, None),
        ([None], ONE_TARGET, True),
        ([None], SAME_PAIR_TWICE, None),
        ([True], NO_TARGET, None),
    ],
)
def test_verdict(recorded, images, unpaired):
    assert judge_pairing(recorded, images).unpaired is unpaired


@pytest.mark.parametrize(
    ("recorded", "images", "words"),
    [
        ([None], ONE_TARGET, "UNPAIRED, image0 and image2 have the same one"),
        ([False], DISTINCT, "UNPAIRED"),
        ([None], DISTINCT, "pairing unknown: treat fake_B vs real_B with care"),
        ([None], NO_TARGET, "no real_B"),
    ],
)
def test_note(recorded, images, words):
    assert words in judge_pairing(recorded, images).note
