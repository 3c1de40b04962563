import numpy as np
import pytest

from vip_offline.rewards.success.calibration import Fitted, GoalRows, Sample, fit

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
