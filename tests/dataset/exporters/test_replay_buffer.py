"""diffusion_policy's replay buffer, read back with zarr and with our own import.

tests/oracles/check_exports.py opens one with zarr 2 and diffusion_policy's own code.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from made_up_exports import (
    SHAPES,
    Shape,
    assert_same,
    imported,
    numbers,
    pictures,
    recorded,
    with_rewards,
)
from origins import lerobot

from vip_offline.dataset.exporters import replay_buffer
from vip_offline.dataset.exporters.replay_buffer import write_replay
from vip_offline.errors import VipOfflineError


def silent(count: int) -> None:
    del count


def array(root: zarr.Group, key: str) -> zarr.Array[Any]:
    node = root[key]
    assert isinstance(node, zarr.Array)
    return node


def write_source(path: Path, shape: Shape) -> None:
    """A buffer as diffusion_policy's own scripts write it."""
    generator = np.random.default_rng(shape.seed)
    root, rows = zarr.create_group(path, zarr_format=2), sum(shape.lengths)
    columns = {
        "action": numbers(generator, rows, "float32", (2,)),
        "state": numbers(generator, rows, "float32", (3,)),
        "keypoint": numbers(generator, rows, "float64", (4, 2)),
        "reward": numbers(generator, rows, "float32", ()),
        **{f"x{name}": numbers(generator, rows, *kind) for name, kind in shape.extras.items()},
        **{name: pictures(generator, rows) for name in shape.cameras},
    }
    for name, values in columns.items():
        root.create_array(f"data/{name}", data=values)
    root.create_array("meta/episode_ends", data=np.cumsum(shape.lengths))


@pytest.mark.slow
@given(SHAPES)
@settings(max_examples=5, deadline=None)
def test_import_export_import_loses_nothing(shape: Shape) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "a"), Path(folder, "b")
        write_source(source, shape)
        before = imported(source, Path(folder, "a.zarr"))
        labelled = with_rewards(before.path)
        done = write_replay(labelled, out, silent)
        assert not done.notes
        after = imported(out, Path(folder, "b.zarr"))
        assert_same(before, after)
        np.testing.assert_array_equal(after.extra("reward"), labelled.label.reward)
        original, exported = zarr.open_group(source, mode="r"), zarr.open_group(out, mode="r")
        for key, values in original.members(max_depth=None):
            if isinstance(values, zarr.Array) and key != "data/reward":
                copy = array(exported, key)
                assert copy.dtype == values.dtype
                np.testing.assert_array_equal(copy[:], values[:], err_msg=key)


def test_layout_is_what_zarr_2_and_diffusion_policy_expect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_buffer, "CHUNK_BYTES", 72 * 4)  # four frames
    labelled = with_rewards(recorded(tmp_path / "a.zarr", (5, 3, 7)))
    counted: list[int] = []
    done = write_replay(labelled, tmp_path / "b", counted.append)
    assert (done.episodes, done.rows, counted) == (3, 15, [1, 1, 1])
    assert not list((tmp_path / "b").rglob("zarr.json"))
    root, store = zarr.open_group(tmp_path / "b", mode="r", zarr_format=2), labelled.store
    ends = array(root, "meta/episode_ends")
    assert ends.dtype == np.int64
    assert np.asarray(ends[:]).tolist() == [5, 8, 15]
    for name, member in root["data"].members():  # type: ignore[union-attr]
        assert isinstance(member, zarr.Array)
        assert member.shape[0] == 15, name
        assert member.chunks[1:] == member.shape[1:], name
        described = json.loads((tmp_path / "b/data" / name / ".zarray").read_text())
        codec = numcodecs.get_codec(described["compressor"])
        assert (codec.codec_id, codec.cname, codec.shuffle) == ("blosc", "zstd", 2)
    assert array(root, "data/frames_手").chunks[0] == 4
    np.testing.assert_array_equal(array(root, "data/frames_手")[:], store.frames("手", 0, 15))
    np.testing.assert_array_equal(array(root, "data/reward")[:], labelled.label.reward)
    np.testing.assert_array_equal(array(root, "data/force")[:], store.extra("force"))
    assert np.asarray(array(root, "meta/split_übung")[:]).tolist() == [True, False, False]
    made = root.attrs["visual_reward"]
    assert isinstance(made, dict) and made["encoder"] == "pixels"


@pytest.mark.slow
def test_a_recorded_store_comes_back(tmp_path: Path) -> None:
    before = with_rewards(recorded(tmp_path / "a.zarr")).store
    write_replay(with_rewards(before.path), tmp_path / "b", silent)
    after = imported(tmp_path / "b", tmp_path / "b.zarr")
    assert after.cameras == ["front", "手"]
    for key in ("proprio", "action", "succeeded", "true_reward"):
        np.testing.assert_array_equal(after.data(key), before.data(key))
    assert after.meta("success").tolist() == [True, False]


def test_a_row_without_action_is_left_out_and_said(tmp_path: Path) -> None:
    labelled = with_rewards(recorded(tmp_path / "a.zarr", last_action=False))
    done = write_replay(labelled, tmp_path / "b", silent)
    root = zarr.open_group(tmp_path / "b", mode="r")
    assert np.asarray(array(root, "meta/episode_ends")[:]).tolist() == [4, 6]
    assert np.isfinite(np.asarray(array(root, "data/action")[:])).all()
    assert np.isfinite(np.asarray(array(root, "data/reward")[:])).all()
    assert array(root, "data/frames_front").shape[0] == 6
    assert "last observation of 2 episodes is left out" in " ".join(done.notes)


@pytest.mark.slow
def test_an_earlier_visual_reward_is_kept_under_another_name(tmp_path: Path) -> None:
    write_replay(with_rewards(recorded(tmp_path / "a.zarr")), tmp_path / "b", silent)
    again = imported(tmp_path / "b", tmp_path / "b.zarr")
    done = write_replay(with_rewards(again.path), tmp_path / "c", silent)
    assert "reward is written as reward_of_source" in " ".join(done.notes)
    root = zarr.open_group(tmp_path / "c", mode="r")
    np.testing.assert_array_equal(array(root, "data/reward_of_source")[:], again.extra("reward"))


def test_a_zip_archive_is_refused(tmp_path: Path) -> None:
    labelled = with_rewards(recorded(tmp_path / "a.zarr"))
    with pytest.raises(VipOfflineError, match=r"no zip archive. Name it b.zarr; .* packs it"):
        write_replay(labelled, tmp_path / "b.zarr.zip", silent)


def test_frames_that_lie_in_videos_are_decoded(tmp_path: Path) -> None:
    lerobot(tmp_path / "set", (5, 7))
    imported(tmp_path / "set", tmp_path / "a.zarr")
    store = with_rewards(tmp_path / "a.zarr").store
    assert "pts_front" in store.keys("data")
    write_replay(with_rewards(store.path), tmp_path / "b", silent)
    root = zarr.open_group(tmp_path / "b", mode="r")
    np.testing.assert_array_equal(array(root, "data/frames_front")[:], store.frames("front", 0, 12))
    # names of another format are no names here, but what stood beside stays
    assert {*store.keys("extras")} <= {name for name, _ in root["data"].members()}  # type: ignore[union-attr]
