"""Shapes, state-dict keys and weights of the networks."""

import pytest
import torch
import torch.nn.functional as F

from models.networks import (
    PatchDiscriminator,
    PatchSampler,
    PixelDiscriminator,
    ResnetGenerator,
    UnetGenerator,
    build_generator,
    draw_patch_ids,
    evaluating,
    init_weights,
    load_weights,
)
from models.networks.layers import Downsample, Upsample
from util.errors import UserError


@pytest.mark.parametrize("name", ["resnet_9blocks", "resnet_6blocks", "resnet_4blocks"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("bands", [1, 3])
def test_resnets_keep_the_size(name, antialias, bands):
    net = build_generator(
        name,
        input_nc=bands,
        output_nc=bands,
        ngf=4,
        norm="instance",
        dropout=True,
        antialias_down=antialias,
        antialias_up=antialias,
    )
    image = torch.randn(2, bands, 20, 36)
    assert net(image).shape == image.shape
    blocks = int(name[7])
    assert sum("conv_block.1.weight" in key for key in net.state_dict()) == blocks


def convolve(net, name, x, function=F.conv2d, **how):
    """With the weights of the layer of this name."""
    weights = net.state_dict()
    return function(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), **how)


def reflect(x, width):
    return F.pad(x, (width,) * 4, mode="reflect")


def test_a_resnet_is_its_diagram():
    sides = {"antialias_down": False, "antialias_up": False}
    net = ResnetGenerator(input_nc=1, output_nc=2, ngf=4, n_blocks=2, **sides)
    x, norm = torch.randn(2, 1, 16, 20), F.instance_norm
    y = norm(convolve(net, "model.1", reflect(x, 3))).relu()
    for layer in ("model.4", "model.7"):
        y = norm(convolve(net, layer, y, stride=2, padding=1)).relu()
    for block in ("model.10.conv_block", "model.11.conv_block"):
        inner = norm(convolve(net, f"{block}.1", reflect(y, 1))).relu()
        y = y + norm(convolve(net, f"{block}.5", reflect(inner, 1)))
    for layer in ("model.12", "model.15"):
        how = {"stride": 2, "padding": 1, "output_padding": 1}
        y = norm(convolve(net, layer, y, F.conv_transpose2d, **how)).relu()
    expected = convolve(net, "model.19", reflect(y, 3)).tanh()
    torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dropout", [True, False])
def test_dropout_is_a_half_where_it_is(dropout):
    resnet = ResnetGenerator(input_nc=1, output_nc=1, ngf=2, n_blocks=3, dropout=dropout)
    unet = UnetGenerator(input_nc=1, output_nc=1, ngf=2, num_downs=8, dropout=dropout)
    for net in (resnet, unet):
        found = [layer.p for layer in net.modules() if isinstance(layer, torch.nn.Dropout)]
        assert found == [0.5] * 3 * dropout


@pytest.mark.parametrize("antialias", [True, False])
def test_feature_channels_are_known_beforehand(antialias):
    net = ResnetGenerator(input_nc=1, output_nc=1, ngf=4, antialias_down=antialias)
    layers = [0, 2, 4, 8, 12, 16]
    features = net.encode(torch.randn(1, 1, 32, 32), layers)
    assert [f.shape[1] for f in features] == net.feature_channels(layers)


def test_encode_equals_the_layers_one_by_one():
    net = ResnetGenerator(input_nc=1, output_nc=1, ngf=4)
    x = torch.randn(1, 1, 32, 32)
    for feature, depth in zip(net.encode(x, [4, 12]), (5, 13), strict=True):
        torch.testing.assert_close(feature, net.model[:depth](x))


@pytest.mark.parametrize("layers", [(0, 4, 8, 12, 16), (1,), (2,), (5,), (3, 5), (0, 22)])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("norm", ["instance", "none"])
def test_one_pass_gives_output_and_features(layers, antialias, norm):
    """Also where a ReLU works in place on the features, before the last of them and after it."""
    sides = {"antialias_down": antialias, "antialias_up": antialias, "norm": norm}
    net = ResnetGenerator(input_nc=1, output_nc=1, ngf=4, n_blocks=9, **sides)
    x = torch.randn(2, 1, 32, 32)
    output, features = net.forward_and_encode(x, layers)
    torch.testing.assert_close(output, net(x))
    for one, other in zip(features, net.encode(x, layers), strict=True):
        torch.testing.assert_close(one, other)
    output.sum().backward()  # nothing that the gradient needs was changed in place


def test_layers_that_are_not_there():
    net = ResnetGenerator(input_nc=1, output_nc=1, ngf=4, n_blocks=4)
    for layers in ([99], [-1], []):
        with pytest.raises(ValueError, match="outside"):
            net.encode(torch.zeros(1, 1, 16, 16), layers)


@pytest.mark.parametrize("downs", [7, 8])
@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("antialias", [True, False])
def test_unets_keep_the_size(downs, norm, antialias):
    how = {"num_downs": downs, "norm": norm, "antialias_up": antialias}
    net = UnetGenerator(input_nc=1, output_nc=3, ngf=2, **how)
    side = net.size_multiple
    assert side == 2**downs
    assert net(torch.randn(2, 1, side, side)).shape == (2, 3, side, side)


@pytest.mark.parametrize("antialias", [True, False])
def test_a_unet_is_its_diagram(antialias):
    """The public code's: what a skip connection carries has gone through the activation."""
    sides = {"dropout": False, "antialias_up": antialias}
    net = UnetGenerator(input_nc=1, output_nc=1, num_downs=6, ngf=2, **sides)
    how = {"stride": 2, "padding": 1}

    def up(x, name, **pad):
        """The layer of this name or, antialiased, the one after what makes the image larger."""
        if not antialias:
            return convolve(net, name, x, F.conv_transpose2d, **how)
        larger = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        stem, place = name.rsplit(".", 1)
        return convolve(net, f"{stem}.{int(place) + 1 + bool(pad)}", F.pad(larger, (1,) * 4, **pad))

    def level(x, name, below):
        skip = F.leaky_relu(x, 0.2)
        y = convolve(net, f"{name}.1", skip, **how)
        if below:
            y = level(F.instance_norm(y), f"{name}.3.model", below - 1)
        y = F.instance_norm(up(y.relu(), f"{name}.{5 if below else 3}"))
        return torch.cat([skip, y], dim=1)

    x = torch.randn(2, 1, 64, 128)
    y = level(convolve(net, "model.model.0", x, **how), "model.model.1.model", 4)
    expected = up(y.relu(), "model.model.3", mode="reflect").tanh()
    torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("antialias", [True, False])
def test_only_transposed_convolutions_put_a_checkerboard_on_a_flat_image(antialias):
    torch.manual_seed(0)
    how = {"norm": "none", "dropout": False, "antialias_up": antialias}
    net = UnetGenerator(input_nc=1, output_nc=1, num_downs=5, ngf=2, **how)
    with torch.no_grad():
        made = net(torch.full((1, 1, 512, 512), 0.3))
    middle = made[..., 224:288, 224:288]  # where no layer sees the border
    checkerboard = (middle[..., ::2, ::2] - middle[..., 1::2, ::2]).abs()
    if antialias:
        torch.testing.assert_close(middle, middle[..., :1, :1].expand_as(middle))
    else:
        assert (checkerboard > 1e-3).all()


def test_unet_dropout_acts_in_training_only():
    torch.manual_seed(0)
    net = UnetGenerator(input_nc=1, output_nc=1, num_downs=7, ngf=4)
    image = torch.randn(1, 1, 128, 128)
    assert not torch.equal(net(image), net(image))
    net.eval()
    assert torch.equal(net(image), net(image))


def test_a_patchgan_is_its_diagram():
    net = PatchDiscriminator(input_nc=2, ndf=4, antialias=False)
    x = torch.randn(2, 2, 48, 32)
    y = F.leaky_relu(convolve(net, "model.0", x, stride=2, padding=1), 0.2)
    for layer, stride in (("model.2", 2), ("model.5", 2), ("model.8", 1)):
        y = F.instance_norm(convolve(net, layer, y, stride=stride, padding=1))
        y = F.leaky_relu(y, 0.2)
    expected = convolve(net, "model.11", y, padding=1)
    torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-5)


