import json

import numpy as np
import pytest

from vip_offline.analysis.held_out import (
    CAVEAT,
    HeldOutArm,
    error_difference,
    summarise_held_out,
)

BC = [[0.4, 0.5], [0.5, 0.6], [0.6, 0.7]]  # three seeds, two episodes


def arm(name: str, errors: list[list[float]]) -> HeldOutArm:
    return HeldOutArm(name, f"What {name} does.", np.array(errors))


def scaled(name: str, factor: float) -> HeldOutArm:
    return HeldOutArm(name, f"What {name} does.", factor * np.array(BC))


def test_a_difference_counts_only_in_every_episode_and_whatever_the_seed() -> None:
    bc = arm("bc", BC)
    lower = error_difference(scaled("a", 0.5), bc)
    assert (lower.verdict, lower.lower, lower.higher) == ("lower", 2, 0)
    assert lower.change == pytest.approx(-0.5)
    assert error_difference(scaled("a", 2.0), bc).verdict == "higher"
    # of one episode the worst seed errs as much as the best of bc
    touching = error_difference(arm("a", [[0.1, 0.1], [0.1, 0.1], [0.4, 0.1]]), bc)
    assert (touching.verdict, touching.lower) == ("unclear", 1)
    assert error_difference(scaled("a", 0.9), bc).verdict == "unclear"


def answer(*arms: HeldOutArm) -> str:
    return str(summarise_held_out(arms, "bc", (3, 5), (0, 1, 2))["answer"])


def test_the_answer_is_about_the_camera() -> None:
    bc = arm("bc", BC)
    visual = scaled("rwr-outcome", 0.5)
    assert answer(bc, visual, scaled("rwr-outcome-permuted", 1.0)) == (
        "rwr-outcome errs less than bc, and less than its controls: rwr-outcome-permuted."
    )
    level = answer(bc, visual, scaled("rwr-outcome-permuted", 0.5), scaled("bc-success", 0.5))
    assert "but not less than rwr-outcome-permuted, bc-success: nothing here shows" in level
    assert "no control was trained" in answer(bc, visual)
    assert "the errors of rwr-outcome and bc overlap" in answer(bc, scaled("rwr-outcome", 0.9))
    assert "did harm here" in answer(bc, scaled("rwr-outcome", 2.0))


def test_without_a_visual_variant_the_better_ones_are_named() -> None:
    bc = arm("bc", BC)
    assert answer(bc, scaled("awr", 0.5), scaled("iql", 1.0)) == "Less than bc errs awr."
    assert answer(bc, scaled("iql", 1.0)) == "No variant can be shown to err less than bc."
    assert answer(bc).startswith("Only bc was trained")


def test_one_seed_concludes_nothing() -> None:
    arms = [arm("bc", BC[:1]), arm("rwr-outcome", [[0.01, 0.01]])]
    summary = summarise_held_out(arms, "bc", (3, 5), (0,))
    assert "another seed may reverse every difference" in summary["answer"]
    assert summary["verdicts"] == [
        "rwr-outcome: the error is 98 % below that of bc (one seed), which may be luck.",
        CAVEAT,
    ]


def test_the_numbers_are_those_of_the_policies_and_are_json() -> None:
    summary = summarise_held_out([arm("bc", BC), scaled("awr", 0.95)], "bc", (3, 5), (0, 1, 2))
    assert json.loads(json.dumps(summary)) == summary
    bc, _ = summary["arms"]
    assert bc["error"] == pytest.approx(0.55)
    assert bc["per_seed"] == pytest.approx([0.45, 0.55, 0.65])
    assert bc["per_episode"][1] == pytest.approx({"mean": 0.6, "low": 0.5, "high": 0.7})
    assert summary["verdicts"][0] == (
        "awr: the error is 5 % below that of bc, but whatever the seed in 0 of 2 held-out episodes "
        "only: no difference that counts."
    )
