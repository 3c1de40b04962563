import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from conftest import LENGTHS, PROGRAM, brightness_episode
from made_up_cameras import two_cameras
from PIL import Image

from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.encoders.registry import ENCODERS
from vip_offline.encoders.text import embed_text
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.rewards.functions import cosine_distance
from vip_offline.rewards.relabel import check_relabel, needs_encoder, relabel

PIXELS = RelabelOptions(encoder="pixels")


def test_the_known_answer(store_path: Path) -> None:
    """A success brightens by 100 of 255 in all of 3,072 pixels, evenly over its steps."""
    result = relabel(store_path, PIXELS)
    assert result.written
    assert result.embedded_frames == sum(LENGTHS)
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
    assert label.goal is not None
    np.testing.assert_allclose(label.goal, np.full((1, 3072), 100 / 255), rtol=1e-5)
    # the failure's is not among them
    assert label.provenance["goal_rows"] == [LENGTHS[0] - 1, sum(LENGTHS) - 1]
    assert label.provenance["encoder"] == "pixels"


def test_a_second_time_nothing_is_done(labelled: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in (labelled / "labels").rglob("*")}
    result = relabel(labelled, PIXELS)
    assert (result.written, result.embedded_frames) == (False, 0)
    assert files == {path: path.stat().st_mtime_ns for path in (labelled / "labels").rglob("*")}


def test_labels_stand_side_by_side(labelled: Path) -> None:
    relabel(labelled, replace(PIXELS, encoder="random-resnet18"))
    store = open_store(labelled)
    assert store.label_names == ["pixels", "random-resnet18"]
    with pytest.raises(VipOfflineError, match="has 2 labellings"):
        store.label()
    assert store.label("pixels").provenance["dim"] == 3072


@pytest.mark.slow
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
    with pytest.raises(VipOfflineError, match="names a camera twice"):
        relabel(path, replace(PIXELS, camera="side,side"))
    relabel(path, replace(PIXELS, camera="side", name="side"))
    relabel(path, replace(PIXELS, camera="front", name="front"))
    written = open_store(path)
    for camera in ("front", "side"):
        assert written.label(camera).provenance["camera"] == camera
        embedding, _ = written.embedding("pixels", camera)
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


@pytest.mark.slow
def test_two_cameras_side_by_side(tmp_path: Path) -> None:
    """The embedding of both is one vector: its squared distance is the sum of theirs."""
    path = two_cameras(tmp_path / "two.zarr")
    for camera in ("front", "wrist", "front,wrist"):
        relabel(path, replace(PIXELS, camera=camera, name=camera.replace(",", " ")))
    store = open_store(path)
    front, wrist, both = (store.label(text) for text in ("front", "wrist", "front wrist"))
    np.testing.assert_allclose(
        both.distance**2, front.distance**2 + wrist.distance**2, rtol=1e-4, atol=1e-4
    )
    assert both.provenance["camera"] == "front,wrist"
    assert store.embedding("pixels", "front,wrist")[0].shape == (5 + 6 + 7, 2 * 3072)
    picture = tmp_path / "goal.png"
    Image.fromarray(store.frames("front", 4, 5)[0]).save(picture)
    with pytest.raises(VipOfflineError, match="shows one camera's view, but there are 2"):
        relabel(path, replace(PIXELS, camera="front,wrist", name="p", goal=(str(picture),)))


def test_a_picture_is_a_goal_and_is_embedded_once(labelled: Path, tmp_path: Path) -> None:
    picture = tmp_path / "goal.png"
    Image.fromarray(open_store(labelled).frames("front", 4, 5)[0]).save(picture)
    first = relabel(labelled, replace(PIXELS, name="picture", goal=(str(picture),)))
    assert (first.embedded_frames, first.notes) == (0, ())
    relabel(labelled, replace(PIXELS, name="frame", goal=("0:-1",)))
    store = open_store(labelled)
    assert store.label("frame").provenance["goal_rows"] == [4]
    np.testing.assert_array_equal(store.label("picture").reward, store.label("frame").reward)
    assert len(store.keys("goals/pixels")) == 1
    (stage,) = store.label("picture").provenance["stages"]
    assert list(stage["pictures"]) == [str(picture)]
    # another picture under that name is another goal, of the same making
    Image.fromarray(np.full((32, 32, 3), 7, np.uint8)).save(picture)
    again = relabel(labelled, replace(PIXELS, name="picture", goal=(str(picture),)))
    assert again.again == ("label 'picture' is made again: its goal changed with the data",)


