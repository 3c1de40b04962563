from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vip_offline.report.figures.plans import cumulative_by_reward, errors_by_reward, save_plans


def cell(encoder: str, episodes: int, cumulative: list[float], **more: object) -> dict[str, object]:
    return {
        "encoder": encoder,
        "sequences": 32,
        "episodes": episodes,
        "cumulative": cumulative,
        "object_error": None,
        "robot_error": None,
        **more,
    }


CELLS = [
    cell("lite0", 3, [0.0, 1.0, 1.0]),
    cell("dense", 1, [1.0, 1.0, 1.0]),
    cell("lite0", 1, [0.0, 0.0, 1.0]),
]
REWARDS = [
    {"encoder": name, "sequences": count, "success": 0.5, "view": "left", "low": 0.2, "high": 0.8}
    for name in ("lite0", "dense")
    for count in (32, 128)
]


def test_every_episode_counts_alike() -> None:
    means = cumulative_by_reward(CELLS)
    assert list(means) == ["lite0", "dense"]
    np.testing.assert_allclose(means["lite0"], [0, 0.75, 1])


def test_numbers_of_sequences_are_told_apart_where_they_differ() -> None:
    more = cell("lite0", 1, [1.0, 1.0, 1.0], sequences=128)
    assert list(cumulative_by_reward([*CELLS, more])) == ["lite0, 32", "dense, 32", "lite0, 128"]


def test_errors_are_shares_so_that_units_do_not_matter() -> None:
    cells = [
        cell("lite0", 3, [], object_error=[2.0, 1.0]),
        cell("lite0", 1, [], object_error=[0.2, 0.3]),
        cell("lite0", 1, []),
        cell("dense", 1, []),
    ]
    errors = errors_by_reward(cells, "object_error")
    assert list(errors) == ["lite0"]
    np.testing.assert_allclose(errors["lite0"], [1, 1])


@pytest.mark.parametrize("rewards", [REWARDS[:1], REWARDS], ids=["one number", "several"])
def test_files_name_rewards_and_are_the_same_each_time(
    tmp_path: Path, rewards: list[dict[str, object]]
) -> None:
    cells = [*CELLS, cell("pixels", 1, [0.0, 0.0, 0.0], object_error=[2.0, 1.0, 1.0])]
    summary = {"cells": cells, "rewards": rewards}
    written = save_plans(summary, tmp_path)
    names = ["plans", "plans-object-error", *["plans-search"] * (len(rewards) > 1)]
    assert [path.name for path in written] == [
        f"{name}.{k}" for name in names for k in ("png", "svg")
    ]
    with Image.open(written[0]) as picture:
        assert picture.width > 1000
    text = written[1].read_text()
    assert "lite0" in text and "dense" in text and "2 episodes per reward" in text
    plain = save_plans({"cells": CELLS, "rewards": rewards[:1]}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(p.name for p in plain)
    save_plans(summary, tmp_path)
    before = [path.read_bytes() for path in written]
    save_plans(summary, tmp_path)
    assert [path.read_bytes() for path in written] == before
