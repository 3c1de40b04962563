from pathlib import Path

import numpy as np
import pytest
from conftest import brightness_episode
from made_up_grey import GREY, make

from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.rewards.functions import cosine_distance, goal_distance
from vip_offline.rewards.nearest_goal import GoalSet, nearest_distance
from vip_offline.rewards.relabel import needs_encoder, relabel

NEAREST = RelabelOptions(encoder="pixels", goal=("nearest:successes",))


def three_successes(path: Path) -> Path:
    """Two goals about level 200 and one at 40, from 100; a failure that goes to 210."""
    return make(
        path,
        ([100, 150, 200], True),
        ([100, 70, 40], True),
        ([100, 190], True),
        ([100, 210], False),
    )


def test_each_frame_has_the_goal_that_is_nearest_to_it() -> None:
    rows = np.array([[0.0, 0], [3, 4], [10, 1]])
    goals = np.array([[0.0, 1], [10, 0]])
    np.testing.assert_allclose(
        nearest_distance(rows, goals, goal_distance), [1, np.sqrt(9 + 9), 1], rtol=1e-12
    )
    directions = nearest_distance(rows[1:], np.array([[6.0, 8], [1, 0]]), cosine_distance)
    np.testing.assert_allclose(directions, [0, 1 - 10 / np.sqrt(101)], atol=1e-12)
    assert np.isnan(nearest_distance(rows, goals[:0], goal_distance)).all()


def test_an_episodes_own_goals_are_left_out() -> None:
    goals = GoalSet(np.array([[1.0], [2], [3]], np.float32), np.array([0, 2, 2]))
    assert goals.others(2).tolist() == [[1.0]]
    assert goals.others(1).tolist() == [[1.0], [2.0], [3.0]]


@pytest.mark.slow
def test_a_labelling_by_hand(tmp_path: Path) -> None:
    path = three_successes(tmp_path / "g.zarr")
    assert relabel(path, NEAREST).goal == (
        "the nearest of the last frames of 3 successes, its own left out"
    )
    label = open_store(path).label()
    # goals 200, 40, 190: of the first success 40 and 190 are left, and so on
    levels = np.array([60, 40, 10, 90, 120, 150, 60, 10, 60, 10])
    np.testing.assert_allclose(label.distance, levels * GREY, rtol=1e-5)
    np.testing.assert_allclose(label.reward[:2], np.array([20, 30]) * GREY, rtol=1e-5)
    np.testing.assert_allclose(label.reward[3:5], np.array([-30, -30]) * GREY, rtol=1e-5)
    assert label.goal is None
    assert label.goal_set is not None
    np.testing.assert_allclose(label.goal_set[:, 0], np.array([200, 40, 190]) / 255, rtol=1e-5)
    assert label.provenance["nearest"] is True
    assert label.provenance["goal_rows"] == [2, 5, 7]
    assert not relabel(path, NEAREST).written
    # the mean of the same frames is another labelling
    with pytest.raises(VipOfflineError, match=r"other settings \(goal, nearest\)"):
        relabel(path, RelabelOptions(encoder="pixels"))
    assert not needs_encoder(path, NEAREST)


def test_reach_is_a_share_of_the_first_distance(tmp_path: Path) -> None:
    path = three_successes(tmp_path / "g.zarr")
    done = relabel(
        path, RelabelOptions(**{**vars(NEAREST), "reward": "sparse", "reach": 0.2, "name": "s"})
    )
    assert done.reached == (1, 0, 1, 1)
    reward = open_store(path).label("s").reward
    assert reward[:2].tolist() == [0, 1]
    assert reward[3:5].tolist() == [0, 0]


@pytest.mark.slow
def test_several_cameras_and_cosine(tmp_path: Path) -> None:
    path = tmp_path / "two.zarr"
    with writing(path, create={"task": "x"}) as store:
        for index in range(3):
            episode = brightness_episode(4 + index, index != 1, index)
            frames = {"front": episode.frames["front"] + 1, "wrist": episode.frames["front"] // 2}
            store.append(type(episode)(**{**vars(episode), "frames": frames}))
    options = {**vars(NEAREST), "camera": "front,wrist", "similarity": "cosine"}
    relabel(path, RelabelOptions(**options))
    store_ = open_store(path)
    label, (embedding, _) = store_.label(), store_.embedding("pixels", "front,wrist")
    (a, b), _, (c, d) = store_.spans()
    expected = cosine_distance(embedding[a:b], embedding[d - 1])
    np.testing.assert_allclose(label.distance[a:b], expected, atol=1e-6)
    np.testing.assert_allclose(
        label.distance[c:d], cosine_distance(embedding[c:d], embedding[b - 1]), atol=1e-6
    )


def test_one_success_has_no_other(tmp_path: Path) -> None:
    path = make(tmp_path / "g.zarr", ([0, 100], True), ([0, 50], False))
    with pytest.raises(VipOfflineError, match=r"g\.zarr: .*only 1 of its 2 episodes succeeded"):
        relabel(path, NEAREST)
    assert open_store(path).label_names == []


@pytest.mark.parametrize(
    "options",
    [
        {"goal": ("nearest:successes", "0:0")},
        {"goal": RelabelOptions.goal, "stages": ("0:1", "nearest:successes")},
    ],
)
def test_it_is_part_of_no_mean_and_no_sequence(
    tmp_path: Path, options: dict[str, tuple[str, ...]]
) -> None:
    path = three_successes(tmp_path / "g.zarr")
    with pytest.raises(VipOfflineError, match="Give it alone"):
        relabel(path, RelabelOptions(encoder="pixels", **options))  # type: ignore[arg-type]
