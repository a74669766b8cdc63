"""Batches of integers: what shares one, what is left out of it, how it moves."""

import numpy as np
import pytest
import torch
from torch.utils.data._utils.pin_memory import pin_memory

from data.augment import ThermalChange, ToneChange
from data.loader import handed_over
from data.raw import RawBatch, RawImage, RawImages, RawSample, RawWindow, RawWindows, divide
from data.transforms import Placement
from util.errors import UserError

RNG = np.random.default_rng(0)


def image(height, width, *, size=None, crop=None, dtype=np.uint8, change=False) -> RawImage:
    """An image that is resized to `size` and cut to `crop` at (1, 2), or left as it is."""
    top, left = (1, 2) if crop else (0, 0)
    size = size or (height, width)
    kept = crop or size
    drawn = ThermalChange.draw((1, *kept), RNG) if change else None
    values = RNG.integers(0, np.iinfo(dtype).max, (height, width), endpoint=True, dtype=dtype)
    return RawImage(values, Placement(size, top, left, *kept, mirrored=False), drawn)


def sample(a: RawImage, b: RawImage | None = None) -> RawSample:
    return RawSample({"A": a} if b is None else {"A": a, "B": b}, 2, "x")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_images_of_one_shape_are_one_stack_of_their_own_type(dtype):
    images = [image(8, 9, dtype=dtype) for _ in range(3)]
    raw = RawImages.of(images)
    (stack,) = raw.stacks
    assert stack.numpy().dtype == dtype and raw.members == ((0, 1, 2),) and raw.change is None
    np.testing.assert_array_equal(stack.numpy(), [i.values for i in images])


def test_images_of_several_shapes_that_come_to_one_size_share_a_batch():
    shapes = [(8, 9), (20, 30), (8, 9), (7, 7)]
    raw = RawImages.of([image(*shape, size=(6, 6)) for shape in shapes])
    assert [tuple(stack.shape) for stack in raw.stacks] == [(2, 8, 9), (1, 20, 30), (1, 7, 7)]
    assert raw.members == ((0, 2), (1,), (3,))


def test_of_an_image_that_is_not_resized_only_the_crop_is_handed_on():
    large, small = image(50, 60, crop=(5, 6)), image(9, 9, crop=(5, 6))
    raw = RawImages.of([large, small])
    (stack,) = raw.stacks
    np.testing.assert_array_equal(stack[0].numpy(), large.values[1:6, 2:8])
    for values, placement in zip(stack, raw.placements, strict=True):
        assert torch.equal(placement.cut(values.float()), values.float())
    resized = RawImages.of([image(50, 60, size=(9, 9), crop=(5, 6))])
    assert resized.stacks[0].shape == (1, 50, 60)


def test_images_that_come_to_several_sizes_cannot_share_a_batch():
    samples = [sample(image(8, 9)), sample(image(8, 9)), sample(image(6, 7))]
    with pytest.raises(UserError, match=r"images of 7x6 and 9x8 pixels .*--batch_size 1"):
        RawBatch.of(samples)
    with pytest.raises(UserError, match="cannot share"):
        RawBatch.of([sample(image(8, 8), image(8, 8)), sample(image(8, 8), image(6, 6))])
    assert RawBatch.of(samples[:2]).names == ("x", "x")


def test_a_batch_without_targets():
    batch = RawBatch.of([sample(image(4, 4)), sample(image(4, 4))])
    assert batch.images.keys() == {"A"} and batch.label.tolist() == [2, 2]


def full_batch() -> RawBatch:
    return RawBatch.of([sample(image(4, 4, change=True), image(4, 4)) for _ in range(2)])


def tensors(batch: RawBatch) -> list[torch.Tensor]:
    found = [batch.label]
    for images in batch.images.values():
        found += [*images.stacks, *(vars(images.change).values() if images.change else ())]
    return found


def test_torch_finds_how_to_pin_every_tensor_of_a_batch(monkeypatch):
    # Page-locked memory needs an accelerator; a copy stands for it here.
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, *_: tensor.clone())
    batch = full_batch()
    pinned = pin_memory(batch)
    before, after = tensors(batch), tensors(pinned)
    assert len(before) == len(after) == 1 + 2 + 6
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old, new) and old.data_ptr() != new.data_ptr()
    assert pinned.names == batch.names and pinned.images["A"].members == ((0, 1),)


def test_all_of_a_batch_goes_to_a_device():
    moved = full_batch().to(torch.device("meta"))
    assert {tensor.device.type for tensor in tensors(moved)} == {"meta"}
    assert {images.stacks[0].dtype for images in moved.images.values()} == {torch.uint8}


def test_batches_end_where_the_size_changes_or_there_are_enough_pixels():
    def lengths(samples, most_pixels):
        parts = list(divide(samples, most_pixels))
        assert [one for part in parts for one in part] == samples
        return [len(RawBatch.of(part).names) for part in parts]

    small, tall, large = ([image(*size) for _ in range(9)] for size in ((4, 6), (6, 4), (20, 20)))
    assert lengths([sample(one) for one in small[:7]], 24 * 3) == [3, 3, 1]
    assert lengths([sample(one) for one in (*small[:2], *tall[:3], *small[2:4])], 99) == [2, 3, 2]
    assert lengths([sample(one) for one in large[:2]], 99) == [1, 1]
    # Sizes are those that images come to, and the partners' count as well.
    resized = [sample(image(*size, size=(4, 6))) for size in ((4, 6), (6, 4), (20, 20))]
    assert lengths(resized, 99) == [3]
    pairs = [sample(a, b) for a, b in zip(small[:3], (tall[0], tall[1], small[8]), strict=True)]
    assert lengths(pairs, 99) == [2, 1]


# --- windows


def window(height, width, *, swapped=False, dtype=np.uint8) -> RawWindow:
    values = RNG.integers(0, 255, (height, width), endpoint=True).astype(dtype)
    boxes = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
    backdrop = window(height + 3, width) if swapped else None
    change = ToneChange.draw((1, 6, 6), RNG)
    return RawWindow(values, (0.5, 1.0, 4.0, 4.0), 6, boxes, 1.5, backdrop, change)


def test_windows_of_several_sizes_are_one_stack_with_backgrounds_behind():
    images = [window(8, 9), window(7, 12, swapped=True), window(5, 5)]
    raw = RawWindows.of(images)
    assert raw.parts.shape == (4, 10, 12) and raw.parts.dtype == torch.uint8
    for part, image in zip(raw.parts.numpy(), [*images, images[1].backdrop], strict=True):
        rows, columns = image.part.shape
        filled = np.pad(image.part, ((0, 10 - rows), (0, 12 - columns)), mode="edge")
        np.testing.assert_array_equal(part, filled)
    assert raw.swapped.tolist() == [1] and raw.targets.tolist() == [[1, 2, 3, 4]]
    assert raw.windows.dtype == raw.blur.dtype == torch.float32 and raw.size == 6


def test_all_of_a_batch_of_windows_goes_to_other_processes_and_devices():
    batch = RawBatch.of([RawSample({"A": window(8, 9)}, 0, "x") for _ in range(2)])
    (shared,) = handed_over([batch])
    found = shared.images["A"]
    tensors = [found.parts, found.windows, found.blur, found.swapped, found.targets]
    assert all(tensor.is_shared() for tensor in [*tensors, *vars(found.change).values()])
    moved = batch.to(torch.device("meta")).images["A"]
    assert moved.parts.is_meta and moved.targets.is_meta and moved.change.noise.is_meta
    assert moved.size == 6 and len(moved.swapped) == 0
