from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from counted import Counted
from made_up_cameras import two_cameras
from store_files import contents
from torch import nn

from vip_offline.dataset.store import open_store
from vip_offline.encoders.architectures import Build
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.rewards.policy_cameras import embed_cameras, missing_cameras
from vip_offline.rewards.relabel import relabel

FRONT = RelabelOptions(encoder="pixels", camera="front", name="a", fit="squash")


@pytest.mark.slow
def test_what_is_missing_is_embedded_as_the_labelling_was(tmp_path: Path) -> None:
    path, other = two_cameras(tmp_path / "two.zarr"), two_cameras(tmp_path / "other.zarr")
    relabel(path, FRONT)
    assert missing_cameras(open_store(path), "a", ("wrist", "front")) == ["wrist"]
    counted = Counted()
    done = embed_cameras(path, "a", ("wrist", "front"), advance=counted)
    assert (done, counted.done, counted.totals) == (18, 18, [18])
    assert open_store(path).label_names == ["a"]
    relabel(other, replace(FRONT, camera="wrist"))
    (mine, made), (theirs, expected) = (
        open_store(store).embedding("pixels", "wrist") for store in (path, other)
    )
    np.testing.assert_array_equal(mine, theirs)
    assert made["preprocessing"] == expected["preprocessing"]
    assert made["preprocessing"]["fit"] == "squash"
    before = contents(path)
    assert embed_cameras(path, "a", ("wrist", "front")) == 0
    assert contents(path) == before


def test_other_weights_than_the_labellings_are_refused(
    tmp_path: Path, checkpoints: tuple[Path, Path]
) -> None:
    first, two = checkpoints
    path = two_cameras(tmp_path / "two.zarr")
    relabel(path, RelabelOptions(encoder="tiny", camera="front", weights=str(first)))
    before = contents(path)
    with pytest.raises(VipOfflineError, match=r"label 'tiny' was made with weights of sha256"):
        embed_cameras(path, "tiny", ("wrist",), str(two))
    assert contents(path) == before
    assert embed_cameras(path, "tiny", ("wrist",), str(first)) == 18


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two weights files of one encoder."""
    import torch
    from tiny_encoder import TINY, register

    register(monkeypatch)
    build: Build = TINY.build
    files = tmp_path / "one.pt", tmp_path / "two.pt"
    for seed, file in enumerate(files):
        torch.manual_seed(seed)
        network: nn.Module = build()
        state = {f"module.convnet.{key}": value for key, value in network.state_dict().items()}
        torch.save({"vip": state}, file)
    return files
