from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imported import imported
from origins import LENGTHS, lerobot, replay

from vip_offline.dataset.store import Store
from vip_offline.errors import VipOfflineError

FRONT = "front"


def frames_of(store: Store, camera: str) -> np.ndarray:
    return np.concatenate([store.frames(camera, *span) for span in store.spans()])


@pytest.mark.parametrize("copy", [False, True])
def test_frames_of_videos_stay_where_they_are_unless_copied(tmp_path: Path, copy: bool) -> None:
    made = lerobot(tmp_path / "set")
    store = imported(tmp_path / "set", tmp_path / "store.zarr", copy_frames=copy)
    assert ("frames_front" in store.keys("data")) == copy
    assert ("pts_front" in store.keys("data")) != copy
    shown = frames_of(store, FRONT).astype(int)
    expected = np.concatenate([episode.frames for episode in made]).astype(int)
    assert np.abs(shown - expected).max() <= 2  # H.264
    assert len({*map(bytes, store.content(FRONT))}) == len(LENGTHS)


def test_frames_are_found_by_any_thread_in_any_order(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    made = lerobot(tmp_path / "set", lengths=(40, 60, 30))
    store = imported(tmp_path / "set", tmp_path / "store.zarr")
    read = store.frame_reader(FRONT)
    expected = np.concatenate([episode.frames for episode in made]).astype(int)
    starts = np.random.default_rng(0).permutation(range(0, 120, 5))
    with ThreadPoolExecutor(4) as pool:
        for start, frames in zip(starts, pool.map(lambda s: read(s, s + 7), starts), strict=True):
            assert np.abs(frames.astype(int) - expected[start : start + 7]).max() <= 2


def test_a_video_that_changed_or_went_is_noticed(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    store = imported(tmp_path / "set", tmp_path / "store.zarr")
    video = next((tmp_path / "set").rglob("*.mp4"))
    video.write_bytes(video.read_bytes() + b"x")
    with pytest.raises(VipOfflineError, match=r"episode 0: .*was changed"):
        store.frames(FRONT, 0, 1)
    video.unlink()
    with pytest.raises(VipOfflineError, match=r"is gone.*--copy-frames"):
        store.frames(FRONT, 0, 1)


def test_frames_are_drawn_at_another_size(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    store = imported(tmp_path / "set", tmp_path / "a.zarr", size=(16, 24))
    assert store.frames(FRONT, 0, 2).shape == (2, 16, 24, 3)
    replay(tmp_path / "r.zarr")
    store = imported(tmp_path / "r.zarr", tmp_path / "b.zarr", size=(16, 24))
    assert store.frames("img", 0, 2).shape == (2, 16, 24, 3)


@pytest.mark.slow
@given(
    lengths=st.lists(st.integers(2, 5), min_size=1, max_size=4),
    dtype=st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]),
    names=st.lists(
        st.text("aé漢_ñ0", min_size=1, max_size=4).filter(str.isalpha),
        min_size=1,
        max_size=3,
        unique=True,
    ),
)
@settings(max_examples=10, deadline=None)
def test_what_else_there_is_is_kept_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], dtype: str, names: list[str]
) -> None:
    import zarr

    path = tmp_path_factory.mktemp("hypothesis")
    replay(path / "set.zarr", lengths=lengths)
    root = zarr.open_group(path / "set.zarr", mode="r+")
    rows = sum(lengths)
    columns = {name: np.arange(rows * 2).reshape(rows, 2).astype(dtype) for name in names}
    for name, values in columns.items():
        root.create_array(f"data/{name}", data=values)
    store = imported(path / "set.zarr", path / "store.zarr", key_map=("proprio=state",))
    for name, values in columns.items():
        column = store.extra(name)
        assert column.dtype == values.dtype
        np.testing.assert_array_equal(column, values)
    np.testing.assert_array_equal(np.diff(store.ends, prepend=0), lengths)


def damage(video: Path) -> None:
    """Noise over half of the compressed pictures; index and time stamps stay."""
    data = bytearray(video.read_bytes())
    begin = data.index(b"mdat") + 4 + len(data) // 4
    data[begin : begin + len(data) // 4] = np.random.default_rng(0).bytes(len(data) // 4)
    video.write_bytes(bytes(data))


def test_damage_inside_a_video_is_found_if_asked(tmp_path: Path) -> None:
    lerobot(tmp_path / "set", lengths=(40, 40, 40), version="v2.1")
    damage(next((tmp_path / "set").rglob("*1.mp4")))
    with pytest.raises(VipOfflineError, match=r"episode 1, .*000001.mp4: .*cannot be decoded"):
        imported(tmp_path / "set", tmp_path / "a.zarr", decode=True)
    assert not (tmp_path / "a.zarr").exists()
    assert len(imported(tmp_path / "set", tmp_path / "b.zarr")) == 3
    store = imported(tmp_path / "set", tmp_path / "c.zarr", decode=True, skip_broken=True)
    assert store.texts("name") == ["0", "2"] and [*store.attributes["left_out"]] == ["1"]
