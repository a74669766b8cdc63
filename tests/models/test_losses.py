"""Losses against closed forms and torch's own."""

import math

import pytest
import torch
import torch.nn.functional as F

from models.losses import GAN_LOSSES, attention_kl, patch_nce


def unit(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


@pytest.mark.parametrize("real", [True, False])
def test_vanilla_is_binary_cross_entropy(real):
    logits = torch.randn(2, 1, 5, 5)
    expected = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
    torch.testing.assert_close(GAN_LOSSES["vanilla"](logits, real), expected)


def test_lsgan_closed_form():
    logits = torch.full((2, 1, 3, 3), 0.25)
    assert GAN_LOSSES["lsgan"](logits, True).item() == pytest.approx(0.75**2)
    assert GAN_LOSSES["lsgan"](logits, False).item() == pytest.approx(0.25**2)


@pytest.mark.parametrize("real", [True, False])
def test_wasserstein_and_nonsaturating_closed_forms(real):
    logits = torch.randn(2, 1, 5, 5)
    expected = -logits.mean() if real else logits.mean()
    torch.testing.assert_close(GAN_LOSSES["wgangp"](logits, real), expected)
    assert GAN_LOSSES["nonsaturating"](logits, real) == GAN_LOSSES["vanilla"](logits, real)


def test_patch_nce_is_cross_entropy_over_the_keys_of_each_query():
    query, key = unit(2, 5, 8), unit(2, 5, 8)
    logits = (query @ key.transpose(1, 2) / 0.07).flatten(0, 1)
    expected = F.cross_entropy(logits, torch.arange(5).repeat(2), reduction="none")
    torch.testing.assert_close(patch_nce(query, key), expected.view(2, 5))


def test_patch_nce_of_indistinguishable_patches_is_log_of_their_number():
    same = unit(1, 1, 8).expand(2, 6, 8)
    torch.testing.assert_close(patch_nce(same, same), torch.full((2, 6), math.log(6)))
    across = patch_nce(same, same, pools=1)
    torch.testing.assert_close(across, torch.full((2, 6), math.log(12)))


def test_patch_nce_of_orthogonal_patches():
    patches = torch.eye(4)[None]
    expected = math.log(1 + 3 * math.exp(-1 / 0.5))
    loss = patch_nce(patches, patches, temperature=0.5)
    torch.testing.assert_close(loss, torch.full((1, 4), expected))


def test_patch_nce_holds_the_key_constant():
    query, key = unit(1, 4, 8).requires_grad_(), unit(1, 4, 8).requires_grad_()
    patch_nce(query, key).mean().backward()
    assert key.grad is None
    assert query.grad.abs().sum() > 0


def test_patch_nce_images_are_apart():
    query, key = unit(2, 4, 8), unit(2, 4, 8)
    alone = torch.cat([patch_nce(query[i : i + 1], key[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(patch_nce(query, key), alone)


def test_attention_kl_is_torchs_over_the_images_that_have_a_target():
    shares, target = (torch.rand(3, 4, 5) for _ in range(2))
    log_shares = shares.flatten(1).log_softmax(dim=1).view_as(shares)
    target[:, 0] = 0
    target /= target.sum(dim=(1, 2), keepdim=True)
    target[1] = 0
    some = F.kl_div(log_shares[[0, 2]], target[[0, 2]], reduction="sum") / 2
    torch.testing.assert_close(attention_kl(log_shares, target), some)
    assert attention_kl(log_shares, torch.zeros_like(target)) == 0
    same = log_shares.exp()
    assert attention_kl(log_shares, same).abs() < 1e-6
