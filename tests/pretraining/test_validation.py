from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_up_clips import pictures, write_clip, write_two_cameras
from numpy.typing import NDArray

from vip_offline.pretraining.clips.clip import Clips
from vip_offline.pretraining.clips.open_clips import open_clips
from vip_offline.pretraining.validation import (
    CLIPS,
    MOST_FRAMES,
    ProgressMetrics,
    Validation,
    held_out,
    progress_metrics,
    some_rows,
    validation_clips,
)

GROUPS = np.repeat([0, 3, 1], [20, 40, 6])  # numbers need not be in order
ALONE = np.arange(len(GROUPS))  # each clip its own take


def line(*values: float) -> NDArray[np.float32]:
    """(T, 2) embeddings along a line."""
    return np.array([[value, 0] for value in values], np.float32)


def test_every_group_has_its_share_held_out() -> None:
    out = held_out(GROUPS, ALONE, 0.1, 0)
    assert out.dtype == bool and out.shape == GROUPS.shape
    # 6 clips have one held out, though a tenth of them is less
    assert [int(out[group == GROUPS].sum()) for group in (0, 3, 1)] == [2, 4, 1]


def test_whole_takes_are_held_out() -> None:
    # two or three cameras, told apart by camera first, as in a store
    takes = np.r_[
        np.tile(np.arange(10), 2), np.tile(np.arange(50, 70), 2), [90, 91, 90, 91, 90, 91]
    ]
    for seed in range(20):
        out = held_out(GROUPS, takes, 0.3, seed)
        assert set(takes[out]).isdisjoint(takes[~out])
        assert [len(set(takes[out & (group == GROUPS)])) for group in (0, 3, 1)] == [3, 6, 1]


@pytest.mark.parametrize("share", [1e-6, 0.5, 0.999, 1.0])
def test_at_least_one_and_never_all(share: float) -> None:
    groups, takes = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 2, 3, 2, 4])
    out = held_out(groups, takes, share, 7)
    for group in (0, 1):
        assert 0 < out[groups == group].sum() < (groups == group).sum()
    assert not out[5]  # alone in its group


def test_a_take_that_is_alone_in_its_group_is_trained_on() -> None:
    assert not held_out(np.zeros(3, int), np.full(3, 8), 0.9, 0).any()


def test_no_share_holds_out_none() -> None:
    assert not held_out(GROUPS, ALONE, 0, 0).any()


def test_the_seed_alone_says_which() -> None:
    outs = [held_out(GROUPS, ALONE, 0.2, seed) for seed in range(5)]
    np.testing.assert_array_equal(outs[3], held_out(GROUPS, ALONE, 0.2, 3))
    assert len({out.tobytes() for out in outs}) == 5


def test_each_take_is_as_likely_as_another() -> None:
    counts = np.mean([held_out(GROUPS, ALONE, 0.1, seed) for seed in range(400)], axis=0)
    assert np.abs(counts[:60] - 0.1).max() < 0.07  # over four standard deviations
    assert np.abs(counts[60:] - 1 / 6).max() < 0.08


@pytest.mark.parametrize("length", [2, 3, MOST_FRAMES - 1, MOST_FRAMES])
def test_all_rows_of_a_short_clip(length: int) -> None:
    np.testing.assert_array_equal(some_rows(length), np.arange(length))


@pytest.mark.parametrize("length", [MOST_FRAMES + 1, 2 * MOST_FRAMES - 1, 5000])
def test_some_rows_of_a_long_one(length: int) -> None:
    rows = some_rows(length)
    assert rows.dtype == np.int64 and len(rows) == MOST_FRAMES
    assert (rows[0], rows[-1]) == (0, length - 1)
    steps = np.diff(rows)
    assert steps.min() >= 1 and np.ptp(steps) <= 1


def test_which_clips_are_watched(tmp_path: Path) -> None:
    clips = some_clips(tmp_path)
    assert validation_clips(clips, [1, 4]).tolist() == [1, 4]
    many = validation_clips(clips, range(0, 3000, 3))
    assert len(many) == CLIPS == len(set(many.tolist()))
    assert (many[0], many[-1]) == (0, 2997) and set(many.tolist()) <= set(range(0, 3000, 3))
    assert np.ptp(np.diff(many)) <= 3


def alone_progress(
    embeddings: Sequence[NDArray[np.float32]], groups: NDArray[np.int64]
) -> ProgressMetrics:
    """Every clip a take of its own."""
    return progress_metrics(embeddings, groups, np.arange(len(groups)))


def test_a_straight_line_is_progress() -> None:
    lines = [line(0, 1, 2, 3), line(13, 12, 11, 10)]  # each towards the other
    assert alone_progress(lines, np.zeros(2, int)) == ProgressMetrics(0, 1, 1, 2)
    # reversed, each still comes nearer to its own last frame, but leaves the other's
    back = [values[::-1] for values in lines]
    assert alone_progress(back, np.zeros(2, int)) == ProgressMetrics(0, 1, -1, 2)


def test_progress_worked_by_hand() -> None:
    # distances to the last frame 1, 2, 3, 0: two of three steps are bumps, and nearness ranks
    # 3, 2, 1, 4 in a time that ranks 1, 2, 3, 4
    progress = alone_progress([line(1, 2, 3, 0)], np.zeros(1, int))
    assert progress.bumps == pytest.approx(2 / 3)
    assert progress.order == pytest.approx(1 - 6 * (4 + 0 + 4 + 0) / (4 * (16 - 1)))
    both = alone_progress([line(1, 2, 3, 0), line(0, 1, 2, 3)], np.array([0, 1]))
    assert both.bumps == pytest.approx(1 / 3) and both.clips == 2
    assert both.order == pytest.approx((progress.order + 1) / 2)


