from dataclasses import replace
from pathlib import Path

from made_up_cameras import two_cameras

from vip_offline.dataset.dependents import delete_command, labels_made_from
from vip_offline.dataset.store import open_store
from vip_offline.options import RelabelOptions
from vip_offline.rewards.relabel import relabel

PIXELS = RelabelOptions(encoder="pixels")


def test_labels_that_need_an_embedding(tmp_path: Path) -> None:
    path = two_cameras(tmp_path / "two.zarr")
    for camera, name in (("front", "f"), ("front,wrist", "of both")):
        relabel(path, replace(PIXELS, camera=camera, name=name))
    store = open_store(path)
    assert labels_made_from(store, "pixels", ["front"]) == ["f", "of both"]
    assert labels_made_from(store, "pixels", ["wrist"]) == ["of both"]
    assert labels_made_from(store, "lite0", ["front"]) == []
    assert delete_command(store, "pixels", ["wrist"]) == (
        f"vip-offline delete {path} --embedding pixels/wrist --label 'of both'"
    )
