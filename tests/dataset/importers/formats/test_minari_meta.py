import json
import os
from pathlib import Path
from typing import Any

import h5py
import pytest
from origins import minari

from vip_offline.dataset.importers.formats.minari import Minari
from vip_offline.dataset.importers.formats.minari_meta import require_own, require_plain
from vip_offline.errors import VipOfflineError


def say(path: Path, **about: Any) -> None:
    file = path / "data/metadata.json"
    metadata = json.loads(file.read_text()) | about
    file.write_text(
        json.dumps({key: value for key, value in metadata.items() if value is not None})
    )


def test_no_environment_is_built(tmp_path: Path) -> None:
    minari(tmp_path / "set")
    mark = tmp_path / "mark"
    spec: dict[str, Any] = {
        "id": "Mark-v0",
        "entry_point": "os:mkdir",
        "kwargs": {"path": str(mark)},
        "additional_wrappers": [],
        "vector_entry_point": None,
    }
    say(tmp_path / "set", observation_space=None, env_spec=json.dumps(spec))
    with pytest.raises(VipOfflineError, match=r"metadata.json: does not state observation_space"):
        Minari(tmp_path / "set")
    assert not mark.exists()
    from minari import MinariDataset

    with pytest.raises(Exception, match="must inherit"):  # what mkdir gives does not
        MinariDataset(tmp_path / "set/data")
    assert mark.exists()  # so it was live


@pytest.mark.parametrize(
    ("count", "part"),
    [
        (10**10, r"is said to hold 1e\+10 episodes"),
        (10**6, "total_episodes is 1000000, and 3 are there"),
        ("many", "total_episodes is 'many'"),
    ],
)
def test_no_more_episodes_than_are_there(tmp_path: Path, count: Any, part: str) -> None:
    minari(tmp_path / "set")
    require_plain(tmp_path / "set/data")
    say(tmp_path / "set", total_episodes=count)
    with pytest.raises(VipOfflineError, match=rf"metadata.json: {part}"):
        Minari(tmp_path / "set")


def test_links_into_other_files_are_refused(tmp_path: Path) -> None:
    minari(tmp_path / "set")
    with h5py.File(tmp_path / "set/data/main_data.hdf5", "r+") as file:
        del file["episode_1/rewards"]
        file["episode_1/rewards"] = h5py.ExternalLink("/etc/hostname", "/")
    source = Minari(tmp_path / "set")
    source.catalogue()
    source.read(0, ["rewards"])
    with pytest.raises(VipOfflineError, match=r"episode_1/rewards is a link into the file '/etc"):
        source.read(1, ["rewards"])
    with h5py.File(tmp_path / "set/data/main_data.hdf5", "r+") as file:
        del file["episode_1"]
        file["episode_1"] = h5py.ExternalLink("/etc/hostname", "/")
    with pytest.raises(VipOfflineError, match=r"episode_1 is a link into the file '/etc"):
        Minari(tmp_path / "set")


def test_an_episode_of_files_has_regular_ones(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0/part.parquet").write_bytes(b"")
    require_own(tmp_path, 0)
    os.mkfifo(tmp_path / "0/pipe.parquet")
    with pytest.raises(VipOfflineError, match=r"pipe.parquet: is a FIFO"):
        require_own(tmp_path, 0)
