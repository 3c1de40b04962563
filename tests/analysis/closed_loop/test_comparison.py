import dataclasses
import json

import numpy as np
import pytest
from made_up_comparison import NAMES, make_arm, make_comparison

from vip_offline.analysis.closed_loop.comparison import summarise_comparison
from vip_offline.analysis.closed_loop.statistics import paired_difference
from vip_offline.errors import VipOfflineError


def test_numbers_of_an_arm() -> None:
    success = np.array([[1, 0, 1], [0, 0, 1]], dtype=bool)
    steps = np.array([[30, 100, 50], [100, 100, 20]])
    weights = np.array([0.1] * 9 + [9.1])
    arm = make_arm("bc", success, steps=steps, weights=weights, tau=2.5, effective_sample_size=0.12)
    comparison = make_comparison({"bc": 0.5}, seeds=2, placements=3, arms=(arm,))
    (numbers,) = summarise_comparison(comparison)["arms"]
    assert numbers["successes"] == 3
    assert numbers["rollouts"] == 6
    assert numbers["success"]["mean"] == 0.5
    assert numbers["per_seed"] == pytest.approx([2 / 3, 1 / 3])
    assert numbers["per_placement"] == [0.5, 0.0, 1.0]
    assert numbers["median_steps"] == 30  # of 20, 30, 50: failures have no number of steps
    assert numbers["weight_of_top_tenth"] == pytest.approx(0.91)
    assert numbers["weight_quantiles"]["0.5"] == pytest.approx(0.1)
    assert (numbers["tau"], numbers["effective_sample_size"], numbers["transitions"]) == (
        2.5,
        0.12,
        10,
    )


def test_every_pair_is_there_once_and_the_questions_come_first() -> None:
    comparison = make_comparison()
    summary = summarise_comparison(comparison)
    pairs = [(difference["a"], difference["b"]) for difference in summary["differences"]]
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) == 15 == summary["comparisons"]
    questions = [
        (difference["a"], difference["b"])
        for difference in summary["differences"]
        if difference["asked"]
    ]
    assert questions == pairs[:8]
    assert summary["questions"] == 8
    assert questions[:3] == [("rwr-return", name) for name in NAMES[3:]]
    assert sorted(questions[3:]) == sorted((name, "bc") for name in NAMES[1:])
    assert all(
        (difference["p_holm"] is None) != difference["asked"]
        for difference in summary["differences"]
    )


def test_differences_are_those_of_the_named_arms() -> None:
    comparison = make_comparison()
    success = {arm.name: arm.success for arm in comparison.arms}
    for difference in summarise_comparison(comparison)["differences"]:
        expected = paired_difference(success[difference["a"]], success[difference["b"]])
        assert difference["mean"] == expected.mean
        assert difference["differs"] == expected.differs
        assert difference["smallest_detectable"] == expected.smallest_detectable


def test_conclusion_follows_from_the_outcomes() -> None:
    summary = summarise_comparison(make_comparison())
    assert summary["answer"].startswith("The visual reward helped: ")
    assert any(
        text.startswith("rwr-return succeeded more often than rwr-return-clock: +60 points")
        for text in summary["verdicts"]
    )
    even = summarise_comparison(make_comparison(dict.fromkeys(NAMES, 0.5)))
    assert even["answer"].startswith("This run does not show")
    assert not any("more often" in text for text in even["verdicts"])


def test_any_arm_may_be_the_baseline() -> None:
    for baseline in NAMES:
        summary = summarise_comparison(make_comparison(baseline=baseline))
        versus = {
            difference["a"] for difference in summary["differences"] if difference["b"] == baseline
        }
        assert versus == set(NAMES) - {baseline}
        assert summary["comparisons"] == 15  # and no pair is asked both ways
    assert summarise_comparison(make_comparison({"only": 0.5}))["questions"] == 0


def test_even_weights_are_pointed_out() -> None:
    comparison = make_comparison({"bc": 0.3, "rwr": 0.3, "bc-success": 0.4})
    bc, rwr, successes = comparison.arms
    rwr = dataclasses.replace(rwr, effective_sample_size=0.9987)
    successes = dataclasses.replace(successes, weights=np.ones(20))
    summary = summarise_comparison(dataclasses.replace(comparison, arms=(bc, rwr, successes)))
    notes = [text for text in summary["verdicts"] if "nearly alike" in text]
    assert len(notes) == 1
    assert notes[0].startswith("rwr weighs all transitions nearly alike")
    assert "99.9 %" in notes[0]


@pytest.mark.parametrize(("seeds", "placements"), [(1, 1), (1, 4), (4, 1), (2, 2)])
def test_small_runs_are_summarised_as_json(seeds: int, placements: int) -> None:
    summary = summarise_comparison(make_comparison(seeds=seeds, placements=placements))
    again = json.loads(json.dumps(summary, allow_nan=False))
    assert again == summary
    low = again["arms"][0]["success"]["low"]
    assert (low is None) == (seeds == 1)


def test_temperature_that_is_not_a_number_becomes_null() -> None:
    arm = make_arm("bc", np.ones((2, 2), dtype=bool), tau=float("nan"))
    comparison = make_comparison({"bc": 1.0}, seeds=2, placements=2, arms=(arm,))
    assert summarise_comparison(comparison)["arms"][0]["tau"] is None


def test_what_cannot_be_compared_is_refused() -> None:
    good = make_comparison()
    with pytest.raises(VipOfflineError, match=r"'bd' is not among.*mean 'bc'"):
        summarise_comparison(dataclasses.replace(good, baseline="bd"))
    with pytest.raises(VipOfflineError, match="More than one variant is called 'bc'"):
        summarise_comparison(dataclasses.replace(good, arms=(*good.arms, good.arms[0])))
    with pytest.raises(VipOfflineError, match=r"'bc': success has shape \(5, 10\).* 4 seeds"):
        summarise_comparison(dataclasses.replace(good, seeds=(0, 1, 2, 3)))
    empty = dataclasses.replace(good.arms[1], weights=np.zeros(0))
    with pytest.raises(VipOfflineError, match="'rwr-step': its 0 training weights"):
        summarise_comparison(dataclasses.replace(good, arms=(good.arms[0], empty)))
