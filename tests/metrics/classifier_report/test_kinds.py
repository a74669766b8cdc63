"""Every class of the public database and of the demo has a kind."""

import pytest

from data.dsiac import VEHICLES
from metrics.classifier_report.kinds import KINDS, kind_of


def test_classes_of_the_database_have_a_kind():
    assert {kind_of(name) for name in VEHICLES.values()} == set(KINDS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("T72", "tracked"),
        ("ZSU-23", "tracked"),
        ("btr-70", "wheeled armour"),
        ("Pickup", "civil"),
        ("car", None),
        ("", None),
    ],
)
def test_spelling_does_not_matter_and_others_have_none(name, kind):
    assert kind_of(name) == kind
