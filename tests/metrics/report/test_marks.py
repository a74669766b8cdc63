"""Colours that everybody can tell apart, on light ground and on dark."""

from itertools import combinations, islice

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from metrics.report.marks import ON_DARK, ON_LIGHT, VARIABLES, marks
from util.html import STYLE

# Machado, Oliveira & Fernandes 2009, severity 1: what linear RGB becomes to colour-blind eyes.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
THEMES = {"light": (ON_LIGHT, "#1c1d1f", "#ffffff"), "dark": (ON_DARK, "#e6e6e3", "#202225")}


def linear(colour: str) -> np.ndarray:
    """Linear RGB (sRGB, IEC 61966-2-1)."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def seen(colour: str, sight: str) -> np.ndarray:
    rgb = np.clip(SIGHT[sight] @ linear(colour), 0, 1)
    return rgb2lab(np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055))


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sight", SIGHT)
def test_any_two_colours_differ_to_all_eyes(theme, sight):
    colours, ink, _ = THEMES[theme]
    for one, other in combinations((*colours, ink), 2):
        assert deltaE_ciede2000(seen(one, sight), seen(other, sight)) > 14, (one, other)


@pytest.mark.parametrize("theme", THEMES)
def test_every_colour_stands_out_from_the_ground(theme):
    colours, ink, ground = THEMES[theme]
    assert ink in STYLE and ground in STYLE, "they are the page's own"
    for colour in colours:
        bright, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) > 2.8  # WCAG 2.1 contrast


def test_any_number_of_sets_has_marks_of_its_own():
    found = list(islice(marks(), 28))
    assert [mark.label for mark in found] == [str(i + 1) for i in range(28)]
    assert len({(mark.colour, mark.dash) for mark in found}) == 28
    assert {mark.colour for mark in found} <= VARIABLES.keys()
