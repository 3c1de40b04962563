"""What of a frame the encoder sees: said, kept, and the same for all pictures of a store."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import brightness_episode
from made_up_pictures import pictures
from numpy.typing import NDArray
from PIL import Image

from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.encoders.embed_store import embed_store
from vip_offline.encoders.encoder import load_encoder
from vip_offline.encoders.registry import ENCODERS, RESNET
from vip_offline.errors import VipOfflineError
from vip_offline.options import Computing, RelabelOptions
from vip_offline.rewards.relabel import Relabelled, relabel

PIXELS = RelabelOptions(encoder="pixels")


def store_of(path: Path, **sizes: tuple[int, int]) -> Path:
    """Two episodes of five frames, of cameras of these heights and widths."""
    with writing(path, create={"task": "x"}) as store:
        for index in range(2):
            like = brightness_episode(5, True, index)
            frames = {
                camera: pictures(10, *size)[5 * index : 5 * index + 5]
                for camera, size in sizes.items()
            }
            store.append(replace(like, frames=frames))
    return path


def of_frames(done: Relabelled) -> list[str]:
    """Notes on frames: that noise comes near to no goal is another matter."""
    return [note for note in done.notes if "to the goal" not in note]


def embedding(path: Path, encoder: str = "pixels") -> NDArray[np.float32]:
    return open_store(path).embedding(encoder, "front")[0]


@pytest.fixture(scope="module")
def r3m(tmp_path_factory: pytest.TempPathFactory) -> RelabelOptions:
    """R3M's layout with random weights."""
    path = tmp_path_factory.mktemp("r3m") / "model.pt"
    torch.manual_seed(3)
    state = ENCODERS["r3m-18"].build().state_dict()
    torch.save({"r3m": {f"module.convnet.{key}": value for key, value in state.items()}}, path)
    return RelabelOptions(encoder="r3m-18", weights=str(path), backend="torch")


@pytest.mark.parametrize(
    ("encoder", "lost"),
    [("pixels", "43% of the width is"), ("random-resnet18", "44% of the width is")],
)
def test_what_a_crop_leaves_out_of_a_wide_frame(tmp_path: Path, encoder: str, lost: str) -> None:
    path = store_of(tmp_path / "wide.zarr", front=(90, 160))
    (note,) = of_frames(relabel(path, replace(PIXELS, encoder=encoder)))
    assert f"camera front has 160 x 90 px, and {encoder} takes the central square: {lost}" in note
    assert "--fit pad" in note


def test_a_publishers_crop_takes_off_the_height_too(tmp_path: Path, r3m: RelabelOptions) -> None:
    path = store_of(tmp_path / "wide.zarr", front=(90, 160))
    (note,) = of_frames(relabel(path, r3m))
    assert "12% of the height and 51% of the width is not seen" in note


@pytest.mark.parametrize("fit", ["pad", "squash"])
def test_the_whole_frame_is_seen_where_it_is_asked_for(tmp_path: Path, fit: str) -> None:
    path = store_of(tmp_path / "wide.zarr", front=(90, 160))
    assert of_frames(relabel(path, replace(PIXELS, fit=fit))) == []  # type: ignore[arg-type]
    frames = open_store(path).frames("front", 0, 10)
    table = ENCODERS["pixels"].preprocessing
    expected = table.fitted(fit)(frames).flatten(1).numpy()  # type: ignore[arg-type]
    np.testing.assert_allclose(embedding(path), expected, atol=1e-6)
    assert open_store(path).label("pixels").provenance["preprocessing"]["fit"] == fit


def test_square_frames_need_no_note(tmp_path: Path) -> None:
    assert of_frames(relabel(store_of(tmp_path / "square.zarr", front=(96, 96)), PIXELS)) == []


def test_one_store_holds_one_fit_of_an_encoder(tmp_path: Path) -> None:
    path = store_of(tmp_path / "wide.zarr", front=(90, 160))
    relabel(path, PIXELS)
    before = embedding(path)
    padded = replace(PIXELS, fit="pad", name="padded")
    with pytest.raises(VipOfflineError, match=r"embeddings/pixels/front was made with --fit crop"):
        relabel(path, padded)
    np.testing.assert_array_equal(embedding(path), before)
    # the way out that it names
    shutil.rmtree(path / "embeddings/pixels/front")
    assert relabel(path, padded).embedded_frames == 10
    with pytest.raises(VipOfflineError, match=r"made with --fit pad, not crop"):
        relabel(path, PIXELS)


