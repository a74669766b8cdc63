"""Small folders of images, written by Pillow itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture(autouse=True)
def one_thread():
    """Small images gain nothing from threads, which wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def write():
    """write(path, array): an image file by Pillow, folders made as needed."""

    def save(path: Path, image: np.ndarray, **options) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, **options)
        return path

    return save


@pytest.fixture
def flat(write):
    """flat(folder, {"a.png": 7}): images of one grey value each, 8x8 pixels."""

    def make(folder: Path, values: dict[str, int], *, size: tuple[int, int] = (8, 8)) -> Path:
        for name, value in values.items():
            write(folder / name, np.full(size, value, np.uint8))
        return folder

    return make
