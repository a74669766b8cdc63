"""Which metrics there are, and all that is known of each beside the function that computes it.

docs/METRICS.md defines each metric. Its key is that of the JSON and CSV files; tables show metrics
in the order of this module. Pure functions on batches of images stand in the modules beside this
one; `metrics.measure` (images) and `metrics.profile` (sets) call them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# judge: a classifier; chip_judge: a classifier of chips, or that one; boxes: a table of them;
# pairs: a target of equal name for each translation; sources: what each was made from; lite0:
# packages with a network; training_images: real images of the training; the others are files of
# `metrics.pretrained.WEIGHTS`.
Need = Literal[
    "judge",
    "boxes",
    "pairs",
    "inception",
    "alex",
    "vgg",
    "lite0",
    "chip_judge",
    "sources",
    "training_images",
]


@dataclass(frozen=True)
class Metric:
    """All that tables, notes and checks know of a metric.

    title: as tables show it; better: which direction, "real": near to that of real images.
    decimals: digits behind the point, where the scale is known; significant: digits of all others,
    as counts are of 8 or 16 bits and distances of any size. needs: what it cannot be measured
    without. undefined: when an image, or a set, has no value, for people. ranked: whether one row
    can be best. chance: the best value there is, below which chance alone takes it;
    biased_below: number of images below which a value of a set is mostly bias.
    """

    title: str
    better: Literal["higher", "lower", "real"]
    decimals: int | None = None
    significant: int = 4
    needs: tuple[Need, ...] = ()
    undefined: str = ""
    ranked: bool = True
    chance: float = -math.inf
    biased_below: int = 0

    @property
    def name(self) -> str:
        """The title without its unit."""
        return self.title.split(" [")[0]


CONSTANT, SMALL = "a map is constant", "too small for the network"

# Of two images of one name.
PAIR_METRICS = {
    "psnr": Metric("PSNR [dB]", "higher", decimals=2, needs=("pairs",)),
    "ssim": Metric("SSIM", "higher", decimals=4, needs=("pairs",)),
    "mae": Metric("MAE [counts]", "lower", significant=3, needs=("pairs",)),
    "psnr_box": Metric("PSNR in box [dB]", "higher", decimals=2, needs=("pairs", "boxes")),
    "ssim_box": Metric("SSIM in box", "higher", decimals=4, needs=("pairs", "boxes")),
    "mae_box": Metric("MAE in box [counts]", "lower", significant=3, needs=("pairs", "boxes")),
    "psnr_background": Metric("PSNR outside [dB]", "higher", decimals=2, needs=("pairs", "boxes")),
    "ssim_background": Metric("SSIM outside", "higher", decimals=4, needs=("pairs", "boxes")),
    "mae_background": Metric(
        "MAE outside [counts]", "lower", significant=3, needs=("pairs", "boxes")
    ),
    "lpips_alex": Metric(
        "LPIPS (alex)", "lower", decimals=4, needs=("pairs", "alex"), undefined=SMALL
    ),
    "lpips_vgg": Metric(
        "LPIPS (vgg)", "lower", decimals=4, needs=("pairs", "vgg"), undefined=SMALL
    ),
    "gcss": Metric("GCSS", "higher", decimals=4, needs=("pairs", "judge"), undefined=CONSTANT),
    "cc": Metric("CC", "higher", decimals=4, needs=("pairs", "judge"), undefined=CONSTANT),
    "cam_cosine": Metric(
        "CAM cosine", "higher", decimals=4, needs=("pairs", "judge"), undefined=CONSTANT
    ),
    "class_agreement": Metric("class agreement", "higher", decimals=3, needs=("pairs", "judge")),
    "retrieval": Metric("retrieval", "higher", decimals=3, needs=("pairs", "chip_judge", "boxes")),
}
# Of one image.
IMAGE_METRICS = {
    "noise": Metric("noise [counts]", "real", significant=3),
    "contrast": Metric("target contrast [counts]", "real", significant=3, needs=("boxes",)),
    "vanished": Metric("vanished targets", "real", decimals=3, needs=("boxes",)),
    "hot_spots": Metric("hot spots", "real", decimals=2, needs=("boxes",)),
    "pointing": Metric("pointing game", "real", decimals=3, needs=("judge", "boxes")),
    "dog_pointing": Metric("pointing (DoG)", "real", decimals=3, needs=("boxes",), ranked=False),
    "cam_energy": Metric("CAM energy in box", "real", decimals=3, needs=("judge", "boxes")),
    "dog_energy": Metric("DoG energy in box", "real", decimals=3, needs=("boxes",), ranked=False),
    "class_kept": Metric("class kept", "higher", decimals=3, needs=("chip_judge", "boxes")),
    "ghosts": Metric("ghosts", "lower", decimals=3, needs=("sources", "boxes")),
    "ghost_area": Metric("ghost area [%]", "lower", decimals=2, needs=("sources", "boxes")),
    "box_share": Metric("box share (chance)", "real", decimals=3, needs=("boxes",), ranked=False),
}
TOO_FEW = "there are fewer than 2 images of a set"
TOO_FEW_FOR_KID = "there are fewer than 4 images of a set"
TOO_FEW_BALLS = "there are fewer than 6 real images"
# Of two sets of images. A Fréchet distance is mostly bias below twice the dimension of MWIR
# features, and below the dimension of Inception's.
SET_METRICS = {
    "fid": Metric("FID", "lower", needs=("inception",), undefined=TOO_FEW, biased_below=2048),
    "kid": Metric("KID", "lower", needs=("inception",), undefined=TOO_FEW_FOR_KID, chance=0.0),
    "fid_mwir": Metric(
        "FID (MWIR)", "lower", needs=("judge",), undefined=TOO_FEW, biased_below=1024
    ),
    "kid_mwir": Metric(
        "KID (MWIR)", "lower", needs=("judge",), undefined=TOO_FEW_FOR_KID, chance=0.0
    ),
    "fd_lite0": Metric(
        "FD (Lite0)", "lower", needs=("lite0",), undefined=TOO_FEW, biased_below=2560
    ),
    "kid_lite0": Metric(
        "KD (Lite0)", "lower", needs=("lite0",), undefined=TOO_FEW_FOR_KID, chance=0.0
    ),
    "fd_lite0_chips": Metric(
        "FD of chips (Lite0)",
        "lower",
        needs=("lite0", "boxes"),
        undefined="there are fewer than 2 images with a box of a set",
        biased_below=2560,
    ),
    "kid_lite0_chips": Metric(
        "KD of chips (Lite0)",
        "lower",
        needs=("lite0", "boxes"),
        undefined="there are fewer than 4 images with a box of a set",
        chance=0.0,
    ),
    "c2st": Metric(
        "C2ST accuracy",
        "lower",
        decimals=3,
        needs=("lite0",),
        undefined="there are fewer than 2 recordings (column group) of a set, or no images of one "
        "are left to learn from while those of recordings that are in both are held out",
        chance=0.5,
    ),
    "density": Metric(
        "density",
        "higher",
        decimals=3,
        needs=("lite0",),
        undefined=TOO_FEW_BALLS,
        ranked=False,
    ),
    "coverage": Metric("coverage", "higher", decimals=3, needs=("lite0",), undefined=TOO_FEW_BALLS),
    "novelty": Metric(
        "novelty",
        "higher",
        decimals=3,
        needs=("lite0", "training_images"),
        undefined="the real images are copies of those of --training",
        ranked=False,
    ),
    "mmd": Metric(
        "MMD²",
        "lower",
        needs=("judge",),
        undefined=f"{TOO_FEW}, or most images are equal",
        chance=0.0,
    ),
    "coral": Metric("CORAL", "lower", needs=("judge",), undefined=TOO_FEW),
    "spectrum": Metric(
        "spectrum [dB]",
        "lower",
        decimals=2,
        undefined="the images of one set have no power where those of the other have some, like "
        "flat ones, or there are no frequencies that both have",
    ),
    "grey_levels": Metric("grey levels [counts]", "lower", significant=3),
}
METRICS = {**PAIR_METRICS, **IMAGE_METRICS, **SET_METRICS}

# Name of each comparison -> what fake_B is compared with.
COMPARISONS = {"fake_B_vs_real_B": "real_B", "real_A_vs_fake_B": "real_A"}


@dataclass(frozen=True)
class Group:
    """Metrics of one kind of images or comparison, which tables show side by side.

    title: as a heading; what: is measured; ranked: whether one row can be best.
    """

    title: str
    what: str
    metrics: Mapping[str, Metric]
    ranked: bool = True


# What is measured of a row, by the names of the JSON file.
GROUPS = {
    "fake_B_vs_real_B": Group("Near the target", "fake_B vs real_B", PAIR_METRICS),
    # Doing nothing would win.
    "real_A_vs_fake_B": Group("Kept of the source", "real_A vs fake_B", PAIR_METRICS, ranked=False),
    "sets": Group("Sets", "fake_B vs the real images", SET_METRICS),
    "fake_B": Group("Target and thermal", "fake_B alone", IMAGE_METRICS),
}


def metrics_that_need(need: Need) -> dict[str, Metric]:
    """Key -> metric, of all that cannot be measured without it."""
    return {key: metric for key, metric in METRICS.items() if need in metric.needs}
