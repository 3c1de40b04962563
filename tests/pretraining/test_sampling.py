from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, ks_2samp
from torchvision.transforms import RandomResizedCrop

from vip_offline.errors import VipOfflineError
from vip_offline.options import Objective, Sampling
from vip_offline.pretraining.sampling import (
    CROP_AREA,
    CROP_RATIO,
    CROP_TRIES,
    Draw,
    crop_box,
    draw,
    generator,
    negatives_from_other_videos,
    other_goals,
    permutations,
    subsample,
    triple_rows,
    value_rows,
)

Shares = dict[tuple[int, ...], float]
LENGTHS = np.array([2, 3, 10, 50, 150, 7, 12, 90, 33, 21])
MANY = 40_000
few = settings(deadline=None, max_examples=50)
sides = st.integers(1, 300)  # px


def algorithm_1(length: int, *, released: bool = False) -> Shares:
    """Chance of every (o_0, o_k, o_k+1, g) by line 2 of Algorithm 1, counted from 0."""
    shares: Shares = {}
    starts = range(length - 2 if released else length - 1)
    for start in starts:
        goals = range(start + 1, length)
        for goal in goals:
            for now in range(start, goal):
                chance = 1 / len(starts) / len(goals) / (goal - start)
                shares[start, now, now + 1, goal] = chance
    return shares


def r3m(length: int) -> Shares:
    """Chance of every triple as R3M's loader draws it, counted from 1, given from 0."""
    shares: Shares = {}
    for middle in range(2, length):
        for early in range(1, middle):
            for late in range(middle, length + 1):
                chance = 1 / (length - 2) / (middle - 1) / (length - middle + 1)
                shares[early - 1, middle - 1, late - 1] = chance
    return shares


def check_shares(rows: np.ndarray, shares: Shares) -> None:
    """All that can be drawn was, as often as it should, and nothing else."""
    counts = Counter(tuple(row) for row in rows.tolist())
    assert counts.keys() == shares.keys()
    expected = [len(rows) * share for share in shares.values()]
    assert chisquare([counts[case] for case in shares], expected).pvalue > 1e-3


def check_equal(counts: np.ndarray) -> None:
    assert chisquare(counts).pvalue > 1e-3


def same(first: Draw, other: Draw) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(other, name)) for name in vars(first))


@pytest.mark.parametrize("length", [3, 4, 6])
def test_value_rows_are_algorithm_1s(length: int) -> None:
    check_shares(value_rows(np.full(MANY, length), generator(0, 0)), algorithm_1(length))


@pytest.mark.parametrize("length", [3, 4, 6])
def test_value_rows_are_the_released_codes(length: int) -> None:
    rows = value_rows(np.full(MANY, length), generator(0, 0), released=True)
    check_shares(rows, algorithm_1(length, released=True))
    assert rows[:, 0].max() == length - 3


@pytest.mark.parametrize("released", [False, True])
def test_two_frames(released: bool) -> None:
    """Of which the released code makes nothing."""
    rows = value_rows(np.full(5, 2), generator(0, 0), released=released)
    np.testing.assert_array_equal(rows, [[0, 0, 1, 1]] * 5)


def test_shares_measured_on_the_released_loader() -> None:
    """Of 50 frames; the loader itself gave 0.204, 0.205, 0.073 and a mean span of 13.3."""
    start, now, then, goal = value_rows(
        np.full(200_000, 50), generator(0, 0), released=True
    ).T.astype(np.float64)
    assert np.mean(now == start) == pytest.approx(0.204, abs=0.004)
    assert np.mean(then == goal) == pytest.approx(0.205, abs=0.004)
    assert np.mean(goal == 49) == pytest.approx(0.073, abs=0.003)
    assert np.mean(goal - start) == pytest.approx(13.3, abs=0.1)


@pytest.mark.parametrize("length", [3, 4, 6])
def test_triples_are_r3ms(length: int) -> None:
    check_shares(triple_rows(np.full(MANY, length), generator(0, 0)), r3m(length))


def test_a_triple_of_two_frames() -> None:
    np.testing.assert_array_equal(triple_rows(np.full(5, 2), generator(0, 0)), [[0, 1, 1]] * 5)


@few
@given(st.lists(st.integers(2, 200), min_size=1, max_size=40), st.integers(0, 2**32), st.booleans())
def test_every_row_keeps_to_its_own_clip(lengths: list[int], seed: int, released: bool) -> None:
    last = np.array(lengths) - 1
    start, now, then, goal = value_rows(last + 1, generator(seed, 1), released=released).T
    assert (start >= 0).all() and (goal <= last).all()
    assert (start <= now).all() and (then == now + 1).all() and (then <= goal).all()
    early, middle, late = triple_rows(last + 1, generator(seed, 1)).T
    assert (early >= 0).all() and (late <= last).all()
    assert (early < middle).all() and (middle <= late).all()


