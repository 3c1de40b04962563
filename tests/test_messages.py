"""A flag or a command that a message advises is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import vip_offline
from vip_offline.cli import app

PACKAGE = Path(vip_offline.__file__).parent
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
FLAGS = {  # those of a command's own commands, too
    verb: {
        flag
        for part in (command, *getattr(command, "commands", {}).values())
        for param in part.params
        for flag in (*param.opts, *param.secondary_opts)
    }
    for verb, command in COMMANDS.items()
}
ANYWHERE = {"--help", "--version", "--traceback"}
PHRASES = {"store", "pretraining"}  # "a vip-offline store", and a format's name
FOREIGN = {"--no-install-recommends", "--no"}  # of another program; the start of a flag
STYLES = {"report/html/style.py", "report/html/analysis_outline.py"}  # CSS has names like flags
# whose messages each module's are, where a sentence names no command itself; what is not listed
# may name a flag of any command
SHOWN_BY = {
    "dataset/importers/link.py": (),
    "dataset/importers/": ("import",),
    "deployment/export.py": ("ship",),
    "deployment/guard/": ("serve",),
    "deployment/recording/": ("record",),
    "deployment/server/server.py": ("serve", "record"),
    "deployment/server/": ("serve",),
    "encoders/backends.py": ("relabel",),
    "encoders/onnx_graphs.py": ("relabel", "train", "rollout", "ship"),
    "encoders/weight_files.py": ("relabel", "train", "rollout", "compare", "ship"),
    "experiments/analyze.py": ("analyze",),
    "experiments/export_data.py": ("export",),
    "experiments/train.py": ("train",),
    "options/pretrain.py": ("pretrain",),
    "options/serve.py": ("serve",),
    "policies/runtime.py": ("rollout", "verify", "serve"),
    "pretraining/": ("pretrain",),
    "rewards/policy_cameras.py": ("train", "compare"),
    "rewards/success/judge.py": ("record", "serve", "rollout"),
    "rewards/success/": ("success",),
    "rewards/": ("relabel",),
    "simulation/hidden_targets.py": ("record",),
    "simulation/record.py": ("record",),
    "simulation/rollout.py": ("rollout",),
    "simulation/vector_env.py": ("rollout", "compare", "run"),
    "training/weighting/weights.py": ("train",),
    "utils/parallel.py": ("record", "train", "rollout", "compare", "run"),
}


def sentences(code: str) -> Iterator[tuple[int, str]]:
    """Line and text of each string that is no docstring; values in it become {}."""
    tree = ast.parse(code)
    silent: set[ast.AST] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            silent.add(body[0].value)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            silent |= {*ast.walk(node)} - {node}
            if node not in silent:
                parts = (str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
                yield node.lineno, "".join(parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in silent:
            yield node.lineno, node.value


def unknown(text: str, shown_by: tuple[str, ...]) -> list[str]:
    """What a sentence advises that is not there.

    A flag belongs to the command that is named before it in the same clause, as in "import with
    --resize"; else to whatever command shows the sentence.
    """
    commands = re.findall(r"vip-offline ([a-z]+)", text)
    wrong = [
        f"vip-offline {command}" for command in commands if command not in {*COMMANDS, *PHRASES}
    ]
    for clause in re.split(r"[.;:,()](?=\s|$)|[()]", text):
        for match in re.finditer(r"(?<![\w-])--[a-z][\w-]*\w", clause):
            named = [each for each in re.findall(r"[a-z]+", clause[: match.start()].lower())
                     if each in COMMANDS]  # fmt: skip
            verbs, flag = tuple(named[-1:]) or shown_by, match.group()
            if flag in ANYWHERE | FOREIGN:
                continue
            wrong += [f"{flag} of {verb}" for verb in verbs if flag not in FLAGS[verb]]
            if not verbs and not any(flag in flags for flags in FLAGS.values()):
                wrong.append(flag)
    return wrong


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_messages_advise_what_is_there(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    if name in STYLES:
        return
    shown_by = next((verbs for start, verbs in SHOWN_BY.items() if name.startswith(start)), ())
    wrong = [
        f"{name}:{line}: {each} in {text!r}"
        for line, text in sentences(path.read_text())
        for each in unknown(text, shown_by)
    ]
    assert not wrong, "\n".join(wrong)


def test_a_flag_of_another_command_is_noticed() -> None:
    assert unknown("It is gone. Use --backend torch.", ("train",)) == ["--backend of train"]
    assert unknown("Run `vip-offline relabel {} --backend torch`.", ("train",)) == []
    assert unknown("Run `vip-offline relable`.", ()) == ["vip-offline relable"]
    assert unknown("Use --bakend.", ()) == ["--bakend"]


def test_every_module_that_is_named_is_there() -> None:
    for start in SHOWN_BY:
        assert (PACKAGE / start).exists(), start
