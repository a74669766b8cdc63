"""One training step of each model: what it optimises, what it touches, what it keeps."""

import copy
import random
import weakref
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from models import MODELS, model_class
from models.image_pool import ImagePool
from models.networks.classifiers import ResNet18Classifier
from models.translation import make_generator, translate
from options.groups import (
    ClassifierOptions,
    CutGradcamOptions,
    CutOptions,
    Pix2PixGradcamOptions,
    Pix2PixOptions,
)
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.errors import UserError
from util.seeding import seed_step

CPU = Compute(torch.device("cpu"))
SMALL = {"ngf": 4, "ndf": 4, "netG": "resnet_4blocks"}
FACTS = DataFacts(classes=("BMP2", "T72"), class_counts=(3, 1))


@pytest.fixture
def batch():
    a, b = torch.rand(2, 2, 1, 96, 96, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return Batch(a, b, torch.tensor([0, 1]), ("x", "y"))


@pytest.fixture
def classifier_file(tmp_path):
    torch.manual_seed(1)
    path = tmp_path / "classifier.pth"
    torch.save(ResNet18Classifier(classes=("BMP2", "T72")).export(), path)
    return path


def build(name, options, facts=FACTS):
    seed_step(0, 0)
    return model_class(name)(options, compute=CPU, facts=facts)


def contrast(model, output, source, *, mirrored=False):
    return model.contrast(output, model.encode_source(source), mirrored).mean()


def snapshot(model):
    return {
        f"{name}.{key}": value.clone()
        for name, net in model.networks.items()
        for key, value in net.state_dict().items()
    }


def options_for(name, classifier_file):
    return {
        "cut": CutOptions(**SMALL, netF_nc=8, num_patches=16),
        "cut_gradcam": CutGradcamOptions(
            **SMALL, netF_nc=8, num_patches=16, classifier=str(classifier_file)
        ),
        "pix2pix": Pix2PixOptions(**SMALL),
        "pix2pix_gradcam": Pix2PixGradcamOptions(**SMALL, classifier=str(classifier_file)),
        "classifier": ClassifierOptions(lr=1e-3),
    }[name]


@pytest.mark.parametrize("name", MODELS)
def test_a_step_changes_every_network_and_gives_finite_losses(name, batch, classifier_file):
    model = build(name, options_for(name, classifier_file))
    before = snapshot(model)
    losses = model.training_step(batch)
    assert model.watched_loss in losses
    assert all(torch.isfinite(v) and not v.requires_grad for v in losses.values())
    after = snapshot(model)
    for network, net in model.networks.items():
        trained = [f"{network}.{key}" for key, _ in net.named_parameters()]
        assert any(not torch.equal(before[key], after[key]) for key in trained), network


def test_gradients_of_the_batches_of_a_step_are_averaged_by_their_images(batch):
    def rows(*numbers):
        found = batch.each(lambda tensor: tensor[list(numbers)])
        return replace(found, names=tuple(map(str, numbers)))

    def step(*batches):
        model = build("pix2pix", Pix2PixOptions(**SMALL, lr=0.0))
        losses = model.step(*batches)
        return [
            *losses.values(),
            *(p.grad for n in model.networks.values() for p in n.parameters()),
        ]

    three, one = rows(0, 1, 0), rows(1)
    for found, a, b in zip(step(three, one), step(three), step(one), strict=True):
        torch.testing.assert_close(found, (3 * a + b) / 4, rtol=1e-3, atol=1e-4)


def test_networks_change_with_the_last_batch_of_a_step(batch):
    model = build("pix2pix", Pix2PixOptions(**SMALL, ema=0.5))
    before, seen = snapshot(model), []
    step = model.training_step

    def watched(batch):
        same = [torch.equal(value, before[key]) for key, value in snapshot(model).items()]
        seen.append(all(same))
        return step(batch)

    model.training_step = watched
    model.step(batch, batch, batch)
    assert seen == [True, True, True]
    assert not any(torch.equal(v, before[k]) for k, v in snapshot(model).items() if "1.weight" in k)


def test_g_meets_the_same_d_in_all_batches_of_a_step(batch):
    model = build("pix2pix", Pix2PixOptions(**SMALL))
    before, met = snapshot(model), []
    update = model.update

    def watched(name, loss):
        if name == "G":
            met.append(all(torch.equal(v, before[k]) for k, v in snapshot(model).items()))
        update(name, loss)

    model.update = watched
    model.step(batch, batch, batch)
    assert met == [True, True, True]
    model.step(batch)
    assert met[3:] == [False]


@pytest.mark.parametrize("name", ["cut", "pix2pix"])
def test_the_average_of_g_follows_its_steps(name, batch, classifier_file):
    options = replace(options_for(name, classifier_file), normG="batch", ema=0.75)
    model = build(name, options)
    layer = model.generator.model[1]
    expected = layer.weight.detach().double()
    for _ in range(3):
        model.training_step(batch)
        expected = 0.75 * expected + 0.25 * layer.weight.detach().double()
    average = model.networks["G_ema"]
    torch.testing.assert_close(average.model[1].weight.double(), expected, rtol=0, atol=1e-7)
    assert torch.equal(average.model[2].running_var, model.generator.model[2].running_var)
    assert torch.equal(model.translate(batch.a), translate(average.eval(), batch.a, CPU))
    assert not torch.equal(model.translate(batch.a), translate(model.generator, batch.a, CPU))


def test_the_average_begins_as_the_networks_that_a_run_starts_from(classifier_file):
    options = options_for("pix2pix", classifier_file)
    source = build("pix2pix", options)
    source.generator.model[1].weight.data.fill_(0.5)
    model = build("pix2pix", replace(options, ema=0.9))
    model.load_networks({"G": source.generator.state_dict()}, source="a run")
    assert (model.networks["G_ema"].model[1].weight == 0.5).all()


SENSOR_MODELS = [name for name in MODELS if name != "classifier"]


def with_sensor(name, classifier_file, **flags):
    """A model whose sensor darkens and blurs, and adds noise."""
    model = build(name, replace(options_for(name, classifier_file), sensor="fit", **flags))
    sensor = model.generator.sensor
    sensor.curve.mul_(0.5).sub_(0.2)
    sensor.blur.fill_(0.8)
    sensor.noise.fill_(0.1)
    return model


@pytest.mark.parametrize("name", SENSOR_MODELS)
def test_the_first_images_beside_a_sensor_are_the_fit_and_the_next_are_not(
    name, batch, classifier_file
):
    model = with_sensor(name, classifier_file)
    before = snapshot(model)
    fit = model.generator.sensor(batch.a)
    assert torch.equal(model.samples(batch)["fake_B"], fit)
    losses = model.training_step(batch)
    assert all(torch.isfinite(v) for v in losses.values())
    assert not torch.equal(model.translate(batch.a), fit)
    after = snapshot(model)
    assert all(torch.equal(before[key], after[key]) for key in before if ".sensor." in f".{key}")


def test_d_is_shown_noise_and_l1_is_not(batch, classifier_file, monkeypatch):
    model = with_sensor("pix2pix", classifier_file)
    fit, judged = model.generator.sensor(batch.a), []
    judge = model.judge
    monkeypatch.setattr(model, "judge", lambda x: judged.append(x.detach()) or judge(x))
    losses = model.training_step(batch)
    l1 = model.options.lambda_L1 * (fit - batch.b).abs().mean()
    torch.testing.assert_close(losses["G_L1"], l1)
    fakes, of_g = judged[0][: len(batch.a), 1:], judged[1][:, 1:]
    assert torch.equal(fakes, of_g)  # the same noise in both updates of a step
    assert (fakes - fit).std().item() == pytest.approx(0.1 * 3**0.5, rel=0.1)
    assert torch.equal(judged[0][len(batch.a) :, 1:], batch.b)


def test_images_that_a_sensor_has_shown_are_their_own_fit_and_have_its_noise(batch, monkeypatch):
    options = Pix2PixOptions(**SMALL, sensor="fit")
    model, judged = build("pix2pix", options, replace(FACTS, sensed=True)), []
    model.generator.sensor.curve.mul_(0.5)
    model.generator.sensor.noise.fill_(0.1)
    judge = model.judge
    monkeypatch.setattr(model, "judge", lambda x: judged.append(x.detach()) or judge(x))
    losses = model.training_step(batch)
    l1 = options.lambda_L1 * (batch.a - batch.b).abs().mean()
    torch.testing.assert_close(losses["G_L1"], l1)
    assert torch.equal(judged[1][:, 1:], batch.a)


@pytest.mark.parametrize("flags", [{}, {"flip_equivariance": True}, {"nce_idt": False}])
def test_cut_beside_a_sensor_takes_real_images_for_their_own_fit(
    batch, classifier_file, flags, monkeypatch
):
    model = with_sensor("cut", classifier_file, **flags)
    generate, made = model.generate_and_encode, []
    monkeypatch.setattr(
        model, "generate_and_encode", lambda *seen: made.append(generate(*seen)) or made[0]
    )
    model.training_step(batch)
    (output, _), count = made[0], len(batch.a)
    fit = model.generator.sensor(batch.a)
    mirrored = not torch.allclose(output[:count], fit)
    torch.testing.assert_close(output[:count].flip(-1) if mirrored else output[:count], fit)
    if model.options.nce_idt:
        assert torch.equal(output[count:].flip(-1) if mirrored else output[count:], batch.b)


def test_a_sensor_is_for_one_band(classifier_file):
    with pytest.raises(UserError, match="--sensor is for images of one band"):
        build("pix2pix", Pix2PixOptions(**SMALL, sensor="fit", input_nc=3, output_nc=3))


@pytest.mark.parametrize("size", [(50, 70), (17, 9)])
def test_the_fit_is_of_the_image_itself_though_the_network_pads_it(size, classifier_file):
    model = with_sensor("pix2pix", classifier_file)
    model.generator.sensor.keep.fill_(0.1)
    image = torch.rand(1, 1, *size) ** 3
    assert torch.equal(model.translate(image), model.generator.sensor(image))


@pytest.mark.parametrize("name", MODELS)
def test_updates_say_whether_all_was_finite(name, batch, classifier_file):
    model = build(name, options_for(name, classifier_file))
    model.training_step(batch)
    sound = model.take_finite()
    assert sound.dtype == torch.bool and sound and model.is_finite()
    if name == "classifier":  # infinite as soon as all but one class is ruled out
        model.classifier.net.fc.bias.data[0] = torch.inf
    else:
        batch.b[0, 0, 3, 3] = torch.inf
    model.training_step(batch)
    assert not model.take_finite()


@pytest.mark.parametrize("name", ["cut", "pix2pix"])
def test_boxes_that_nobody_asked_for_change_no_step(name, batch, classifier_file):
    boxes = torch.tensor([[[10.0, 20, 40, 50]]]).expand(2, 1, 4)
    ends = []
    for given in (batch, replace(batch, box_a=boxes, box_b=boxes)):
        model = build(name, options_for(name, classifier_file))
        seed_step(0, 1)
        model.training_step(given)
        ends.append(snapshot(model))
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def test_the_discriminator_learns_nothing_of_a_hidden_target(batch, classifier_file):
    """Nor does G: what B shows in the boxes of A and of B is not seen."""
    boxes = torch.tensor([[[10.0, 20, 40, 50]]]).expand(2, 1, 4)
    batch = replace(batch, box_a=boxes, box_b=boxes + 30)
    options = replace(options_for("cut", classifier_file), blind_target=True, nce_idt=False)
    weights = []
    for target in (-1.0, 1.0):
        model, b = build("cut", options), batch.b.clone()
        b[..., 50:80, 40:70] = target
        b[..., 20:50, 10:40] = target  # where A has one
        model.training_step(replace(batch, b=b))
        weights.append(snapshot(model))
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_one_bad_value_is_noticed_and_reported_once(where, value):
    model = build("pix2pix", Pix2PixOptions(**SMALL))
    good, bad = torch.tensor(0.5), torch.tensor(value)
    gradients = [torch.ones(3), torch.tensor([1e18, -1e18])]
    model.note_finite(good, gradients)
    if where == "loss":
        model.note_finite(bad, gradients)
    else:
        model.note_finite(good, [*gradients, torch.stack([good, bad])])
    model.note_finite(good, gradients)
    assert not model.take_finite()
    model.note_finite(good, gradients)
    assert model.take_finite()


def test_a_gradient_without_limit_is_noticed_though_the_loss_is_finite():
    model = build("pix2pix", Pix2PixOptions(**SMALL))
    weight = model.generator.model[1].weight
    model.update("G", (weight - weight.detach()).square().sum().sqrt())  # no slope at 0
    assert not model.take_finite()


@pytest.mark.parametrize("key", ["model.1.weight", "model.2.running_var"])
def test_weights_and_buffers_that_are_not_finite_are_seen(key):
    model = build("pix2pix", Pix2PixOptions(**SMALL, normG="batch"))
    assert model.is_finite()
    model.generator.state_dict()[key].view(-1)[0] = torch.nan
    assert not model.is_finite()


@pytest.mark.parametrize("name", MODELS)
def test_state_goes_round_and_the_next_steps_are_equal(name, batch, classifier_file):
    options = options_for(name, classifier_file)
    first = build(name, options)
    for step in (1, 2):
        seed_step(0, step)
        first.training_step(batch)
    second = build(name, options)
    # A copy, as through a file: torch's optimisers would share their moments otherwise.
    second.load_state_dict(copy.deepcopy(first.state_dict()), source="test")
    losses = []
    for model in (first, second):
        seed_step(0, 3)
        losses.append(model.training_step(batch))
    assert all(torch.equal(losses[0][key], losses[1][key]) for key in losses[0])
    for key, value in snapshot(first).items():
        assert torch.equal(value, snapshot(second)[key]), key


def test_adam_is_that_of_the_options_and_its_rate_a_share_of_theirs():
    model = build("pix2pix", Pix2PixOptions(**SMALL, lr=0.01, beta1=0.3, beta2=0.7))
    for factor in (0.5, 0.25):
        model.set_rate(factor)
    for optimiser in model.optimisers.values():
        assert [group["betas"] for group in optimiser.param_groups] == [(0.3, 0.7)]
        assert [group["lr"] for group in optimiser.param_groups] == [0.0025]


def test_cut_follows_the_papers_objective(batch):
    model = build("cut", CutOptions(**SMALL, netF_nc=8, num_patches=16, lambda_NCE=2.0))
    losses = model.training_step(batch)
    expected = losses["G_GAN"] + (losses["NCE"] + losses["NCE_Y"]) / 2
    torch.testing.assert_close(losses["G"], expected)


@pytest.mark.parametrize("network", ["G", "D", "F"])
def test_every_network_of_cut_is_drawn_as_the_options_say(network):
    options = {"init_type": "normal", "init_gain": 0.3}
    model = build("cut", CutOptions(**SMALL, netF_nc=16, **options))
    named = model.networks[network].named_parameters()
    weights = torch.cat([value.detach().flatten() for key, value in named if "weight" in key])
    assert float(weights.std()) == pytest.approx(0.3, rel=0.05)


def test_contrast_scales_with_its_weight_and_vanishes_for_a_perfect_copy(batch):
    values = []
    for weight in (1.0, 10.0):
        model = build("cut", CutOptions(**SMALL, netF_nc=8, num_patches=16, lambda_NCE=weight))
        seed_step(0, 7)
        values.append(contrast(model, batch.b, batch.a).item())
    assert values[1] == pytest.approx(10 * values[0], rel=1e-5)
    model = build("cut", CutOptions(**SMALL, num_patches=16, netF="sample", nce_T=0.01))
    seed_step(0, 7)
    copy = contrast(model, batch.a, batch.a).item()
    seed_step(0, 7)
    assert copy < 0.5 * contrast(model, batch.b, batch.a).item()


def test_a_mirrored_output_is_compared_with_its_unmirrored_source(batch):
    # A generator whose features mirror with the image sees the mirrored copy as a perfect copy.
    model = build("cut", CutOptions(**SMALL, netF="sample", num_patches=64, nce_layers=(0,)))
    losses = []
    for mirrored in (False, True):
        seed_step(0, 7)
        output = batch.a.flip(-1) if mirrored else batch.a
        losses.append(contrast(model, output, batch.a, mirrored=mirrored))
    torch.testing.assert_close(losses[0], losses[1])


def test_minibatch_negatives_reach_the_loss(batch):
    losses = []
    for across in (False, True):
        options = CutOptions(
            **SMALL,
            netF_nc=8,
            num_patches=16,
            nce_idt=False,
            nce_includes_all_negatives_from_minibatch=across,
        )
        model = build("cut", options)
        seed_step(0, 1)
        losses.append(contrast(model, batch.b, batch.a).item())
    assert losses[1] > losses[0]


def test_pix2pix_judges_pairs_and_weighs_l1(batch):
    model = build("pix2pix", Pix2PixOptions(**SMALL, lambda_L1=50.0, lambda_GAN=0.0))
    model.generator.eval()
    with torch.no_grad():
        expected = 50 * (model.generator(batch.a) - batch.b).abs().mean()
    losses = model.training_step(batch)
    torch.testing.assert_close(losses["G_L1"], expected)
    assert losses["G_GAN"].item() == 0
    assert model.discriminator.model[0].in_channels == 2


def test_gradcam_term_alone_trains_the_generator_and_spares_the_classifier(batch, classifier_file):
    options = Pix2PixGradcamOptions(
        **SMALL, classifier=str(classifier_file), lambda_L1=0.0, lambda_GAN=0.0
    )
    model = build("pix2pix_gradcam", options)
    frozen = {key: value.clone() for key, value in model.feedback.classifier.state_dict().items()}
    before = snapshot(model)
    losses = model.training_step(batch)
    assert losses["G_CAM"] > 0
    after = snapshot(model)
    assert any(not torch.equal(before[k], after[k]) for k in before if k.startswith("G."))
    assert all(torch.equal(frozen[k], v) for k, v in model.feedback.classifier.state_dict().items())
    assert not model.feedback.classifier.training


def test_gradcam_term_is_zero_for_the_target_itself_and_scales(batch, classifier_file):
    values = []
    for weight in (1.0, 10.0):
        options = Pix2PixGradcamOptions(
            **SMALL, classifier=str(classifier_file), lambda_gradcam=weight
        )
        model = build("pix2pix_gradcam", options)
        assert model.semantic_terms(batch.b, batch)["G_CAM"].item() == 0
        values.append(model.semantic_terms(batch.a, batch)["G_CAM"].item())
    assert values[1] == pytest.approx(10 * values[0], rel=1e-5)


def test_labels_are_translated_into_the_classifiers_order(batch, classifier_file):
    options = Pix2PixGradcamOptions(
        **SMALL, classifier=str(classifier_file), cam_target="label", lambda_gradcam=1.0
    )
    facts = DataFacts(classes=("T72",), class_counts=(2,))
    model = build("pix2pix_gradcam", options, facts)
    assert model.class_of_label.tolist() == [1]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (DataFacts(classes=("MTLB",), class_counts=(2,)), "MTLB"),
        (DataFacts(unlabelled=4), "4 training pairs have no class"),
    ],
)
def test_labels_that_the_classifier_cannot_use(facts, words, classifier_file):
    options = Pix2PixGradcamOptions(**SMALL, classifier=str(classifier_file), cam_target="label")
    with pytest.raises(UserError, match=words):
        build("pix2pix_gradcam", options, facts)


