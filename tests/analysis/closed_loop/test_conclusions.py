import numpy as np
import pytest

from vip_offline.analysis.closed_loop.conclusions import (
    conclusion,
    controls_of,
    overall_conclusion,
    points,
    visual_arm,
)
from vip_offline.analysis.closed_loop.statistics import Difference, paired_difference


def difference(mean: float, half: float = 0.1, covers: str = "seeds and placements") -> Difference:
    return Difference(mean, mean - half, mean + half, half / 2, 8.0, covers, 0.02, 1.4 * half)


CONTROLS = controls_of("rwr-return")
BETTER, EVEN, WORSE = difference(0.4), difference(0.0), difference(-0.4)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.42, "+42"), (-0.03, "−3"), (0.0, "0"), (-0.0, "0"), (0.004, "+0.4"), (-0.0001, "0")],
)
def test_points(value: float, text: str) -> None:
    assert points(value) == text


def test_a_difference_is_said_with_its_interval_and_size() -> None:
    text = conclusion("rwr", "bc", difference(0.42, 0.22), 0.03, 8, "5 seeds × 10 placements")
    assert text == (
        "rwr succeeded more often than bc: +42 points (95 % CI +20 to +64; 5 seeds × 10 "
        "placements)."
    )
    assert "less often" in conclusion("rwr", "bc", WORSE, 0.03, 8, "")


def test_a_difference_that_many_questions_may_bring_about_is_said_to_be_one() -> None:
    text = conclusion("rwr", "bc", BETTER, 0.16, 8, "")
    assert "not beyond doubt, as one of 8 questions" in text
    assert "p = 0.16" in text


def test_no_difference_is_not_called_equality() -> None:
    text = conclusion("rwr", "bc", difference(-0.03, 0.17), 1.0, 8, "")
    assert text == (
        "rwr and bc are not significantly different: −3 points (95 % CI −20 to +14); with this "
        "many seeds only differences of 24 points or more would be likely to show."
    )
    assert "no difference, however large" in conclusion("a", "b", difference(0.0, 0.9), 1.0, 8, "")


def test_one_seed_or_one_placement_is_said() -> None:
    one_seed = paired_difference(np.ones((1, 4), dtype=bool), np.zeros((1, 4), dtype=bool))
    assert conclusion("rwr", "bc", one_seed, np.nan, 1, "1 seed × 4 placements") == (
        "rwr against bc: +100 points (1 seed × 4 placements), which may be luck."
    )
    assert "nothing can be concluded" in overall_conclusion("bc", {("rwr", "bc"): one_seed})
    one_placement = difference(0.4, covers="seeds")
    assert "one placement" in conclusion("rwr", "bc", one_placement, 0.01, 1, "")
    assert "on one placement" in overall_conclusion("bc", {("rwr", "bc"): one_placement})


def asked(baseline: Difference, *controls: Difference) -> dict[tuple[str, str], Difference]:
    pairs = {("rwr-return", name): d for name, d in zip(CONTROLS, controls, strict=False)}
    return {**pairs, ("rwr-return", "bc"): baseline, ("rwr-step", "bc"): EVEN}


def test_vision_is_credited_only_where_every_blind_control_is_beaten() -> None:
    assert overall_conclusion("bc", asked(BETTER, BETTER, BETTER, BETTER)).startswith(
        "The visual reward helped: "
    )
    for controls in ((EVEN, BETTER, BETTER), (BETTER, EVEN, BETTER), (BETTER, WORSE, BETTER)):
        text = overall_conclusion("bc", asked(BETTER, *controls))
        assert "does not show that the gain comes from the camera" in text
        name = list(CONTROLS)[[control is BETTER for control in controls].index(False)]
        assert f"{name} ({CONTROLS[name]})" in text
        assert ("less often than" in text) == (WORSE in controls)


def test_a_label_that_does_better_is_said_whatever_vision_did() -> None:
    for baseline in (BETTER, EVEN, WORSE):
        text = overall_conclusion("bc", asked(baseline, BETTER, BETTER, WORSE))
        assert "a success label instead of a reward (bc-success) did better" in text
    assert "The visual reward helped" in overall_conclusion(
        "bc", asked(BETTER, BETTER, BETTER, WORSE)
    )
    assert "did more than a success label" in overall_conclusion(
        "bc", asked(BETTER, BETTER, BETTER, BETTER)
    )
    assert "not significantly different" in overall_conclusion(
        "bc", asked(BETTER, BETTER, BETTER, EVEN)
    )


def test_vision_is_not_credited_without_a_gain_on_the_baseline() -> None:
    text = overall_conclusion("bc", asked(EVEN, BETTER, BETTER, BETTER))
    assert text.startswith("This run does not show that the visual reward helped")
    assert "not the same as no effect" in text
    assert "did harm" in overall_conclusion("bc", asked(WORSE, EVEN, EVEN, EVEN))


def test_controls_that_were_not_run_leave_the_question_open() -> None:
    assert "no control was run" in overall_conclusion("bc", asked(BETTER))
    text = overall_conclusion("bc", asked(BETTER, BETTER))
    assert "Not run, so open: rwr-return-clock" in text
    assert "bc-success" in text


def test_arms_with_other_names() -> None:
    assert overall_conclusion("bc", {("iql", "bc"): BETTER}) == "More often than bc succeeded iql."
    assert "No variant can be shown" in overall_conclusion(
        "bc", {("iql", "bc"): EVEN, ("awr", "bc"): WORSE}
    )
    assert "nothing to compare" in overall_conclusion("bc", {})


def test_the_outcome_stands_for_the_reward_where_it_was_run() -> None:
    assert visual_arm(["rwr-return", "rwr-outcome", "bc"]) == "rwr-outcome"
    assert visual_arm(["rwr-step", "bc"]) is None
    pairs = {
        ("rwr-outcome", "rwr-outcome-permuted"): BETTER,
        ("rwr-outcome", "rwr-outcome-length"): EVEN,
        ("rwr-outcome", "bc"): BETTER,
        ("rwr-return", "bc"): BETTER,
    }
    text = overall_conclusion("bc", pairs)
    assert text.startswith("rwr-outcome succeeded more often than bc, but it is not significantly")
    assert "rwr-outcome-length (weights from the episode's length" in text
