"""Validation while a model trains: known answers, what is compared, which epoch counts as best."""

import math
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from data.build import build_validation_datasets
from data.images import write_image
from metrics.distribution import kid
from models import MODEL_OPTIONS
from models.gradcam import gradcam
from models.networks.classifiers import ResNet18Classifier
from options import parse_train
from training.validation import (
    Best,
    HeldOut,
    PairedValidation,
    UnpairedValidation,
    build_validation,
    load_judge,
)
from util.batch import Batch, DataFacts
from util.errors import UserError

CPU = torch.device("cpu")


class Prepared(list):
    """A dataset of images (a, b) that need no preparation."""

    strata = None

    def collect(self, keys):
        a, b = zip(*(self[index] for _, index in keys), strict=True)
        targets = None if b[0] is None else torch.stack(b)
        names = tuple(str(index) for _, index in keys)
        return Batch(torch.stack(a), targets, torch.full((len(a),), -1), names)

    def prepare(self, batch):
        return batch


def images(count, seed, *, bands=1, side=40):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, bands, side, side, generator=generator) * 2 - 1


def held_out(a, b=None, *, batch_size=2):
    partners = [None] * len(a) if b is None else b
    samples = Prepared(zip(a, partners, strict=True))
    return HeldOut(samples, batch_size, num_threads=0, device=CPU)


@pytest.fixture
def judge():
    torch.manual_seed(0)
    return ResNet18Classifier(classes=("BMP2", "T72")).requires_grad_(False).eval()


def same(image, boxes=None):
    return image


def test_a_perfect_translation_of_pairs_scores_one(judge):
    b = images(3, 1)
    validation = PairedValidation(same, held_out(b, b), judge=judge)
    values = validation.measure()
    assert values == pytest.approx({"ssim": 1.0, "gcss": 1.0})
    assert validation.score(values) == pytest.approx(1.0)


@pytest.mark.parametrize("bands", [1, 3])
def test_ssim_is_the_mean_over_images_whatever_the_batches(bands):
    a, b = images(3, 1, bands=bands), images(3, 2, bands=bands)
    b[2] = a[2]  # alone in its batch: a mean over batches would weigh it twice
    single = [
        structural_similarity(x.numpy(), y.numpy(), data_range=2.0, channel_axis=0)
        for x, y in zip(a.double(), b.double(), strict=True)
    ]
    validation = PairedValidation(same, held_out(a, b))
    values = validation.measure()
    assert values == pytest.approx({"ssim": np.mean(single)}, abs=1e-6)
    assert validation.score(values) == values["ssim"]


def test_the_score_of_pairs_is_the_mean_of_both_figures(judge):
    validation = PairedValidation(same, held_out(images(1, 1), images(1, 2)), judge=judge)
    assert validation.score({"ssim": 0.8, "gcss": 0.4}) == pytest.approx(0.6)


def test_where_no_figure_is_a_number_the_epoch_is_not_the_best(judge):
    validation = PairedValidation(lambda a, _: a * math.nan, held_out(images(1, 1), images(1, 2)))
    values = validation.measure()
    assert math.isnan(values["ssim"]) and math.isnan(validation.score(values))
    assert not Best().offer(1, values, validation.score(values))


def test_where_the_judge_sees_nothing_ssim_alone_is_the_score(judge):
    """Below 33 pixels a side layer4 has one position, and every map is empty."""
    a, b = images(2, 1, side=32), images(2, 2, side=32)
    validation = PairedValidation(same, held_out(a, b), judge=judge)
    values = validation.measure()
    assert math.isnan(values["gcss"])
    assert validation.score(values) == values["ssim"]


def test_attention_is_compared_for_the_class_seen_in_b(judge):
    a, b = images(1, 1, side=96), images(1, 2, side=96)
    real, label = gradcam(judge, b)
    # The other class wins on the translation.
    with torch.no_grad():
        fake_features, real_features = (judge.features(x).mean(dim=(2, 3))[0] for x in (a, b))
        between = (fake_features + real_features) / 2
        direction = real_features - fake_features
        judge.net.fc.weight[0], judge.net.fc.weight[1] = direction, -direction
        judge.net.fc.bias[0], judge.net.fc.bias[1] = -direction @ between, direction @ between
    real, label = gradcam(judge, b)
    fake, own_label = gradcam(judge, a)
    assert label != own_label
    wanted, _ = gradcam(judge, a, label)
    expected, misled = (
        structural_similarity(x[0, 0].double().numpy(), real[0, 0].double().numpy(), data_range=1.0)
        for x in (wanted, fake)
    )
    values = PairedValidation(same, held_out(a, b), judge=judge).measure()
    assert values["gcss"] == pytest.approx(expected, abs=1e-6)
    assert abs(expected - misled) > 1e-3


def test_kid_is_near_zero_for_the_same_images_and_grows_with_a_shift(judge):
    b = images(12, 1)
    values = {}
    for shift in (0.0, 0.5, 1.0):
        validation = UnpairedValidation(
            lambda x, _, shift=shift: x + shift, held_out(b), held_out(b), judge=judge
        )
        values[shift] = validation.measure()["kid_mwir"]
        assert validation.score({"kid_mwir": values[shift]}) == -values[shift]
    assert abs(values[0.0]) < 0.05 * values[1.0]
    assert values[0.0] < values[0.5] < values[1.0]


