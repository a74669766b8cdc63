"""Counting steps, images and epochs."""

import pytest

from training.position import Position


def test_every_multiple_is_reached_once_whatever_the_batch_size():
    for size in (1, 3, 7, 16):
        position, reached = Position(epoch=1), 0
        for _ in range(100):
            position.advance(size)
            reached += position.reached(10, size)
        expected = len({n * size // 10 for n in range(1, 101)} - {0})
        assert reached == expected
        assert position.images == 100 * size


def test_epochs_are_counted_with_their_part():
    position = Position(epoch=3, epoch_batches=4)
    position.advance(2)
    assert position.epochs_done == pytest.approx(2.25)
    position.next_epoch()
    assert (position.epoch, position.batches, position.step) == (4, 0, 1)
    assert position.epochs_done == 3


def test_the_images_of_an_epoch_follow_from_those_of_all():
    position = Position(epoch=1)
    for _ in range(3):
        for size in (4, 4, 2):
            position.advance(size)
        position.next_epoch()
        assert position.images_an_epoch == 10


@pytest.mark.parametrize(
    ("was", "now", "batches", "again"),
    [(None, 4, 0, 0), (4, 4, 3, 0), (4, 2, 6, 0), (4, 6, 2, 0), (4, 8, 1, 4), (2, 7, 0, 6)],
)
def test_batches_of_another_size_begin_before_what_is_done(was, now, batches, again):
    position = Position(epoch=1, batches=0 if was is None else 3)
    assert position.regroup(was, now) == again
    assert position.batches == batches
