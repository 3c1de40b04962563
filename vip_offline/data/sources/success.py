"""What formats say of an episode's success, as one truth value."""

from typing import Any

import numpy as np

from vip_offline.errors import VipOfflineError

# of episodes and of rows, as robomimic's, Isaac Lab's, Minari's and our own writers call it
NAMES = ("succeeded", "success", "is_success")
WORDS = {
    **dict.fromkeys(("true", "yes", "success", "successful", "succeeded", "1"), True),
    **dict.fromkeys(("false", "no", "failure", "failed", "fail", "0"), False),
    **dict.fromkeys(("", "none", "null", "nan", "unknown"), None),
}


def truth(value: Any, where: str) -> bool | None:
    """Whether a value says success; None if it says nothing.

    Args:
        value: a bool, number or word, also as an array that holds one.
        where: file, episode and name, for the error.

    Raises:
        VipOfflineError: if it is neither true nor false.
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bool | int | float):
        return value > 0
    if isinstance(value, str) and value.strip().lower() in WORDS:
        return WORDS[value.strip().lower()]
    raise VipOfflineError(
        f"{where} is {str(value)[:60]!r}, neither true nor false. Write true or false there, or "
        "leave such episodes out with --skip-broken."
    )
