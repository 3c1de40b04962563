"""Scores of frames from elsewhere, beside a store of three episodes of 5, 7 and 6 rows."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import LENGTHS
from in_process import invoke, refusal

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.rewards.scores import read_scores

Columns = dict[str, Any]
PROGRESS = np.concatenate([np.linspace(0, 1, n) if n != 7 else np.zeros(n) for n in LENGTHS])


def columns_of(lengths: tuple[int, ...] = LENGTHS, first: int = 0) -> Columns:
    """As LeRobot's reward models write them."""
    rows = sum(lengths)
    return {
        "index": np.arange(rows),
        "episode_index": np.repeat(np.arange(len(lengths)) + first, lengths),
        "frame_index": np.concatenate([np.arange(length) for length in lengths]),
        "progress_sparse": np.resize(PROGRESS, rows).astype(np.float32),
    }


def parquet(path: Path, columns: Columns) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def labelled_by(store: Path, source: object, *key_map: str, **options: Any) -> Any:
    settings = RelabelOptions("pixels", from_=str(source), key_map=key_map, **options)
    done = relabel(store, settings)
    return open_store(store).label(done.name)


def test_progress_becomes_how_much_of_it_each_step_made(store_path: Path, tmp_path: Path) -> None:
    file = parquet(tmp_path / "sarm.parquet", columns_of())
    label = labelled_by(store_path, file)
    assert label.name == "sarm" and label.goal is None
    np.testing.assert_allclose(label.distance, 1 - PROGRESS, atol=1e-6)
    np.testing.assert_allclose(label.reward[:4], 1 / 4, atol=1e-6)
    assert np.flatnonzero(np.isnan(label.reward)).tolist() == [4, 11, 17]
    made_of = label.provenance["from"]
    assert made_of["file"] == "sarm.parquet" and len(made_of["sha256"]) == 64
    assert made_of["columns"]["score"] == "progress_sparse" and made_of["top"] == 1
    assert label.provenance["goal"] == "score 'progress_sparse' of sarm.parquet"


def test_rows_are_found_whatever_their_order(store_path: Path, tmp_path: Path) -> None:
    shuffled = np.random.default_rng(0).permutation(sum(LENGTHS))
    columns = {name: column[shuffled] for name, column in columns_of().items()}
    label = labelled_by(store_path, parquet(tmp_path / "a.parquet", columns))
    np.testing.assert_allclose(label.distance, 1 - PROGRESS, atol=1e-6)


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_other_tables_by_a_key_map(store_path: Path, tmp_path: Path, form: str) -> None:
    columns = columns_of()
    named = {"ep": columns["episode_index"], "t": columns["frame_index"], "vlm": PROGRESS * 20}
    file = tmp_path / f"a.{form}"
    if form == "npz":
        np.savez(file, **named)
    else:
        table = np.stack([*named.values()], axis=1)
        np.savetxt(file, table, delimiter=",", header=",".join(named), comments="")
    label = labelled_by(store_path, file, "episode=ep", "frame=t", "score=vlm")
    np.testing.assert_allclose(label.distance, 20 - PROGRESS * 20, rtol=1e-5, atol=1e-5)


def test_a_reward_of_each_step_comes_back(store_path: Path, tmp_path: Path) -> None:
    columns = columns_of()
    del columns["progress_sparse"]
    reward = np.random.default_rng(1).normal(size=sum(LENGTHS))
    reward[[4, 11, 17]] = np.nan  # no step starts in a last row
    file = parquet(tmp_path / "a.parquet", {**columns, "next.reward": reward})
    label = labelled_by(store_path, file)
    np.testing.assert_allclose(label.reward, reward, atol=1e-6)
    assert label.distance.min() == pytest.approx(0, abs=1e-6)


def test_the_stores_own_true_reward(store_path: Path) -> None:
    label = labelled_by(store_path, "true_reward")
    assert label.name == "true_reward"
    true = open_store(store_path).data("true_reward")
    np.testing.assert_allclose(label.reward, true, atol=1e-6)
    assert "data/true_reward" in label.read


def test_of_several_scores_the_one_taken_is_said(store_path: Path, tmp_path: Path) -> None:
    columns = {**columns_of(), "progress_dense": PROGRESS.astype(np.float32) / 2}
    file = parquet(tmp_path / "a.parquet", columns)
    scores = read_scores(open_store(store_path), str(file), ())
    assert scores.notes == (
        f"{file}: column 'progress_sparse' is taken, not progress_dense (--key-map score=...)",
    )
    dense = read_scores(open_store(store_path), str(file), ("score=progress_dense",))
    assert dense.notes == () and dense.distance.min() == 0.5


