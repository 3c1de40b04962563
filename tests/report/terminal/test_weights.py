import dataclasses

import numpy as np

from vip_offline.report.terminal.weights import weight_lines
from vip_offline.training.weighting.weights import regression_weights, summarise_weights


def lines(score: list[float], tau: float) -> str:
    return "\n".join(weight_lines(summarise_weights(regression_weights(score, tau), tau), 0.1))


def test_numbers_are_said() -> None:
    text = lines([0.0] * 9 + [np.log(11)], 1.0)
    assert "tau 1, 10 transitions" in text
    assert "effective sample size 30.8%" in text  # (9 + 11)^2 / (10 (9 + 121))
    assert "heaviest 1 % hold 55.0%" in text


def test_episodes_are_counted_where_each_has_one_weight() -> None:
    weights = regression_weights([0.0, 0.0, 9.0, 9.0], 1.0)
    summary = dataclasses.replace(summarise_weights(weights, 1.0, 0.5), episodes=30)
    first = "\n".join(weight_lines(summary, 0.05)).splitlines()[0]
    assert first.endswith("effective sample size 15.0 of 30 episodes;")
    few = dataclasses.replace(summary, episodes=8, effective_sample_size=0.1)
    # two episodes at least, whatever was aimed at
    assert "gives an effective sample size of 25%" in "\n".join(weight_lines(few, 0.05))


def test_a_warning_where_weights_do_nothing_or_everything() -> None:
    assert "nearly uniform" in lines([0.0, 0.1], 0.1)
    assert "A few transitions" in lines([0.0] * 99 + [50.0], 1.0)
    middle = lines([0.0, 1.5], 1.0)
    assert "nearly" not in middle
    assert "few" not in middle
    assert "nearly" not in lines([0.0, 0.1], 0.0)  # cloning is meant to be uniform


def test_weights_as_sharp_as_they_were_asked_to_be_are_no_surprise() -> None:
    weights = regression_weights([0.0] * 99 + [5.0], 1.0)
    summary = summarise_weights(weights, 1.0)
    assert summary.effective_sample_size < 0.2

    def said(helpful: float) -> str:
        return "\n".join(weight_lines(dataclasses.replace(summary, helpful_tau=helpful), 0.05))

    assert "few" not in said(1.0)
    assert "Lower --tau: 0.5 gives an effective sample size of 5%" in said(0.5)
    assert "--target-ess 0.4" in said(2.0)