def test_a_classifier_of_other_file_values_is_refused(tmp_path):
    classifier = ResNet18Classifier(classes=("BMP2", "T72"), value_range=(0.0, 255.0))
    torch.save(classifier.export(), tmp_path / "eight_bit.pth")
    options = Pix2PixGradcamOptions(**SMALL, classifier=str(tmp_path / "eight_bit.pth"))
    with pytest.raises(UserError, match="from 0 to 255, and those of B run from 5600 to 16800"):
        build("pix2pix_gradcam", options, DataFacts(value_range=(5600.0, 16800.0)))


def test_the_classifier_takes_the_file_values_of_b_where_ranges_meet(tmp_path):
    classifier = ResNet18Classifier(classes=("BMP2", "T72"), value_range=(50.0, 150.0))
    torch.save(classifier.export(), tmp_path / "c.pth")
    options = Pix2PixGradcamOptions(**SMALL, classifier=str(tmp_path / "c.pth"))
    model = build("pix2pix_gradcam", options, DataFacts(value_range=(0.0, 100.0)))
    assert model.feedback.classifier.value_range == (0.0, 100.0)
    for apart in ((0.0, 50.0), (150.0, 200.0)):
        with pytest.raises(UserError, match="train a classifier on images of this kind"):
            build("pix2pix_gradcam", options, DataFacts(value_range=apart))


