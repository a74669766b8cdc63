"""Training objectives as pure functions of tensors: of a batch (GAN) or of each patch (NCE)."""

from collections.abc import Callable

import torch
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


def attention_kl(log_shares: Tensor, target: Tensor) -> Tensor:
    """Mean of KL(target ‖ shares), in nats, over the images that have a target; 0 without any.

    log_shares: (B, h, w), the log of each position's share, which sum to 1; target: the shares as
    they should be, all 0 for an image without.
    """
    each = torch.xlogy(target, target) - target * log_shares
    return each.sum() / (target.sum(dim=(1, 2)) > 0).sum().clamp(min=1)


def kl(target: Tensor, scores: Tensor) -> Tensor:
    """KL(target ‖ scores) of the classes of each image, in nats: (B, K), (B, K) -> (B,).

    target: scores, held constant, which are the logits of what should be named.
    """
    wanted, found = target.detach().log_softmax(dim=1), scores.log_softmax(dim=1)
    return (wanted.exp() * (wanted - found)).sum(dim=1)
