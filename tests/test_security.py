"""Nothing let in: no code from files, no way out of the folders, no markup, no shell, no server."""

import ast
import pickle
import re
import shutil
import subprocess
from contextlib import suppress
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluate
import test as test_program
import train
from data.images import write_image
from models.networks import ResnetGenerator
from options.groups import DisplayOptions
from util.errors import UserError
from util.pages import FOLDER, PageScript

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [p for p in ROOT.rglob("*.py") if not {"tests", ".venv"} & set(p.parts)]
# They run what is in a file, or listen to the network.
FORBIDDEN_MODULES = {
    *("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"),
    *("http.server", "socketserver", "xmlrpc", "pty"),
}
FORBIDDEN_CALLS = {"eval", "exec", "__import__", "os.system", "os.popen", "torch.hub.load"}
FORBIDDEN_CALLS |= {"np.load", "pd.read_pickle", "socket.socket", "subprocess.getoutput"}
TINY = "--ngf 2 --ndf 2 --netG resnet_4blocks --load_size 36 --crop_size 32 --gpu_ids -1".split()
TINY += "--n_epochs 1 --n_epochs_decay 0 --num_threads 0".split()
CUT = [*TINY, "--netF_nc", "4", "--num_patches", "4"]


@pytest.fixture
def data(tmp_path):
    for folder in ("trainA", "trainB"):
        for i in range(2):
            image = np.random.default_rng(i).integers(0, 256, (40, 40)).astype(np.uint8)
            write_image(tmp_path / "data" / folder / f"{i}.png", image)
    lines = [f"train{d}/{i}.png,{d},{i}" for i in "01" for d in "AB"]
    (tmp_path / "data" / "labels.csv").write_text("\n".join(["file,class,group", *lines]) + "\n")
    return tmp_path / "data"


# --- code in files


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture(params=["torch.save", "older torch.save", "bare pickle"])
def trap(request, tmp_path):
    """trap(path): a file that would run code; sprung(): whether any did."""
    mark = tmp_path / "sprung"

    def lay(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"weights": {"x": torch.ones(1)}, "position": Trap(mark), "schedule": 1}
        if request.param == "bare pickle":
            path.write_bytes(pickle.dumps(content))
        else:
            new = request.param == "torch.save"
            torch.save(content, path, _use_new_zipfile_serialization=new)

    lay.sprung = mark.exists
    return lay