def seen(**sizes):
    """Facts of images of these sizes, by role."""
    return {role: {size: f"{role}{size}.png" for size in of} for role, of in sizes.items()}


@pytest.mark.parametrize(
    ("name", "flags", "sizes", "words"),
    [
        ("pix2pix", {}, seen(A=[(96, 96), (98, 96)]), r"96x98 pixels, such as A\(98, 96\)\.png"),
        ("pix2pix", {"netG": "unet_128"}, seen(A=[(96, 128)]), "multiples of 128"),
        ("pix2pix", {}, seen(A=[(96, 20)]), r"20x96 .* too small for --netD basic.* needs 24"),
        ("cut", {}, seen(A=[(96, 96)], B=[(96, 100)]), "of A are 96x96 and images of B 100x96"),
        ("cut", {}, seen(A=[(96, 96), (96, 100)], B=[(96, 96), (96, 100)]), "--nce_idt False"),
        ("cut", {"nce_idt": False}, seen(A=[(96, 96)], B=[(20, 96)]), r"B\(20, 96\).* --netD"),
    ],
)
def test_sizes_that_networks_cannot_take_are_named_before_the_first_step(name, flags, sizes, words):
    options = {"cut": CutOptions, "pix2pix": Pix2PixOptions}[name](**SMALL | flags)
    with pytest.raises(UserError, match=words):
        build(name, options, DataFacts(sizes=sizes))


