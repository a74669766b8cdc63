"""Patch features for the contrastive loss (Park et al. 2020, sec. 3.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PatchSampler(nn.Module):
    """Picks patches from feature maps, projects them (two-layer MLP a map, or not), unit length.

    channels: of each feature map, in order, so the MLPs exist before the first step.
    """

    def __init__(self, *, channels: Sequence[int], width: int = 256, use_mlp: bool = True) -> None:
        super().__init__()
        self.use_mlp = use_mlp
        if use_mlp:
            for position, incoming in enumerate(channels):
                mlp = nn.Sequential(nn.Linear(incoming, width), nn.ReLU(), nn.Linear(width, width))
                self.add_module(f"mlp_{position}", mlp)

    def forward(self, features: Sequence[Tensor], patch_ids: Sequence[Tensor]) -> list[Tensor]:
        """Unit vectors (B, S, width) of the patches at `patch_ids`, for each feature map.

        features: (B, C_l, H_l, W_l) each; patch_ids: positions in 0..H_l*W_l-1 each, (S_l,) the
        same for all images of the batch, or (B, S_l). Without MLP the width is C_l. The result is
        in fp32.
        """
        patches = []
        for place, (feature, ids) in enumerate(zip(features, patch_ids, strict=True)):
            positions = feature.flatten(2).transpose(1, 2)
            if ids.ndim == 1:
                sample = positions.index_select(1, ids)
            else:
                sample = positions.take_along_dim(ids[:, :, None], dim=1)
            if self.use_mlp:
                sample = self.get_submodule(f"mlp_{place}")(sample)
            sample = sample.float()
            # The public code's epsilon stands outside the root, unlike F.normalize's. The root has
            # no slope at 0: a patch whose features are all off stays 0, without gradient.
            square = sample.square().sum(dim=-1, keepdim=True)
            length = torch.where(square > 0, square, 1.0).sqrt()
            patches.append(torch.where(square > 0, sample / (length + 1e-7), 0.0))
        return patches


def draw_patch_ids(features: Sequence[Tensor], num_patches: int) -> list[Tensor]:
    """Up to `num_patches` different positions (S_l,) in each feature map, drawn uniformly."""
    return [
        torch.randperm(feature.shape[2] * feature.shape[3], device=feature.device)[:num_patches]
        for feature in features
    ]
