import json
from pathlib import Path

import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.experiments.curate import KEEP, RANDOM, SHORTEST, curate_stage
from vip_offline.options import CurateOptions, RelabelOptions, TrainOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.training.data.dataset import training_set
from vip_offline.utils.console import Console


def test_what_is_kept_can_be_trained_on(store_path: Path, tmp_path: Path) -> None:
    relabel(store_path, RelabelOptions("pixels", name="x"))
    ranked = curate_stage(store_path, CurateOptions(label="x"), tmp_path, Console().bar)
    kept = sorted(episode.episode for episode in ranked if episode.keep)
    assert kept
    for name in (KEEP, RANDOM, SHORTEST):
        assert len(json.loads((tmp_path / name).read_text())["keep"]) == len(kept)
    options = TrainOptions(algo="bc", label="x", episodes=str(tmp_path / KEEP))
    assert training_set(store_path, options).manifest["episodes"] == kept


def test_a_label_that_is_not_there(store_path: Path, tmp_path: Path) -> None:
    relabel(store_path, RelabelOptions("pixels", name="x"))
    with pytest.raises(VipOfflineError, match="nowhere"):
        curate_stage(store_path, CurateOptions(label="nowhere"), tmp_path, Console().bar)
    assert not (tmp_path / KEEP).exists()
