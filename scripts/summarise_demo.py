"""The demo's table: simulator, sensor fit, Pix2Pix and Pix2Pix+Grad-CAM against true images."""

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.folders import find_images, pair_by_name
from data.images import read_image
from metrics.paired import psnr, ssim
from util.cli import Parser
from util.errors import run_main
from util.files import write_text

# row: (run, set of images that is compared with the truth)
ROWS = {
    "simulator": ("mwir_pix2pix", "real_A"),
    "sensor_fit": ("mwir_sensor_fit", "fake_B"),
    "pix2pix": ("mwir_pix2pix", "fake_B"),
    "pix2pix_gradcam": ("mwir_pix2pix_gradcam", "fake_B"),
}


def compare(images: Path, truth: Path) -> dict[str, float]:
    """Mean PSNR (dB) and SSIM of all 8-bit images of one folder against those of another."""
    values = [
        (psnr(a, b, data_range=255), ssim(a, b, data_range=255))
        for a, b in (
            [torch.tensor(read_image(file.path), dtype=torch.float32)[None, None] for file in pair]
            for pair in pair_by_name(find_images(images), find_images(truth))
        )
    ]
    means = torch.tensor(values, dtype=torch.float64).mean(dim=0)
    return dict(zip(("psnr", "ssim"), means.tolist(), strict=True))


def main() -> None:
    """Print the table and write it as JSON."""
    parser = Parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of the demo's results")
    parser.add_argument("--out", type=Path, required=True, help="file for the table, JSON")
    args = parser.parse_args()
    table = {}
    for row, (run, kind) in ROWS.items():
        images = args.results / run / "truth_latest" / "images"
        table[row] = compare(images / kind, images / "real_B")
    print(f"\n{'against the truth':20}{'PSNR (dB)':>12}{'SSIM':>10}")
    for row, values in table.items():
        print(f"{row:20}{values['psnr']:12.2f}{values['ssim']:10.4f}")
    write_text(args.out, json.dumps(table, indent=1) + "\n")
    page = args.results / "mwir_pix2pix_gradcam" / "truth_latest" / "index.html"
    print(f"\ntable: {args.out}\npage:  {page}")


if __name__ == "__main__":
    run_main(main)
