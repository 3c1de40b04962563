"""Progress heads on embeddings whose progress is known, and on the stores of three episodes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from in_process import refusal
from numpy.typing import NDArray

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.rewards.progress_head import (
    KINDS,
    fold_of,
    head_scores,
    measured_in_words,
    task_ends,
)
from vip_offline.rewards.relabel import relabel

Episodes = list[NDArray[np.float32]]


def made_up(failures: int = 4) -> tuple[Episodes, NDArray[np.bool_], NDArray[np.int64]]:
    """Successes move along one direction, failures do not; each has an offset of its own."""
    generator = np.random.default_rng(3)
    success = np.array([True] * 6 + [False] * failures)
    episodes = []
    for good in success:
        length = int(generator.integers(18, 26))
        rows = generator.normal(0, 0.05, (length, 8)) + generator.normal(0, 1, 8)
        rows[:, 2] += np.linspace(0, 3, length) if good else 0
        episodes.append(rows.astype(np.float32))
    return episodes, success, np.array([[len(rows) - 1] for rows in episodes])


@pytest.mark.parametrize("kind", KINDS)
def test_progress_is_seen_in_episodes_that_were_held_out(kind: str) -> None:
    episodes, success, ends = made_up()
    scored = head_scores(episodes, success, ends, kind)
    lasts = scored.distance[np.cumsum([len(rows) for rows in episodes]) - 1]
    assert lasts[success].max() < lasts[~success].min()
    assert scored.measured["order"] > 0.9 and scored.measured["rewound_gain"] < 0.1
    again = head_scores(episodes, success, ends, kind)
    np.testing.assert_array_equal(scored.distance, again.distance)


def test_the_score_of_an_episode_does_not_depend_on_its_outcome_rows() -> None:
    """Out of fold: a success whose frames change is scored anew, by the same head."""
    episodes, success, ends = made_up(0)
    before = head_scores(episodes, success, ends, "ridge")
    fold = fold_of(success)
    changed = [rows.copy() for rows in episodes]
    changed[0][5:] += 40
    after = head_scores(changed, success, ends, "ridge")
    starts = np.cumsum([0, *(len(rows) for rows in episodes)])
    top = before.measured["top"], after.measured["top"]
    unchanged = slice(starts[0], starts[0] + 5)  # of the episode itself: its head has not seen it
    np.testing.assert_allclose(
        before.distance[unchanged] - top[0], after.distance[unchanged] - top[1], atol=1e-9
    )
    other = int(np.flatnonzero(fold != fold[0])[0])  # of a head that has
    rows = slice(starts[other], starts[other + 1])
    assert not np.allclose(before.distance[rows] - top[0], after.distance[rows] - top[1])


def test_an_episode_played_backwards_loses() -> None:
    episodes, success, ends = made_up(0)
    reverse = [rows[::-1] for rows in episodes]
    forwards = head_scores(episodes, success, ends, "mlp")
    scored = head_scores([*episodes, *reverse], np.repeat([True, False], 6), np.r_[ends, ends],
                         "mlp")  # fmt: skip
    lasts = np.cumsum([len(rows) for rows in [*episodes, *reverse]]) - 1
    assert forwards.measured["rewound_gain"] < 0.1
    assert (scored.distance[lasts[6:]] > scored.measured["top"]).all()  # less than at their start


def test_stages_are_equal_shares_of_the_task() -> None:
    """Most of the time goes by in the first stage, and half of the progress."""
    generator, rows = np.random.default_rng(1), np.zeros((25, 8), np.float32)
    rows[:21, 2], rows[20:, 2], rows[20:, 3] = np.linspace(0, 3, 21), 3, np.linspace(0, 3, 5)
    episodes = [rows + generator.normal(0, 0.02, rows.shape).astype(np.float32) for _ in range(6)]
    ends, success = np.array([[20, 24]] * 6), np.full(6, True)
    by_time = head_scores(episodes, success, ends[:, 1:], "ridge")
    by_stage = head_scores(episodes, success, ends, "ridge")
    for scored, halfway in ((by_time, 20 / 24), (by_stage, 1 / 2)):
        score = scored.measured["top"] - scored.distance.reshape(6, 25)
        np.testing.assert_allclose(score[:, 20], halfway, atol=0.05)
    ends[0, 0] = -1  # one that does not reach its first stage
    assert head_scores(episodes, success, ends, "ridge").measured["left_out"] == 1


def test_a_labelling_by_stages(store_path: Path) -> None:
    options = RelabelOptions("pixels", from_="head:ridge", stages=("0:2", "successes"))
    done = relabel(store_path, options)
    assert done.reached is None
    label = open_store(store_path).label("head-ridge")
    assert label.goal is None and label.provenance["reach"] == 0.7
    assert "(stage + share of the stage's time) / 2" in label.provenance["from"]["target"]
    assert label.provenance["measured"]["stages"] == 2
    assert not relabel(store_path, options).written
    with pytest.raises(VipOfflineError, match="was made with other settings"):
        relabel(store_path, replace(options, stages=("0:1", "successes")))
    with pytest.raises(VipOfflineError, match="1 of its 2 successes reach every --stage"):
        relabel(store_path, replace(options, name="none", reach=0.0))
    with pytest.raises(VipOfflineError, match="two stages or more"):
        relabel(store_path, replace(options, stages=("0:1",)))


def test_folds_are_of_both_outcomes() -> None:
    success = np.array([True] * 5 + [False] * 10)
    fold = fold_of(success)
    assert np.bincount(fold[success]).tolist() == [1] * 5
    assert np.bincount(fold[~success]).tolist() == [2] * 5


def test_a_task_ends_where_it_first_succeeded(make_store: Callable[..., Path]) -> None:
    path = make_store(lengths=(5, 6), successes=(True, True))
    assert task_ends(open_store(path)).tolist() == [4, 5]


@pytest.mark.parametrize("successes", [(True, False, False), (False, False, False)])
def test_too_few_successes(make_store: Callable[..., Path], successes: tuple[bool, ...]) -> None:
    path = make_store(successes=successes)
    count = sum(successes)
    with pytest.raises(VipOfflineError, match=f"{count} of its 3 .* Record or import {2 - count}"):
        relabel(path, RelabelOptions("pixels", from_="head:ridge"))
    assert open_store(path).label_names == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "head:rigde"), "Did you mean 'head:ridge'"),
        (("--from", "head:mlp", "--key-map", "score=a"), "reads no columns"),
        (("--from", "head:mlp", "--goal", "last"), "--goal: the scores of --from head:mlp"),
    ],
)
def test_settings_that_name_nothing(
    store_path: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    words = refusal("relabel", store_path, "--encoder", "pixels", *arguments, cwd=tmp_path)
    assert message in " ".join(words.split())


def test_a_labelling_like_any_other(store_path: Path) -> None:
    options = RelabelOptions("pixels", from_="head:ridge")
    done = relabel(store_path, options)
    assert done.name == "head-ridge" and done.written
    label = open_store(store_path).label(done.name)
    assert label.goal is None and {"meta/success", "data/succeeded"} < set(label.read)
    assert label.provenance["from"]["head"] == "ridge"
    assert measured_in_words(label.provenance["measured"]) in done.notes
    assert np.flatnonzero(np.isnan(label.reward)).tolist() == [4, 11, 17]
    assert label.distance[4] < label.distance[0] and label.distance[17] < label.distance[12]
    again = relabel(store_path, options)
    assert not again.written and again.notes == done.notes


def test_another_outcome_makes_it_outdated(store_path: Path) -> None:
    options = RelabelOptions("pixels", from_="head:ridge")
    relabel(store_path, options)
    success = zarr.open_group(store_path)["meta/success"]
    assert isinstance(success, zarr.Array)
    success[1] = True
    with pytest.raises(VipOfflineError, match="success label of episode 1 changed"):
        open_store(store_path).label("head-ridge")