PLACES = {
    "bad.pth": {
        "--weights": (test_program, ["--dataset_mode", "single", "--weights", "bad.pth"]),
        "--classifier": (
            train,
            [*TINY, "--model", "pix2pix_gradcam", "--classifier", "bad.pth"],
        ),
        "--imagenet_weights": (
            train,
            [*"--model classifier --gpu_ids -1 --imagenet_weights bad.pth".split()],
        ),
    },
    "checkpoints/x/latest.pth": {
        "--continue_train": (train, ["--name", "x", "--continue_train"]),
    },
    "checkpoints/x/latest_net_G.pth": {
        "--pretrained_name": (train, [*CUT, "--name", "y", "--pretrained_name", "x"]),
    },
}
CASES = [(place, *case) for place, cases in PLACES.items() for case in cases.values()]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    ("place", "program", "flags"), CASES, ids=[flag for cases in PLACES.values() for flag in cases]
)
def test_a_malicious_checkpoint_is_refused_wherever_it_is_named(
    data, tmp_path, monkeypatch, trap, place, program, flags
):
    monkeypatch.chdir(tmp_path)
    trap(tmp_path / place)
    with pytest.raises(UserError, match=r"code in a file is never run"):
        program.main(["--dataroot", str(data), *flags])
    assert not trap.sprung()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_malicious_judge_is_refused(data, tmp_path, trap):
    trap(tmp_path / "bad.pth")
    folders = ["--real", str(data / "trainB"), "--set", "x", str(data / "trainA")]
    with pytest.raises(UserError, match=r"code in a file is never run"):
        evaluate.main([*folders, "--classifier", str(tmp_path / "bad.pth"), "--gpu_ids", "-1"])
    assert not trap.sprung()


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_runs_strings_or_pickles_builds_a_shell_or_listens(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        assert FORBIDDEN_MODULES.isdisjoint(names)
    for name, keywords in calls(tree):
        assert name not in FORBIDDEN_CALLS and "shell" not in keywords
        if name == "torch.load":
            assert keywords["weights_only"] == "True"


# --- names


@pytest.mark.parametrize("name", ["../../x", "..", "a/../../x", "/tmp/x"])
@pytest.mark.parametrize("flag", ["--name", "--phase", "--epoch", "--pretrained_name"])
def test_no_name_leaves_the_folders(data, tmp_path, monkeypatch, flag, name):
    work = tmp_path / "deep" / "work"
    work.mkdir(parents=True)
    net = ResnetGenerator(input_nc=1, output_nc=1, ngf=2)
    torch.save(net.state_dict(), work / "g.pth")
    monkeypatch.chdir(work)
    before = set(tmp_path.rglob("*"))
    programs = [(train, CUT)]
    weights = ["--weights", "g.pth", "--dataset_mode", "single", "--ngf", "2", "--gpu_ids", "-1"]
    if flag in ("--name", "--phase", "--epoch"):
        programs.append((test_program, weights))
    if flag == "--epoch":  # of training: that of the run to start from
        programs[0] = (train, [*CUT, "--pretrained_name", "x"])
    for program, flags in programs:
        with suppress(UserError):
            program.main(["--dataroot", str(data), *flags, flag, name])
            assert (program, flag) == (test_program, "--epoch") or name == ".."
    # test.py writes PHASE_EPOCH below results/NAME: "test_.." is a plain name.
    inside = {work / "results", *(work / "results").rglob("*")}
    assert set(tmp_path.rglob("*")) - before <= inside


def test_a_table_cannot_name_images_beside_the_data(data, tmp_path, monkeypatch):
    shutil.move(data / "trainB", tmp_path / "trainB")
    table = data / "labels.csv"
    table.write_text(table.read_text().replace("trainB", "trainA/../../trainB"))
    monkeypatch.chdir(tmp_path)
    train_on = ["--dataroot", str(data), "--model", "classifier", "--gpu_ids", "-1"]
    with pytest.raises(UserError):  # one class alone is left
        train.main(train_on)


class Page(HTMLParser):
    """Tags and links of a page, and the scripts in it that are code."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.code, self.in_code = [], [], False
        self.feed(text)

    def handle_endtag(self, tag):
        self.in_code = False

    def handle_data(self, data):
        if self.in_code:
            self.code.append(data)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.in_code = tag == "script" and ("type", "application/json") not in attrs
        assert not any(name.startswith("on") for name, _ in attrs)
        links = [value for name, value in attrs if name in ("src", "href")]
        assert not any(urlscheme(value) for value in links)


def urlscheme(address):
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", address)


OWN_SCRIPTS = {PageScript(file.stem, {}).code for file in FOLDER.glob("*.js")}
ODD = '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "'&lt;b>`\n é 적 %22 <script>"


def test_names_of_images_and_runs_are_no_markup_in_pages(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ODD:
        shutil.copy(data / "trainA" / "0.png", data / "trainA" / f"{name}.png")
        shutil.copy(data / "trainB" / "0.png", data / "trainB" / f"{name}.png")
    run = ODD[2].replace("/", "")
    places = ["--dataroot", str(data), "--name", run]
    train.main([*places, *CUT, "--display_freq", "1", "--update_html_freq", "1"])
    test_program.main([*places, "--phase", "train", "--gpu_ids", "-1", "--num_test", "all"])
    pages = [*(tmp_path / "checkpoints").rglob("*.html"), *(tmp_path / "results").rglob("*.html")]
    assert len(pages) == 2
    for path in pages:
        page = Page(path.read_text(encoding="utf-8"))
        assert "img" in page.tags and "b" not in page.tags
        assert all(code in OWN_SCRIPTS for code in page.code)


# --- what is around the program


def test_the_live_view_asks_this_machine_unless_told_otherwise():
    assert DisplayOptions().display_server == "http://localhost"
    assert DisplayOptions().display_id == 0


def numbers(text):
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0]))


FLOORS = re.findall(
    r"^([\w-]+)>=([\d.]+)", (ROOT / "requirements-floors.txt").read_text(), flags=re.MULTILINE
)


@pytest.mark.parametrize(("package", "floor"), FLOORS)
def test_no_dependency_is_older_than_its_known_vulnerabilities(package, floor):
    try:
        installed = version(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    assert numbers(installed) >= numbers(floor)


def test_every_dependency_can_be_given_a_floor():
    text = (ROOT / "requirements-floors.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(FLOORS) == len(lines) and all("CVE-" in line for line in lines)
    assert numbers("2.10.0+cu130") >= numbers("2.9")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck")
def test_scripts_pass_shellcheck():
    scripts = [*(ROOT / "scripts").rglob("*.sh"), *(ROOT / "scripts").rglob("*.sbatch")]
    scripts.append(ROOT / ".ci" / "run")
    assert len(scripts) > 10
    done = subprocess.run(
        ["shellcheck", *map(str, scripts)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
