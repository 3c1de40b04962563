import numpy as np
import pytest

from vip_offline.rewards.success.calibration import (
    FirstFrames,
    Fitted,
    GoalRows,
    Sample,
    choose_rule,
    fit,
)
from vip_offline.rewards.success.rules import auc

DIM, HOLD = 40, 3


def samples(shift: float, n: int, seed: int = 0) -> tuple[list[Sample], GoalRows]:
    """Classes whose means are `shift` standard deviations apart."""
    generator = np.random.default_rng(seed)
    ends = generator.normal(size=(2 * n, HOLD, DIM)).astype(np.float32) * 0.3
    ends += generator.normal(size=(2 * n, 1, DIM)).astype(np.float32)
    ends[n:, :, 0] += shift
    made = [
        Sample(end, np.full(DIM, 5, np.float32), index < n, index) for index, end in enumerate(ends)
    ]
    return made, GoalRows(ends[:n, -1], np.arange(n))


def fitted(shift: float, n: int, seed: int = 0) -> Fitted:
    made, goals = samples(shift, n, seed)
    return fit(made, goals, hold=HOLD, error=0.05)


@pytest.mark.slow
def test_classes_that_are_the_same_are_not_told_apart() -> None:
    """An episode's own last frame is no goal of its own, and did not choose its rule."""
    areas = [fitted(0, 8, seed).auc for seed in range(12)]
    assert abs(np.mean(areas) - 0.5) < 0.15


def test_classes_far_apart_are_told_apart_without_an_error() -> None:
    result = fitted(30, 10)
    assert (result.failures.n, result.failures.wrong) == (10, 0)
    assert result.successes.wrong == 0
    assert result.successes.success >= 8
    assert result.auc == 1
    assert 0.25 < result.failures.upper < 0.27  # 1 - 0.05 ** (1 / 10)


def under_light(n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(n, D) first frames that differ by light alone, and (n, D) the light of each."""
    light = np.zeros((n, DIM))
    light[:, 1:6] = 20 * generator.normal(size=(n, 5))
    return light + generator.normal(size=(n, DIM)), light


def test_first_frames_of_unlabelled_episodes_show_what_does_not_matter() -> None:
    """Five labelled episodes of each class, under light that outshines the task."""
    shares = []
    for seed in range(10):
        generator = np.random.default_rng(seed)
        first, light = under_light(80, generator)
        success = np.arange(80) % 2 == 0
        last = light + generator.normal(size=(80, DIM))
        last[success, 0] += 8
        rows = last[:, None].repeat(HOLD, 1).astype(np.float32)
        of = [*range(10)]
        few = [Sample(rows[k], first[k].astype(np.float32), bool(success[k]), k) for k in of]
        goals = GoalRows(rows[:10:2, -1], np.arange(0, 10, 2))
        every = FirstFrames(first.astype(np.float32), np.arange(80))
        for background in (None, every):
            rule, _ = choose_rule(
                few, goals, hold=HOLD, error=0.05, rules=("classes",), background=background
            )
            score = np.array([rule.scores(row, row[0]).max() for row in rows[10:]])
            shares.append(auc(score[success[10:]], score[~success[10:]]))
    assert np.mean(shares[1::2]) > 0.97
    assert np.mean(shares[::2]) < 0.93
