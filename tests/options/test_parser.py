"""The command line: spellings, values, mistakes."""

import json
import math
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models import MODEL_OPTIONS
from options import (
    foreign_flags,
    from_dict,
    groups,
    parse_evaluate,
    parse_test,
    parse_train,
    to_dict,
)

MODELS = tuple(MODEL_OPTIONS)
GROUPS = (
    *(groups.RunOptions, groups.DataOptions, groups.TrainingOptions),
    *(groups.DisplayOptions, groups.TestOptions),
)


def train(*argv: str):
    return parse_train(argv, MODEL_OPTIONS)


def mistake(capsys, parse, *argv: str) -> str:
    """The one line with which `parse(argv)` ends, its exit code being 2."""
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err


def found(config, name: str):
    """The option of this name, in whichever group it is."""
    (group,) = [g for g in vars(config).values() if hasattr(g, name)]
    return getattr(group, name)


# Every flag that users of CUT and pix2pix type, with a value other than the default.
SHARED = {
    "dataroot": ("d", "d"),
    "name": ("n", "n"),
    "dataset_mode": ("single", "single"),
    "direction": ("BtoA", "BtoA"),
    "input_nc": ("3", 3),
    "preprocess": ("scale_width_and_crop", "scale_width_and_crop"),
    "load_size": ("300", 300),
    "crop_size": ("128", 128),
    "no_flip": (None, True),
    "serial_batches": (None, True),
    "batch_size": ("4", 4),
    "num_threads": ("0", 0),
    "cache": ("disk", "disk"),
    "max_dataset_size": ("7", 7),
    "n_epochs": ("3", 3),
    "n_epochs_decay": ("5", 5),
    "epoch": ("20", "20"),
    "epoch_count": ("2", 2),
    "continue_train": (None, True),
    "pretrained_name": ("other", "other"),
    "lr": ("0.001", 0.001),
    "beta1": ("0.9", 0.9),
    "beta2": ("0.99", 0.99),
    "lr_policy": ("cosine", "cosine"),
    "lr_decay_iters": ("9", 9),
    "gpu_ids": ("-1", "-1"),
    "checkpoints_dir": ("c", "c"),
    "phase": ("val", "val"),
    "display_freq": ("11", 11),
    "display_id": ("1", 1),
    "display_server": ("http://h", "http://h"),
    "display_port": ("99", 99),
    "print_freq": ("12", 12),
    "save_epoch_freq": ("13", 13),
    "save_latest_freq": ("14", 14),
    "no_html": (None, True),
    "update_html_freq": ("15", 15),
    "seed": ("16", 16),
}
NETWORKS = {
    "output_nc": ("3", 3),
    "ngf": ("8", 8),
    "ndf": ("9", 9),
    "netG": ("resnet_4blocks", "resnet_4blocks"),
    "netD": ("pixel", "pixel"),
    "n_layers_D": ("4", 4),
    "normG": ("batch", "batch"),
    "normD": ("none", "none"),
    "no_dropout": ("false", False),
    "no_antialias": (None, True),
    "no_antialias_up": (None, True),
    "init_type": ("orthogonal", "orthogonal"),
    "init_gain": ("0.1", 0.1),
    "gan_mode": ("vanilla", "vanilla"),
    "pool_size": ("50", 50),
    "lambda_GAN": ("0.5", 0.5),
}
CUT = {
    "CUT_mode": ("FastCUT", "FastCUT"),
    "lambda_NCE": ("2", 2.0),
    "nce_idt": ("False", False),
    "nce_layers": ("0,4", (0, 4)),
    "nce_includes_all_negatives_from_minibatch": ("True", True),
    "netF": ("sample", "sample"),
    "netF_nc": ("32", 32),
    "num_patches": ("64", 64),
    "nce_T": ("0.1", 0.1),
    "flip_equivariance": ("True", True),
}
FEEDBACK = {"lambda_gradcam": ("5", 5.0), "classifier": ("f", "f"), "cam_layer": ("layer3",) * 2}
GRADCAM = FEEDBACK | {"lambda_L1": ("50", 50.0), "cam_target": ("label", "label")}
CLASSIFIER = {"hold_out_range": ("1500", (1500.0,)), "view": ("Window", "window")}
TEST = {
    "results_dir": ("r", "r"),
    "num_test": ("7", 7),
    "eval": ("false", False),
    "save_bits": ("16", "16"),
    "save_format": ("TIFF", "tiff"),
}
KNOWN = [
    *[("cut", *item) for item in (SHARED | NETWORKS | CUT).items()],
    *[("cut_gradcam", *item) for item in (CUT | FEEDBACK).items()],
    *[("pix2pix_gradcam", *item) for item in (SHARED | NETWORKS | GRADCAM).items()],
    *[("classifier", *item) for item in (SHARED | CLASSIFIER).items()],
]


