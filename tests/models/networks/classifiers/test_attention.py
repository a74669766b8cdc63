"""The attention network: shares, second look, maps; against closed forms and by hand."""

import pytest
import torch
import torch.nn.functional as F

from metrics.judge import Judge
from models.gradcam import attention_map, gradcam
from models.networks.classifiers import AttentionClassifier
from models.networks.classifiers.attention import cut_windows
from models.networks.classifiers.base import score_gradient


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    found = AttentionClassifier(classes=("BMP2", "T72", "ZSU23"), view="window")
    torch.nn.init.normal_(found.net.attend.weight)
    return found.eval().requires_grad_(False)


@pytest.fixture
def frames():
    return torch.rand(2, 1, 90, 120, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_four_pixels_of_a_frame_and_eight_of_a_window_make_a_position(classifier, frames):
    sizes = [found.shape[1:] for found in classifier.stages(frames)]
    assert sizes == [(32, 90, 120), (64, 45, 60), (128, 23, 30)]
    scores, log_shares = classifier.learn(torch.rand(2, 1, 128, 128))
    assert (scores.shape, log_shares.shape) == ((2, 3), (2, 16, 16))


def test_scores_are_linear_in_the_mean_by_shares(classifier, frames):
    features = classifier.features(frames)
    shares = classifier.log_shares(features).exp()
    torch.testing.assert_close(shares.sum(dim=(1, 2)), torch.ones(2))
    pooled = torch.einsum("bchw,bhw->bc", features, shares)
    torch.testing.assert_close(classifier.pool(features), pooled)
    torch.testing.assert_close(classifier.head(features), classifier.net.fc(pooled))
    assert classifier.embedding_size == 128
    earlier = classifier.features(frames, "layer2")
    torch.testing.assert_close(classifier.head(earlier, "layer2"), classifier.head(features))


def test_a_new_network_attends_to_all_positions_alike():
    new = AttentionClassifier(classes=("a", "b")).eval()
    features = torch.randn(1, 128, 3, 4)
    torch.testing.assert_close(new.pool(features), features.mean(dim=(2, 3)))


def test_gain_and_level_say_nothing(classifier, frames):
    for see in (lambda x: classifier.learn(x)[0], classifier):
        torch.testing.assert_close(see(0.1 * frames + 0.7), see(frames), rtol=1e-3, atol=1e-3)
    flat = torch.full((1, 1, 32, 32), 0.3, requires_grad=True)
    scores, _ = classifier.learn(flat)
    scores.sum().backward()
    assert flat.grad.isfinite().all()


def test_the_second_look_is_at_windows_about_the_peak(classifier, frames):
    """Of four sizes, each seen as large as training shows windows; their mean counts."""
    shares = classifier.log_shares(classifier.features(frames))
    expected = []
    for frame, share in zip(frames, shares, strict=True):
        row, column = divmod(int(share.argmax()), share.shape[1])
        middle = (row + 0.5) * 90 / 23, (column + 0.5) * 120 / 30
        seen = []
        for side in (64, 51, 40, 32):
            top, left = (
                min(max(round(m - side / 2), 0), n - side)
                for m, n in zip(middle, (90, 120), strict=True)
            )
            window = frame[None, :, top : top + side, left : left + side]
            larger = F.interpolate(window, size=(128, 128), mode="bilinear", align_corners=False)
            seen.append(classifier.learn(larger)[0])
        expected.append(sum(seen) / 4)
    assert shares[0].argmax() != shares[1].argmax()
    torch.testing.assert_close(classifier(frames), torch.cat(expected))
    assert not torch.allclose(classifier(frames), classifier.head(classifier.features(frames)))
    _, label = gradcam(classifier, frames)
    assert torch.equal(label, torch.cat(expected).argmax(dim=1))


def test_chips_are_seen_as_they_come_and_once(frames):
    classifier = AttentionClassifier(classes=("a", "b"), view="chip").eval()
    torch.testing.assert_close(classifier(frames), classifier.learn(frames)[0])
    assert classifier.features(frames).shape[2:] == (12, 15)


def test_one_that_learns_from_frames_sees_them_as_later(classifier, frames):
    classifier.view = "frame"
    expected = classifier.head(classifier.features(frames))
    torch.testing.assert_close(classifier.learn(frames)[0], expected)


@pytest.mark.parametrize(
    ("middle", "first"),
    [((60.0, 45.0), (29, 44)), ((0.0, 89.0), (58, 0)), ((119.5, 15.7), (0, 88))],
)
def test_windows_are_moved_to_lie_in_the_frame(frames, middle, first):
    row, column = first
    found = cut_windows(frames, torch.tensor([middle, middle]), side=32)
    assert torch.equal(found, frames[..., row : row + 32, column : column + 32])


def test_windows_of_small_frames_are_mirrored_at_their_end():
    small = torch.arange(12.0).view(1, 1, 3, 4)
    found = cut_windows(small, torch.tensor([[2.0, 1.0]]), side=6)
    below = torch.cat([small, small.flip(-2)], dim=-2)
    expected = torch.cat([below, below.flip(-1)], dim=-1)[..., :6]
    assert torch.equal(found, expected)


@pytest.mark.parametrize("size", [(1, 1), (7, 130), (33, 64)])
def test_frames_of_any_size_are_seen(classifier, size):
    assert classifier(torch.rand(1, 3, *size)).isfinite().all()


def test_the_gradient_of_a_score_in_closed_form_is_that_of_autograd(classifier):
    features, label = torch.randn(2, 128, 5, 6), torch.tensor([2, 0])
    found = classifier.score_gradient(features, label)
    torch.testing.assert_close(found, score_gradient(classifier.head, features, label))
    assert found.std(dim=(2, 3)).min() > 0  # each position has its own


@pytest.mark.parametrize("stage", ["layer2", "layer3", "layer4"])
def test_its_maps_weigh_each_position_by_its_own_gradient(classifier, frames, stage):
    label = torch.tensor([0, 2])
    features = classifier.features(frames, stage).requires_grad_()
    score = classifier.head(features, stage)[[0, 1], label].sum()
    (gradient,) = torch.autograd.grad(score, features)
    each = (features.detach() * gradient).sum(dim=1, keepdim=True)
    expected = attention_map(each, (90, 120))
    found, _ = gradcam(classifier, frames, label, stage=stage)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    judge = Judge(classifier, cam_stage=stage)
    seen = judge.activations(frames)
    torch.testing.assert_close(judge.attention(seen, label), found, rtol=0, atol=1e-4)
    torch.testing.assert_close(seen.scores, classifier(frames))


def test_sets_are_compared_by_what_is_pooled_at_a_mean_square_of_one(classifier, frames):
    pooled = classifier.pool(classifier.features(frames))
    expected = pooled / pooled.square().mean(dim=1, keepdim=True).sqrt()
    seen = Judge(classifier).activations(frames)
    torch.testing.assert_close(seen.embeddings["layer4"], expected)


def test_a_judge_of_chips_sees_them_as_they_are(classifier):
    chips = torch.rand(2, 1, 64, 64)
    seen = Judge(classifier).of_chips().activations(chips)
    expected, _ = classifier.learn(
        chips
    )  # as training shows windows: neither enlarged nor searched
    torch.testing.assert_close(seen.scores, expected)
    assert classifier.view == "window"


def test_gradient_of_maps_reaches_the_image_and_not_the_classifier(classifier, frames):
    frames.requires_grad_()
    gradcam(classifier, frames)[0].square().mean().backward()
    assert frames.grad.isfinite().all() and frames.grad.abs().sum() > 0
    assert all(p.grad is None for p in classifier.parameters())


def test_the_gradient_of_a_map_is_that_of_its_whole_formula(classifier):
    """Also through the shares, by finite differences."""
    classifier.double()
    features = torch.randn(1, 128, 2, 2, dtype=torch.float64, requires_grad=True)
    label = torch.tensor([1])

    def activation(x):
        return (x * classifier.score_gradient(x, label)).sum(dim=1)

    assert torch.autograd.gradcheck(activation, (features,), fast_mode=True)
