"""What was measured goes into the pages of results."""

from types import SimpleNamespace

import pytest

from metrics.measure import ImageValues
from metrics.report.results_pages import measured, update_results_pages
from util.html import write_gallery
from util.pages import PageScript, read_island


@pytest.mark.parametrize("unpaired", [False, None, True])
def test_each_page_gets_the_values_of_its_own_images_but_those_beside_other_scenes(
    tmp_path, unpaired
):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        data = {"rows": None, "measured": None}
        write_gallery(folder / "index.html", "x", {}, [], script=PageScript("results", data))
    values = [
        ImageValues(f"{folder.as_posix()}/a/1", {"fake_B_vs_real_B": {"ssim": value}}, {}, "")
        for folder, value in zip(folders, (0.25, 0.75), strict=True)
    ]
    row = SimpleNamespace(
        images=SimpleNamespace(folders=folders),
        values=values,
        pairing=SimpleNamespace(unpaired=unpaired),
    )
    said = list(update_results_pages(row))
    assert len(said) == 2 and str(folders[0] / "index.html") in said[0]
    for folder, value in zip(folders, (0.25, 0.75), strict=True):
        assert read_island(folder / "index.html", "measured") == {
            "names": ["a/1"],
            "metrics": [] if unpaired else [{"title": "SSIM ↑", "values": [value]}],
            "attention": {},
        }


def test_a_folder_without_a_page_of_ours_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("<p>another page")
    row = SimpleNamespace(
        images=SimpleNamespace(folders=[tmp_path]),
        values=[],
        pairing=SimpleNamespace(unpaired=False),
    )
    assert list(update_results_pages(row)) == []
    assert (tmp_path / "index.html").read_text() == "<p>another page"


def test_values_that_json_lacks_and_metrics_of_no_image():
    numbers = {"psnr": float("inf"), "ssim": 0.0, "cc": float("nan")}
    image = ImageValues("x", {"fake_B_vs_real_B": numbers}, {}, "", {"real_B": {"fake_B": "AA"}})
    assert measured(["x"], [image]) == {
        "names": ["x"],
        "metrics": [
            {"title": "PSNR [dB] ↑", "values": ["Infinity"]},
            {"title": "SSIM ↑", "values": [0.0]},
        ],
        "attention": {"fake_B": ["AA"]},
    }


@pytest.mark.parametrize(
    ("made_for", "unpaired", "shown"),
    [
        (("real_B", "real_A"), False, {"real_B": "real_B", "fake_B": "real_B", "real_A": "real_A"}),
        (("real_B", "real_A"), True, {"fake_B": "real_A", "real_A": "real_A"}),
        (("real_B", "fake_B"), True, {"fake_B": "fake_B"}),
    ],
)
def test_attention_is_not_of_the_class_of_a_random_target(made_for, unpaired, shown):
    maps = {of: dict.fromkeys({of, "fake_B"}, of) for of in made_for}
    found = measured(["x"], [ImageValues("x", {}, {}, "", maps)], unpaired=unpaired)
    assert found["attention"] == {kind: [of] for kind, of in shown.items()}
