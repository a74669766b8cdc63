"""A trained generator as a file that other runtimes read: ONNX, or what torch.export.load takes."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from models.networks.sensor import heeds_boxes, sensor_of
from models.translation import of_any_size
from options import ExportOptions
from training.run_folder import RunFolder
from translating.trained import Trained
from util.checkpoint import digest
from util.errors import UserError
from util.files import write_bytes
from util.version import VERSION


def export(options: ExportOptions) -> str:
    """Write the generator of a run to `options.out`; returns what people should know of it.

    Raises UserError where there is no such run, and for a generator that cannot be exported.
    """
    trained = Trained.of(RunFolder.of(options.checkpoints_dir, options.name), options.epoch)
    sensor = sensor_of(trained.generator)
    if heeds_boxes(trained.generator):
        raise UserError(
            f"{trained.source} heeds the boxes of targets, which an exported "
            "generator is not given; use load_generator, which takes them, or export another run."
        )
    content = WRITERS[options.format](captured(trained), metadata(trained, options))
    write_bytes(Path(options.out), content)
    maps = trained.value_maps
    lines = [
        f"A: {maps['A']} -> [-1, 1]",
        f"B: [-1, 1] -> {maps['B']}",
        *(["the noise of the sensor is not in the file"] if sensor is not None else []),
        f"{trained.source} in {options.out}",
    ]
    return "\n".join(lines)


class AnySize(nn.Module):
    """`of_any_size` as a network of one input."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, real_A: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, C', H, W) in [-1, 1]."""
        return of_any_size(self.generator, real_A)


def captured(trained: Trained) -> ExportedProgram:
    """The arithmetic of the generator, for any number of images of any size."""
    smallest = trained.generator.smallest_side
    # Sides that differ, padded as well, and a batch of more than one: what is equal in the example
    # would be taken to be equal always.
    example = torch.zeros(2, trained.options.model.input_nc, 2 * smallest + 1, 3 * smallest + 1)
    sides = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    # Or torch would refuse sides for which a layer comes down to one pixel, and other layouts in
    # memory than the example's; no result depends on these.
    any_layout = torch.fx.experimental._config.patch(backed_size_oblivious=True)
    with torch.no_grad(), any_layout:
        return torch.export.export(
            AnySize(trained.generator), (example,), dynamic_shapes={"real_A": sides}
        )


def metadata(trained: Trained, options: ExportOptions) -> dict[str, str]:
    """What the file says of itself, by name. value_maps: JSON, as run.json has them: the file
    values `low` and `high` of a domain are -1 and 1.
    """
    return {
        "value_maps": json.dumps({role: m.record() for role, m in trained.value_maps.items()}),
        "run": options.name,
        "epoch": options.epoch,
        "model": trained.options.run.model,
        "weights": digest(trained.generator.state_dict()),
        "version": VERSION,
    }


def as_onnx(program: ExportedProgram, facts: Mapping[str, str]) -> bytes:
    """An ONNX model: input real_A, output fake_B; facts: its metadata."""
    from onnx_ir import Shape

    with catch_warnings():
        simplefilter("ignore", FutureWarning)  # of torch, about itself
        found = torch.onnx.export(
            program, input_names=["real_A"], output_names=["fake_B"], verbose=False
        )
    for value in (*found.model.graph.inputs, *found.model.graph.outputs):
        value.shape = Shape(["batch", value.shape[1], "height", "width"])
    found.model.metadata_props.update(facts)
    return found.model_proto.SerializeToString()


def as_torch_export(program: ExportedProgram, facts: Mapping[str, str]) -> bytes:
    """An archive for torch.export.load; facts: its extra files."""
    buffer = BytesIO()
    torch.export.save(program, buffer, extra_files=dict(facts))
    return buffer.getvalue()


WRITERS = {"onnx": as_onnx, "torch_export": as_torch_export}