def test_a_table_without_episodes_is_in_the_stores_order(store_path: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", score=PROGRESS)
    scores = read_scores(open_store(store_path), str(tmp_path / "a.npz"), ())
    np.testing.assert_allclose(scores.distance, 1 - PROGRESS)
    assert "names no episodes" in scores.notes[0]


def without(columns: Columns, row: int) -> Columns:
    return {name: np.delete(column, row) for name, column in columns.items()}


def with_value(columns: Columns, name: str, row: int, value: float) -> Columns:
    column = columns[name].astype(np.float64)
    column[row] = value
    return {**columns, name: column}


WRONG: list[tuple[Callable[[], Columns], str]] = [
    (lambda: columns_of((5, 7, 6, 4)), "scores 4 episodes, .* has 3: these are scores of another"),
    (lambda: columns_of((5, 8, 6)), r"episode 1: 8 frames \(0 to 7\), and .*episode 1, has 7"),
    (lambda: columns_of((5, 7)), "has no episode 2"),
    (lambda: without(columns_of(), 7), "episode 1: 6 frames .* frame 2 is missing"),
    (lambda: with_value(columns_of(), "frame_index", 3, 2), "episode 0, frame 2 stands in it 2"),
    (lambda: with_value(columns_of(), "progress_sparse", 7, np.nan), "episode 1, frame 2: is nan"),
    (lambda: with_value(columns_of(), "frame_index", 3, 2.5), "2.5 is no whole number"),
    (lambda: {"frame_index": np.arange(18)}, "no column is called progress_sparse"),
    (lambda: {"progress": np.zeros(17)}, "17 rows, and .* has 18"),
    (
        lambda: {"index": np.r_[:17, 20], "progress": np.zeros(18)},
        "column 'index' has no 17",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_is_no_score_of_this_store_is_refused(
    store_path: Path, tmp_path: Path, make: Callable[[], Columns], message: str
) -> None:
    file = parquet(tmp_path / "a.parquet", make())
    with pytest.raises(VipOfflineError, match=message):
        labelled_by(store_path, file)
    assert open_store(store_path).label_names == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "nowhere.parquet"), "--from nowhere.parquet: is no file"),
        (("--from", "true_rewar"), "Did you mean 'true_reward'"),
        (("--from", "true_reward", "--goal", "last"), "--goal: the scores of --from true_reward"),
        (("--key-map", "score=a"), "Give that, too"),
        (("--from", "a.npz", "--key-map", "scor=a"), "expected ROLE=COLUMN"),
        (("--from", "a.npz", "--key-map", "score=scor"), "Did you mean 'score'"),
    ],
)
def test_settings_that_name_nothing(
    store_path: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    np.savez(tmp_path / "a.npz", score=PROGRESS)
    words = refusal("relabel", store_path, "--encoder", "pixels", *arguments, cwd=tmp_path)
    assert message in " ".join(words.split())


def test_of_several_encoders_one_must_be_named(labelled: Path, tmp_path: Path) -> None:
    shutil.copytree(labelled / "embeddings/pixels", labelled / "embeddings/other")
    words = " ".join(refusal("relabel", labelled, "--from", "true_reward", cwd=tmp_path).split())
    assert "holds embeddings by other, pixels. Say with --encoder" in words


@pytest.mark.slow
def test_they_are_judged_trained_on_and_exported_as_ours(labelled: Path, tmp_path: Path) -> None:
    parquet(tmp_path / "sarm.parquet", columns_of())

    def run(*arguments: str) -> str:
        ended = invoke(*arguments, cwd=tmp_path)
        assert ended.code in (None, 0), ended
        return " ".join(ended.stdout.split())

    text = run("relabel", "demos.zarr", "--encoder", "pixels", "--from", "sarm.parquet")
    assert "label 'sarm' written; scores: score 'progress_sparse' of sarm.parquet" in text
    text = run("relabel", "demos.zarr", "--from", "sarm.parquet")  # the store's own encoder
    assert "pixels is the encoder, since the store holds its embeddings alone" in text
    assert "label 'sarm' is there" in text
    run("analyze", "demos.zarr", "--label", "sarm", "--label", "pixels")
    (numbers,) = tmp_path.rglob("analysis.json")
    rows = {row["name"]: row for row in json.loads(numbers.read_text())["rows"]}
    assert rows["sarm"]["made_of"] == "score 'progress_sparse' of sarm.parquet"
    run("train", "demos.zarr", "--label", "sarm", "--algo", "rwr", "--tau", "1", "--steps", "2")
    (manifest,) = tmp_path.rglob("manifest.json")
    trained = json.loads(manifest.read_text())
    assert trained["label"]["from"]["file"] == "sarm.parquet"
    assert trained["encoder"]["encoder"] == "pixels"
    run("export", "demos.zarr", "out.hdf5", "--to", "robomimic", "--label", "sarm")
    with h5py.File(tmp_path / "out.hdf5") as file:
        np.testing.assert_allclose(file["data/demo_0/rewards"][:4], 1 / 4, atol=1e-6)
    assert "difference, scores:" in run("inspect", "demos.zarr")


def test_another_file_under_the_name_is_refused(store_path: Path, tmp_path: Path) -> None:
    file = parquet(tmp_path / "sarm.parquet", columns_of())
    labelled_by(store_path, file)
    parquet(file, {**columns_of(), "progress_sparse": PROGRESS.astype(np.float32) / 2})
    with pytest.raises(VipOfflineError, match=r"made with other settings \(from\)"):
        labelled_by(store_path, file)
