import numpy as np
import pytest

from vip_offline.options import SearchOptions
from vip_offline.options.fields import OptionError
from vip_offline.planning.cem import cem
from vip_offline.planning.mppi import mppi
from vip_offline.planning.optimizers import optimizer_of
from vip_offline.utils.arrays import Floats


def last_action(tried: Floats) -> Floats:
    return tried[:, -1, 0]


def test_defaults_are_the_paper_s() -> None:
    start = np.zeros((12, 4))
    plan = optimizer_of(SearchOptions())(last_action, start, np.random.default_rng(0))
    by_hand = mppi(
        last_action,
        start,
        np.random.default_rng(0),
        sequences=32,
        iterations=1,
        sigma=1.0,
        coefficients=(0.25, 0.8, 0.0),
        kappa=5.0,
    )
    np.testing.assert_array_equal(plan.actions, by_hand.actions)


def test_cem_stands_behind_the_same_signature() -> None:
    options = SearchOptions(optimizer="cem", sequences=16, elites=0.5, filter=(1.0, 0.0, 0.0))
    start = np.zeros((3, 2))
    plan = optimizer_of(options)(last_action, start, np.random.default_rng(0))
    by_hand = cem(last_action, start, np.random.default_rng(0), sequences=16, elites=0.5)
    np.testing.assert_array_equal(plan.actions, by_hand.actions)


def test_a_filter_of_two_numbers_is_refused() -> None:
    with pytest.raises(OptionError, match=r"--noise-filter 0.25,0.8: must be three numbers"):
        optimizer_of(SearchOptions(filter=(0.25, 0.8)))
