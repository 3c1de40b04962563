from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vip_offline.encoders.encoder import load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.benchmark import benchmark_encoder, embed_episodes, measure_progress


def straight(start: float, stop: float, length: int = 5) -> np.ndarray:
    """(T, 1) from one place to another, in equal steps."""
    return np.linspace(start, stop, length, dtype=np.float32)[:, None]


def test_straight_ways_to_a_common_goal_are_in_order() -> None:
    measured = measure_progress(
        [straight(0, 10), straight(2, 10), straight(0, 1)], np.array([1, 1, 0], bool)
    )
    assert measured.order == pytest.approx(1)
    assert (measured.bumps, measured.successes, measured.failures) == (0.0, 2, 1)
    assert measured.apart is not None
    assert measured.apart.auc == 1.0


def test_the_goal_is_never_an_episodes_own_last_frame() -> None:
    # the two successes end far from each other: towards the other's end each goes away
    measured = measure_progress([straight(0, 10), straight(0, -10)], np.array([1, 1], bool))
    assert measured.order == pytest.approx(-1)
    assert measured.bumps == 1.0
    assert measured.apart is None  # no failure to tell from


def test_a_failure_that_comes_as_near_cannot_be_told() -> None:
    measured = measure_progress(
        [straight(0, 8), straight(0, 8), straight(0, 8)], np.array([1, 1, 0], bool)
    )
    assert measured.apart is not None
    assert measured.apart.auc == 0.5


def test_one_success_has_no_goal_of_others() -> None:
    with pytest.raises(VipOfflineError, match="1 of 2 episodes succeed"):
        measure_progress([straight(0, 1), straight(0, 1)], np.array([1, 0], bool))


def test_weight_goes_to_what_comes_nearer() -> None:
    """At an effective sample size of a tenth nearly all of it, where returns tell them apart."""
    near, far = straight(0, 10, 40), straight(0, 2, 40)
    successes = np.array([True, True] + [False] * 4)
    measured = measure_progress([near, near, far, far, far, far], successes)
    assert measured.weight is not None
    assert measured.weight > 0.95
    assert measure_progress([near] * 6, successes).weight == pytest.approx(1 / 3)
    still = [np.zeros((5, 1), np.float32)] * 3
    assert measure_progress(still, np.array([True, True, False])).weight is None


def test_every_nth_frame_and_the_last(store_path: Path) -> None:
    whole, _ = embed_episodes(store_path, load_encoder("pixels"))
    thin, _ = embed_episodes(store_path, load_encoder("pixels"), stride=4)
    assert [len(values) for values in thin] == [2, 2, 2]
    for all_of_it, some in zip(whole, thin, strict=True):
        np.testing.assert_allclose(some[-1], all_of_it[-1], atol=1e-6)
        np.testing.assert_allclose(some[-2], all_of_it[-5], atol=1e-6)


def test_a_store_is_embedded_episode_by_episode(store_path: Path) -> None:
    seen: list[int] = []
    vectors, success = embed_episodes(store_path, load_encoder("pixels"), seen.append)
    assert [len(vector) for vector in vectors] == seen == [5, 7, 6]
    assert success.tolist() == [True, False, True]


def test_rising_brightness_is_progress_to_pixels(make_store: Callable[..., Path]) -> None:
    paths = [make_store("a"), make_store("b")]
    results = benchmark_encoder("pixels", None, paths)
    assert list(results) == ["a", "b"]
    assert results["a"].order == pytest.approx(1.0)
    assert results["a"].apart is not None
    assert results["a"].apart.auc == 1.0


def test_a_store_without_two_successes_is_named(make_store: Callable[..., Path]) -> None:
    path = make_store("poor", (5, 5), (True, False))
    with pytest.raises(VipOfflineError, match=r"poor\.zarr: 1 of 2 episodes succeed"):
        benchmark_encoder("pixels", None, [path])
