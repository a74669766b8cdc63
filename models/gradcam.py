"""Maps of attention as pure functions, differentiable in the image.

Grad-CAM (Selvaraju et al. 2017) weighs whole feature maps, HiResCAM (Draelos and Carin 2020) each
position by itself; a classifier says which of the two tells where it looks. A gradient that was
found by differentiation is held constant, so that of a map reaches the image through the features
alone: no second derivative, no hooks, no flag of the classifier is touched.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks import evaluating
from models.networks.classifiers import LAST_STAGE, Classifier
from models.networks.classifiers.base import Attention


def gradcam_activation(features: Tensor, gradient: Tensor) -> Tensor:
    """Feature maps weighted by their mean gradients (Grad-CAM, eq. 1 and 2), before the ReLU.

    features: (B, C, h, w); gradient of the class score in them: of their shape, or (B, C, 1, 1)
    where it is the same at all positions. Returns (B, 1, h, w).
    """
    return torch.einsum("bchw,bc->bhw", features, gradient.mean(dim=(2, 3)))[:, None]


def hirescam_activation(features: Tensor, gradient: Tensor) -> Tensor:
    """Features weighted by their own gradients (HiResCAM, eq. 4), before the ReLU; as above."""
    return (features * gradient).sum(dim=1, keepdim=True)


ACTIVATIONS: dict[Attention, Callable[[Tensor, Tensor], Tensor]] = {
    "gradcam": gradcam_activation,
    "hirescam": hirescam_activation,
}


def attention_map(activation: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear to `size`, then ReLU, then min-max: (B, 1, h, w) -> (B, 1, H, W) in [0, 1].

    The order is that of the method's paper. A map that is constant after the ReLU becomes all 0.
    """
    positive = F.relu(F.interpolate(activation, size=size, mode="bilinear", align_corners=False))
    lowest = positive.amin(dim=(2, 3), keepdim=True)
    highest = positive.amax(dim=(2, 3), keepdim=True)
    span = highest - lowest
    # Interpolating a constant map leaves rounding errors, which must not be blown up to [0, 1].
    varies = span > 1e-5 * highest
    return torch.where(varies, (positive - lowest) / torch.where(varies, span, 1.0), 0.0)


def gradcam(
    classifier: Classifier, images: Tensor, label: Tensor | None = None, *, stage: str = LAST_STAGE
) -> tuple[Tensor, Tensor]:
    """Attention maps of a batch, of the classifier's own kind, and the class of each map.

    images: (B, 1 or 3, H, W) in [-1, 1]; label: (B,) class indices, None for the predicted class.
    Returns maps (B, 1, H, W) in [0, 1], with gradient to the images, and labels (B,). The
    classifier works in eval mode whatever its flags say, and leaves with the flags it had.
    """
    with evaluating(classifier):
        features = classifier.features(images, stage)
        if label is None:
            label = classifier.look(images.detach(), features.detach(), stage).argmax(dim=1)
        return maps_of_features(classifier, features, label, images.shape[-2:], stage=stage), label


def maps_of_features(
    classifier: Classifier,
    features: Tensor,
    label: Tensor,
    size: tuple[int, int],
    *,
    stage: str = LAST_STAGE,
) -> Tensor:
    """The maps (B, 1, *size) of `gradcam` where the features (B, C, h, w) are there already.

    label: (B,) class indices. The classifier must be in eval mode.
    """
    with torch.autocast(features.device.type, enabled=False):  # maps and weights are in fp32
        features = features.float()
        gradient = classifier.score_gradient(features, label, stage)
        return attention_map(ACTIVATIONS[classifier.attention](features, gradient), size)
