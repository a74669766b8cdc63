"""A teacher in CUT: what it sees in A, where A's targets are, must be there in G(A)."""

from dataclasses import replace

import pytest
import torch

from models.cut_gradcam import CutGradcamModel
from models.gradcam import gradcam
from models.networks.classifiers import AttentionClassifier, ResNet18Classifier
from options.groups import CutGradcamOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.errors import UserError
from util.seeding import seed_step

SMALL = {"ngf": 4, "ndf": 4, "netG": "resnet_4blocks", "netF_nc": 8, "num_patches": 16}


def build(file, facts=None, **flags):
    seed_step(0, 0)
    options = CutGradcamOptions(**SMALL, classifier=str(file), **flags)
    return CutGradcamModel(
        options, compute=Compute(torch.device("cpu")), facts=facts or DataFacts()
    )


@pytest.fixture
def teacher_file(teacher, tmp_path):
    torch.save(teacher.classifier.export(), tmp_path / "teacher.pth")
    return tmp_path / "teacher.pth"


@pytest.fixture
def unpaired(spots):
    """Real frames of 96 pixels with a target of 5; images of B show theirs elsewhere."""
    real = spots(4, size=96, side=5, seed=7)
    other = spots(4, size=96, side=5, seed=9)
    unknown = torch.full_like(real.label, -1)
    return Batch(real.a, other.a, unknown, real.names, real.box_a, other.box_a)


def without_target(batch):
    """The images A, the targets hidden by what lies 20 pixels beside them."""
    made = batch.a.clone()
    for number, (x0, y0, x1, y1) in enumerate(batch.box_a[:, 0].int().tolist()):
        beside = -20 if x1 + 22 > made.shape[-1] else 20
        rows = slice(max(0, y0 - 2), y1 + 2)
        source = made[number, :, rows, max(0, x0 - 2) + beside : x1 + 2 + beside].clone()
        made[number, :, rows, max(0, x0 - 2) : x1 + 2] = source
    return made


@pytest.mark.parametrize("boxed", [True, False], ids=["windows", "whole frames"])
def test_the_term_is_small_for_what_keeps_the_target_and_large_for_what_loses_it(
    unpaired, teacher_file, boxed
):
    model = build(teacher_file)
    batch = unpaired if boxed else replace(unpaired, box_a=None, box_b=None)

    def loss(fake):
        with torch.no_grad():
            return sum(model.semantic_terms(fake, batch).values()).item()

    assert loss(batch.a) == pytest.approx(0, abs=1e-5)
    kept, lost = loss(0.6 * batch.a - 0.1), loss(without_target(unpaired))
    assert lost > 10 * kept and lost > 0.5


def test_the_term_alone_trains_the_generator_and_spares_the_teacher(unpaired, teacher_file):
    flags = {"lambda_GAN": 0.0, "lambda_NCE": 0.0}
    model = build(teacher_file, **flags)
    teacher = model.feedback.classifier
    frozen = {key: value.clone() for key, value in teacher.state_dict().items()}
    before = [weight.clone() for weight in model.generator.parameters()]
    losses = model.training_step(unpaired)
    assert losses["G"] == losses["G_CAM"] + losses["G_class"] > 0
    after = list(model.generator.parameters())
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert all(torch.equal(frozen[k], v) for k, v in teacher.state_dict().items())


def test_its_samples_show_where_the_teacher_looks(unpaired, teacher_file):
    model = build(teacher_file)
    shown = model.samples(unpaired)
    wanted, label = gradcam(model.feedback.classifier, unpaired.a)
    found, _ = gradcam(model.feedback.classifier, shown["fake_B"], label)
    torch.testing.assert_close(shown["attention_real_A"], 2 * wanted - 1)
    torch.testing.assert_close(shown["attention_fake_B"], 2 * found - 1)


def test_boxes_are_read_for_a_teacher_that_attends(tmp_path):
    for kind, wanted in ((ResNet18Classifier, False), (AttentionClassifier, True)):
        torch.save(kind(classes=("a", "b")).export(), tmp_path / "c.pth")
        options = CutGradcamOptions(classifier=str(tmp_path / "c.pth"))
        assert CutGradcamModel.reads_boxes(options) == wanted
        assert CutGradcamModel.flag_of_boxes(options) is None


def test_the_teacher_takes_the_file_values_of_a(tmp_path):
    classifier = ResNet18Classifier(classes=("BMP2", "T72"), value_range=(5000.0, 9000.0))
    torch.save(classifier.export(), tmp_path / "counts.pth")
    counts, grey = (5600.0, 16800.0), (0.0, 255.0)
    facts = DataFacts(source_range=counts, source_type="uint16", value_range=grey)
    model = build(tmp_path / "counts.pth", facts)
    assert model.feedback.classifier.value_range == counts
    with pytest.raises(UserError, match="from 5000 to 9000, and those of A run from 0 to 255"):
        build(tmp_path / "counts.pth", DataFacts(source_range=grey, source_type="uint16"))
    with pytest.raises(UserError, match="knows uint16 images, and those of A are uint8; train a"):
        build(tmp_path / "counts.pth", DataFacts(source_range=counts, value_type="uint16"))
