"""A report of three sets with something of everything, small enough to be written in a moment."""

from typing import Any

import numpy as np
import pytest

from data.value_map import Levels
from metrics import IMAGE_METRICS, PAIR_METRICS, SET_METRICS
from metrics.report import Example, RowView

ODD = '</td><script>alert(1)</script> & "sim" → 적외선'
SETS = ("simulator", ODD, "CUT")


def mean(value: float | None, *, infinite: int = 0, undefined: int = 0) -> dict[str, Any]:
    interval = None if value is None else [value - 0.5, value + 0.5]
    n = 0 if value is None else 4
    return {"mean": value, "ci95": interval, "n": n, "infinite": infinite, "undefined": undefined}


def set_value(value: float | None, *, std: float | None = None) -> dict[str, Any]:
    size = None if std is None else 2
    return {"value": value, "std": std, "n": [4, 9], "subset_size": size, "biased": std is None}


def make_row(n: int, *, paired=None, kept=None, alone=None, sets=None) -> dict[str, Any]:
    return {
        "n": n,
        "bits": {"real_A": 8, "fake_B": 16, "real_B": 16},
        "fake_B_vs_real_B": paired and dict.fromkeys(PAIR_METRICS) | paired,
        "real_A_vs_fake_B": kept and dict.fromkeys(PAIR_METRICS) | kept,
        "fake_B": dict.fromkeys(IMAGE_METRICS) | alone,
        "sets": dict.fromkeys(SET_METRICS) | sets,
    }


@pytest.fixture
def report() -> dict[str, Any]:
    rows = {
        SETS[0]: make_row(
            4,
            kept={"psnr": mean(None, infinite=4)},
            alone={"noise": mean(1.5)},
            sets={"fid": set_value(210.25)},
        ),
        SETS[1]: make_row(
            4,
            paired={"psnr": mean(16.234), "ssim": mean(0.64551)},
            kept={"psnr": mean(21.5)},
            alone={"noise": mean(4.25)},
            sets={"fid": set_value(95.125), "kid": set_value(-0.002, std=0.00312)},
        ),
        SETS[2]: make_row(
            1234,
            paired={"psnr": mean(15.0, undefined=1), "ssim": mean(0.7)},
            alone={"noise": mean(6.0)},
            sets={"fid": set_value(None), "kid": set_value(0.125, std=0.25)},
        ),
    }
    images = dict.fromkeys(IMAGE_METRICS) | {"noise": mean(5.0)}
    return {
        "rows": rows,
        "reference": {"name": "real", "n": 9, "images": images},
        "protocol": {
            "classifier": "judge.pth",
            "luma": False,
            "versions": {"torch": "2.11", "lpips": None},
        },
        "notes": ["FID is biased.", f"Of {ODD} no LPIPS."],
    }


def view(name: str, *, seed: int, examples=()) -> RowView:
    rng = np.random.default_rng(seed)
    psnr = np.array([14.0, 15.0, np.inf, np.nan])
    return RowView(
        name=name,
        examples=examples,
        values={"fake_B_vs_real_B_psnr": psnr, "noise": rng.normal(4, 1, 4)},
        spectrum=np.linspace(9, 1, 8) * 10.0**seed,
        frequencies=np.linspace(0, 0.5, 8),
        histogram=np.bincount(rng.integers(20, 90, 500), minlength=256),
        levels=Levels(256),
        features=rng.normal(seed, 1, (4, 6)).astype(np.float32),
    )


@pytest.fixture
def views() -> list[RowView]:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.stack([grey, grey + 1, grey + 2], axis=2)
    images = [("source", grey), (ODD, np.dstack([grey] * 3)), ("attention on result", colour)]
    result = Example("only a result", images[1:2], f"lowest {ODD}")
    examples = [Example(f"scene {ODD}", images), result]
    return [view(name, seed=i, examples=examples) for i, name in enumerate(SETS)]


@pytest.fixture
def reference() -> RowView:
    return view("real", seed=7)