@few
@given(st.lists(st.integers(2, 200), min_size=1, max_size=40), st.integers(1, 9), st.integers(0, 9))
def test_a_thinned_clip_is_every_nth_frame_of_it(
    lengths: list[int], stride: int, seed: int
) -> None:
    counts = np.array(lengths)
    left, first, apart = subsample(counts, stride, generator(seed, 0))
    assert (left >= 2).all()
    assert (apart == np.minimum(stride, counts - 1)).all()
    last = first + (left - 1) * apart
    assert ((first >= 0) & (first < apart) & (last < counts) & (last + apart >= counts)).all()
    drawn = draw(
        np.resize(counts, 8), np.arange(8), seed, 3,
        objective="vip", batch_size=8, negatives=0, stride=stride,
    )  # fmt: skip
    of = np.resize(counts, 8)[drawn.clips]
    now, then = drawn.rows[:, 1], drawn.rows[:, 2]
    assert (then - now == np.minimum(stride, of - 1)).all()
    assert ((drawn.rows >= 0) & (drawn.rows < of[:, None])).all()


def test_a_thinned_clip_begins_anywhere() -> None:
    _, first, _ = subsample(np.full(MANY, 10), 4, generator(0, 0))
    check_equal(np.bincount(first, minlength=4))


def test_negatives_are_of_another_video_and_of_each_equally_often() -> None:
    clips = np.array([7, 7, 3, 9, 9, 9, 0])
    others = negatives_from_other_videos(clips, 10_000, generator(0, 0))
    assert others.shape == (10_000, 7)
    for member, clip in enumerate(clips):
        counts = np.bincount(others[:, member], minlength=7)
        assert not counts[clips == clip].any()
        check_equal(counts[clips != clip])


def test_members_draw_their_negatives_apart() -> None:
    """Not one shift for the whole batch, nor the same member three times."""
    others = negatives_from_other_videos(np.arange(3), 20_000, generator(0, 0))
    check_equal(np.unique(others, axis=0, return_counts=True)[1])
    assert len(np.unique(others, axis=0)) == 8
    pairs = others[:10_000, 0] * 3 + others[10_000:, 0]
    check_equal(np.unique(pairs, return_counts=True)[1])


@few
@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.integers(0, 5))
def test_negatives_of_any_batch(members: list[int], count: int) -> None:
    clips = np.array(members)
    if count and len(set(members)) == 1:
        with pytest.raises(VipOfflineError):
            negatives_from_other_videos(clips, count, generator(0, 0))
        return
    others = negatives_from_other_videos(clips, count, generator(0, 0))
    assert others.shape == (count, len(clips))
    assert others.dtype == np.int64
    assert (clips[others] != clips).all()


def test_a_batch_of_one_clip_says_what_to_do() -> None:
    with pytest.raises(VipOfflineError, match=r"batch of 4 shows one clip only.*--negatives 0"):
        negatives_from_other_videos(np.full(4, 2), 3, generator(0, 0))
    assert negatives_from_other_videos(np.full(4, 2), 0, generator(0, 0)).shape == (0, 4)


def test_released_negatives_are_permutations_fixed_points_and_all() -> None:
    several = permutations(4, MANY, generator(0, 0))
    assert (np.sort(several) == np.arange(4)).all()
    orders, counts = np.unique(several, axis=0, return_counts=True)
    assert len(orders) == 24
    check_equal(counts)
    assert np.mean((several == np.arange(4)).sum(axis=1)) == pytest.approx(1, abs=0.02)
    assert permutations(4, 0, generator(0, 0)).shape == (0, 4)


def drawn(
    seed: int = 0,
    step: int = 0,
    *,
    lengths: np.ndarray = LENGTHS,
    takes: np.ndarray | None = None,
    objective: Objective = "vip",
    batch_size: int = 8,
    negatives: int = 3,
    sampling: Sampling = "algorithm-1",
) -> Draw:
    """One camera, unless takes are given."""
    return draw(
        lengths,
        np.arange(len(lengths)) if takes is None else takes,
        seed,
        step,
        objective=objective,
        batch_size=batch_size,
        negatives=negatives,
        sampling=sampling,
    )


GROUPS = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 3])


