"""The policy folder: plain files that load without d3rlpy, zarr or a simulator.

::

    policy.safetensors   hidden.<i>.{weight,bias}, out.{weight,bias}, mean, std, and unless actions
                         are as the network gives them action_low, action_high; of a policy that
                         was trained from pixels convolution.<i>.{weight,bias}; the embedded goal of
                         each stage, or goal_set, of which the nearest counts
    manifest.json        what it takes and gives, what it was trained on, by which encoder, how
    model.d3             the same model for d3rlpy's load_learnable (a pickle: own files only)
    metrics.jsonl        loss per epoch
    read.safetensors     (E, 8) hashes of each array that it was trained on, one per episode

What makes it whole for another computer, the encoder among it, is added by `shipping`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch.nn import functional

from vip_offline.dataset.read_hashes import Reads
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import replace_file
from vip_offline.utils.regular_files import require_regular

# version 1: without hashes of what it was trained on
POLICY_FORMAT, POLICY_VERSION = "vip-offline-policy", 2
MANIFEST, TENSORS = "manifest.json", "policy.safetensors"
READ = "read.safetensors"
ROLLOUTS = "rollouts.json"  # of `simulation.rollout`; it goes with the policy that it is of
UNTIL = "-until-step-"  # in the name of a folder that holds the last good state
LOW, HIGH = "action_low", "action_high"  # what -1 and 1 stand for, per dimension
MOST_WIDE = 2**24  # embeddings of several cameras, flattened pictures among them
GOAL = "goal"  # (K, D), the embedded goal of each stage
GOAL_SET = "goal_set"  # (G, D), embedded goals of which the nearest counts; never beside GOAL
KEYS: dict[str, type] = {
    "layers": int,
    "embedding_size": int,
    "proprio_size": int,
    "action_size": int,
    "encoder": dict,
    "label": dict,
    "options": dict,
    "placements": list,
    "image_shape": list,
    "store": str,
    "task": str,
}


@dataclass(frozen=True)
class Policy:
    """An MLP on embedding ++ proprioception, with the statistics that its input is scaled by."""

    tensors: Mapping[str, torch.Tensor]
    manifest: Mapping[str, Any]

    def act(
        self, embedding: NDArray[np.float32], proprio: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(B, D) embeddings and (B, P) proprioception -> (B, A) actions in the store's own unit.

        Raises:
            VipOfflineError: if the widths are not those it was trained with.
        """
        widths = (embedding.shape[-1], proprio.shape[-1])
        expected = (self.manifest["embedding_size"], self.manifest["proprio_size"])
        if widths != expected:
            raise VipOfflineError(
                f"The policy takes embeddings and proprioception of widths {expected}, "
                f"not {widths}; it was trained on encoder {self.manifest['encoder']['encoder']}."
            )
        action = self.output(np.concatenate([embedding, proprio], axis=1))
        if LOW in self.tensors:
            low, high = self.tensors[LOW].numpy(), self.tensors[HIGH].numpy()
            action = low + (action + 1) / 2 * (high - low)
        if not np.isfinite(action).all():
            # a simulator may take NaN for success, a robot for anything
            raise VipOfflineError(
                f"The policy's action is not finite (row {np.argwhere(~np.isfinite(action))[0][0]})"
                ": its weights or its input are damaged."
            )
        return action

    def output(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, D + P) embeddings ++ proprioception -> (B, A) output of the network in [-1, 1]."""
        with torch.inference_mode():
            x = torch.from_numpy(observation)
            x = (x - self.tensors["mean"]) / self.tensors["std"]
            strides = self.manifest.get("strides", [])
            if strides:
                x = self._convolved(x, strides)
            for layer in range(self.manifest["layers"]):
                weight, bias = (self.tensors[f"hidden.{layer}.{k}"] for k in ("weight", "bias"))
                x = functional.relu(functional.linear(x, weight, bias))
            mu = functional.linear(x, self.tensors["out.weight"], self.tensors["out.bias"])
            action: NDArray[np.float32] = torch.tanh(mu).numpy()
        return action

    def _convolved(self, x: torch.Tensor, strides: Sequence[int]) -> torch.Tensor:
        """Convolutions over the picture that the embedding is: what scratch-bc was trained on."""
        size = self.manifest["embedding_size"]
        side = math.isqrt(size // 3)
        picture, rest = x[:, :size].reshape(-1, 3, side, side), x[:, size:]
        for layer, stride in enumerate(strides):
            weight, bias = (self.tensors[f"convolution.{layer}.{k}"] for k in ("weight", "bias"))
            picture = functional.relu(functional.conv2d(picture, weight, bias, stride))
        return torch.cat([picture.flatten(1), rest], dim=1)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a policy folder; nothing is unpickled.

        Raises:
            VipOfflineError: if a file is missing or is not what this program wrote.
        """
        manifest = read_manifest(folder)
        arrays = read_tensors(folder / TENSORS)
        _check_tensors(folder / TENSORS, arrays, manifest)
        return cls({key: torch.from_numpy(value) for key, value in arrays.items()}, manifest)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a policy folder.

    Raises:
        VipOfflineError: if it is no policy folder.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(require_regular(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise VipOfflineError(
            f"{folder}: is not a policy folder ({MANIFEST}: {error}). "
            "`vip-offline train` writes one."
        ) from None
    if not isinstance(manifest, dict):
        raise VipOfflineError(f"{path}: holds a {type(manifest).__name__}, not a table.")
    if manifest.get("format") != POLICY_FORMAT or manifest.get("version") not in range(
        1, POLICY_VERSION + 1
    ):
        raise VipOfflineError(
            f"{path}: says format {manifest.get('format')!r}, version {manifest.get('version')!r}; "
            f"this program reads {POLICY_FORMAT!r}, version 1 to {POLICY_VERSION}. Update "
            "vip-offline (pip install -U vip-offline), or train again."
        )
    for key, kind in KEYS.items():
        if not isinstance(manifest.get(key), kind):
            raise VipOfflineError(
                f"{path}: {key} is {manifest.get(key)!r}; expected a {kind.__name__}. Copy the "
                "folder again, or train again."
            )
    for key in ("encoder", "weights_sha256", "preprocessing"):
        if key not in manifest["encoder"]:
            raise VipOfflineError(f"{path}: its encoder has no {key}. Copy the folder again.")
    return dict(manifest)


def goal_columns(manifest: Mapping[str, Any]) -> NDArray[np.int64] | None:
    """Return the columns of a policy's embedding that belong to the cameras of its labelling.

    Args:
        manifest: of the policy. Its ``camera`` is what it sees, its label's what the reward saw.

    Returns:
        (D',) columns; None where the policy does not see all that the goal was embedded from.
    """
    cameras = str(manifest.get("camera", "")).split(",")
    labelled = str(manifest["label"].get("camera", ",".join(cameras))).split(",")
    if not set(labelled) <= set(cameras):
        return None
    width = manifest["embedding_size"] // len(cameras)
    return np.concatenate([np.arange(width) + cameras.index(camera) * width for camera in labelled])


def _check_tensors(
    path: Path, arrays: Mapping[str, NDArray[Any]], manifest: Mapping[str, Any]
) -> None:
    """Refuse tensors that are not the network the manifest describes."""
    for key, most in {
        "layers": len(arrays),  # each has tensors of its own
        **dict.fromkeys(("embedding_size", "proprio_size", "action_size"), MOST_WIDE),
    }.items():
        if not 0 <= manifest[key] <= most:
            raise VipOfflineError(
                f"{path.with_name(MANIFEST)}: {key} is {manifest[key]!r}; expected 0 to {most}. "
                "Copy the folder again."
            )
    width = manifest["embedding_size"] + manifest["proprio_size"]
    expected: dict[str, tuple[int, ...]] = {"mean": (width,), "std": (width,)}
    strides = manifest.get("strides", [])
    all_integers = isinstance(strides, list) and all(type(stride) is int for stride in strides)
    if not all_integers or min(strides, default=1) < 1:
        raise VipOfflineError(
            f"{path.with_name(MANIFEST)}: strides is {strides!r}; expected numbers from 1 up. "
            "Copy the folder again."
        )
    if strides:
        # each is checked by what the next one takes
        channels, side = 3, math.isqrt(manifest["embedding_size"] // 3)
        for layer, stride in enumerate(strides):
            kernel = arrays.get(f"convolution.{layer}.weight")
            if kernel is None or kernel.ndim != 4 or kernel.shape[2] > side:
                raise VipOfflineError(
                    f"{path}: has no kernel convolution.{layer}.weight. Copy the folder again."
                )
            count, _, size, _ = kernel.shape
            expected[f"convolution.{layer}.weight"] = (count, channels, size, size)
            expected[f"convolution.{layer}.bias"] = (count,)
            channels, side = count, (side - size) // stride + 1
        width = channels * side**2 + manifest["proprio_size"]
    names = [*(f"hidden.{layer}" for layer in range(manifest["layers"])), "out"]
    for name in names:
        weight = arrays.get(f"{name}.weight")
        if weight is None or weight.ndim != 2:
            raise VipOfflineError(f"{path}: has no matrix {name}.weight. Copy the folder again.")
        expected[f"{name}.weight"] = (len(weight), width)
        width = len(weight)
        expected[f"{name}.bias"] = (width,)
    if LOW in arrays:
        expected[LOW] = expected[HIGH] = (width,)
    columns = goal_columns(manifest)
    for goals in (GOAL, GOAL_SET):
        if goals in arrays and arrays[goals].ndim == 2 and columns is not None:
            expected[goals] = (len(arrays[goals]), len(columns))
    shapes = {name: array.shape for name, array in arrays.items()}
    if shapes != expected or width != manifest["action_size"]:
        raise VipOfflineError(
            f"{path}: holds {shapes}, which is not the network that {MANIFEST} describes. Copy the "
            "folder again."
        )
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise VipOfflineError(f"{path}: {name} is not finite. Copy the folder again.")


def _unfinished(path: Path, under: Path) -> bool:
    """Whether a file lies in a folder whose training has not finished."""
    parts = path.relative_to(under).parts
    return any(part.startswith(".") and part.endswith(".partial") for part in parts)


def find_policies(folders: Sequence[Path], *, named: bool) -> list[Path]:
    """Return the given policy folders, and all policy folders beneath other given folders.

    Args:
        folders: where to look.
        named: whether the user named them; if not, all found must lie side by side in one folder.

    Raises:
        VipOfflineError: if there are none, or it is not clear which are meant; it lists them.
    """
    policies: list[Path] = []
    for folder in folders:
        manifests = [path for path in folder.rglob(MANIFEST) if not _unfinished(path, folder)]
        # the last good state of a training that diverged is looked at when it is named
        beneath = sorted(
            path.parent
            for path in manifests
            if UNTIL not in path.parent.name or path.parent == folder
        )
        if not beneath and named:
            read_manifest(folder)  # says what is wrong with it
        policies += beneath
    groups = sorted({path.parent for path in policies})
    if not policies:
        raise VipOfflineError(
            "No policy given, and none under runs/. `vip-offline train` makes one."
        )
    if not named and len(groups) > 1:
        listed = "".join(f"\n  {group}" for group in groups)
        raise VipOfflineError(f"No policy given, and runs/ holds several. Name one:{listed}")
    return policies


def read_reads(folder: Path) -> Reads:
    """Return the hashes of a policy's training data; empty for policies of earlier releases.

    Raises:
        VipOfflineError: if they are gone or damaged.
    """
    if read_manifest(folder)["version"] < 2:
        return {}
    return read_tensors(folder / READ)


def write_policy(
    folder: Path, tensors: Mapping[str, NDArray[np.float32]], manifest: Mapping[str, Any]
) -> None:
    """Write the files that `Policy.load` reads into an existing folder."""
    write_tensors(folder / TENSORS, tensors)
    write_manifest(folder, {"format": POLICY_FORMAT, "version": POLICY_VERSION, **manifest})


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest atomically."""
    replace_file(folder / MANIFEST, manifest_text(manifest).encode())


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """Format the manifest as the text of its file."""
    return json.dumps(manifest, indent=2) + "\n"


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read arrays by name from a safetensors file; nothing is unpickled.

    Raises:
        VipOfflineError: if the file is missing or damaged.
    """
    try:
        return load_file(require_regular(path))
    except (OSError, SafetensorError) as error:
        raise VipOfflineError(
            f"{path}: cannot be read ({error}). Copy the whole folder again, or train again."
        ) from None


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name, for `read_tensors`."""
    # its own way to write a file lets nobody else read it, and a full disk is no OSError there
    path.write_bytes(save({key: np.asarray(value, order="C") for key, value in tensors.items()}))