def test_a_picture_of_another_shape_is_noted(labelled: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(tmp_path / "wide.png")
    done = relabel(labelled, replace(PIXELS, name="wide", goal=(str(tmp_path / "wide.png"),)))
    assert "has 64 x 32 px, the frames 32 x 32: it shows another field of view" in done.notes[0]


@pytest.mark.slow
def test_what_is_embedded_needs_no_encoder(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor its weights: they may be gone from this machine."""
    from vip_offline.encoders import encoder as frozen

    path = tmp_path / "resnet.pth"
    torch.save(ENCODERS["resnet18"].build().state_dict(), path)
    options = RelabelOptions(encoder="resnet18", weights=str(path), backend="torch")
    relabel(labelled, options)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing is here"))
    monkeypatch.setattr(frozen, "load_encoder", lambda *_, **__: pytest.fail("was loaded"))
    path.unlink()
    again = replace(options, weights="", name="again", goal=("last",), n_steps=2)
    assert not needs_encoder(labelled, again)
    done = relabel(labelled, again)
    assert (done.written, done.backend) == (True, "")
    label = open_store(labelled).label("again")
    assert label.goal is None
    np.testing.assert_array_equal(label.distance[np.cumsum(LENGTHS) - 1], 0)
    # a weights file of other content is another encoder
    torch.manual_seed(9)
    torch.save(ENCODERS["resnet18"].build().state_dict(), path)
    with pytest.raises(VipOfflineError, match=r"written by another encoder .*weights_sha256"):
        relabel(labelled, replace(options, name="other"))


def test_the_simulators_own_success(labelled: Path) -> None:
    relabel(labelled, replace(PIXELS, name="told", reward="success"))
    reward = open_store(labelled).label("told").reward
    assert reward[: LENGTHS[0]].tolist()[:-1] == [0, 0, 0, 1]
    assert not np.nan_to_num(reward[LENGTHS[0] : LENGTHS[0] + LENGTHS[1]]).any()


def test_how_many_reached_their_goals(labelled: Path) -> None:
    sparse = relabel(labelled, replace(PIXELS, name="sparse", reward="sparse"))
    assert sparse.reached == (1, 0, 1)
    staged = replace(PIXELS, name="staged", stages=("0:2", "successes"))
    assert relabel(labelled, staged).reached == (2, 0, 2)
    assert relabel(labelled, staged).reached == (2, 0, 2)  # asked again, nothing is written
    assert open_store(labelled).label("staged").provenance["reach"] == RelabelOptions.reach


@pytest.mark.slow
def test_words_are_a_goal(store_path: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = open_clip.CLIP(**open_clip.get_model_config("ViT-B-32-quickgelu"))
    weights = tmp_path / "clip.pt"
    torch.save(model.half().state_dict(), weights)
    options = RelabelOptions(
        encoder="clip-vit-b32", weights=str(weights), goal=("text:a bright room",), backend="torch"
    )
    relabel(store_path, options)
    label = open_store(store_path).label()
    assert label.provenance["similarity"] == "cosine"  # lengths of words and pictures differ
    assert label.goal is not None
    expected = embed_text("clip-vit-b32", "a bright room", str(weights))
    np.testing.assert_allclose(label.goal[0], expected, rtol=1e-5)
    embedding, _ = open_store(store_path).embedding("clip-vit-b32", "front")
    np.testing.assert_allclose(label.distance, cosine_distance(embedding, expected), atol=1e-6)
    with pytest.raises(VipOfflineError, match="pixels embeds pictures only"):
        relabel(store_path, replace(PIXELS, goal=("text:a bright room",)))


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"n_steps": 0}, "--n-steps 0"),
        ({"gamma": 0.0}, "--gamma 0: must be above 0 and at most 1"),
        ({"reach": 1.0}, "--reach 1: must be at least 0 and below 1"),
        ({"batch_size": -1}, "--batch-size -1"),
        ({"goal": ()}, "No goal"),
        ({"goal": ("0:0",), "stages": ("0:1",)}, "one or the other"),
    ],
)
def test_settings_that_cannot_label(store_path: Path, options: dict[str, Any], part: str) -> None:
    with pytest.raises(VipOfflineError, match=part):
        relabel(store_path, replace(PIXELS, **options))


def test_labels_of_many_blocks_are_those_of_one(
    labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = open_store(labelled).label("pixels").reward
    read = Store.embedding_blocks
    monkeypatch.setattr(
        Store, "embedding_blocks", lambda self, encoder, camera: read(self, encoder, camera, 6)
    )
    relabel(labelled, replace(PIXELS, name="pieces"))
    np.testing.assert_array_equal(open_store(labelled).label("pieces").reward, whole)


@pytest.mark.slow
def test_ctrl_c_leaves_a_valid_store_that_goes_on(make_store: Callable[..., Path]) -> None:
    path = make_store(lengths=(12,) * 20, successes=(True,) * 20)
    command = [*PROGRAM, "relabel", str(path), "--encoder", "random-resnet18", "--backend", "torch"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not open_store(path).embedded("random-resnet18", "front").any():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    store = open_store(path)
    done = int(store.embedded("random-resnet18", "front").sum())
    assert 0 < done < 20
    assert store.label_names == []
    options = RelabelOptions(encoder="random-resnet18", backend="torch")
    assert relabel(path, options).embedded_frames == 12 * (20 - done)
    whole = make_store("whole", lengths=(12,) * 20, successes=(True,) * 20)
    relabel(whole, options)
    label, expected = (open_store(store).label() for store in (path, whole))
    np.testing.assert_allclose(label.reward, expected.reward, atol=1e-4)


def test_a_picture_that_is_not_there_is_refused_before_a_store_is_needed(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"--goal .*gone\.png: is no file"):
        check_relabel(replace(PIXELS, goal=(str(tmp_path / "gone.png"),)))
    check_relabel(replace(PIXELS, goal=("successes", "0:-1")))


def test_a_store_behind_a_link_to_another_file_system(store_path: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as far:
        shutil.copytree(store_path, Path(far, "x.zarr"))
        (tmp_path / "link.zarr").symlink_to(Path(far, "x.zarr"))
        assert relabel(tmp_path / "link.zarr", RelabelOptions(encoder="pixels")).written
        assert open_store(Path(far, "x.zarr")).label("pixels").name == "pixels"