def with_goals(share: float, objective: Objective = "vip", **changes: float) -> Draw:
    return draw(
        np.resize(LENGTHS, 10),
        np.arange(10),
        0,
        4,
        objective=objective,
        batch_size=MANY // 10,
        negatives=0,
        groups=GROUPS,
        other_goal_share=share,
        **changes,  # type: ignore[arg-type]
    )


def test_a_goal_of_another_video_is_the_last_frame_of_one_of_its_group() -> None:
    batch = with_goals(0.5)
    others = batch.goal_clips != batch.clips
    alone = batch.clips == 9  # in its group
    assert np.mean(others[~alone]) == pytest.approx(0.5, abs=0.03)
    assert not others[alone].any()
    assert (GROUPS[batch.goal_clips] == GROUPS[batch.clips]).all()
    last = LENGTHS[batch.goal_clips] - 1
    assert (batch.rows[others, -1] == last[others]).all()
    of_first = batch.goal_clips[others & (batch.clips == 3)]
    check_equal(np.bincount(of_first, minlength=7)[4:7])
    # the step goes on from anywhere between the start and the end, not from before an own goal
    spans = batch.rows[others & (batch.clips == 4)]
    assert spans[:, 2].max() == LENGTHS[4] - 1
    assert (np.diff(spans[:, :3], axis=1) >= 0).all()


def test_no_goal_is_of_another_camera_of_the_same_episode() -> None:
    takes = np.array([0, 0, 1])
    picked = other_goals(np.array([0] * 500), np.zeros(3, int), takes, 1.0, generator(0, 0))
    assert set(picked.tolist()) == {2}


@pytest.mark.parametrize("objective", ["vip", "tcn"])
def test_nuisances_change_nothing_else_that_is_drawn(objective: Objective) -> None:
    plain, other = with_goals(0, objective), with_goals(0, objective, goal_nuisance_share=0.7)
    assert (plain.goal_clips == plain.clips).all()
    for name in ("clips", "rows", "negatives", "crop_random"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(other, name))


def test_a_goal_has_a_nuisance_of_its_own_as_often_as_asked_for() -> None:
    batch = with_goals(0.5, goal_nuisance_share=0.7)
    own = (batch.nuisance_random[:, 0] != batch.nuisance_random[:, 1]).all(axis=1)
    assert np.mean(own) == pytest.approx(0.7, abs=0.03)
    assert (batch.nuisance_random[~own, 0] == batch.nuisance_random[~own, 1]).all()
    assert len(np.unique(batch.nuisance_random[:, 0, 0])) == len(own)


def test_phases_go_from_the_first_frame_to_the_last() -> None:
    batch = with_goals(0.5)
    lengths = LENGTHS[batch.clips]
    np.testing.assert_array_equal(batch.phases[:, 0], batch.rows[:, 0] / (lengths - 1))
    assert (batch.phases[batch.goal_clips != batch.clips, -1] == 1).all()
    assert (batch.phases >= 0).all() and (batch.phases <= 1).all()


DRAWS: dict[str, Callable[[int, int], Draw]] = {
    "vip": drawn,
    "tcn": lambda seed, step: drawn(seed, step, objective="tcn"),
    "released": lambda seed, step: drawn(seed, step, sampling="released"),
}
every_draw = pytest.mark.parametrize("name", DRAWS)


@every_draw
def test_a_batch_is_a_function_of_seed_and_step(name: str) -> None:
    batches = {(seed, step): DRAWS[name](seed, step) for seed in (0, 1, 7) for step in (0, 1, 7)}
    # in another order, and as if training had begun there
    for (seed, step), batch in reversed(batches.items()):
        assert same(batch, DRAWS[name](seed, step))
    for key, batch in batches.items():
        for other_key, other in batches.items():
            assert key == other_key or not np.array_equal(batch.crop_random, other.crop_random)
            assert key == other_key or not np.array_equal(batch.rows, other.rows)


def test_steps_far_apart_and_large_seeds() -> None:
    batches = [drawn(seed, step) for seed in (0, 2**31) for step in (0, 2_000_000)]
    assert len({batch.crop_random.tobytes() for batch in batches}) == 4


@every_draw
def test_what_a_batch_is_made_of(name: str) -> None:
    batch = DRAWS[name](0, 3)
    frames = 3 if name == "tcn" else 4
    assert batch.clips.shape == (8,)
    assert batch.rows.shape == (8, frames)
    assert batch.negatives.shape == (3, 8)
    assert batch.crop_random.shape == (8, CROP_TRIES, 4)
    for integers in (batch.clips, batch.rows, batch.negatives):
        assert integers.dtype == np.int64
    assert len(np.unique(batch.crop_random)) == batch.crop_random.size  # every member its own crop
    assert (batch.crop_random >= 0).all() and (batch.crop_random < 1).all()
    assert (batch.rows < LENGTHS[batch.clips][:, None]).all()


