import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from origins import lerobot

from vip_offline.dataset.importers.formats.lerobot_meta import (
    files_of_episodes,
    read_episodes,
    read_info,
    read_tasks,
    whole,
    words_of,
)
from vip_offline.errors import VipOfflineError


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3), (3.0, 3), (3.5, None), (True, None), ("3", None), (None, None)]
)
def test_whole_numbers(value: Any, number: int | None) -> None:
    assert whole(value) == number


@pytest.mark.parametrize(
    ("tasks", "words"),
    [("pick it", "pick it"), (["pick", "place"], "pick; place"), (None, ""), ([], "")],
)
def test_words_of_tasks(tasks: Any, words: str) -> None:
    assert words_of(tasks) == words


def test_the_list_of_episodes_of_either_version(tmp_path: Path) -> None:
    for version in ("v3.0", "v2.1", "v2.0"):
        path = tmp_path / version
        lerobot(path, version=version)
        episodes = read_episodes(path, read_info(path))
        assert [episode["length"] for episode in episodes] == [5, 7, 4]


def test_lines_and_tasks_that_are_none(tmp_path: Path) -> None:
    lerobot(tmp_path, version="v2.1")
    assert read_tasks(tmp_path) == {}
    (tmp_path / "meta/tasks.jsonl").write_text(json.dumps({"task": "pick"}))
    with pytest.raises(VipOfflineError, match=r"tasks.jsonl, line 1: .* is no task .*task_index"):
        read_tasks(tmp_path)
    (tmp_path / "meta/episodes.jsonl").write_bytes(b"\xff")
    with pytest.raises(VipOfflineError, match=r"episodes.jsonl: cannot be read"):
        read_episodes(tmp_path, read_info(tmp_path))


def test_which_files_hold_which_episodes(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.parquet" for name in "abc"]
    for file, episodes in zip(files[:2], ([0, 0, 1], [1, 2]), strict=True):
        pyarrow.parquet.write_table(pyarrow.table({"episode_index": episodes}), file)
    files[2].write_bytes(b"damaged")
    assert files_of_episodes(files) == {0: files[:1], 1: files[:2], 2: files[1:2]}
