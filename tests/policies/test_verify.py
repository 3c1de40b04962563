from pathlib import Path

import numpy as np
import pytest
from made_up_policies import trained_policy

from vip_offline.errors import VipOfflineError
from vip_offline.policies.checksums import write_sums
from vip_offline.policies.policy import read_tensors, write_manifest, write_tensors
from vip_offline.policies.verify import verify


def test_a_copy_that_can_be_trusted(shipped: Path) -> None:
    found = verify(shipped)
    assert found.problems == ()
    assert found.files == 9
    assert [each.backend.split()[0] for each in found.backends] == ["ONNX", "torch"]
    assert all(each.right and each.action_error < 1e-4 for each in found.backends)
    assert not [each for each in found.notes if "was" in each]  # the same versions here


@pytest.mark.parametrize(
    ("name", "tensor", "part"),
    [
        ("policy.safetensors", "out.bias", "torch.*the network behind it computes otherwise"),
        ("encoder.safetensors", "conv1.weight", "torch.*the encoder computes otherwise"),
    ],
)
def test_it_says_what_differs(shipped: Path, name: str, tensor: str, part: str) -> None:
    tensors = read_tensors(shipped / name)
    key = next(each for each in tensors if each.endswith(tensor))
    tensors[key] = tensors[key] + np.float32(0.05)
    write_tensors(shipped / name, tensors)
    assert verify(shipped).problems == (f"{name} was changed since it was written",)
    files = [each.name for each in shipped.iterdir() if each.name != "SHA256SUMS"]
    write_sums(shipped, files)
    (said,) = verify(shipped).problems
    assert said.startswith("torch")
    assert part.split(".*")[1] in said


def test_other_versions_are_said(shipped: Path) -> None:
    from vip_offline.policies.policy import read_manifest

    manifest = read_manifest(shipped)
    manifest["versions"]["torch"] = "1.0"
    manifest["interface"]["control_rate"] = 1e5
    write_manifest(shipped, manifest)
    write_sums(shipped, [each.name for each in shipped.iterdir() if each.name != "SHA256SUMS"])
    found = verify(shipped)
    assert found.problems == ()
    assert any(each.startswith("torch is") and "was 1.0" in each for each in found.notes)
    assert any("of a control tick at 100000 Hz" in each for each in found.notes)


def test_a_folder_that_was_not_made_ready(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"not made ready.*vip-offline ship"):
        verify(trained_policy(tmp_path, "pixels"))
