"""Classes kept and retrieval, with judges whose answers are known."""

import numpy as np
import pytest
import torch

from data.chips import ChipScale
from data.label_index import ImageLabel, LabelIndex
from data.tables import read_table
from data.value_map import EIGHT_BIT
from metrics.chip_judging import ChipJudging, chip_scale, found_first
from metrics.judge import Judge
from models.networks.classifiers import ResNet18Classifier

NONE = [float("nan")] * 4


def labels(*names):
    return [ImageLabel(None, "", class_name=name) if name is not None else None for name in names]


@pytest.fixture
def index(tmp_path):
    """index(*rows): labels of images with a box 20 pixels wide, a row `range_m` each."""

    def make(*ranges):
        rows = [f"{i}.png,10,10,20,16,{range_m}\n" for i, range_m in enumerate(ranges)]
        table = tmp_path / "labels.csv"
        table.write_text("file,box_x,box_y,box_w,box_h,range_m\n" + "".join(rows))
        return LabelIndex([read_table(table)])

    return make


def always(place):
    """A judge of three classes that gives one answer."""
    classifier = ResNet18Classifier(classes=("a", "b", "c")).eval()
    torch.nn.init.zeros_(classifier.net.fc.weight)
    classifier.net.fc.bias.data = torch.eye(3)[place]
    return Judge(classifier)


def test_classes_are_kept_where_the_judge_says_what_the_table_says(index):
    chips = ChipJudging(always(1), EIGHT_BIT, index(""))
    images = torch.rand(5, 1, 40, 40) * 255
    box = [10.0, 10, 30, 30]
    boxes = torch.tensor([box, box, NONE, box, box])
    found = chips.judge(images, boxes, labels("b", "a", "b", "unknown", None))
    assert found.kept[:2].tolist() == [1, 0] and found.kept[2:].isnan().all()
    chips.count("fake_B", found)
    assert chips.flips["fake_B"].sum() == 2
    chips.count("fake_B", chips.judge(images[:1], boxes[:1], labels("c")))
    assert chips.flips["fake_B"].tolist() == [[0, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_the_judge_sees_the_chip_alone(index):
    torch.manual_seed(0)
    judge = Judge(ResNet18Classifier(classes=("a", "b")).eval())
    images = torch.rand(2, 1, 90, 90) * 255
    boxes = torch.tensor([[35.0, 35, 55, 55]] * 2)
    # Chips of 40 pixels, and what resampling sees beyond.
    images[1, :, 22:68, 22:68] = images[0, :, 22:68, 22:68]
    chips = ChipJudging(judge, EIGHT_BIT, index(""))
    own, other = (chips.judge(images[i : i + 1], boxes[:1], labels("a")) for i in range(2))
    assert torch.equal(own.features, other.features)


def test_chips_have_the_scale_of_the_judge_or_fit_the_labels(index):
    """MARGIN 2 times 20 pixels at 2,000 m: 80 at 1,000 m."""
    own = {"side": 44.0, "by_range": True}
    assert chip_scale(None, index(2000, 2000), 64, 64) == ChipScale(80.0, by_range=True)
    assert chip_scale(own, index(2000, ""), 64, 64) == ChipScale(**own)
    unknown = index("", "")
    assert chip_scale(own, unknown, 64, 64) == ChipScale(40.0, by_range=False)
    own["by_range"] = False
    assert chip_scale(own, unknown, 64, 64) == ChipScale(**own)


def test_chips_fit_boxes_in_pixels_of_the_images_that_are_judged(tmp_path):
    """Of a labelled frame of 40 pixels, seen with 80."""
    table = tmp_path / "labels.csv"
    columns = "file,box_x,box_y,box_w,box_h,image_width,image_height"
    table.write_text(f"{columns}\n0.png,10,10,20,16,40,40\n")
    assert chip_scale(None, LabelIndex([table]), 80, 80) == ChipScale(80.0, by_range=False)


def test_where_chips_go_by_ranges_one_without_is_not_judged(index):
    judge = always(1)
    judge.classifier.chip_scale = {"side": 60.0, "by_range": True}
    chips = ChipJudging(judge, EIGHT_BIT, index(2000, ""))
    seen = [ImageLabel(None, "", class_name="b", range_m=metres) for metres in (2000.0, None)]
    boxes = torch.tensor([[10.0, 10, 30, 30]] * 2)
    found = chips.judge(torch.rand(2, 1, 40, 40) * 255, boxes, seen)
    assert found.kept[0] == 1 and found.kept[1].isnan()


def test_translations_without_a_change_find_their_sources(index):
    torch.manual_seed(0)
    judge = Judge(ResNet18Classifier(classes=("a", "b")).eval())
    sources = torch.rand(6, 1, 40, 40) * 255
    fakes = sources + 2 * torch.rand(6, 1, 40, 40)
    boxes = torch.tensor([[10.0, 10, 30, 30]] * 5 + [NONE])
    chips = ChipJudging(judge, EIGHT_BIT, index(""))
    for part in (slice(0, 4), slice(4, 6)):
        for kind, images in (("fake_B", fakes), ("real_A", sources)):
            chips.add(kind, chips.judge(images[part], boxes[part], labels(*"aaaaaa"[part])))
    found = chips.retrieved("real_A")
    assert found[:5].tolist() == [1] * 5 and np.isnan(found[5])


def test_found_first_is_by_the_angle():
    gallery = np.float32([[1, 0], [0, 1], [1, 1], [np.nan, 0], [0, 0]])
    queries = np.float32([[9, 1], [0.9, 1], [3, 3], [1, 0], [0, 1]])
    found = found_first(queries, gallery)
    assert found[:3].tolist() == [1, 0, 1] and np.isnan(found[3:]).all()


@pytest.mark.filterwarnings("error")
def test_equal_rows_are_found_and_blocks_change_nothing(monkeypatch):
    monkeypatch.setattr("metrics.chip_judging.BLOCK_ROWS", 3)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(10, 6)).astype(np.float32)
    assert found_first(rows, rows).tolist() == [1] * 10
    assert found_first(rows, np.roll(rows, 1, axis=0)).tolist() == [0] * 10
    assert found_first(rows, np.repeat(rows[:1], 10, axis=0)).tolist() == [1] * 10
    nothing = np.full_like(rows, np.nan)
    assert np.isnan(found_first(nothing, rows)).all()
