from pathlib import Path

import pytest

from vip_offline.dataset.importers.base.rates import check_rate_names, parse_rates
from vip_offline.errors import VipOfflineError


def test_rates_of_all_and_of_one_file() -> None:
    assert parse_rates(("50", "front=29.97")) == {"": 50.0, "front": 29.97}


@pytest.mark.parametrize("given", ["fast", "0", "-3", "nan", "robot=", "inf"])
def test_what_is_no_rate_is_refused(given: str) -> None:
    with pytest.raises(VipOfflineError, match=f"--rate {given}: expected HZ"):
        parse_rates([given])


def test_two_rates_of_one_file_are_refused() -> None:
    with pytest.raises(VipOfflineError, match="twice"):
        parse_rates(["30", "25"])


def test_a_rate_of_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    check_rate_names({"": 50.0, "robot": 30.0}, ["robot", "front"], tmp_path)
    with pytest.raises(VipOfflineError, match=r"--rate robt=50: no file .*Did you mean 'robot'"):
        check_rate_names({"robt": 50.0}, ["robot", "front"], tmp_path)
