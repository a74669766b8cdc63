"""What is measured: the keys of the JSON and CSV files, in the order in which tables show them.

docs/METRICS.md defines each metric. Pure functions on batches of images stand in the modules beside
this one; `metrics.measure` applies them to sets of files.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    *("BOXED", "COMPARISONS", "IMAGE_METRICS", "JUDGED"),
    *("PAIR_METRICS", "SET_METRICS", "Metric"),
]


@dataclass(frozen=True)
class Metric:
    """title: as tables show it; better: which direction; "real": near to that of real images."""

    title: str
    better: Literal["higher", "lower", "real"]


# Name of each comparison -> what fake_B is compared with.
COMPARISONS = {"fake_B_vs_real_B": "real_B", "real_A_vs_fake_B": "real_A"}

# Of two images of one name.
PAIR_METRICS = {
    "psnr": Metric("PSNR [dB]", "higher"),
    "ssim": Metric("SSIM", "higher"),
    "mae": Metric("MAE [counts]", "lower"),
    "lpips_alex": Metric("LPIPS (alex)", "lower"),
    "lpips_vgg": Metric("LPIPS (vgg)", "lower"),
    "gcss": Metric("GCSS", "higher"),
    "cc": Metric("CC", "higher"),
    "cam_cosine": Metric("CAM cosine", "higher"),
    "class_agreement": Metric("class agreement", "higher"),
}
# Of one image.
IMAGE_METRICS = {
    "noise": Metric("noise [counts]", "real"),
    "contrast": Metric("target contrast [counts]", "real"),
    "pointing": Metric("pointing game", "real"),
    "cam_energy": Metric("CAM energy in box", "real"),
    "box_share": Metric("box share (chance)", "real"),
}
# Of two sets of images.
SET_METRICS = {
    "fid": Metric("FID", "lower"),
    "kid": Metric("KID", "lower"),
    "fid_mwir": Metric("FID (MWIR)", "lower"),
    "kid_mwir": Metric("KID (MWIR)", "lower"),
    "mmd": Metric("MMD²", "lower"),
    "coral": Metric("CORAL", "lower"),
    "spectrum": Metric("spectrum [dB]", "lower"),
    "grey_levels": Metric("grey levels [counts]", "lower"),
}

# What needs a classifier, and what needs boxes.
JUDGED = frozenset(
    {"gcss", "cc", "cam_cosine", "class_agreement", "pointing", "cam_energy"}
    | {"fid_mwir", "kid_mwir", "mmd", "coral"}
)
BOXED = frozenset({"contrast", "pointing", "cam_energy", "box_share"})
