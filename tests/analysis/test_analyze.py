import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_up_grey import GREY, grey_episode, make
from made_up_policies import trained_policy
from store_files import lose_frame, overwrite_attribute

from vip_offline.analysis.analyze import analyse
from vip_offline.analysis.results import Analysis, Row
from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.options import AnalyzeOptions, RelabelOptions
from vip_offline.rewards.relabel import relabel


def row(analysis: Analysis, name: str) -> Row:
    return next(row for row in analysis.rows if row.name == name)


def test_a_known_store(labelled: Path) -> None:
    """Two successes get brighter step by step, a failure stays dark."""
    analysis = analyse(labelled, AnalyzeOptions())
    assert [row.name for row in analysis.rows] == [
        "pixels", "raw pixels", "random network", "time",
    ]  # fmt: skip
    assert [row.control for row in analysis.rows] == [False, True, True, True]
    pixels = row(analysis, "pixels")
    assert pixels.goal_from_others
    np.testing.assert_allclose(pixels.order[[0, 2]], 1)
    np.testing.assert_allclose(pixels.bumps, 0)
    assert np.isnan(pixels.order[1])
    assert pixels.came_closer is not None
    assert pixels.came_closer.auc == 1
    assert (pixels.came_closer.successes, pixels.came_closer.failures) == (2, 1)
    assert pixels.agreement == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(pixels.distances[0][0], 100 * GREY, rtol=1e-6)
    np.testing.assert_allclose(pixels.distances[0][-1], 0, atol=1e-6)
    np.testing.assert_allclose(row(analysis, "time").distances[0], 1 - np.arange(5) / 6)
    assert [episode.success for episode in analysis.episodes] == [True, False, True]
    assert analysis.episodes[0].thumbnails is not None
    assert len(analysis.episodes[0].thumbnails) == 5
    # its true reward never changes
    assert any("true reward" in note for note in analysis.left_out)
    assert analysis.verdict
    assert analysis.reasons


def test_goals_are_of_other_episodes(tmp_path: Path) -> None:
    path = make(tmp_path / "g.zarr", ([0, 50, 90], True), ([0, 60, 110], True), ([0, 0], False))
    relabel(path, RelabelOptions(encoder="pixels"))
    pixels = row(analyse(path, AnalyzeOptions()), "pixels")
    np.testing.assert_allclose(pixels.distances[0], np.array([110, 60, 20]) * GREY, rtol=1e-5)
    np.testing.assert_allclose(pixels.distances[1], np.array([90, 30, 20]) * GREY, rtol=1e-5)
    # the failure is no goal, so the mean of both is its goal
    np.testing.assert_allclose(pixels.distances[2], np.array([100, 100]) * GREY, rtol=1e-5)
    # Fig. 6 takes an episode's own last frame
    np.testing.assert_allclose(pixels.own[0], np.array([90, 40, 0]) * GREY, rtol=1e-5)
    # training sees the rewards that the labelling holds
    np.testing.assert_allclose(pixels.rewards[0], np.array([50, 40]) * GREY, rtol=1e-4)


def test_own_last_frames_as_goals_are_not_taken_at_their_word(tmp_path: Path) -> None:
    path = make(
        tmp_path / "g.zarr", ([0, 50, 100], True), ([0, 50, 100], True), ([100, 50, 0], False)
    )
    relabel(path, RelabelOptions(encoder="pixels", goal=("last",)))
    pixels = row(analyse(path, AnalyzeOptions()), "pixels")
    # by its own goal the failure comes as near as the others
    assert pixels.own[2][-1] == pixels.own[0][-1] == 0
    assert pixels.came_closer is not None
    assert pixels.came_closer.auc == 1


