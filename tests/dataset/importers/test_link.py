import shutil
from pathlib import Path

import numpy as np
import pytest
from origins import demos, replay
from store_files import contents, overwrite

from vip_offline.dataset.importers.link import beside, is_replay, linked, store_of
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError


def test_the_buffer_stays_as_it_is_and_its_frames_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "pusht.zarr"
    replay(path)
    before = contents(path)
    store = open_store(linked(path))
    assert store.path == tmp_path / "pusht.vip.zarr" == store_of(path)
    assert "frames_img" not in store.keys("data")
    expected = np.concatenate([episode.frames for episode in demos()])
    np.testing.assert_array_equal(store.frames("img", 0, 16), expected)
    np.testing.assert_array_equal(store.frames("img", 4, 6), expected[4:6])
    assert len({*map(bytes, store.content("img"))}) == 3
    assert contents(path) == before
    assert linked(path) == store.path  # and once more


def test_it_is_labelled_and_trained_on(tmp_path: Path) -> None:
    from vip_offline.options import RelabelOptions, TrainOptions
    from vip_offline.rewards.relabel import relabel
    from vip_offline.training.data.dataset import training_set

    replay(tmp_path / "pusht.zarr")
    store = linked(tmp_path / "pusht.zarr")
    relabel(store, RelabelOptions(encoder="pixels"))
    assert len(training_set(store, TrainOptions()).actions) == 3


def test_a_buffer_that_changed_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    import zarr

    path = tmp_path / "pusht.zarr"
    replay(path)
    store = linked(path)
    array = zarr.open_group(path, mode="r+")["data/img"]
    assert isinstance(array, zarr.Array)
    array[0] = 7
    for function in (linked, store_of):
        with pytest.raises(VipOfflineError, match=r"changed .*frames of camera img of episode 0"):
            function(path)
    shutil.rmtree(path)
    with pytest.raises(VipOfflineError, match="cannot be read"):
        open_store(store).frames("img", 0, 1)


def test_actions_that_changed_are_not_taken_for_the_old_ones(tmp_path: Path) -> None:
    """They were copied into the store, where nothing changed."""
    path = tmp_path / "pusht.zarr"
    replay(path)
    linked(path)
    overwrite(path, "data/action", 6, 0.5)
    for function in (linked, store_of):
        with pytest.raises(VipOfflineError, match=r"changed .*actions of episode 1"):
            function(path)


@pytest.mark.parametrize("how", ["move", "copytree", "copy"])
def test_a_buffer_and_its_store_go_elsewhere_together(tmp_path: Path, how: str) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    replay(here / "pusht.zarr")
    linked(here / "pusht.zarr")
    if how == "move":
        here.rename(elsewhere)
    else:
        shutil.copytree(here, elsewhere, copy_function=getattr(shutil, how.replace("tree", "2")))
        shutil.rmtree(here)
    for _ in range(2):
        store = open_store(store_of(elsewhere / "pusht.zarr"))
        assert linked(elsewhere / "pusht.zarr") == store.path == elsewhere / "pusht.vip.zarr"
        store.frames("img", 0, 1)
    assert open_store(store.path).attributes["source"] == str(elsewhere / "pusht.zarr")


def test_without_labels_it_says_how_to_get_them(tmp_path: Path) -> None:
    replay(tmp_path / "pusht.zarr")
    with pytest.raises(VipOfflineError, match=r"`vip-offline relabel .*pusht.zarr` writes them"):
        store_of(tmp_path / "pusht.zarr")


def test_what_is_no_buffer_is_left_to_others(store_path: Path, tmp_path: Path) -> None:
    assert not is_replay(store_path) and store_of(store_path) == store_path
    assert not is_replay(tmp_path / "nowhere") and not is_replay(tmp_path)
    assert beside(Path("a/pusht.zarr.zip")) == Path("a/pusht.vip.zarr")


def test_two_buffers_of_one_name_do_not_share_a_store(tmp_path: Path) -> None:
    replay(tmp_path / "pusht.zarr")
    linked(tmp_path / "pusht.zarr")
    archive = shutil.make_archive(str(tmp_path / "pusht.zarr"), "zip", tmp_path / "pusht.zarr")
    for function in (linked, store_of):
        with pytest.raises(VipOfflineError, match=r"pusht.zarr.zip: .*pusht.vip.zarr, which is of"):
            function(Path(archive))
