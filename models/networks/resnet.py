"""ResNet generator of CUT and CycleGAN (Johnson et al. 2016; Park et al. 2020)."""

from collections.abc import Sequence

from torch import Tensor, nn

from models.networks.layers import (
    Downsample,
    Dropout,
    ImageConv,
    Norm,
    ReflectionPad,
    Upsample,
    norm_layer,
    uses_bias,
)


class ResnetGenerator(nn.Module):
    """7x7 convolution, two downsamplings, residual blocks, two upsamplings, 7x7 convolution, tanh.

    Images are (B, C, H, W) in [-1, 1]; H and W must be multiples of `size_multiple`, and at least
    `smallest_side`: a single pixel cannot be reflected.
    """

    size_multiple = 4
    smallest_side = 8

    def __init__(
        self,
        *,
        input_nc: int,
        output_nc: int,
        ngf: int = 64,
        n_blocks: int = 9,
        norm: Norm = "instance",
        dropout: bool = False,
        antialias_down: bool = True,
        antialias_up: bool = True,
    ) -> None:
        super().__init__()
        bias, make_norm = uses_bias(norm), norm_layer(norm)
        layers = [
            ReflectionPad(3),
            nn.Conv2d(input_nc, ngf, 7, bias=bias),
            make_norm(ngf),
            nn.ReLU(True),
        ]
        for wide in (ngf * 2, ngf * 4):
            stride = 1 if antialias_down else 2
            layers += [
                nn.Conv2d(wide // 2, wide, 3, stride=stride, padding=1, bias=bias),
                make_norm(wide),
                nn.ReLU(True),
            ]
            if antialias_down:
                layers.append(Downsample(wide))
        layers += [ResnetBlock(ngf * 4, norm=norm, dropout=dropout) for _ in range(n_blocks)]
        for wide in (ngf * 4, ngf * 2):
            if antialias_up:
                layers += [Upsample(wide), nn.Conv2d(wide, wide // 2, 3, padding=1, bias=bias)]
            else:
                layers.append(
                    nn.ConvTranspose2d(
                        wide, wide // 2, 3, stride=2, padding=1, output_padding=1, bias=bias
                    )
                )
            layers += [make_norm(wide // 2), nn.ReLU(True)]
        layers += [ReflectionPad(3), ImageConv(ngf, output_nc, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, input_nc, H, W) in [-1, 1] -> (B, output_nc, H, W) in [-1, 1]."""
        return self.model(x)

    def encode(self, x: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Outputs (B, C_l, H_l, W_l) of the layers with these positions, in ascending order.

        Runs no further than the last of them. Raises ValueError for a position that is not there.
        """
        self._check_layers(layers)
        return self._run(x, layers, stop=max(layers) + 1)[1]

    def forward_and_encode(self, x: Tensor, layers: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """What `forward` and `encode` give, in one pass."""
        self._check_layers(layers)
        return self._run(x, layers, stop=len(self.model))

    def _run(self, x: Tensor, layers: Sequence[int], *, stop: int) -> tuple[Tensor, list[Tensor]]:
        features = []
        for position, layer in enumerate(self.model[:stop]):
            x = layer(x)
            if position in layers:
                features.append(x)
                if position == max(layers):
                    # A ReLU that follows works in place, and `encode` ends before it.
                    later = self.model[position + 1 : stop]
                    following = next((m for m in later if not isinstance(m, nn.Identity)), None)
                    x = x.clone() if isinstance(following, nn.ReLU) else x
        return x, features

    def _check_layers(self, layers: Sequence[int]) -> None:
        last = len(self.model) - 1
        if not layers or min(layers) < 0 or max(layers) > last:
            raise ValueError(f"feature layers {list(layers)} lie outside 0..{last}")
        if len(set(layers)) < len(layers):
            raise ValueError(f"feature layers {list(layers)} name one layer twice")

    def feature_channels(self, layers: Sequence[int]) -> list[int]:
        """Channels of what `encode(x, layers)` returns, known without a forward pass."""
        channels, widths = self.model[1].in_channels, []
        for layer in self.model:
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                channels = layer.out_channels
            widths.append(channels)
        self._check_layers(layers)
        return [widths[position] for position in sorted(layers)]


class ResnetBlock(nn.Module):
    """x + conv(conv(x)), reflection-padded, with optional dropout between the convolutions."""

    def __init__(self, channels: int, *, norm: Norm, dropout: bool) -> None:
        super().__init__()
        bias, make_norm = uses_bias(norm), norm_layer(norm)
        layers = [
            ReflectionPad(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            make_norm(channels),
            nn.ReLU(True),
        ]
        if dropout:
            layers.append(Dropout(0.5))
        layers += [
            ReflectionPad(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            make_norm(channels),
        ]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, C, H, W)."""
        return x + self.conv_block(x)
