from pathlib import Path

import pytest
from origins import replay
from people_files import robot, video

from vip_offline.dataset.importers.folders.folder_contents import read_folder, why_not
from vip_offline.dataset.importers.folders.layout import layout


@pytest.mark.parametrize("name", ["demos.zarr", "store"])
def test_a_store_that_lies_among_demonstrations_is_none(tmp_path: Path, name: str) -> None:
    for index in range(2):
        robot(tmp_path / f"ep{index}")
        video(tmp_path / f"ep{index}/front.mp4")
    replay(tmp_path / "datasets" / name)
    assert read_folder(tmp_path / "datasets").others == (tmp_path / "datasets" / name,)
    assert "is a store" in why_not(tmp_path / "datasets" / name)
    divided = layout(tmp_path)
    assert [episode.name for episode in divided.episodes] == ["ep0", "ep1"]
    assert divided.left_out == {"datasets/": "holds nothing that is read here"}