def test_a_goal_picture_goes_the_frames_way(tmp_path: Path) -> None:
    path, picture = store_of(tmp_path / "wide.zarr", front=(90, 160)), tmp_path / "goal.png"
    Image.fromarray(open_store(path).frames("front", 4, 5)[0]).save(picture)
    padded = replace(PIXELS, fit="pad")
    relabel(path, replace(padded, name="picture", goal=(str(picture),)))
    relabel(path, replace(padded, name="frame", goal=("0:-1",)))
    store = open_store(path)
    np.testing.assert_array_equal(store.label("picture").reward, store.label("frame").reward)


@pytest.mark.slow
def test_frames_of_224_px_are_taken_as_they_are(tmp_path: Path, r3m: RelabelOptions) -> None:
    """And a larger goal image of the same view is brought to their size, not cropped."""
    path, picture = store_of(tmp_path / "native.zarr", front=(224, 224)), tmp_path / "goal.png"
    frames = open_store(path).frames("front", 0, 10)
    Image.fromarray(frames[4].repeat(2, axis=0).repeat(2, axis=1)).save(picture)
    done = relabel(path, replace(r3m, name="picture", goal=(str(picture),)))
    assert of_frames(done) == []
    network = load_encoder("r3m-18", Path(r3m.weights), computing=Computing("torch"))
    cropped = network.seeing(RESNET)(frames)
    np.testing.assert_allclose(embedding(path, "r3m-18"), network(frames), atol=1e-5)
    label = open_store(path).label("picture")
    assert label.distance[4] < 0.2 * label.distance.max()
    assert np.linalg.norm(embedding(path, "r3m-18")[4] - cropped[4]) > label.distance[4]
    assert label.provenance["preprocessing"]["resize"] == 224


@pytest.mark.slow
def test_embeddings_of_an_earlier_release_go_on_in_its_way(
    tmp_path: Path, r3m: RelabelOptions
) -> None:
    """Frames of 224 px were cropped; nothing is mixed, and what to do is said."""
    path, picture = store_of(tmp_path / "old.zarr", front=(224, 224)), tmp_path / "goal.png"
    Image.fromarray(open_store(path).frames("front", 4, 5)[0]).save(picture)
    earlier = load_encoder("r3m-18", Path(r3m.weights), computing=Computing("torch"))
    earlier = earlier.seeing(RESNET)
    with writing(path) as store:
        embed_store(store, earlier, "front")
        store.append(
            replace(brightness_episode(5, True, 7), frames={"front": pictures(5, 224, 224)})
        )
    frame = relabel(path, replace(r3m, name="frame", goal=("0:4",)))
    assert frame.embedded_frames == 5
    (note,) = of_frames(frame)
    assert "was made by an earlier release" in note
    assert f"`vip-offline delete {path} --embedding r3m-18/front`" in note
    frames = open_store(path).frames("front", 0, 15)
    np.testing.assert_allclose(embedding(path, "r3m-18"), earlier(frames), atol=1e-5)
    relabel(path, replace(r3m, name="picture", goal=(str(picture),)))
    written = open_store(path)
    np.testing.assert_allclose(
        written.label("picture").distance, written.label("frame").distance, atol=1e-4
    )
    # as the publisher does it, once the folder is gone; labels of the earlier way are not mixed in
    shutil.rmtree(path / "embeddings/r3m-18")
    assert of_frames(relabel(path, replace(r3m, name="new"))) == []
    assert open_store(path).label("new").provenance["preprocessing"]["resize"] == 224
    with pytest.raises(VipOfflineError, match=r"made with other settings \(preprocessing\)"):
        relabel(path, replace(r3m, name="frame", goal=("0:4",)))


@pytest.mark.slow
def test_cameras_of_which_one_alone_would_be_cropped(tmp_path: Path, r3m: RelabelOptions) -> None:
    path = store_of(tmp_path / "two.zarr", front=(224, 224), wrist=(96, 96))
    both = replace(r3m, camera="front,wrist")
    with pytest.raises(VipOfflineError, match=r"front 224 x 224, wrist 96 x 96.*--fit pad"):
        relabel(path, both)
    done = relabel(path, replace(both, fit="squash"))
    assert (done.embedded_frames, of_frames(done)) == (20, [])
