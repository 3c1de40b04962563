import numpy as np
import pytest

from vip_offline.policies.novelty import (
    TrainingEmbeddings,
    novelty,
    pairwise_distances,
    training_embeddings,
)


def test_by_hand() -> None:
    # episode 0 at 0 and 1, episode 1 at 3: the nearest of another episode are 3, 2 and 2 away
    rows = np.array([[0.0], [1.0], [3.0]], np.float32)
    known = training_embeddings(rows, np.array([0, 0, 1]))
    assert known.scale == pytest.approx(np.quantile([3, 2, 2], 0.99))
    novelties = novelty(np.array([[3.0], [7.0]], np.float32), known)
    assert novelties is not None
    np.testing.assert_allclose(novelties, [0, 4 / known.scale])


def test_near_neighbours_far_from_the_origin() -> None:
    base = np.full((1, 1280), 100.0, np.float32)
    other = base + np.float32(1e-3)
    np.testing.assert_allclose(pairwise_distances(base, other), np.sqrt(1280) * 1e-3, rtol=1e-2)


def test_what_is_not_known() -> None:
    training = training_embeddings(
        np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32), np.zeros(5, int)
    )
    assert training.scale == 0
    assert novelty(training.embedding, training) is None
    same = training_embeddings(np.ones((4, 2), np.float32), np.array([0, 0, 1, 1]))
    assert novelty(np.zeros((1, 2), np.float32), same) is None


def test_rows_that_are_kept_are_spread_over_all() -> None:
    rows = np.arange(1000, dtype=np.float32)[:, None]
    known = training_embeddings(rows, np.arange(1000) // 100, most=11)
    np.testing.assert_allclose(known.embedding[:, 0], np.linspace(0, 999, 11), atol=0.5)


def test_the_training_set_is_within() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(300, 8)).astype(np.float32)
    known = training_embeddings(rows, np.arange(300) // 10)
    others = novelty(generator.normal(size=(300, 8)).astype(np.float32), known)
    far = novelty(generator.normal(5, 1, size=(300, 8)).astype(np.float32), known)
    assert others is not None
    assert far is not None
    assert (others < 1).mean() > 0.9
    assert (far > 1).all()
    assert isinstance(known, TrainingEmbeddings)
