"""Commands have every knob of their options, with its default, and give them back typed."""

from typing import Annotated, Any

import pytest
import typer
import typer.main
from in_process import refusal
from typer.testing import CliRunner

from vip_offline.cli import app
from vip_offline.cli._options import with_options
from vip_offline.errors import VipOfflineError
from vip_offline.options import (
    AnalyzeOptions,
    ClientOptions,
    CompareOptions,
    DeleteOptions,
    ExportOptions,
    ImportOptions,
    InspectOptions,
    PretrainOptions,
    RecordOptions,
    RelabelOptions,
    RolloutOptions,
    ServeOptions,
    ShipOptions,
    SuccessApplyOptions,
    SuccessFitOptions,
    TrainOptions,
)
from vip_offline.options.fields import fields_of
from vip_offline.options.part import Part

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMANDS |= {f"success {name}": command for name, command in COMMANDS["success"].commands.items()}
# what a command leaves out: arms are about it, or a recording server gives no actions
LEFT_OUT = {
    ("compare", TrainOptions): {"algo", "weight_by", "n_steps", "control"},
    ("record", ServeOptions): {"timeout", "hold", "stop_above", "key_map", "log", "unsealed"},
}
RENAMED: dict[tuple[str, str, type], str] = {
    ("compare", "--processes", RolloutOptions): "--rollout-processes"
}


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        ("record", RecordOptions),
        ("record", ServeOptions),
        ("import", ImportOptions),
        ("inspect", InspectOptions),
        ("relabel", RelabelOptions),
        ("delete", DeleteOptions),
        ("export", ExportOptions),
        ("analyze", AnalyzeOptions),
        ("pretrain", PretrainOptions),
        ("train", TrainOptions),
        ("rollout", RolloutOptions),
        ("compare", CompareOptions),
        ("compare", TrainOptions),
        ("compare", RolloutOptions),
        ("record", ClientOptions),
        ("ship", ShipOptions),
        ("serve", ServeOptions),
        ("success fit", SuccessFitOptions),
        ("success apply", SuccessApplyOptions),
    ],
)
def test_a_command_has_every_knob(verb: str, kind: type) -> None:
    flags = {flag for option in COMMANDS[verb].params for flag in option.opts}
    missing = {
        field.name
        for field in fields_of(kind)
        if not {RENAMED.get((verb, flag, kind), flag) for flag in field.flags} <= flags
    }
    recipe_only = {field.name for field in fields_of(kind) if field.option.recipe_only}
    assert missing == recipe_only | LEFT_OUT.get((verb, kind), set())
    help_text = COMMANDS[verb].get_help(typer.Context(COMMANDS[verb]))
    shown = "".join(help_text.split())
    for field in fields_of(kind):
        if field.name not in missing:
            assert "".join(field.option.help.split()) in shown, field.name


def options_of(kind: Any, *arguments: str) -> Any:
    """What a command with these options is called with."""
    calls: list[object] = []
    program = typer.Typer()

    def command(*, options: Any) -> None:
        calls.append(options)

    command.__annotations__ = {"options": kind, "return": None}
    program.command()(with_options(command))
    result = CliRunner().invoke(program, [*arguments])
    if isinstance(result.exception, VipOfflineError):
        raise result.exception
    assert result.exit_code == 0, result.output
    (options,) = calls
    return options


@pytest.mark.parametrize(
    "kind",
    [
        *(RecordOptions, ImportOptions, RelabelOptions, AnalyzeOptions, PretrainOptions),
        *(TrainOptions, RolloutOptions, CompareOptions, ServeOptions, InspectOptions),
    ],
)
def test_without_arguments_they_are_the_defaults(kind: type) -> None:
    assert options_of(kind) == kind()


def test_values_arrive_typed() -> None:
    arguments = ["--tau", "2.5", "--hidden", "8,4", "--weight-by", "return", "--no-standardise"]
    assert options_of(TrainOptions, *arguments, "--cameras", "a,b") == TrainOptions(
        tau=2.5, hidden=(8, 4), weight_by="return", standardise=False, cameras=("a", "b")
    )
    goals = ["--goal", "3:-1", "--goal", "7:40", "--stage", "3:40"]
    assert options_of(RelabelOptions, *goals) == RelabelOptions(
        goal=("3:-1", "7:40"), stages=("3:40",)
    )
    assert options_of(ImportOptions, "--resize", "8x9", "--rate", "a=5") == ImportOptions(
        size=(8, 9), rates=("a=5",)
    )
    assert options_of(ServeOptions, "--stop-above", "2", "--hold", "-1,0").hold == (-1.0, 0.0)


def test_a_part_of_the_options() -> None:
    kind = Annotated[CompareOptions, Part(only=("seeds",), defaults={"seeds": 1, "arms": ("bc",)})]
    assert options_of(kind) == CompareOptions(seeds=1, arms=("bc",))
    assert options_of(kind, "--seeds", "3").seeds == 3


def test_a_renamed_flag_is_named_in_errors() -> None:
    kind = Annotated[RolloutOptions, Part(flags={"processes": "--rollout-processes"})]
    assert options_of(kind, "--rollout-processes", "3").processes == 3
    with pytest.raises(VipOfflineError, match=r"^--rollout-processes 0: must be at least 1"):
        options_of(kind, "--rollout-processes", "0")


def test_an_error_names_the_flag_that_was_typed() -> None:
    assert "error: --episodes 0: must be" in refusal("rollout", "p", "--episodes", "0")
    assert "error: --episodes 0: must be" in refusal("rollout", "p", "--episodes=0")
    assert "error: --placements 0: must be" in refusal("rollout", "p", "--placements", "0")
