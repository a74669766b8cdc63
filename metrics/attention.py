"""Whether a classifier looks at the same places: Grad-CAM maps, compared as pure functions."""

import numpy as np
import torch
from torch import Tensor

from metrics.paired import ssim
from models.gradcam import gradcam
from models.networks.classifier import Classifier


@torch.no_grad()
def attention_maps(
    classifier: Classifier, images: Tensor, references: Tensor, *, stage: str = "layer4"
) -> tuple[np.ndarray, np.ndarray]:
    """Grad-CAM maps of images and of their references, for one class a pair.

    images, references: (B, 1 or 3, H, W) in [-1, 1], on the classifier's device. The class is the
    one predicted on the reference: maps of two classes would differ even on equal images. Returns
    two arrays (B, H, W), float64 in [0, 1]; a map without positive evidence is all 0.
    """
    of_references, labels = gradcam(classifier, references, stage=stage)
    of_images, _ = gradcam(classifier, images, labels, stage=stage)
    return _to_array(of_images), _to_array(of_references)


def _to_array(maps: Tensor) -> np.ndarray:
    return maps[:, 0].cpu().numpy().astype(np.float64)


def gcss(a: np.ndarray, b: np.ndarray) -> float:
    """Grad-CAM structural similarity: `ssim` of two maps with data range 1, in [-1, 1].

    a, b: (H, W) in [0, 1]. 1 for equal maps, two empty ones included.
    """
    return ssim(a, b, data_range=1.0)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation coefficient of two maps over the pixels, in [-1, 1].

    a, b: (H, W). 1 where one map is a positive linear function of the other. NaN where a map is
    constant: its deviation is 0 and the coefficient is not defined.
    """
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def cam_cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two maps as vectors, a·b / (|a| |b|); in [0, 1] for maps >= 0.

    a, b: (H, W). NaN where a map is all 0: it has no direction.
    """
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.vdot(a, b) / lengths) if lengths > 0 else float("nan")
