"""From dataclasses to argparse and back: strict, grouped, with the nearest name for a typo."""

import argparse
import difflib
import math
import re
import sys
import textwrap
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from inspect import get_annotations
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from options import foreign_flags
from options.groups import (
    DataOptions,
    DisplayOptions,
    EvaluateOptions,
    ExportOptions,
    ModelOptions,
    RunOptions,
    TestOptions,
    TrainingOptions,
)
from options.presets import VARIANTS, preset

GROUPS = ("run", "data", "model", "training", "display")
WORDS_FOR_NONE = ("all", "none", "inf")
# Flags that stand for two; each of the two, where it is given as well, goes before.
SHORTHANDS = {"norm": ("normG", "normD"), "value_range": ("value_range_A", "value_range_B")}
# Of values: pix2pix's name for the batch norm of several processes, which is as all is here.
OTHER_SPELLINGS = {"syncbatch": "batch"}

EXAMPLES = {
    "train.py": """\
python train.py --dataroot datasets/mwir_sim2cut --name sim2cut --model cut
python train.py --dataroot datasets/mwir_pix2pix --name pix2pix --model pix2pix --val_freq 5
python train.py --name pix2pix --continue_train
python train.py --dataroot DATA --name quick --model cut --gpu_ids -1 --max_dataset_size 50""",
    "test.py": """\
python test.py --dataroot datasets/mwir_pix2pix --name pix2pix
python test.py --dataroot datasets/mwir_pix2pix --name pix2pix --epoch best --num_test all
python test.py --dataroot SIM --name pix2pix --dataset_mode single --preprocess none
python test.py --dataroot SIM --weights latest_net_G.pth --dataset_mode single""",
    "evaluate.py": """\
python evaluate.py --results results/pix2pix/test_latest
python evaluate.py --results results/pix2pix/test_latest --classifier JUDGE --report report
python evaluate.py --fake TRANSLATED --real REAL --boxes labels.csv
python evaluate.py --real REAL --set pix2pix DIR --set gradcam DIR --report report""",
    "export.py": """\
python export.py --name pix2pix --out pix2pix.onnx
python export.py --name pix2pix --epoch best --format torch_export --out pix2pix.pt2""",
}


@dataclass(frozen=True)
class TrainConfig:
    """All options of one training run; `model` is the option class of the chosen model.

    given: names of the options that were on the command line.
    """

    run: RunOptions
    data: DataOptions
    model: ModelOptions
    training: TrainingOptions
    display: DisplayOptions
    given: frozenset[str] = field(compare=False)


@dataclass(frozen=True)
class TestConfig(TrainConfig):
    """All options of test.py."""

    test: TestOptions


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


