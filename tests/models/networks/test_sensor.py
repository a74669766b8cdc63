"""The fitted sensor's steps against closed forms and numpy."""

import math

import numpy as np
import pytest
import torch

from metrics.boxes import faded
from models.networks import ResnetGenerator, UnetGenerator, load_weights
from models.networks.functions import Saturate
from models.networks.sensor import (
    KNOTS,
    SHARES,
    FittedSensor,
    SensorGenerator,
    heeds_boxes,
    levels_below,
    see,
)
from util.errors import UserError


def random_images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 48), (64, 64)])
def test_a_new_sensor_changes_nothing_at_any_size(size):
    images = random_images(2, 1, *size)
    torch.testing.assert_close(FittedSensor()(images), images, rtol=0, atol=2e-6)


def test_the_curve_is_linear_between_its_knots_and_goes_on_beyond_them():
    sensor = FittedSensor()
    grid = torch.linspace(-1, 1, KNOTS)
    sensor.curve.copy_(grid + 0.3 * grid.square())
    images = random_images(1, 1, 40, 40)
    expected = np.interp(images.numpy(), grid.numpy(), sensor.curve.numpy())
    np.testing.assert_allclose(sensor.toned(images), expected, atol=1e-6)
    beyond = sensor.toned(torch.tensor([-1.5, 1.5]).view(2, 1, 1, 1)).flatten()
    # Slopes of x + 0.3 x² at its ends: 0.4 and 1.6.
    np.testing.assert_allclose(beyond, [-0.7 - 0.2, 1.3 + 0.8], atol=1e-3)


def test_level_control_keeps_its_share_of_each_median():
    sensor = FittedSensor()
    sensor.level.fill_(0.1)
    sensor.keep.fill_(0.25)
    images = 0.3 * random_images(3, 1, 9, 9) + torch.tensor([-0.4, 0.0, 0.5]).view(3, 1, 1, 1)
    before, after = levels_below(images, 0.5), levels_below(sensor(images), 0.5)
    torch.testing.assert_close(after - 0.1, 0.25 * (before - 0.1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 5), (2, 4), (3, 7)])
def test_the_median_is_torchs(shape):
    images = random_images(2, 1, *shape)
    torch.testing.assert_close(levels_below(images, 0.5), images.flatten(1).median(1).values)


