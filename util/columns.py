"""Tables of the terminal."""

from collections.abc import Iterator, Sequence

WIDTH = 100  # of terminals
GAP = "  "


def aligned(lines: Sequence[Sequence[str]], *, heads: int = 1) -> str:
    """Cells of equally long lines in columns for a terminal, the first to the left.

    What does not fit into WIDTH follows below, its first `heads` columns repeated.
    """
    return "\n\n".join(_aligned(part) for part in _parts(lines, heads))


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = _widths(lines)
    return "\n".join(
        GAP.join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    )


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _parts(lines: Sequence[Sequence[str]], heads: int) -> Iterator[list[list[str]]]:
    """The columns in groups that fit, at least one column behind the heads in each."""
    needed = [width + len(GAP) for width in _widths(lines)]
    start = heads
    while True:
        end, room = start, WIDTH + len(GAP) - sum(needed[:heads])
        while end < len(needed) and (end == start or sum(needed[start : end + 1]) <= room):
            end += 1
        part = ([*line[:heads], *line[start:end]] for line in lines)
        yield [line for line in part if any(line)]
        if end == len(needed):
            return
        start = end
