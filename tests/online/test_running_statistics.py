import numpy as np
import pytest
import torch
from torch import nn

from vip_offline.online.running_statistics import LARGEST, RunningStatistics, keep_function


def test_in_parts_it_is_what_numpy_says_of_all() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(5, [0.1, 3, 200], (90, 3))
    statistics = RunningStatistics.none(3)
    for part in (rows[:1], rows[1:40], rows[40:]):
        statistics = statistics.updated(part)
    assert statistics.count == 90
    np.testing.assert_allclose(statistics.mean, rows.mean(axis=0))
    np.testing.assert_allclose(statistics.std, rows.std(axis=0))


def test_far_from_zero_no_digit_is_lost() -> None:
    rows = 1e5 + np.array([[0.0], [1.0], [2.0]])
    statistics = RunningStatistics.none(1).updated(rows[:2]).updated(rows[2:])
    assert statistics.std[0] == pytest.approx(rows.std(), rel=1e-6)


def test_an_input_that_never_changed_is_not_blown_up() -> None:
    rows = np.array([[1.0, 5.0], [2.0, 5.0]])
    statistics = RunningStatistics.none(2).updated(rows)
    np.testing.assert_allclose(statistics.std, [0.5, 1.0])
    seen = statistics.standardised(np.array([[1.5, 5.25]], np.float32))
    np.testing.assert_allclose(seen, [[0.0, 0.25]])
    assert seen.dtype == np.float32


def test_what_is_far_out_is_clipped_in_deviations() -> None:
    statistics = RunningStatistics(2, np.array([100.0]), np.array([2.0]))  # deviation 1
    seen = statistics.standardised(np.array([[105.0], [500.0], [-500.0]], np.float32))
    np.testing.assert_allclose(seen[:, 0], [5.0, LARGEST, -LARGEST])


def test_new_statistics_leave_a_network_the_function_that_it_was() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(3, 2, (50, 4)).astype(np.float32)
    time = generator.normal(size=(50, 1)).astype(np.float32)
    old = RunningStatistics.none(4).updated(rows[:10])
    new = old.updated(rows)
    layer = nn.Linear(5, 6)

    def output(statistics: RunningStatistics) -> torch.Tensor:
        inputs = np.concatenate([statistics.standardised(rows), time], axis=1)
        with torch.no_grad():
            return torch.as_tensor(layer(torch.from_numpy(inputs)))

    before, weights = output(old), layer.weight.detach().clone()
    keep_function(layer, old, new)
    torch.testing.assert_close(output(new), before, atol=1e-5, rtol=1e-5)
    assert not torch.equal(layer.weight[:, :4], weights[:, :4])
    assert torch.equal(layer.weight[:, 4:], weights[:, 4:])  # the time is no standardised input


def test_an_input_that_begins_to_move_saturates_nothing() -> None:
    still = np.random.default_rng(0).normal(scale=1e-5, size=(50, 1))
    old = RunningStatistics.none(1).updated(still)
    new = old.updated(np.array([[-1.0], [1.0]]))
    layer = nn.Linear(1, 3)
    weights = layer.weight.detach().clone()
    keep_function(layer, old, new)
    torch.testing.assert_close(layer.weight, LARGEST * weights)