@pytest.mark.parametrize("sampling", ["algorithm-1", "released"])
def test_each_objective_has_its_frames(sampling: Sampling) -> None:
    def rows_of(objective: Objective) -> set[tuple[int, ...]]:
        batch = drawn(
            lengths=np.full(3000, 6),
            objective=objective,
            batch_size=3000,
            negatives=0,
            sampling=sampling,
        )
        return {tuple(row) for row in batch.rows.tolist()}

    assert rows_of("tcn") == r3m(6).keys()
    pairs = algorithm_1(6, released=sampling == "released").keys()
    assert rows_of("vip") == pairs
    assert rows_of("lstd") == pairs


def clips_of(
    count: int,
    batch_size: int,
    steps: int,
    sampling: Sampling = "algorithm-1",
    negatives: int = 0,
) -> np.ndarray:
    """(steps, batch_size) clips, of which the first is by far the longest."""
    lengths = np.array([500] + [2] * (count - 1))
    batches = [
        drawn(
            step=step,
            lengths=lengths,
            batch_size=batch_size,
            negatives=negatives,
            sampling=sampling,
        )
        for step in range(steps)
    ]
    return np.stack([batch.clips for batch in batches])


def test_clips_have_equal_chances_whatever_their_length() -> None:
    clips = clips_of(6, 2, 3000)
    for place in range(2):
        check_equal(np.bincount(clips[:, place], minlength=6))
    check_equal(np.bincount(clips_of(6, 2, 3000, "released").flatten(), minlength=6))


def test_a_batch_is_a_set_of_videos_while_there_are_enough() -> None:
    assert all(len(set(batch)) == 6 for batch in clips_of(6, 6, 50).tolist())
    assert any(len(set(batch)) < 6 for batch in clips_of(6, 6, 50, "released").tolist())


def test_few_clips_come_equally_often_in_each_batch() -> None:
    clips = clips_of(3, 8, 3000)
    counts = np.array([np.bincount(batch, minlength=3) for batch in clips])
    assert set(counts.flatten().tolist()) == {2, 3}
    check_equal((counts == 2).sum(axis=0))  # and chance says which is left short


def test_two_clips_always_give_negatives() -> None:
    """No training may end after a thousand steps because a batch happened to show one clip."""
    for batch_size in (2, 3, 4):
        clips_of(2, batch_size, 300, negatives=3)


def test_one_clip_gives_none() -> None:
    lengths = np.array([50])
    with pytest.raises(VipOfflineError, match="one clip only"):
        drawn(lengths=lengths)
    assert drawn(lengths=lengths, negatives=0).negatives.shape == (0, 8)
    assert drawn(lengths=lengths, objective="lstd").negatives.shape == (0, 8)  # asks for none


def test_another_camera_of_a_take_is_no_other_video() -> None:
    takes = np.array([5, 5, 8, 8, 8, 2, 2, 2, 2, 9])
    for step in range(50):
        batch = drawn(step=step, takes=takes)
        shown = takes[batch.clips]
        assert (shown[batch.negatives] != shown).all()


def test_negatives_by_the_way_of_sampling() -> None:
    def negatives_of(sampling: Sampling) -> np.ndarray:
        batches = [drawn(step=step, sampling=sampling) for step in range(60)]
        return np.concatenate([batch.negatives for batch in batches])

    ours, theirs = negatives_of("algorithm-1"), negatives_of("released")
    assert not (ours == np.arange(8)).any()
    assert (theirs == np.arange(8)).any()
    assert (np.sort(theirs) == np.arange(8)).all()
    assert not (np.sort(ours) == np.arange(8)).all(axis=1).all()


def test_frames_and_crops_do_not_hang_on_the_negatives() -> None:
    """So that a comparison with and without them, or with LSTD, is of the same pictures."""
    first, *others = drawn(), drawn(negatives=0), drawn(objective="lstd")
    for other in others:
        assert np.array_equal(first.clips, other.clips)
        assert np.array_equal(first.rows, other.rows)
        assert np.array_equal(first.crop_random, other.crop_random)


def crops(height: int, width: int, count: int) -> np.ndarray:
    crop_random = generator(0, 0).uniform(size=(count, CROP_TRIES, 4))
    return np.array([crop_box(tries, height, width) for tries in crop_random])


def torchvisions(height: int, width: int, count: int) -> np.ndarray:
    picture = torch.zeros(3, height, width)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        params = [
            RandomResizedCrop.get_params(picture, list(CROP_AREA), list(CROP_RATIO))
            for _ in range(count)
        ]
    return np.array(params)


