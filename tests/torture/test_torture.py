"""The short form: a few faults on every command that takes no simulator, always the same ones."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_files import overwrite

from torture.commands import COMMANDS, Command, make_world
from torture.damage import READERS, damaged
from torture.pieces import pieces
from torture.results import counts, failures, keep, kept, table
from torture.trials import (
    FAULTS,
    Bench,
    Calm,
    Trial,
    fits,
    judge_end,
    judge_left,
    mounts,
)

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300), pytest.mark.slow]
# one of each kind, without a simulator
SHORT = [
    each
    for each in COMMANDS
    if each.name
    in (
        *("record --from-client", "import folders", "import --overwrite", "relabel"),
        *("relabel --overwrite", "delete --embedding", "export zarr", "train rwr", "ship"),
        *("inspect --seal", "upgrade"),
    )
]
# what the package is known to do wrong, as verdicts say it; taken off when it is mended
KNOWN: tuple[str, ...] = ()
MOUNTED = ("disk full", "no inodes", "read-only")
SEED = 3
SHORT_READERS = [each for each in READERS if each.name in ("store: train", "training: goes on")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("torture")
    wanted = {name for each in (*SHORT, *SHORT_READERS) for name in each.inputs}
    make_world(folder / "world", folder / "log.txt", wanted)
    return Bench(folder / "world", folder / "slot")


@pytest.fixture(scope="module")
def may_mount() -> bool:
    return mounts()


def faults_of(place: int) -> Iterator[str]:
    """Kill or ctrl-C at a change, and one of the others in turn."""
    others = [each for each in FAULTS if "change" not in each]
    yield ("kill at a change", "int at a change")[place % 2]
    yield others[place % len(others)]


@pytest.mark.parametrize("place", range(len(SHORT)), ids=[each.name for each in SHORT])
def test_a_fault_costs_nothing_that_was_done(place: int, bench: Bench, may_mount: bool) -> None:
    command = SHORT[place]
    calm = bench.calm(command, runs=1)
    for fault in faults_of(place):
        if fits(command, fault) and (may_mount or fault not in MOUNTED):
            assert_passed(FAULTS[fault](bench, command, calm, fault, SEED))


def assert_passed(trial: Trial) -> None:
    wrong = [each for each in trial.wrong if not any(re.fullmatch(k, each) for k in KNOWN)]
    assert not wrong, f"{trial.command}, {trial.fault}, {trial.how}: {'; '.join(wrong)}"


@pytest.mark.parametrize("place", range(len(SHORT_READERS)), ids=[r.name for r in SHORT_READERS])
def test_nothing_damaged_is_used(place: int, bench: Bench) -> None:
    reader = SHORT_READERS[place]
    calm = bench.calm(reader, runs=1)
    for fault in ("flip", "gone"):
        assert_passed(damaged(bench, reader, calm, fault, SEED))


CALM = Calm(
    {"a": "1", "b": "1"}, {"a": "1", "b": "2", "c": "3"}, frozenset("abc"), 1, 4, frozenset()
)
NOTHING = Command("nothing", (), ())


@pytest.mark.parametrize(
    ("now", "wrong"),
    [
        ({"a": "1", "b": "1"}, ""),
        ({"a": "1", "b": "2"}, ""),
        ({"a": "1", "b": "2", "c": "3"}, ""),
        ({"b": "1"}, "(a) lost: a"),
        ({"a": "2", "b": "1"}, "(a) changed: a (2)"),
        ({"a": "1", "b": "1", "c": "half"}, "(a) changed: c (half)"),
        ({"a": "1", "b": "1", "d": "3"}, "(b) visible: d"),
    ],
)
def test_the_oracle_sees_what_is_lost_or_half_made(now: dict[str, str], wrong: str) -> None:
    assert judge_left(CALM, now) == ([wrong] if wrong else [])


def test_the_oracle_sees_what_another_run_does_not_mend() -> None:
    assert judge_end(CALM, CALM.after, set("abc"), NOTHING) == []
    assert judge_end(CALM, CALM.after, {*"abc", ".a.partial"}, NOTHING) == [
        "(e) a leftover after the next run: .a.partial"
    ]
    assert judge_end(CALM, CALM.before, set("abc"), NOTHING) == [
        "(e) other after the next run: b",
        "(e) missing after the next run: c",
    ]


def test_a_piece_is_known_by_what_it_holds(labelled: Path, tmp_path: Path) -> None:
    before = pieces(tmp_path)
    assert {f"demos.zarr episode {index}" for index in range(3)} < before.keys()
    assert "demos.zarr labels/pixels" in before
    overwrite(labelled, "data/proprio", 1, 7.0)
    after = pieces(tmp_path)
    assert {key for key in before if before[key] != after.get(key)} == {"demos.zarr episode 0"}


def test_results_are_kept_and_counted(tmp_path: Path) -> None:
    good = Trial("record", "kill", 0, "at once", True, ())
    bad = Trial("record", "kill", 1, "late", True, ("(a) lost: x", "(a) lost: y"))
    for trial in (good, bad):
        keep(tmp_path, trial, "one")
    keep(tmp_path, good, "other")
    assert kept(tmp_path, "one") == ([good, bad], 1)
    assert counts([good, bad])["total"] == {"trials": 2, "hit": 2, "passed": 1}
    assert failures([good, bad]) == ["record, kill, seed 1 (late), 2 of the kind: (a) lost: x"]
    assert table([good, bad]).row_count == 1
