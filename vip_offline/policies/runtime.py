"""A policy folder, ready to act: one path for the simulator, the server and the robot.

::

    policy = load_policy("runs/drawer-close/rwr/seed-0")
    policy.reset()
    action = policy.act({"frame/corner": frame, "proprio": proprio})

Needs neither d3rlpy nor zarr nor a simulator nor the network, and unpickles nothing.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vip_offline.encoders.encoder import Encoder, load_encoder, rebuild_encoder
from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.errors import VipOfflineError, first_line
from vip_offline.options import BackendName
from vip_offline.policies.checksums import SUMS, changed_files, read_sums, unlisted_files
from vip_offline.policies.gripper import GripperState, snap_grippers
from vip_offline.policies.interface import CheckedObservation, Interface
from vip_offline.policies.novelty import TrainingEmbeddings, novelty
from vip_offline.policies.onnx_export import ACTION, EMBEDDING
from vip_offline.policies.policy import (
    GOAL,
    GOAL_SET,
    MANIFEST,
    TENSORS,
    Policy,
    goal_columns,
    read_manifest,
    read_tensors,
)
from vip_offline.rewards.functions import goal_distance
from vip_offline.rewards.nearest_goal import nearest_distance

GRAPH, ENCODER, REFERENCE = "policy.onnx", "encoder.safetensors", "reference.safetensors"
Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Inference:
    """Output of a policy for N observations."""

    action: Float32Array  # (N, A), in the store's own unit
    embedding: Float32Array  # (N, D)
    novelty: NDArray[np.float64] | None  # (N,), above 1: unlike the training set; None: unknown


class _InferenceBackend(Protocol):
    name: str  # for people

    def __call__(self, checked: CheckedObservation) -> tuple[Float32Array, Float32Array]:
        """Actions (N, A) and embeddings (N, D)."""


class _Torch:
    """The frozen encoder, and the network behind it in torch."""

    def __init__(self, policy: Policy, encoder: Encoder) -> None:
        self._policy, self.encoder = policy, encoder
        self.name = encoder.backend.name

    def __call__(self, checked: CheckedObservation) -> tuple[Float32Array, Float32Array]:
        parts = [self.encoder(frames) for frames in checked.frames.values()]
        embedding = np.concatenate(parts, axis=1)
        return self._policy.act(embedding, checked.proprio), embedding


class _Onnx:
    """All of it in ONNX Runtime, on every core."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        options.inter_op_num_threads = 1
        # between two frames of a camera a waiting thread would burn what other programs need
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises what it likes
            raise VipOfflineError(
                f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it "
                f"({first_line(error)}). Update it (pip install -U onnxruntime), copy the folder "
                "again, or use the backend torch."
            ) from None
        self.takes = {node.name for node in self._session.get_inputs()}
        self.name = f"ONNX Runtime {onnxruntime.__version__}, cpu, fp32"

    def __call__(self, checked: CheckedObservation) -> tuple[Float32Array, Float32Array]:
        inputs = {**checked.frames, "proprio": checked.proprio}
        action, embedding = self._session.run([ACTION, EMBEDDING], inputs)
        return action, embedding


