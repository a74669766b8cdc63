"""The mapping of file values to [-1, 1] loses nothing, and finds its range."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.images import write_image
from data.value_map import (
    EIGHT_BIT,
    Stored,
    ValueMap,
    as_image,
    find_value_map,
    given_value_map,
    read_as,
    recorded_maps,
)
from data.value_type import UINT8, UINT16, ValueType
from util.errors import UserError

KELVIN = ValueType("float32", "kelvin")


def test_8_bits_go_from_black_at_minus_one_to_white_at_one():
    values = EIGHT_BIT.encode(np.array([[0, 51, 255]], np.uint8))
    torch.testing.assert_close(values, torch.tensor([[[-1.0, -0.6, 1.0]]]))
    assert values.dtype == torch.float32


def test_all_256_values_come_back():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    back = EIGHT_BIT.decode(EIGHT_BIT.encode(image))
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 65535), (5600, 20300), (0, 1), (65534, 65535), (32768, 32775)]
)
def test_all_65536_counts_come_back_even_beyond_the_range(low, high):
    counts = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    value_map = ValueMap(low=float(low), high=float(high), type=UINT16)
    back = value_map.decode(value_map.encode(counts))
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, counts)


@given(st.integers(0, 65534), st.integers(1, 65535), st.lists(st.integers(0, 65535), min_size=1))
@settings(max_examples=200, deadline=None)
def test_any_range_is_invertible(low, width, counts):
    value_map = ValueMap(low=float(low), high=float(min(low + width, 65535)), type=UINT16)
    image = np.array([counts], np.uint16)
    np.testing.assert_array_equal(value_map.decode(value_map.encode(image)), image)


@pytest.mark.parametrize("value_map", [EIGHT_BIT, ValueMap(5600.0, 20300.0, UINT16)])
def test_counts_of_a_batch_are_those_of_its_images(value_map):
    images = torch.linspace(-1.6, 9, 2 * 3 * 400).reshape(2, 3, 20, 20)
    kept = images.clone()
    counts = value_map.counts(images)
    assert counts.dtype == {8: torch.uint8, 16: torch.uint16}[value_map.type.bits]
    assert torch.equal(images, kept)
    half = np.float32((value_map.high - value_map.low) / 2)
    expected = ((images.numpy() + 1) * half + np.float32(value_map.low)).round()
    assert np.array_equal(counts.numpy(), expected.clip(0, value_map.type.ends[1]))
    for image, found in zip(images, counts, strict=True):
        assert np.array_equal(as_image(found), value_map.decode(image))
        assert as_image(found).shape == (20, 20, 3) and as_image(found[:1]).shape == (20, 20)


def test_decoding_rounds_and_stays_within_the_depth():
    tensor = torch.tensor([[[-1.5, -1 + 0.4 / 127.5, -1 + 0.6 / 127.5, 1.5]]])
    np.testing.assert_array_equal(EIGHT_BIT.decode(tensor), [[0, 0, 1, 255]])
    wide = ValueMap(low=1000.0, high=2000.0, type=UINT16)
    np.testing.assert_array_equal(
        wide.decode(torch.tensor([[[-9.0, 1.2, 999]]])), [[0, 2100, 65535]]
    )


def test_colour_keeps_its_order_of_bands():
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    tensor = EIGHT_BIT.encode(image)
    assert tensor.shape == (3, 2, 3)
    torch.testing.assert_close(tensor[1], EIGHT_BIT.encode(image[..., 1])[0])
    np.testing.assert_array_equal(EIGHT_BIT.decode(tensor), image)


def test_decoding_takes_what_a_network_gives():
    tensor = torch.zeros(1, 2, 2, dtype=torch.float16, requires_grad=True) * 1
    np.testing.assert_array_equal(EIGHT_BIT.decode(tensor), np.full((2, 2), 128))


def test_8_bit_sets_have_the_whole_range(tmp_path, flat):
    flat(tmp_path, {"a.png": 40, "b.png": 60})
    assert find_value_map(sorted(tmp_path.iterdir())) == ValueMap(0.0, 255.0, UINT8)


def test_16_bit_sets_have_the_range_of_their_extremes(tmp_path, write):
    for name, (low, high) in {"a": (6000, 7000), "b": (5600, 5700), "c": (9000, 20300)}.items():
        write(tmp_path / f"{name}.png", np.array([[low, high]], np.uint16))
    assert find_value_map(sorted(tmp_path.iterdir())) == ValueMap(5600.0, 20300.0, UINT16)


def test_a_16_bit_set_of_one_value_is_refused(tmp_path, write):
    for name in "ab":
        write(tmp_path / f"{name}.png", np.full((2, 2), 700, np.uint16))
    with pytest.raises(UserError, match="700") as caught:
        find_value_map(sorted(tmp_path.iterdir()))
    assert str(tmp_path) in str(caught.value)


def test_mixed_depths_are_refused_naming_the_file(tmp_path, write, flat):
    deep = write(tmp_path / "a.png", np.array([[1, 2]], np.uint16))
    flat(tmp_path, {"b.png": 7})
    with pytest.raises(UserError, match=r"b\.png has 8 bits .* 16"):
        find_value_map(sorted(tmp_path.iterdir()))
    with pytest.raises(UserError, match=r"a\.png has 16 bits .* 8"):
        read_as(deep, UINT8)


def test_a_given_range_must_fit_the_type():
    words = {"flag": "value_range_B", "source": "a.png"}
    assert given_value_map(500.5, 65535, UINT16, **words) == ValueMap(500.5, 65535, UINT16)
    assert given_value_map(20, 255, UINT8, **words) == ValueMap(20, 255, UINT8)
    assert given_value_map(-40.5, 1e6, KELVIN, **words) == ValueMap(-40.5, 1e6, KELVIN)
    for found, ends in ((UINT16, (-1, 5)), (UINT16, (0, 65536)), (UINT8, (5600, 20300))):
        with pytest.raises(UserError, match=rf"--value_range_B {ends[0]} .*a.png, which has"):
            given_value_map(*ends, found, **words)


@pytest.mark.parametrize(
    ("own", "bits"), [((16, 5600, 20300), 8), ((8, 0, 255), 16), ((8, 20, 80), 16)]
)
def test_another_depth_keeps_the_values_to_half_a_step(own, bits):
    depth, low, high = own
    domain = ValueMap(low, high, ValueType.from_bits(depth))
    stored = Stored(domain, domain.at_bits(bits))
    values = np.arange(low, high + 1).astype(f"uint{depth}")[None]
    saved = stored.files.decode(domain.encode(values))
    assert saved.dtype == f"uint{bits}"
    meaning = stored.record()
    back = saved * meaning["scale"] + meaning["offset"]
    assert np.abs(back - values).max() <= meaning["scale"] / 2 + 1e-3
    assert (meaning["bits"], meaning["value_range"]) == (bits, [low, high])


def test_16_bits_of_8_tell_apart_what_lies_between_grey_levels():
    greys = torch.tensor([[[100.0, 100.25, 100.5, 255.0]]]) / 127.5 - 1
    np.testing.assert_array_equal(
        EIGHT_BIT.at_bits(16).decode(greys), [[25700, 25764, 25828, 65535]]
    )
    assert EIGHT_BIT.at_bits(8) is EIGHT_BIT


def test_8_of_16_bits_have_all_grey_levels():
    ends = ValueMap(5600.0, 16800.0, UINT16).at_bits(8).decode(torch.tensor([[[-1.0, 1.0]]]))
    np.testing.assert_array_equal(ends, [[0, 255]])


@pytest.mark.parametrize(("low", "high"), [(-40.0, 60.5), (280.0, 281.0), (0.0, 3e-4), (0.0, 1e9)])
def test_floats_come_back_even_beyond_the_range(low, high):
    value_map = ValueMap(low, high, KELVIN)
    width = high - low
    image = np.random.default_rng(0).uniform(low - width, high + width, (30, 40)).astype(np.float32)
    back = value_map.decode(value_map.encode(image))
    assert back.dtype == np.float32
    rounding = np.finfo(np.float32).eps * (2 * width + max(abs(low), abs(high)))
    np.testing.assert_allclose(back, image, rtol=0, atol=2 * rounding)
    assert float(value_map.encode(np.array([[low]], np.float32))) == pytest.approx(-1)


def test_floats_have_the_range_of_their_extremes(tmp_path):
    for name, ends in {"a": (280.5, 300.25), "b": (-10.5, 250.0)}.items():
        write_image(tmp_path / f"{name}.tif", np.array([ends], np.float32), unit="kelvin")
    found = find_value_map(sorted(tmp_path.iterdir()))
    assert found == ValueMap(-10.5, 300.25, KELVIN) and found.data_range == 310.75


def test_whole_numbers_are_measured_over_all_that_files_hold():
    assert ValueMap(5600.0, 20300.0, UINT16).data_range == 65535
    assert ValueMap(20.0, 80.0, UINT8).data_range == 255


def test_levels_of_floats_begin_at_the_ends_of_the_range():
    levels = ValueMap(250.0, 350.0, KELVIN).levels()
    middles = levels.middles()
    assert (middles[0], middles[-1]) == pytest.approx((150, 450))
    values = np.array([250, 350, 149, 1e6, 300], np.float32)
    assert middles[levels.bins(values)] == pytest.approx([250, 350, 150, 450, 300])


def test_maps_of_earlier_versions_are_read_and_their_keys_kept():
    earlier = {"low": 5600.0, "high": 20300.0, "bits": 16}
    assert ValueMap.from_record(earlier) == ValueMap(5600.0, 20300.0, UINT16)
    assert ValueMap(5600.0, 20300.0, UINT16).record() == earlier


def test_maps_in_words():
    assert str(ValueMap(250.0, 1350.5, KELVIN)) == "250 to 1,350.5, 32-bit floats in kelvin"
    assert str(EIGHT_BIT) == "counts 0 to 255 of 8 bits"
    assert str(ValueMap(5600.5, 65535.0, UINT16)) == "counts 5,600.5 to 65,535 of 16 bits"


def test_recorded_maps_are_those_that_were_recorded():
    maps = {"A": EIGHT_BIT, "B": ValueMap(250.5, 300.0, KELVIN)}
    record = json.loads(json.dumps({"value_maps": {r: m.record() for r, m in maps.items()}}))
    assert recorded_maps(record) == maps
