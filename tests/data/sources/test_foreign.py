from pathlib import Path

import pytest

from vip_offline.data.sources.foreign import hdf5_of_another_tool
from vip_offline.data.sources.recognise import format_of
from vip_offline.errors import VipOfflineError


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("set.bag", "This is a ROS recording"),
        ("set.MCAP", "This is a ROS recording"),
        ("set.pkl", "A pickle runs code"),
        ("set.tar", "Unpack it first"),
        ("set/1.0.0/features.json", "This is RLDS"),
        ("set/meta_data/info.json", "LeRobotDataset v1"),
    ],
)
def test_what_is_not_read_is_known_by_its_name(tmp_path: Path, name: str, part: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(VipOfflineError, match=part):
        format_of(tmp_path / name.split("/")[0])


def test_an_unknown_layout_is_not_guessed() -> None:
    assert hdf5_of_another_tool({"rgb", "depth"}) == ""
    assert "DROID" in hdf5_of_another_tool({"observation", "action", "misc"})
