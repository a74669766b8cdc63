"""Grad-CAM (Selvaraju et al. 2017) as pure functions, differentiable in the image.

The channel weights are held constant, so the gradient of a map reaches the image through the
feature maps alone: no second derivative, no hooks, no flag of the classifier is touched.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks import evaluating
from models.networks.classifier import Classifier


def channel_weights(head: Callable[[Tensor], Tensor], features: Tensor, label: Tensor) -> Tensor:
    """Mean gradient of the class score with respect to each feature map (eq. 1).

    head: features (B, C, h, w) -> scores (B, K); label: (B,) class index of each image.
    Returns (B, C), a constant. The head must treat each image of the batch by itself (eval mode).
    """
    with torch.enable_grad():
        features = features.detach().requires_grad_()
        score = head(features).gather(1, label[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, features)
    return gradient.mean(dim=(2, 3))


def pooled_linear_weights(fc_weight: Tensor, label: Tensor, *, pixels: int) -> Tensor:
    """The same for a head that averages over `pixels` = h*w positions and is linear: exact.

    fc_weight: (K, C); label: (B,). Returns (B, C) = fc_weight[label] / pixels.
    """
    return fc_weight.detach()[label] / pixels


def class_activation(features: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of the feature maps, before the ReLU (eq. 2): (B, C, h, w) -> (B, 1, h, w)."""
    return torch.einsum("bchw,bc->bhw", features, weights)[:, None]


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
    classifier: Classifier, images: Tensor, label: Tensor | None = None, *, stage: str = "layer4"
) -> tuple[Tensor, Tensor]:
    """Attention maps of a batch, and the class of each map.

    images: (B, 1 or 3, H, W) in [-1, 1]; label: (B,) class indices, None for the predicted class.
    Returns maps (B, 1, H, W) in [0, 1], with gradient to the images, and labels (B,). The
    classifier works in eval mode whatever its flags say, and leaves with the flags it had.
    """
    with evaluating(classifier):
        features = classifier.features(images, stage)
        if label is None:
            label = classifier.head(features.detach(), stage).argmax(dim=1)
        return maps_of_features(classifier, features, label, images.shape[-2:], stage=stage), label


def maps_of_features(
    classifier: Classifier,
    features: Tensor,
    label: Tensor,
    size: tuple[int, int],
    *,
    stage: str = "layer4",
) -> Tensor:
    """The maps (B, 1, *size) of `gradcam` where the features (B, C, h, w) are there already.

    label: (B,) class indices. The classifier must be in eval mode.
    """
    with torch.autocast(features.device.type, enabled=False):  # maps and weights are in fp32
        features = features.float()
        if stage == "layer4":
            pixels = features.shape[2] * features.shape[3]
            weights = pooled_linear_weights(classifier.net.fc.weight, label, pixels=pixels)
        else:
            weights = channel_weights(lambda x: classifier.head(x, stage), features, label)
        return attention_map(class_activation(features, weights), size)
