import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.policies.policy import MANIFEST, Policy, find_policies, write_policy

ENCODER = {"encoder": "pixels", "weights_sha256": "0" * 64, "preprocessing": {}}


def folder(path: Path) -> Path:
    """A policy whose answer is easy to work out: tanh(2 * relu(sum(x - 1)))."""
    path.mkdir(parents=True)
    write_policy(
        path,
        {
            "mean": np.ones(3, np.float32),
            "std": np.ones(3, np.float32),
            "hidden.0.weight": np.ones((1, 3), np.float32),
            "hidden.0.bias": np.zeros(1, np.float32),
            "out.weight": np.full((1, 1), 2, np.float32),
            "out.bias": np.zeros(1, np.float32),
        },
        {
            "layers": 1,
            "embedding_size": 2,
            "proprio_size": 1,
            "action_size": 1,
            "encoder": ENCODER,
            "label": {},
            "options": {},
            "placements": [],
            "image_shape": [8, 8, 3],
            "store": "x.zarr",
            "task": "drawer-close",
        },
    )
    return path


def test_by_hand(tmp_path: Path) -> None:
    policy = Policy.load(folder(tmp_path / "p"))
    embedding = np.array([[1, 1.25], [0, 0]], np.float32)
    proprio = np.array([[1], [0]], np.float32)
    np.testing.assert_allclose(policy.act(embedding, proprio), [[np.tanh(0.5)], [0]], rtol=1e-6)


def test_other_widths_are_refused(tmp_path: Path) -> None:
    policy = Policy.load(folder(tmp_path / "p"))
    with pytest.raises(VipOfflineError, match=r"widths \(2, 1\), not \(5, 1\)"):
        policy.act(np.zeros((1, 5), np.float32), np.zeros((1, 1), np.float32))


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="is not a policy folder"):
        Policy.load(tmp_path)
    path = folder(tmp_path / "p")
    (path / "policy.safetensors").write_bytes(b"short")
    with pytest.raises(VipOfflineError, match=r"policy\.safetensors: cannot be read"):
        Policy.load(path)
    manifest = json.loads((path / MANIFEST).read_text()) | {"version": 99}
    (path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(VipOfflineError, match="version 99"):
        Policy.load(path)


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("layers", "two", "layers is 'two'; expected a int"),
        ("layers", 2, r"has no matrix hidden\.1\.weight"),
        ("layers", 10**9, "layers is 1000000000; expected 0 to 6"),
        ("embedding_size", -1, "embedding_size is -1; expected 0"),
        ("layers", 0, "is not the network"),
        ("encoder", {"encoder": "x"}, "has no weights_sha256"),
        ("placements", None, "placements is None"),
        ("action_size", 3, "is not the network"),
        ("proprio_size", 4, "is not the network"),
    ],
)
def test_a_manifest_that_was_edited(tmp_path: Path, key: str, value: object, part: str) -> None:
    path = folder(tmp_path / "p") / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(VipOfflineError, match=part):
        Policy.load(tmp_path / "p")


def test_weights_and_actions_that_are_not_finite(tmp_path: Path) -> None:
    policy = Policy.load(folder(tmp_path / "p"))
    with pytest.raises(VipOfflineError, match=r"not finite \(row 1\)"):
        policy.act(np.array([[1, 1], [np.nan, 1]], np.float32), np.ones((2, 1), np.float32))
    tensors = {key: value.numpy() for key, value in policy.tensors.items()}
    tensors["out.bias"] = np.full(1, np.nan, np.float32)
    write_policy(tmp_path / "p", tensors, policy.manifest)
    with pytest.raises(VipOfflineError, match=r"out\.bias is not finite"):
        Policy.load(tmp_path / "p")


def test_finding_policies(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="none under"):
        find_policies([tmp_path / "runs"], named=False)
    for name in ("a/seed-0", "a/seed-1"):
        folder(tmp_path / "runs" / name)
    folder(tmp_path / "runs" / "a" / ".seed-2.partial")  # a training that was killed
    folders = find_policies([tmp_path / "runs"], named=False)
    assert [folder.name for folder in folders] == ["seed-0", "seed-1"]
    folder(tmp_path / "runs" / "b" / "seed-0")
    with pytest.raises(VipOfflineError, match="holds several"):
        find_policies([tmp_path / "runs"], named=False)
    assert len(find_policies([tmp_path / "runs"], named=True)) == 3
    named = folder(tmp_path / "partial-demos.partial")
    assert find_policies([named], named=True) == [named]
    with pytest.raises(VipOfflineError, match="is not a policy folder"):
        find_policies([tmp_path / "elsewhere"], named=True)


@pytest.mark.slow
def test_loading_needs_neither_trainer_nor_store_nor_simulator(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vip_offline.policies.policy import Policy; "
        f"Policy.load(Path({str(folder(tmp_path / 'p'))!r})); "
        "print({'d3rlpy', 'zarr', 'mujoco', 'gymnasium', 'gym'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
