"""Kinds of vehicles, which are told apart at ranges at which single classes are not."""

import re

# Classes of the public database and of the demo; spelt with or without hyphens, in any case.
KINDS = {
    "tracked": ("2S3", "BMP2", "MTLB", "T62", "T72", "ZSU23", "ZSU234"),
    "wheeled armour": ("BRDM2", "BTR70"),
    "civil": ("PICKUP", "SUV"),
}
_KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}


def kind_of(class_name: str) -> str | None:
    """One of KINDS; None for a class that is not among them."""
    return _KIND_OF.get(re.sub(r"[\W_]", "", class_name).upper())
