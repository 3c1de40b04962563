from pathlib import Path

import numpy as np
import pytest
from made_up_policies import trained_policy

from vip_offline.errors import VipOfflineError
from vip_offline.policies.checksums import write_sums
from vip_offline.policies.policy import read_tensors, write_manifest, write_tensors
from vip_offline.policies.verify import verify


def test_a_copy_that_can_be_trusted(shipped: Path) -> None:
    verification = verify(shipped)
    assert verification.problems == ()
    assert verification.files == 9
    assert [backend.backend.split()[0] for backend in verification.backends] == ["ONNX", "torch"]
    assert all(backend.right and backend.action_error < 1e-4 for backend in verification.backends)
    assert not [note for note in verification.notes if "was" in note]  # the same versions here


@pytest.mark.parametrize(
    ("name", "tensor", "part"),
    [
        ("policy.safetensors", "out.bias", "torch.*the network behind it computes otherwise"),
        ("encoder.safetensors", "conv1.weight", "torch.*the encoder computes otherwise"),
    ],
)
def test_it_says_what_differs(shipped: Path, name: str, tensor: str, part: str) -> None:
    tensors = read_tensors(shipped / name)
    key = next(candidate for candidate in tensors if candidate.endswith(tensor))
    tensors[key] = tensors[key] + np.float32(0.05)
    write_tensors(shipped / name, tensors)
    assert verify(shipped).problems == (f"{name} was changed since it was written",)
    files = [path.name for path in shipped.iterdir() if path.name != "SHA256SUMS"]
    write_sums(shipped, files)
    (problem,) = verify(shipped).problems
    assert problem.startswith("torch")
    assert part.split(".*")[1] in problem


def test_other_versions_are_said(shipped: Path) -> None:
    from vip_offline.policies.policy import read_manifest

    manifest = read_manifest(shipped)
    manifest["versions"]["torch"] = "1.0"
    manifest["interface"]["control_rate"] = 1e5
    write_manifest(shipped, manifest)
    write_sums(shipped, [path.name for path in shipped.iterdir() if path.name != "SHA256SUMS"])
    verification = verify(shipped)
    assert verification.problems == ()
    assert any(note.startswith("torch is") and "was 1.0" in note for note in verification.notes)
    assert any("of a control tick at 100000 Hz" in note for note in verification.notes)


@pytest.mark.slow
def test_a_folder_that_was_not_made_ready(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"not made ready.*vip-offline ship"):
        verify(trained_policy(tmp_path, "pixels"))
