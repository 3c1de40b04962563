import dataclasses
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.analysis.episode_flags import EpisodeData, flags_of
from vip_offline.analysis.results import Flag

ROWS = 60
BACKGROUND = (150.0, 110.0, 80.0)  # a warm table


def film(
    seed: int = 0, rows: int = ROWS, colour: tuple[float, float, float] = BACKGROUND
) -> NDArray[np.uint8]:
    """(rows, 32, 32, 3): a dark arm crosses a table, from left to right, with sensor noise."""
    rng = np.random.default_rng(seed)
    place = 4 + 24 * (1 - np.cos(np.pi * np.linspace(0, 1, rows))) / 2 + rng.uniform(-2, 2)
    across = np.arange(32)
    arm = np.clip(4 - np.abs(across - place[:, None]), 0, 1)[:, None, :, None]  # (rows, 1, 32, 1)
    picture = np.array(colour) * (1 - arm) + 30 * arm
    picture = np.broadcast_to(picture, (rows, 32, 32, 3)) + rng.normal(0, 1, (rows, 32, 32, 3))
    return picture.round().clip(0, 255).astype(np.uint8)


def moving(rows: int = ROWS) -> NDArray[np.float32]:
    return np.linspace(0, 1, rows, dtype=np.float32)[:, None] * np.array([1, -2], np.float32)


def seen(
    small: NDArray[np.uint8] | None = None,
    curve: NDArray[np.float64] | None = None,
    *,
    success: bool = True,
    proprio: NDArray[np.float32] | None = None,
) -> EpisodeData:
    """An episode; frames that equal the one before, or are black, are found out."""
    repeats = black = None
    if small is not None:
        same = (small[1:] == small[:-1]).all(axis=(1, 2, 3))
        repeats, black = np.r_[False, same], small.max(axis=(1, 2, 3)) <= 8
    if proprio is None:
        proprio = moving(
            len(small) if small is not None else len(curve) if curve is not None else 0
        )
    return EpisodeData(curve, success, small, repeats, black, proprio)


def kinds(flags: tuple[Flag, ...]) -> list[str]:
    return [flag.kind for flag in flags]


def falling(start: float, end: float, rows: int = ROWS) -> NDArray[np.float64]:
    return np.linspace(start, end, rows)


# --- nothing to say ------------------------------------------------------------------------


def test_episodes_that_are_in_order_have_no_flag() -> None:
    episodes = [seen(film(seed), falling(10, 2 + 0.1 * seed)) for seed in range(6)]
    assert flags_of(episodes) == ((),) * 6


def test_it_works_where_nothing_is_known() -> None:
    bare = EpisodeData(None, True, None, None, None, np.zeros((ROWS, 0), np.float32))
    assert flags_of([]) == ()
    assert flags_of([bare] * 5) == ((),) * 5
    unknown = dataclasses.replace(bare, curve=np.full(ROWS, np.nan))
    assert flags_of([unknown] * 5) == ((),) * 5


def test_some_episodes_may_lack_what_others_have() -> None:
    episodes = [seen(film(seed), falling(10, 2)) for seed in range(5)]
    episodes[1] = dataclasses.replace(episodes[1], small=None, repeats=None, black=None)
    episodes[2] = dataclasses.replace(episodes[2], curve=None, repeats=None)
    episodes[3] = seen(film(3)[..., ::-1], falling(10, 2))
    flags = flags_of(episodes)
    assert [kinds(episode_flags) for episode_flags in flags] == [[], [], [], ["colour-order"], []]


@pytest.mark.parametrize(
    ("rows", "message"), [(0, "no frame"), (1, "one frame, "), (2, "two frames, "), (3, None)]
)
def test_too_short(rows: int, message: str | None) -> None:
    curve = np.array([3.0, 2.0, 1.0])[:rows]
    (flags,) = flags_of([seen(film(rows=max(rows, 1))[:rows], curve, proprio=moving(rows))])
    assert kinds(flags) == ([] if message is None else ["too-short"])
    assert message is None or flags[0].value.startswith(message)


# --- the curve -----------------------------------------------------------------------------


def test_no_progress_says_how_near_it_came() -> None:
    flags, failed, little, clear = flags_of(
        [
            seen(curve=falling(10, 12)),
            seen(curve=falling(10, 12), success=False),
            seen(curve=falling(10, 9.2)),
            seen(curve=falling(10, 8)),
        ]
    )
    value = "never nearer to the goal than 100% of the distance at its start, though a success"
    assert flags == (Flag("no-progress", value),)
    assert failed == ()
    assert kinds(little) == ["no-progress"]
    assert clear == ()