def test_images_of_several_sizes_are_trained_on_one_by_one():
    sizes = [(96, 96), (96, 100)]
    pairs = DataFacts(sizes=seen(A=sizes, B=sizes), paired=True)
    build("cut", CutOptions(**SMALL), pairs)
    build("cut", CutOptions(**SMALL, nce_idt=False), DataFacts(sizes=seen(A=sizes, B=sizes[:1])))
    build("pix2pix", Pix2PixOptions(**SMALL), pairs)


@pytest.mark.parametrize(
    ("side", "stage", "empty"), [(32, "layer4", True), (36, "layer4", False), (32, "layer3", False)]
)
def test_maps_that_would_be_empty_are_told(classifier_file, side, stage, empty):
    options = Pix2PixGradcamOptions(**SMALL, classifier=str(classifier_file), cam_layer=stage)
    model = build(
        "pix2pix_gradcam", options, DataFacts(sizes=seen(A=[(side, side)], B=[(side, side)]))
    )
    images = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    batch = Batch(images, images.flip(-1).square(), torch.tensor([0, 1]), ("x", "y"))
    assert (model.semantic_terms(images, batch)["G_CAM"].item() == 0) == empty
    assert any("one position" in note for note in model.notes) == empty


def test_models_that_cannot_be_built(classifier_file):
    for name, options, words in (
        ("cut", CutOptions(netG="unet_128", ngf=4), "choose resnet"),
        ("cut", CutOptions(**SMALL, nce_layers=(0, 99)), "nce_layers"),
        ("cut", CutOptions(**SMALL, output_nc=3), "must be equal"),
        ("cut_gradcam", CutGradcamOptions(**SMALL), "--classifier"),
        ("pix2pix_gradcam", Pix2PixGradcamOptions(**SMALL), "--classifier"),
        ("pix2pix_gradcam", Pix2PixGradcamOptions(**SMALL, classifier="no.pth"), "no.pth"),
    ):
        with pytest.raises(UserError, match=words):
            build(name, options)
    with pytest.raises(UserError, match="at least two"):
        build("classifier", ClassifierOptions(), DataFacts(("T72",), (3,)))