@pytest.mark.parametrize(("model", "flag", "case"), KNOWN, ids=lambda v: str(v)[:30])
def test_flags_of_cut_and_pix2pix(model, flag, case):
    text, value = case
    argv = [f"--{flag}"] if text is None else [f"--{flag}", text]
    assert found(train("--model", model, *argv), flag) == value
    if text is not None:
        assert found(train("--model", model, f"--{flag}={text}"), flag) == value


@pytest.mark.parametrize("flag", TEST)
def test_flags_of_test(flag):
    text, value = TEST[flag]
    config = parse_test(["--model", "pix2pix", f"--{flag}", text], MODEL_OPTIONS)
    assert getattr(config.test, flag) == value and flag in config.given


def test_flags_of_train_are_flags_of_test_too():
    argv = [part for name, (text, _) in (SHARED | NETWORKS).items() for part in [f"--{name}", text]]
    config = parse_test([part for part in argv if part is not None], MODEL_OPTIONS)
    assert config.data.load_size == 300 and config.given >= SHARED.keys()


def test_test_has_its_own_defaults():
    config = parse_test([], MODEL_OPTIONS)
    assert (config.data.phase, config.test.num_test, config.run.epoch) == ("test", 50, "latest")
    assert config.test.eval and config.given == frozenset()
    assert not parse_test(["--no_eval"], MODEL_OPTIONS).test.eval


def test_the_classifiers_file_has_its_old_name_too():
    config = train("--model", "pix2pix_gradcam", "--resnet18_path", "c.pth")
    assert config.model.classifier == "c.pth"
    assert parse_evaluate(["--resnet18_path", "c.pth"]).classifier == "c.pth"


def test_evaluate_takes_several_folders():
    options = parse_evaluate(["--results", "a", "b c", "--luma", "--out", "o.json"])
    assert (options.results, options.luma, options.out) == (("a", "b c"), True, "o.json")
    assert options.classifier is None and parse_evaluate([]).results == ()


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (["--nce_idt"], True),
        (["--nce_idt", "--no_flip"], True),
        (["--nce_idt", "True"], True),
        (["--nce_idt=yes"], True),
        (["--nce_idt", "False"], False),
        (["--nce_idt", "false"], False),
        (["--nce_idt=0"], False),
        (["--nce_idt", "False", "--nce_idt", "True"], True),
    ],
)
def test_booleans_bare_or_with_a_word(argv, value):
    assert train(*argv).model.nce_idt is value


@pytest.mark.parametrize("word", ["all", "ALL", "inf", "none"])
def test_no_limit_has_a_word(word):
    assert parse_test(["--num_test", word], MODEL_OPTIONS).test.num_test is None
    assert train("--max_dataset_size", word).data.max_dataset_size is None


def test_choices_are_told_apart_whatever_their_case():
    assert train("--CUT_mode", "fastcut").model.CUT_mode == "FastCUT"
    assert train("--direction", "btoa").data.direction == "BtoA"


def test_the_norm_of_several_processes_is_batch_norm():
    assert train("--norm", "syncbatch") == train("--norm", "batch")


def test_norm_sets_both_and_the_single_flags_go_before_it():
    model = train("--norm", "batch").model
    assert (model.normG, model.normD) == ("batch", "batch")
    model = train("--norm", "none", "--normD", "instance").model
    assert (model.normG, model.normD) == ("none", "instance")
    model = train("--normG", "instance", "--norm", "batch", "--model", "pix2pix").model
    assert (model.normG, model.normD) == ("instance", "batch")


