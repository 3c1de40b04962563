import warnings
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest
from imported import imported
from origins import minari

from vip_offline.dataset.importers.formats.minari import Minari
from vip_offline.errors import VipOfflineError


def test_the_last_row_has_no_action(tmp_path: Path) -> None:
    minari(tmp_path / "set")
    source = Minari(tmp_path / "set")
    rows = source.read(0, ["actions", "rewards", "terminations"])
    actions = rows.columns["actions"]
    assert isinstance(actions, np.ndarray)
    assert np.isnan(actions[-1]).all() and np.isfinite(actions[:-1]).all()


def test_discrete_actions_are_refused(tmp_path: Path) -> None:
    minari(tmp_path / "set", discrete=True)
    with pytest.raises(VipOfflineError, match=r"Discrete\(4\): discrete"):
        Minari(tmp_path / "set").catalogue()


def test_what_minari_cannot_open(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/metadata.json").write_text("{")
    with pytest.raises(VipOfflineError, match="Minari cannot open it"):
        Minari(tmp_path)


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    minari(tmp_path / "set")
    with pytest.raises(VipOfflineError, match="has no observations"):
        Minari(tmp_path / "set").read(0, ["observations.depth"])


BOX = gymnasium.spaces.Box(-1, 1, (2,), np.float32)


def written(path: Path, space: Any, actions: Any, infos: Any, rows: int = 3) -> Path:
    """A set of one episode that Minari writes; its observation holds words."""
    from minari import create_dataset_from_buffers
    from minari.data_collector.episode_buffer import EpisodeBuffer

    words = gymnasium.spaces.Text(9)
    state = np.zeros(2, np.float32)
    buffer = EpisodeBuffer(
        observations={"words": ["a"] * (rows + 1), "state": [state] * (rows + 1)},
        actions=actions,
        rewards=[0.0] * rows,
        terminations=[False] * rows,
        truncations=[False] * (rows - 1) + [True],
        infos=infos,
    )
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("MINARI_DATASETS_PATH", str(path))
        warnings.simplefilter("ignore")  # its advice on what else may be said of a data set
        create_dataset_from_buffers(
            "tests/set-v0",
            [buffer],
            observation_space=gymnasium.spaces.Dict({"words": words, "state": BOX}),
            action_space=space,
            data_format="hdf5",
        )
    return path / "tests/set-v0"


def test_words_and_what_is_not_per_row_are_left_out_by_name(tmp_path: Path) -> None:
    infos = {"map": [np.eye(9)] * 2}
    catalogue = Minari(written(tmp_path, BOX, [np.zeros(2, "f4")] * 3, infos)).catalogue()
    assert catalogue.left_out == {
        "observations.words": "is text",
        "infos.map": "is not per row: its shape is (2, 9, 9), the episode has 4 rows",
    }


@pytest.mark.parametrize("values", [[True], [False, False, False, True], [0.0, 1.0, 1.0]])
def test_success_of_an_episode_or_per_row(tmp_path: Path, values: list[Any]) -> None:
    path = written(tmp_path, BOX, [np.zeros(2, "f4")] * 3, {"is_success": values})
    source = Minari(path)
    catalogue = source.catalogue()
    assert catalogue.keys.success == ("infos.is_success" if len(values) > 1 else "")
    assert source.read(0, ["actions"]).success is (True if len(values) == 1 else None)
    assert imported(path, tmp_path / "s.zarr").meta("success").tolist() == [True]


def test_actions_in_parts(tmp_path: Path) -> None:
    space = gymnasium.spaces.Dict({"arm": BOX, "base": BOX})
    actions = {"arm": [np.ones(2, "f4")] * 3, "base": [np.zeros(2, "f4")] * 3}
    path = written(tmp_path / "a", space, actions, {})
    assert "the action is a guess, its parts side by side: actions.arm, actions.base" in (
        Minari(path).catalogue().notes
    )
    action = imported(path, tmp_path / "s.zarr").data("action")
    np.testing.assert_array_equal(action[:3], [[1, 1, 0, 0]] * 3)
    space = gymnasium.spaces.Dict({"arm": BOX, "grip": gymnasium.spaces.Discrete(2)})
    path = written(tmp_path / "b", space, {"arm": actions["arm"], "grip": [0, 1, 1]}, {})
    catalogue = Minari(path).catalogue()
    assert catalogue.keys.action == ()
    assert any(note.startswith("actions.grip: discrete, so no") for note in catalogue.notes)


@pytest.mark.parametrize(
    ("name", "part"),
    [("observations/image", "episode 0: cannot be read"), ("", "episode 0: cannot be read")],
)
def test_an_episode_that_cannot_be_read_does_not_hide_the_others(
    tmp_path: Path, name: str, part: str
) -> None:
    minari(tmp_path / "set")
    with h5py.File(tmp_path / "set/data/main_data.hdf5", "r+") as file:
        if name:
            del file[f"episode_0/{name}"]
            file[f"episode_0/{name}"] = np.zeros(6)
        else:
            del file["episode_0"].attrs["total_steps"]
    assert part in Minari(tmp_path / "set").catalogue().broken[0]
    assert len(imported(tmp_path / "set", tmp_path / "s.zarr", skip_broken=True)) == 2
