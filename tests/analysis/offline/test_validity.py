import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vip_offline.analysis.offline.numbers import NUMBERS
from vip_offline.analysis.offline.tested import LARGEST, TESTED, Measured, sentence_on_numbers
from vip_offline.analysis.offline.validity import agreement, task_interval, validities, validity

RESULTS = Path(__file__).parents[3] / "recipes" / "results" / "offline"
ERROR = next(number for number in NUMBERS if number.key == "error")
CONTRAST = next(number for number in NUMBERS if number.key == "contrast")


def task(success: list[float], error: list[float | None]) -> dict[str, Any]:
    pairs = zip(success, error, strict=True)
    return {"arms": [{"success": rate, "numbers": {"error": value}} for rate, value in pairs]}


def test_constants_are_those_of_the_results() -> None:
    """Measure anew, and the constants must follow; without a measurement there are none."""
    files = sorted(RESULTS.glob("*.json"))
    tasks = [case for path in files for case in json.loads(path.read_text())["tasks"]]
    assert (validities(tasks) if tasks else ()) == TESTED
    assert len(tasks) == LARGEST.tasks
    sizes = {(len(t["arms"]), t["seeds"], t["placements"], t["steps"]) for t in tasks}
    assert sizes == {(LARGEST.variants, LARGEST.seeds, LARGEST.placements, LARGEST.steps)}


def test_low_errors_and_high_contrasts_are_better() -> None:
    right = agreement(ERROR, [0.1, 0.2, 0.3], [0.9, 0.5, 0.1])
    assert right.rank == pytest.approx(1)
    assert (right.right, right.pairs) == (3, 3)
    wrong = agreement(CONTRAST, [0.1, 0.2, 0.3], [0.9, 0.5, 0.1])
    assert wrong.rank == pytest.approx(-1)
    assert wrong.right == 0


def test_pairs_that_succeed_alike_do_not_count_and_level_numbers_count_half() -> None:
    same = agreement(ERROR, [0.1, 0.2], [0.5, 0.5])
    assert (same.rank, same.pairs) == (None, 0)
    level = agreement(ERROR, [0.2, 0.2, 0.1], [0.5, 0.6, 0.7])
    assert (level.right, level.pairs) == (2.5, 3)


def test_variants_without_the_number_are_left_out() -> None:
    known = agreement(ERROR, [0.1, None, 0.3], [0.9, 0.5, 0.1])
    assert (known.right, known.pairs) == (1, 1)
    none = validity(ERROR, [task([0.1, 0.2], [None, None])])
    assert (none.tasks, none.picked, none.rank, none.low) == (0, None, None, None)


def test_the_interval_is_over_tasks_not_over_pairs() -> None:
    """Many pairs of two tasks that contradict each other are no evidence."""
    rates = list(np.linspace(0, 1, 12))
    falling: list[float | None] = [1 - rate for rate in rates]
    rising: list[float | None] = [*rates]
    good, bad = task(rates, falling), task(rates, rising)
    mixed = validity(ERROR, [good, bad, good, bad])
    assert mixed.pairs == 4 * 66 and mixed.picked == 0.5
    assert mixed.low == 0 and mixed.high == 1 and not mixed.beats_chance
    assert validity(ERROR, [good, good, good]).beats_chance
    few = validity(ERROR, [good, good])
    assert (few.picked, few.low) == (1, None) and not few.beats_chance


def test_chance_is_not_found_better_than_chance_often() -> None:
    """Of eight tasks; with so few the bootstrap is too narrow, as is said, but not by much."""
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(100):
        shares = generator.uniform(0, 1, 8)
        low, _high = task_interval(shares)
        wrong += low is not None and low > 0.5
    assert wrong <= 12


SIZE = Measured(tasks=6, variants=8, seeds=3, placements=8, steps=2000)


def test_the_sentence_says_what_was_found() -> None:
    rates = [0.0, 0.5, 1.0]
    chance = validities([task(rates, [0.1, 0.3, 0.2]), task(rates, [0.3, 0.1, 0.2])] * 2)
    text = sentence_on_numbers(chance, SIZE)
    assert text.startswith("None of these numbers") and "6 simulated tasks" in text
    good = validities([task(rates, [0.3, 0.2, 0.1])] * 3)
    assert ": error; 8 numbers were tried" in sentence_on_numbers(good, SIZE)
    assert sentence_on_numbers((), SIZE).endswith("was not measured.")
    assert "worst, fail/succ" in sentence_on_numbers(TESTED, LARGEST)  # as the table calls them