@pytest.mark.parametrize(
    ("argv", "a", "b"),
    [
        ("", "auto", "auto"),
        ("--value_range 5600 20300.5", (5600, 20300.5), (5600, 20300.5)),
        ("--value_range=AUTO", "auto", "auto"),
        ("--value_range_B 0 9 --no_flip", "auto", (0, 9)),
        ("--value_range 0 9 --value_range_A auto", "auto", (0, 9)),
        ("--value_range_A 1 2 --value_range_B auto --value_range 0 9", (1, 2), "auto"),
        ("--value_range -5 1e3 --model classifier", (-5, 1000), (-5, 1000)),
    ],
)
def test_value_ranges(argv, a, b):
    config = train(*argv.split())
    assert (config.data.value_range_A, config.data.value_range_B) == (a, b)
    assert from_dict(json.loads(json.dumps(to_dict(config))), MODEL_OPTIONS) == config


@pytest.mark.parametrize("ends", ["9 0", "5 5", "1", "1 2 3", "auto 5", "nan 5", "0 inf", "a b"])
def test_what_is_no_range_is_named(capsys, ends):
    line = mistake(capsys, train, "--value_range_A", *ends.split())
    assert f"--value_range_A: '{ends}' is neither two numbers LO HI" in line


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--lamda_L1", "5", "--model", "pix2pix"], "did you mean --lambda_L1?"),
        (["--crop-size", "5"], "did you mean --crop_size?"),
        (["--batchsize=5"], "did you mean --batch_size?"),
        (["-name", "x"], "did you mean --name?"),
        (["--qqqqqqqqqqqqq"], "see --help"),
        (["--learning_rate", "1"], "see --help"),
        (
            ["--use_wandb"],
            "not a flag of train.py; web/index.html shows losses and samples",
        ),
        (["--niter=5"], "here it is --n_epochs."),
        (["--lambda_L1", "5"], "flag of --model pix2pix and pix2pix_gradcam"),
        (["--nce_T", "5", "--model", "pix2pix"], "flag of --model cut and cut_gradcam;"),
        (
            ["--ngf", "5", "--model", "classifier"],
            "--model cut, cut_gradcam, pix2pix and pix2pix_gradcam;",
        ),
        (["--resnet18_path", "f"], "flag of --model cut_gradcam and pix2pix_gradcam"),
        (["--CUT_mode", "CUT", "--model", "classifier"], "flag of --model cut"),
        (["stray"], "'stray' stands alone"),
        (["--no_flip", "--nce_layers", "0,4,", "8"], "no list of numbers"),
    ],
)
def test_unknown_flags_are_explained(capsys, argv, words):
    assert words in mistake(capsys, train, *argv)


def test_all_unknown_flags_are_named_at_once(capsys):
    with pytest.raises(SystemExit):
        train("stray", "--n_ep", "-3", "--save_e=5", "--seed", "1", "--crop-size", "9", "--n_ep")
    hints = ["did you mean --n_epochs?", "did you mean --save_epoch_freq?", "--crop_size?"]
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    assert [word in line for word, line in zip(["'stray'", *hints], lines, strict=True)] == [
        True
    ] * 4


@pytest.mark.parametrize("flag", foreign_flags.FLAGS)
def test_what_stands_in_for_a_flag_of_the_public_code_exists(capsys, flag):
    mistake(capsys, train, "--model", "cut", flag)  # is none of ours
    own = {field.name for group in (*MODEL_OPTIONS.values(), *GROUPS) for field in fields(group)}
    assert set(re.findall(r"--(\w+)", foreign_flags.FLAGS[flag])) <= own


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("test", "finds the model by --name"),
        ("cycle_gan", "--model cut"),
        ("pix2pix_cam", "--model pix2pix_gradcam"),
        ("pix2pix_gradcam_feat", "--model pix2pix_gradcam"),
        ("sincut", "--model cut learns from folders"),
    ],
)
def test_models_of_the_public_code_are_explained(capsys, name, words):
    assert words in mistake(capsys, train, "--model", name)


