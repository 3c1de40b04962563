"""What `vip_offline` exports, and the eight lines of Python that use it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vip_offline
from vip_offline import (
    RelabelOptions,
    TrainOptions,
    load_policy,
    open_store,
    relabel,
    train,
)
from vip_offline.errors import VipOfflineError


@pytest.mark.slow
def test_from_a_store_to_an_action(store_path: Path, tmp_path: Path) -> None:
    lines = list[str]()
    label = relabel(str(store_path), RelabelOptions(encoder="pixels"), say=lines.append)
    store = open_store(str(store_path))
    assert label.reward.shape == label.distance.shape == (store.rows,)
    assert lines[-1].startswith("relabel: label 'pixels' written")
    options = TrainOptions(steps=2, hidden=(8,))
    folders = train(store_path, options, out=tmp_path / "policies", seeds=2, processes=1)
    assert [folder.name for folder in folders] == ["seed-0", "seed-1"]
    policy = load_policy(folders[0])
    start, _ = store.spans()[0]
    frame, proprio = store.frames("front", start, start + 1)[0], store.data("proprio")[start]
    action = policy.act({"frame/front": frame, "proprio": proprio})
    assert action.shape == (4,) and np.isfinite(action).all()


def test_options_out_of_range_are_refused(store_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="--steps 0: must be at least 1"):
        train(store_path, TrainOptions(steps=0))
    with pytest.raises(VipOfflineError, match="--seeds 0: must be at least 1"):
        train(store_path, seeds=0)


def test_a_device_that_is_not_here_is_refused(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(VipOfflineError, match="--device cuda: torch finds no CUDA device here"):
        train(labelled, TrainOptions(steps=2), out=tmp_path / "out", device="cuda")
    assert not (tmp_path / "out").exists()


def test_names_are_listed_and_documented() -> None:
    for name in vip_offline.__all__:
        assert name in dir(vip_offline)
        assert getattr(vip_offline, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = vip_offline.trian


def test_the_package_and_its_options_load_nothing_heavy() -> None:
    code = (
        "import sys, vip_offline; vip_offline.TrainOptions; vip_offline.train;"
        "print({'torch', 'd3rlpy', 'zarr', 'numpy', 'rich'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
