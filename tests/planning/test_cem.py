import numpy as np

from vip_offline.planning.cem import cem
from vip_offline.utils.arrays import Floats


def to_point(tried: Floats) -> Floats:
    return -np.asarray(np.linalg.norm(tried.sum(axis=1) - [3, -1], axis=1))


def test_one_iteration_is_the_mean_of_the_best() -> None:
    start = np.ones((2, 1))  # so short that noise is not filtered
    tried = start + 0.5 * np.random.default_rng(4).standard_normal((8, 2, 1))
    plan = cem(
        lambda sequences: sequences[:, 0, 0],
        start,
        np.random.default_rng(4),
        sequences=8,
        sigma=0.5,
        elites=0.25,
    )
    order = np.argsort(tried[:, 0, 0])
    np.testing.assert_allclose(plan.actions, tried[order[-2:]].mean(axis=0))
    np.testing.assert_allclose(plan.scores, tried[:, 0, 0])


def test_two_sequences_are_kept_at_least() -> None:
    plan = cem(
        lambda tried: tried[:, 0, 0], np.zeros((1, 1)), np.random.default_rng(0), elites=0.01
    )
    white = np.sort(np.random.default_rng(0).standard_normal((32, 1, 1))[:, 0, 0])
    np.testing.assert_allclose(plan.actions[0, 0], white[-2:].mean())


def test_later_iterations_draw_as_wide_as_the_best_lay_apart() -> None:
    """Without any preference all are kept: the spread of filtered noise stays what it was."""
    spreads = []

    def indifferent(tried: Floats) -> Floats:
        spreads.append(tried.std(axis=0))
        return np.zeros(len(tried))

    cem(
        indifferent,
        np.zeros((10, 1)),
        np.random.default_rng(0),
        sequences=20_000,
        iterations=3,
        coefficients=(0.25, 0.8, 0.0),
        elites=1.0,
    )
    np.testing.assert_allclose(spreads[1], spreads[0], rtol=0.05)
    np.testing.assert_allclose(spreads[2], spreads[0], rtol=0.05)


def test_it_finds_the_point_and_repeats_itself() -> None:
    plan, again = (
        cem(to_point, np.zeros((5, 2)), np.random.default_rng(0), iterations=12) for _ in "ab"
    )
    np.testing.assert_array_equal(plan.actions, again.actions)
    assert to_point(plan.actions[None])[0] > -0.1
