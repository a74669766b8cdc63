"""PatchGAN and pixel discriminators of pix2pix and CUT (Isola et al. 2017, sec. 3.2.2)."""

from torch import Tensor, nn

from models.networks.layers import Downsample, Norm, norm_layer, uses_bias


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches (70x70 pixels with three layers): one logit each.

    Without antialiasing it is pix2pix's, with it CUT's.
    """

    def __init__(
        self,
        *,
        input_nc: int,
        ndf: int = 64,
        n_layers: int = 3,
        norm: Norm = "instance",
        antialias: bool = True,
    ) -> None:
        super().__init__()
        self.smallest_side = 3 * 2**n_layers  # below, the last norm sees a single position
        bias, make_norm = uses_bias(norm), norm_layer(norm)
        stride = 1 if antialias else 2
        layers = [nn.Conv2d(input_nc, ndf, 4, stride=stride, padding=1), nn.LeakyReLU(0.2, True)]
        if antialias:
            layers.append(Downsample(ndf))
        width = ndf
        for level in range(1, n_layers + 1):
            wider = ndf * min(2**level, 8)
            last = level == n_layers
            layers += [
                nn.Conv2d(width, wider, 4, stride=1 if last else stride, padding=1, bias=bias),
                make_norm(wider),
                nn.LeakyReLU(0.2, True),
            ]
            if antialias and not last:
                layers.append(Downsample(wider))
            width = wider
        layers.append(nn.Conv2d(width, 1, 4, padding=1))
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, input_nc, H, W) in [-1, 1] -> logits (B, 1, h, w), one a patch."""
        return self.model(x)


class PixelDiscriminator(nn.Module):
    """Judges every pixel by itself through 1x1 convolutions."""

    smallest_side = 2

    def __init__(self, *, input_nc: int, ndf: int = 64, norm: Norm = "instance") -> None:
        super().__init__()
        bias = uses_bias(norm)
        # Called `net`, unlike everywhere else, because the public state-dict keys say so.
        self.net = nn.Sequential(
            nn.Conv2d(input_nc, ndf, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf, ndf * 2, 1, bias=bias),
            norm_layer(norm)(ndf * 2),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf * 2, 1, 1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, input_nc, H, W) in [-1, 1] -> logits (B, 1, H, W)."""
        return self.net(x)
