import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import LENGTHS, brightness_episode

from vip_offline.data.store import open_store, writing
from vip_offline.errors import VipOfflineError
from vip_offline.label.relabel import relabel
from vip_offline.recipe import RelabelOptions

PIXELS = RelabelOptions(encoder="pixels")


def test_the_known_answer(store_path: Path) -> None:
    """A success brightens by 100 of 255 in all of 3,072 pixels, evenly over its steps."""
    result = relabel(store_path, PIXELS)
    assert result.written
    assert result.embedded_frames == sum(LENGTHS)
    assert result.goal_rows == (LENGTHS[0] - 1, sum(LENGTHS) - 1)  # the failure's is not among them
    label = open_store(store_path).label("pixels")
    whole = 100 / 255 * np.sqrt(3072)
    np.testing.assert_allclose(label.distance[: LENGTHS[0]], np.linspace(whole, 0, 5), atol=1e-4)
    np.testing.assert_allclose(label.reward[: LENGTHS[0] - 1], whole / 4, rtol=1e-5)
    failure = slice(LENGTHS[0], LENGTHS[0] + LENGTHS[1])
    np.testing.assert_allclose(label.distance[failure], whole, rtol=1e-5)
    np.testing.assert_allclose(label.reward[failure][:-1], 0, atol=1e-5)
    last = np.cumsum(LENGTHS) - 1
    assert np.isnan(label.reward[last]).all()
    assert np.isnan(label.reward).sum() == 3
    assert not np.isnan(label.distance).any()
    assert label.provenance["goal_rows"] == list(result.goal_rows)
    assert label.provenance["encoder"] == "pixels"


def test_a_second_time_nothing_is_done(labelled: Path) -> None:
    files = {each: each.stat().st_mtime_ns for each in (labelled / "labels").rglob("*")}
    result = relabel(labelled, PIXELS)
    assert (result.written, result.embedded_frames) == (False, 0)
    assert files == {each: each.stat().st_mtime_ns for each in (labelled / "labels").rglob("*")}


def test_labels_stand_side_by_side(labelled: Path) -> None:
    relabel(labelled, replace(PIXELS, encoder="random-resnet18"))
    store = open_store(labelled)
    assert store.label_names == ["pixels", "random-resnet18"]
    with pytest.raises(VipOfflineError, match="has 2 labellings"):
        store.label()
    assert store.label("pixels").provenance["dim"] == 3072


def test_another_labelling_of_the_name_is_kept_unless_told(labelled: Path) -> None:
    other = replace(PIXELS, encoder="random-resnet18", name="pixels")
    with pytest.raises(VipOfflineError, match=r"made with other settings \(.*encoder.*overwrite"):
        relabel(labelled, other)
    assert open_store(labelled).label("pixels").provenance["encoder"] == "pixels"
    assert relabel(labelled, other, overwrite=True).written
    assert open_store(labelled).label("pixels").provenance["encoder"] == "random-resnet18"


def test_no_success_means_no_goal(make_store: Callable[..., Path]) -> None:
    path = make_store(successes=(False, False, False))
    with pytest.raises(VipOfflineError, match="none of its 3 episodes succeeded"):
        relabel(path, PIXELS)
    assert open_store(path).label_names == []


def test_the_camera_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "two.zarr"
    episode = brightness_episode(5, True, 0)
    frames = {"front": episode.frames["front"], "side": 255 - episode.frames["front"]}
    with writing(path, create={"task": "x"}) as store:
        store.append(replace(episode, frames=frames))
    with pytest.raises(VipOfflineError, match="has 2 cameras; name one"):
        relabel(path, PIXELS)
    relabel(path, replace(PIXELS, camera="side", name="side"))
    relabel(path, replace(PIXELS, camera="front", name="front"))
    store = open_store(path)
    for camera in ("front", "side"):
        assert store.label(camera).provenance["camera"] == camera
        embedding, _ = store.embedding("pixels", camera)
        np.testing.assert_allclose(embedding[0], frames[camera][0, 0, 0, 0] / 255, atol=1e-6)


def test_a_removed_embedding_is_computed_again(labelled: Path) -> None:
    before = open_store(labelled).label("pixels").reward
    shutil.rmtree(labelled / "embeddings/pixels/front")  # its markers stay
    assert relabel(labelled, replace(PIXELS, name="again")).embedded_frames == sum(LENGTHS)
    np.testing.assert_array_equal(open_store(labelled).label("again").reward, before)


@pytest.mark.parametrize("name", ["../x", "a/b", "."])
def test_names_that_are_none(store_path: Path, name: str) -> None:
    with pytest.raises(VipOfflineError, match="is no name"):
        relabel(store_path, replace(PIXELS, name=name))
    assert open_store(store_path).keys("embeddings") == []
