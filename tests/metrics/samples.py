"""Rows of tables that tests fill with values of their own."""

from data.value_type import UINT8
from metrics.instruments import Instruments
from metrics.measure import ImageValues
from metrics.measured_sets import MeasuredSet
from metrics.pairing import Pairing
from metrics.sets import ImageSet
from metrics.summary import summarise

TARGET = "fake_B_vs_real_B"


def row(
    name,
    values,
    *,
    scene="scene",
    recordings=None,
    bits=UINT8,
    unpaired=False,
    distances=None,
    **facts,
):
    """values: metric of TARGET -> its values in the images 0, 1, ...; distances: of sets."""
    n = len(next(iter(values.values())))
    images = [
        ImageValues(
            f"{i}",
            {
                TARGET: {key: column[i] for key, column in values.items()},
                "fake_B": {"noise": float(i)},
            },
            {"fake_B": name.encode(), "real_B": f"{scene}{i}".encode()},
            recordings[i] if recordings else f"{i}",
        )
        for i in range(n)
    ]
    names = [image.name for image in images]
    return MeasuredSet(
        images=ImageSet(name, names, {}, [], **facts),
        types={"fake_B": bits},
        instruments=Instruments("cpu"),
        values=images,
        profile=None,
        reference=None,
        pairing=Pairing(unpaired, ""),
        means={group: summarise(images, group) for group in (TARGET, "fake_B")},
        distances=distances or {},
    )