class _ReadRange(argparse.Action):
    """LO HI as two numbers, the first the smaller one, or the word auto."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if [text.lower() for text in values] == ["auto"]:
            setattr(namespace, self.dest, "auto")
            return
        try:
            low, high = map(float, values)
        except ValueError:
            low = high = math.nan
        if not -math.inf < low < high < math.inf:
            found = " ".join(values)
            raise argparse.ArgumentError(
                self, f"'{found}' is neither two numbers LO HI, the smaller one first, nor auto"
            )
        setattr(namespace, self.dest, (low, high))


def parse_train(
    argv: Sequence[str] | None, models: Mapping[str, type[ModelOptions]]
) -> TrainConfig:
    """Options of train.py. models: model name -> its option class. Exits with 2 on bad flags.

    train.py and test.py take the same flags, so that a script has one list of flags for both; those
    of the other program have no effect.
    """
    groups, defaults = _model_groups(argv, models)
    about = "Train one stage; with --continue_train go on with a run, by --name alone."
    values, given = _parse(
        argv, groups, defaults, prog="train.py", about=about, models=models, unheeded=("test",)
    )
    return TrainConfig(**{name: values[name] for name in GROUPS}, given=given)


def parse_test(argv: Sequence[str] | None, models: Mapping[str, type[ModelOptions]]) -> TestConfig:
    """Options of test.py, as `parse_train`."""
    groups, defaults = _model_groups(argv, models)
    defaults = {**defaults, "phase": "test"}
    about = (
        "Translate images by the generator of a run: --name tells which, and the run tells model, "
        "networks and size, so these flags need not be given again."
    )
    unheeded = ("training", "display")
    values, given = _parse(
        argv, groups, defaults, prog="test.py", about=about, models=models, unheeded=unheeded
    )
    return TestConfig(**values, given=given)


def parse_evaluate(argv: Sequence[str] | None) -> EvaluateOptions:
    """Options of evaluate.py. Exits with 2 on bad flags."""
    about = (
        "Measure translated images: results of test.py (--results DIR), two folders (--fake DIR "
        "--real DIR), or several sets (--set NAME DIR, once a row, and --real DIR). "
        "docs/METRICS.md defines the metrics."
    )
    groups = {"evaluate": EvaluateOptions}
    values, _ = _parse(argv, groups, {}, prog="evaluate.py", about=about, models={})
    return values["evaluate"]


def parse_export(argv: Sequence[str] | None) -> ExportOptions:
    """Options of export.py. Exits with 2 on bad flags."""
    about = (
        "Write the generator of a run to a file that other programs run without this one: images "
        "in [-1, 1], of any number and size, in and out. The file's metadata says which values -1 "
        "and 1 are."
    )
    groups = {"export": ExportOptions}
    values, _ = _parse(argv, groups, {}, prog="export.py", about=about, models={})
    return values["export"]


def to_dict(config: TrainConfig) -> dict[str, dict[str, Any]]:
    """Nested plain values, as JSON and checkpoints keep them."""
    return {name: asdict(getattr(config, name)) for name in groups_of(config)}


def groups_of(config: TrainConfig) -> list[str]:
    """Names of the groups of options: those of training and, of a `TestConfig`, "test"."""
    return [item.name for item in fields(config) if item.name != "given"]


def from_dict(
    stored: Mapping[str, Mapping[str, Any]], models: Mapping[str, type[ModelOptions]]
) -> TrainConfig:
    """Inverse of `to_dict`. Options that a newer version added take the defaults of the model.

    Raises KeyError or TypeError for what `to_dict` did not write.
    """
    model = stored["run"]["model"]
    defaults, groups = preset(model, {**stored["model"]}), _groups(models[model])
    if "test" in stored:
        groups["test"] = TestOptions
    built = {}
    for name, group in groups.items():
        known = {f.name for f in fields(group)}
        kept = {k: v for k, v in {**defaults, **stored[name]}.items() if k in known}
        built[name] = group(**{k: tuple(v) if isinstance(v, list) else v for k, v in kept.items()})
        _require_possible(built[name])
    config = TestConfig if "test" in stored else TrainConfig
    return config(**built, given=frozenset())


def _require_possible(group: Any) -> None:
    """Raises TypeError for a value that no command line gives."""
    hints = get_type_hints(type(group))
    for item in fields(group):
        value = getattr(group, item.name)
        if not _fits(value, hints[item.name]) or not _in_range(value, *_limits(item.metadata)):
            raise TypeError(f"--{item.name} {value!r}")


def _limits(metadata: Mapping[str, Any]) -> tuple[float, float]:
    """The least value of an option, and the end of its range, itself not allowed."""
    minimum, below = metadata["minimum"], metadata["below"]
    return -math.inf if minimum is None else minimum, math.inf if below is None else below


def _in_range(value: Any, minimum: float, below: float) -> bool:
    return type(value) not in (int, float) or minimum <= value < below


def _fits(value: Any, hint: Any) -> bool:
    kind, parts = get_origin(hint), get_args(hint)
    if kind in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is Literal:
        return value in parts
    if kind is tuple:
        parts = parts[:1] * len(value) if parts[-1] is ... and type(value) is tuple else parts
        return type(value) is tuple and len(value) == len(parts) and all(map(_fits, value, parts))
    return type(value) in ((int, float) if hint is float else (hint,))


def _groups(model_options: type[ModelOptions]) -> dict[str, type]:
    return {
        "run": RunOptions,
        "data": DataOptions,
        "model": model_options,
        "training": TrainingOptions,
        "display": DisplayOptions,
    }


def _model_groups(
    argv: Sequence[str] | None, models: Mapping[str, type[ModelOptions]]
) -> tuple[dict[str, type], dict[str, Any]]:
    """Look at --model first, which decides what flags there are and, with its variant, defaults."""
    first = _Parser(add_help=False, allow_abbrev=False)
    first.add_argument("--model", default=RunOptions.model)
    for name in sorted({*VARIANTS.values()}):
        first.add_argument(f"--{name}")
    chosen, _ = first.parse_known_args(argv)
    if chosen.model in foreign_flags.MODELS:
        first.error(f"--model {chosen.model} is not here; {foreign_flags.MODELS[chosen.model]}.")
    if chosen.model not in models:
        first.error(f"--model {chosen.model} is unknown; choose from {', '.join(models)}.")
    defaults = preset(chosen.model, vars(chosen))
    return _groups(models[chosen.model]) | {"test": TestOptions}, defaults


def _parse(
    argv: Sequence[str] | None,
    groups: Mapping[str, type],
    defaults: Mapping[str, Any],
    *,
    prog: str,
    about: str,
    models: Mapping[str, type[ModelOptions]],
    unheeded: Collection[str] = (),
) -> tuple[dict[str, Any], frozenset[str]]:
    """unheeded: groups of the other program, whose flags are taken and have no effect."""
    names = f"\n\n--model NAME --help shows the flags of {', '.join(models)}." if models else ""
    parser = _Parser(
        prog=prog,
        usage="%(prog)s [flags]",
        description=textwrap.fill(about, 100),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog=f"examples:\n{textwrap.indent(EXAMPLES[prog], '  ')}{names}",
    )
    own_defaults: dict[str, Any] = {}
    for name, group in groups.items():
        _add_flags(parser, group, defaults, own_defaults, shown=name not in unheeded)
    namespace, unknown = parser.parse_known_args(argv)
    flags = _without_values(unknown)
    idle = {_name(word) for word in flags if models} & foreign_flags.WITHOUT_EFFECT.keys()
    if foreign := [word for word in flags if _name(word) not in idle]:
        explained = [_explain_unknown(word, parser, models) for word in foreign]
        parser.error("\nerror: ".join(dict.fromkeys(explained)))
    for name in sorted(idle):
        sys.stderr.write(f"{name} has no effect: {foreign_flags.WITHOUT_EFFECT[name]}\n")
    given = {k: _as_tuples(v) for k, v in vars(namespace).items()}
    for shorthand, names in SHORTHANDS.items():
        if given.get(shorthand):
            given = {**dict.fromkeys(names, given[shorthand]), **given}
    merged = {**own_defaults, **given}
    built = {
        name: group(**{f.name: merged[f.name] for f in fields(group)})
        for name, group in groups.items()
    }
    return built, frozenset(given)


def _add_flags(
    parser: argparse.ArgumentParser,
    group: type,
    presets: Mapping[str, Any],
    defaults: dict[str, Any],
    *,
    shown: bool,
) -> None:
    """One argparse group a class of the inheritance chain; its docstring is the title.

    shown: whether --help has them.
    """
    hints = get_type_hints(group)
    for owner in reversed(group.__mro__[:-1]):
        section = parser.add_argument_group(owner.__doc__)
        for item in fields(owner):
            if item.name not in get_annotations(owner):
                continue
            defaults[item.name] = presets.get(item.name, item.default)
            # SUPPRESS: only flags on the command line enter the namespace, so we know them.
            keywords: dict[str, Any] = {"default": argparse.SUPPRESS, "dest": item.name}
            text = _help(item.metadata["help"], defaults[item.name])
            keywords["help"] = text if shown else argparse.SUPPRESS
            names = (f"--{item.name}", *item.metadata["flags"])
            reader, extra = _reader(hints[item.name], item.metadata)
            section.add_argument(*names, type=reader, **extra, **keywords)
            if item.metadata["negative"]:
                section.add_argument(
                    item.metadata["negative"],
                    dest=item.name,
                    action="store_false",
                    default=argparse.SUPPRESS,
                    help=f"the opposite of --{item.name}" if shown else argparse.SUPPRESS,
                )


def _help(text: str, default: Any) -> str:
    if default is None or default == ():
        return text.replace("%", "%%")
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    return f"{text} (default: {shown})".replace("%", "%%")


def _reader(hint: Any, metadata: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """How argparse reads a value of this type: (function, further keywords)."""
    optional = get_origin(hint) in (Union, types.UnionType)
    if optional:
        hint = next(h for h in get_args(hint) if h is not type(None))
    if hint is bool:
        return _read_bool, {"nargs": "?", "const": True, "metavar": "BOOL"}
    if hint == tuple[float, float]:
        return str, {"nargs": "+", "metavar": ("LO", "HI"), "action": _ReadRange}
    if hint == tuple[int, ...]:
        return _read_ints, {"metavar": "N,N,..."}
    if hint == tuple[float, ...]:
        reader = _read_number(float, *_limits(metadata), optional=False)
        return reader, {"nargs": "+", "metavar": "FLOAT"}
    if hint == tuple[str, ...]:
        # Where None is a value of its own, the bare flag means the empty list.
        return str, {"nargs": "*" if optional else "+", "metavar": "TEXT"}
    if hint == tuple[tuple[str, ...], ...]:
        return str, {"nargs": "+", "metavar": "TEXT", "action": "append"}
    if get_origin(hint) is Literal:
        return _read_choice(get_args(hint)), {"metavar": "|".join(get_args(hint))}
    if hint in (int, float):
        reader = _read_number(hint, *_limits(metadata), optional=optional)
        return reader, {"metavar": hint.__name__.upper()}
    return str, {"metavar": "TEXT"}


def _as_tuples(value: Any) -> Any:
    """Lists of any depth as tuples: frozen options hold nothing that can change."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _read_bool(text: str) -> bool:
    if text.lower() in ("true", "yes", "on", "1", "t", "y"):
        return True
    if text.lower() in ("false", "no", "off", "0", "f", "n"):
        return False
    raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")