def test_classifier_keeps_its_report_and_the_file_values_it_has_seen():
    facts = DataFacts(("BMP2", "T72"), (3, 1), value_range=(5600.0, 16800.0))
    first, second = (build("classifier", ClassifierOptions(), facts) for _ in range(2))
    first.report = {"balanced_accuracy": 0.5, "confusion": torch.tensor([[3, 0], [1, 0]])}
    second.load_state_dict(copy.deepcopy(first.state_dict()), source="test")
    found, expected = (model.exports()["classifier"] for model in (second, first))
    assert torch.equal(found["confusion"], expected["confusion"])
    assert found["value_range"] == [5600.0, 16800.0]


@pytest.mark.parametrize("size", [(64, 64), (61, 79), (7, 130)])
def test_translate_pads_and_crops_back(size):
    class Identity(torch.nn.Module):
        size_multiple = smallest_side = 32

        def forward(self, x):
            assert x.shape[-1] % 32 == 0
            assert x.shape[-2] % 32 == 0
            return x

    image = torch.rand(1, 1, *size)
    assert torch.equal(translate(Identity(), image, CPU), image)


def test_a_model_translates_without_dropout_and_goes_on_with_it(batch):
    model = build("pix2pix", Pix2PixOptions(**SMALL, no_dropout=False))
    images = batch.a[:, :, :50, :41]
    first, second = model.translate(images), model.translate(images)
    assert first.shape == images.shape and not first.requires_grad
    assert torch.equal(first, second)
    assert all(part.training for part in model.generator.modules())


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (2, 9)])
def test_the_smallest_images_are_translated(size):
    images = torch.rand(1, 1, *size)
    assert build("cut", CutOptions(**SMALL)).translate(images).shape == images.shape


