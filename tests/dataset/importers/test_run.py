import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAM
from imported import imported
from origins import demos, replay, robomimic
from store_files import contents

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.importers.run import episode_batches
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError

FRONT = "front"


def test_a_broken_episode_leaves_nothing_or_is_left_out(tmp_path: Path) -> None:
    import h5py

    robomimic(tmp_path / "set.hdf5")
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        file["data/demo_1/actions"][2, 0] = np.nan
    with pytest.raises(VipOfflineError, match=r"demo_1: action\[2, 0\] is nan"):
        imported(tmp_path / "set.hdf5", tmp_path / "store.zarr")
    assert not (tmp_path / "store.zarr").exists()
    store = imported(tmp_path / "set.hdf5", tmp_path / "store.zarr", skip_broken=True)
    store.require_finished()
    assert store.texts("name") == ["demo_0", "demo_2"]
    assert "demo_1" in store.attributes["left_out"]["1"]
    before = contents(tmp_path / "store.zarr")
    imported(tmp_path / "set.hdf5", tmp_path / "store.zarr", skip_broken=True)
    assert contents(tmp_path / "store.zarr") == before


def test_all_broken_is_no_store(tmp_path: Path) -> None:
    import h5py

    robomimic(tmp_path / "set.hdf5", lengths=(4,))
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        file["data/demo_0/actions"][2, 0] = np.inf
    with pytest.raises(VipOfflineError, match="no episode could be read"):
        imported(tmp_path / "set.hdf5", tmp_path / "store.zarr", skip_broken=True)
    assert not (tmp_path / "store.zarr").exists()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    imported(tmp_path / "set.zarr", tmp_path / "store.zarr", max_episodes=2)
    before = contents(tmp_path / "store.zarr")
    with pytest.raises(VipOfflineError, match="other settings"):
        imported(tmp_path / "set.zarr", tmp_path / "store.zarr")
    assert contents(tmp_path / "store.zarr") == before
    assert len(open_store(tmp_path / "store.zarr")) == 2


@pytest.mark.slow
def test_a_killed_import_goes_on_with_the_next_episode(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr", lengths=(3,) * 6)
    wait = (
        "import sys, time; from vip_offline.dataset.importers import convert as converting; "
        "from vip_offline.dataset.importers import run as importing; "
        "importing.BATCH_EPISODES = 1; convert = converting.Converter.__call__; "
        "converting.Converter.__call__ = lambda self, i: (time.sleep(0.2), convert(self, i))[1]; "
        "from vip_offline.cli import main; "
        "sys.argv = ['vip-offline', 'import', 'set.zarr', 'store.zarr']; main()"
    )
    process = subprocess.Popen([sys.executable, "-c", wait], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not _done(tmp_path / "store.zarr") >= 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    existing = _done(tmp_path / "store.zarr")
    assert 2 <= existing < 6
    with pytest.raises(VipOfflineError, match="Run the command"):
        open_store(tmp_path / "store.zarr").require_finished()
    result = subprocess.run(
        [*PROGRAM, "import", "set.zarr", "store.zarr"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert f"import: {6 - existing} episodes" in result.stdout
    store = open_store(tmp_path / "store.zarr")
    store.require_finished()
    np.testing.assert_array_equal(
        store.data("action"), np.concatenate([episode.action for episode in demos((3,) * 6)])
    )


def _done(path: Path) -> int:
    try:
        return len(open_store(path))
    except VipOfflineError:
        return 0


def test_many_small_episodes_are_written_together() -> None:
    episode = Episode(
        frames={},
        proprio=np.zeros((2, 3), np.float32),
        action=np.zeros((2, 1), np.float32),
        succeeded=np.zeros(2, bool),
        true_reward=np.zeros(2, np.float32),
        success=True,
    )
    big = dataclasses.replace(episode, extras={"x": np.zeros((2, 5_000_000))})

    def some() -> Iterator[Episode]:
        yield from [episode] * 1500
        yield from [big] * 2

    assert [len(batch) for batch in episode_batches(some())] == [1024, 477, 1]
    # while others are still decoded, whatever has come is written now and then
    assert [len(batch) for batch in episode_batches(iter([episode] * 3), seconds=0)] == [1, 1, 1]


@pytest.mark.slow
def test_ten_thousand_tiny_episodes(tmp_path: Path) -> None:
    lengths = (2,) * 10_000
    made = [*demos((2,) * 4)] * 2500
    import zarr

    root = zarr.open_group(tmp_path / "set.zarr", mode="w")
    action = np.concatenate([episode.action for episode in made])
    root.create_array("data/action", data=action)
    root.create_array("data/state", data=np.concatenate([episode.state for episode in made]))
    root.create_array("meta/episode_ends", data=np.cumsum(lengths))
    store = imported(tmp_path / "set.zarr", tmp_path / "store.zarr")
    assert len(store) == 10_000
    np.testing.assert_array_equal(store.data("action"), action)


def test_into_itself_or_less_than_nothing(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    before = contents(tmp_path / "set.zarr")
    with pytest.raises(VipOfflineError, match="into itself"):
        imported(tmp_path / "set.zarr", tmp_path / "set.zarr")
    with pytest.raises(VipOfflineError, match="--max-episodes -1"):
        imported(tmp_path / "set.zarr", tmp_path / "s.zarr", max_episodes=-1)
    assert contents(tmp_path / "set.zarr") == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["set.zarr"]


def test_without_pictures_nothing_is_embedded(tmp_path: Path) -> None:
    import h5py

    from vip_offline.options import RelabelOptions
    from vip_offline.rewards.relabel import relabel

    robomimic(tmp_path / "set.hdf5")
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        for name in file["data"]:
            del file[f"data/{name}/obs/agentview_image"]
    imported(tmp_path / "set.hdf5", tmp_path / "s.zarr")
    with pytest.raises(VipOfflineError, match="has no frames"):
        relabel(tmp_path / "s.zarr", RelabelOptions(encoder="pixels"))
