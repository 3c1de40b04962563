from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vip_offline.training.networks.descent import Columns, Settings, State, advance, shapes
from vip_offline.training.worker_steps import NAMES, Shelf, advance_there, start_side
from vip_offline.utils.parallel import context

SETTINGS = Settings((6, 8, 2), None, 4, 1e-3, (0.9, 0.999), 1e-8)


def made_columns(seed: int = 0) -> Columns:
    generator = np.random.default_rng(seed)
    return Columns(
        observation=generator.normal(size=(20, 6)).astype(np.float32),
        action=generator.uniform(-1, 1, (20, 2)).astype(np.float32),
        weight=generator.uniform(0, 2, (20, 1)).astype(np.float32),
    )


def made_state() -> State:
    count = sum(int(np.prod(each)) for each in shapes(SETTINGS.widths, gaussian=False))
    flat = np.random.default_rng(1).normal(size=count).astype(np.float32)
    zeros = np.zeros_like(flat)
    drawn = np.random.RandomState(0).get_state(legacy=True)
    return State(flat, zeros, zeros, 0, tuple(drawn))


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "2")  # what torch would take there
        with ProcessPoolExecutor(1, context(), start_side) as one:
            yield one


def test_a_shelf_holds_what_was_put_there_once(tmp_path: Path) -> None:
    shelf, first, second = Shelf(tmp_path), made_columns(0), made_columns(1)
    places = [shelf.put(each) for each in (first, second, first)]
    assert places[0] == places[2] != places[1]
    for columns, there in zip((first, second), places, strict=False):
        for name in NAMES:
            np.testing.assert_array_equal(np.load(there / f"{name}.npy"), getattr(columns, name))


def test_files_go_when_the_columns_do_and_no_name_comes_back(tmp_path: Path) -> None:
    shelf, kept = Shelf(tmp_path), made_columns()
    there, used = shelf.put(kept), set[Path]()
    for _ in range(20):  # what is made where another lay has its id
        used.add(shelf.put(replace(kept)))
        assert list(tmp_path.iterdir()) == [there]
    assert len(used) == 20
    assert there not in used


def test_a_side_process_takes_the_same_steps(pool: ProcessPoolExecutor, tmp_path: Path) -> None:
    shelf, here = Shelf(tmp_path), made_state()
    for columns in (made_columns(0), made_columns(1), made_columns(2)):
        there = here
        for steps in (5, 3):
            here, loss = advance(here, columns, SETTINGS, steps)
            place = shelf.put(columns)
            there, told = pool.submit(advance_there, there, place, SETTINGS, steps).result()
            assert told == loss
        for name in ("parameters", "exp_avg", "exp_avg_sq"):
            np.testing.assert_array_equal(getattr(there, name), getattr(here, name))
        assert there.step == here.step
        np.testing.assert_array_equal(there.generator[1], here.generator[1])
        assert there.generator[2] == here.generator[2]


def test_a_side_process_leaves_the_files_as_they_are(
    pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    shelf, columns = Shelf(tmp_path), made_columns()
    there = shelf.put(columns)
    before = {each.name: each.read_bytes() for each in there.iterdir()}
    pool.submit(advance_there, made_state(), there, SETTINGS, 5).result()
    assert {each.name: each.read_bytes() for each in there.iterdir()} == before


def test_a_side_process_knows_torch_on_one_thread_and_no_trainer(
    pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    shelf, columns = Shelf(tmp_path), made_columns()
    pool.submit(advance_there, made_state(), shelf.put(columns), SETTINGS, 1).result()
    # a function of this file would import it there, and what it imports
    known = set(pool.submit(eval, "list(__import__('sys').modules)").result())
    assert "vip_offline.training.worker_steps" in known
    assert not {"d3rlpy", "zarr", "sklearn", "vip_offline.dataset.store"} & known
    assert pool.submit(eval, "__import__('torch').get_num_threads()").result() == 1