def test_the_only_goal_is_no_goal_for_its_own_episode(tmp_path: Path) -> None:
    path = make(tmp_path / "g.zarr", ([0, 50, 100], True), ([0, 0, 0], False), ([0, 9, 0], False))
    relabel(path, RelabelOptions(encoder="pixels"))
    analysis = analyse(path, AnalyzeOptions())
    pixels = row(analysis, "pixels")
    assert np.isnan(pixels.distances[0]).all()
    assert np.isfinite(pixels.distances[1]).all()
    assert pixels.came_closer is None  # no success is left
    assert pixels.weightings  # of the labelling's rewards, which training sees
    assert any("episode 0" in note for note in analysis.left_out)


def test_failures_that_moved_as_far(tmp_path: Path) -> None:
    path = tmp_path / "g.zarr"
    with writing(path, create={}) as store:
        for index, (levels, success, reach) in enumerate(
            [
                ([0, 50, 100], True, 1.0),
                ([0, 50, 100], True, 2.0),
                ([0, 0, 0], False, 0.0),  # never moved
                ([0, 60, 100], False, 1.5),  # moved, and came as near
            ]
        ):
            episode = grey_episode(levels, success, index)
            proprio = np.linspace(0, reach, 3, dtype=np.float32)[:, None]
            store.append(Episode(**{**vars(episode), "proprio": proprio}))
    relabel(path, RelabelOptions(encoder="pixels"))
    pixels = row(analyse(path, AnalyzeOptions()), "pixels")
    assert pixels.came_closer is not None
    assert pixels.came_closer_moved is not None
    assert (pixels.came_closer.failures, pixels.came_closer_moved.failures) == (2, 1)
    assert pixels.came_closer_moved.auc < pixels.came_closer.auc


def test_labellings_side_by_side(labelled: Path) -> None:
    relabel(labelled, RelabelOptions(encoder="pixels", name="other", goal=("1:0",)))
    analysis = analyse(labelled, AnalyzeOptions(labels=("pixels", "other")))
    assert [labelling.name for labelling in analysis.labellings] == ["pixels", "other"]
    assert any("different goals" in note for note in analysis.left_out)
    with pytest.raises(VipOfflineError, match="2 labellings"):
        analyse(labelled, AnalyzeOptions())
    with pytest.raises(VipOfflineError, match="no label 'othr'"):
        analyse(labelled, AnalyzeOptions(labels=("othr",)))


@pytest.mark.slow
def test_controls_see_what_the_encoder_saw(tmp_path: Path) -> None:
    path = trained_policy(tmp_path, "pixels", fit="pad").parent / "demos.zarr"
    relabel(path, RelabelOptions(encoder="random-resnet18"))
    analysis = analyse(path, AnalyzeOptions(labels=("pixels", "random-resnet18")))
    # the same picture, padded: made by two resizers, so not to the last grey level
    pixels, control = row(analysis, "pixels"), row(analysis, "raw pixels")
    np.testing.assert_allclose(control.distances[0], pixels.distances[0], rtol=0.1)
    assert any("different fits (pad, crop)" in note for note in analysis.left_out)


def test_without_frames_the_rest_is_done(labelled: Path) -> None:
    shutil.rmtree(labelled / "data" / "frames_front")
    overwrite_attribute(labelled, "", arrays=None)  # as if it had been written without
    analysis = analyse(labelled, AnalyzeOptions())
    assert [row.name for row in analysis.rows] == ["pixels", "time"]
    assert any("frames of camera front" in note for note in analysis.left_out)
    assert analysis.episodes[0].thumbnails is None
    assert all(heavy.pictures is None for w in analysis.rows[0].weightings for heavy in w.heaviest)
    assert analysis.rows[0].came_closer is not None


def test_a_missing_frame_is_an_error(labelled: Path) -> None:
    lose_frame(labelled, "front", 3)
    with pytest.raises(VipOfflineError, match="row 3: it was never written"):
        analyse(labelled, AnalyzeOptions())


def test_without_embeddings_the_labelling_is_taken_at_its_word(labelled: Path) -> None:
    before = open_store(labelled).label("pixels").distance
    shutil.rmtree(labelled / "embeddings")
    analysis = analyse(labelled, AnalyzeOptions())
    assert any("embeddings" in note for note in analysis.left_out)
    assert not analysis.rows[0].goal_from_others
    np.testing.assert_array_equal(np.concatenate(analysis.rows[0].distances), before)


