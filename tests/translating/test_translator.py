"""Arrays through `load_generator` are what test.py writes of the same files, to the count."""

import shutil

import numpy as np
import pytest

from data.images import read_image
from tests.translating.runs import SIZES, TARGET
from translating import load_generator
from util.errors import UserError


def load(run):
    return load_generator(run, gpu_ids="-1")


@pytest.mark.parametrize("kind", ["resnet", "unet", "sensor_inside", "sensor"])
def test_an_array_becomes_what_test_makes_of_its_file(trained, tested, images, kind):
    run = trained(kind)
    translate, expected = load(str(run)), tested(run)
    for name in SIZES:
        image = read_image(images / f"{name}.png")
        found = translate(image, name=name)
        assert (found.dtype, found.shape) == (np.uint16, image.shape)
        np.testing.assert_array_equal(found, expected[name])
        assert np.ptp(found) > 2000, "the translation says something"


def test_without_a_name_there_is_no_noise(trained, tested, images):
    run = trained("sensor_inside")
    image = read_image(images / "a.png")
    expected, noisy = tested(run, "--no_noise")["a"], tested(run)["a"]
    np.testing.assert_array_equal(load(run)(image), expected)
    assert (noisy != expected).mean() > 0.9


def test_a_sensor_heeds_the_boxes_of_its_targets(trained, tested, images, tmp_path):
    run, folder = trained("target_sensor"), tmp_path / "boxed"
    shutil.copytree(images, folder)
    (folder / "labels.csv").write_text("file,box_x,box_y,box_w,box_h\na.png,8,5,20,12\n")
    image, translate = read_image(images / "a.png"), load(run)
    found = translate(image, boxes=np.array([[8, 5, 28, 17]]))
    np.testing.assert_array_equal(found, tested(run, "--no_noise", dataroot=folder)["a"])
    plain = translate(image)
    np.testing.assert_array_equal(translate(image, boxes=np.empty((0, 4))), plain)
    assert (found != plain)[5:17, 8:28].mean() > 0.9


def test_the_values_are_named(trained):
    translate = load(trained("resnet"))
    assert str(translate.source) == "counts 0 to 255 of 8 bits" and translate.target == TARGET


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((9, 9)), r"holds float64.* trained on counts 0 to 255 of 8 bits; .* as uint8"),
        (np.zeros((9, 9), np.uint16), "holds uint16"),
        (np.zeros((9, 9, 2), np.uint8), r"shape \(9, 9, 2\) is no image; give it as \(H, W\)"),
        (np.zeros(9, np.uint8), r"shape \(9,\)"),
        (np.zeros((0, 9), np.uint8), r"shape \(0, 9\)"),
    ],
)
def test_other_arrays_are_refused(trained, image, words):
    with pytest.raises(UserError, match=words):
        load(trained("resnet"))(image)


def test_what_is_no_run_or_translates_nothing_is_refused(trained, tmp_path):
    with pytest.raises(UserError, match=r"there is no run .*none .*; name the folder of a run\."):
        load(tmp_path / "none")
    with pytest.raises(UserError, match="--model classifier translates nothing"):
        load(trained("classifier"))
    with pytest.raises(UserError, match=r"none of 7_net_G\.pth"):
        load_generator(trained("resnet"), epoch="7")
