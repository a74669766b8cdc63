"""How near an image is to its partner, pixel by pixel: pure functions of two arrays."""

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

LUMA_WEIGHTS = (0.2989, 0.587, 0.114)  # red, green, blue: ITU-R BT.601 to four digits
SSIM_WINDOW = 7  # side in pixels: scikit-image's default; no image may be smaller


def psnr(a: np.ndarray, b: np.ndarray, *, data_range: float) -> float:
    """Peak signal-to-noise ratio 10 log10(data_range² / MSE), in dB; more is better.

    a, b: (H, W) or (H, W, 3) of one shape, any real type; MSE is over all pixels and bands.
    data_range: 255 for 8 bits, 65535 for 16 bits. Infinite for equal images.
    """
    # In float64: scikit-image alone would subtract in float32.
    with np.errstate(divide="ignore"):
        ratio = peak_signal_noise_ratio(
            a.astype(np.float64), b.astype(np.float64), data_range=data_range
        )
    return float(ratio)


def ssim(a: np.ndarray, b: np.ndarray, *, data_range: float) -> float:
    """Mean structural similarity (Wang et al. 2004, eq. 13), in [-1, 1]; 1 for equal images.

    a, b: (H, W) or (H, W, 3) of one shape, sides of 7 pixels or more, any real type. With
    scikit-image's defaults: uniform 7×7 window, sample covariance, K1 = 0.01, K2 = 0.03, windows
    inside the image only, mean over the bands. data_range: as for `psnr`.
    """
    return float(
        structural_similarity(
            a.astype(np.float64),
            b.astype(np.float64),
            data_range=data_range,
            channel_axis=2 if a.ndim == 3 else None,
        )
    )


def luminance(image: np.ndarray) -> np.ndarray:
    """0.2989 R + 0.587 G + 0.114 B in floating point, not rounded: (H, W, 3) -> (H, W) float64.

    An image of one band (H, W) is its own luminance. The weights sum to 0.9999, so 8-bit white
    becomes 254.97; the data range of the comparison stays that of the files.
    """
    return image @ np.array(LUMA_WEIGHTS) if image.ndim == 3 else image