def test_one_odd_frame_is_no_progress_and_no_odd_start_hides_it() -> None:
    glance = np.full(ROWS, 10.0)
    glance[30] = 1
    high = np.full(ROWS, 10.0)
    high[0] = 30
    assert [kinds(flags) for flags in flags_of([seen(curve=glance), seen(curve=high)])] == [
        ["no-progress"],
        ["no-progress"],
    ]


def test_noise_alone_is_no_progress() -> None:
    rng = np.random.default_rng(0)
    # 5 % of the start in a difference of two frames, as measured
    still = [seen(curve=10 + rng.normal(0, 0.05 * 10 / np.sqrt(2), 100)) for _ in range(200)]
    assert np.mean([bool(flags) for flags in flags_of(still)]) > 0.97


def test_progress_in_a_few_frames_counts_and_may_be_undone() -> None:
    there_and_back = np.r_[falling(10, 4, 30), falling(4, 10, 30)]
    assert flags_of([seen(curve=np.array([5.0, 3, 1])), seen(curve=there_and_back)]) == ((), ())


def test_a_curve_that_starts_at_the_goal_says_nothing() -> None:
    assert flags_of([seen(curve=np.zeros(ROWS))]) == ((),)


ENDS = (2.0, 2.1, 2.2, 2.3, 2.4)


def successes() -> list[EpisodeData]:
    return [seen(curve=falling(10, end)) for end in ENDS]


def test_a_success_that_ends_far_from_the_others() -> None:
    *others, far = flags_of([*successes(), seen(curve=falling(10, 6))])
    assert others == [()] * 5
    # median 2.2; a quarter of the way from 10 is 1.95, more than 3.5 deviations (0.52)
    assert far == (
        Flag(
            "goal-not-reached",
            "marked a success, but ends 6 from the goal, where the other 5 successes end 2.2 "
            "(median; beyond 4.15 is far)",
        ),
    )
    *_, within = flags_of([*successes(), seen(curve=falling(10, 4.1))])
    assert within == ()


def test_ends_that_differ_much_are_usual() -> None:
    spread = [seen(curve=falling(10, end)) for end in (1.0, 2, 3, 4, 5, 6, 7)]
    assert flags_of(spread) == ((),) * 7  # the last is 3 from the median, a deviation is 2.2


def test_three_successes_say_nothing_of_ends() -> None:
    few = [*successes()[:2], seen(curve=falling(10, 8)), seen(curve=falling(10, 2), success=False)]
    assert flags_of(few) == ((),) * 4


def test_a_failure_that_ends_as_near_as_successes_do() -> None:
    near, far = (seen(curve=falling(10, end), success=False) for end in (2.25, 2.35))
    *others, flags, none = flags_of([*successes(), near, far])
    assert others == [()] * 5
    assert flags == (
        Flag(
            "reaches-the-goal-but-failed",
            "marked a failure, but ends 2.25 from the goal, where 5 successes end 2.2 (median; "
            "75% of them within 2.3)",
        ),
    )
    assert none == ()


# --- pictures that stand still -------------------------------------------------------------


def frozen(first: int, last: int) -> NDArray[np.uint8]:
    small = film()
    small[first : last + 1] = small[first]
    return small


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (0, 59, "all 60 frames are one picture, while the robot moves"),
        (30, 59, "rows 30 to 59 of 60 are one picture, while the robot moves"),
        (20, 39, "rows 20 to 39 of 60 are one picture, while the robot moves"),
    ],
)
def test_a_camera_that_hung(first: int, last: int, message: str) -> None:
    (flags,) = flags_of([seen(frozen(first, last))])
    assert Flag("frozen-camera", message, first) in flags
    assert "repeated-frames" not in kinds(flags)


def test_a_short_standstill_is_no_hang() -> None:
    (flags,) = flags_of([seen(frozen(30, 38))])
    assert kinds(flags) == ["cut"]  # what came in between is not there
    assert flags[0].row == 39


@pytest.mark.parametrize(
    ("rows", "last", "is_found"),
    # a fifth of the rows, but no ten frames; more than ten, but less than a fifth; both
    [(30, 18, False), (120, 25, False), (30, 20, True), (120, 34, True)],
)
def test_how_long_a_hang_is(rows: int, last: int, is_found: bool) -> None:
    small = film(rows=rows)
    small[10 : last + 1] = small[10]
    proprio = np.zeros((rows, 1), np.float32)
    proprio[14:] = 1
    (flags,) = flags_of([seen(small, proprio=proprio)])
    assert ("frozen-camera" in kinds(flags)) == is_found


