from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from conftest import LENGTHS, SIZE, brightness_episode
from store_files import lose_frame, overwrite_attribute, spoil_frame

from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.store import default_store, open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError

PLAN = {"task": "drawer-close", "proprio": ["x", "y", "z", "g"]}


def test_what_was_written_is_read(store_path: Path) -> None:
    store = open_store(store_path)
    store.require_finished()
    assert store.ends.tolist() == np.cumsum(LENGTHS).tolist()
    assert store.kinds() == ["expert", "frozen", "expert"]
    assert store.meta("success").tolist() == [True, False, True]
    for index, (start, stop) in enumerate(store.spans()):
        episode = brightness_episode(LENGTHS[index], index != 1, index)
        np.testing.assert_array_equal(store.frames("front", start, stop), episode.frames["front"])
        np.testing.assert_array_equal(store.data("action")[start:stop], episode.action)
        np.testing.assert_array_equal(store.data("true_reward")[start:stop], episode.true_reward)


def test_a_diffusion_policy_reader_finds_what_it_knows(store_path: Path) -> None:
    root = zarr.open_group(store_path, mode="r")
    stored, data = root["meta/episode_ends"], root["data"]
    assert isinstance(stored, zarr.Array)
    assert isinstance(data, zarr.Group)
    ends = np.asarray(stored[:])
    assert ends.dtype == np.int64
    assert {array.shape[0] for _, array in data.arrays()} == {int(ends[-1])}
    frames = root["data/frames_front"]
    assert isinstance(frames, zarr.Array)
    assert frames.shape == (sum(LENGTHS), SIZE, SIZE, 3)
    assert frames.chunks == (1, SIZE, SIZE, 3)


def test_an_episode_without_its_marker_is_not_there(store_path: Path) -> None:
    done = zarr.open_group(store_path, mode="r+")["meta/done"]
    assert isinstance(done, zarr.Array)
    done[2] = False
    store = open_store(store_path)
    assert len(store) == 2
    assert store.rows == sum(LENGTHS[:2])
    with pytest.raises(VipOfflineError, match="episode 2 is unfinished"):
        store.require_finished()


def test_a_plan_not_carried_out_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    with writing(path, create=PLAN | {"episodes_planned": 5}) as store:
        store.append(brightness_episode(4, True, 0))
    with pytest.raises(VipOfflineError, match="1 of 5 episodes"):
        open_store(path).require_finished()


def test_a_newer_schema_is_refused(store_path: Path) -> None:
    overwrite_attribute(store_path, "", schema_version=3)
    with pytest.raises(VipOfflineError, match="schema version 3; this program reads 1 to 2"):
        open_store(store_path)


def test_a_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    for attempt in (open_store, writing):
        with pytest.raises(VipOfflineError, match=r"no such store.*record"):
            with_or_without = attempt(tmp_path / "no.zarr")
            with_or_without.__enter__()  # type: ignore[union-attr]


def test_a_label_that_lags_behind_is_refused(labelled: Path) -> None:
    with writing(labelled, create=PLAN) as store:
        store.append(brightness_episode(4, True, 7))
    with pytest.raises(VipOfflineError, match="covers 3 of 4 episodes"):
        open_store(labelled).label()
    with pytest.raises(VipOfflineError, match="lacks episode 3"):
        open_store(labelled).embedding("pixels", "front")


def test_labels_that_are_not_there(store_path: Path, labelled: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"no label 'pixel'.*Did you mean 'pixels'"):
        open_store(labelled).label("pixel")


def test_the_default_is_the_only_store(tmp_path: Path, make_store: Callable[..., Path]) -> None:
    with pytest.raises(VipOfflineError, match="none under"):
        default_store(tmp_path)
    path = make_store("a")
    assert default_store(tmp_path) == path
    make_store("b")
    with pytest.raises(VipOfflineError, match=r"holds 2(?s:.*)a\.zarr(?s:.*)b\.zarr"):
        default_store(tmp_path)


def test_a_damaged_chunk_is_named(store_path: Path) -> None:
    spoil_frame(store_path, "front", 6)
    with pytest.raises(VipOfflineError, match=r"frames_front: c\.0.* is damaged \(row 6: .*again"):
        open_store(store_path).frames("front", 5, 12)


def test_cameras(store_path: Path) -> None:
    store = open_store(store_path)
    assert store.camera("") == store.camera("front") == "front"
    with pytest.raises(VipOfflineError, match=r"no camera 'frnt'.*Did you mean 'front'"):
        store.camera("frnt")


def test_a_lost_frame_is_not_black(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    with writing(path, create=PLAN) as store:
        store.append(brightness_episode(5, False, 0))  # every frame is black
    written = open_store(path)
    assert not written.frames("front", 0, 5).any()
    lose_frame(path, "front", 3)
    with pytest.raises(VipOfflineError, match="row 3: it was never written"):
        open_store(path).frames("front", 0, 5)
    (path / "data/frames_front/c.0.0.0.0").unlink()
    with pytest.raises(VipOfflineError, match=r"frames_front: c\.0\.0\.0\.0 is missing"):
        open_store(path).frames("front", 0, 5)


def test_ends_that_do_not_ascend(store_path: Path) -> None:
    ends = zarr.open_group(store_path, mode="r+")["meta/episode_ends"]
    assert isinstance(ends, zarr.Array)
    ends[1] = 3
    with pytest.raises(VipOfflineError, match=r"episode_ends\[1\] is 3"):
        open_store(store_path).require_finished()


def test_a_shortened_array(store_path: Path) -> None:
    action = zarr.open_group(DurableStore(store_path), mode="r+")["data/action"]
    assert isinstance(action, zarr.Array)
    action.resize((10, 4))
    with pytest.raises(VipOfflineError, match=r"data/action has 10 rows.*differ in length"):
        open_store(store_path).require_finished()


def test_a_damaged_description(store_path: Path) -> None:
    (store_path / "data/action/zarr.json").write_text("{garbage")
    with pytest.raises(VipOfflineError, match=r"data/action/zarr.json: cannot be read"):
        open_store(store_path).data("action")
