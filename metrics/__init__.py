"""What is measured, as pure functions: every metric of fake_B against a reference, by its key.

The keys are those of the JSON and CSV files; docs/METRICS.md defines each metric. A metric of
images is called as `metric(a, b, data_range=...)` with arrays (H, W) or (H, W, 3), one of attention
maps as `metric(map_a, map_b)` with arrays (H, W) in [0, 1].
"""

from metrics.attention import cam_cosine, correlation, gcss
from metrics.paired import psnr, ssim

__all__ = ["ATTENTION_METRICS", "COMPARISONS", "IMAGE_METRICS", "TITLES"]

# Name of each comparison -> what fake_B is compared with.
COMPARISONS = {"fake_B_vs_real_B": "real_B", "real_A_vs_fake_B": "real_A"}

IMAGE_METRICS = {"psnr": psnr, "ssim": ssim}
ATTENTION_METRICS = {"gcss": gcss, "cc": correlation, "cam_cosine": cam_cosine}
TITLES = {
    "psnr": "PSNR [dB]",
    "ssim": "SSIM",
    "gcss": "GCSS",
    "cc": "CC",
    "cam_cosine": "CAM cosine",
}
