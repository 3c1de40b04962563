"""Rates that a user gives, of rows whose times nothing says."""

from collections.abc import Mapping, Sequence

from vip_offline.errors import VipOfflineError


def parse_rates(given: Sequence[str]) -> Mapping[str, float]:
    """``("50", "front=30")`` -> ``{"": 50.0, "front": 30.0}``, in Hz.

    Raises:
        VipOfflineError: on what is no rate, or is given twice.
    """
    rates: dict[str, float] = {}
    for one in given:
        name, _, text = one.rpartition("=")
        try:
            rate = float(text)
        except ValueError:
            rate = 0.0
        if not 0 < rate < float("inf"):
            raise VipOfflineError(f"--rate {one}: expected HZ or FILE=HZ, with HZ above 0.")
        if name in rates:
            raise VipOfflineError(f"--rate {one}: is given twice.")
        rates[name] = rate
    return rates
