"""A report of three sets with something of everything, small enough to be written in a moment."""

import numpy as np
import pytest

from data.value_map import Levels
from metrics.record import Record, ReferenceRecord
from metrics.report import Picture, Scene, SetView, Strip
from metrics.values import Distance, Mean
from tests.metrics.report.samples import make_record, make_row

ODD = '</td><script>alert(1)</script> & "sim" → 적외선'
SETS = ("simulator", ODD, "CUT")


def mean(value: float | None, *, infinite: int = 0, undefined: int = 0) -> Mean:
    interval = None if value is None else (value - 0.5, value + 0.5)
    n = 0 if value is None else 4
    return Mean(value, interval, n, infinite, undefined)


def distance(value: float | None, *, std: float | None = None) -> Distance:
    size = None if std is None else 2
    return Distance(value, std, (4, 9), size, biased=std is None)


@pytest.fixture
def record() -> Record:
    rows = [
        make_row(
            SETS[0],
            4,
            real_A_vs_fake_B={"psnr": mean(None, infinite=4)},
            fake_B={"noise": mean(1.5)},
            sets={"fid": distance(210.25)},
        ),
        make_row(
            SETS[1],
            4,
            fake_B_vs_real_B={"psnr": mean(16.234), "ssim": mean(0.64551)},
            real_A_vs_fake_B={"psnr": mean(21.5)},
            fake_B={"noise": mean(4.25)},
            sets={"fid": distance(95.125), "kid": distance(-0.002, std=0.00312)},
        ),
        make_row(
            SETS[2],
            1234,
            fake_B_vs_real_B={"psnr": mean(15.0, undefined=1), "ssim": mean(0.7)},
            fake_B={"noise": mean(6.0)},
            sets={"fid": distance(None), "kid": distance(0.125, std=0.25)},
        ),
    ]
    reference = ReferenceRecord(9, {"noise": mean(5.0)}, ["real"], "1" * 64)
    notes = [f"Of {ODD} no LPIPS.", "KID is of subsets."]
    return make_record(rows, reference=reference, notes=notes, warnings=["FID is biased."])


def view(name: str, *, seed: int) -> SetView:
    rng = np.random.default_rng(seed)
    psnr = np.array([14.0, 15.0, np.inf, np.nan])
    return SetView(
        name=name,
        values={"fake_B_vs_real_B_psnr": psnr, "noise": rng.normal(4, 1, 4)},
        spectrum=np.linspace(9, 1, 8) * 10.0**seed,
        frequencies=np.linspace(0, 0.5, 8),
        histogram=np.bincount(rng.integers(20, 90, 500), minlength=256),
        levels=Levels(256),
        features=rng.normal(seed, 1, (4, 6)).astype(np.float32),
    )


@pytest.fixture
def views() -> list[SetView]:
    return [view(name, seed=i) for i, name in enumerate(SETS)]


@pytest.fixture
def scenes() -> list[Scene]:
    """One with everything of two sets, and one with a single image."""
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.stack([grey, grey + 1, grey + 2], axis=2)
    box = (0.25, 0.0, 0.75, 0.5)
    sets = [
        Strip(
            name,
            True,
            Picture(np.dstack([grey] * 3)),
            difference=Picture(colour, f"less {ODD}"),
            attention=Picture(colour + 1, "attention: T72"),
            boxes=[box],
            facts=["SSIM 0.5", "PSNR 14 dB"],
        )
        for name in SETS[:2]
    ]
    strips = [Strip("source", False, Picture(grey), boxes=[box]), *sets]
    alone = Strip(SETS[2], True, Picture(grey))
    return [Scene(f"scene {ODD}", strips), Scene("only a result", [alone], f"lowest {ODD}")]


@pytest.fixture
def reference() -> SetView:
    return view("real", seed=7)
