"""Tables of the terminal."""

from util.columns import aligned


def test_names_are_aligned_to_the_left_and_numbers_to_the_right():
    assert aligned([["set", "n"], ["a", "123"], ["bb", ""]]) == "set    n\na    123\nbb"


def test_what_does_not_fit_follows_below_with_its_heads():
    titles = [f"metric number {place:02d}" for place in range(12)]
    table = aligned([["set", "n", *titles], ["ours", "50", *"abcdefghijkl"]], heads=2)
    parts = [part.splitlines() for part in table.split("\n\n")]
    assert max(len(line) for part in parts for line in part) <= 100
    assert all(part[0].startswith("set    n  ") for part in parts)
    assert all(part[1].startswith("ours  50  ") for part in parts)
    assert [title for part in parts for title in part[0].split("  ") if "metric" in title] == titles
    assert "".join("".join(part[1].split()[2:]) for part in parts) == "abcdefghijkl"


def test_a_column_wider_than_the_terminal_stands_alone():
    wide = "x" * 120
    table = aligned([["set", wide, "n"], ["a", "1", "2"]])
    assert [part.split()[0] for part in table.split("\n\n")] == ["set", "set"]
    assert wide in table
