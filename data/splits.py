"""Training and validation images that share no recording.

Neighbouring frames of a video are near-duplicates: a random split measures memory, not skill.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence

from data.folders import ImageFile
from data.labeled_images import LabeledImage
from data.labels import Label, group_of, split_column
from data.tables import number_text
from options.groups import ClassifierOptions
from util.errors import UserError
from util.seeding import generator_for

SHOWN = 12  # ranges that an error names


def split_recordings(
    found: Sequence[tuple[ImageFile, str, Label | None]], options: ClassifierOptions, *, seed: int
) -> tuple[list[int], list[int], str]:
    """Indices (training, validation) of labelled images, and how they were chosen, for people.

    By the column of --split_by; without one by the folders below the class folders, or by file
    names less their frame numbers; where those show one recording of each class only, the end of
    each class in the order of names. Raises UserError for a column that cannot be guessed.
    """
    classes = [name for _, name, _ in found]
    groups = [group_of(file, name, label, options.split_by) for file, name, label in found]
    column = split_column([label for _, _, label in found], options.split_by)
    if column is None and options.split_by in ("scenario", "range"):
        raise UserError(
            f"--split_by {options.split_by} needs a column of this name in labels.csv; add it, or "
            "use --split_by video to go by folders and file names."
        )
    fraction = options.val_fraction
    if column is None and len(set(zip(classes, groups, strict=True))) == len(set(classes)):
        train, held = split_by_order(classes, fraction=fraction)
        return train, held, "from the end of each class, as the names tell of no recordings"
    train, held = split_by_group(groups, classes, fraction=fraction, seed=seed)
    source = f"column {column}" if column else "file name less frame number"
    return train, held, f"by {source}: {', '.join(sorted({groups[i] for i in held}))}"


def hold_out_ranges(
    items: Sequence[LabeledImage], wanted: Sequence[float]
) -> tuple[list[int], list[int], str]:
    """As `split_recordings`: all images of the ranges that are wanted, in metres, for validation.

    Raises UserError for images without a range, for ranges that no image has, and where no image of
    a class would be left for training.
    """
    flag = f"--hold_out_range {' '.join(map(number_text, wanted))}"
    unknown = [item for item in items if item.range_m is None]
    if unknown:
        raise UserError(
            f"{flag} needs the range of every image, and {len(unknown)} of {len(items)} have none "
            f"({unknown[0].file.path}); give it in labels.csv, in the column range_m."
        )
    ranges = sorted({item.range_m for item in items})
    there = ", ".join(map(number_text, ranges[:SHOWN])) + ", ..." * (len(ranges) > SHOWN)
    absent = [metres for metres in wanted if metres not in ranges]
    if absent:
        raise UserError(f"{flag}: no image is {number_text(absent[0])} m away; there are {there}.")
    held = [i for i, item in enumerate(items) if item.range_m in wanted]
    train = [i for i, item in enumerate(items) if item.range_m not in wanted]
    if not train:
        raise UserError(f"{flag} holds out all images: no other ranges are there than {there}.")
    lost = sorted({items[i].class_name for i in held} - {items[i].class_name for i in train})
    if lost:
        raise UserError(
            f"{flag} leaves no training image of {', '.join(lost)}; hold out fewer ranges."
        )
    return train, held, f"by range: {', '.join(map(number_text, sorted(set(wanted))))} m"


def spread(indices: Sequence[int], limit: int | None) -> list[int]:
    """At most `limit` of the indices, evenly over all of them: the first ones are of one class."""
    count = len(indices) if limit is None else min(limit, len(indices))
    return [indices[i * len(indices) // count] for i in range(count)]


def split_by_order(classes: Sequence[str], *, fraction: float) -> tuple[list[int], list[int]]:
    """Indices (training, validation): the last `fraction` of each class is held out.

    A class of one image stays in training.
    """
    held: list[int] = []
    for name in set(classes):
        members = [i for i, c in enumerate(classes) if c == name]
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        held += members[len(members) - count :]
    taken = set(held)
    return [i for i in range(len(classes)) if i not in taken], sorted(held)


def split_by_group(
    groups: Sequence[str], classes: Sequence[str], *, fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Indices (training, validation): whole groups, about `fraction` of the images held out.

    Groups are tried in a random order that follows from `seed`; one is held out if every class
    keeps images for training, those with classes not yet validated first. Raises UserError where
    no group can be.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    wanted = max(1, round(fraction * len(groups)))
    left = Counter(classes)
    order = sorted(members)
    generator_for(seed, len(order)).shuffle(order)
    held: list[int] = []
    validated: set[str] = set()
    counts = {group: Counter(classes[i] for i in members[group]) for group in members}
    waiting = deque(sorted(order, key=lambda group: -len(counts[group])))
    while waiting and len(held) < wanted:
        group = waiting.popleft()
        too_large = len(held) + len(members[group]) > max(2 * wanted, 0.5 * len(groups))
        if too_large or any(left[c] == n for c, n in counts[group].items()):
            continue
        held += members[group]
        left.subtract(counts[group])
        if not counts[group].keys() <= validated:  # else the order stays
            validated |= counts[group].keys()
            waiting = deque(sorted(waiting, key=lambda g: -len(counts[g].keys() - validated)))
    if not held:
        raise UserError(
            f"the {len(groups)} images form {len(members)} group(s), and none can be held out for "
            "validation with every class left in training; give labels.csv a finer 'group' column "
            "or choose another --split_by."
        )
    taken = set(held)
    return [i for i in range(len(groups)) if i not in taken], sorted(held)
