from pathlib import Path

import numpy as np
import pytest
import zarr
from conftest import LENGTHS
from store_files import spoil_frame

from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.encoders.embed_store import _batches, embed_store
from vip_offline.encoders.encoder import load_encoder
from vip_offline.errors import VipOfflineError


def test_only_what_is_missing_is_computed(store_path: Path) -> None:
    encoder, progress = load_encoder("pixels"), list[int]()
    with writing(store_path) as store:
        assert embed_store(store, encoder, "front", on_frames=progress.append) == sum(LENGTHS)
    assert sum(progress) == sum(LENGTHS)  # batches run on from one episode into the next
    expected, _ = open_store(store_path).embedding("pixels", "front")
    made = zarr.open_group(store_path, mode="r+")["embeddings/pixels/front@content"]
    assert isinstance(made, zarr.Array)
    made[1] = 0
    progress.clear()
    with writing(store_path) as store:
        assert embed_store(store, encoder, "front", on_frames=progress.append) == LENGTHS[1]
    assert progress == [LENGTHS[1]]
    embedding, provenance = open_store(store_path).embedding("pixels", "front")
    np.testing.assert_array_equal(embedding, expected)
    assert provenance["encoder"] == "pixels"


def test_an_embedding_of_the_same_name_by_another_encoder_is_kept(store_path: Path) -> None:
    first, second = load_encoder("pixels"), load_encoder("pixels")
    second.sha256 = "0" * 64
    with writing(store_path) as store:
        embed_store(store, first, "front")
    before, _ = open_store(store_path).embedding("pixels", "front")
    with (
        pytest.raises(VipOfflineError, match=r"written by another encoder.*weights_sha256"),
        writing(store_path) as store,
    ):
        embed_store(store, second, "front")
    after, provenance = open_store(store_path).embedding("pixels", "front")
    np.testing.assert_array_equal(after, before)
    assert provenance["weights_sha256"] == first.sha256


def test_other_frames_are_embedded_anew(store_path: Path) -> None:
    """What was computed is known by the frames that it is of, not by the place they lie in."""
    encoder = load_encoder("pixels")
    with writing(store_path) as store:
        embed_store(store, encoder, "front")
        content = store.content("front")
    frames = zarr.open_group(store_path, mode="r+")["data/frames_front"]
    contents = zarr.open_group(store_path, mode="r+")["meta/content_front"]
    assert isinstance(frames, zarr.Array)
    assert isinstance(contents, zarr.Array)
    frames[LENGTHS[0]] = 200
    contents[1] = 0  # as a store of an earlier release: the hash is taken from the frames
    with writing(store_path) as store:
        assert embed_store(store, encoder, "front") == LENGTHS[1]
        assert (store.content("front") == content).all(1).tolist() == [True, False, True]
    embedding, _ = open_store(store_path).embedding("pixels", "front")
    np.testing.assert_allclose(embedding[LENGTHS[0]], 200 / 255, atol=1e-6)


def test_batches_run_on_from_episode_to_episode() -> None:
    assert list(_batches([(0, 5), (9, 12), (20, 21)], 4)) == [
        [(0, 4)],
        [(4, 5), (9, 12)],
        [(20, 21)],
    ]


@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_the_batch_size_changes_nothing(store_path: Path, size: int) -> None:
    with writing(store_path) as store:
        embed_store(store, load_encoder("pixels"), "front", batch_size=size)
        for start, stop in store.spans():
            expected = load_encoder("pixels")(store.frames("front", start, stop))
            np.testing.assert_array_equal(
                store.embedding("pixels", "front")[0][start:stop], expected
            )


def test_what_was_finished_stays_when_a_frame_cannot_be_read(
    store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vip_offline.encoders.embed_store.WRITE_INTERVAL", 0.0)
    spoilt = list[int]()

    def spoil(frames: int) -> None:
        if not spoilt:  # while the first ones are embedded
            spoil_frame(store_path, "front", sum(LENGTHS[:2]) + 3)
        spoilt.append(frames)

    with (
        pytest.raises(VipOfflineError, match="row 15: its checksum does not match"),
        writing(store_path) as store,
    ):
        embed_store(store, load_encoder("pixels"), "front", batch_size=1, on_frames=spoil)
    marks = open_store(store_path).rows_of("embeddings/pixels/front@content")
    assert marks.any(axis=1).tolist() == [True, True, False]
