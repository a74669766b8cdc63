"""What a teacher that attends tells a generator: where to look, and what is there."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from metrics.boxes import largest
from models.gradcam import gradcam
from models.networks.classifiers import AttentionClassifier, ResNet18Classifier
from models.networks.classifiers.attention import cut_windows
from models.pix2pix_gradcam import Pix2PixGradcamModel
from options.groups import Pix2PixGradcamOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.errors import UserError
from util.seeding import seed_step

NONE = [torch.nan] * 4
SMALL = {"ngf": 4, "ndf": 4, "netG": "resnet_4blocks"}


def build(file, facts=None, **flags):
    seed_step(0, 0)
    options = Pix2PixGradcamOptions(**SMALL, classifier=str(file), **flags)
    facts = facts or DataFacts(classes=("bright", "dark"), class_counts=(1, 1))
    return Pix2PixGradcamModel(options, compute=Compute(torch.device("cpu")), facts=facts)


@pytest.fixture
def teacher_file(teacher, tmp_path):
    torch.save(teacher.classifier.export(), tmp_path / "teacher.pth")
    return tmp_path / "teacher.pth"


@pytest.fixture
def pairs(spots):
    """Frames of 96 pixels with a target of 5, and sources that show none."""
    real = spots(4, size=96, side=5, seed=7)
    source = 0.1 * torch.randn(4, 1, 96, 96, generator=torch.Generator().manual_seed(8))
    return Batch(source, real.a, 1 - real.label, real.names, real.box_a, real.box_a)


def pasted(images, sources, boxes):
    """The pixels of the boxes, grown by 2, from other images."""
    made = images.clone()
    for number, (x0, y0, x1, y1) in enumerate(boxes[:, 0].int().tolist()):
        rows, columns = slice(max(0, y0 - 2), y1 + 2), slice(max(0, x0 - 2), x1 + 2)
        made[number, :, rows, columns] = sources[number, :, rows, columns]
    return made


@pytest.mark.parametrize("boxed", [True, False], ids=["windows", "whole frames"])
def test_the_loss_falls_with_the_real_target_and_rises_with_one_of_the_other_class(
    pairs, teacher_file, boxed
):
    model = build(teacher_file)
    batch = pairs if boxed else replace(pairs, box_a=None, box_b=None)

    def loss(fake):
        with torch.no_grad():
            return sum(model.semantic_terms(fake, batch).values())

    without = loss(pairs.a)
    assert loss(pasted(pairs.a, pairs.b, pairs.box_b)) < 0.5 * without
    assert loss(pasted(pairs.a, -pairs.b, pairs.box_b)) > 1.5 * without


@pytest.mark.parametrize("target", ["predicted", "label"])
def test_windows_are_compared_by_their_maps_and_by_what_is_named(pairs, teacher_file, target):
    """Both written out: at the box, enlarged, of the class seen in B or known."""
    model = build(teacher_file, cam_target=target, lambda_gradcam=2.0)
    places = (pairs.box_b[:, 0, :2] + pairs.box_b[:, 0, 2:]) / 2
    net, found = model.feedback.classifier, []
    for images in (pairs.b, pairs.a):
        windows = cut_windows(images, places, side=48)
        windows = F.interpolate(windows, size=(128, 128), mode="bilinear")
        centred = windows - windows.mean(dim=(2, 3), keepdim=True)
        *_, features = net.net.stages(centred / centred.std(dim=(2, 3), correction=0, keepdim=True))
        found.append(features.requires_grad_())
    scores = [net.head(features) for features in found]
    label = scores[0].argmax(dim=1)
    if target == "label":  # the data's order of classes is not the teacher's
        label = 1 - pairs.label
    maps = []
    for features, of in zip(found, scores, strict=True):
        score = of.gather(1, label[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, features, retain_graph=True)
        each = (gradient * features).sum(dim=1).relu()
        low, high = each.amin(dim=(1, 2), keepdim=True), each.amax(dim=(1, 2), keepdim=True)
        maps.append((each - low) / (high - low))
    expected = {
        "G_CAM": 2 * F.mse_loss(*maps),
        "G_class": 2
        * F.kl_div(scores[1].log_softmax(dim=1), scores[0].softmax(dim=1), reduction="batchmean"),
    }
    terms = model.semantic_terms(pairs.a, pairs)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-3, atol=1e-4)


def test_images_without_a_box_are_compared_as_a_whole(pairs, teacher_file):
    model = build(teacher_file)
    boxes = pairs.box_b.clone()
    boxes[1:] = torch.tensor(NONE)
    with torch.no_grad():
        mixed = model.semantic_terms(pairs.a, replace(pairs, box_b=boxes))
        near = model.semantic_terms(pairs.a, pairs)
        alone = [
            model.semantic_terms(pairs.a[part], replace(pairs, b=pairs.b[part], box_b=found))
            for part, found in ((slice(1), boxes[:1]), (slice(1, 4), None))
        ]
    for name, value in mixed.items():
        expected = (alone[0][name] + 3 * alone[1][name]) / 4
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-5)
    assert mixed["G_CAM"] != near["G_CAM"]


def test_the_term_alone_trains_the_generator_and_spares_the_teacher(pairs, teacher_file):
    model = build(teacher_file, lambda_L1=0.0, lambda_GAN=0.0)
    frozen = {key: value.clone() for key, value in model.feedback.classifier.state_dict().items()}
    before = [weight.clone() for weight in model.generator.parameters()]
    losses = model.training_step(pairs)
    assert losses["G_CAM"] > 0 and losses["G_class"] > 0
    after = list(model.generator.parameters())
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert all(torch.equal(frozen[k], v) for k, v in model.feedback.classifier.state_dict().items())
    own = model.semantic_terms(pairs.b, pairs)
    assert all(value.item() == pytest.approx(0, abs=1e-5) for value in own.values())


def test_its_samples_show_where_the_teacher_looks(pairs, teacher_file):
    model = build(teacher_file)
    shown = model.samples(pairs)["attention_real_B"]
    expected, _ = gradcam(model.feedback.classifier, pairs.b)
    torch.testing.assert_close(shown, 2 * expected - 1)


def test_boxes_are_read_for_a_teacher_that_attends(tmp_path):
    for kind, wanted in ((ResNet18Classifier, False), (AttentionClassifier, True)):
        torch.save(kind(classes=("a", "b")).export(), tmp_path / "c.pth")
        options = Pix2PixGradcamOptions(classifier=str(tmp_path / "c.pth"))
        assert Pix2PixGradcamModel.reads_boxes(options) == wanted
    assert not Pix2PixGradcamModel.reads_boxes(Pix2PixGradcamOptions())


def test_a_teacher_of_chips_is_refused(tmp_path):
    chips = ResNet18Classifier(classes=("a", "b"), view="chip").export()
    torch.save(chips, tmp_path / "chips.pth")
    with pytest.raises(UserError, match=r"chips\.pth was trained on chips.*--chip_classifier"):
        build(tmp_path / "chips.pth")


def test_of_several_boxes_the_largest_counts():
    boxes = torch.tensor([[[0.0, 0, 4, 4], [5, 5, 11, 8], NONE], [NONE, NONE, NONE]])
    found = largest(boxes)
    assert found[0].tolist() == [5, 5, 11, 8] and found[1].isnan().all()
