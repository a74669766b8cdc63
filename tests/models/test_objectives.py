"""One whole step of each model beside the papers' formulas, written out with torch's own functions.

Losses, and the gradients of every network, must be those of the formulas.
"""

import copy
import random
from itertools import product

import pytest
import torch
import torch.nn.functional as F

from models import model_class
from models.gradcam import gradcam
from models.networks import draw_patch_ids
from models.networks.classifiers import ResNet18Classifier
from models.targets import draw_places, touched
from options.groups import (
    ClassifierOptions,
    CutGradcamOptions,
    CutOptions,
    Pix2PixGradcamOptions,
    Pix2PixOptions,
)
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.seeding import seed_step

# Large weights and steps: that D learns first is felt, and no vector is as short as an epsilon.
SMALL = {"ngf": 4, "ndf": 4, "netG": "resnet_4blocks", "lambda_GAN": 0.5}
SMALL |= {"init_gain": 1.0, "lr": 0.01}
CLASSES = ("BMP2", "MTLB", "T72")
FACTS = DataFacts(classes=("MTLB", "T72"), class_counts=(3, 1), mean=0.25, std=0.5)


@pytest.fixture
def batch():
    a, b = torch.rand(2, 2, 1, 32, 36, generator=torch.Generator().manual_seed(5)) * 2 - 1
    none = [torch.nan] * 4
    box_a = torch.tensor([[[4.0, 5, 12, 16]], [none]])
    box_b = torch.tensor([[[19.0, 22, 30, 28], none], [[3, 3, 9, 9], [20, 15, 40, 27]]])
    return Batch(a, b, torch.tensor([0, 1]), ("x", "y"), box_a, box_b)


def build(name, options):
    seed_step(0, 0)
    return model_class(name)(options, compute=Compute(torch.device("cpu")), facts=FACTS)


def within(boxes, images, *, beyond=lambda side: 0.0):
    """Pixels of each image (B, 1, H, W) in one of its boxes, whose edges move out by `beyond`."""
    mask = torch.zeros(len(images), 1, *images.shape[2:], dtype=torch.bool)
    for number, rows in enumerate(boxes.tolist()):
        for x0, y0, x1, y1 in rows:
            for y, x in product(range(mask.shape[2]), range(mask.shape[3])):
                far = beyond(x1 - x0), beyond(y1 - y0)
                across = x0 - far[0] <= x + 0.5 < x1 + far[0]
                mask[number, 0, y, x] |= across and y0 - far[1] <= y + 0.5 < y1 + far[1]
    return mask


def squared_error(logits, target):
    return F.mse_loss(logits, torch.full_like(logits, target))


def learn(discriminator, fake, real, options):
    """D's own step (Isola et al. 2017, sec. 3.3: its loss is halved). Returns its two losses."""
    losses = {
        "D_fake": squared_error(discriminator(fake.detach()), 0.0),
        "D_real": squared_error(discriminator(real), 1.0),
    }
    betas = (options.beta1, options.beta2)
    adam = torch.optim.Adam(discriminator.parameters(), lr=options.lr, betas=betas)
    (sum(losses.values()) / 2).backward()
    gradient = gradient_of(discriminator)
    adam.step()
    discriminator.requires_grad_(False)
    return losses, gradient


def gradient_of(net):
    return torch.cat([weight.grad.flatten() for weight in net.parameters()])


def check(model, losses, expected, gradients):
    """gradients: by network, flat."""
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-5), name
    for name, gradient in gradients.items():
        difference = (gradient_of(model.networks[name]) - gradient).norm()
        assert difference <= 1e-4 * gradient.norm(), name


def pix2pix_by_hand(model, batch, further=lambda fake: {}):
    """Isola et al. 2017, eq. 4: D sees A beside G(A), and A beside B."""
    generator, discriminator = copy.deepcopy((model.generator, model.discriminator))
    a, b, options = batch.a, batch.b, model.options
    fake = generator(a)
    of_d, gradient = learn(discriminator, torch.cat([a, fake], 1), torch.cat([a, b], 1), options)
    target = within(batch.box_b, b)
    errors = torch.where(target, options.lambda_box * (fake - b).abs(), (fake - b).abs())
    terms = {
        "G_GAN": options.lambda_GAN * squared_error(discriminator(torch.cat([a, fake], 1)), 1.0),
        "G_L1": options.lambda_L1 * errors.mean(),
        **further(fake),
    }
    sum(terms.values()).backward()
    return terms | of_d, {"D": gradient, "G": gradient_of(generator)}