def test_the_goal_of_others_is_without_the_clip_itself() -> None:
    # to 0, the other's last frame: distances 1, 2, 4; to the mean with its own, 2: 3, 0, 2
    alone, other = line(-1, 2, 4), line(-4, -2, 0)
    assert alone_progress([alone, other], np.zeros(2, int)).order_others == pytest.approx(
        (-1 + 1) / 2
    )
    # of three clips the goal is the mean of two: (0 + 8) / 2 of the first, which ends there
    third = line(6, 7, 8)  # goals: 4, 6 and 2, so 1, 1 and -1
    progress = alone_progress([alone, other, third], np.zeros(3, int))
    assert progress.order_others == pytest.approx(1 / 3)


def test_goals_are_of_the_group() -> None:
    first = [line(-1, 2, 4), line(-4, -2, 0)]
    second = [line(0, 1, 2, 3), line(13, 12, 11, 10)]
    mixed = alone_progress([first[0], second[0], first[1], second[1]], np.array([5, 2, 5, 2]))
    assert mixed.order_others == pytest.approx((-1 + 1 + 1 + 1) / 4)


def test_a_clip_alone_in_its_group_has_no_others() -> None:
    progress = alone_progress([line(0, 1, 2, 3)], np.array([4]))
    assert (progress.bumps, progress.clips) == (0, 1) and progress.order == pytest.approx(1)
    assert np.isnan(progress.order_others)
    # and does not spoil the others' mean
    three = alone_progress(
        [line(0, 1, 2), line(0, 1, 2, 3), line(13, 12, 11, 10)], np.array([1, 0, 0])
    )
    assert three.order_others == pytest.approx(1)


def test_what_is_not_known_is_left_out_of_the_mean() -> None:
    # two frames have a step but no order; an embedding that never changes has no order either
    progress = alone_progress([line(0, 1), line(2, 2, 2), line(0, 1, 2)], np.arange(3))
    assert progress.bumps == 0 and progress.order == pytest.approx(1)
    assert np.isnan(alone_progress([line(0, 1)], np.arange(1)).order)


def test_names_for_a_log() -> None:
    assert ProgressMetrics(0.25, 0.5, 0.75, 9).named() == {
        "bumps": 0.25,
        "order": 0.5,
        "order_others": 0.75,
    }


def some_clips(folder: Path) -> Clips:
    """Two clips of pictures and a store's four, of 4, 5, 4, 3, 4 and 3 frames."""
    for seed in range(2):
        write_clip(folder / "a" / f"{seed}", pictures(4 + seed, seed))
    return open_clips([folder / "a", write_two_cameras(folder / "demos.zarr")])


def test_clips_that_are_watched_beside_what_must_be_beaten(tmp_path: Path) -> None:
    clips = some_clips(tmp_path)
    progress: list[int] = []
    validation = Validation(clips, [0, 1, 3, 5], progress.append)
    assert progress == [1] * 4 and validation.watched.tolist() == [0, 1, 3, 5]
    assert validation.groups.tolist() == [0, 0, 1, 1]
    assert list(validation.controls) == ["raw pixels", "random network"]
    for control in validation.controls.values():
        assert control.clips == 4 and np.isfinite(list(control.named().values())).all()
        assert 0 <= control.bumps <= 1 and abs(control.order) <= 1
    same = Validation(clips, [0, 1, 3, 5])
    assert same.controls == validation.controls


def test_an_encoder_sees_the_frames_as_they_are(tmp_path: Path) -> None:
    clips = some_clips(tmp_path)
    seen: list[NDArray[np.uint8]] = []

    def embed(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(frames)
        return frames[:, 0, 0, :1].astype(np.float32)  # the frame's number

    progress = Validation(clips, [1, 4])(embed)
    assert [frames.dtype for frames in seen] == [np.uint8] * 2
    for clip, frames in zip((1, 4), seen, strict=True):
        np.testing.assert_array_equal(frames, clips.read(clip, np.arange(clips.lengths[clip])))
    assert (progress.bumps, progress.clips) == (0, 2) and progress.order == pytest.approx(1)
    assert np.isnan(progress.order_others)


def test_of_a_long_clip_some_frames_are_seen(tmp_path: Path) -> None:
    count = MOST_FRAMES + 20
    write_clip(tmp_path / "a" / "long", pictures(count, 0, (8, 8)))
    clips = open_clips([tmp_path / "a"])
    rows: list[int] = []

    def embed(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows.extend(frames[:, 0, 0, 0].tolist())
        return frames[:, 0, 0, :1].astype(np.float32)

    assert Validation(clips, [0])(embed).order == pytest.approx(1)
    assert rows == some_rows(count).tolist()


def test_another_camera_of_the_same_take_is_no_goal() -> None:
    # two takes by two cameras: the goal is of the other take, by both of its cameras
    clips = [line(0, 1, 2), line(0, 1, 2), line(8, 9, 10), line(8, 9, 10)]
    progress = progress_metrics(clips, np.zeros(4, int), np.array([3, 3, 5, 5]))
    assert progress.order_others == pytest.approx((1 + 1 - 1 - 1) / 4)
    assert np.isnan(progress_metrics(clips[:2], np.zeros(2, int), np.array([3, 3])).order_others)
