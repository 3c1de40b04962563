"""How often a rule may be wrong: exact upper bounds of Clopper and Pearson (1934)."""

import math

CONFIDENCE = 0.95
WANTED = 0.05  # a rate above which a bound says little


def upper_bound(errors: int, n: int) -> float:
    """Return the one-sided 95 % upper bound of an error rate; 1 without observations.

    Args:
        errors: among n.
        n: independent episodes.
    """
    if errors >= n:
        return 1.0
    from scipy.stats import beta  # slow to import, and needed only here

    return float(beta.ppf(CONFIDENCE, errors + 1, n - errors))


def episodes_enough(errors: int = 0, rate: float = WANTED) -> int:
    """Return the least number of episodes with so many errors whose upper bound is at most `rate`.

    Of no error it is log(0.05) / log(1 - rate): 59 for 5 %.
    """
    n = max(errors + 1, math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - rate)))
    while upper_bound(errors, n) > rate:
        n += 1
    return n
