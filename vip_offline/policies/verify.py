"""Does a policy folder do here what it did where it was trained?"""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline import __version__
from vip_offline.encoders.onnx_graphs import relative_difference
from vip_offline.errors import VipOfflineError
from vip_offline.options import BackendName
from vip_offline.policies.checksums import changed_files, read_sums
from vip_offline.policies.interface import Interface
from vip_offline.policies.policy import MANIFEST, read_manifest
from vip_offline.policies.reference_io import (
    ACTION_TOLERANCE,
    SAMPLES,
    Samples,
    action_error,
    read_samples,
)
from vip_offline.policies.runtime import GRAPH, LoadedPolicy, load_policy

REPEATS = 20  # of one observation, to time it
PACKAGES = ("numpy", "torch", "torchvision", "onnxruntime")


@dataclass(frozen=True)
class BackendResult:
    """Result of one backend on the reference samples."""

    backend: str  # for people
    action_error: float  # largest, of the action's range in the training set
    embedding_error: float  # largest, relative
    milliseconds: float  # median of one observation

    @property
    def right(self) -> bool:
        """Whether the actions are equal within the tolerance."""
        return self.action_error <= ACTION_TOLERANCE


@dataclass(frozen=True)
class Verification:
    """Result of `verify`."""

    manifest: dict[str, Any]
    files: int  # whose sha256 are right
    backends: tuple[BackendResult, ...]
    problems: tuple[str, ...]  # sentences; none if it can be trusted here
    notes: tuple[str, ...]  # what is another here and need not matter

    def require_right(self, folder: Path) -> None:
        """Refuse a policy that cannot be trusted here.

        Raises:
            VipOfflineError: with all problems.
        """
        if self.problems:
            raise VipOfflineError(
                f"{folder}: {'; '.join(self.problems)}. Do not run it here; copy the folder again, "
                "or train it anew."
            )


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that compute a policy."""
    installed = {"vip-offline": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def verify(folder: Path, on_backend: Callable[[str], None] = lambda sentence: None) -> Verification:
    """Recompute the reference samples of a policy here, with every available backend.

    Raises:
        VipOfflineError: if the folder is no policy, or was never made ready.
    """
    manifest = read_manifest(folder)
    sums = read_sums(folder)
    if SAMPLES not in sums:
        raise VipOfflineError(
            f"{folder}: has no list with {SAMPLES} on it: it was not made ready for another "
            f"computer. Run `vip-offline ship {folder}` where it was trained, and copy it again."
        )
    problems = changed_files(folder)
    if problems:
        return Verification(manifest, len(sums) - len(problems), (), tuple(problems), ())
    interface = Interface.read(manifest.get("interface"), str(folder / MANIFEST))
    samples = read_samples(folder / SAMPLES, interface)
    graph = manifest.get("onnx", {}).get("takes") == "frames"
    names: list[BackendName] = ["onnx", "torch"] if graph else ["torch"]
    backends, notes = [], []
    for name in names:
        on_backend(name)
        try:
            backends.append(_run_backend(load_policy(folder, backend=name), samples))
        except VipOfflineError as error:
            notes.append(f"backend {name}: not tried: {error}")
    for result in backends:
        if not result.right:
            where = (
                "the encoder"
                if result.embedding_error > ACTION_TOLERANCE
                else "the network behind it"
            )
            problems.append(
                f"{result.backend}: the actions differ by {result.action_error:.1%} of their "
                f"range from those where it was trained (allowed {ACTION_TOLERANCE:.1%}); {where} "
                f"computes otherwise here (embeddings differ by {result.embedding_error:.1g})"
            )
    if not backends:
        problems.append("nothing here can run it: " + "; ".join(notes))
    rate = interface.control_rate
    for result in backends:
        if rate and result.milliseconds > 1000 / rate:
            notes.append(
                f"{result.backend}: {result.milliseconds:.0f} ms for one observation is more "
                f"than the {1000 / rate:.0f} ms of a control tick at {rate:g} Hz"
            )
    if not graph:
        notes.append(
            f"{GRAPH} takes embeddings, not frames: the encoder is not in it"
            if manifest.get("onnx")
            else f"there is no {GRAPH}"
        )
    notes += _other_versions(manifest)
    return Verification(manifest, len(sums), tuple(backends), tuple(problems), tuple(notes))


def _run_backend(policy: LoadedPolicy, samples: Samples) -> BackendResult:
    inferred = policy.infer(samples.observation)
    observation = {key: value[0] for key, value in samples.observation.items()}
    spent = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        policy.act(observation)
        spent.append(time.perf_counter() - started)
    return BackendResult(
        policy.backend,
        action_error(inferred.action, samples.action, policy.interface),
        relative_difference(inferred.embedding, samples.embedding),
        float(np.median(spent)) * 1000,
    )


def _other_versions(manifest: dict[str, Any]) -> list[str]:
    installed = package_versions()
    then = manifest.get("versions", {})
    return [
        f"{name} is {installed.get(name, 'not here')}, was {was}"
        for name, was in then.items()
        if installed.get(name) != was
    ]
