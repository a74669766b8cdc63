"""Which inputs the report shows, and what of each set."""

import json

import numpy as np
import pytest
import torch

from data.images import read_image, write_image
from data.label_index import LabelIndex
from metrics.instruments import Instruments
from metrics.judge import Judge
from metrics.measured_sets import Evaluation
from metrics.report.scenes import EXAMPLES, WORST, coloured, find_scenes, overlay
from metrics.sets import find_results, find_set
from models.networks.classifiers import ResNet18Classifier

SIZE = (48, 40)
RAMP = np.tile(np.arange(SIZE[1]) * 6, (SIZE[0], 1))
KINDS = {"real_A": np.full(SIZE, 80), "fake_B": RAMP, "real_B": 240 - RAMP}


def write_results(folder, names, *, dtypes=None, **kinds):
    """Results made here: real_A is flat, fake_B a ramp and real_B its negative, or as given."""
    for place, name in enumerate(names):
        for kind, image in (KINDS | kinds).items():
            dtype = (dtypes or {}).get(kind, np.uint8)
            write_image(folder / kind / f"{name}.png", (image + place).astype(dtype))
    return folder


def measured(*folders, **instruments):
    evaluation = Evaluation(Instruments(torch.device("cpu"), **instruments), None)
    return [evaluation.measure(find_results(folder, name=folder.name)) for folder in folders]


def shown(scene):
    """Name of each strip -> its image."""
    return {strip.name: strip.image.pixels for strip in scene.strips}


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


def test_more_is_red_less_is_blue_and_nothing_is_neither():
    (none, more, less, most, beyond), _ = coloured(np.array([[0, 0.03, -0.03, 0.125, 1]] * 2))
    assert none.min() > 230
    assert more[0] > more[2] and less[2] > less[0]
    assert np.array_equal(most, beyond) and most[1] < more[1]


def test_scenes_are_spread_evenly_over_a_set(tmp_path):
    scenes = find_scenes(measured(write_results(tmp_path / "x", "abcdefgh")))
    assert [scene.name for scene in scenes[:EXAMPLES]] == list("aceg")
    images = shown(scenes[1])
    assert list(images) == ["source", "x", "target"]
    assert (images["source"] == 82).all()
    assert np.array_equal(images["x"][0], RAMP[0] + 2)


def test_sets_of_one_input_stand_side_by_side(tmp_path):
    """The same names with other sources and targets are another input."""
    one = write_results(tmp_path / "one", "abc")
    two = write_results(tmp_path / "two", "bcd", fake_B=RAMP + 9)
    for name in "bc":  # of the same source and target as in the first set
        for kind in ("real_A", "real_B"):
            image = read_image(one / kind / f"{name}.png")
            write_image(two / kind / f"{name}.png", image)
    other = write_results(tmp_path / "other", "bc", real_A=KINDS["real_A"] + 50, real_B=RAMP + 7)
    scenes = find_scenes(measured(one, two, other))
    found = [(scene.name, list(shown(scene))) for scene in scenes]
    assert found == [
        ("b", ["source", "one", "two", "target"]),
        ("c", ["source", "one", "two", "target"]),
        ("b", ["source", "other", "target"]),
        ("c", ["source", "other", "target"]),
    ]
    assert (shown(scenes[2])["source"] == 130).all()


def test_images_without_a_source_stand_beside_those_of_the_same_target(tmp_path):
    results = write_results(tmp_path / "results", "ab")
    evaluation = Evaluation(Instruments(torch.device("cpu")), None)
    folders = [str(results / kind) for kind in ("real_A", "real_B")]
    sets = [find_set(["simulator", *folders]), find_results(results, name="ours")]
    scenes = find_scenes([evaluation.measure(images) for images in sets])
    assert [list(shown(s)) for s in scenes] == [["source", "simulator", "ours", "target"]] * 2


def spoil(folder, name, size):
    """Noise over part of a translation that is otherwise its target."""
    image = read_image(folder / "real_B" / f"{name}.png").copy()
    image[:, :size] = np.random.default_rng(0).integers(0, 256, image[:, :size].shape)
    write_image(folder / "fake_B" / f"{name}.png", image)


def test_the_images_least_like_their_targets_are_shown_with_their_figures(tmp_path):
    results = write_results(tmp_path / "x", "abcdefghijkl")
    for place, name in enumerate("lkjihgfedcba"):
        spoil(results, name, 3 * place)
    (row,) = measured(results)
    scenes = find_scenes([row])
    # Evenly, then the worst that are not there yet.
    assert [scene.name for scene in scenes] == [*"adgj", *"bc"]
    lowest = "among the lowest SSIM of x"
    notes = {scene.name: scene.note for scene in scenes}
    assert notes == {**dict.fromkeys("gj", ""), **dict.fromkeys("abcd", lowest)}
    ssim = {v.name: v.values["fake_B_vs_real_B"]["ssim"] for v in row.values}
    for scene in scenes:
        (strip,) = (strip for strip in scene.strips if strip.of_set)
        assert f"SSIM {ssim[scene.name]:.4f}" in strip.facts


