"""Where maps of attention point, beside the boxes of the targets."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from torch import Tensor

from metrics.attention import box_share, energy_in_box, pointing_game


@dataclass(frozen=True)
class Aim:
    """Of the maps of n images; arrays (n,) of float64.

    over_chance: share of the map's sum inside the box, over the box's share of the image; pointing:
    1 where the map's maximum lies in the box, else 0; both are NaN without a box and for an empty
    map. empty: 1 for a map that is 0 everywhere, else 0.
    """

    over_chance: np.ndarray
    pointing: np.ndarray
    empty: np.ndarray

    @classmethod
    def of(cls, maps: Tensor, boxes: Tensor) -> "Aim":
        """maps: (B, 1, H, W), none negative; boxes: (B, 4) as for `metrics.boxes.inside`."""
        share = box_share(boxes, tuple(maps.shape[-2:]))
        # A box that holds no pixel's centre is none.
        over_chance = energy_in_box(maps, boxes) / share
        empty = maps.flatten(1).amax(dim=1) == 0
        values = over_chance, pointing_game(maps, boxes), empty.double()
        return cls(*(value.cpu().double().numpy() for value in values))

    @classmethod
    def joined(cls, parts: Sequence["Aim"]) -> "Aim":
        """Those of several batches as one."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
