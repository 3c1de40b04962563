import re
from pathlib import Path
from typing import Any

import pytest

from vip_offline.options import RelabelOptions, Reward, TrainOptions, WeightBy
from vip_offline.rewards.relabel import relabel
from vip_offline.training.data.dataset import training_set
from vip_offline.training.weighting.notes import reward_notes, weighting_notes

SMALL = TrainOptions(tau=0.1, steps=1, hidden=(8,), label="x")


@pytest.mark.parametrize(
    ("n_steps", "reward", "weight_by", "parts"),
    [
        (5, "difference", "return", ["--n-steps 5) and --weight-by return adds", "up to 5 times"]),
        (5, "difference", "step", []),
        (1, "difference", "return", []),
        (1, "distance", "return", ["--reward distance gives minus the distance", "last frames"]),
        (1, "distance", "step", []),
        (3, "distance", "n-step", ["up to 3 times", "--reward distance"]),
    ],
)
def test_rewards_that_do_not_add_up(
    store_path: Path, n_steps: int, reward: Reward, weight_by: WeightBy, parts: list[str]
) -> None:
    relabel(store_path, RelabelOptions("pixels", name="x", n_steps=n_steps, reward=reward))
    data = training_set(store_path, TrainOptions(**{**vars(SMALL), "weight_by": weight_by}))
    notes = [note for note in data.notes if note.startswith("rewards: ")]
    assert bool(notes) == bool(parts)
    assert all(part in " ".join(notes) for part in parts)


def test_other_algorithms_and_older_labels() -> None:
    ahead = {"reward": "difference", "n_steps": 5}
    (note,) = reward_notes(ahead, TrainOptions(algo="awr"))
    assert "--algo awr adds them up" in note
    assert reward_notes(ahead, TrainOptions(algo="bc", weight_by="return")) == []
    assert reward_notes({}, TrainOptions(weight_by="return")) == []


@pytest.mark.parametrize(
    ("changes", "failures", "part"),
    [
        ({}, 0, "none of the 9 episodes failed"),
        ({}, 3, ""),
        ({"tau": 0.1}, 3, "3 of 9 episodes failed.* --weight-by outcome or return"),
        ({"weight_by": "return"}, 3, ""),
        ({"weight_by": "step", "tau": 0.1}, 0, ""),
        ({"algo": "bc"}, 3, ""),
    ],
)
def test_weights_that_suit_the_data(changes: dict[str, Any], failures: int, part: str) -> None:
    notes = weighting_notes(TrainOptions(**changes), 9, failures)
    assert bool(notes) == bool(part)
    assert re.search(part, " ".join(notes))