def _read_ints(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers such as 0,4,8") from None


def _read_choice(choices: Sequence[str]) -> Any:
    def read(text: str) -> str:
        word = OTHER_SPELLINGS.get(text.lower(), text.lower())
        for choice in choices:
            if choice.lower() == word:
                return choice
        raise argparse.ArgumentTypeError(f"'{text}' is unknown; choose from {', '.join(choices)}")

    return read


def _read_number(kind: type, minimum: float, below: float, *, optional: bool) -> Any:
    def read(text: str) -> int | float | None:
        if optional and text.lower() in WORDS_FOR_NONE:
            return None
        try:
            value = kind(text)
        except ValueError:
            noun = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"'{text}' is not {noun}") from None
        if value != value or abs(value) == math.inf:
            raise argparse.ArgumentTypeError(f"'{text}' is not a finite number")
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{text} is too small; {minimum} is the least")
        if value >= below:
            raise argparse.ArgumentTypeError(f"{text} is too large; it must be below {below}")
        return value

    return read


def _list(words: Sequence[str]) -> str:
    """As one says it: a, b and c."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _spellings(group: type) -> set[str]:
    return {flag for f in fields(group) for flag in (f"--{f.name}", *f.metadata["flags"])}


def _without_values(words: Sequence[str]) -> list[str]:
    """Of what argparse has left over: the flags, and a word before all of them.

    Words behind an unknown flag, numbers below zero too, are taken for its values.
    """
    flags = [word for word in words if re.match(r"-(?!\.?\d)", word)]
    return [*words[:1], *flags]


def _name(flag: str) -> str:
    return flag.partition("=")[0]


def _explain_unknown(
    flag: str, parser: argparse.ArgumentParser, models: Mapping[str, type[ModelOptions]]
) -> str:
    if not flag.startswith("-"):
        return f"'{flag}' stands alone; every value needs its flag before it, as in --name {flag}."
    flag = _name(flag)
    owners = [m for m, group in models.items() if flag in _spellings(group)]
    if owners:
        return f"{flag} is a flag of --model {_list(owners)}; leave it out, or give that --model."
    if models and flag in foreign_flags.FLAGS:
        return f"{flag} is not a flag of {parser.prog}; {foreign_flags.FLAGS[flag]}."
    # Without the dashes, which all flags share: they would make any two flags alike.
    known = [name.strip("-") for action in parser._actions for name in action.option_strings]
    word = flag.strip("-")
    longer = [name for name in known if word and name.startswith(word)]
    nearest = difflib.get_close_matches(word, longer or known, n=1, cutoff=0 if longer else 0.6)
    hint = f"did you mean --{nearest[0]}?" if nearest else "see --help for all flags."
    return f"{flag} is not a flag of {parser.prog}; {hint}"
