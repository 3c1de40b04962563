"""The short form: a few faults on every command that takes no simulator, always the same ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from torture.commands import COMMANDS, Command, make_world
from torture.pieces import pieces
from torture.results import counts, failures, keep, kept, table
from torture.trials import (
    FAULTS,
    Bench,
    Calm,
    Trial,
    available,
    fits,
    judge_end,
    judge_left,
    mounts,
)

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]
# what is slow, or differs little from another
LEFT_OUT = ("train iql", "import --copy-frames", "delete", "export minari", "export d3rlpy")
SHORT = [
    each
    for each in COMMANDS
    if not each.sim and not each.side_processes and each.name not in (*LEFT_OUT, "pretrain")
]
MOUNTED = ("disk full", "no inodes", "read-only")
SEED = 3


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("torture")
    wanted = {name for each in SHORT for name in each.inputs}
    make_world(folder / "world", folder / "log.txt", wanted)
    return Bench(folder / "world", folder / "slot")


@pytest.fixture(scope="module")
def may_mount() -> bool:
    return mounts()


def faults_of(place: int) -> Iterator[str]:
    """Kill and ctrl-C at a change, and one more in turn."""
    others = [each for each in FAULTS if "change" not in each]
    yield from ("kill at a change", "int at a change")
    yield others[place % len(others)]


@pytest.mark.parametrize("place", range(len(SHORT)), ids=[each.name for each in SHORT])
def test_a_fault_costs_nothing_that_was_done(place: int, bench: Bench, may_mount: bool) -> None:
    command = SHORT[place]
    if not available(command, bench.place.parent):
        pytest.skip("not in this version")
    calm = bench.calm(command)
    for fault in faults_of(place):
        if fits(command, fault) and (may_mount or fault not in MOUNTED):
            trial = FAULTS[fault](bench, command, calm, fault, SEED)
            assert not trial.wrong, trial


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
    frame = labelled / "data/frames_front/c.0.0.0.0"
    frame.write_bytes((labelled / "data/frames_front/c.4.0.0.0").read_bytes())
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
