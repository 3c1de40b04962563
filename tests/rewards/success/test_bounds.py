import pytest

from vip_offline.rewards.success.bounds import episodes_enough, upper_bound


@pytest.mark.parametrize(("errors", "n"), [(0, 1), (0, 5), (0, 59), (0, 300)])
def test_no_error_has_the_closed_form(errors: int, n: int) -> None:
    assert upper_bound(errors, n) == pytest.approx(1 - 0.05 ** (1 / n))


def test_some_errors_against_the_table_of_clopper_and_pearson() -> None:
    # one-sided 95 %: 1 of 10 0.394, 2 of 20 0.283
    assert upper_bound(1, 10) == pytest.approx(0.394, abs=5e-4)
    assert upper_bound(2, 20) == pytest.approx(0.283, abs=5e-4)
    assert upper_bound(3, 3) == upper_bound(0, 0) == 1


@pytest.mark.parametrize(("errors", "n"), [(0, 59), (1, 93), (2, 124)])
def test_so_many_episodes_are_enough_and_one_fewer_is_not(errors: int, n: int) -> None:
    assert episodes_enough(errors) == n
    assert upper_bound(errors, n) <= 0.05 < upper_bound(errors, n - 1)
