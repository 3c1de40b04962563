"""Row rates (``--rate``) for data without time stamps."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vip_offline.errors import VipOfflineError, did_you_mean


def parse_rates(options: Sequence[str]) -> Mapping[str, float]:
    """``("50", "front=30")`` -> ``{"": 50.0, "front": 30.0}``, in Hz.

    Raises:
        VipOfflineError: on what is no rate, or is given twice.
    """
    rates: dict[str, float] = {}
    for option in options:
        name, _, text = option.rpartition("=")
        try:
            rate = float(text)
        except ValueError:
            rate = 0.0
        if not 0 < rate < float("inf"):
            raise VipOfflineError(f"--rate {option}: expected HZ or FILE=HZ, with HZ above 0.")
        if name in rates:
            raise VipOfflineError(f"--rate {option}: is given twice.")
        rates[name] = rate
    return rates


def check_rate_names(rates: Mapping[str, float], names: Iterable[str], where: Path) -> None:
    """Refuse rates for files that do not exist; names are without suffix.

    Raises:
        VipOfflineError: naming the first, and what it may mean.
    """
    known = sorted({*names})
    for name in rates:
        if name and name not in known:
            raise VipOfflineError(
                f"{where}: --rate {name}={rates[name]:g}: no file is called {name!r}."
                f"{did_you_mean(name, known)}"
            )
