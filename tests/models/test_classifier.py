"""A training step of the networks of --netC that learn from windows and chips."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from models.classifier import RECIPES, ClassifierModel
from models.networks.classifiers import CLASSIFIERS
from models.targets import cell_shares
from options.groups import ClassifierOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.errors import UserError
from util.seeding import seed_step

FACTS = DataFacts(classes=("BMP2", "T72"), class_counts=(3, 1), view="window", balanced=True)
NONE = [torch.nan] * 4


@pytest.fixture
def batch():
    """Windows of 64 pixels, 8 x 8 cells; the last shows no box."""
    windows = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(5)) * 2 - 1
    boxes = torch.tensor([[[0, 8.0, 16, 16]], [[4.0, 40, 12, 48]], [NONE]])
    return Batch(windows, None, torch.tensor([0, 1, 1]), ("x", "y", "z"), box_a=boxes)


def build(netC, precision="fp32", facts=FACTS, **flags):
    seed_step(0, 0)
    options = ClassifierOptions(netC=netC, lr=1e-3, beta1=0.9, **flags)
    compute = Compute(torch.device("cpu"), precision)
    return ClassifierModel(options, compute=compute, facts=facts)


def test_every_network_has_a_recipe():
    assert RECIPES.keys() == CLASSIFIERS.keys()


def test_a_step_of_the_attention_network(batch):
    """Smoothed cross-entropy, and the surprise of the target's place at the shares, by AdamW."""
    model = build("attention")
    net, weights = copy.deepcopy(model.classifier), dict(model.classifier.net.named_parameters())
    scores, log_shares = net.train().learn(batch.a)
    of_labels = torch.tensor([[0.95, 0.05], [0.05, 0.95], [0.05, 0.95]])
    surprise = -(of_labels * scores.log_softmax(dim=1)).sum(dim=1).mean()
    first = -log_shares[0, 1, :2].mean() - torch.tensor(2.0).log()
    second = -log_shares[1, 5, :2].mean() - torch.tensor(2.0).log()
    attention = (first + second) / 2
    (surprise + attention).backward()
    adamw = torch.optim.AdamW(net.net.parameters(), lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05)
    adamw.step()
    losses = model.training_step(batch)
    assert losses["cross_entropy"].item() == pytest.approx(surprise.item(), rel=1e-5)
    assert losses["attention"].item() == pytest.approx(attention.item(), rel=1e-5)
    for name, expected in net.net.named_parameters():
        torch.testing.assert_close(weights[name], expected, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("netC", [name for name in CLASSIFIERS if name != "resnet18"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_state_goes_round_and_the_next_steps_are_equal(batch, netC, precision):
    first, second = build(netC, precision), build(netC, precision)
    for step in (1, 2):
        first.set_rate(step / 2)
        first.training_step(batch)
    second.load_state_dict(copy.deepcopy(first.state_dict()), source="test")
    losses = []
    for model in (first, second):
        seed_step(0, 3)
        losses.append(model.training_step(batch))
        assert model.take_finite() and model.is_finite()
    assert losses[0] == losses[1]
    ends = [model.classifier.net.state_dict() for model in (first, second)]
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def test_attention_finds_and_names_what_it_has_been_shown(teacher, spots):
    """A bright or dark spot anywhere in noise."""
    windows = spots(16, size=64, side=12, seed=1)
    classifier = teacher.classifier.eval()
    with torch.no_grad():
        scores, log_shares = classifier.learn(windows.a)
    assert (scores.argmax(dim=1) == windows.label).float().mean() > 0.9
    target = cell_shares(windows.box_a, (8, 8), (64, 64))
    in_box = (log_shares.exp() * (target > 0)).sum(dim=(1, 2))
    assert in_box.mean() > 0.8  # of 64 cells, at most 9


def test_the_file_tells_how_images_were_shown():
    scale = {"side": 60.0, "by_range": True}
    exported = build("attention", facts=replace(FACTS, view="chip", chip_scale=scale)).exports()
    found = exported["classifier"]
    assert (found["netC"], found["view"], found["chip_scale"]) == ("attention", "chip", scale)


def test_imagenet_weights_are_resnets(tmp_path):
    with pytest.raises(UserError, match="--imagenet_weights is for --netC resnet18, not for atten"):
        build("attention", imagenet_weights=str(tmp_path / "resnet18.pth"))


def test_other_networks_than_the_published_one_need_boxes():
    assert ClassifierModel.flag_of_boxes(ClassifierOptions()) is None
    needed = ClassifierModel.flag_of_boxes(ClassifierOptions(netC="attention"))
    assert needed == "--netC attention"


def test_cross_entropy_is_weighted_where_batches_are_not_balanced(batch):
    model = build("resnet18", facts=replace(FACTS, balanced=False))
    scores = copy.deepcopy(model.classifier).train().learn(batch.a)[0]
    expected = F.cross_entropy(scores, batch.label, weight=torch.tensor([1 / 3, 1.0]))
    torch.testing.assert_close(model.training_step(batch)["cross_entropy"], expected.detach())
