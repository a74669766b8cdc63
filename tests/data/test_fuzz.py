"""Whatever stands in files and tables ends in a value or in a sentence, never in another error."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data.faults import Fault, look
from data.folders import ImageFile, find_images, pair_by_name
from data.images import read_image, read_layout
from data.label_index import LabelIndex
from data.labeled_images import find_labeled
from data.labels import read_labels
from data.value_map import ValueMap, find_value_map
from data.value_type import ValueType
from tests.data.broken_images import FORMATS, broken, whole
from util.errors import UserError

CORPUS = [(kind, name, content) for kind in FORMATS for name, content in broken(kind)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("kind", "content"),
    [(kind, content) for kind, _, content in CORPUS],
    ids=[f"{kind}: {name}" for kind, name, _ in CORPUS],
)
def test_every_broken_image_is_refused_and_listed(tmp_path, kind, content):
    path = tmp_path / f"x.{kind.lower()}"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_image(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    found = look(path)
    assert isinstance(found, Fault)
    assert found.kind in (("empty",) if not content else ("unreadable", "truncated"))


@pytest.mark.parametrize("kind", FORMATS)
def test_the_corpus_is_made_of_good_files(tmp_path, kind):
    path = tmp_path / "x"
    path.write_bytes(whole(kind))
    assert read_image(path).shape == ((13, 17) if kind == "NPY" else (13, 17, 3))


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(
    st.sampled_from(FORMATS),
    st.lists(st.tuples(st.integers(0, 2000), st.sampled_from([0, 1, 127, 128, 255])), max_size=5),
    st.integers(0, 4000),
)
@settings(max_examples=200)
def test_layout_and_pixels_agree_whatever_the_damage(tmp_path_factory, kind, changes, length):
    path = tmp_path_factory.getbasetemp() / f"changed.{kind}"
    content = bytearray(whole(kind)[: length or None])
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content)
    try:
        image = read_image(path)
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert read_layout(path) == (image.shape, image.dtype)


# --- names


PARTS = st.text("aB.é'\"<& \n\\-", min_size=1, max_size=6).filter(lambda t: t.strip(".") == t)
NAMES = st.lists(st.lists(PARTS, min_size=1, max_size=2).map("/".join), max_size=6, unique=True)


@given(NAMES, NAMES)
@settings(max_examples=200)
def test_pairs_are_of_equal_names_or_every_lonely_one_is_counted(a, b):
    files = [[ImageFile(Path(name), name) for name in names] for names in (a, b)]
    try:
        pairs = pair_by_name(*files)
    except UserError as error:
        for letter, lonely in (("A", set(a) - set(b)), ("B", set(b) - set(a))):
            assert not lonely or f"{len(lonely)} in {letter} (" in str(error)
        assert set(a) != set(b)
    else:
        assert set(a) == set(b) and [one.name for one, _ in pairs] == a
        assert all(one.name == other.name for one, other in pairs)


@given(NAMES)
@settings(max_examples=60)
def test_images_of_any_name_are_found_where_they_are(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("names")
    made = []
    for name in names:
        path = folder / f"{name}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        except OSError:  # a file stands where a folder should
            continue
        hidden = any(part.startswith(".") for part in name.split("/"))
        made += [] if hidden else [path]
    if made:
        found = find_images(folder)
        assert sorted(file.path for file in found) == sorted(made)
        assert [file.name for file in found] == sorted(file.name for file in found)
    else:
        with pytest.raises(UserError, match="there is no image"):
            find_images(folder)


# --- tables


CELLS = st.one_of(
    st.sampled_from(["", "a.png", "../a.png", "/etc/passwd", "train/a.png", "T72", "train", "nan"]),
    st.sampled_from(["1", "-1", "1e400", "inf", "0x10", "1,5", " 7 ", "a\nb", '"', "\0"]),
    st.text(max_size=5),
)
COLUMNS = st.lists(
    st.sampled_from("file class split group range range_m box_x box_y box_w box_h other".split()),
    max_size=8,
)


@given(COLUMNS, st.lists(st.lists(CELLS, max_size=9), max_size=5))
@example(["file", "class"], [["a.png"]])
@example(["file", "class", "class"], [["a.png", "T72", "BMP2", "more"]])
@settings(max_examples=300)
def test_any_table_gives_labels_or_a_sentence(tmp_path_factory, columns, rows):
    root = tmp_path_factory.getbasetemp() / "tables"
    root.mkdir(exist_ok=True)
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    table = root / "labels.csv"
    table.write_text(text.getvalue(), errors="replace")
    for read in (lambda: read_labels(root), lambda: LabelIndex([table]), lambda: labeled(root)):
        try:
            read()
        except UserError as error:
            assert str(root) in str(error)


def labeled(root):
    assert all(file.path.is_relative_to(root) for file, _, _ in find_labeled(root, "train"))


@given(st.binary(max_size=80))
@example(b"\xff\xfef\0i\0l\0e\0")
@example(b"file,class\n" + b'"' * 3)
@example(b"file,class\n" + b"a" * 200000)
@settings(max_examples=150)
def test_any_bytes_are_a_table_or_a_sentence(tmp_path_factory, content):
    table = tmp_path_factory.getbasetemp() / "bytes" / "labels.csv"
    table.parent.mkdir(exist_ok=True)
    table.write_bytes(content)
    try:
        read_labels(table.parent)
    except UserError as error:
        assert str(table) in str(error)


# --- value ranges


@given(
    st.lists(st.lists(st.integers(0, 65535), min_size=4, max_size=4), min_size=1, max_size=4),
    st.sampled_from([8, 16]),
)
@settings(max_examples=200)
def test_the_map_of_any_set_covers_it_and_is_invertible(counts, bits):
    kind = np.uint8 if bits == 8 else np.uint16
    images = {Path(f"{i}.png"): np.array([row]).astype(kind) for i, row in enumerate(counts)}
    try:
        found = find_value_map(list(images), read=images.__getitem__)
    except UserError as error:
        assert bits == 16 and len({int(v) for row in counts for v in row}) == 1, error
        return
    for image in images.values():
        encoded = found.encode(image)
        assert float(encoded.abs().max()) <= 1 + 1e-6
        np.testing.assert_array_equal(found.decode(encoded), image)


@given(st.floats(-1e4, 7e4), st.floats(1e-2, 7e4), st.sampled_from([8, 16]), st.integers(0, 65535))
@settings(max_examples=200)
def test_any_given_range_maps_its_ends_and_never_overflows(low, width, bits, count):
    value_map = ValueMap(low, low + width, ValueType.from_bits(bits))
    ends = value_map.encode(np.array([[low, low + width]]))
    np.testing.assert_allclose(ends.numpy().ravel(), [-1, 1], atol=2e-2 * max(1, abs(low) / width))
    top = 2**bits - 1
    decoded = value_map.decode(value_map.encode(np.array([[min(count, top)]], np.uint16)))
    assert decoded.min() >= 0 and decoded.max() <= top
    assert decoded.dtype == (np.uint8 if bits == 8 else np.uint16)