class LoadedPolicy:
    """A policy that takes frames; its only state is the grippers of the running episode."""

    def __init__(
        self,
        folder: Path,
        policy: Policy,
        interface: Interface,
        brain: _InferenceBackend,
        known: TrainingEmbeddings | None,
    ) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = dict(policy.manifest)
        self.interface = interface
        self.goal, self.goal_set = (  # (K, D), (G, D)
            policy.tensors[key].numpy() if key in policy.tensors else None
            for key in (GOAL, GOAL_SET)
        )
        self._goal_columns = goal_columns(policy.manifest)
        self.backend = brain.name
        self.network = policy
        self._brain, self._known = brain, known
        self._grippers = GripperState(interface.grippers)

    @property
    def encoder(self) -> Encoder | None:
        """The encoder, if the backend has it as a separate part; policies may share it."""
        return self._brain.encoder if isinstance(self._brain, _Torch) else None

    def reset(self) -> None:
        """Begin an episode: forget the state of the grippers."""
        self._grippers.reset()

    def act(self, observation: Mapping[str, Any]) -> Float32Array:
        """One observation -> (A,), or a batch of N -> (N, A), in the store's own unit.

        Actions that take two values are one of them. One observation follows the one before it
        since `reset`, with hysteresis; those of a batch have no history.

        Raises:
            VipOfflineError: if it is no observation of this policy (see `Interface.check`), or the
                action is not finite.
        """
        checked = self.interface.check(observation)
        action, _ = self._think(checked)
        if checked.batched:
            return snap_grippers(action, self.interface.grippers)
        return self._grippers(action[0])

    def infer(self, observation: Mapping[str, Any]) -> Inference:
        """One observation, or a batch -> actions, embeddings and novelty.

        Without a state: grippers are what the network gives. `GripperState` settles them.

        Raises:
            VipOfflineError: see `act`.
        """
        action, embedding = self._think(self.interface.check(observation))
        known = None if self._known is None else novelty(embedding, self._known)
        return Inference(action, embedding, known)

    def decide(self, embedding: Float32Array, proprio: Float32Array) -> Float32Array:
        """(N, D) embeddings, (N, P) proprioception -> (N, A) actions; for a shared encoder.

        Without a state, as `infer`.
        """
        return self.network.act(embedding, proprio)

    def goal_distance(self, embedding: Float32Array) -> NDArray[np.float64] | None:
        """(N, D) embeddings -> (N,) Euclidean distances to the goal, of stages the last one.

        Of a goal set the distance to the nearest: a rollout is no demonstration, so none of the
        goals is its own.

        Returns:
            None where the policy has no goal, or does not see all that the reward saw.
        """
        if self._goal_columns is None:
            return None
        embedding = embedding[:, self._goal_columns]
        if self.goal_set is not None:
            return nearest_distance(embedding, self.goal_set, goal_distance)
        return None if self.goal is None else goal_distance(embedding, self.goal[-1])

    def _think(self, checked: CheckedObservation) -> tuple[Float32Array, Float32Array]:
        action, embedding = self._brain(checked)
        if not np.isfinite(action).all():
            raise VipOfflineError(
                f"{self.folder}: the action is not finite "
                f"(row {np.argwhere(~np.isfinite(action))[0][0]}): its weights are damaged. Copy "
                "the folder again."
            )
        return action, embedding


def load_policy(
    folder: Path | str,
    *,
    backend: BackendName = "auto",
    encoder: Encoder | None = None,
    weights: Path | None = None,
    on_prepare: Callable[[str], None] = lambda sentence: None,
    sealed: bool = False,
) -> LoadedPolicy:
    """Load a policy folder.

    Args:
        folder: as training wrote it.
        backend: ``onnx`` runs ``policy.onnx``, ``torch`` the same from the safetensors; ``auto``
            is ONNX Runtime where the folder has the graph.
        encoder: use this one, loaded before, in place of the folder's own.
        weights: checkpoint of the encoder, for a folder that does not hold it.
        on_prepare: called with a sentence before work of some seconds.
        sealed: refuse a folder without the list by which changes are seen.

    Raises:
        VipOfflineError: if a file is missing, was changed, is not listed, or is of another encoder.
    """
    folder = Path(folder)
    checksums = read_sums(folder)
    needed = (MANIFEST, TENSORS, REFERENCE, GRAPH, ENCODER)
    if sealed and not checksums:
        read_manifest(folder)  # says so if it is no policy at all
        raise VipOfflineError(
            f"{folder}: has no {SUMS}, so nothing says whether it is as it was written. Run "
            f"`vip-offline ship {folder}` where it was trained and copy it again, or serve it "
            "as it is with --unsealed."
        )
    wrong = changed_files(folder, needed) + unlisted_files(folder, (MANIFEST, TENSORS), needed)
    if wrong:
        raise VipOfflineError(
            f"{folder}: {'; '.join(wrong)}. Copy the folder again; if the change was meant, run "
            f"`vip-offline ship {folder}` where it was trained."
        )
    policy = Policy.load(folder)
    interface = Interface.read(policy.manifest.get("interface"), str(folder / MANIFEST))
    _check_goal(folder, policy.manifest)
    known = _reference(folder, policy) if REFERENCE in checksums else None
    has_graph = checksums and policy.manifest.get("onnx", {}).get("takes") == "frames"
    if backend == "onnx" and not has_graph:
        raise VipOfflineError(
            f"{folder}: has no {GRAPH} that takes frames. Run `vip-offline ship {folder}`, or use "
            "the backend torch."
        )
    if encoder is None and backend != "torch" and has_graph:
        graph = _Onnx(folder / GRAPH)
        expected = set(interface.observation_keys)
        if graph.takes != expected:
            raise VipOfflineError(
                f"{folder / GRAPH}: takes {sorted(graph.takes)}; {MANIFEST} says "
                f"{sorted(expected)}. Copy the folder again."
            )
        return LoadedPolicy(folder, policy, interface, graph, known)
    if encoder is None:
        encoder = _encoder(folder, policy, checksums, weights, on_prepare)
    encoder = encoder.seeing(seen_by(folder, policy.manifest))
    check_encoder_of(folder, policy.manifest, encoder)
    return LoadedPolicy(folder, policy, interface, _Torch(policy, encoder), known)


