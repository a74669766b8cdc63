"""Learning rates against torch's own schedulers."""

import warnings

import pytest
import torch
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from options import TrainingOptions
from training.schedule import Schedule
from util.errors import UserError


def schedule(policy: str = "linear", **options) -> Schedule:
    return Schedule(TrainingOptions(lr_policy=policy, **options))


def optimiser() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def rates_of(scheduler, epochs: int) -> list[float]:
    """The rate in each epoch, the scheduler stepping at each epoch's end."""
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the optimiser itself makes no step here
        for _ in range(epochs):
            rates.append(scheduler.optimizer.param_groups[0]["lr"])
            scheduler.step()
    return rates


def factors(schedule: Schedule) -> list[float]:
    return [schedule.factor(epoch) for epoch in range(1, schedule.last_epoch + 1)]


@pytest.mark.parametrize(("full", "decaying"), [(200, 200), (150, 50), (5, 0), (0, 7), (1, 1)])
def test_linear_is_the_rule_of_cut_and_pix2pix(full, decaying):
    # Their rule, for an epoch counted from 0 and epoch_count 1.
    rule = LambdaLR(optimiser(), lambda e: 1.0 - max(0, e + 1 - full) / float(decaying + 1))
    found = factors(schedule(n_epochs=full, n_epochs_decay=decaying))
    assert found == pytest.approx(rates_of(rule, full + decaying))
    assert all(rate == 1 for rate in found[:full])


def test_linear_falls_in_equal_steps_to_just_above_zero():
    found = factors(schedule(n_epochs=2, n_epochs_decay=4))
    assert found == pytest.approx([1, 1, 0.8, 0.6, 0.4, 0.2])


def test_fine_tuning_takes_the_second_half_of_the_schedule():
    options = schedule(epoch_count=201, n_epochs=200, n_epochs_decay=200)
    assert options.last_epoch == 400
    assert options.factor(201) == pytest.approx(200 / 201)
    assert options.factor(400) == pytest.approx(1 / 201)


@pytest.mark.parametrize("every", [1, 3, 50])
def test_step_is_torchs(every):
    rule = StepLR(optimiser(), step_size=every, gamma=0.1)
    found = factors(schedule("step", lr_decay_iters=every, n_epochs=7, n_epochs_decay=4))
    assert found == pytest.approx(rates_of(rule, 11))


def test_cosine_is_torchs_over_all_epochs():
    rule = CosineAnnealingLR(optimiser(), T_max=30)
    found = factors(schedule("cosine", n_epochs=10, n_epochs_decay=20))
    assert found == pytest.approx(rates_of(rule, 30), abs=1e-9)
    assert found[0] == 1 and 0 < found[-1] < 0.01


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_one_cycle_is_torchs_from_step_to_step(steps):
    epochs = 25
    rule = OneCycleLR(optimiser(), max_lr=1.0, total_steps=epochs * steps, cycle_momentum=False)
    cycle = schedule("one_cycle", n_epochs=10, n_epochs_decay=15)
    found = [cycle.factor(e, step / steps) for e in range(1, epochs + 1) for step in range(steps)]
    # Torch's last step is at its end, ours is one before.
    assert found == pytest.approx(rates_of(rule, epochs * steps), abs=4 / (epochs * steps))
    assert found[0] == pytest.approx(1 / 25) and max(found) <= 1
    assert cycle.factor(8, 0.5) == pytest.approx(1)


@pytest.mark.parametrize("policy", ["linear", "step", "plateau", "cosine"])
def test_other_rates_stay_for_a_whole_epoch(policy):
    found = schedule(policy, n_epochs=3, n_epochs_decay=5)
    assert found.factor(6, 0.9) == found.factor(6)


LOSSES = [5.0, 4.0, 3.0] + [3.0] * 8 + [2.99, 2.5] + [2.6] * 14


def test_plateau_is_torchs():
    rule = ReduceLROnPlateau(optimiser(), mode="min", factor=0.2, threshold=0.01, patience=5)
    ours = schedule("plateau", n_epochs=len(LOSSES), n_epochs_decay=0)
    for epoch, loss in enumerate(LOSSES, start=1):
        assert ours.factor(epoch) == pytest.approx(rule.optimizer.param_groups[0]["lr"])
        rule.step(loss)
        ours.observe(loss)
    assert ours.factor(len(LOSSES) + 1) < 0.05  # it fell more than once


@pytest.mark.parametrize(("fall", "factor"), [(0.985, 1.0), (0.999, 0.2)])
def test_a_fall_of_one_percent_is_progress(fall, factor):
    ours = schedule("plateau")
    for epoch in range(8):
        ours.observe(fall**epoch)
    assert ours.factor(9) == pytest.approx(factor)


def test_plateau_goes_on_where_it_was_saved():
    options = {"n_epochs": len(LOSSES), "n_epochs_decay": 0}
    whole = schedule("plateau", **options)
    expected = []
    for loss in LOSSES:
        whole.observe(loss)
        expected.append(whole.factor(1))
    for cut in range(len(LOSSES)):
        first, second = schedule("plateau", **options), schedule("plateau", **options)
        for loss in LOSSES[:cut]:
            first.observe(loss)
        second.load_state_dict(first.state_dict())
        found = []
        for loss in LOSSES[cut:]:
            second.observe(loss)
            found.append(second.factor(1))
        assert found == expected[cut:]


@pytest.mark.parametrize("policy", ["linear", "step", "cosine"])
def test_the_other_policies_do_not_listen(policy):
    ours = schedule(policy)
    before = factors(ours)
    for loss in LOSSES:
        ours.observe(loss)
    assert factors(ours) == before


@pytest.mark.parametrize(
    "options",
    [
        {"epoch_count": 401},
        {"epoch_count": 201, "n_epochs": 100, "n_epochs_decay": 100},
        {"n_epochs": 0, "n_epochs_decay": 0},
    ],
)
def test_an_empty_range_of_epochs_is_an_error(options):
    with pytest.raises(UserError, match=r"--epoch_count .* totals"):
        schedule(**options)
    options = {"epoch_count": 200, "n_epochs": 100, "n_epochs_decay": 100}
    assert schedule(**options).last_epoch == 200
