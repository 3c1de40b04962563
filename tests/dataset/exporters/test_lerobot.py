"""The copy of a LeRobot data set; tests/oracles/check_exports.py opens one with LeRobot itself."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from made_up_exports import assert_same, imported, with_rewards
from origins import lerobot

from vip_offline.dataset.exporters.labelled_episodes import LabelledStore
from vip_offline.dataset.exporters.lerobot import statistics, write_lerobot
from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.run import import_source
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

STATS = ("min", "max", "mean", "std", "count", "q01", "q50")
LENGTHS = (5, 7, 4)


def silent(count: int) -> None:
    del count


def contents(path: Path) -> dict[str, str]:
    return {
        file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def described(path: Path) -> Any:
    return json.loads((path / "meta/info.json").read_text())


def add_statistics(path: Path) -> None:
    """As LeRobot writes them, and what `datasets` notes in the data files."""
    column = {name: [3 if name == "count" else 0.5] for name in STATS}
    (path / "meta/stats.json").write_text(json.dumps({"timestamp": column, "action": {}}))
    file = path / "meta/episodes/chunk-000/file-000.parquet"
    table = pyarrow.parquet.read_table(file)
    for name in STATS:
        table = table.append_column(f"stats/timestamp/{name}", [column[name] for _ in range(3)])
    pyarrow.parquet.write_table(table, file)
    file = path / "data/chunk-000/file-000.parquet"
    table = pyarrow.parquet.read_table(file).drop_columns(["next.reward"])
    noted = {"info": {"features": {"action": {"dtype": "float32"}}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(noted), "own": "kept"})
    pyarrow.parquet.write_table(table, file, row_group_size=6)
    info = described(path)
    del info["features"]["next.reward"]
    (path / "meta/info.json").write_text(json.dumps(info))


@pytest.fixture(params=["video", "image"])
def labelled(tmp_path: Path, request: pytest.FixtureRequest) -> LabelledStore:
    source = tmp_path / "set"
    lerobot(source, LENGTHS, pictures=request.param)
    add_statistics(source)
    (source / "README.md").write_text("a card")
    (source / ".cache").mkdir()
    (source / ".cache/lock").write_text("")
    imported(source, tmp_path / "a.zarr")
    return with_rewards(tmp_path / "a.zarr")


def rewards(labelled: LabelledStore) -> np.ndarray:
    return np.nan_to_num(labelled.label.reward)


def test_the_copy_holds_the_rewards_and_all_else(tmp_path: Path, labelled: LabelledStore) -> None:
    before, counted = contents(tmp_path / "set"), list[int]()
    done = write_lerobot(labelled, tmp_path / "copy", counted.append)
    assert contents(tmp_path / "set") == before
    assert (done.episodes, done.rows, sum(counted)) == (3, 16, 3)
    after = contents(tmp_path / "copy")
    assert {*before} - {*after} == {".cache/lock"}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        "data/chunk-000/file-000.parquet",
        "meta/info.json",
        "meta/stats.json",
        "meta/episodes/chunk-000/file-000.parquet",
    }
    for name in after:
        linked = (tmp_path / "copy" / name).samefile(tmp_path / "set" / name)
        assert linked == name.startswith("videos/"), name
    original, copy = (
        pyarrow.parquet.ParquetFile(tmp_path / folder / "data/chunk-000/file-000.parquet")
        for folder in ("set", "copy")
    )
    assert copy.num_row_groups == original.num_row_groups == 3
    table = copy.read()
    assert table.drop_columns(["next.reward"]).equals(original.read())
    np.testing.assert_array_equal(np.asarray(table["next.reward"]), rewards(labelled))
    assert table.schema.metadata[b"own"] == b"kept"
    noted = json.loads(table.schema.metadata[b"huggingface"])
    assert noted["info"]["features"] == {
        "action": {"dtype": "float32"},
        "next.reward": {"dtype": "float32", "_type": "Value"},
    }


def test_the_metadata_say_so(tmp_path: Path, labelled: LabelledStore) -> None:
    write_lerobot(labelled, tmp_path / "copy", silent)
    before, after = described(tmp_path / "set"), described(tmp_path / "copy")
    assert after["features"].pop("next.reward") == {
        "dtype": "float32",
        "shape": [1],
        "names": None,
    }
    assert after == before
    stats = json.loads((tmp_path / "copy/meta/stats.json").read_text())
    assert {*stats["next.reward"]} == {*STATS}
    assert stats["next.reward"]["count"] == [16]
    assert stats["next.reward"]["min"] == [pytest.approx(rewards(labelled).min())]
    table = pyarrow.parquet.read_table(tmp_path / "copy/meta/episodes/chunk-000/file-000.parquet")
    original = pyarrow.parquet.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet")
    assert table.select(original.column_names).equals(original)
    for index, (start, stop) in enumerate(labelled.store.spans()):
        part = rewards(labelled)[start:stop].astype(float)
        row = {name: table[f"stats/next.reward/{name}"][index].as_py() for name in STATS}
        assert row["count"] == [stop - start]
        assert row["mean"] == [pytest.approx(part.mean())]
        assert row["std"] == [pytest.approx(part.std())]
        assert row["q50"] == [pytest.approx(np.median(part))]


def test_the_copy_is_imported_with_its_rewards(tmp_path: Path, labelled: LabelledStore) -> None:
    write_lerobot(labelled, tmp_path / "copy", silent)
    after = imported(tmp_path / "copy", tmp_path / "b.zarr")
    np.testing.assert_array_equal(after.data("true_reward"), rewards(labelled))
    again = imported(tmp_path / "copy", tmp_path / "c.zarr", "reward=")
    assert_same(labelled.store, again)


def test_a_reward_that_is_there_is_replaced(tmp_path: Path) -> None:
    lerobot(tmp_path / "set", LENGTHS)
    imported(tmp_path / "set", tmp_path / "a.zarr")
    labelled = with_rewards(tmp_path / "a.zarr")
    write_lerobot(labelled, tmp_path / "copy", silent)
    original, copy = (
        pyarrow.parquet.read_table(tmp_path / folder / "data/chunk-000/file-000.parquet")
        for folder in ("set", "copy")
    )
    assert copy.column_names == original.column_names
    np.testing.assert_array_equal(np.asarray(copy["next.reward"]), rewards(labelled))
    assert not (tmp_path / "copy/meta/stats.json").exists()  # nor in the origin
    assert [*described(tmp_path / "copy")["features"]] == [*described(tmp_path / "set")["features"]]


def test_files_that_are_links_are_followed(tmp_path: Path, labelled: LabelledStore) -> None:
    """As in the cache of huggingface_hub."""
    for file in [path for path in (tmp_path / "set").rglob("*") if path.is_file()]:
        blob = tmp_path / "blobs" / hashlib.sha256(str(file).encode()).hexdigest()
        blob.parent.mkdir(exist_ok=True)
        file.rename(blob)
        file.symlink_to(blob)
    write_lerobot(labelled, tmp_path / "copy", silent)
    assert not [path for path in (tmp_path / "copy").rglob("*") if path.is_symlink()]


def test_a_disk_without_links_gets_copies(
    tmp_path: Path, labelled: LabelledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    write_lerobot(labelled, tmp_path / "copy", silent)
    assert {*contents(tmp_path / "set")} - {*contents(tmp_path / "copy")} == {".cache/lock"}


def test_an_episode_without_reward_is_refused(tmp_path: Path) -> None:
    lerobot(tmp_path / "set", LENGTHS)
    origin = open_source(tmp_path / "set")
    import_source(origin, tmp_path / "a.zarr", ImportOptions(max_episodes=2))
    origin.close()
    with pytest.raises(VipOfflineError, match=r"lacks episode 2 of .* \(it has 2 of 3\)"):
        write_lerobot(with_rewards(tmp_path / "a.zarr"), tmp_path / "copy", silent)


def test_version_2_is_refused(tmp_path: Path) -> None:
    lerobot(tmp_path / "set", LENGTHS, "v2.1")
    imported(tmp_path / "set", tmp_path / "a.zarr")
    with pytest.raises(VipOfflineError, match=r"is a LeRobotDataset v2.1; copies .* Convert it"):
        write_lerobot(with_rewards(tmp_path / "a.zarr"), tmp_path / "copy", silent)


def test_a_copy_inside_the_original_is_refused(tmp_path: Path, labelled: LabelledStore) -> None:
    with pytest.raises(VipOfflineError, match="would lie inside the data set that is copied"):
        write_lerobot(labelled, tmp_path / "set/copy", silent)


def test_an_origin_that_was_changed_is_refused(tmp_path: Path, labelled: LabelledStore) -> None:
    (tmp_path / "set").rename(tmp_path / "old")
    lerobot(tmp_path / "set", (5, 6, 4))
    with pytest.raises(VipOfflineError, match="episode 1: has 6 rows, the store has 7 of it"):
        write_lerobot(labelled, tmp_path / "copy", silent)


def test_statistics_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).normal(size=101).astype(np.float32)
    results = statistics(values, [*STATS, "unheard-of"])
    assert {*results} == {*STATS}
    assert results["q01"] == [np.quantile(values.astype(float), 0.01)]
    assert results["std"] == [values.astype(float).std()]
    assert results["count"] == [101]
