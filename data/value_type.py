"""What the values of an image file are: the numbers it holds, and the unit they are in."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Unit = Literal["counts", "kelvin", "radiance"]


@dataclass(frozen=True)
class ValueType:
    """dtype: of the pixels; unit: of floats, counts where the file tells nothing else.

    It goes with the values from the file to [-1, 1] and back: into the value map of a domain, the
    record of a run and the files of results.
    """

    dtype: Literal["uint8", "uint16", "float32"]
    unit: Unit = "counts"

    @classmethod
    def from_bits(cls, bits: int, unit: Unit = "counts") -> "ValueType":
        """Of files with 8, 16 or 32 bits a value; those of 32 are floats."""
        return cls({8: "uint8", 16: "uint16", 32: "float32"}[bits], unit)

    @property
    def bits(self) -> int:
        """8, 16 or 32."""
        return 8 * np.dtype(self.dtype).itemsize

    @property
    def is_float(self) -> bool:
        """Whether values are neither whole numbers nor bounded."""
        return self.dtype == "float32"

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and largest value that a file can hold; of floats they are infinite."""
        return (-np.inf, np.inf) if self.is_float else (0, 2**self.bits - 1)

    @property
    def name(self) -> str:
        """For records: "uint8", "uint16", "float32 kelvin"."""
        return f"{self.dtype} {self.unit}" if self.is_float else self.dtype

    def record(self) -> dict[str, Any]:
        """bits and, of floats, unit: plain values for a file; `from_bits` takes them back."""
        return {"bits": self.bits} | ({"unit": self.unit} if self.is_float else {})

    def __str__(self) -> str:
        return f"32-bit floats in {self.unit}" if self.is_float else f"{self.bits} bits"


UINT8, UINT16 = ValueType("uint8"), ValueType("uint16")
