"""What the video names of the DSIAC ATR database say: camera, scenario, vehicle."""

import re
from dataclasses import dataclass

# A number that is not here is a class of its own: lists contradict each other on 0014 (a D20 gun,
# or an MT-LB that tows one), so it is left to the user.
VEHICLES = {
    "0001": "PICKUP",
    "0002": "SUV",
    "0005": "BTR70",
    "0006": "BRDM2",
    "0009": "BMP2",
    "0010": "T62",
    "0011": "T72",
    "0012": "ZSU23",
    "0013": "2S3",
}
# 1000 m at the first of each series, 500 m more with each second number, 5000 m at the last.
RANGES_M = {
    f"{first + 2 * step:05d}": 1000.0 + 500.0 * step for first in (1923, 2003) for step in range(9)
}
NIGHT = {"019": True, "020": False}
PATTERN = re.compile(r"([A-Za-z0-9]*[A-Za-z])([0-9]{5})_([0-9]{4})")


@dataclass(frozen=True)
class VideoName:
    """A video by its name, `<camera><scenario>_<vehicle>`: "cegr01923_0011", "i1co02003_0002".

    camera: "cegr" is mid-wave infrared, "i1co" visible; scenario: five digits; vehicle: four
    digits. All are "" for a name of another form.
    """

    camera: str = ""
    scenario: str = ""
    vehicle: str = ""

    @classmethod
    def parse(cls, stem: str) -> "VideoName":
        """From a file name without folder and extension; any name can be parsed."""
        match = PATTERN.fullmatch(stem)
        return cls(*match.groups()) if match else cls()

    @property
    def class_name(self) -> str:
        """The vehicle; its number where it is unknown or disputed; "" where the name has none."""
        return VEHICLES.get(self.vehicle, self.vehicle)

    @property
    def range_m(self) -> float | None:
        """Distance of the vehicle in metres; None for a scenario without a known one."""
        return RANGES_M.get(self.scenario)

    @property
    def night(self) -> bool | None:
        """True for 019xx, False (day) for 020xx, None otherwise."""
        return NIGHT.get(self.scenario[:3])