@pytest.mark.parametrize("size", [(32, 24), (31, 45)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_grating_keeps_the_contrast_of_the_mtf(size, axis):
    sensor = FittedSensor()
    sensor.blur.fill_(0.8)
    half_waves = 9  # mirrored at the edges, a cosine at pixel middles goes on as itself
    frequency = half_waves / (2 * size[axis])
    wave = torch.cos(2 * math.pi * frequency * (torch.arange(size[axis]) + 0.5))
    image = 0.7 * (wave[:, None] if axis == 0 else wave[None, :]).expand(size)[None, None]
    contrast = math.exp(-2 * (math.pi * 0.8 * frequency) ** 2)
    torch.testing.assert_close(sensor(image), contrast * image, rtol=0, atol=2e-6)


def test_what_leaves_the_range_is_saturated():
    sensor = FittedSensor()
    sensor.curve.mul_(3)
    images = random_images(1, 1, 20, 20)
    torch.testing.assert_close(sensor(images), (3 * images).clamp(-1, 1), rtol=0, atol=1e-5)


def test_gradients_are_the_differences():
    sensor = FittedSensor().double()
    sensor.curve.copy_(sensor.curve + 0.3 * sensor.curve.square())
    sensor.blur.fill_(0.7)
    # At the middles between knots, where the curve is smooth.
    knots = torch.randint(0, KNOTS - 1, (1, 1, 5, 4), generator=torch.Generator().manual_seed(0))
    images = ((knots + 0.5) * 2 / (KNOTS - 1) - 1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: sensor.blurred(sensor.toned(x)), images, eps=1e-5)
    images = random_images(1, 1, 8, 8).requires_grad_()
    sensor.float()(images).mean().backward()
    assert images.grad.abs().sum() > 0


def test_noise_has_the_three_deviations():
    sensor = FittedSensor()
    sensor.noise.copy_(torch.tensor([0.05, 0.02, 0.03]))
    noise = sensor.add_noise(torch.zeros(1, 1, 600, 500), seed=1, names=["a"])[0, 0]
    rows, columns = noise.mean(1), noise.mean(0)
    rest = noise - rows[:, None] - columns[None, :] + noise.mean()
    assert rest.std().item() == pytest.approx(0.05, rel=0.01)
    # A deviation of 500 draws is known to 3 %.
    assert rows.std().item() == pytest.approx(0.02, rel=0.15)
    assert columns.std().item() == pytest.approx(0.03, rel=0.15)


def test_gain_and_offset_spread_between_images_about_the_level():
    sensor = FittedSensor()
    sensor.level.fill_(-0.5)
    sensor.spread.copy_(torch.tensor([0.1, 0.02]))
    images = torch.tensor([-0.5, -0.3]).view(1, 1, 1, 2).expand(2000, 1, 1, 2)
    noisy = sensor.add_noise(images, seed=0, names=[f"{n}" for n in range(2000)])[:, 0, 0]
    at_level, above = noisy.unbind(1)
    assert at_level.std().item() == pytest.approx(0.02, rel=0.1)
    gain = (above - at_level) / 0.2
    assert gain.log().std().item() == pytest.approx(0.1, rel=0.1)


def test_noise_follows_from_seed_and_name_alone():
    sensor = FittedSensor()
    sensor.noise.fill_(0.05)
    images = 0.5 * random_images(2, 1, 16, 16)
    both = sensor.add_noise(images, seed=3, names=["a.png", "b.png"])
    alone = sensor.add_noise(images[1:], seed=3, names=["b.png"])
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=0)
    not_unicode = "b\udcff.png"  # as Python reads a file's name of such bytes
    for seed, name in ((4, "b.png"), (3, "c.png"), (3, not_unicode)):
        other = sensor.add_noise(images[1:], seed=seed, names=[name])
        assert (other != alone).float().mean() > 0.9


def test_a_state_dict_has_one_shape_and_loads_as_any_generator():
    sensor = FittedSensor()
    sensor.curve.mul_(0.5)
    sensor.blur.fill_(0.9)
    copy = FittedSensor()
    load_weights(copy, sensor.state_dict(), source="latest_net_G.pth")
    images = random_images(1, 1, 20, 30)
    torch.testing.assert_close(copy(images), sensor(images), rtol=0, atol=0)


def test_saturation_lets_a_gradient_through_where_it_leads_back():
    x = torch.tensor([-2.0, -2.0, -1.0, 0.5, 1.0, 3.0, 3.0], requires_grad=True)
    saturated = Saturate.apply(x)
    gradient = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0])
    saturated.backward(gradient)
    assert torch.equal(saturated, x.clamp(-1, 1))
    # A step goes against the gradient.
    assert torch.equal(x.grad, gradient * torch.tensor([0.0, 1, 1, 1, 1, 1, 0]))


def generator_with_sensor(network: str) -> SensorGenerator:
    torch.manual_seed(0)
    if network == "resnet":
        inner = ResnetGenerator(input_nc=2, output_nc=1, ngf=4, n_blocks=2)
    else:
        inner = UnetGenerator(input_nc=2, output_nc=1, ngf=2, num_downs=5, dropout=False)
    generator = SensorGenerator(inner)
    generator.sensor.curve.copy_(torch.linspace(-1.2, 0.9, KNOTS))
    generator.sensor.keep.fill_(0.4)
    generator.sensor.blur.fill_(0.8)
    generator.sensor.noise.fill_(0.05)
    return generator


@pytest.mark.parametrize("network", ["resnet", "unet"])
def test_a_new_generator_is_the_fit_to_the_bit_and_all_of_its_network_learns(network):
    generator, images = generator_with_sensor(network), random_images(2, 1, 64, 32)
    fake = generator(see(generator, images))
    assert torch.equal(fake, generator.sensor(images))
    optimiser = torch.optim.SGD(generator.parameters(), lr=0.1)
    for step in range(2):
        optimiser.zero_grad()
        (generator(see(generator, images)) - 0.5).abs().mean().backward()
        reached = [p.grad is not None and p.grad.abs().sum() > 0 for p in generator.parameters()]
        assert any(reached) if step == 0 else sum(reached) > len(reached) / 2
        optimiser.step()
    assert not torch.equal(generator(see(generator, images)), fake)


