from pathlib import Path

import numpy as np
import pytest
from imported import imported
from origins import LENGTHS, SIZE, demos, folders, force, lerobot, replay

from vip_offline.dataset.importers.key_mapping import map_columns, stored_as
from vip_offline.dataset.importers.registry import open_source
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

FRONT = "front"


def test_roles_are_guessed_and_may_be_said(tmp_path: Path) -> None:
    folders(tmp_path / "set")
    store = imported(
        tmp_path / "set",
        tmp_path / "store.zarr",
        key_map=("action=robot.command", "proprio=robot.qpos,log.grip", "camera:top=front"),
        cameras=("top", "wrist"),
    )
    assert store.cameras == ["top", "wrist"]
    assert store.data("proprio").shape == (sum(LENGTHS), 4)
    assert store.attributes["proprio"][-1] == "log.grip"
    assert store.texts("name") == ["pick é 0", "pick é 1", "pick é 2"]
    np.testing.assert_array_equal(
        store.data("action"), np.concatenate([episode.action for episode in demos()])
    )
    assert set(store.keys("extras")) == {"log.t", "log.grip", "robot.qpos"}


def test_a_part_of_a_column(tmp_path: Path) -> None:
    made = replay(tmp_path / "set.zarr")
    keys = ("proprio=state[0:2],n_contacts",)
    store = imported(tmp_path / "set.zarr", tmp_path / "s.zarr", key_map=keys)
    state = np.concatenate([episode.state for episode in made])
    np.testing.assert_array_equal(store.data("proprio"), state[:, [0, 1, 0]])
    assert store.attributes["proprio"] == ["state[0]", "state[1]", "n_contacts"]
    np.testing.assert_array_equal(store.extra("state"), state)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"key_map": ("action=action[2:]",)}, "is empty: column 'action' has 2 numbers"),
        ({"key_map": ("action=actoin",)}, "Did you mean 'action'"),
        ({"key_map": ("actoin=action",)}, "expected ROLE=COLUMN"),
        ({"key_map": ("action=observation.images.front",)}, "holds pictures"),
        ({"key_map": ("camera:top=action",)}, "cannot be camera:top"),
        ({"key_map": ("reward=action",)}, "needs one number"),
        ({"cameras": ("frnt",)}, "Did you mean 'front'"),
    ],
)
def test_roles_that_cannot_be(tmp_path: Path, options: dict[str, object], part: str) -> None:
    lerobot(tmp_path / "set")
    with pytest.raises(VipOfflineError, match=part):
        imported(tmp_path / "set", tmp_path / "store.zarr", **options)
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def test_names_that_a_store_cannot_hold() -> None:
    names = stored_as(["obs/x", "obs.x", "pos(x)", "-a", "é 漢", "x.partial"])
    assert [*names.values()] == ["obs.x", "obs.x_", "pos_x_", "_-a", "é 漢", "x.partial_"]


def test_the_map_of_keys_is_of_the_catalogue(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    origin = open_source(tmp_path / "set")
    keys = map_columns(origin.catalogue(), ImportOptions(), origin.path)
    assert keys.action == ("action",) and keys.proprio == ("observation.state",)
    assert keys.cameras == {FRONT: "observation.images.front"}
    np.testing.assert_array_equal(force(demos()[0]).shape, (LENGTHS[0], 2, 2))
    assert SIZE == 32
