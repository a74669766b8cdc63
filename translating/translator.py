"""A trained generator for other programs: arrays of file values in, arrays of file values out."""

from pathlib import Path

import numpy as np
import torch

from data.transforms import to_bands
from models.networks.sensor import sensor_of
from models.translation import translate
from options import RunOptions
from training.run_folder import RunFolder
from translating.trained import Trained
from util.compute import Compute, select_compute
from util.errors import UserError


def load_generator(
    run_folder: str | Path, *, epoch: str = "latest", gpu_ids: str = "auto"
) -> "Translator":
    """The generator of a run, such as "checkpoints/mwir_pix2pix", for arrays.

    epoch: latest, best or an epoch's number; gpu_ids: as the flag of test.py. Raises UserError
    where there is no such run, epoch or device, and for a run that translates nothing.
    """
    trained = Trained.of(RunFolder(Path(run_folder)), epoch)
    bits = trained.value_maps["B"].type.bits
    return Translator(trained, select_compute(gpu_ids, "auto", result_bits=bits))


class Translator:
    """Called with an image, it gives what test.py writes of its file with --preprocess none.

    source, target: what the values of the images are that it is given, and of those that it makes.
    """

    def __init__(self, trained: Trained, compute: Compute) -> None:
        self.source, self.target = trained.value_maps["A"], trained.value_maps["B"]
        self._bands = trained.options.model.input_nc
        self._generator, self._compute = compute.place(trained.generator), compute

    def __call__(
        self, image: np.ndarray, *, boxes: np.ndarray | None = None, name: str | None = None
    ) -> np.ndarray:
        """File values (H, W), of colour (H, W, 3), of `source.type` -> the same of `target.type`.

        Of a fitted sensor, or a generator with one inside: boxes, (N, 4) of x0, y0, x1, y1 in
        pixel edges, are of the targets; name, of the image as test.py calls it, is what its noise
        follows from, and without a name there is no noise. Raises UserError for an array that is
        no such image.
        """
        self._require_image(image)
        device = self._compute.device
        images = to_bands(self.source.encode(image), self._bands)[None].to(device)
        if boxes is not None:
            boxes = torch.as_tensor(boxes, dtype=torch.float32, device=device).reshape(1, -1, 4)
        fake = translate(self._generator, images, self._compute, boxes)
        if name is not None and sensor_of(self._generator) is not None:
            fake = self._generator.add_noise(fake, seed=RunOptions.seed, names=[name])
        return self.target.decode(fake[0])

    def _require_image(self, image: np.ndarray) -> None:
        wanted = self.source.type.dtype
        if image.dtype.name != wanted:
            raise UserError(
                f"the array holds {image.dtype.name}, and the run was trained on {self.source}; "
                f"give it the values of its files as {wanted}."
            )
        if not image.size or (image.ndim != 2 and image.shape[2:] != (3,)):
            raise UserError(
                f"an array of shape {image.shape} is no image; give it as (H, W) or (H, W, 3)."
            )
