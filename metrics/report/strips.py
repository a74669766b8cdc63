"""What the report shows of measured sets: example images with their attention, and curves."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from data.preview import preview
from data.splits import spread
from data.value_map import ValueMap
from data.value_type import ValueType
from metrics.measure import ImageValues
from metrics.measured_sets import MeasuredSet, Reference
from metrics.metric_properties import COMPARISONS, PAIR_METRICS
from metrics.profile import Profile
from metrics.report.views import Example, SetView
from metrics.sets import read_images

EXAMPLES = 4  # strips a set, evenly over its images
WORST = 4  # strips more: where the translation is least like its target
WORST_BY = ("gcss", "ssim")  # which of them was measured: what a classifier sees, before pixels
CAPTIONS = {"real_A": "source", "fake_B": "result", "real_B": "target"}


def set_views(rows: Sequence[MeasuredSet]) -> list[SetView]:
    """The sets of an evaluation, in their order."""
    return [
        _view(
            row.images.name,
            [_example(row, place, note) for place, note in _places(row).items()],
            _columns(row.values, {**{c: f"{c}_" for c in COMPARISONS}, "fake_B": ""}),
            row.profile,
            row,
        )
        for row in rows
    ]


def reference_view(reference: Reference, rows: Sequence[MeasuredSet]) -> SetView:
    """The real images that stand beside all rows."""
    return _view("real", [], _columns(reference.values, {"real_B": ""}), reference.profile, rows[0])


def _view(
    name: str,
    examples: Sequence[Example],
    values: dict[str, np.ndarray],
    profile: Profile,
    row: MeasuredSet,
) -> SetView:
    judge = row.instruments.judge
    return SetView(
        name=name,
        examples=examples,
        values=values,
        spectrum=profile.spectrum.mean(),
        frequencies=profile.spectrum.frequencies,
        histogram=profile.grey_levels.histogram(),
        levels=profile.grey_levels.levels,
        features=profile.features_of(judge.feature_stage) if judge else None,
    )


def _columns(rows: Sequence[ImageValues], prefixes: dict[str, str]) -> dict[str, np.ndarray]:
    """prefix + metric -> values of all images, NaN where one has none; prefixes: by group."""
    keys = {(group, key) for row in rows for group in prefixes for key in row.values.get(group, {})}
    return {
        f"{prefixes[group]}{key}": np.array(
            [row.values.get(group, {}).get(key, np.nan) for row in rows]
        )
        for group, key in sorted(keys)
    }


def _places(row: MeasuredSet) -> dict[int, str]:
    """Which images are shown, and why those that are worse than others."""
    count = len(row.images)
    places = dict.fromkeys(spread(range(count), EXAMPLES), "")
    measured = _columns(row.values, {"fake_B_vs_real_B": ""})
    key = next((key for key in WORST_BY if key in measured), None)
    if key is None or row.pairing.unpaired or count <= EXAMPLES:
        return places
    values = measured[key]
    worst = [int(place) for place in np.argsort(values) if np.isfinite(values[place])][:WORST]
    title = PAIR_METRICS[key].title
    return places | {place: f"among the lowest {title}: {values[place]:.3f}" for place in worst}


def _example(row: MeasuredSet, place: int, note: str) -> Example:
    """Source, result and target, then the attention on result and target, for one class."""
    files = {kind: paths[place] for kind, paths in row.images.files.items()}
    arrays = read_images(files, types=row.types)
    value_map = row.instruments.unit_map
    shown = {
        kind: (value_map if found == value_map.type else _own_map(array, found)).encode(array)
        for (kind, array), found in zip(arrays.items(), map(row.types.get, arrays), strict=True)
    }
    images = [(caption, preview(shown[k])) for k, caption in CAPTIONS.items() if k in shown]
    return Example(row.images.names[place], images + _overlays(row, arrays, shown), note)


def _own_map(array: np.ndarray, found: ValueType) -> ValueMap:
    """For an image of another type than the domain's: its own extremes."""
    low, high = float(array.min()), float(array.max())
    return ValueMap(low, high if high > low else low + 1, found)


def _overlays(
    row: MeasuredSet, arrays: dict[str, np.ndarray], shown: dict[str, Tensor]
) -> list[tuple[str, np.ndarray]]:
    judge, judge_map = row.instruments.judge, row.instruments.judge_map
    if judge is None:
        return []
    kinds = [k for k in ("fake_B", "real_B") if row.types.get(k) == row.types["fake_B"]]
    seen = {
        kind: judge.activations(judge_map.encode(arrays[kind])[None].to(row.instruments.device))
        for kind in kinds
    }
    label = seen[kinds[-1]].predicted
    name = judge.classifier.classes[int(label)]
    return [
        (
            f"attention on {CAPTIONS[kind]} ({name})",
            overlay(preview(shown[kind]), judge.attention(activations, label)[0, 0].cpu().numpy()),
        )
        for kind, activations in seen.items()
    ]


def overlay(image: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Attention (H, W) in [0, 1] as colour over a grey image; none leaves the image grey.

    image: (H, W) or (H, W, 3) uint8. Returns (H, W, 3) uint8.
    """
    from matplotlib import colormaps

    grey = image if image.ndim == 2 else image.mean(axis=2)
    heat = colormaps["inferno"](0.25 + 0.75 * attention)[..., :3] * 255
    share = (0.6 * attention)[..., None]
    return np.rint((1 - share) * grey[..., None] + share * heat).astype(np.uint8)
