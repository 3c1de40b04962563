from pathlib import Path

import numpy as np
import pytest
import zarr
from conftest import LENGTHS

from vip_offline.data.store import open_store, writing
from vip_offline.encode.embed import embed_store
from vip_offline.encode.encoders import load_encoder
from vip_offline.errors import VipOfflineError


def test_only_what_is_missing_is_computed(store_path: Path) -> None:
    encoder, told = load_encoder("pixels"), list[int]()
    with writing(store_path) as store:
        assert embed_store(store, encoder, "front", on_frames=told.append) == sum(LENGTHS)
    assert told == list(LENGTHS)
    expected, _ = open_store(store_path).embedding("pixels", "front")
    done = zarr.open_group(store_path, mode="r+")["embeddings/pixels/front_done"]
    assert isinstance(done, zarr.Array)
    done[1] = False
    told.clear()
    with writing(store_path) as store:
        assert embed_store(store, encoder, "front", on_frames=told.append) == LENGTHS[1]
    assert told == [LENGTHS[1]]
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