@pytest.mark.parametrize("parse", [parse_train, parse_test])
def test_flags_of_the_public_code_that_change_nothing_cost_a_line(capsys, parse):
    argv = "--name x --verbose --display_winsize 256 --seed 3 --suffix={netG} --aspect_ratio 1.0"
    config = parse(argv.split(), MODEL_OPTIONS)
    assert (config.run.name, config.run.seed, config.given) == ("x", 3, {"name", "seed"})
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        f"--{flag} has no effect"
        for flag in ("aspect_ratio", "display_winsize", "suffix", "verbose")
    ]


def test_beside_a_mistake_they_are_not_mentioned(capsys):
    assert "--qqq is not a flag" in mistake(capsys, train, "--verbose", "--qqq", "1")
    assert "--verbose is not a flag" in mistake(capsys, parse_evaluate, ["--verbose"])


def test_flags_of_the_public_code_that_are_not_here_are_documented():
    text = (Path(__file__).parents[2] / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    flags = foreign_flags.FLAGS | foreign_flags.WITHOUT_EFFECT
    assert [flag for flag in flags if f"`{flag}`" not in text] == []


def test_a_prefix_is_not_taken_for_a_flag(capsys):
    assert "--load is not a flag" in mistake(capsys, train, "--load", "5")


def test_an_unknown_model_names_those_there_are(capsys):
    line = mistake(capsys, train, "--model", "cyclegan")
    assert "cyclegan" in line and all(name in line for name in MODELS)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("--batch_size 0", "1 is the least"),
        ("--load_size -5", "1 is the least"),
        ("--load_size 2.5", "not a whole number"),
        ("--seed -1", "0 is the least"),
        ("--lr -0.1", "0 is the least"),
        ("--lr nan", "not a finite number"),
        ("--lr inf", "not a finite number"),
        ("--lr fast", "not a number"),
        ("--lr", "expected one argument"),
        ("--beta1 1", "below 1"),
        ("--beta2 1.5", "below 1"),
        ("--nce_T 0", "the least"),
        ("--display_port 65536", "below 65536"),
        ("--netG unet", "unet_256"),
        ("--nce_idt maybe", "neither true nor false"),
        ("--nce_idt=", "neither true nor false"),
        ("--nce_layers 0;4", "no list of numbers"),
        ("--max_dataset_size 0", "1 is the least"),
        ("--model classifier --val_fraction 0", "the least"),
        ("--model classifier --val_fraction 1", "below 1"),
        ("--model classifier --val_fraction -0.2", "the least"),
        ("--model classifier --val_fraction nan", "not a finite number"),
        ("--model", "expected one argument"),
    ],
)
def test_values_out_of_range_are_named(capsys, argv, words):
    line = mistake(capsys, train, *argv.split())
    assert words in line and argv.split("--")[-1].split()[0].split("=")[0] in line


@pytest.mark.parametrize("model", MODELS)
def test_help_is_grouped_and_names_every_flag_of_the_model(capsys, model):
    heeded = {parse_train: {"training", "display"}, parse_test: {"test"}}
    for parse, own in heeded.items():
        with pytest.raises(SystemExit) as caught:
            parse(["--model", model, "--help"], MODEL_OPTIONS)
        assert caught.value.code == 0
        text = capsys.readouterr().out
        for title in ("run", "data", "training", "display", "test"):
            shown = title in own | {"run", "data"}
            assert (f"\n{title}:\n" in text) == shown
        assert ("--no_eval" in text) == ("test" in own)
        assert ("--print_freq" in text) == ("training" in own)
        assert len(re.findall(r"^  python \w+\.py ", text, flags=re.MULTILINE)) == 4
        assert ("\noptimiser:\n" in text) == (model != "sensor_fit")
        for item in fields(MODEL_OPTIONS[model]):
            assert f"--{item.name} " in text or f"--{item.name}\n" in text
    assert ("\nCUT:\n" in text) == (model in ("cut", "cut_gradcam"))


def test_help_shows_the_defaults_of_the_model(capsys):
    for model, default in (("cut", "resnet_9blocks"), ("pix2pix", "unet_256")):
        with pytest.raises(SystemExit):
            train("--model", model, "--help")
        assert f"(default: {default})" in capsys.readouterr().out


