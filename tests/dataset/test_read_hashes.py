from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import brightness_episode
from store_files import overwrite

from vip_offline.dataset.read_hashes import (
    LENGTHS,
    StaleError,
    changed_arrays,
    changed_reads,
    episodes_in_words,
    in_words,
    made_from,
    reads,
)
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError

EVERY = (
    LENGTHS,
    "data/action",
    "data/proprio",
    "data/succeeded",
    "meta/success",
    "meta/placement",
    "frames/front",
    "embeddings/pixels/front",
    "labels/pixels/reward",
)


@pytest.mark.parametrize(
    ("key", "row", "value", "name"),
    [
        ("data/action", 6, 0.5, "actions"),
        ("data/proprio", 6, 0.5, "proprio"),
        ("data/succeeded", 6, True, "the success flags"),
        ("meta/success", 1, True, "the success label"),
        ("meta/placement", 1, 77, "the placement"),
        ("data/frames_front", 6, 9, "frames of camera front"),
        ("embeddings/pixels/front", 6, 0.25, "the embedding pixels/front"),
        ("labels/pixels/reward", 6, 3.0, "the reward of label 'pixels'"),
    ],
)
def test_a_value_that_changed_is_known_by_array_and_episode(
    labelled: Path, key: str, row: int, value: float, name: str
) -> None:
    before = reads(open_store(labelled), EVERY)
    record = made_from(open_store(labelled), EVERY)["read"]
    assert all(hashes.shape == (3, 8) for hashes in before.values())
    overwrite(labelled, key, row, value)
    store = open_store(labelled)
    assert changed_reads(before, reads(store, EVERY)) == [f"{name} of episode 1 changed"]
    assert isinstance(record, dict)
    assert changed_arrays(store, record) == [f"{name} changed"]


def test_the_same_values_are_no_change(labelled: Path) -> None:
    before, action = reads(open_store(labelled), EVERY), open_store(labelled).data("action")
    overwrite(labelled, "data/action", slice(None), action)
    assert changed_reads(before, reads(open_store(labelled), EVERY)) == []


def test_rows_that_moved_to_another_episode_are_another_length(
    make_store: Callable[..., Path],
) -> None:
    before = reads(open_store(make_store("a", (5, 7, 6))), [LENGTHS])
    after = reads(open_store(make_store("b", (5, 6, 7))), [LENGTHS])
    assert changed_reads(before, after) == ["the length of episodes 1, 2 changed"]


def test_episodes_that_were_added_or_taken_away_are_counted(store_path: Path) -> None:
    before = reads(open_store(store_path), ["data/action"])
    with writing(store_path) as store:
        store.append(brightness_episode(4, True, 7), brightness_episode(4, True, 8))
    after = reads(open_store(store_path), ["data/action"])
    assert changed_reads(before, after) == ["2 episodes were added"]
    assert changed_reads(after, before) == ["2 episodes were taken away"]
    assert changed_reads({}, after) == []  # of which nothing is known


def test_an_array_of_which_one_side_knows_nothing_is_left_out() -> None:
    zeros, ones = np.zeros((2, 8), np.uint8), np.ones((2, 8), np.uint8)
    assert changed_reads({"data/action": zeros}, {"data/proprio": ones}) == []
    assert changed_reads({"a": zeros, "b": zeros}, {"a": zeros, "b": ones, "c": ones}) == [
        "b of episodes 0, 1 changed"
    ]


def test_another_type_of_number_is_another_array(
    make_store: Callable[..., Path],
) -> None:
    import zarr

    path = make_store()
    before = reads(open_store(path), ["extras/x"]) if "x" in open_store(path).keys("extras") else {}
    assert before == {}
    group, records = zarr.open_group(path, mode="r+"), []
    for kind in ("f4", "i4"):  # whose bytes are alike
        group.create_array("extras/x", data=np.zeros(18, kind), overwrite=True)
        records.append(reads(open_store(path), ["extras/x"]))
    assert changed_reads(records[0], records[1]) == ["extras/x of episodes 0, 1, 2 changed"]


def test_what_is_not_there_is_named(labelled: Path) -> None:
    with pytest.raises(VipOfflineError, match="has no array labels/other/reward"):
        reads(open_store(labelled), ["labels/other/reward"])


def test_words() -> None:
    assert episodes_in_words([3]) == "episode 3"
    assert episodes_in_words(range(8)) == "episodes 0, 1, 2, 3, 4, 5, 6, 7"
    assert episodes_in_words(range(10)).endswith("6, 7 and 2 more")
    assert in_words("labels/a/b/distance") == "the distance of label 'a/b'"
    error = StaleError("x.zarr: label 'pixels'", ["a changed", "b changed"], "Do this.")
    assert error.reason == "a changed; b changed"
    assert str(error) == "x.zarr: label 'pixels' is outdated (a changed; b changed). Do this."