def _encoder(
    folder: Path,
    policy: Policy,
    checksums: Mapping[str, str],
    weights: Path | None,
    on_prepare: Callable[[str], None],
) -> Encoder:
    described = policy.manifest["encoder"]
    if ENCODER in checksums:
        arrays = read_tensors(folder / ENCODER)
        state = {key: torch.from_numpy(value) for key, value in arrays.items()}
        try:
            return rebuild_encoder(described["encoder"], state, described["weights_sha256"])
        except VipOfflineError as error:
            raise VipOfflineError(f"{folder / ENCODER}: {error}") from None
    # a folder that holds its encoder is computed by torch where there is no graph
    way_out = f"Run `vip-offline ship {folder}`, so that torch computes it."
    return load_encoder(described["encoder"], weights, on_prepare=on_prepare, way_out=way_out)


def _check_goal(folder: Path, manifest: Mapping[str, Any]) -> None:
    goal, encoder = manifest.get("goal") or {}, manifest["encoder"]
    for key in ("encoder", "weights_sha256"):
        if goal.get(key, encoder[key]) != encoder[key]:
            raise VipOfflineError(
                f"{folder / MANIFEST}: its goal is embedded by another encoder ({key} "
                f"{goal[key]!r}, not {encoder[key]!r}): no distance to it would mean anything. "
                "Copy the folder again, or train again."
            )


def _reference(folder: Path, policy: Policy) -> TrainingEmbeddings:
    arrays = read_tensors(folder / REFERENCE)
    width = policy.manifest["embedding_size"]
    embedding, scale = arrays.get("embedding"), arrays.get("scale")
    shapes = [None if array is None else array.shape[-1:] for array in (embedding, scale)]
    if embedding is None or scale is None or shapes != [(width,), (1,)] or embedding.ndim != 2:
        raise VipOfflineError(
            f"{folder / REFERENCE}: holds no embeddings of width {width}, which the policy's are. "
            "It is of another encoder; copy the folder again."
        )
    return TrainingEmbeddings(embedding, float(scale[0]))


def seen_by(folder: Path, manifest: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing that a policy was trained with, whatever is the default now.

    Raises:
        VipOfflineError: if the manifest says what this release does not know.
    """
    return Preprocessing.read(manifest["encoder"]["preprocessing"], str(folder / MANIFEST))


def check_encoder_of(folder: Path, manifest: Mapping[str, Any], encoder: Encoder) -> None:
    """Refuse an encoder other than the one that a policy was trained on.

    Raises:
        VipOfflineError: naming what differs, and the way out.
    """
    trained, actual = manifest["encoder"], encoder.provenance
    keys = ("encoder", "weights_sha256")
    differing = [
        f"{key} {trained[key]!r}, not {actual[key]!r}"
        for key in keys
        if trained[key] != actual[key]
    ]
    if differing:
        raise VipOfflineError(
            f"{folder}: was trained on another encoder ({'; '.join(differing)}). Use rollout "
            f"--encoder {trained['encoder']} with the same weights, or train it again."
        )
