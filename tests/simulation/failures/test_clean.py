from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import RecordOptions
from vip_offline.simulation.failures.clean import at_rest, check_kinds
from vip_offline.simulation.record import planned_episodes, record, record_planned
from vip_offline.simulation.simulators import clean_failures

DRAWER = RecordOptions(
    task="ogbench/drawer-close",
    episodes=3,
    failures=3,
    image_size=32,
    failures_as=("stopped-short", "undone", "wrong-object"),
)


def test_kinds_take_turns_and_the_mixture_of_before_stays() -> None:
    chosen = RecordOptions(task="push", episodes=5, failures=4, failures_as=("undone",))
    assert [kind for kind, _ in planned_episodes(chosen)] == ["expert", *["undone"] * 4]
    plain = planned_episodes(replace(chosen, failures_as=()))
    assert [kind for kind, _ in plain] == ["expert", "frozen", "pulled", "noisy", "wandering"]


@pytest.mark.parametrize(
    ("task", "kind", "can"),
    [
        ("drawer-close", "wrong-place", "drawer-close can fail as"),
        ("push", "wrong-object", "push can fail as wrong-place"),
        ("ogbench/cube-move", "wrong-object", "can fail as wrong-place, stopped-short, undone"),
        ("basketball", "undone", "has none of"),
        ("push", "oops", "is no kind of clean failure"),
    ],
)
def test_what_a_task_cannot_do_is_refused_with_what_it_can(task: str, kind: str, can: str) -> None:
    with pytest.raises(VipOfflineError, match=can) as error:
        check_kinds(task, (kind,), tuple(clean_failures(task)))
    assert f"--failures-as {kind}" in str(error.value)


def test_a_kind_twice_is_refused() -> None:
    with pytest.raises(VipOfflineError, match="once"):
        check_kinds("push", ("undone", "undone"), tuple(clean_failures("push")))


def test_an_object_that_was_not_moved_is_not_at_rest() -> None:
    over = at_rest(lambda state: state, rate=20.0)
    assert not any(over(np.zeros(3)) for _ in range(20))
    assert not over(np.array([0.1, 0.0, 0.0]))  # on its way
    assert [over(np.array([0.1, 0.0, 0.0])) for _ in range(4)] == [False, False, False, True]


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_drawer_is_left_open_opened_again_or_the_cube_is_moved(
    tmp_path: Path, level: int
) -> None:
    nuisance = {"nuisance": ("light",), "nuisance_level": level} if level else {}
    record(tmp_path / "a.zarr", replace(DRAWER, **nuisance), processes=1)  # type: ignore[arg-type]
    store = open_store(tmp_path / "a.zarr")
    assert store.kinds() == list(DRAWER.failures_as)
    assert not store.meta("success").any()
    flags = [store.data("succeeded")[start:stop] for start, stop in store.spans()]
    # what is undone was solved in between: its success is that of its end
    assert [bool(flag.any()) for flag in flags] == [False, True, False]
    assert not flags[1][-1]
    assert max(stop - start for start, stop in store.spans()) < 150


@pytest.mark.sim
@pytest.mark.slow
def test_a_push_ends_elsewhere_or_is_taken_back() -> None:
    options = RecordOptions(task="push", image_size=32)
    wrong, _ = record_planned(("wrong-place", 3), options)
    assert (wrong.kind, wrong.success, bool(wrong.succeeded.any())) == ("wrong-place", False, False)
    undone, _ = record_planned(("undone", 3), options)
    assert (undone.kind, undone.success, bool(undone.succeeded.any())) == ("undone", False, True)
