"""A policy's training in its unfinished folder: begun or gone on with, kept, and finished."""

import contextlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from vip_offline import __version__
from vip_offline.dataset.store_format import now, settings_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.policies.checksums import changed_files, write_sums
from vip_offline.policies.policy import (
    MANIFEST,
    READ,
    TENSORS,
    UNTIL,
    Policy,
    read_manifest,
    read_reads,
    write_policy,
    write_tensors,
)
from vip_offline.training.algorithms.models import policy_tensors, strides
from vip_offline.training.checkpoint import CHECKPOINT, Arrays, read_checkpoint, write_checkpoint
from vip_offline.training.data.dataset import TrainingSet, differences, identity
from vip_offline.training.trainer import begin, is_regression
from vip_offline.utils.files import hidden_beside, only_writer, put_back, put_in_place

TRAINED = (MANIFEST, TENSORS, READ, "model.d3", "metrics.jsonl")  # files of a trained policy
CHUNK_STEPS = 100  # gradient steps between looks at the loss, and at what the user wants
SECONDS_PER_CHECKPOINT = 10.0
# of `spike_note`; a policy that ended in a spike, at 14 times the loss of its siblings, had 0 of 10
# successes
SPIKE = 5.0


@dataclass(frozen=True)
class TrainJob:
    """One policy to train."""

    store: Path
    options: TrainOptions
    out: Path


def is_trained(folder: Path, store: Path, options: TrainOptions) -> bool:
    """Whether this folder holds the policy that these options would train, on these data.

    Raises:
        VipOfflineError: if it holds another one.
    """
    return (folder / MANIFEST).exists() and not why_again(folder, store, options)


def why_again(folder: Path, store: Path, options: TrainOptions) -> str:
    """What of the data or of the policy's own files changed since it was trained; empty: nothing.

    Raises:
        VipOfflineError: if the folder holds something else than the policy of these options.
    """
    if not (folder / MANIFEST).exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise VipOfflineError(
                f"{folder}: is there and is no policy folder. Give another --out."
            )
        return ""
    manifest = read_manifest(folder)
    trained = {**manifest, "label": settings_of(manifest["label"]), "read": read_reads(folder)}
    differing = differences(trained, store, options)
    if differing.settings:
        listed = "; ".join((*differing.settings, *differing.data))
        raise VipOfflineError(
            f"{folder}: holds a policy that was trained otherwise ({listed}). Give another --out, "
            "or remove the folder."
        )
    if differing.data:
        return f"{'; '.join(differing.data)} since it was trained"
    # a copy that was taken while the folder was replaced, or damage
    return "; ".join(changed_files(folder, TRAINED))


