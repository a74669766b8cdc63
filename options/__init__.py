"""Command-line flags: declared in groups.py, defaults by model in presets.py, read in parser.py.

foreign_flags.py explains those that the public code has and this program has not.
"""

from options.groups import (
    DataOptions,
    DisplayOptions,
    EvaluateOptions,
    ExportOptions,
    ModelOptions,
    RunOptions,
    TestOptions,
    TrainingOptions,
    TranslationOptions,
    ValueRange,
)
from options.parser import (
    TestConfig,
    TrainConfig,
    from_dict,
    parse_evaluate,
    parse_export,
    parse_test,
    parse_train,
    to_dict,
)
from options.recorded import continue_options, repeat_options, tested_options
from options.table import option_table

__all__ = [
    "DataOptions",
    "DisplayOptions",
    "EvaluateOptions",
    "ExportOptions",
    "ModelOptions",
    "RunOptions",
    "TestConfig",
    "TestOptions",
    "TrainConfig",
    "TrainingOptions",
    "TranslationOptions",
    "ValueRange",
    "continue_options",
    "from_dict",
    "option_table",
    "parse_evaluate",
    "parse_export",
    "parse_test",
    "parse_train",
    "repeat_options",
    "tested_options",
    "to_dict",
]
