"""Where a table is looked for, and which goes before another."""

import pytest

from data.annotations.find import find_annotations

OWN, HIGHER = "file,class\nt.png,own\n", "file,class\nsim/test/t.png,higher\n"


@pytest.fixture
def found(tmp_path, flat):
    """found(place -> text): the classes found for DATA/sim/test, None without a table."""
    flat(tmp_path / "sim" / "test", {"t.png": 1})

    def find(**files):
        for place, text in files.items():
            folder = {"own": "sim/test", "above": "sim", "higher": "."}[place]
            (tmp_path / folder / "labels.csv").write_text(text)
        table = find_annotations(tmp_path / "sim" / "test")
        return table and [line.row["class"] for line in table.lines]

    return find


def test_a_table_two_folders_higher_serves_images_that_it_lists(found):
    assert found() is None
    assert found(higher=HIGHER) == ["higher"]
    assert found(higher=HIGHER.replace("test", "train")) is None


def test_the_nearest_table_counts(found):
    assert found(own=OWN, above="file,class\ntest/t.png,above\n", higher=HIGHER) == ["own"]


def test_boxes_beside_the_images_go_before_a_table_far_above(found, tmp_path):
    (tmp_path / "sim" / "test" / "t.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    assert found(higher=HIGHER) == ["0"]
