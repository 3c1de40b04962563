from pathlib import Path

import numpy as np
import pytest

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions, TrainOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.training.data.dataset import training_set

OUTCOME = TrainOptions(tau=1.0, weight_by="outcome", label="x")
BEST = TrainOptions(algo="bc", keep_best=0.4, label="x")


def test_the_best_are_those_that_end_nearest(store_path: Path) -> None:
    relabel(store_path, RelabelOptions("pixels", name="x"))
    store = open_store(store_path)
    ends = [store.label("x").distance[stop - 1] for _, stop in store.spans()]
    nearest = int(np.argmin(ends))
    data = training_set(store_path, BEST)
    assert data.manifest["episodes"] == [nearest]
    assert f"keep-best: 1 of 3 episodes, the best by outcome: {nearest}" in data.notes
    weighed = training_set(store_path, OUTCOME).weighed
    assert int(np.argmax([slot[0] for slot in weighed.slot])) == nearest
    assert len(training_set(store_path, TrainOptions(algo="bc", label="x")).actions) == 3


@pytest.mark.parametrize("options", [OUTCOME, BEST])
def test_ends_that_cannot_be_compared_are_refused(store_path: Path, options: TrainOptions) -> None:
    asked = "--keep-best" if options.keep_best < 1 else "--weight-by outcome"
    relabel(store_path, RelabelOptions("pixels", name="x", goal=("last",)))
    with pytest.raises(VipOfflineError, match=f"all 3 episodes end at the same.*{asked} tells"):
        training_set(store_path, options)
    stages = RelabelOptions("pixels", name="x", stages=("0:1", "successes"))
    relabel(store_path, stages, overwrite=True)
    with pytest.raises(VipOfflineError, match=f"has 2 stages.*{asked} compares"):
        training_set(store_path, options)


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan")])
def test_a_share_that_is_none(store_path: Path, share: float) -> None:
    with pytest.raises(VipOfflineError, match=r"--keep-best .* must be above 0 and at most 1"):
        training_set(store_path, TrainOptions(keep_best=share))