@pytest.mark.parametrize("netD", ["basic", "pixel", "n_layers"])
@pytest.mark.parametrize("side", [4, 8, 24])
def test_images_are_too_small_before_a_layer_says_so(netD, side):
    """One sentence or a step, never torch's words."""
    options = CutOptions(**SMALL | {"netD": netD, "n_layers_D": 1, "normG": "batch"})
    model = build("cut", options)
    images = torch.rand(1, 1, side, side)
    one = Batch(images, images, torch.tensor([-1]), ("x",))
    fits = side >= max(8, model.discriminator.smallest_side)
    with nullcontext() if fits else pytest.raises(UserError, match="are too small for --net"):
        assert all(loss.isfinite() for loss in model.training_step(one).values())


@pytest.mark.parametrize("side", [8, 32, 64])
def test_a_classifier_learns_from_a_single_small_image(side):
    """As the last batch of an epoch may be; of up to 32 pixels, one position is left of it."""
    facts = DataFacts(("a", "b"), (1, 1))
    model = build("classifier", ClassifierOptions(), facts)
    before = snapshot(model)
    one = Batch(torch.rand(1, 1, side, side), None, torch.tensor([1]), ("x",))
    assert model.training_step(one)["cross_entropy"].isfinite()
    after = snapshot(model)
    assert all(value.isfinite().all() for value in after.values())
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {"classifier.conv1.weight", "classifier.fc.weight"} <= changed


