"""Inputs that carry nothing must not drive a policy when they shift."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.training.data.input_statistics import input_statistics

EMBEDDING, ROWS = 40, 200


def inputs(proprio: list[NDArray[np.float64]]) -> list[NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    embedding = generator.normal(1, generator.uniform(0.02, 0.2, EMBEDDING), (ROWS, EMBEDDING))
    rows = np.concatenate([embedding, np.stack(proprio, axis=1)], axis=1).astype(np.float32)
    return [rows[: ROWS // 2], rows[ROWS // 2 :]]


def noise(scale: float, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, scale, ROWS)


@pytest.mark.parametrize(
    "others", [[], [noise(0.1, 2)], [noise(0.1, 2), noise(0.02, 3), noise(10, 4)]]
)
def test_noise_about_a_constant_moves_nothing_when_it_shifts(
    others: list[NDArray[np.float64]],
) -> None:
    observations = inputs([0.3 + noise(1e-5), *others])
    measured = input_statistics(observations, EMBEDDING)
    assert (measured.constant, measured.steady) == (0, 1)
    shifted = observations[0][:1].copy()
    shifted[0, EMBEDDING] += 0.02
    before, after = (measured.statistics.scaled(rows) for rows in (observations[0][:1], shifted))
    assert abs(after - before).max() < 0.5
    rows = np.concatenate([observation[:-1] for observation in observations])
    own = np.arange(rows.shape[1]) != EMBEDDING
    expected = rows.std(axis=0, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(measured.statistics.std[own], expected[own])


def test_kinds_are_measured_by_their_own() -> None:
    """Proprioception in other units than the embedding's: forces of kN, tools of tenths of a mm."""
    for scale in (1e4, 1e-4):
        measured = input_statistics(inputs([noise(scale), noise(scale, 2)]), EMBEDDING)
        assert measured.steady == 0


def test_a_dead_feature_of_an_embedding() -> None:
    observations = inputs([noise(0.1)])
    for rows in observations:
        rows[:, 3] = np.random.default_rng(5).normal(0, 1e-6, len(rows))
        rows[:, 4] = 0.7
    measured = input_statistics(observations, EMBEDDING)
    assert (measured.constant, measured.steady) == (1, 1)
    assert measured.statistics.std[3] > 0.02
    assert measured.statistics.std[4] == 1
