"""U-Net generator of pix2pix (Ronneberger et al. 2015; Isola et al. 2017)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.layers import (
    Dropout,
    ImageConv,
    ImageConvTranspose,
    Norm,
    ReflectionPad,
    Upsample,
    norm_layer,
    uses_bias,
)


class UnetGenerator(nn.Module):
    """Encoder-decoder with skip connections, down to 1/2**num_downs of the image.

    num_downs 8 is the field's `unet_256`, 7 is `unet_128`. antialias_up: bilinear upsampling and
    a convolution in place of pix2pix's transposed convolution, whose pixels differ as on a
    checkerboard (Odena et al. 2016). Images are (B, C, H, W) in [-1, 1]; H and W must be multiples
    of `size_multiple`, from `smallest_side` on.
    """

    def __init__(
        self,
        *,
        input_nc: int,
        output_nc: int,
        num_downs: int = 8,
        ngf: int = 64,
        norm: Norm = "instance",
        dropout: bool = True,
        antialias_up: bool = False,
    ) -> None:
        super().__init__()
        shared = {"norm": norm, "antialias_up": antialias_up}
        self.size_multiple = self.smallest_side = 2**num_downs
        wide = ngf * 8
        block = _UnetLevel(outer=wide, inner=wide, **shared)
        for _ in range(num_downs - 5):
            block = _UnetLevel(outer=wide, inner=wide, below=block, dropout=dropout, **shared)
        for outer in (ngf * 4, ngf * 2, ngf):
            block = _UnetLevel(outer=outer, inner=outer * 2, below=block, **shared)
        self.model = _UnetTop(
            input_nc=input_nc, output_nc=output_nc, inner=ngf, below=block, **shared
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, input_nc, H, W) in [-1, 1] -> (B, output_nc, H, W) in [-1, 1]."""
        return self.model(x)


class _UnetTop(nn.Module):
    """Outermost level: the image comes in, tanh goes out; no norm, no skip connection."""

    def __init__(
        self,
        *,
        input_nc: int,
        output_nc: int,
        inner: int,
        below: nn.Module,
        norm: Norm,
        antialias_up: bool,
    ) -> None:
        super().__init__()
        if antialias_up:
            up = [Upsample(inner * 2), ReflectionPad(1), ImageConv(inner * 2, output_nc, 3)]
        else:
            up = [ImageConvTranspose(inner * 2, output_nc, 4, stride=2, padding=1)]
        self.model = nn.Sequential(
            nn.Conv2d(input_nc, inner, 4, stride=2, padding=1, bias=uses_bias(norm)),
            below,
            nn.ReLU(),
            *up,
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class _UnetLevel(nn.Module):
    """Down by 2, the level below, up by 2; the input is concatenated to the result."""

    def __init__(
        self,
        *,
        outer: int,
        inner: int,
        norm: Norm,
        antialias_up: bool,
        below: nn.Module | None = None,
        dropout: bool = False,
    ) -> None:
        super().__init__()
        bias, make_norm = uses_bias(norm), norm_layer(norm)
        layers = [nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, 4, stride=2, padding=1, bias=bias)]
        if below is not None:
            layers += [make_norm(inner), below]
        incoming = inner if below is None else inner * 2
        if antialias_up:
            up = [Upsample(incoming), nn.Conv2d(incoming, outer, 3, padding=1, bias=bias)]
        else:
            up = [nn.ConvTranspose2d(incoming, outer, 4, stride=2, padding=1, bias=bias)]
        layers += [nn.ReLU(), *up, make_norm(outer)]
        if dropout:
            layers.append(Dropout(0.5))
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, outer, H, W) -> (B, 2 outer, H, W)."""
        # The public code's in-place activation also changes what the skip connection carries:
        # the activated x. Its trained weights expect that.
        skip = F.leaky_relu(x, 0.2)
        return torch.cat([skip, self.model[1:](skip)], dim=1)