@few
@given(sides, sides, st.integers(0, 2**32))
def test_crops_lie_inside_the_picture(height: int, width: int, seed: int) -> None:
    top, left, high, wide = crop_box(
        generator(seed, 0).uniform(size=(CROP_TRIES, 4)), height, width
    )
    assert top >= 0 and left >= 0 and high > 0 and wide > 0
    assert top + high <= height and left + wide <= width


@few
@given(st.integers(20, 300), st.floats(0.3, 3), st.integers(0, 2**32))
def test_area_and_ratio_up_to_rounding(height: int, oblong: float, seed: int) -> None:
    width = round(height * oblong)
    _, _, high, wide = crop_box(generator(seed, 0).uniform(size=(CROP_TRIES, 4)), height, width)
    assert (high + 0.5) * (wide + 0.5) >= 0.2 * height * width
    assert (wide + 0.5) / (high - 0.5) >= 3 / 4
    assert (wide - 0.5) / (high + 0.5) <= 4 / 3


def test_a_crop_by_hand() -> None:
    crop_random = np.full((CROP_TRIES, 4), 0.5)
    # share 0.6 of 100 x 100, ratio exp(0) = 1: side sqrt(6000) = 77.46, with 24 places each way
    assert crop_box(crop_random, 100, 100) == (12, 12, 77, 77)
    # ratio 3/4: height sqrt(6000 / 0.75) = 89.4, width sqrt(6000 * 0.75) = 67.1; 12 and 34 places
    crop_random[:, 1:] = 0, 0.999, 0
    assert crop_box(crop_random, 100, 100) == (11, 0, 89, 67)
    # the whole area at ratio 4/3 does not fit into a square; the second try does
    crop_random[0, :2] = 1, 1
    crop_random[2:] = 0.5
    assert crop_box(crop_random, 100, 100) == (11, 0, 89, 67)


def test_a_crop_may_be_as_high_or_as_wide_as_the_picture() -> None:
    # share 0.2 + 0.375 * 0.8 = 1/2 of 100 x 200, ratio 1: side sqrt(10000) = 100; 101 places
    crop_random = np.tile([0.375, 0.5, 0.5, 0.5], (CROP_TRIES, 1))
    assert crop_box(crop_random, 100, 200) == (0, 50, 100, 100)
    assert crop_box(crop_random, 200, 100) == (50, 0, 100, 100)


@pytest.mark.parametrize("ratio", [0, 1])
def test_no_crop_is_empty(ratio: float) -> None:
    """A fifth of one pixel, at ratio 3/4 or 4/3, rounds to a side of none."""
    assert crop_box(np.tile([0, ratio, 0.5, 0.5], (CROP_TRIES, 1)), 1, 1) == (0, 0, 1, 1)


@pytest.mark.parametrize(("height", "width"), [(100, 100), (120, 100), (100, 133), (64, 85)])
def test_the_whole_picture_when_nothing_fits(height: int, width: int) -> None:
    too_wide = np.tile([1, 1, 0.5, 0.5], (CROP_TRIES, 1))
    assert crop_box(too_wide, height + 1, width) == (0, 0, height + 1, width)


@pytest.mark.parametrize("long", [8, 37, 100, 301])
@pytest.mark.parametrize("short", [1, 4, 5, 13])
def test_the_fallback_on_oblong_pictures_is_torchvisions(long: int, short: int) -> None:
    long = max(long, 16 * short)  # no fifth of the area fits at any ratio
    for height, width in ((long, short), (short, long)):
        ours, theirs = crops(height, width, 3), torchvisions(height, width, 1)
        np.testing.assert_array_equal(ours, np.repeat(theirs, 3, axis=0))


@pytest.mark.parametrize(("height", "width"), [(224, 224), (120, 300), (300, 120)])
def test_crops_are_distributed_as_torchvisions(height: int, width: int) -> None:
    def features(boxes: np.ndarray) -> np.ndarray:
        top, left, high, wide = boxes.T
        down, across = top / np.maximum(height - high, 1), left / np.maximum(width - wide, 1)
        return np.array([high * wide / (height * width), wide / high, high, wide, down, across])

    ours, theirs = features(crops(height, width, 5000)), features(torchvisions(height, width, 5000))
    assert ours[0].mean() == pytest.approx(theirs[0].mean(), abs=0.015)
    for our, other in zip(ours, theirs, strict=True):
        assert ks_2samp(our, other).pvalue > 1e-3
    np.testing.assert_allclose(np.corrcoef(ours), np.corrcoef(theirs), atol=0.06)
