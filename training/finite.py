"""Losses and gradients that are NaN or infinite: found without waiting for the device each step."""

from collections.abc import Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor

from util.distributed import gather

SHOWN_IMAGES = 8


class FiniteWatch:
    """Keeps what a report needs of every step since the last `find`, on the device."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, Sequence[str], Sequence[str]]] = []
        self._values: list[Tensor] = []

    def add(
        self, step: int, images: Sequence[str], losses: Mapping[str, Tensor], finite: Tensor
    ) -> None:
        """losses: scalars by name; finite: scalar bool, as of `Model.take_finite`."""
        self._steps.append((step, images, list(losses)))
        self._values.append(torch.stack([finite.to(torch.float32), *losses.values()]))

    def find(self) -> str | None:
        """What was not finite, where it began and on which images; None if all was well.

        Waits for the device once, and forgets the steps.
        """
        if not self._steps:
            return None
        values = torch.stack(self._values).cpu()  # (steps, 1 + losses)
        steps, self._steps, self._values = self._steps, [], []
        finite = values.isfinite()
        finite[:, 0] = values[:, 0] > 0
        bad = (~finite.all(dim=1)).nonzero()
        if not len(bad):
            return None
        place = int(bad[0])
        step, own_images, names = steps[place]
        images = list(dict.fromkeys(chain.from_iterable(gather(own_images))))
        wrong = [n for n, ok in zip(names, finite[place, 1:], strict=True) if not ok]
        losses = zip(names, values[place, 1:].tolist(), strict=True)
        more = f" and {len(images) - SHOWN_IMAGES} more" if len(images) > SHOWN_IMAGES else ""
        return (
            f"{', '.join(wrong) or 'a gradient'} became NaN or infinite at step {step} "
            f"(images {', '.join(images[:SHOWN_IMAGES])}{more}; "
            f"{', '.join(f'{name} {value:.3g}' for name, value in losses)})"
        )
