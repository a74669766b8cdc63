"""Every flag of every command, as frozen dataclasses: name, type, default, help.

The spelling is that of CUT and pix2pix where they have the flag. Values that differ from model to
model stand in options/presets.py, not here.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

GeneratorName = Literal[
    "resnet_9blocks", "resnet_6blocks", "resnet_4blocks", "unet_256", "unet_128"
]
ClassifierName = Literal["resnet18", "attention", "efficientnet_lite0"]
Norm = Literal["instance", "batch", "none"]
ValueRange = tuple[float, float] | Literal["auto"]


def option(
    default: Any,
    help: str,
    *,
    flags: tuple[str, ...] = (),
    negative: str | None = None,
    minimum: float | None = None,
    below: float | None = None,
    may_change: bool = False,
    each_start: bool = False,
    free: bool = False,
    file: bool = False,
) -> Any:
    """A dataclass field with what argparse needs to know.

    flags: further spellings of the flag; negative: a flag that means False; minimum: the smallest
    value allowed; below: the end of the range, itself not allowed; may_change: when a run goes on,
    and where it is tested; each_start: it may, and comes from the command line alone, never from
    the run's record. All of `TrainingOptions` and `DisplayOptions` may change, without a mark.

    free: what is made does not depend on it, or on something else that --resume compares; so is
    each_start, and all of `DisplayOptions`; file: the name of a file, whose content is compared.
    """
    metadata = {
        "help": help,
        "flags": flags,
        "negative": negative,
        "minimum": minimum,
        "below": below,
        "may_change": may_change or each_start,
        "each_start": each_start,
        "free": free or each_start or file,
        "file": file,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class RunOptions:
    """run"""

    model: str = option("cut", "what to train; the last line has the names")
    name: str = option(
        "experiment_name", "name of the run: its folder in checkpoints and results", each_start=True
    )
    checkpoints_dir: str = option("checkpoints", "folder of all checkpoints", each_start=True)
    resume: bool = option(
        False,
        "do what is left to do: begin, go on, or leave what is finished as it is; refused where "
        "that is of other data, flags or inputs",
        each_start=True,
    )
    epoch: str = option(
        "latest",
        "checkpoint to test, or to start from with --pretrained_name: latest, best or an epoch's "
        "number",
        may_change=True,
        free=True,
    )
    gpu_ids: str = option(
        "auto",
        "GPU number; -1 for the CPU; auto takes CUDA (of torchrun's processes each a GPU), MPS or "
        "the CPU",
        each_start=True,
    )
    seed: int = option(0, "start of all randomness: same seed, same run", minimum=0)
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = option(
        "auto",
        "of the networks; auto: in training bf16 where the hardware computes in it, else fp32; in "
        "test.py fp32, of 8 bits with CUDA's TF32 convolutions: about one count off at most",
        may_change=True,
    )
    compile: bool = option(
        False,
        "compile the networks: a slow start, then faster steps",
        may_change=True,
        free=True,
    )


@dataclass(frozen=True)
class DataOptions:
    """data"""

    dataroot: str | None = option(
        None,
        "folder with the images (trainA, trainB or train_A, ...; testA, ... for test.py, or with "
        "--dataset_mode single any images)",
        may_change=True,
        free=True,
    )
    dataset_mode: Literal["unaligned", "aligned", "randomized", "single", "labeled"] = option(
        "unaligned",
        "how images are found and paired; randomized: B with itself, its targets in labels.csv at "
        "random temperatures",
    )
    direction: Literal["AtoB", "BtoA"] = option("AtoB", "which domain is translated into which")
    phase: str = option("train", "which sub-folders are read: train, val, test, ...")
    preprocess: Literal[
        "resize_and_crop", "resize", "crop", "scale_width", "scale_width_and_crop", "none"
    ] = option("resize_and_crop", "how images come to their size")
    load_size: int = option(286, "side, or width, after resizing, before cropping", minimum=1)
    crop_size: int = option(256, "side of the square crop", minimum=1)
    no_flip: bool = option(False, "do not mirror training images at random")
    serial_batches: bool = option(False, "take images in their order, not shuffled")
    batch_size: int = option(
        1,
        "images a step, of each process that torchrun starts; in test.py, where it is not given, "
        "up to 16 of one size on a GPU",
        minimum=1,
    )
    num_threads: int = option(
        4, "processes that read images; 0 reads in the main one", minimum=0, each_start=True
    )
    cache: Literal["ram", "disk", "none"] = option(
        "ram",
        "where decoded training images are kept: ram, in memory that all processes share, unless "
        "a set would take over half of what is free; disk, in a file below $XDG_CACHE_HOME (else "
        "~/.cache) that later runs use too; none, nowhere: each is decoded every time",
        each_start=True,
    )
    on_bad_image: Literal["error", "skip"] = option(
        "error",
        "a training image that cannot be used: error, the run stops at it; skip, it is left out, "
        "with its partner, printed and put into run.json: for that all images are decoded first",
        may_change=True,
    )
    max_dataset_size: int | None = option(None, "read no more images than this a domain", minimum=1)
    value_range: ValueRange | None = option(
        None, "sets --value_range_A and --value_range_B together", may_change=True, free=True
    )
    value_range_A: ValueRange = option(
        "auto",
        "file values of A that become -1 and 1: LO HI, or auto, the whole range of 8 bits and the "
        "extremes of the training images of 16 bits and of floats",
    )
    value_range_B: ValueRange = option("auto", "the same of B")


@dataclass(frozen=True)
class ModelOptions:
    """images that go in"""

    input_nc: int = option(1, "bands of domain A: 1 (thermal) or 3 (RGB)")


@dataclass(frozen=True)
class LearningOptions(ModelOptions):
    """optimiser"""

    lr: float = option(2e-4, "learning rate of Adam", minimum=0, may_change=True)
    accumulate: int = option(
        1,
        "batches a step, whose gradients are averaged: more images a step in the same memory",
        minimum=1,
    )
    beta1: float = option(0.5, "first moment decay of Adam", minimum=0, below=1, may_change=True)
    beta2: float = option(0.999, "second moment decay of Adam", minimum=0, below=1, may_change=True)


@dataclass(frozen=True)
class TranslationOptions(ModelOptions):
    """images that come out"""

    output_nc: int = option(1, "bands of domain B: 1 (thermal) or 3 (RGB)")


@dataclass(frozen=True)
class SensorFitOptions(TranslationOptions):
    """fitted sensor"""

    fit_target: bool = option(
        False, "make the fit right on the targets, too: in the boxes of labels.csv, of A and of B"
    )


@dataclass(frozen=True)
class GanOptions(LearningOptions, TranslationOptions):
    """networks"""

    ngf: int = option(64, "width of the generator's first layer", minimum=1)
    ndf: int = option(64, "width of the discriminator's first layer", minimum=1)
    netG: GeneratorName = option("resnet_9blocks", "generator")
    sensor: str | None = option(
        None,
        "run of --model sensor_fit: G is that sensor, and --netG learns what to add to its images",
        free=True,
    )
    netD: Literal["basic", "n_layers", "pixel"] = option("basic", "discriminator")
    n_layers_D: int = option(3, "layers of --netD n_layers", minimum=1)
    norm: Norm | None = option(
        None, "sets --normG and --normD together", may_change=True, free=True
    )
    normG: Norm = option("instance", "normalisation in the generator")
    normD: Norm = option("instance", "normalisation in the discriminator")
    no_dropout: bool = option(True, "no dropout in the generator")
    no_antialias: bool = option(False, "strided convolutions instead of blurred downsampling")
    no_antialias_up: bool = option(False, "transposed convolutions instead of blurred upsampling")
    init_type: Literal["normal", "xavier", "kaiming", "orthogonal"] = option(
        "xavier", "how weights are drawn"
    )
    init_gain: float = option(0.02, "scale of the drawn weights", minimum=0)
    gan_mode: Literal["lsgan", "vanilla", "nonsaturating", "wgangp"] = option(
        "lsgan", "adversarial loss"
    )
    lambda_GAN: float = option(1.0, "weight of the adversarial loss", minimum=0, may_change=True)
    pool_size: int = option(0, "past fakes that the discriminator sees again", minimum=0)
    ema: float = option(
        0.0,
        "decay a step of the average of G, which is kept as G_ema, validated and used by test.py; "
        "such as 0.999; 0 keeps none",
        minimum=0,
        below=1,
    )


@dataclass(frozen=True)
class CutOptions(GanOptions):
    """CUT"""

    CUT_mode: Literal["CUT", "FastCUT"] = option("CUT", "CUT, or FastCUT with its presets")
    lambda_NCE: float = option(1.0, "weight of the contrastive loss", minimum=0, may_change=True)
    nce_idt: bool = option(True, "contrastive loss on G(B) too (identity)")
    nce_layers: tuple[int, ...] = option((0, 4, 8, 12, 16), "generator layers that are compared")
    nce_includes_all_negatives_from_minibatch: bool = option(
        False, "negatives from all images of the batch, not from the same image only"
    )
    netF: Literal["mlp_sample", "sample"] = option("mlp_sample", "patch features: with MLP or not")
    netF_nc: int = option(256, "width of the patch features", minimum=1)
    num_patches: int = option(256, "patches a layer", minimum=1)
    nce_T: float = option(0.07, "temperature of the contrastive loss", minimum=1e-6)
    flip_equivariance: bool = option(False, "mirror the input at random, features back (FastCUT)")
    blind_target: bool = option(
        False,
        "D sees no target of either domain: boxes of labels.csv, a little larger, show the mean "
        "of what is around them",
    )
    box_patches: float = option(
        0.0,
        "share of the patches that are drawn in the boxes of labels.csv; the rest uniformly",
        minimum=0,
        below=1,
        may_change=True,
    )


@dataclass(frozen=True)
class Pix2PixOptions(GanOptions):
    """Pix2Pix"""

    lambda_L1: float = option(100.0, "weight of the L1 loss", minimum=0, may_change=True)
    lambda_box: float = option(
        1.0,
        "how many times the L1 of a pixel in a box of labels.csv counts; others count once",
        minimum=0,
        may_change=True,
    )


@dataclass(frozen=True)
class FeedbackOptions:
    """attention feedback"""

    classifier: str | None = option(
        None,
        "file of a trained classifier (required)",
        flags=("--resnet18_path",),
        may_change=True,
        file=True,
    )
    lambda_gradcam: float = option(
        10.0, "weight of the attention-map loss", minimum=0, may_change=True
    )
    cam_layer: Literal["layer1", "layer2", "layer3", "layer4"] = option(
        "layer4",
        "stage of the classifier whose last block gives the maps; layer4: its last one",
    )


@dataclass(frozen=True)
class CutGradcamOptions(FeedbackOptions, CutOptions):
    """CUT with attention feedback"""


@dataclass(frozen=True)
class Pix2PixGradcamOptions(FeedbackOptions, Pix2PixOptions):
    """Pix2Pix with Grad-CAM feedback"""

    cam_target: Literal["predicted", "label"] = option(
        "predicted", "class of the maps: predicted on B, or the label of the pair"
    )


@dataclass(frozen=True)
class ClassifierOptions(LearningOptions):
    """classifier"""

    netC: ClassifierName = option(
        "resnet18",
        "network: resnet18, as published; attention, which finds the target and then looks at it; "
        "efficientnet_lite0, which starts from ImageNet, for chips about the targets",
    )
    imagenet_weights: str | None = option(
        None,
        "ResNet-18 weights to start from (torchvision's file); from scratch without",
        may_change=True,
        file=True,
    )
    split_by: Literal["group", "video", "scenario", "range"] = option(
        "group", "column of labels.csv that is never split between training and validation"
    )
    val_fraction: float = option(
        0.2, "share of the training images held out for validation", minimum=0.001, below=1
    )
    hold_out_range: tuple[float, ...] = option(
        (),
        "ranges in metres, as labels.csv has them: all their images, and no others, are held out "
        "for validation, whatever --split_by and --val_fraction say",
        minimum=0,
    )
    view: Literal["auto", "frame", "window", "chip"] = option(
        "auto",
        "how images are seen: frame, whole; window, parts with the target anywhere in them, from "
        "other ranges, too (validated on whole images); chip, squares about the targets, their "
        "side by range; window and chip need boxes in labels.csv; "
        "auto: window for --netC attention, chip for efficientnet_lite0, frame for resnet18",
    )
    no_augment: bool = option(
        False, "no change of values, place and size at random, and no other backgrounds"
    )


@dataclass(frozen=True)
class TrainingOptions:
    """training"""

    n_epochs: int = option(200, "last epoch at the full learning rate", minimum=0)
    n_epochs_decay: int = option(200, "epochs after that, rate falling to zero", minimum=0)
    epoch_count: int = option(1, "first epoch of this run", minimum=1)
    continue_train: bool = option(False, "go on from the run's latest checkpoint", each_start=True)
    like: str | None = option(
        None,
        "repeat this other run under a new --name: its data and options, but for flags that are "
        "given; what is not as it was there is said",
        each_start=True,
    )
    pretrained_name: str | None = option(
        None, "start from the networks of this other run", free=True
    )
    lr_policy: Literal["linear", "step", "plateau", "cosine", "one_cycle"] = option(
        "linear", "how the learning rate falls; one_cycle: from step to step, after it has risen"
    )
    lr_decay_iters: int = option(50, "epochs between the steps of --lr_policy step", minimum=1)
    print_freq: int = option(100, "images between two lines of losses", minimum=1, free=True)
    save_latest_freq: int = option(
        5000, "images between two latest checkpoints", minimum=1, free=True
    )
    save_epoch_freq: int = option(5, "epochs between two kept checkpoints", minimum=1, free=True)
    keep_last: int | None = option(
        None, "keep only so many of those; all without", minimum=1, free=True
    )
    on_nan: Literal["stop", "skip"] = option(
        "stop", "what a loss or gradient that is NaN or infinite does: stop, or leave its step out"
    )
    max_skips: int = option(10, "steps in a row that --on_nan skip may leave out", minimum=1)
    deterministic: bool = option(
        False, "bit-equal runs on a GPU too, by slower algorithms; the CPU needs no such flag"
    )
    val_freq: int = option(
        0, "epochs between two validations, the best of which is kept; 0 for none", minimum=0
    )
    val_phase: str = option(
        "val", "which sub-folders hold the images of --val_freq: val, test, ..."
    )
    val_classifier: str | None = option(
        None,
        "file of a trained classifier for --val_freq: GCSS of pairs, KID of unpaired images",
        file=True,
    )


@dataclass(frozen=True)
class DisplayOptions:
    """display"""

    display_freq: int = option(
        400, "images between two rows of samples; the last step has one, too", minimum=1
    )
    update_html_freq: int = option(1000, "images between two updates of the page", minimum=1)
    no_html: bool = option(False, "write no training page")
    display_id: int = option(0, "1 or more: show losses and images on a visdom server", minimum=-1)
    display_server: str = option("http://localhost", "address of the visdom server")
    display_port: int = option(8097, "port of the visdom server", minimum=1, below=65536)
    display_env: str | None = option(
        None, "environment on the visdom server; without, one of the run's name"
    )
    tensorboard: bool = option(
        False, "write losses, validation and samples as event files for TensorBoard"
    )


@dataclass(frozen=True)
class TestOptions:
    """test"""

    results_dir: str = option("results", "folder of all results", free=True)
    num_test: int | None = option(50, "how many images; all for all", minimum=1)
    eval: bool = option(
        True, "running statistics and no dropout, as it should be", negative="--no_eval"
    )
    no_noise: bool = option(False, "leave out the noise of a fitted sensor")
    weights: str | None = option(
        None, "file with a bare generator state dict, in place of a run", file=True
    )
    save_bits: Literal["auto", "8", "16", "32"] = option(
        "auto",
        "of fake_B and real_B, 32 for floats in TIFF files; auto: as the target domain's files",
    )
    save_format: Literal["png", "tiff"] = option(
        "png", "file type of the results; floats are always TIFF"
    )


@dataclass(frozen=True)
class ExportOptions:
    """export"""

    name: str = option("experiment_name", "name of the run: its folder in checkpoints")
    checkpoints_dir: str = option("checkpoints", "folder of all checkpoints")
    epoch: str = option("latest", "checkpoint to export: latest, best or an epoch's number")
    format: Literal["onnx", "torch_export"] = option(
        "onnx", "onnx, for ONNX Runtime and others; torch_export, for torch.export.load"
    )
    out: str | None = option(None, "file to write (required)")


@dataclass(frozen=True)
class MeasuredOptions:
    """what is measured"""

    results: tuple[str, ...] = option((), "folders with real_A, fake_B and real_B; pooled")
    fake: str | None = option(None, "folder of translations, in place of --results")
    real: str | None = option(
        None, "folder of real images: what sets are compared with, and targets of --fake by name"
    )
    training: str | None = option(
        None, "folder of the real images of the training: how far translations are from copies"
    )
    source: str | None = option(None, "folder of what --fake was translated from, names equal")
    set: tuple[tuple[str, ...], ...] = option(
        (), "a row of the table: NAME FAKE [TARGET [SOURCE]], name and folders; once a row"
    )
    labels: tuple[str, ...] = option(
        (),
        "labels.csv, COCO, YOLO or VOC of the images: boxes, classes, ranges",
        flags=("--boxes",),
    )
    against: tuple[str, ...] = option(
        (),
        "names of rows, or of designs (rows NAME, seed 1; NAME, seed 2): differences of all others "
        "to these, with intervals",
    )
    match_range: float | None = option(
        None,
        "compare only as many images of each range (bins of so many metres) as make the two sets "
        "alike; with --real and --labels",
        minimum=1,
    )
    luma: bool = option(False, "compare luminance of RGB images (PSNR, SSIM, MAE)")
    gpu_ids: str = option("auto", "GPU number; -1 for the CPU; auto takes CUDA or the CPU")


@dataclass(frozen=True)
class JudgingOptions(MeasuredOptions):
    """networks that judge"""

    classifier: str | None = option(
        None,
        "file of a trained classifier, the judge: for attention and MWIR features; not the one "
        "that the translations were trained with",
        flags=("--resnet18_path",),
    )
    chip_classifier: str | None = option(
        None,
        "file of a classifier trained on chips, squares about the boxes: for classes kept and "
        "retrieval; without it --classifier judges them",
    )
    cam_layer: Literal["layer1", "layer2", "layer3", "layer4"] = option(
        "layer4",
        "stage of the classifier whose last block gives the maps; layer4: its last one",
    )
    feature_layer: Literal["layer1", "layer2", "layer3", "layer4"] = option(
        "layer4", "stage of the classifier whose mean features sets are compared by"
    )
    weights_dir: str | None = option(
        None,
        "folder with the weights of Inception, AlexNet and VGG16; without, where downloads lie",
    )
    require: tuple[str, ...] | None = option(
        None, "fail where one of these metrics cannot be measured; bare: all with published weights"
    )


@dataclass(frozen=True)
class EvaluateOptions(JudgingOptions):
    """files of evaluate.py"""

    out: str | None = option(None, "file for the means, JSON")
    csv: str | None = option(
        None,
        "file for the values of each image; without it FILE.csv beside --out FILE.json, or "
        "evaluation.csv in the first results folder",
    )
    report: str | None = option(
        None, "folder for the whole report: page, tables as Markdown and CSV, JSON, image values"
    )
