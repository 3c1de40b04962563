"""A three-episode store with a known answer, and small worlds around it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Read when numpy and torch are loaded, here and in every process that a test starts. On arrays as
# small as these a second thread only spins while it waits: some tests took twenty times as long.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
from hypothesis import settings

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store_writer import writing

# how long an example takes is the machine's, not the code's
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")

PROGRAM = [sys.executable, "-m", "vip_offline"]
SIZE = 32  # px
LENGTHS = (5, 7, 6)
SUCCESSES = (True, False, True)


def brightness_episode(length: int, success: bool, placement: int) -> Episode:
    """Frames of one grey level: it rises to 100 in a success and stays at 0 in a failure."""
    top = 100 if success else 0
    levels = np.linspace(0, top, length).round().astype(np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (length, SIZE, SIZE, 3))
    generator = np.random.default_rng(placement)
    return Episode(
        frames={"front": np.ascontiguousarray(frames)},
        proprio=generator.normal(size=(length, 4)).astype(np.float32),
        action=generator.uniform(-1, 1, (length, 4)).astype(np.float32),
        succeeded=np.arange(length) >= (length - 1 if success else length),
        true_reward=np.append(np.ones(length - 1), np.nan).astype(np.float32),
        success=success,
        kind="expert" if success else "frozen",
        placement=placement,
    )


# minutes each: were they the last, one process would be at them while the others wait
LONG = ("test_docs.py", "test_notebooks.py", "test_cli.py", "test_ogbench.py", "test_record.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    rank = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def unflushed() -> Iterator[None]:
    """Waits for the disk are a third of a store's writing; a power cut would end the tests, too.

    Tests of what is flushed put their own function in its place.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def two_threads() -> Iterator[int]:
    """As many as torch has on two cores, for tests of who changes that number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    """One line per model built, with all 3,000 means of its input, drowns what failed."""
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()


def write_store(path: Path, lengths: tuple[int, ...], successes: tuple[bool, ...]) -> Path:
    """Write episodes of rising or constant grey."""
    with writing(path, create={"task": "drawer-close", "proprio": ["x", "y", "z", "g"]}) as store:
        for index, (length, success) in enumerate(zip(lengths, successes, strict=True)):
            store.append(brightness_episode(length, success, index))
    return path


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Path]:
    def make(
        name: str = "demos",
        lengths: tuple[int, ...] = LENGTHS,
        successes: tuple[bool, ...] = SUCCESSES,
    ) -> Path:
        return write_store(tmp_path / f"{name}.zarr", lengths, successes)

    return make


@pytest.fixture(scope="session")
def store_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store, to be copied: writing it takes twenty times as long."""
    return write_store(tmp_path_factory.mktemp("store") / "demos.zarr", LENGTHS, SUCCESSES)


@pytest.fixture(scope="session")
def labelled_once(store_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The labelled store, to be copied."""
    from vip_offline.options import RelabelOptions
    from vip_offline.rewards.relabel import relabel

    path = tmp_path_factory.mktemp("labelled") / "demos.zarr"
    shutil.copytree(store_once, path)
    relabel(path, RelabelOptions(encoder="pixels"))
    return path


@pytest.fixture
def store_path(store_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(store_once, tmp_path / "demos.zarr"))


@pytest.fixture
def labelled(labelled_once: Path, store_path: Path) -> Path:
    return Path(shutil.copytree(labelled_once, store_path, dirs_exist_ok=True))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `vip-offline run recipes/smoke.toml` ran, as a user runs it."""
    folder = tmp_path_factory.mktemp("smoke")
    shutil.copytree(Path(__file__).parents[1] / "recipes", folder / "recipes")
    result = subprocess.run(
        [*PROGRAM, "run", "recipes/smoke.toml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    (folder / "output.txt").write_text(result.stdout)
    return folder


@pytest.fixture(scope="session")
def shipped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy folder that was made ready, with vip-mini in it; to be read alone."""
    from made_up_policies import shipped_policy

    return shipped_policy(tmp_path_factory.mktemp("shipped"))


@pytest.fixture
def shipped(shipped_once: Path, tmp_path: Path) -> Path:
    """A copy of it, as on another computer."""
    from made_up_policies import copied

    return copied(shipped_once, tmp_path / "robot")