def test_patchgan_grows_up_to_eight_times_its_first_width():
    net = PatchDiscriminator(input_nc=1, ndf=2, n_layers=5)
    widths = [m.out_channels for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert widths == [2, 4, 8, 16, 16, 16, 1]


def test_patchgan_sees_70_pixels():
    net = PatchDiscriminator(input_nc=1, ndf=4, norm="none", antialias=False)
    image = torch.zeros(1, 1, 256, 256, requires_grad=True)
    logits = net(image)
    assert logits.shape == (1, 1, 30, 30)
    logits[0, 0, 15, 15].backward()
    seen = image.grad[0, 0].abs().sum(dim=0) > 0
    assert int(seen.sum()) == 70


@pytest.mark.parametrize(("layers", "keys"), [(2, 3), (3, 4), (4, 5), (5, 6)])
def test_n_layers_counts_convolutions(layers, keys):
    net = PatchDiscriminator(input_nc=1, ndf=2, n_layers=layers)
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == keys + 1


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("layers", [2, 3, 4])
def test_smallest_side_is_the_smallest(layers, antialias):
    net = PatchDiscriminator(input_nc=1, ndf=2, n_layers=layers, antialias=antialias)
    side = net.smallest_side
    assert net(torch.randn(1, 1, side, side)).numel() == 1
    with pytest.raises((ValueError, RuntimeError)):
        net(torch.randn(1, 1, side - 2**layers, side - 2**layers))


def test_pixel_discriminator_sees_one_pixel():
    net = PixelDiscriminator(input_nc=2, ndf=4, norm="none")
    image = torch.randn(1, 2, 8, 8, requires_grad=True)
    net(image)[0, 0, 3, 5].backward()
    touched = image.grad.abs().sum(dim=(0, 1)).nonzero().tolist()
    assert touched == [[3, 5]]


def test_resampling_keeps_constants():
    constant = torch.full((1, 3, 9, 12), 0.7)
    torch.testing.assert_close(Downsample(3)(constant), torch.full((1, 3, 5, 6), 0.7))
    torch.testing.assert_close(Upsample(3)(constant), torch.full((1, 3, 18, 24), 0.7))


def test_patch_sampler_takes_the_named_positions():
    feature = torch.randn(2, 5, 4, 6)
    ids = torch.tensor([0, 7, 23])
    (patches,) = PatchSampler(channels=[5], use_mlp=False)([feature], [ids])
    rows, columns = ids // 6, ids % 6
    expected = F.normalize(feature[:, :, rows, columns].transpose(1, 2), dim=-1)
    torch.testing.assert_close(patches, expected, rtol=0, atol=1e-5)


def test_each_feature_map_has_its_own_two_layers():
    torch.manual_seed(0)
    net = PatchSampler(channels=[5, 5], width=6)
    feature, ids = torch.randn(2, 5, 4, 6), torch.tensor([3, 0, 23])
    sample = feature.flatten(2)[:, :, ids].transpose(1, 2)
    for place, patches in enumerate(net([feature, feature], [ids, ids])):
        weights = [net.state_dict()[f"mlp_{place}.{x}"] for x in ("0.weight", "0.bias")]
        last = [net.state_dict()[f"mlp_{place}.{x}"] for x in ("2.weight", "2.bias")]
        expected = F.normalize(F.linear(F.linear(sample, *weights).relu(), *last), dim=-1)
        torch.testing.assert_close(patches, expected, rtol=0, atol=1e-5)


def test_a_patch_without_any_feature_has_no_gradient():
    feature = torch.zeros(1, 5, 2, 2)
    feature[0, :, 0, 0] = torch.arange(5.0)
    feature.requires_grad_()
    (patches,) = PatchSampler(channels=[5], use_mlp=False)([feature], [torch.arange(4)])
    assert torch.equal(patches[0, 1:], torch.zeros(3, 5))
    patches.sum().backward()
    assert torch.isfinite(feature.grad).all()
    assert torch.count_nonzero(feature.grad[0, :, 0, 1:]) == 0


def test_patch_ids_are_different_and_no_more_than_there_are():
    features = [torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 2, 2)]
    ids = draw_patch_ids(features, 32)
    assert [len(i) for i in ids] == [32, 4]
    assert all(len(set(i.tolist())) == len(i) for i in ids)