def test_help_of_evaluate(capsys):
    with pytest.raises(SystemExit) as caught:
        parse_evaluate(["--help"])
    assert caught.value.code == 0 and "--results" in capsys.readouterr().out


@pytest.mark.parametrize("model", MODELS)
def test_options_survive_a_checkpoint_and_json(model):
    config = train("--model", model, "--seed", "5", "--max_dataset_size", "9", "--gpu_ids", "-1")
    if model == "cut":
        config = replace(config, model=replace(config.model, nce_layers=(0, 4)))
    assert from_dict(to_dict(config), MODEL_OPTIONS) == config
    assert from_dict(json.loads(json.dumps(to_dict(config))), MODEL_OPTIONS) == config


def test_options_of_other_versions_are_read():
    stored = to_dict(train("--model", "pix2pix", "--load_size", "300"))
    del stored["data"]["crop_size"]
    stored["data"]["gone"] = 5
    config = from_dict(stored, MODEL_OPTIONS)
    assert (config.data.load_size, config.data.crop_size) == (300, 256)


def test_options_that_an_older_version_lacked_take_the_defaults_of_the_model():
    stored = to_dict(train("--model", "classifier", "--load_size", "300"))
    del stored["training"]["val_freq"], stored["data"]["preprocess"]
    config = from_dict(stored, MODEL_OPTIONS)
    assert (config.training.val_freq, config.data.preprocess) == (1, "resize")
    assert config.data.load_size == 300


IMPOSSIBLE = [
    ("model", "ngf", "abc"),
    ("model", "ngf", -1),
    ("model", "ngf", 2.5),
    ("model", "netG", "evil"),
    ("model", "beta1", 1),
    ("model", "lr", None),
    ("data", "crop_size", True),
    ("data", "dataroot", 5),
    ("data", "value_range_A", [0]),
    ("data", "value_range_A", ["0", "1"]),
    ("run", "seed", [0]),
    ("model", "lambda_L1", float("nan")),
]


@pytest.mark.parametrize(("group", "name", "value"), IMPOSSIBLE)
def test_a_record_with_a_value_that_no_flag_gives_is_refused(group, name, value):
    stored = to_dict(train("--model", "pix2pix"))
    assert name in stored[group]
    stored[group][name] = value
    with pytest.raises(TypeError, match=f"--{name}"):
        from_dict(stored, MODEL_OPTIONS)


def test_a_test_config_is_stored_as_that_of_its_training_run():
    config = parse_test(["--model", "pix2pix"], MODEL_OPTIONS)
    assert from_dict(to_dict(config), MODEL_OPTIONS).model == config.model


def spellings() -> list[str]:
    names = {f.name for group in MODEL_OPTIONS.values() for f in fields(group)}
    names |= {"value_range", "value_range_A", "value_range_B"}
    return sorted(f"--{name}" for name in names | SHARED.keys() | TEST.keys())


VALUES = st.one_of(
    st.sampled_from("0 1 -1 2.5 nan inf -1e-4 1e400 true False all none batch 0,4 ,".split()),
    st.sampled_from(["", "-", "--", "=", "%", "%s", "\0", "~", "-h"]),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=8),
)
FLAGS = st.one_of(st.sampled_from(spellings()), st.text(max_size=8).map(lambda t: f"--{t}"))
WORDS = st.one_of(FLAGS, VALUES, st.tuples(FLAGS, VALUES).map("=".join))


@given(st.sampled_from(MODELS), st.lists(WORDS, max_size=6))
@example("cut", ["--"])
@example("cut", ["--name", "--", "--model"])
@example("cut", ["--seed", "9" * 5000])
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_command_line_gives_options_or_a_sentence(model, words):
    for parse in (parse_train, parse_test):
        try:
            config = parse(["--model", model, *words], MODEL_OPTIONS)
        except SystemExit as error:
            assert error.code in (0, 2)
        else:
            assert from_dict(to_dict(config), MODEL_OPTIONS).run == config.run
            if isinstance(config.model, groups.LearningOptions):
                assert math.isfinite(config.model.lr) and 0 <= config.model.beta1 < 1
            assert config.data.batch_size >= 1
