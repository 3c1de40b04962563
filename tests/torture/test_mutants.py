"""The mutants of a module of a few lines, and one run on real tests."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from torture.mutants import drawn, mutants, passes

MODULE = '''"""Module."""

LIMIT = 3


class Thing:
    """Class."""

    @staticmethod
    def grow(value: int, by: int = 1) -> int:
        """Docstring 1 < 2."""
        if value > LIMIT and by:
            raise ValueError(value)
        return value + by
'''
KINDS = {"condition", "comparison", "operator", "removal"}


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "thing.py"
    path.write_text(MODULE)
    return path


def test_each_mutant_changes_one_thing_of_a_function(module: Path) -> None:
    made = list(mutants(module, module.parent))
    assert {each.kind for each in made} == KINDS
    diffs = {each.diff for each in made}
    assert diffs == {
        "- if value > LIMIT and by:  + if not (value > LIMIT and by):",
        "- if value > LIMIT and by:  + if value > LIMIT or by:",
        "- if value > LIMIT and by:  + if value >= LIMIT and by:",
        "- raise ValueError(value)  + pass",
        "- return value + by  + return value - by",
    }
    for each in made:
        ast.parse(each.source)
        assert '"""Class."""' in each.source
        assert each.source.count("@staticmethod") == 1
        assert "by: int=1" in each.source


def test_the_choice_follows_the_seed_and_takes_kinds_in_turn(module: Path) -> None:
    one, other = (drawn([module], module.parent, 4, 7) for _ in range(2))
    assert one == other
    assert {each.kind for each in one} == KINDS
    assert drawn([module], module.parent, 4, 8) != one


@pytest.mark.slow
def test_tests_see_a_mutant_or_do_not(module: Path) -> None:
    tests = module.with_name("test_thing.py")
    tests.write_text("from thing import Thing\n\n\ndef test():\n    assert Thing.grow(1, 2) == 3\n")
    assert passes(module.parent, ["test_thing.py"], 60)
    (minus,) = (mutant for mutant in mutants(module, module.parent) if "value - by" in mutant.diff)
    module.write_text(minus.source)
    assert not passes(module.parent, ["test_thing.py"], 60)


def test_it_says_what_its_options_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.mutants", "--help"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--tests" in done.stdout