def test_translate_reflects_like_torch():
    class Remember(torch.nn.Module):
        size_multiple = smallest_side = 8

        def forward(self, x):
            self.seen = x
            return x

    net, image = Remember(), torch.rand(1, 1, 5, 6)
    translate(net, image, CPU)
    expected = torch.nn.functional.pad(image, (0, 2, 0, 3), mode="reflect")
    assert torch.equal(net.seen, expected)


@pytest.mark.parametrize("antialias", [True, False])
def test_translate_frees_each_layer_as_it_goes(antialias):
    """What a frame of 2048 x 2048 pixels needs is a few layers' outputs, not all of them."""
    options = CutOptions(**SMALL | {"no_antialias": antialias, "no_antialias_up": antialias})
    net = make_generator(options).eval()
    outputs: list[weakref.ref] = []
    most = []

    def watch(layer, inputs, output):
        alive = {id(t) for ref in outputs if (t := ref()) is not None} - {id(inputs[0])}
        most.append(len(alive - {id(output)}))
        outputs.append(weakref.ref(output))

    for layer in net.modules():
        if not list(layer.children()):
            layer.register_forward_hook(watch)
    translate(net, torch.rand(1, 1, 33, 41), CPU)
    assert len(most) > 30
    # The input of a residual block lives on beside the layer's own input and output.
    assert max(most) <= 1


@pytest.mark.parametrize(("size", "words"), [((24, 28), None), ((20, 28), "24 a side")])
def test_the_smallest_image_is_one_that_the_discriminator_can_take(size, words):
    model = build("pix2pix", Pix2PixOptions(**SMALL))
    if words is None:
        fake = model.generate(torch.zeros(1, 1, *size))
        assert model.judge(torch.cat([fake, fake], 1)).isfinite().all()
    else:
        with pytest.raises(UserError, match=words):
            model.generate(torch.zeros(1, 1, *size))


