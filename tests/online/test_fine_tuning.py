import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_policies import trained_policy

from vip_offline.errors import VipOfflineError
from vip_offline.online.fine_tuning import check_init, offline_policy
from vip_offline.options import OnlineOptions, SacOptions
from vip_offline.policies.policy import read_manifest
from vip_offline.training.algorithms.online_sac import OnlineSac


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_policy(tmp_path_factory.mktemp("offline"))


def encoder_of(folder: Path) -> dict[str, Any]:
    return dict(read_manifest(folder)["encoder"])


def load(folder: Path, **changed: Any) -> Any:
    manifest = read_manifest(folder)
    width = manifest["embedding_size"] + manifest["proprio_size"]
    arguments = {
        "task": "drawer-close",
        "options": OnlineOptions(encoder="vip-mini", image_size=40),
        "view": "",
        "encoder": encoder_of(folder),
        "sizes": (width, 2),
    }
    return offline_policy(folder, **{**arguments, **changed})


@pytest.mark.slow
def test_the_actor_begins_as_the_policy_that_was_trained(policy: Path) -> None:
    offline, tensors = load(policy)
    size = offline.manifest["embedding_size"]
    sac = OnlineSac(np.zeros(size + 4), np.ones(size + 4), 2, 1.0, SacOptions(), 0, tensors)
    seen = np.random.default_rng(0).normal(size=(5, size + 4)).astype(np.float32)
    expected = offline.act(seen[:, :size], seen[:, size:])
    np.testing.assert_allclose(sac.predict(seen), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"task": "push"}, "its task is 'drawer-close', here it is 'push'"),
        ({"options": OnlineOptions(encoder="vip-mini")}, "its image size is 40, here it is 128"),
        (
            {"options": OnlineOptions(encoder="vip-mini", image_size=40, start="easy")},
            "its start is 'hard', here it is 'easy'",
        ),
        ({"sizes": (7, 2)}, "here there are 7"),
        ({"view": "left"}, "its camera is 'front', here it is 'left'"),
    ],
)
def test_a_policy_of_something_else_is_refused(
    policy: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(VipOfflineError, match=message):
        load(policy, **changed)


@pytest.mark.slow
def test_other_weights_of_the_encoder_are_refused(policy: Path) -> None:
    other = {**encoder_of(policy), "weights_sha256": "0" * 64}
    with pytest.raises(VipOfflineError, match="its encoder's weights is"):
        load(policy, encoder=other)


@pytest.mark.slow
def test_one_that_sees_pixels_is_refused(policy: Path, tmp_path: Path) -> None:
    manifest = {**read_manifest(policy), "strides": [2]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(VipOfflineError, match="scratch-bc"):
        load(tmp_path)


def test_settings_that_cannot_start_from_a_policy() -> None:
    options = OnlineOptions(init="runs/x")
    with pytest.raises(VipOfflineError, match="Use --algo sac"):
        check_init(options)
    sac = replace(options, algo="sac")
    check_init(sac)
    with pytest.raises(VipOfflineError, match="Use --observe embedding"):
        check_init(replace(sac, observe="state"))
    check_init(OnlineOptions())
