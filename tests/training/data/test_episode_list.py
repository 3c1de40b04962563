import json
from pathlib import Path
from typing import Any

import pytest

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions, TrainOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.training.data.dataset import identity, training_set
from vip_offline.training.data.episode_list import as_text, lengths_of, listed_episodes


def test_numbers_and_ranges(store_path: Path) -> None:
    store = open_store(store_path)  # of three episodes
    assert listed_episodes(store, store_path, "0-1, 2") == [0, 1, 2]
    assert listed_episodes(store, store_path, "2") == [2]
    assert as_text([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,x", "'x' is neither a number nor a range"),
        ("2-1", "ends before it begins. Write 1-2"),
        ("0-7", "names episode 3, but .* has 3, from 0 to 2"),
        ("999999999", "names episode 999999999"),
        ("0,0-1", "names episode 0 twice"),
        ("gone.json", "there is no such file"),
    ],
)
def test_what_names_no_episode(store_path: Path, text: str, says: str) -> None:
    with pytest.raises(VipOfflineError, match=says):
        listed_episodes(open_store(store_path), store_path, text)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"keep": []}, "names no episode"),
        ({"keep": [0, -1]}, "names episode -1"),
        ({"keep": "0-1"}, "holds no list"),
        ({"keep": [True]}, "holds no list"),
        ({"keep": [0], "episodes": 30}, "is of a store of 30 episodes, .* has 3"),
        ({"keep": [0], "lengths": [1, 2, 3]}, "another store: episode 0 had 1 rows there"),
        ({"keep": [0], "lengths": "many"}, "is of another store"),
        ([0], "holds no list"),
    ],
)
def test_files_that_are_no_choice_of_this_store(
    store_path: Path, tmp_path: Path, content: Any, says: str
) -> None:
    file = tmp_path / "keep.json"
    file.write_text(json.dumps(content))
    with pytest.raises(VipOfflineError, match=says):
        listed_episodes(open_store(store_path), store_path, str(file))


def test_only_the_named_are_learnt_from_and_a_changed_file_is_another_policy(
    store_path: Path, tmp_path: Path
) -> None:
    relabel(store_path, RelabelOptions("pixels", name="x"))
    file = tmp_path / "keep.json"
    lengths = lengths_of(open_store(store_path))
    file.write_text(json.dumps({"keep": [0, 2], "episodes": 3, "lengths": lengths}))
    options = TrainOptions(algo="bc", label="x", episodes=str(file))
    data = training_set(store_path, options)
    assert data.manifest["episodes"] == [0, 2]
    before = identity(store_path, options)
    assert before["options"]["episodes"] == "0,2"
    file.write_text(json.dumps({"keep": [1]}))
    assert identity(store_path, options) != before
