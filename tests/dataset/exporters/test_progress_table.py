"""The progress table; tests/oracles/check_exports.py gives one to LeRobot's own weighting."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_up_exports import recorded, with_rewards
from numpy.typing import NDArray
from origins import lerobot

from vip_offline.dataset.exporters import progress_table
from vip_offline.dataset.exporters.progress_table import progress_of, write_progress
from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.run import import_source
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions


def silent(count: int) -> None:
    del count


def imported(source: Path, store: Path, episodes: int = 0) -> Path:
    origin = open_source(source)
    import_source(origin, store, ImportOptions(max_episodes=episodes))
    origin.close()
    return store


def test_progress_is_the_share_of_the_way() -> None:
    distance = np.array([4, 3, 5, 1, 0], np.float32)
    assert progress_of(distance).tolist() == [0, 0.25, 0, 0.75, 1]


def test_an_episode_that_begins_at_the_goal() -> None:
    progress = progress_of(np.array([0, 2, 0], np.float32))
    assert progress.tolist() == [1, 0, 1]


@given(arrays(np.float32, st.integers(2, 20), elements=st.floats(0, 2.0**99, width=32)))
def test_progress_lies_between_0_and_1(distance: NDArray[np.float32]) -> None:
    progress = progress_of(distance)
    assert progress.dtype == np.float32
    assert progress.shape == distance.shape
    assert ((progress >= 0) & (progress <= 1)).all()
    if distance[0] > 0:
        assert progress[0] == 0
        assert (progress[distance >= distance[0]] == 0).all()
        assert (progress[distance == 0] == 1).all()
        assert (np.diff(progress[np.argsort(-distance)]) >= 0).all()  # nearer is never less


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_every_frame_has_its_index(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_table, "GROUP_ROWS", 8)  # two pieces
    lerobot(tmp_path / "set", (5, 7, 4), version)
    labelled = with_rewards(imported(tmp_path / "set", tmp_path / "a.zarr"))
    counted: list[int] = []
    done = write_progress(labelled, tmp_path / "p.parquet", counted.append)
    assert (done.episodes, done.rows, counted) == (3, 16, [1, 1, 1])
    table = pyarrow.parquet.read_table(tmp_path / "p.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "index": "int64",
        "episode_index": "int64",
        "frame_index": "int64",
        "progress_sparse": "float",
    }
    assert table["index"].to_pylist() == list(range(16))
    assert table["episode_index"].to_pylist() == [0] * 5 + [1] * 7 + [2] * 4
    assert table["frame_index"].to_pylist() == [*range(5), *range(7), *range(4)]
    expected = [
        progress_of(labelled.label.distance[start:stop]) for start, stop in labelled.store.spans()
    ]
    np.testing.assert_array_equal(np.asarray(table["progress_sparse"]), np.concatenate(expected))
    assert table.schema.metadata[b"reward_model_path"] == b"pixels"


def _shift(file: Path, by: int) -> None:
    """As in a data set that others were merged into."""
    table = pyarrow.parquet.read_table(file)
    place = table.schema.get_field_index("index")
    shifted = pyarrow.array(np.asarray(table["index"]) + by)
    pyarrow.parquet.write_table(table.set_column(place, "index", shifted), file)


def test_a_store_of_some_episodes_takes_their_index_from_the_data(tmp_path: Path) -> None:
    lerobot(tmp_path / "set", (5, 7, 4), "v2.1")
    file = tmp_path / "set/data/chunk-000/episode_000000.parquet"
    broken = file.read_bytes()
    file.write_bytes(b"broken")
    origin = open_source(tmp_path / "set")
    import_source(origin, tmp_path / "a.zarr", ImportOptions(skip_broken=True))
    origin.close()
    file.write_bytes(broken)
    _shift(tmp_path / "set/data/chunk-000/episode_000002.parquet", 100)
    labelled = with_rewards(tmp_path / "a.zarr")
    write_progress(labelled, tmp_path / "p.parquet", silent)
    table = pyarrow.parquet.read_table(tmp_path / "p.parquet")
    assert table["episode_index"].to_pylist() == [1] * 7 + [2] * 4
    assert table["index"].to_pylist() == [*range(5, 12), *range(112, 116)]


def test_another_origin_is_refused(tmp_path: Path) -> None:
    labelled = with_rewards(recorded(tmp_path / "a.zarr"))
    with pytest.raises(VipOfflineError, match=r"was not imported from LeRobot \(recorded here\)"):
        write_progress(labelled, tmp_path / "p.parquet", silent)


def test_stages_make_no_one_progress(tmp_path: Path) -> None:
    lerobot(tmp_path / "set", (5, 7))
    path = imported(tmp_path / "set", tmp_path / "a.zarr")
    labelled = with_rewards(path, "staged", goals=2)
    with pytest.raises(VipOfflineError, match="label 'staged' has 2 stages"):
        write_progress(labelled, tmp_path / "p.parquet", silent)


def _gone(source: Path) -> None:
    source.rename(source.with_name("elsewhere"))


def _longer(source: Path) -> None:
    """Another data set in its place."""
    _gone(source)
    lerobot(source, (5, 8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_gone, "which is gone. Put it back there"),
        (_longer, "episode 1: has 8 rows, the store has 7"),
    ],
)
def test_an_origin_that_is_not_what_it_was_is_refused(
    tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    lerobot(tmp_path / "set", (5, 7))
    labelled = with_rewards(imported(tmp_path / "set", tmp_path / "a.zarr"))
    change(tmp_path / "set")
    with pytest.raises(VipOfflineError, match=message):
        write_progress(labelled, tmp_path / "p.parquet", silent)