def test_each_of_several_sets_shows_its_worst(tmp_path):
    folders = [write_results(tmp_path / name, "abcdefgh") for name in ("one", "two")]
    for folder, names in zip(folders, ("bd", "fh"), strict=True):
        for name in "abcdefgh":
            spoil(folder, name, 40 if name in names else 3)
    scenes = find_scenes(measured(*folders))
    notes = {scene.name: scene.note for scene in scenes}
    assert list(notes) == [*"aceg", *"bdfh"]
    assert [notes[name] for name in "bdfh"] == [
        f"among the lowest SSIM of {name}" for name in ("one", "one", "two", "two")
    ]


def test_attention_tells_the_worst_where_there_is_a_judge(tmp_path, judge):
    rows = measured(write_results(tmp_path / "x", "abcdefgh"), judge=judge)
    gcss = {v.name: v.values["fake_B_vs_real_B"]["gcss"] for v in rows[0].values}
    lowest = sorted(gcss, key=gcss.get)[:WORST]
    assert {s.name for s in find_scenes(rows) if "GCSS" in s.note} == set(lowest)


def test_few_images_are_shown_as_they_are(tmp_path):
    scenes = find_scenes(measured(write_results(tmp_path / "x", "abcd")))
    assert [(scene.name, scene.note) for scene in scenes] == [(name, "") for name in "abcd"]


def test_attention_is_of_the_class_predicted_on_the_target(tmp_path, judge):
    scenes = find_scenes(measured(write_results(tmp_path / "x", "ab"), judge=judge))
    target = torch.from_numpy((240 - RAMP) / 127.5 - 1)
    label = int(judge.classifier(target.float()[None, None]).argmax())
    name = judge.classifier.classes[label]
    captions = [strip.attention.caption for strip in scenes[0].strips]
    assert captions == [f"attention: {name}"] * 3


@pytest.mark.parametrize(("dtype", "kind"), [(np.uint8, "real_A"), (np.uint16, "fake_B")])
def test_attention_is_not_of_the_class_of_a_random_target(tmp_path, judge, dtype, kind):
    """But of that of the source, or where this is of another type, of the translation."""
    kinds = {k: np.full(SIZE, 40) for k in KINDS} | {kind: RAMP}
    results = write_results(tmp_path / "x", "ab", dtypes={"real_A": dtype}, **kinds)
    (results / "result.json").write_text(json.dumps({"paired": False}))
    pair = torch.from_numpy(np.stack([kinds["real_B"], RAMP])[:, None] / 127.5 - 1).float()
    first, second = judge.classifier(pair).T
    judge.classifier.net.fc.bias[1] += (first - second).mean()  # so that the two are told apart
    other, expected = judge.classifier(pair).argmax(dim=1).tolist()
    assert other != expected
    rows = measured(results, judge=judge)
    captions = {s.attention.caption for s in find_scenes(rows)[0].strips if s.attention}
    assert captions == {f"attention: {'ab'[expected]}"}
    maps = rows[0].values[0].attention
    assert maps.keys() == ({"real_A", "real_B"} if kind == "real_A" else {"fake_B", "real_B"})


def test_the_difference_is_to_the_target_where_that_is_its_own(tmp_path):
    results = write_results(tmp_path / "x", "ab", fake_B=KINDS["real_B"] + 4)
    (scene, _) = find_scenes(measured(results))
    source, ours, target = scene.strips
    assert source.difference is target.difference is None
    assert ours.difference.caption == "less the target"
    expected = coloured(np.full(SIZE, 4 / 255))
    assert np.abs(ours.difference.pixels.astype(int) - expected).max() <= 1


def test_a_constant_step_from_the_source_is_no_difference(tmp_path):
    results = write_results(tmp_path / "x", "ab", fake_B=KINDS["real_A"] + 60)
    (results / "result.json").write_text(json.dumps({"paired": False}))
    (_, ours, _), _ = (scene.strips for scene in find_scenes(measured(results)))
    np.testing.assert_array_equal(ours.difference.pixels, coloured(np.zeros(SIZE)))


def test_a_random_target_is_told_for_what_it_is(tmp_path):
    results = write_results(tmp_path / "x", "ab")
    (results / "result.json").write_text(json.dumps({"paired": False}))
    labels = tmp_path / "labels.csv"
    labels.write_text("file,box_x,box_y,box_w,box_h\na.png,10,12,20,24\n")
    scene, _ = find_scenes(measured(results, labels=LabelIndex([labels])))
    source, ours, real = scene.strips
    assert (real.name, real.boxes, ours.facts) == ("a real image", (), ())
    assert ours.difference.caption == "less the source and the median"
    assert source.boxes == ours.boxes == [(0.25, 0.25, 0.75, 0.75)]


def test_a_source_of_another_depth_is_shown_by_its_own_values(tmp_path, judge):
    dtypes = {"real_A": np.uint8, "fake_B": np.uint16, "real_B": np.uint16}
    rows = measured(write_results(tmp_path / "x", "ab", dtypes=dtypes), judge=judge)
    source, ours, _ = find_scenes(rows)[0].strips
    assert all(image.dtype == np.uint8 for image in (source.image.pixels, ours.image.pixels))
    # 16-bit counts of 0..247 span the whole preview: the range of the real images.
    assert ours.image.pixels.max() > 230
    assert source.attention is None and ours.attention is not None