def test_patch_ids_are_drawn_uniformly():
    torch.manual_seed(0)
    drawn = torch.stack([draw_patch_ids([torch.zeros(1, 1, 4, 5)], 5)[0] for _ in range(400)])
    counts = torch.bincount(drawn.flatten(), minlength=20)
    assert (counts - 100).abs().max() < 45  # five deviations


@pytest.mark.parametrize("init", ["normal", "xavier", "kaiming", "orthogonal"])
def test_initialisation_has_the_right_spread(init):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(64, 128, 3), torch.nn.BatchNorm2d(128))
    init_weights(net, init_type=init, init_gain=0.02)
    weight = net[0].weight.detach()
    fan_in, fan_out = 64 * 9, 128 * 9
    expected = {
        "normal": 0.02,
        "xavier": 0.02 * (2 / (fan_in + fan_out)) ** 0.5,
        "kaiming": (2 / fan_in) ** 0.5,
        "orthogonal": 0.02 / fan_in**0.5,
    }[init]
    assert float(weight.std()) == pytest.approx(expected, rel=0.05)
    assert torch.count_nonzero(net[0].bias) == 0
    assert float(net[1].weight.detach().mean()) == pytest.approx(1, abs=0.01)


def test_initialisation_reaches_every_kind_of_layer():
    torch.manual_seed(0)
    kinds = torch.nn.ConvTranspose2d(32, 64, 3), torch.nn.Linear(99, 50), torch.nn.BatchNorm2d(2000)
    init_weights(torch.nn.Sequential(*kinds), init_type="normal", init_gain=0.3)
    for layer, middle in zip(kinds, (0, 0, 1), strict=True):
        assert float(layer.weight.detach().std()) == pytest.approx(0.3, rel=0.1)
        assert float(layer.weight.detach().mean()) == pytest.approx(middle, abs=0.05)
        assert torch.count_nonzero(layer.bias) == 0


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_norms_have_the_keys_of_the_public_code(norm):
    for net in (
        ResnetGenerator(input_nc=1, output_nc=1, ngf=2, n_blocks=1, norm=norm),
        PatchDiscriminator(input_nc=1, ndf=2, norm=norm, antialias=False),
    ):
        conv, place = ("1", "2") if isinstance(net, ResnetGenerator) else ("2", "3")
        keys = net.state_dict().keys()
        assert (f"model.{conv}.bias" in keys) == (norm == "instance")
        assert (f"model.{place}.running_mean" in keys) == (norm == "batch")
        assert isinstance(net.model.get_submodule(place), torch.nn.Identity) == (norm == "none")


