"""The scenes of a report: of each input a section, with what the sets made of it side by side."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from data.images import write_image
from metrics.report.marks import Mark
from metrics.report.views import Picture, Scene, Strip

if TYPE_CHECKING:
    from dominate.tags import html_tag

ROOM = 1180  # CSS pixels for the strips of a scene, on a desktop
LEAST = 180  # for one strip, where images are not narrower
GAP = 12  # between strips

# The pictures of all strips stand in the rows of one grid, each strip spanning them: so they are
# level, whatever the lengths of the captions.
STYLE = f"""
.side {{
  display: grid; gap: 0.3rem {GAP}px;
  grid-template-columns: repeat(auto-fill, min(var(--width), 100% / 3 - {GAP}px));
}}
.side > figure {{
  display: grid; grid-row: span var(--rows); grid-template-rows: subgrid;
  justify-content: stretch; margin-bottom: 1rem;
}}
.side > figure > figcaption {{ align-self: end; color: var(--ink); font-weight: 600; }}
.side small {{ display: block; color: var(--quiet); font-size: 0.75rem; line-height: 1.35; }}
.side .facts {{ grid-row: -2; font-variant-numeric: tabular-nums; }}
.picture {{ min-width: 0; align-self: end; }}
.boxed {{ position: relative; }}
.boxed img {{ aspect-ratio: auto; border-radius: 2px; }}
/* Around the box, or it would hide what it is about. */
.boxed i {{ position: absolute; margin: -1px; border: 1px solid #fff; outline: 1px solid #000; }}
.enlarged {{ image-rendering: pixelated; }}
@media (min-resolution: 2dppx) {{ .boxed img {{ image-rendering: pixelated; }} }}
@media print {{ .side {{ break-inside: avoid; }} }}
"""


def scene_sections(scenes: Sequence[Scene], named: Mapping[str, Mark]) -> Iterator["html_tag"]:
    """Nothing where there are no scenes. named: the marks of the sets."""
    from dominate import tags

    if scenes:
        about = tags.p(" ".join(_legend(scenes)), cls="about")
        yield tags.section(tags.h2("Side by side"), about)
    for scene in scenes:
        note = tags.small(scene.note) if scene.note else ""
        yield tags.section(tags.h2(scene.name, note), _grid(scene, named))


def _legend(scenes: Sequence[Scene]) -> Iterator[str]:
    """What the pictures mean, as far as there are such."""
    strips = [strip for scene in scenes for strip in scene.strips]
    yield "One input a section, and what each set made of it."
    if any(strip.difference for strip in strips):
        yield "Below it the difference: red is more, blue less, full colour an eighth of the range."
    if any(strip.attention for strip in strips):
        yield "Attention: where the judge looks for the class that it takes the target for."
    if any(strip.boxes for strip in strips):
        yield "Boxes: the labelled targets."


def _grid(scene: Scene, named: Mapping[str, Mark]) -> "html_tag":
    from dominate import tags

    width, zoom = _width(scene)
    # Rows that are empty in all strips would leave gaps.
    used = [any(column) for column in zip(*(s.pictures for s in scene.strips), strict=True)]
    rows = {place: 2 + sum(used[:place]) for place in range(len(used))}
    strips = [_strip(scene, strip, named, rows, enlarged=zoom > 1) for strip in scene.strips]
    style = f"--width: {width}px; --rows: {2 + sum(used)}"
    return tags.div(strips, cls="side", style=style)


def _width(scene: Scene) -> tuple[int, int]:
    """Of a strip in CSS pixels, and of how many of these a pixel of its widest image is.

    A whole number, where images are small enough; so a scene has the room of a desktop or more.
    """
    widest = max(strip.image.pixels.shape[1] for strip in scene.strips)
    room = max(LEAST, ROOM // len(scene.strips) - GAP)
    zoom = max(1, room // widest)
    return min(widest * zoom, room), zoom


def _strip(
    scene: Scene,
    strip: Strip,
    named: Mapping[str, Mark],
    rows: Mapping[int, int],
    *,
    enlarged: bool,
) -> "html_tag":
    from dominate import tags

    mark = named[strip.name].swatch() if strip.of_set else ""
    figure = tags.figure(tags.figcaption(mark, strip.name))
    for place, picture in enumerate(strip.pictures):
        if picture is not None:
            alt = f"{picture.caption or 'image'}, {strip.name}: {scene.name}"
            shown = _picture(picture, strip, alt, "enlarged" if enlarged else "")
            figure.add(tags.div(shown, cls="picture", style=f"grid-row: {rows[place]}"))
    if strip.facts:
        figure.add(tags.div([tags.small(fact) for fact in strip.facts], cls="facts"))
    return figure


def _picture(picture: Picture, strip: Strip, alt: str, cls: str) -> list["html_tag"]:
    """The caption, where it needs one, and the image with the boxes on it."""
    from dominate import tags

    height, width = picture.pixels.shape[:2]
    image = tags.img(
        src=_data_address(picture.pixels), alt=alt, width=width, height=height, decoding="async"
    )
    if cls:
        image["class"] = cls
    boxes = [
        tags.i(style=f"inset: {y0:.2%} {1 - x1:.2%} {1 - y1:.2%} {x0:.2%}")
        for x0, y0, x1, y1 in strip.boxes
    ]
    caption = [tags.small(picture.caption)] if picture.caption else []
    return [*caption, tags.div(image, boxes, cls="boxed")]


def _data_address(image: np.ndarray) -> str:
    """The image itself as an address: a lossless PNG file, grey where its bands are equal."""
    if image.ndim == 3 and (image == image[..., :1]).all():
        image = image[..., 0]
    with TemporaryDirectory() as folder:
        file = Path(folder, "image.png")
        write_image(file, np.ascontiguousarray(image))
        return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode("ascii")