def test_generator_of_options_is_drawn_by_seed():
    weights = []
    for seed in (1, 1, 2):
        seed_step(seed, 0)
        weights.append(make_generator(CutOptions(**SMALL)).model[1].weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_image_pool_keeps_its_size_and_returns_old_images_half_of_the_time():
    random.seed(0)
    pool = ImagePool(5)
    old = 0
    for step in range(400):
        image = torch.full((1, 1, 1, 1), float(step))
        returned = pool.query(image)
        if step >= 5:
            old += int(returned.item() != step)
    assert len(pool.images) == 5
    assert min(kept.item() for kept in pool.images) > 300  # every place is used again
    assert old / 395 == pytest.approx(0.5, abs=0.08)
    assert torch.equal(ImagePool(0).query(image), image)


@pytest.mark.parametrize("chance", [0.4, 0.6])
def test_what_the_pool_keeps_is_its_own(chance, monkeypatch):
    """Not a view of a batch, which would keep that alive and change with it."""
    monkeypatch.setattr(random, "random", lambda: chance)
    pool = ImagePool(1)
    for value in (1.0, 2.0):
        images = torch.full((1, 1, 2, 2), value)
        pool.query(images)
        images.zero_()
    assert pool.images[0].unique().item() == (2.0 if chance < 0.5 else 1.0)


def test_the_discriminator_sees_images_of_the_pool_which_goes_round(batch, monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.4)  # an old image each time
    model = build("pix2pix", Pix2PixOptions(**SMALL, pool_size=2))
    model.training_step(batch)
    resumed = build("pix2pix", Pix2PixOptions(**SMALL, pool_size=2))
    resumed.load_state_dict(copy.deepcopy(model.state_dict()), source="test")
    for own, kept in zip(resumed.pool.images, model.pool.images, strict=True):
        assert torch.equal(own, kept)
    assert resumed.pool.images[0].shape == (2, 96, 96) and not kept.requires_grad
    with torch.no_grad():
        expected = resumed.judge(torch.stack([kept, kept])).square().mean()
    monkeypatch.setattr(random, "randrange", lambda size: 1)
    resumed.pool.images[1] = kept.clone()
    fake = torch.cat([batch.a, batch.b], 1)
    losses = resumed.update_discriminator(fake[:1], fake[:1])
    torch.testing.assert_close(losses["D_fake"], expected)


@pytest.mark.parametrize("options", [{}, {"nce_idt": False}, {"netF": "sample"}])
def test_key_features_of_the_pass_over_the_source_are_those_of_a_pass_of_their_own(batch, options):
    """Done once, not twice: losses, and what a step makes of every weight, are the same."""
    options = CutOptions(**SMALL, netF_nc=8, num_patches=16, **options)
    once, twice = build("cut", options), build("cut", options)
    assert once.passes_agree
    twice.passes_agree = False
    losses = []
    for model in (once, twice):
        seed_step(0, 1)
        losses.append(model.training_step(batch))
    for name, value in losses[0].items():
        assert value.item() == pytest.approx(losses[1][name].item(), rel=1e-5), name
    gradients = [
        torch.cat(
            [weight.grad.flatten() for weight in model.optimisers["G"].param_groups[0]["params"]]
        )
        for model in (once, twice)
    ]
    assert (gradients[0] - gradients[1]).norm() <= 1e-5 * gradients[1].norm()


@pytest.mark.parametrize(
    ("options", "agree"),
    [
        ({}, True),
        ({"normG": "none"}, True),
        ({"normG": "batch"}, False),
        ({"no_dropout": False}, False),
    ],
)
def test_features_are_not_shared_where_two_passes_differ(options, agree):
    assert build("cut", CutOptions(**SMALL, netF_nc=8, **options)).passes_agree is agree


@pytest.mark.parametrize("name", ["cut", "pix2pix"])
def test_moments_of_another_memory_layout_belong_to_the_same_weights(name, batch, classifier_file):
    """As a run that was on a device, or at a precision, where weights lie differently."""
    models = [build(name, options_for(name, classifier_file)) for _ in range(2)]
    seed_step(0, 1)
    models[0].training_step(batch)
    state = copy.deepcopy(models[0].state_dict())
    for optimiser in state["optimisers"].values():
        for moments in optimiser["state"].values():
            moments.update({key: value.contiguous() for key, value in moments.items()})
    models[1].load_state_dict(state, source="test")
    for model in models:
        seed_step(0, 2)
        model.training_step(batch)
    weights = [snapshot(model) for model in models]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def shorter(moments):
    moments[0]["exp_avg"] = torch.zeros(1)


def of_no_weight(moments):
    moments[len(moments)] = moments[0]


def incomplete(moments):
    del moments[0]["exp_avg_sq"]


def of_whole_numbers(moments):
    moments[0]["exp_avg"] = moments[0]["exp_avg"].int()


@pytest.mark.parametrize("spoil", [shorter, of_no_weight, incomplete, of_whole_numbers, None])
def test_moments_that_are_not_of_these_weights_are_refused(batch, spoil):
    """Fused Adam would read and write beyond them in memory."""
    model = build("pix2pix", Pix2PixOptions(**SMALL))
    seed_step(0, 1)
    model.training_step(batch)
    state = copy.deepcopy(model.state_dict())
    if spoil:
        spoil(state["optimisers"]["G"]["state"])
    else:
        state["optimisers"]["G"] = []
    with pytest.raises(UserError, match=r"latest\.pth, optimiser G, holds the moments of other"):
        model.load_state_dict(state, source="latest.pth")


def test_decays_of_moments_are_those_of_the_run_that_goes_on(batch):
    """--beta1 may be changed while a run goes on."""
    first = build("pix2pix", Pix2PixOptions(**SMALL))
    second = build("pix2pix", Pix2PixOptions(**SMALL, beta1=0.25))
    seed_step(0, 1)
    first.training_step(batch)
    second.load_state_dict(copy.deepcopy(first.state_dict()), source="test")
    assert {g["betas"] for o in second.optimisers.values() for g in o.param_groups} == {
        (0.25, 0.999)
    }


@pytest.mark.parametrize("name", MODELS)
def test_losses_are_in_fp32_where_networks_are_in_bf16(name, batch, classifier_file):
    seed_step(0, 0)
    compute = Compute(CPU.device, "bf16")
    model = model_class(name)(options_for(name, classifier_file), compute=compute, facts=FACTS)
    losses = model.training_step(batch)
    assert {key: loss.dtype for key, loss in losses.items()} == dict.fromkeys(losses, torch.float32)
    for net in model.networks.values():
        assert {weight.dtype for weight in net.parameters()} == {torch.float32}