@pytest.mark.parametrize("target", [-1.0, 1.0])
def test_the_whole_range_can_be_reached_from_anywhere(target):
    generator, images = generator_with_sensor("resnet"), random_images(1, 1, 16, 16)
    *_, bias = (p for name, p in generator.named_parameters() if name.endswith("bias"))
    bias.data.fill_(target * 9)
    fake = generator(see(generator, images))
    assert torch.equal(fake, torch.full_like(fake, target))


def test_a_real_image_is_its_own_fit():
    generator, images = generator_with_sensor("resnet"), random_images(1, 1, 16, 16)
    assert torch.equal(see(generator, images, real=True), torch.cat([images, images], 1))
    assert torch.equal(see(generator.network, images), images)
    assert torch.equal(generator(see(generator, images, real=True)), images)


def test_a_generator_of_targets_is_given_their_mask_and_changes_nothing_else():
    generator, images = generator_with_sensor("resnet"), random_images(2, 1, 32, 32)
    *_, bias = (p for name, p in generator.named_parameters() if name.endswith("bias"))
    bias.data.fill_(0.2)
    boxes = torch.full((2, 1, 4), torch.nan)
    boxes[0] = torch.tensor([8.0, 10, 18, 16])
    fit = generator.sensor(images, boxes)
    mask = faded(boxes, 32, 32)[:, None]
    assert torch.equal(see(generator, images, boxes), torch.cat([images, fit], 1))
    generator.targets_only.fill_(True)
    assert torch.equal(see(generator, images, boxes), torch.cat([mask, fit], 1))
    assert torch.equal(see(generator, images, boxes, real=True), torch.cat([mask, images], 1))
    fake = generator(see(generator, images, boxes))
    assert torch.equal(fake[mask == 0], fit[mask == 0]) and 0 < (mask > 0).sum() < 200
    assert (fake != fit)[mask == 1].float().mean() > 0.5
    assert torch.equal(generator(see(generator, images)), generator.sensor(images))


def test_who_heeds_boxes():
    generator = generator_with_sensor("resnet")
    assert not heeds_boxes(generator) and not heeds_boxes(generator.network)
    generator.targets_only.fill_(True)
    assert heeds_boxes(generator)
    assert not heeds_boxes(FittedSensor())
    assert heeds_boxes(with_targets(0.5)) and not heeds_boxes(with_targets(1.0))
    levelled = with_targets(1.0)
    levelled.keep.fill_(0.5)
    assert heeds_boxes(levelled)


def test_a_fit_that_was_not_to_targets_makes_the_same_of_images_with_boxes():
    """Its level control was fitted to the median of whole images."""
    sensor = FittedSensor()
    sensor.keep.fill_(0.3)
    images, boxes = random_images(2, 1, 20, 20), torch.tensor([[[2.0, 2, 12, 12]]] * 2)
    assert not heeds_boxes(sensor)
    assert torch.equal(sensor(images, boxes), sensor(images))


def test_the_sensor_in_a_generator_is_saved_and_trained_by_nobody():
    generator = generator_with_sensor("resnet")
    keys = generator.state_dict().keys()
    assert {key.split(".")[0] for key in keys} == {"sensor", "network", "targets_only"}
    assert {f"sensor.{key}" for key in FittedSensor().state_dict()} < keys
    assert all(name.startswith("network.") for name, _ in generator.named_parameters())


def test_drawn_noise_has_the_same_deviations_and_follows_torchs_generator():
    sensor = FittedSensor()
    sensor.noise.copy_(torch.tensor([0.05, 0.02, 0.03]))
    zeros = torch.zeros(2, 1, 600, 500)
    torch.manual_seed(1)
    noise = sensor.draw_noise(zeros)
    torch.manual_seed(1)
    assert torch.equal(sensor.draw_noise(zeros), noise)
    assert (noise[0] != noise[1]).float().mean() > 0.99
    assert noise.std().item() == pytest.approx(math.hypot(0.05, 0.02, 0.03), rel=0.03)
    assert noise.mean(3).std().item() == pytest.approx(0.02, rel=0.15)
    assert noise.mean(2).std().item() == pytest.approx(0.03, rel=0.15)