def test_kid_is_that_of_pooled_features_of_all_images_of_both_sets(judge):
    a, b = images(9, 1), images(5, 2)
    validation = UnpairedValidation(lambda a, _: -a, held_out(a), held_out(b), judge=judge)
    fakes, reals = (judge.features(x).mean(dim=(2, 3)).numpy() for x in (-a, b))
    assert fakes.shape == (9, 512)
    expected = pytest.approx({"kid_mwir": kid(fakes, reals).mean}, rel=1e-3)
    assert validation.measure() == expected
    assert validation.measure() == expected


def test_pairs_below_the_window_of_ssim_are_refused_before_training(tmp_path):
    for letter in "AB":
        write_image(tmp_path / f"val{letter}" / "x.png", np.zeros((6, 40), np.uint8))
    flags = ["--dataroot", str(tmp_path), "--model", "pix2pix", "--preprocess", "none"]
    config = parse_train(flags, MODEL_OPTIONS)
    datasets = build_validation_datasets(
        config.data, config.model, phase="val", seed=0, value_maps={}, left_out={}
    )
    model = SimpleNamespace(device=CPU, translate=same)
    with pytest.raises(UserError, match=r"7 pixels a side, and .*valA/x\.png comes to 40x6"):
        build_validation(model, datasets, config.data, judge_file=None)


def test_unpaired_images_need_a_classifier_and_enough_images(judge):
    with pytest.raises(UserError, match="--val_classifier"):
        UnpairedValidation(same, held_out(images(4, 1)), held_out(images(4, 2)))
    with pytest.raises(UserError, match="5 images of A and 3 of B, and KID needs 4"):
        UnpairedValidation(same, held_out(images(5, 1)), held_out(images(3, 2)), judge=judge)
    enough = held_out(images(4, 1))
    assert math.isfinite(
        UnpairedValidation(same, enough, enough, judge=judge).measure()["kid_mwir"]
    )


def test_held_out_batches_come_in_order_each_time():
    batches = held_out(images(3, 1))
    assert len(batches) == 3
    for _ in range(2):
        assert [batch.names for batch in batches] == [("0", "1"), ("2",)]


def test_only_a_better_epoch_becomes_the_best():
    best = Best()
    offers = [(1, math.nan), (2, -0.5), (3, -0.5), (4, math.nan), (5, -0.7), (6, -0.4)]
    taken = [epoch for epoch, score in offers if best.offer(epoch, {"kid_mwir": -score}, score)]
    assert taken == [2, 6]
    assert (best.epoch, best.score, best.values) == (6, -0.4, {"kid_mwir": 0.4})


def test_scores_of_another_yardstick_are_not_compared(judge):
    best = Best().go_on(phase="val", judge=judge)
    best.offer(4, {"ssim": 0.5}, 0.5)
    again = Best(**asdict(best))
    assert again.go_on(phase="val", judge=judge) == best
    with torch.no_grad():
        judge.net.fc.weight[0, 0] += 1
    for phase, other in (("test", None), ("val", None), ("val", judge)):
        with pytest.raises(UserError, match=r"epoch 4 .*--val_phase or --val_classifier"):
            again.go_on(phase=phase, judge=other)
        assert Best().go_on(phase=phase, judge=other).epoch == 0


def test_the_judge_takes_the_file_values_of_b(tmp_path):
    torch.manual_seed(0)
    trained = ResNet18Classifier(classes=("BMP2", "T72"), value_range=(0.0, 255.0)).eval()
    torch.save(trained.export(), tmp_path / "c.pth")
    counts = torch.randint(100, 200, (2, 1, 40, 40)).float()
    judge = load_judge(tmp_path / "c.pth", DataFacts(value_range=(100.0, 200.0)), device=CPU)
    seen = judge(counts / 50 - 3)
    torch.testing.assert_close(seen, trained(counts / 127.5 - 1), rtol=1e-3, atol=1e-4)
    with pytest.raises(UserError, match=r"knows file values from 0 to 255.* from 1000 to 9000"):
        load_judge(tmp_path / "c.pth", DataFacts(value_range=(1000.0, 9000.0)), device=CPU)
    kelvin = DataFacts(value_range=(10.0, 60.0), value_type="float32 celsius")
    with pytest.raises(UserError, match=r"knows uint8 images, and those of B are float32 celsius"):
        load_judge(tmp_path / "c.pth", kelvin, device=CPU)


def test_a_judge_of_chips_judges_no_whole_images(tmp_path):
    chips = ResNet18Classifier(classes=("a", "b"), view="chip")
    torch.save(chips.export(), tmp_path / "chips.pth")
    with pytest.raises(UserError, match=r"--val_classifier .*chips\.pth was trained on chips"):
        load_judge(tmp_path / "chips.pth", DataFacts(), device=CPU)
