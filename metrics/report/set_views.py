"""What the report shows of measured sets as a whole: values of all images, and curves."""

from collections.abc import Sequence

import numpy as np

from metrics.measure import ImageValues
from metrics.measured_sets import MeasuredSet, Reference
from metrics.metric_properties import COMPARISONS
from metrics.profile import Profile
from metrics.report.views import SetView


def set_views(rows: Sequence[MeasuredSet]) -> list[SetView]:
    """The sets of an evaluation, in their order."""
    prefixes = {**{c: f"{c}_" for c in COMPARISONS}, "fake_B": ""}
    return [
        _view(row.images.name, _columns(row.values, prefixes), row.profile, row) for row in rows
    ]


def reference_view(reference: Reference, rows: Sequence[MeasuredSet]) -> SetView:
    """The real images that stand beside all rows."""
    return _view("real", _columns(reference.values, {"real_B": ""}), reference.profile, rows[0])


def _view(name: str, values: dict[str, np.ndarray], profile: Profile, row: MeasuredSet) -> SetView:
    judge = row.instruments.judge
    return SetView(
        name=name,
        values=values,
        spectrum=profile.spectrum.mean(),
        frequencies=profile.spectrum.frequencies,
        histogram=profile.histogram,
        levels=profile.levels,
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