@pytest.mark.parametrize("options", [{}, {"normD": "batch"}, {"lambda_box": 20.0}])
def test_a_step_of_pix2pix(batch, options):
    model = build("pix2pix", Pix2PixOptions(**SMALL, **options, lambda_L1=3.0))
    expected = pix2pix_by_hand(model, batch)
    check(model, model.training_step(batch), *expected)


@pytest.mark.parametrize("target", ["predicted", "label"])
@pytest.mark.parametrize("stage", ["layer4", "layer2"])
def test_a_step_of_pix2pix_with_gradcam(batch, tmp_path, target, stage):
    torch.manual_seed(1)
    file = tmp_path / "classifier.pth"
    torch.save(ResNet18Classifier(classes=CLASSES).export(), file)
    options = {"classifier": str(file), "cam_target": target, "cam_layer": stage}
    options |= {"lambda_L1": 0.1, "lambda_gradcam": 30.0, "lambda_box": 3.0}
    model = build("pix2pix_gradcam", Pix2PixGradcamOptions(**SMALL, **options))
    label = torch.tensor([1, 2])  # MTLB and T72, as the classifier counts
    if target == "predicted":
        label = model.feedback.classifier(batch.b).argmax(dim=1)

    def attention(images):
        return gradcam(model.feedback.classifier, images, label, stage=stage)[0]

    expected = pix2pix_by_hand(
        model, batch, lambda fake: {"G_CAM": 30 * F.mse_loss(attention(fake), attention(batch.b))}
    )
    check(model, model.training_step(batch), *expected)


def test_a_step_of_the_classifier(batch):
    """Cross-entropy in which an image of a class counts by the inverse of the class's number."""
    model = build("classifier", ClassifierOptions())
    net = copy.deepcopy(model.classifier.net).train()
    scores = net((batch.a - 0.25) / 0.5)
    surprise = -scores.log_softmax(dim=1)[[0, 1], batch.label]
    loss = (surprise[0] / 3 + surprise[1]) / (1 / 3 + 1)
    loss.backward()
    accuracy = (scores[:, 1] > scores[:, 0]).eq(batch.label.bool()).float().mean()
    losses = model.training_step(batch)
    expected = {"cross_entropy": loss, "accuracy": accuracy}
    check(model, losses, expected, {"classifier": gradient_of(net)})


def hidden(fake, real, batch, turned):
    """G(A) and B without targets: the places of both hold the means of rings of 3 pixels."""
    fills = [fake, real]
    of_a, of_b = batch.box_a[:, 0], batch.box_b.unbind(1)
    every = [(of_a, turned), *((box, lambda x: x) for box in of_b)]

    def mask(box, turn, further):
        return turn(within(box[:, None], real, beyond=lambda side: 0.1 * side + 1.5 + further))

    inner = [mask(*one, 0) for one in every]
    anywhere = torch.stack(inner).any(dim=0)
    rings = [mask(*one, 3) & ~anywhere for one in every]
    for inside, ring in zip(inner, rings, strict=True):
        for number, images in enumerate((fake, real)):
            total = (images * ring).sum(dim=(2, 3), keepdim=True)
            mean = total / ring.sum(dim=(2, 3), keepdim=True).clamp(min=1)
            fills[number] = torch.where(inside, mean, fills[number])
    return fills


def places(features, batch, options):
    """Patches for each layer and image of A, then B: those of all, or a share in their boxes."""
    if not options.box_patches:
        shared = draw_patch_ids(features, options.num_patches)
        return [ids.expand(2 * len(batch.a), -1) for ids in shared]
    boxes = [*batch.box_a, *batch.box_b][: 4 if options.nce_idt else 2]
    found = []
    for feature in features:
        size = feature.shape[2:]
        masks = torch.cat([touched(b[None], size, batch.a.shape[2:]) for b in boxes])
        found.append(draw_places(masks.flatten(1), options.num_patches, options.box_patches))
    return found