def test_a_robot_that_stands_still_does_not_freeze_the_camera() -> None:
    rng = np.random.default_rng(0)
    still = moving()
    still[20:] = still[20]
    noisy = np.column_stack([still, rng.normal(0, 3, ROWS)]).astype(np.float32)  # a torque
    unknown = np.full((ROWS, 2), np.nan, np.float32)
    for proprio in (still, noisy, unknown, np.zeros((ROWS, 0), np.float32)):
        (flags,) = flags_of([seen(frozen(20, 59), proprio=proprio)])
        assert flags == (
            Flag(
                "repeated-frames",
                "39 of 60 equal the one before (65%), at most rows 20 to 59 at a stretch",
                20,
            ),
        )


def test_pictures_that_drift_below_the_tolerance_are_not_one() -> None:
    small = film()
    stands = np.repeat(small[:1], ROWS, axis=0)
    repeats = np.r_[False, np.ones(ROWS - 1, bool)]  # as a compressor's tolerance marks them
    lighter = (np.arange(ROWS) // 12).astype(np.uint8)[:, None, None, None]  # by 4 in the end
    (flags,) = flags_of([dataclasses.replace(seen(stands + lighter), repeats=repeats)])
    assert kinds(flags) == ["repeated-frames"]
    (flags,) = flags_of([dataclasses.replace(seen(stands), repeats=repeats)])
    assert kinds(flags) == ["frozen-camera"]


def test_a_slow_camera_repeats_frames_at_no_one_place_and_has_no_cuts() -> None:
    slow = [film(seed)[np.arange(ROWS) // 3 * 3] for seed in range(5)]
    for flags in flags_of([seen(flags) for flags in slow]):
        assert flags == (
            Flag(
                "repeated-frames",
                "40 of 60 equal the one before (67%), at most rows 0 to 2 at a stretch",
            ),
        )


def test_a_slow_camera_beside_fast_ones_has_no_cuts() -> None:
    # each step is six times the others', between steps of 0
    assert kinds(with_others(film()[np.arange(ROWS) // 6 * 6])) == ["repeated-frames"]


def test_black_frames() -> None:
    small = film()
    small[[10, 11, 40]] = 0
    # neither are their edges cuts, nor are they a camera that hangs
    assert with_others(small) == (Flag("black-frames", "3 of 60, the first in row 10", 10),)
    (flags,) = flags_of([seen(np.zeros_like(small))])
    assert flags == (Flag("black-frames", "all 60 frames are black"),)


# --- cuts ----------------------------------------------------------------------------------


def with_others(small: NDArray[np.uint8], others: int = 5) -> tuple[Flag, ...]:
    """Flags of one episode among some that are in order, which stay without."""
    *rest, flags = flags_of([*(seen(film(seed)) for seed in range(1, others + 1)), seen(small)])
    assert rest == [()] * others
    return flags


@pytest.mark.parametrize("others", [0, 2, 5])
def test_a_cut_is_found_at_its_row(others: int) -> None:
    small = film()
    (flag,) = with_others(np.r_[small[:20], small[45:]], others)
    assert (flag.kind, flag.row) == ("cut", 20)
    assert flag.value.startswith("row 20 differs from the one before by ")
    assert "grey levels, the steps about it by " in flag.value


def test_one_frame_of_another_video_makes_two_jumps() -> None:
    small = film()
    small[30] = film(7)[2]
    (flag,) = with_others(small)
    assert (flag.kind, flag.row) in [("cut", 30), ("cut", 31)]
    assert flag.value.endswith(" (2 such)")


def test_the_last_frame_may_be_the_next_episodes_first() -> None:
    small = film()
    small[-1] = film(7)[0]
    (flag,) = with_others(small)
    assert (flag.kind, flag.row) == ("cut", 59)


def test_frames_in_no_order() -> None:
    small = np.random.default_rng(0).permutation(film())
    (flag,) = with_others(small)
    assert (flag.kind, flag.row) == ("cut", None)
    assert flag.value.endswith("they seem to be in no order")


def test_a_few_frames_are_in_any_order() -> None:
    to_and_fro = film(rows=240)[[0, 80, 160, 239, 160, 80, 0, 80, 160, 239, 160, 80, 0]]
    assert flags_of([seen(to_and_fro)]) == ((),)


def test_what_a_compressor_refreshes_is_no_cut() -> None:
    rng = np.random.default_rng(0)
    small = 120 + (rng.random((ROWS, 32, 32, 3)) < 0.03)
    small[30:] += 1
    assert flags_of([seen(small.astype(np.uint8))]) == ((),)


def test_a_jump_as_a_simulator_settles_is_no_cut() -> None:
    small = film()
    small[0] = small[40]
    assert with_others(small) == ()


def test_fast_motion_is_no_cut() -> None:
    small = film(rows=240)
    # still, then all at four times the usual speed from one frame to the next, then still
    rows = np.r_[np.full(20, 60), np.arange(60, 180, 12), np.full(20, 180)]
    fast = small[rows] + np.random.default_rng(0).integers(0, 2, (len(rows), 32, 32, 3))
    assert with_others(fast.astype(np.uint8)) == ()
    assert flags_of([seen(fast.astype(np.uint8))]) == ((),)


def test_a_jump_that_all_episodes_have_is_usual() -> None:
    lit = [film(seed) for seed in range(5)]
    for small in lit:
        small[30:] += 40  # a lamp is switched on: that is the task
    assert flags_of([seen(flags) for flags in lit]) == ((),) * 5
    *rest, flags = flags_of([*(seen(film(seed)) for seed in range(5)), seen(lit[0])])
    assert rest == [()] * 5
    assert [(flag.kind, flag.row) for flag in flags] == [("cut", 30)]


def test_noise_of_a_sensor_is_neither_cut_nor_disorder() -> None:
    rng = np.random.default_rng(0)
    still = [120 + rng.integers(-4, 5, (ROWS, 32, 32, 3)) for _ in range(5)]
    assert flags_of([seen(flags.astype(np.uint8)) for flags in still]) == ((),) * 5


def test_a_hang_in_the_middle_leaves_one_jump_and_it_is_found() -> None:
    flags = with_others(frozen(15, 40))
    assert [(flag.kind, flag.row) for flag in flags] == [("frozen-camera", 15), ("cut", 41)]


# --- colours -------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [BACKGROUND, (120, 120, 60), (70, 110, 120)])
def test_red_and_blue_exchanged(colour: tuple[float, float, float]) -> None:
    episodes = [seen(film(seed, colour=colour)) for seed in range(4)]
    episodes[2] = seen(film(2, colour=colour)[..., ::-1])
    *rest, (flag,) = (flags_of(episodes)[value] for value in (0, 1, 3, 2))
    assert rest == [()] * 3
    assert (flag.kind, flag.row) == ("colour-order", None)
    assert "BGR for RGB" in flag.value


def test_three_episodes_say_nothing_of_colours() -> None:
    assert with_others(film()[..., ::-1], others=2) == ()


def test_all_exchanged_cannot_be_seen() -> None:
    assert flags_of([seen(film(seed)[..., ::-1]) for seed in range(6)]) == ((),) * 6


def test_half_exchanged_is_not_decided() -> None:
    episodes = [seen(film(seed)[..., :: (-1) ** seed]) for seed in range(6)]
    assert flags_of(episodes) == ((),) * 6


def test_a_grey_scene_has_no_order_of_colours() -> None:
    grey = [film(seed, colour=(110, 110, 110)) for seed in range(6)]
    tinted = [film(seed, colour=(111, 110, 109)) for seed in range(6)]
    for episodes in (grey, tinted):
        episodes[3] = episodes[3][..., ::-1]
        assert flags_of([seen(episode) for episode in episodes]) == ((),) * 6


def test_scenes_that_do_not_resemble_each_other_are_not_compared() -> None:
    red_less_blue = (0, 5, 60, 60, 115, 120, -50)  # the last would be as good as 60 exchanged
    episodes = [
        seen(film(seed, colour=(120 + gap / 2, 110, 120 - gap / 2)))
        for seed, gap in enumerate(red_less_blue)
    ]
    assert flags_of(episodes) == ((),) * 7
    alike = [60 if gap > 0 else gap for gap in red_less_blue]
    episodes = [
        seen(film(seed, colour=(120 + gap / 2, 110, 120 - gap / 2)))
        for seed, gap in enumerate(alike)
    ]
    assert [kinds(flags) for flags in flags_of(episodes)] == [[]] * 6 + [["colour-order"]]


def test_another_light_is_no_exchange() -> None:
    assert with_others(film(colour=(120, 112, 110))) == ()  # nearly white
    assert with_others(film(colour=(180, 110, 40))) == ()  # much warmer
    assert with_others(film(colour=(110, 112, 130))) == ()  # somewhat blue


# --- all together --------------------------------------------------------------------------


def test_a_thousand_episodes_take_seconds() -> None:
    rng = np.random.default_rng(0)
    small = film(rows=100)
    episodes = [
        EpisodeData(
            curve=falling(10, 3, 100) + rng.normal(0, 0.1, 100),
            success=bool(index % 2),
            small=small,
            repeats=np.zeros(100, bool),
            black=np.zeros(100, bool),
            proprio=moving(100),
        )
        for index in range(1000)
    ]
    began = time.process_time()
    flags = flags_of(episodes)
    # about 1.5 s; a loop over rows, or over pairs of episodes, takes minutes
    assert time.process_time() - began < 15
    assert len(flags) == 1000
