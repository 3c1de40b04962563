import shutil
from pathlib import Path

import numpy as np
from conftest import brightness_episode
from in_process import invoke, refusal
from numpy.typing import NDArray

from vip_offline.analysis.curation.standstill import commanding, without_commands
from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.dataset.validation.idle import Idle
from vip_offline.experiments.trim import rows_to_cut

HEAD, MOTION, TAIL = 20, 40, 15


def visit(seed: int, *, moves: bool = True) -> Episode:
    """A robot that waits, goes somewhere and waits: actions are where it is to be."""
    share = np.concatenate([np.zeros(HEAD), np.linspace(0, 1, MOTION), np.ones(TAIL)])
    noise = np.random.default_rng(seed).normal(0, 1e-4, (len(share), 4))
    state = (moves * share[:, None] + noise).astype(np.float32)
    fields = vars(brightness_episode(len(share), success=True, placement=seed))
    solved = np.arange(len(share)) >= HEAD + MOTION
    return Episode(**{**fields, "proprio": state, "action": state.copy(), "succeeded": solved})


def store_of(path: Path, *episodes: Episode) -> Path:
    with writing(path, create={"task": "reach", "action_kind": "position"}) as store:
        store.append(*episodes)
    return path


def test_a_new_store_without_idle_heads_and_tails(tmp_path: Path) -> None:
    path = store_of(tmp_path / "old.zarr", visit(0), visit(1), visit(2), visit(3, moves=False))
    before = shutil.copytree(path, tmp_path / "copy.zarr")
    assert invoke("relabel", path, "--encoder", "pixels").code in (None, 0)
    new, out = tmp_path / "new.zarr", tmp_path / "out"
    run = ("curate", path, "--out", out, "--trim", new, "--margin", "4")
    output = " ".join(invoke(*run).stdout.split())
    lengths = [stop - start for start, stop in open_store(new).spans()]
    assert all(abs(length - (MOTION + 8)) <= 6 for length in lengths[:3])
    assert lengths[3] == HEAD + MOTION + TAIL
    assert "episodes [3] never move, and are left as they are" in output
    cut = 3 * (HEAD + MOTION + TAIL) - sum(lengths[:3])
    assert f"{cut} of {4 * (HEAD + MOTION + TAIL)} rows cut from 3 of 4 episodes" in output
    assert np.array_equal(open_store(path).data("proprio"), open_store(before).data("proprio"))
    heads = [head for head, _ in open_store(new).attributes["trimmed"]["rows_cut"]]
    assert heads[3] == 0 and all(heads[:3])
    assert "no store is ever trimmed in place" in refusal(*run)
    assert "no store is ever trimmed in place" in refusal("curate", path, "--trim", path)
    assert "lies inside of" in refusal("curate", path, "--trim", path / "data/new.zarr")


def test_what_leads_to_success_stays() -> None:
    idle, never = Idle("", 30, 8, 10), np.zeros(30, bool)
    assert rows_to_cut(idle, never, 2) == (6, 8)
    assert rows_to_cut(idle, np.arange(30) >= 27, 2) == (6, 2)
    assert rows_to_cut(Idle("", 30, 30, 0), never, 2) == (0, 0)
    assert rows_to_cut(Idle("", 8, 4, 4), never, 0) == (0, 0)


def test_who_is_told_to_move_does_not_stand_still() -> None:
    rest, motion = np.zeros((10, 2)), np.linspace((0.3, 1.0), (0.6, 0.5), 20)
    gripper = np.array([-1.0] * 15 + [1.0] * 15)[:, None]
    actions: list[NDArray[np.float64]] = [np.hstack([np.concatenate([rest, motion]), gripper])]
    (commands,) = commanding(actions)
    assert commands.tolist() == [False] * 10 + [True] * 20
    assert without_commands(Idle("", 30, 20, 5), commands) == Idle("", 30, 10, 0)
    assert without_commands(Idle("", 30, 30, 0), commands) == Idle("", 30, 10, 0)
    assert without_commands(Idle("", 30, 7, 3), np.zeros(30, bool)) == Idle("", 30, 7, 3)
