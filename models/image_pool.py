"""History of generated images for the discriminator (Shrivastava et al. 2017, sec. 2.3)."""

import random
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from util.distributed import gather_rows, own_rows


class ImagePool:
    """Keeps up to `size` past images; half of what it returns is old once it is full.

    Of several processes each has the images of all.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def query(self, images: Tensor) -> Tensor:
        """images: (B, C, H, W) -> (B, C, H, W), each the new image or a past one in its place."""
        if self.size == 0:
            return images
        chosen = []
        for image in chain.from_iterable(gather_rows(images)):
            if len(self.images) < self.size:
                self.images.append(image.clone())
                chosen.append(image)
            elif random.random() < 0.5:
                place = random.randrange(self.size)
                chosen.append(self.images[place])
                self.images[place] = image.clone()
            else:
                chosen.append(image)
        return torch.stack(own_rows(chosen))

    def state_dict(self) -> dict[str, Any]:
        """The images kept."""
        return {"images": self.images}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Inverse of `state_dict`."""
        self.images = [image.to(device) for image in state["images"]]
