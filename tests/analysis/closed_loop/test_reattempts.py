import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vip_offline.analysis.closed_loop.reattempts import reattempts
from vip_offline.errors import VipOfflineError

NAN = float("nan")

# eighths: sums and halves are exact
curves = arrays(np.float64, st.integers(0, 40), elements=st.integers(0, 16).map(lambda n: n / 8))


@pytest.mark.parametrize(
    ("distance", "count"),
    [
        ([], 0),
        ([1], 0),
        ([1, 0.2], 0),
        ([1, 0.8, 0.5, 0.3, 0.1, 0], 0),  # there at once
        ([1, 1, 1, 1], 0),
        ([0, 0, 0], 0),
        ([0, 5, 0, 5, 0], 0),  # starts at the goal: nothing says what is far
        ([1, 0.6, 0.2, 0.5, 0.9, 0.5, 0.2], 1),  # back, and there again
        ([1, 0.6, 0.2, 0.5, 0.9], 0),  # back, and no more
        ([1, 0.6, 0.2, 0.9, 0.7, 0.6], 0),  # the middle of 0.2 and 0.9 is 0.55
        ([1, 0.6, 0.2, 0.9, 0.7, 0.5], 1),
        ([1, 0.2, 0.8, 0.2, 0.8, 0.1], 2),
        ([1, 0.2, 0.8, 0.2, 0.8, 0.1, 0.7], 2),
        ([1, 0.9, 1, 0.9, 1, 0.9, 1], 0),  # never near
        ([1, 0.9, 1.5, 1.4, 2, 1.9, 2.5], 0),
        ([1, 1.5, 2, 1.5, 2, 1.5], 1),  # near is what has fallen, wherever from
        ([1, 0.2, 0.44, 0.2, 0.44, 0.2], 0),  # 24 % is no retreat
        ([1, 0.2, 0.5, 0.3, 0.26], 0),  # half of the retreat, but less than 25 % of the start
        ([1, 0.2, 0.5, 0.3, 0.24], 1),
        # slowly: no single step is as large as a threshold
        (np.r_[1:0.2:50j, 0.2:0.9:50j, 0.9:0.1:50j], 1),
        # a second approach that is worse: the least before *this* retreat is meant
        ([1, 0, 1, 0.45, 0.9, 0.6], 2),
    ],
)
def test_by_hand(distance: list[float], count: int) -> None:
    assert reattempts(distance) == count


def test_thresholds_are_shares_of_the_first_distance() -> None:
    curve = np.array([10, 5, 6.5, 4.5])
    assert reattempts(curve) == 0
    assert reattempts(curve, away=0.14, near=0.14) == 1
    assert reattempts(curve, away=0.16, near=0.14) == 0
    assert reattempts(curve, away=0.14, near=0.21) == 0
    assert reattempts(curve, away=0.14, near=0.51) == 0


@pytest.mark.parametrize("noise", [0.02, 0.03])
def test_jitter_is_not_counted(noise: float) -> None:
    """Of 2 to 3 % of the first distance, standing still, coming near, and after one retreat."""
    generator = np.random.default_rng(0)
    for _ in range(100):
        jitter = generator.normal(0, noise, 300)
        jitter[0] = 0
        assert reattempts(1 + jitter) == 0
        assert reattempts(0.3 + np.r_[0.7:0:300j] + jitter) == 0
        assert reattempts(np.r_[1:0.2:100j, 0.2:0.8:100j, 0.8:0.2:100j] + jitter) == 1
        assert reattempts(np.r_[1:0.2:100j, 0.2:0.8:100j, 0.8:0.8:100j] + jitter) == 0


@given(curves, st.integers(1, 4), st.sampled_from([0.25, 2.0, 1024.0]))
def test_neither_the_unit_nor_the_rate_matters(
    curve: np.ndarray[tuple[int], np.dtype[np.float64]], slower: int, unit: float
) -> None:
    count = reattempts(curve, 0.25, 0.25)
    assert reattempts(unit * np.repeat(curve, slower), 0.25, 0.25) == count


@given(curves)
def test_each_takes_a_retreat_and_a_return(
    curve: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    """So a curve must rise and fall by as much as that many of them, and be as long."""
    count = reattempts(curve, 0.25, 0.5)
    steps = np.diff(curve)
    start = curve[0] if len(curve) else 0
    assert count * 0.5 * start <= steps[steps > 0].sum()
    assert count * 0.25 * start <= -steps[steps < 0].sum()
    assert count <= max(len(curve) - 2, 0) / 2


@pytest.mark.parametrize(
    ("distance", "message"),
    [
        ([1, NAN, 0.2], r"at frame 1 is nan.*Leave the episode out"),
        ([1, 0.5, float("inf")], "at frame 2 is inf"),
        ([1, -0.5], "at frame 1 is -0.5"),
        ([[1, 0.5], [1, 0.5]], r"\(T,\), not \(2, 2\)"),
        (1, r"not \(\)"),
    ],
)
def test_what_is_no_curve_is_refused(distance: list[float], message: str) -> None:
    with pytest.raises(VipOfflineError, match=message):
        reattempts(distance)


@pytest.mark.parametrize("share", [0, -0.1, NAN, float("inf")])
def test_thresholds_that_are_no_share_are_refused(share: float) -> None:
    with pytest.raises(VipOfflineError, match=f"near={share}: must be"):
        reattempts([1, 0], near=share)
    with pytest.raises(VipOfflineError, match=f"away={share}: must be"):
        reattempts([1, 0], away=share)
