"""Examples and curves of measured sets."""

import numpy as np
import pytest
import torch

from data.images import read_image, write_image
from metrics.instruments import Instruments
from metrics.judge import Judge
from metrics.measured_sets import Evaluation
from metrics.report.strips import EXAMPLES, WORST, overlay, reference_view, set_views
from metrics.sets import find_results
from models.networks.classifiers import ResNet18Classifier

SIZE = (48, 40)


def measured(folder, *, judge=None, dtypes=None, names="abcdefgh"):
    """One row of results made here; real_A is flat, fake_B a ramp and real_B its negative."""
    ramp = np.tile(np.arange(SIZE[1]) * 6, (SIZE[0], 1))
    kinds = {"real_A": np.full(SIZE, 80), "fake_B": ramp, "real_B": 240 - ramp}
    for place, name in enumerate(names):
        for kind, image in kinds.items():
            dtype = (dtypes or {}).get(kind, np.uint8)
            write_image(folder / kind / f"{name}.png", (image + place).astype(dtype))
    evaluation = Evaluation(Instruments(torch.device("cpu"), judge=judge), None)
    return [evaluation.measure(find_results(folder))], evaluation


@pytest.fixture
def judge():
    torch.manual_seed(0)
    return Judge(ResNet18Classifier(classes=("a", "b")).requires_grad_(False).eval())


def test_no_attention_leaves_the_image_grey_and_full_attention_colours_it():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    attention = np.zeros((3, 4))
    assert np.array_equal(overlay(image, attention), np.stack([image] * 3, axis=2))
    attention[1, 2] = 1
    shown = overlay(image, attention)
    changed = (shown != image[..., None]).any(axis=2)
    assert changed.sum() == 1 and changed[1, 2]
    assert shown[1, 2, 0] > shown[1, 2, 2]  # yellow: more red than blue


def test_examples_show_the_files_evenly_over_the_set(tmp_path):
    rows, _ = measured(tmp_path)
    (view,) = set_views(rows)
    assert [e.name for e in view.examples[:EXAMPLES]] == list("aceg")
    images = dict(view.examples[1].images)
    assert list(images) == ["source", "result", "target"]
    assert (images["source"] == 82).all()
    assert np.array_equal(images["result"][0], np.arange(SIZE[1]) * 6 + 2)


def spoil(folder, name, size):
    """Noise over part of a translation that is otherwise its target."""
    image = read_image(folder / "real_B" / f"{name}.png").copy()
    image[:, :size] = np.random.default_rng(0).integers(0, 256, image[:, :size].shape)
    write_image(folder / "fake_B" / f"{name}.png", image)


def test_the_images_least_like_their_targets_are_shown_with_their_figures(tmp_path):
    measured(tmp_path, names="abcdefghijkl")
    for place, name in enumerate("lkjihgfedcba"):
        spoil(tmp_path, name, 3 * place)
    evaluation = Evaluation(Instruments(torch.device("cpu")), None)
    row = evaluation.measure(find_results(tmp_path))
    (view,) = set_views([row])
    # Evenly, then the worst that are not there yet.
    assert [e.name for e in view.examples] == [*"adgj", *"bc"]
    ssim = {v.name: v.values["fake_B_vs_real_B"]["ssim"] for v in row.values}
    notes = {e.name: e.note for e in view.examples}
    assert notes == {
        **dict.fromkeys("gj", ""),
        **{name: f"among the lowest SSIM: {ssim[name]:.3f}" for name in "abcd"},
    }


def test_attention_tells_the_worst_where_there_is_a_judge(tmp_path, judge):
    rows, _ = measured(tmp_path, judge=judge)
    gcss = {v.name: v.values["fake_B_vs_real_B"]["gcss"] for v in rows[0].values}
    (view,) = set_views(rows)
    lowest = sorted(gcss, key=gcss.get)[:WORST]
    assert {e.name for e in view.examples if "GCSS" in e.note} == set(lowest)


def test_few_images_are_shown_as_they_are(tmp_path):
    rows, _ = measured(tmp_path, names="abcd")
    (view,) = set_views(rows)
    assert [(e.name, e.note) for e in view.examples] == [(name, "") for name in "abcd"]


def test_both_attentions_are_of_the_class_predicted_on_the_target(tmp_path, judge):
    rows, _ = measured(tmp_path, judge=judge)
    (view,) = set_views(rows)
    captions = [caption for caption, _ in view.examples[0].images]
    target = torch.from_numpy(np.tile(240 - np.arange(SIZE[1]) * 6, (SIZE[0], 1)) / 127.5 - 1)
    label = int(judge.classifier(target.float()[None, None]).argmax())
    name = judge.classifier.classes[label]
    assert captions[3:] == [f"attention on result ({name})", f"attention on target ({name})"]
    assert view.features.shape == (8, 512)


def test_a_source_of_another_depth_is_shown_by_its_own_values(tmp_path):
    rows, _ = measured(
        tmp_path, dtypes={"real_A": np.uint8, "fake_B": np.uint16, "real_B": np.uint16}
    )
    (view,) = set_views(rows)
    images = dict(view.examples[0].images)
    assert all(image.dtype == np.uint8 for image in images.values())
    # 16-bit counts of 0..247 span the whole preview: the range of the real images.
    assert images["result"].max() > 230


def test_curves_and_values_are_those_that_were_measured(tmp_path):
    rows, evaluation = measured(tmp_path)
    (view,) = set_views(rows)
    reference = reference_view(evaluation.reference(rows), rows)
    assert np.allclose(
        view.values["fake_B_vs_real_B_psnr"],
        [value.values["fake_B_vs_real_B"]["psnr"] for value in rows[0].values],
    )
    assert view.histogram.sum() == reference.histogram.sum() == 8 * SIZE[0] * SIZE[1]
    assert view.spectrum.shape == view.frequencies.shape
    assert reference.values.keys() == {"noise"} and not reference.examples
    assert view.features is None