def test_weights_of_old_and_parallel_checkpoints_load():
    net = ResnetGenerator(input_nc=1, output_nc=1, ngf=4, n_blocks=4)
    old = {f"module.{key}": value + 1 for key, value in net.state_dict().items()}
    old["module.model.2.running_mean"] = torch.zeros(4)
    load_weights(net, old, source="old.pth")
    torch.testing.assert_close(net.state_dict()["model.1.bias"], old["module.model.1.bias"])


def test_weights_of_another_architecture_are_refused_by_name():
    weights = ResnetGenerator(input_nc=1, output_nc=1, ngf=4, n_blocks=6).state_dict()
    for other in (
        ResnetGenerator(input_nc=1, output_nc=1, ngf=4, n_blocks=4),
        ResnetGenerator(input_nc=1, output_nc=1, ngf=8, n_blocks=6),
        UnetGenerator(input_nc=1, output_nc=1, num_downs=7, ngf=4),
    ):
        before = {key: value.clone() for key, value in other.state_dict().items()}
        with pytest.raises(UserError, match=r"g\.pth holds the weights of another architecture"):
            load_weights(other, weights, source="g.pth")
        assert all(torch.equal(before[k], v) for k, v in other.state_dict().items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value):
    """No step could mend them, and no translation would show what is wrong."""
    net = ResnetGenerator(input_nc=1, output_nc=1, ngf=4, n_blocks=4)
    weights = {key: weight.clone() for key, weight in net.state_dict().items()}
    weights["model.1.weight"].view(-1)[0] = value
    with pytest.raises(UserError, match=r"g\.pth holds NaN or infinity \(model\.1\.weight\)"):
        load_weights(net, weights, source="g.pth")


def test_each_layer_is_in_its_own_mode_again_after_an_error():
    net = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout(), torch.nn.Dropout())
    net[1].eval()
    with pytest.raises(RuntimeError, match="inside"), evaluating(net):
        assert not any(layer.training for layer in (net, *net))
        raise RuntimeError("inside")
    assert [layer.training for layer in (net, *net)] == [True, True, False, True]
