"""Do the tests see it when the code is broken? ``python -m tests.torture.mutants MODULE...``.

Neither mutmut nor cosmic-ray tries a few random mutants of one module on given tests without
settings and a session of its own.
"""

import ast
import copy
import difflib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

import typer

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "runs", "datasets")
OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    module: str  # path below the root
    line: int
    kind: str
    source: str  # of the whole module
    diff: str


def functions(tree: ast.AST) -> Iterator[Function]:
    """Outermost functions and methods."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield node
        elif isinstance(node, ast.ClassDef | ast.If | ast.Try):
            yield from functions(node)


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a function that run when it does: no annotations, decorators and docstrings."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "args", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            text = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if isinstance(child, ast.AST) and not text:
                yield child
                yield from _within(child)
    if isinstance(node, ast.Call):
        for arg in node.args:  # the one `args` that is no declaration
            yield arg
            yield from _within(arg)


def changes(node: ast.AST) -> dict[str, Callable[[ast.AST], None]]:
    """What may be changed about a node, in place."""

    def operator(other: ast.AST) -> None:
        assert isinstance(other, ast.BinOp | ast.BoolOp | ast.AugAssign)
        other.op = OTHER[type(other.op)]()  # type: ignore[assignment]

    def comparison(other: ast.AST) -> None:
        assert isinstance(other, ast.Compare)
        other.ops[0] = OTHER[type(other.ops[0])]()  # type: ignore[call-overload]

    def constant(other: ast.AST) -> None:
        assert isinstance(other, ast.Constant) and isinstance(other.value, bool | int | float)
        other.value = not other.value if isinstance(other.value, bool) else other.value + 1

    def negation(other: ast.AST) -> None:
        assert isinstance(other, ast.If | ast.While | ast.IfExp)
        other.test = ast.UnaryOp(ast.Not(), other.test)

    found: dict[str, Callable[[ast.AST], None]] = {}
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in OTHER:
        found["operator"] = operator
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OTHER:
        found["comparison"] = comparison
    if isinstance(node, ast.Constant) and type(node.value) in (bool, int, float):
        found["constant"] = constant
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        found["condition"] = negation
    return found


def _removable(body: object) -> list[int]:
    if not isinstance(body, list):
        return []
    kinds = (ast.Expr, ast.AugAssign, ast.Raise, ast.Delete, ast.Continue, ast.Break)
    return [
        place
        for place, each in enumerate(body)
        if isinstance(each, kinds)
        and not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]


def mutants(path: Path, root: Path) -> Iterator[Mutant]:
    """Every mutant of a module."""
    text = path.read_text(encoding="utf-8")
    for function in functions(ast.parse(text)):
        before = ast.unparse(function)
        for index, node in enumerate(_within(function)):
            for kind, change in changes(node).items():
                changed = copy.deepcopy(function)
                change([*_within(changed)][index])
                yield _mutant(path, root, text, function, changed, kind, node, before)
        for index, node in enumerate([function, *_within(function)]):
            for name in ("body", "orelse", "finalbody"):
                for place in _removable(getattr(node, name, None)):
                    changed = copy.deepcopy(function)
                    body = getattr([changed, *_within(changed)][index], name)
                    gone, body[place] = body[place], ast.Pass()
                    yield _mutant(path, root, text, function, changed, "removal", gone, before)


def _mutant(
    path: Path,
    root: Path,
    text: str,
    function: Function,
    changed: Function,
    kind: str,
    node: ast.AST,
    before: str,
) -> Mutant:
    after, lines = ast.unparse(ast.fix_missing_locations(changed)), text.splitlines()
    first = min([function.lineno, *(each.lineno for each in function.decorator_list)]) - 1
    indented = [" " * function.col_offset + line if line else "" for line in after.splitlines()]
    lines[first : function.end_lineno] = indented
    differing = [
        line.strip()
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    diff = "  ".join(f"{line[0]} {line[1:].strip()}" for line in differing)
    line = getattr(node, "lineno", function.lineno)
    return Mutant(path.relative_to(root).as_posix(), line, kind, "\n".join(lines) + "\n", diff)


def passes(tree: Path, tests: list[str], limit: float) -> bool:
    """Whether tests pass in a tree; those that do not end in time do not."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, check=False, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def drawn(modules: list[Path], root: Path, count: int, seed: int) -> list[Mutant]:
    """So many mutants of all, of each kind about as many."""
    every = [mutant for module in modules for mutant in mutants(module, root)]
    random.Random(seed).shuffle(every)
    turn: dict[str, int] = {}

    def rank(each: Mutant) -> int:
        turn[each.kind] = turn.get(each.kind, -1) + 1
        return turn[each.kind]

    return sorted(every, key=rank)[:count]


def main(
    modules: Annotated[list[Path], typer.Argument(help="Files of the package.")],
    tests: Annotated[list[str], typer.Option(help="Test files or folders.")],
    count: Annotated[int, typer.Option(help="Mutants.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the choice.")] = 0,
    jobs: Annotated[int, typer.Option(help="Runs of the tests side by side.")] = 1,
    limit: Annotated[float, typer.Option(help="Seconds for a run of the tests.")] = 300.0,
) -> None:
    """Break functions at random, and see whether the tests fail."""
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False, width=80)
    chosen = drawn([module.resolve() for module in modules], ROOT, count, seed)
    with tempfile.TemporaryDirectory(prefix="mutants-") as base:
        trees = SimpleQueue[Path]()
        for number in range(jobs):
            tree = Path(base, str(number))
            shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
            trees.put(tree)
        if not passes(tree, tests, limit):
            raise typer.BadParameter(f"--tests {' '.join(tests)}: fail without any mutant")

        def survives(mutant: Mutant) -> bool:
            place = trees.get()
            file = place / mutant.module
            original = file.read_text(encoding="utf-8")
            try:
                file.write_text(mutant.source, encoding="utf-8")
                return passes(place, tests, limit)
            finally:
                file.write_text(original, encoding="utf-8")
                trees.put(place)

        with ThreadPoolExecutor(jobs) as pool:
            alive = [*pool.map(survives, chosen)]
    shown = Table("kind", "mutants", "killed", "survived", box=None)
    for kind in sorted({each.kind for each in chosen}):
        ours = [lives for each, lives in zip(chosen, alive, strict=True) if each.kind == kind]
        shown.add_row(kind, str(len(ours)), str(len(ours) - sum(ours)), str(sum(ours)))
    shown.add_row("all", str(len(alive)), str(len(alive) - sum(alive)), str(sum(alive)))
    console.print(shown)
    for mutant, lives in zip(chosen, alive, strict=True):
        if lives:
            console.print(f"survived: {mutant.module}:{mutant.line}: {mutant.diff}", soft_wrap=True)
    if any(alive):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
