"""What a checkpoint keeps of how far a run has come."""

from training.position import Position
from training.restored import Progress


def test_a_run_goes_on_with_what_its_checkpoint_kept():
    progress = Progress(Position(3, batches=2, step=12, images=24, epoch_batches=5, skipped=1))
    progress.watched.add({"loss": 2.0})
    progress.watched.add({"loss": 4.0})
    progress.shown.add({"G": 0.5, "D": 1.5})
    progress.best.offer(2, {"ssim": 0.75}, 0.75)
    again = Progress.from_state({**progress.state_dict(), "model": {}, "schedule": {}})
    assert again.position == progress.position
    assert (again.best.epoch, again.best.score, again.best.values) == (2, 0.75, {"ssim": 0.75})
    assert again.watched.take() == {"loss": 3.0}
    assert again.shown.take() == {"G": 0.5, "D": 1.5}


def test_a_checkpoint_with_the_position_alone_begins_the_rest_anew():
    again = Progress.from_state({"position": {"epoch": 4, "batches": 0, "step": 9, "images": 9}})
    assert again.position == Position(4, step=9, images=9)
    assert again.best.epoch == 0 and again.watched.take() == again.shown.take() == {}
