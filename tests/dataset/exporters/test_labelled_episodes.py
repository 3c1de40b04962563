"""Episodes as exports get them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_exports import recorded, with_rewards

from vip_offline.dataset import store as stores
from vip_offline.dataset.exporters.labelled_episodes import (
    free_name,
    notes_of,
    open_labelled,
    own_name,
)
from vip_offline.dataset.store import Store
from vip_offline.errors import VipOfflineError


def test_episodes_are_the_stores(tmp_path: Path) -> None:
    labelled = with_rewards(recorded(tmp_path / "a.zarr", (5, 3, 4)))
    store = labelled.store
    episodes = list(labelled.episodes())
    assert [(episode.index, episode.start, len(episode)) for episode in episodes] == [
        (0, 0, 5),
        (1, 5, 3),
        (2, 8, 4),
    ]
    for episode, (start, stop) in zip(episodes, store.spans(), strict=True):
        for key in ("proprio", "action", "succeeded", "true_reward"):
            np.testing.assert_array_equal(getattr(episode, key), store.data(key)[start:stop])
        np.testing.assert_array_equal(episode.extras["force"], store.extra("force")[start:stop])
        np.testing.assert_array_equal(episode.reward, labelled.label.reward[start:stop])
        assert episode.acted == len(episode)
    assert [episode.success for episode in episodes] == [True, False, True]
    assert [episode.splits for episode in episodes] == [("übung",), (), ()]
    assert episodes[1].name == "épisode 1"
    assert episodes[1].task == "pick é"


def test_memory_holds_few_episodes_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled = with_rewards(recorded(tmp_path / "a.zarr", (4,) * 6))
    asked: list[int] = []
    real = Store.read_array

    def noting(self: Store, array: Any, key: str, start: int, stop: int) -> Any:
        if key.startswith(("data/", "extras/")):
            asked.append(stop - start)
        return real(self, array, key, start, stop)

    monkeypatch.setattr(Store, "read_array", noting)
    monkeypatch.setattr(stores.Store.episode_blocks, "__defaults__", (8,))
    assert len(list(labelled.episodes())) == 6
    assert max(asked) == 8


def test_frames_come_in_blocks(tmp_path: Path) -> None:
    labelled = with_rewards(recorded(tmp_path / "a.zarr", (150,)))
    blocks = list(labelled.frame_blocks("front", 10, 150))
    assert [place for place, _ in blocks] == [0, 64, 128]
    np.testing.assert_array_equal(
        np.concatenate([frames for _, frames in blocks]), labelled.store.frames("front", 10, 150)
    )


def test_the_last_row_without_action_is_known(tmp_path: Path) -> None:
    labelled = with_rewards(recorded(tmp_path / "a.zarr", last_action=False))
    assert [episode.acted for episode in labelled.episodes()] == [4, 2]


def test_a_label_must_be_there(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.zarr")
    with pytest.raises(VipOfflineError, match=r"no labels yet. Run `vip-offline relabel"):
        open_labelled(path)
    with_rewards(path, "one")
    with_rewards(path, "two")
    with pytest.raises(VipOfflineError, match=r"has 2 labellings .* name one with --label"):
        open_labelled(path)
    assert open_labelled(path, "two").label.name == "two"


def test_an_unfinished_store_is_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.zarr", episodes_planned=3)
    with pytest.raises(VipOfflineError, match="2 of 3 episodes are there"):
        open_labelled(path)


def test_names_that_are_taken_give_way() -> None:
    assert free_name("a", ["b"]) == "a"
    assert free_name("a", ["a"]) == "a_of_source"
    assert free_name("a", ["a", "a_of_source"]) == "a_of_source_of_source"
    assert own_name(("a",)) == "a"
    assert own_name(("a", "b")) == own_name(()) == ""


def test_what_changes_is_said(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.zarr", key_map={"action": ["arm", "hand"]})
    labelled = with_rewards(path)
    joined = "the columns arm, hand are side by side in action"
    assert list(notes_of(labelled, {"extra force": "force", "action": "action"})) == [joined]
    assert list(notes_of(labelled, {"extra force": "force_of_source", "action": "action"}, 2)) == [
        "the last observation of 2 episodes is left out: no action was taken in it",
        joined,
        "the column force is written as force_of_source: its name is taken",
    ]
