"""Training objectives as pure functions of tensors: of a batch (GAN) or of each patch (NCE)."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

GanLoss = Callable[[Tensor, bool], Tensor]


def lsgan(logits: Tensor, real: bool) -> Tensor:
    """Least-squares GAN loss (Mao et al. 2017, eq. 2): mean (logits - target)^2, target 1 or 0."""
    return (logits - float(real)).square().mean()


def vanilla_gan(logits: Tensor, real: bool) -> Tensor:
    """Binary cross-entropy of the logits (Goodfellow et al. 2014, eq. 1), non-saturating for G."""
    return F.softplus(-logits if real else logits).mean()


def wasserstein_gan(logits: Tensor, real: bool) -> Tensor:
    """Critic value, negative for real (Arjovsky et al. 2017, eq. 2); no gradient penalty."""
    return -logits.mean() if real else logits.mean()


GAN_LOSSES: dict[str, GanLoss] = {
    "lsgan": lsgan,
    "vanilla": vanilla_gan,
    "wgangp": wasserstein_gan,
    "nonsaturating": vanilla_gan,
}


def patch_nce(
    query: Tensor,
    key: Tensor,
    *,
    temperature: float = 0.07,
    pools: int | None = None,
    first: int = 0,
) -> Tensor:
    """InfoNCE over patches (Park et al. 2020, eq. 3): each output patch must pick its input patch.

    query, key: (B, S, C) unit vectors, S patches at the same places; key is held constant.
    Negatives are the other S-1 patches of the same image, or with `pools` the other patches of as
    many images in a row as make the batch fall into so many parts: 1 takes the whole batch. Then
    key may have more images in each part than query, whose own ones begin with number `first`.
    Returns the loss (B, S) of each patch, in nats.
    """
    batch, patches, width = query.shape
    if pools:
        query, key = query.reshape(pools, -1, width), key.reshape(pools, -1, width)
    similarity = query @ key.detach().transpose(1, 2) / temperature
    # Row s of each matrix is one classification problem, whose answer is column s of its own. The
    # public code keeps one more negative of similarity -10 there, weight exp(-10/T): nothing.
    own = similarity.diagonal(offset=first * patches, dim1=1, dim2=2)
    loss = similarity.logsumexp(dim=2) - own
    return loss.reshape(batch, patches)
