"""Parses success labels of different formats to one boolean per episode."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from vip_offline.errors import VipOfflineError

# of episodes and of rows, as robomimic's, Isaac Lab's, Minari's and our own writers call it
SUCCESS_COLUMNS = ("succeeded", "success", "is_success")
SUCCESS_WORDS = {
    **dict.fromkeys(("true", "yes", "success", "successful", "succeeded", "1"), True),
    **dict.fromkeys(("false", "no", "failure", "failed", "fail", "0"), False),
    **dict.fromkeys(("", "none", "null", "nan", "unknown"), None),
}


def truth(value: Any, where: str) -> bool | None:
    """Parse a bool, number or word, also an array that holds one; None if it is missing.

    Raises:
        VipOfflineError: if it is neither true nor false; `where` names file, episode and name.
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
    if isinstance(value, str) and value.strip().lower() in SUCCESS_WORDS:
        return SUCCESS_WORDS[value.strip().lower()]
    raise VipOfflineError(
        f"{where} is {str(value)[:60]!r}, neither true nor false. Write true or false there, or "
        "leave such episodes out with --skip-broken."
    )


SUCCESS_NAMES = ("success", "succeeded", "is_success", "task_success", "episode_success", "solved")
DENIES = ("failed", "failure", "is_failure")
OUTCOME_COLUMNS = ("outcome", "result")  # which may say other things, too
IN_A_NAME = re.compile(
    r"(?:.*[_\- ])?(?:(success(?:es|ful)?|succeeded)|(fail(?:ed|ures?)?))", re.IGNORECASE
)


def success_of_files(once: Mapping[str, Any], where: str) -> tuple[bool | None, tuple[str, ...]]:
    """Episode-level success in an episode's files, and the names it was found under.

    Raises:
        VipOfflineError: if a name promises an answer and gives none, or two contradict.
    """
    answers: dict[str, bool] = {}
    for name, value in once.items():
        last = name.split(".")[-1].lower()
        word = isinstance(value, str) and value.strip().lower() in SUCCESS_WORDS
        if last in (*SUCCESS_NAMES, *DENIES) or (last in OUTCOME_COLUMNS and word):
            answer = truth(value, f"{where}: {name}")
            if answer is not None:
                answers[name] = answer != (last in DENIES)
    if len({*answers.values()}) > 1:
        raise VipOfflineError(f"{where}: {answers} contradict each other. Leave one.")
    return next(iter(answers.values()), None), tuple(answers)


def success_of_name(name: str) -> bool | None:
    """Success by the name of an episode or of its folder, such as ``failed/ep_3``."""
    for part in reversed(name.split("/")):
        match = IN_A_NAME.fullmatch(part)
        if match:
            return match[1] is not None
    return None