class TrainingRun:
    """A job that is being trained; no other process may enter its unfinished folder.

    Left before it is finished, by ctrl-C or worse, it writes down where it stands, and the next
    one goes on from there.
    """

    def __init__(self, job: TrainJob, data: TrainingSet) -> None:
        """Begin, or go on where the same training stopped.

        Raises:
            VipOfflineError: if another process is training it, or another training stopped here.
        """
        self.job, self.data = job, data
        self.notes: list[str] = []  # for the user
        put_back(job.out)
        # renamed when it is whole
        self._partial = hidden_beside(job.out, "partial")
        self._partial.mkdir(parents=True, exist_ok=True)
        self._stack = contextlib.ExitStack()
        # what a killed process left is taken over, a living one refused
        self._stack.enter_context(only_writer(self._partial))
        self._good: Arrays = {}  # the last state that was finite
        self._metrics: list[dict[str, float]] = []
        self._kept = time.monotonic()  # when it was last written to the disk
        try:
            # read at the start: after an interrupt in the middle of a read the store must not be
            # touched, zarr's own thread may wait for a lock that nobody will let go
            self._identity = identity(job.store, job.options)
            self.training = begin(data, job.options)
            # another process may have finished it between the first look and the lock
            self._finished = is_trained(job.out, job.store, job.options)
            if not self._finished:
                self._go_on()
        except BaseException:
            self._clear_away()
            raise

    def _go_on(self) -> None:
        for leftover in self._partial.iterdir():
            if leftover.name != CHECKPOINT:
                leftover.unlink()
        checkpoint = read_checkpoint(self._partial)
        if checkpoint is None:
            return
        differing = differences(checkpoint.identity, self.job.store, self.job.options)
        if differing.settings:
            listed = "; ".join((*differing.settings, *differing.data))
            raise VipOfflineError(
                f"{self._partial / CHECKPOINT}: a training that began otherwise stopped here "
                f"({listed}). Give those settings to go on with it, or remove {self._partial}."
            )
        if differing.data:
            self.notes.append(
                f"{self.job.out}: its training begins anew: {'; '.join(differing.data)} since it "
                "stopped"
            )
            (self._partial / CHECKPOINT).unlink()
            return
        self.training.restore(checkpoint.arrays)
        self._metrics, self._good = checkpoint.metrics, checkpoint.arrays

    @property
    def done(self) -> int:
        """Steps that need not be taken any more."""
        return self.job.options.steps if self._finished else self.training.step

    @property
    def chunk(self) -> int:
        """Steps to take next; chunks end where an uninterrupted training's would."""
        return min(self.job.options.steps - self.done, CHUNK_STEPS - self.done % CHUNK_STEPS)

    def settle(self, loss: float) -> None:
        """Look at what a chunk led to.

        Raises:
            VipOfflineError: if it is no longer finite.
        """
        arrays = self.training.arrays()
        if not (np.isfinite(loss) and self._is_finite(arrays)):
            raise VipOfflineError(self._diverged(loss))
        self._metrics.append({"step": self.training.step, "loss": loss})
        self._good = arrays
        if time.monotonic() - self._kept > SECONDS_PER_CHECKPOINT:
            self._keep()

    def _is_finite(self, arrays: Arrays) -> bool:
        if "parameters" in arrays:
            return bool(np.isfinite(arrays["parameters"]).all())
        policy = self.training.finish().impl.policy
        return all(bool(torch.isfinite(parameter).all()) for parameter in policy.parameters())

    def _keep(self) -> None:
        """Write the last good state down."""
        if self._good:
            write_checkpoint(self._partial, self._good, self._identity, self._metrics)
            self._kept = time.monotonic()

    def _diverged(self, loss: float) -> str:
        """Leave the state before as a policy that can be looked at, and nothing to go on from."""
        options, step = self.job.options, self.training.step
        text = (
            f"{self.job.out}: the loss is {loss:g} after {step} steps: training diverged. Lower "
            f"the learning rate ({options.learning_rate}) or tau ({self.data.weighed.tau:g})."
        )
        good, self._good = self._good, {}
        (self._partial / CHECKPOINT).unlink(missing_ok=True)
        if not good:
            return text
        self.training.restore(good)
        out = self.job.out.resolve()
        folder = out.with_name(f"{out.name}{UNTIL}{self.training.step}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._write(folder)
        return f"{text} The last good state, after {self.training.step} steps, is in {folder}."

    def finish(self) -> str:
        """Make the policy's folder appear; returns a warning for the user, or ""."""
        if not self._finished:
            self._write(self._partial)
            # onto nothing or an empty folder, or a policy of data that are no more
            put_in_place(self._partial, self.job.out)
            (self.job.out / CHECKPOINT).unlink(missing_ok=True)
            self._finished = True
        losses = [metrics["loss"] for metrics in self._metrics]
        return spike_note(self.job.out, losses) if is_regression(self.job.options) else ""

    def _write(self, folder: Path) -> None:
        algo, options = self.training.finish(), self.job.options
        algo.save(str(folder / "model.d3"))
        lines = "".join(json.dumps(metrics) + "\n" for metrics in self._metrics)
        (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")
        summary = self.data.weighed.summary
        manifest = {
            **self.data.manifest,
            "options": asdict(options),
            "tau": self.data.weighed.tau,
            "weights": None if summary is None else asdict(summary),
            "layers": len(options.hidden),
            "strides": strides(algo),
            "steps": self.training.step,
            "loss": self._metrics[-1]["loss"],
            "code_version": __version__,
            "created": now(),
        }
        tensors = policy_tensors(algo, self.data)
        write_tensors(folder / READ, self.data.read)
        network = {key: torch.from_numpy(np.array(value)) for key, value in tensors.items()}
        errors = held_out_error(Policy(network, manifest), self.data)
        manifest["held_out_error"] = {str(episode): error for episode, error in errors.items()}
        write_policy(folder, tensors, manifest)
        write_sums(folder, TRAINED)

    def _clear_away(self) -> None:
        """Let go of the folder; one that no training could go on from is removed."""
        if not (self._partial / CHECKPOINT).exists():
            shutil.rmtree(self._partial, ignore_errors=True)
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave: write down where it stands unless it is finished, and let others in."""
        if not self._finished:
            with contextlib.suppress(OSError):  # a full disk; what was kept before stays
                self._keep()
        self._clear_away()


def spike_note(folder: Path, losses: Sequence[float]) -> str:
    """Warn where the loss ends in a spike: the policy may be far worse than its siblings.

    Args:
        folder: of the policy, which names its arm and seed.
        losses: of each chunk of steps, in order.

    Returns:
        "" unless the mean of the last hundredth is above `SPIKE` times the least of the tenth
        before.
    """
    last = max(1, len(losses) // 100)
    before = losses[-last - max(2, len(losses) // 10) : -last]
    end, best = float(np.mean(losses[-last:])), min(before, default=0.0)
    if best <= 0 or end <= SPIKE * best:
        return ""
    return (
        f"warning: {folder}: the loss ends in a spike, {end:.2g} after {best:.2g}; this policy may "
        "be far worse than those of other seeds. Train it with other --steps if so."
    )


def held_out_error(policy: Policy, data: TrainingSet) -> dict[int, float]:
    """Held-out success -> mean over its steps of the squared action error, summed over dimensions.

    Of actions as the network gives them, in [-1, 1], so that dimensions count alike whatever their
    units are; the same measure as d3rlpy's `ContinuousActionDiffEvaluator`. Needs no robot, and
    says less than a rollout: errors that add up count like errors that cancel.
    """
    errors = {}
    for demonstration in data.held_out:
        if not demonstration.success:
            continue
        difference = policy.output(demonstration.observation) - demonstration.action
        errors[demonstration.episode] = float((difference**2).sum(axis=1).mean())
    return errors