def test_all_failures(make_store: Callable[..., Path]) -> None:
    path = make_store("bad", (5, 7), (False, False))
    relabel(path, RelabelOptions(encoder="pixels", goal=("last",)))
    analysis = analyse(path, AnalyzeOptions())
    assert "No verdict" in analysis.verdict
    assert row(analysis, "pixels").came_closer is None


def test_all_successes(make_store: Callable[..., Path]) -> None:
    path = make_store("good", (5, 7), (True, True))
    relabel(path, RelabelOptions(encoder="pixels"))
    analysis = analyse(path, AnalyzeOptions())
    assert "No verdict: no episode is marked as a failure" in analysis.verdict
    assert any("failure" in note for note in analysis.left_out)


def test_short_and_constant_episodes(tmp_path: Path) -> None:
    path = make(
        tmp_path / "g.zarr",
        ([0, 50, 100], True),
        ([0, 100], True),
        ([0, 0], False),
        ([7] * 9, False),
    )
    relabel(path, RelabelOptions(encoder="pixels"))
    analysis = analyse(path, AnalyzeOptions())
    kinds = [[flag.kind for flag in episode.flags] for episode in analysis.episodes]
    assert "too-short" in kinds[1]
    assert "too-short" in kinds[2]
    assert np.isnan(row(analysis, "pixels").order[1:]).all()


@pytest.mark.slow
def test_the_heaviest_transitions_do_not_overlap(tmp_path: Path) -> None:
    levels = [0, 1, 2, 3, 40, 41, 42, 43, 44, 45, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99]
    path = make(tmp_path / "g.zarr", (levels, True), (levels, True), ([0] * 20, False))
    relabel(path, RelabelOptions(encoder="pixels"))
    analysis = analyse(path, AnalyzeOptions(n_steps=5, target_ess=0.2))
    step, ahead, whole = row(analysis, "pixels").weightings
    assert [weighting.weight_by for weighting in (step, ahead, whole)] == [
        "step",
        "n-step",
        "return",
    ]
    assert {(heavy.episode, heavy.step) for heavy in step.heaviest[:2]} == {(0, 9), (1, 9)}
    heavy = step.heaviest[0]
    assert heavy.pictures is not None
    assert [int(picture.mean()) for picture in heavy.pictures] == [45, 90]
    spans = sorted(
        (heavy.episode, heavy.step, heavy.step + heavy.ahead) for heavy in ahead.heaviest
    )
    for (episode, _, stop), (other, start, _) in pairwise(spans):
        assert episode != other or start >= stop
    assert step.on_successes > step.of_successes
    assert step.effective_sample_size[0] == pytest.approx(1, abs=1e-3)
    assert (np.diff(step.effective_sample_size) <= 1e-9).all()


def test_the_nearest_goal_of_other_episodes(tmp_path: Path) -> None:
    path = make(
        tmp_path / "g.zarr", ([100, 200], True), ([100, 40], True), ([100, 190], True),
        ([100, 160, 130], False),
    )  # fmt: skip
    relabel(path, RelabelOptions(encoder="pixels", goal=("nearest:successes",)))
    pixels, raw = (row(analyse(path, AnalyzeOptions()), name) for name in ("pixels", "raw pixels"))
    assert pixels.goal_from_others
    assert not pixels.mean_goal
    np.testing.assert_allclose(pixels.distances[0], np.array([60, 10]) * GREY, rtol=1e-5)
    np.testing.assert_allclose(pixels.distances[1], np.array([90, 150]) * GREY, rtol=1e-5)
    np.testing.assert_allclose(pixels.distances[3], np.array([60, 30, 60]) * GREY, rtol=1e-5)
    # the control has the same goals
    np.testing.assert_allclose(raw.distances[3], pixels.distances[3], rtol=1e-5)