def with_targets(keep: float) -> FittedSensor:
    sensor = FittedSensor()
    sensor.target.copy_(torch.linspace(-0.2, 0.6, SHARES))
    sensor.target_keep.fill_(keep)
    return sensor


def test_target_control_moves_each_rank_to_its_usual_level():
    images = random_images(2, 1, 20, 20)
    boxes = torch.tensor([[[3.0, 4, 13, 14]], [[torch.nan] * 4]])
    made = with_targets(0.0)(images, boxes)
    ranks = images[0, 0, 4:14, 3:13].flatten().argsort().argsort()
    expected = -0.2 + 0.8 * (ranks + 0.5) / 100
    torch.testing.assert_close(made[0, 0, 4:14, 3:13].flatten(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(made[1], images[1], rtol=0, atol=2e-6)
    outside = torch.ones(20, 20, dtype=bool)
    outside[4:14, 3:13] = False
    torch.testing.assert_close(made[0, 0][outside], images[0, 0][outside], rtol=0, atol=2e-6)


def test_targets_keep_their_share_of_the_distance():
    images, boxes = random_images(1, 1, 20, 20), torch.tensor([[[2.0, 2, 9, 18]]])
    none, half = with_targets(0.0)(images, boxes), with_targets(0.5)(images, boxes)
    torch.testing.assert_close(half, (images + none) / 2, rtol=0, atol=1e-5)


def test_level_control_does_not_look_at_targets():
    sensor = FittedSensor()
    sensor.keep.fill_(0.0)
    image = torch.full((1, 1, 12, 12), -0.5)
    image[..., 2:12, 2:12] = 0.9
    boxes = torch.tensor([[[2.0, 2, 12, 12]]])
    toned = sensor.toned(image, boxes)
    torch.testing.assert_close(toned[0, 0, 0], torch.zeros(12), rtol=0, atol=1e-6)
    torch.testing.assert_close(toned[0, 0, 5, 5].item(), 1.4, rtol=0, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.875, 1.0])
def test_levels_below_a_share_are_numpys(share):
    images = random_images(2, 1, 9, 11)
    expected = np.quantile(images.flatten(1).numpy(), share, axis=1, method="lower")
    np.testing.assert_array_equal(levels_below(images, share), expected)


def test_a_fit_from_before_target_control_is_read():
    state = FittedSensor().state_dict()
    for later in ("reference", "target", "target_keep"):
        del state[later]
    state["blur"] = torch.tensor(0.7)
    sensor = FittedSensor()
    load_weights(sensor, state, source="fit.pth")
    assert sensor.blur.item() == pytest.approx(0.7)
    assert sensor.reference.item() == 0.5
    assert not sensor.controls_targets
    frequency = torch.linspace(0, 0.5, 11)
    gaussian = torch.exp(-2 * (torch.pi * 0.7 * frequency) ** 2)
    torch.testing.assert_close(sensor.mtf(frequency), gaussian)


@pytest.mark.parametrize("make", [FittedSensor, lambda: generator_with_sensor("resnet")])
def test_a_fit_whose_mtf_had_a_power_is_read_where_that_was_a_gaussians(make):
    generator = make()
    state = generator.state_dict()
    blur = next(key for key in state if key.endswith("blur"))
    state[blur], power = torch.tensor(0.7), blur.replace("blur", "mtf_power")
    load_weights(generator, state | {power: torch.tensor(2.0)}, source="fit.pth")
    assert generator.state_dict()[blur].item() == pytest.approx(0.7)
    with pytest.raises(UserError, match=r"it also holds .*mtf_power"):
        load_weights(generator, state | {power: torch.tensor(1.5)}, source="fit.pth")


def test_a_generator_from_before_there_was_a_choice_sees_the_images():
    generator = generator_with_sensor("resnet")
    state = generator.state_dict()
    del state["targets_only"]
    load_weights(generator, state, source="g.pth")
    assert not generator.targets_only
