"""A classifier on held-out images: its figures, its baselines, and what becomes of them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from data.build import build_training_datasets
from data.chips import ChipScale
from data.datasets import Domain
from data.images import write_image
from metrics.attention import box_share, energy_in_box
from models import MODEL_OPTIONS
from models.gradcam import gradcam
from models.networks.classifiers import ResNet18Classifier
from options import parse_train
from training.classifier_validation import ClassifierValidation
from training.targets import Targets, read_chips, scale_of
from training.validation import HeldOut
from util.errors import UserError

SIDE = 80  # pixels of a frame


def frame(random, *, upright, length, x, y):
    """Noise, and a bar whose middle is at (x, y), standing or lying; and its box."""
    image = random.integers(90, 110, (SIDE, SIDE))
    width, height = (4, length) if upright else (length, 4)
    left, top = x - width // 2, y - height // 2
    image[top : top + height, left : left + width] = 220
    return image.astype(np.uint8), (left, top, width, height)


@pytest.fixture
def labelled(tmp_path):
    """Lying and standing bars in five recordings, at 1,000 m 16 pixels long and at 2,000 m 8."""
    random, lines = np.random.default_rng(0), ["file,class,group,range_m,box_x,box_y,box_w,box_h"]
    for recording in range(5):
        for upright, name in enumerate(("SUV", "T72")):
            for metres in (1000, 2000):
                for number in range(2):
                    x, y = random.integers(14, SIDE - 14, 2)
                    length = 16000 // metres
                    image, box = frame(random, upright=upright, length=length, x=x, y=y)
                    file = f"{name}/{recording}_{metres}_{number}.png"
                    write_image(tmp_path / file, image)
                    cells = (file, name, f"video{recording}", metres, *box)
                    lines.append(",".join(map(str, cells)))
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def datasets(root, *flags):
    argv = ["--dataroot", str(root), "--model", "classifier", "--load_size", str(SIDE)]
    config = parse_train([*argv, "--num_threads", "0", *flags], MODEL_OPTIONS)
    return build_training_datasets(
        config.data, config.model, seed=0, full_size_after=1, value_maps={}, left_out={}
    )


def without(root, *columns):
    """The same table, these columns empty."""
    head, *rows = [line.split(",") for line in (root / "labels.csv").read_text().splitlines()]
    places = [head.index(name) for name in columns]
    for row in rows:
        for place in places:
            row[place] = ""
    (root / "labels.csv").write_text("\n".join(",".join(row) for row in [head, *rows]) + "\n")


BOX = ("box_x", "box_y", "box_w", "box_h")


@pytest.fixture
def model():
    """Says T72 of every image."""
    torch.manual_seed(0)
    classifier = ResNet18Classifier(classes=("SUV", "T72"))
    with torch.no_grad():
        classifier.net.fc.weight.zero_()
        classifier.net.fc.weight[1] = 0.01
        classifier.net.fc.bias.copy_(torch.tensor([0.0, 1.0]))
    return SimpleNamespace(classifier=classifier, report={})


def validation(model, root, *, batch_size=3):
    learnt, held_out = datasets(root)
    images = HeldOut(held_out, batch_size, num_threads=0, device=torch.device("cpu"))
    return ClassifierValidation(model, images, learnt)


def test_figures_go_out_with_the_model_to_the_folder_and_to_people(model, labelled):
    found = validation(model, labelled)
    assert found.closing_words() == "" and found.documents() == {}
    values = found.measure()
    assert values == {"balanced_accuracy": 0.5} and found.score(values) == 0.5
    report = model.report
    count = len(found.images) // 2
    assert report["confusion"].tolist() == [[0, count], [0, count]]
    plain = json.loads(found.documents()["validation.json"])
    assert plain == report["validation"]
    assert list(plain["rows"]) == ["all", "1,000 m", "2,000 m"]
    assert "does not beat HOG in accuracy" in found.closing_words()
    assert "does not beat HOG in accuracy" in found.documents()["validation.md"]


def test_attention_is_that_of_the_true_class_in_the_box_of_the_table(model, labelled):
    """In eval mode, whatever the batches; and the classifier is left in its own."""
    found = validation(model, labelled)
    model.classifier.train()
    found.measure()
    assert model.classifier.training
    model.classifier.eval()
    expected = []
    for batch in validation(model, labelled, batch_size=1).images:
        maps, _ = gradcam(model.classifier, batch.a, batch.label)
        boxes = batch.box_a[:, 0]
        expected.append((energy_in_box(maps, boxes) / box_share(boxes, (SIDE, SIDE))).item())
    own = found.report.rows[0].figures["classifier"]["over_chance"]
    finite = [value for value in expected if np.isfinite(value)]
    assert own.n == len(finite) and own.mean == pytest.approx(np.mean(finite), rel=1e-3)


def test_both_baselines_see_the_bars(model, labelled):
    found = validation(model, labelled)
    found.measure()
    hog, dog = (found.report.rows[0].figures[name] for name in ("HOG", "DoG"))
    assert hog["accuracy"].mean == 1
    assert dog["pointing"].mean == 1 and dog["over_chance"].mean > 10


@pytest.mark.parametrize("columns", [("range_m",), BOX, ("range_m", *BOX, "group")])
def test_what_the_table_does_not_tell_is_left_out(model, labelled, columns):
    without(labelled, *columns)
    found = validation(model, labelled)
    found.measure()
    first = found.report.rows[0]
    assert len(found.report.rows) == (1 if "range_m" in columns else 3)
    assert first.figures["classifier"]["accuracy"].mean == 0.5
    assert "accuracy" in first.figures["HOG"]
    boxless = any("no image has a box" in note for note in found.report.notes)
    assert boxless == ("box_x" in columns) == (first.figures["DoG"]["pointing"].n == 0)


def test_a_chip_shows_the_square_about_the_target_mirrored_beyond_the_edge(tmp_path):
    ramp = np.tile(np.arange(SIDE, dtype=np.uint8), (SIDE, 1))
    lines = ["file,class,box_x,box_y,box_w,box_h"]
    boxes = {"SUV": (38, 20, 4, 10), "T72": (0, 40, 2, 10)}
    for name, box in boxes.items():
        for number in range(2):
            write_image(tmp_path / f"{name}/{number}.png", ramp)
            lines.append(",".join(map(str, (f"{name}/{number}.png", name, *box))))
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    learnt, held_out = datasets(tmp_path)
    table = held_out.selection.boxes
    targets = {dataset: Targets.of(dataset, table) for dataset in (learnt, held_out)}
    scale = scale_of(*targets.values())
    assert scale == ChipScale(side=20.0, by_range=False)
    for dataset, known in targets.items():
        chips = read_chips(dataset, known, range(len(dataset)), scale)
        for chip, label in zip(chips, dataset.labels, strict=True):
            row = (chip[0, 0] + 1) * 127.5
            assert chip.shape == (1, 96, 96)
            # The second box has its middle 9 pixels from where the chip begins, beyond the edge.
            ends = (30, 49) if dataset.classes[label] == "SUV" else (8, 10)
            assert (row[0].item(), row[-1].item()) == pytest.approx(ends, abs=0.6)
            assert row.min().item() == pytest.approx(0 if ends[0] == 8 else 30, abs=0.6)


def test_hog_reads_no_more_images_than_it_is_fitted_to(model, labelled, monkeypatch):
    monkeypatch.setattr("training.classifier_validation.FITTED", 8)
    found = validation(model, labelled)
    read, plainly = [], Domain.read

    def counted(domain, index):
        read.append(domain)
        return plainly(domain, index)

    monkeypatch.setattr(Domain, "read", counted)
    found.measure()
    assert sum(domain is found.learnt.domains["A"] for domain in read) == 8
    assert found.report.rows[0].figures["HOG"]["accuracy"].n == len(found.images)


@pytest.mark.parametrize("row", range(1, 41, 13))
def test_a_box_beyond_the_image_is_named_before_training(model, labelled, row):
    table = labelled / "labels.csv"
    lines = table.read_text().splitlines()
    lines[row] = ",".join([*lines[row].split(",")[:4], "900", "5", "4", "4"])
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=rf"labels\.csv.* line {row + 1}.*outside the 80×80"):
        validation(model, labelled)


def test_in_chips_nobody_looks_for_the_target(model, labelled):
    """It is in the middle of each."""
    learnt, held_out = datasets(labelled, "--view", "chip")
    images = HeldOut(held_out, 3, num_threads=0, device=torch.device("cpu"))
    found = ClassifierValidation(model, images, learnt)
    assert found.measure() == {"balanced_accuracy": 0.5}
    figures = found.report.rows[0].figures
    assert figures.keys() == {"classifier", "HOG"} and "pointing" not in figures["classifier"]
    assert "pointing" not in found.closing_words()
