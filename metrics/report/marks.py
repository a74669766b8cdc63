"""How a set is told from the others: the same number and colour in table, plots and examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from util import drawing
from util.drawing import INK

if TYPE_CHECKING:
    from dominate.tags import html_tag

# Found by search: on the page's ground every colour has a contrast of about 3 or more, and any two,
# the ink included, differ by 14 or more (CIEDE2000), also to the three kinds of colour-blind eyes.
ON_LIGHT = ("#2d61f2", "#92290b", "#0c7154", "#e13587", "#b28e02", "#610985", "#05a4d0")
ON_DARK = ("#777dfd", "#c64926", "#369569", "#e183ae", "#dbd22e", "#835c9e", "#6cc7f7")
DASHES = ((), (5, 2), (1.5, 1.5), (6, 1.5, 1.5, 1.5))  # from the eighth set on colours come again

# Colour in a plot -> the page's name for it, which follows light and dark.
VARIABLES = {
    **drawing.VARIABLES,
    **{colour: f"var(--set-{place})" for place, colour in enumerate(ON_LIGHT)},
}


def _declare(colours: tuple[str, ...]) -> str:
    return " ".join(f"--set-{place}: {colour};" for place, colour in enumerate(colours))


STYLE = f"""
:root {{ {_declare(ON_LIGHT)} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_declare(ON_DARK)} }} }}
"""


@dataclass(frozen=True)
class Mark:
    """label: number of the set, or R; colour: on light ground; dash: on, off, ... or nothing."""

    label: str
    colour: str
    dash: tuple[float, ...] = ()

    def swatch(self) -> "html_tag":
        """A piece of the set's line with its number, for text."""
        from dominate import tags
        from dominate.util import raw

        dash = f' stroke-dasharray="{" ".join(map(str, self.dash))}"' if self.dash else ""
        line = (
            f'<svg viewBox="0 0 16 8" aria-hidden="true"><path d="M0 4h16" '
            f'style="stroke: {VARIABLES[self.colour]}"{dash}></path></svg>'
        )
        return tags.span(raw(line), self.label, cls="mark")


REFERENCE = Mark("R", INK)


def marks() -> Iterator[Mark]:
    """Marks of the first, second, ... set, without end."""
    place = 0
    while True:
        dash = DASHES[place // len(ON_LIGHT) % len(DASHES)]
        yield Mark(str(place + 1), ON_LIGHT[place % len(ON_LIGHT)], dash)
        place += 1