def cut_by_hand(model, batch, turned, further=lambda fake: {}):
    """Park et al. 2020, eq. 3 to 5. turned: how G's input and its features are mirrored, if so;
    further: terms of G(A) as the way round that A is.
    """
    generator, discriminator, sampler = copy.deepcopy(
        (model.generator, model.discriminator, model.sampler)
    )
    a, b, options = batch.a, batch.b, model.options
    fake, *same = generator(turned(torch.cat([a, b] if options.nce_idt else [a]))).split(len(a))
    seen, real = hidden(fake, b, batch, turned) if options.blind_target else (fake, b)
    of_d, gradient = learn(discriminator, seen, real, options)
    ids = places(generator.encode(a, options.nce_layers), batch, options)

    def patches(images, turned=lambda x: x):
        domain = 0 if images is a or images is fake else 1
        for place, feature in enumerate(generator.encode(images, options.nce_layers)):
            features = turned(feature).flatten(2)
            own = ids[place][domain * len(a) :]
            vectors = torch.stack([features[i][:, own[i]].T for i in range(len(a))])
            if options.netF == "mlp_sample":
                vectors = sampler.get_submodule(f"mlp_{place}")(vectors)
            if options.nce_includes_all_negatives_from_minibatch:
                vectors = vectors.flatten(0, 1)[None]
            yield F.normalize(vectors, dim=-1)

    def contrast(source, output):
        losses = []
        for key, query in zip(patches(source), patches(output, turned), strict=True):
            logits = (query @ key.detach().transpose(1, 2) / options.nce_T).flatten(0, 1)
            losses.append(F.cross_entropy(logits, torch.arange(key.shape[1]).repeat(len(key))))
        return options.lambda_NCE * sum(losses) / len(losses)

    terms = {"G_GAN": options.lambda_GAN * squared_error(discriminator(seen), 1.0)}
    terms["NCE"] = contrast(a, fake)
    both = terms["NCE"]
    if options.nce_idt:
        terms["NCE_Y"] = contrast(b, *same)
        both = (terms["NCE"] + terms["NCE_Y"]) / 2
    more = further(turned(fake))
    (terms["G_GAN"] + both + sum(more.values())).backward()
    terms |= more
    gradients = {"D": gradient, "G": gradient_of(generator)}
    if options.netF == "mlp_sample":
        gradients["F"] = gradient_of(sampler)
    return terms | of_d, gradients


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nce_idt": False},
        {"netF": "sample", "nce_T": 0.3},
        {"nce_includes_all_negatives_from_minibatch": True},
        {"normG": "batch"},
        {"flip_equivariance": True},
        {"flip_equivariance": True, "nce_idt": False},
        {"blind_target": True},
        {"blind_target": True, "flip_equivariance": True, "box_patches": 0.5},
        {"box_patches": 0.5, "nce_includes_all_negatives_from_minibatch": True},
        {"box_patches": 0.25, "nce_idt": False},
    ],
)
@pytest.mark.parametrize("chance", [0.49, 0.5])
def test_a_step_of_cut(batch, options, chance, monkeypatch):
    options = {"netF_nc": 8, "num_patches": 20, "lambda_NCE": 2.0, **options}
    model = build("cut", CutOptions(**SMALL, **options))
    for weight in model.sampler.parameters():  # biases too: else patches may be 0 altogether
        weight.data += torch.rand_like(weight)
    monkeypatch.setattr(random, "random", lambda: chance)
    mirrored = "flip_equivariance" in options and chance < 0.5
    torch.manual_seed(0)
    losses, gradients = cut_by_hand(model, batch, lambda x: x.flip(-1) if mirrored else x)
    torch.manual_seed(0)
    check(model, model.training_step(batch), losses, gradients)


@pytest.mark.parametrize(
    "options", [{}, {"flip_equivariance": True, "blind_target": True}, {"cam_layer": "layer2"}]
)
def test_a_step_of_cut_with_gradcam(batch, tmp_path, options, monkeypatch):
    """The maps are those of the source and of G(A), which the discriminator may not see whole."""
    torch.manual_seed(1)
    file = tmp_path / "classifier.pth"
    torch.save(ResNet18Classifier(classes=CLASSES).export(), file)
    flags = {"classifier": str(file), "lambda_gradcam": 30.0, "netF_nc": 8, "num_patches": 20}
    model = build("cut_gradcam", CutGradcamOptions(**SMALL, **flags, **options))
    for weight in model.sampler.parameters():
        weight.data += torch.rand_like(weight)
    monkeypatch.setattr(random, "random", lambda: 0.25)
    mirrored = "flip_equivariance" in options
    label = model.feedback.classifier(batch.a).argmax(dim=1)

    def attention(images):
        stage = model.options.cam_layer
        return gradcam(model.feedback.classifier, images, label, stage=stage)[0]

    torch.manual_seed(0)
    losses, gradients = cut_by_hand(
        model,
        batch,
        lambda x: x.flip(-1) if mirrored else x,
        lambda fake: {"G_CAM": 30 * F.mse_loss(attention(fake), attention(batch.a))},
    )
    torch.manual_seed(0)
    assert losses["G_CAM"] > 0
    check(model, model.training_step(batch), losses, gradients)
