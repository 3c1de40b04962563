"""Algorithm 1: train an encoder on clips, on one process or on many, and go on where it stopped.

One script for a laptop and a cluster: Accelerate reads from the environment, as torchrun sets it,
how many processes there are. `accelerate launch --cpu` starts one process whatever it is asked for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn

from vip_offline import __version__
from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.encoders.registry import entry_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import PretrainOptions
from vip_offline.pretraining import checkpoint, losses
from vip_offline.pretraining.clips.clip import Clips
from vip_offline.pretraining.dataloader import Batch, load_batches, share_of
from vip_offline.pretraining.initialization import initial_networks
from vip_offline.utils.files import replace_file

if TYPE_CHECKING:
    from accelerate import Accelerator
from vip_offline.pretraining.check_options import check_pretrain
from vip_offline.pretraining.processes import make_accelerator, with_shared_norms

LOSSES = "losses.jsonl"
CLIPS_NAMED = 8  # clips of a batch that a message names
RISING = 0.1  # share of the steps in which the learning rate of a cosine rises
VALIDATION_FRAMES = 64  # frames that validation embeds
Metrics = Mapping[str, float]
EmbedFrames = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # (N, H, W, 3) RGB -> (N, D)
Validate = Callable[[EmbedFrames, int], Metrics]


@dataclass(frozen=True)
class Report:
    """Numbers that are reported after each step."""

    step: int
    loss: float
    seconds: float  # of the whole step
    waited: float  # seconds of it for the batch
    metrics: Metrics  # of validation, on the steps that have one


@dataclass(frozen=True)
class Trained:
    """Result of a training."""

    model: Path  # loads like the published file
    steps: int  # in all
    began: int  # at which step this run went on
    processes: int
    frames_per_s: float  # of this run, nan if it had nothing to do
    waited: float  # share of this run's time that the network waited for frames
    metrics: Metrics  # of the last validation


def loss_of(embedding: Tensor, negatives: Tensor, options: PretrainOptions) -> Tensor:
    """(): the objective and the penalty on embeddings, by the options.

    Args:
        embedding: (F, B, D) of the whole batch, float32.
        negatives: (M, B) int64; see `Draw`.
        options: which objective, and its settings.
    """
    penalty = losses.penalty(rearrange(embedding, "f b d -> (f b) d"), options.l1, options.l2)
    if options.objective == "tcn":
        early, middle, late = embedding
        return losses.tcn(early, middle, late, negatives) + penalty
    start, now, then, goal = embedding
    if options.objective == "lstd":
        return losses.lstd(now, then, goal, gamma=options.gamma) + penalty
    separate = options.negative_term == "separate"
    return penalty + losses.vip(
        start, now, then, goal, negatives, gamma=options.gamma, separate=separate
    )


def learning_rate(options: PretrainOptions, step: int) -> float:
    """Of a step, the first of which is 1."""
    if options.schedule == "constant":
        return options.learning_rate
    rising = max(1, round(options.steps * RISING))
    if step <= rising:
        return options.learning_rate * step / rising
    done = (step - rising) / max(1, options.steps - rising)
    return options.learning_rate * (1 + math.cos(math.pi * done)) / 2


def pretrain(
    clips: Clips,
    options: PretrainOptions,
    out: Path,
    *,
    validate: Validate = lambda embed, step: {},
    on_step: Callable[[Report], None] = lambda report: None,
    on_begin: Callable[[int, int], None] = lambda began, processes: None,
) -> Trained:
    """Train, or resume; all processes call this with the same arguments.

    Args:
        clips: what is trained on.
        options: all knobs.
        out: folder for the model, its checkpoints, losses and TensorBoard's events.
        validate: measures what embeds frames, as the encoder will that this training makes, and the
            step; called by the first process.
        on_step: called by the first process after each step.
        on_begin: called by the first process with the steps that are done already, and the number
            of processes.

    Raises:
        VipOfflineError: on settings that cannot be met, a frame that cannot be read, a loss that is
            no number, or a checkpoint in `out` of another training.
    """
    check_pretrain(options)
    accelerator = make_accelerator(options)
    mine = share_of(options.batch_size, accelerator.process_index, accelerator.num_processes)
    settings = dataclasses.asdict(options)
    saved = checkpoint.latest(out, settings, clips.fingerprint)
    began = int(saved["step"]) if saved else 0
    preprocessing = entry_of(options.backbone).preprocessing
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network, frozen = initial_networks(options)
        network = with_shared_norms(network, options, accelerator)
        # a fifth less time of convolutions on a CPU, and tensor cores' own order on CUDA
        network = network.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
        if saved is not None:
            network.load_state_dict(checkpoint.network_of(saved, options.backbone))
            optimizer.load_state_dict(saved["optimizer"])
        network, optimizer = accelerator.prepare(network, optimizer)
        if frozen is not None:
            frozen.to(accelerator.device)
        if saved is not None:
            _restore(saved, accelerator)
        run = _Run(options, out, clips, accelerator, network, optimizer, frozen, preprocessing)
        if accelerator.is_main_process:
            on_begin(began, accelerator.num_processes)
        try:
            return run.go(began, mine, validate, on_step)
        finally:
            run.close()


def _restore(saved: Mapping[str, Any], accelerator: Accelerator) -> None:
    torch.set_rng_state(saved["generator"])
    if saved.get("scaler") and accelerator.scaler is not None:
        accelerator.scaler.load_state_dict(saved["scaler"])
    if saved.get("cuda") is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(saved["cuda"])


class _Run:
    """A running training."""

    def __init__(
        self,
        options: PretrainOptions,
        out: Path,
        clips: Clips,
        accelerator: Accelerator,
        network: nn.Module,
        optimizer: Any,
        frozen: nn.Module | None,
        preprocessing: Preprocessing,
    ) -> None:
        self.options, self.out, self.clips = options, out, clips
        self.accelerator, self.network, self.optimizer = accelerator, network, optimizer
        self.frozen = frozen
        self.preprocessing = preprocessing
        mean, std = (
            torch.tensor(values, device=accelerator.device).view(1, 3, 1, 1) * 255
            for values in (preprocessing.mean, preprocessing.std)
        )
        self.mean, self.std = mean, std
        self._losses: Any = None
        self._board: Any = None

    @property
    def bare(self) -> nn.Module:
        """The network itself, without what several processes wrap it in."""
        return self.accelerator.unwrap_model(self.network)  # type: ignore[no-any-return]

    def go(
        self,
        began: int,
        mine: slice,
        validate: Validate,
        on_step: Callable[[Report], None],
    ) -> Trained:
        """Train from step `began` + 1 to the last."""
        main, options = self.accelerator.is_main_process, self.options
        if main:
            self._open(began)
        metrics: Metrics = {}
        first = time.perf_counter()
        waited = validating = 0.0
        before = time.perf_counter()
        for batch in load_batches(
            self.clips, options, self.preprocessing, range(began + 1, options.steps + 1), mine
        ):
            fetched = time.perf_counter()
            loss = self._step(batch)
            step, last = batch.step, batch.step == options.steps
            done = time.perf_counter()
            if main:
                self._note(step, loss, done - before, fetched - before)
            if step % options.validate_every == 0 or last:
                metrics = self._validated(validate, step) if main else {}
            if step % options.save_every == 0 or last:
                self._save(step)
            if main:
                at_validation = step % options.validate_every == 0 or last
                shown = metrics if at_validation else {}
                on_step(Report(step, loss, done - before, fetched - before, shown))
            waited += fetched - before
            before = time.perf_counter()
            validating += before - done
        seconds = time.perf_counter() - first - validating
        model = self.out / checkpoint.MODEL
        if main and not model.exists():  # someone took it away
            self._write_model()
        if main and began >= options.steps:
            metrics = self._validated(validate, began)
        self.accelerator.wait_for_everyone()
        frames = (options.steps - began) * options.batch_size * _frames(options)
        return Trained(
            model=model,
            steps=max(options.steps, began),
            began=began,
            processes=self.accelerator.num_processes,
            frames_per_s=frames / seconds if frames > 0 else float("nan"),
            waited=waited / seconds if frames > 0 else float("nan"),
            metrics=metrics,
        )

    def _step(self, batch: Batch) -> float:
        self.network.train()
        if self.options.norm == "frozen":
            _freeze_norms(self.network)
        images = rearrange(batch.images, "f b c h w -> (f b) c h w")
        images = images.to(self.accelerator.device, memory_format=torch.channels_last)
        images = images.float().sub_(self.mean).div_(self.std)
        with self.accelerator.autocast():
            embedding = self.network(images)
        frames = batch.images.shape[0]
        # exponentials of distances and a mean of a batch want all digits
        local = rearrange(embedding.float(), "(f b) d -> f b d", f=frames)
        together = self._of_all(local)
        negatives = torch.from_numpy(batch.draw.negatives).to(together.device)
        loss = loss_of(together, negatives, self.options)
        if self.frozen is not None:
            with torch.no_grad(), self.accelerator.autocast():
                anchor = self.frozen(images)
            anchors = self._of_all(rearrange(anchor.float(), "(f b) d -> f b d", f=frames))
            loss = loss + self.options.anchor * losses.drift(
                rearrange(together, "f b d -> (f b) d"), rearrange(anchors, "f b d -> (f b) d")
            )
        value = float(loss.detach())
        if not torch.isfinite(loss):
            self._refuse(batch, value)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.options, batch.step)
        self.optimizer.zero_grad()
        # each process has the gradient of the whole loss by its own share; what wraps the network
        # averages over processes where the sum is meant
        self.accelerator.backward(loss * self.accelerator.num_processes)
        self.optimizer.step()
        return value

    def _of_all(self, local: Tensor) -> Tensor:
        """(F, b, D) of this process -> (F, B, D) of all; gradients flow into its own part only."""
        if self.accelerator.num_processes == 1:
            return local
        first = rearrange(local.detach(), "f b d -> b f d").contiguous()
        gathered = self.accelerator.gather(first)
        parts = list(rearrange(gathered, "(p b) f d -> p f b d", b=local.shape[1]))
        parts[self.accelerator.process_index] = local
        return torch.cat(parts, dim=1)

    def _refuse(self, batch: Batch, value: float) -> None:
        shown = dict.fromkeys(self.clips.name(int(clip)) for clip in batch.draw.clips)
        names = list(shown)
        more = f", and {len(names) - CLIPS_NAMED} more" if len(names) > CLIPS_NAMED else ""
        checkpoints = checkpoint.numbered_checkpoints(self.out)
        hint = f" {checkpoints[-1][1]} is from before." if checkpoints else ""
        raise VipOfflineError(
            f"step {batch.step}: the loss is {value}. Its batch showed "
            f"{', '.join(names[:CLIPS_NAMED])}{more}.{hint} Look at these videos, or take a "
            f"smaller --learning-rate than {self.options.learning_rate:g}."
        )

    def _validated(self, validate: Validate, step: int) -> Metrics:
        network = self.bare
        network.eval()

        def embed(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            parts = []
            for at in range(0, len(frames), VALIDATION_FRAMES):
                images = self.preprocessing(frames[at : at + VALIDATION_FRAMES])
                with torch.no_grad(), self.accelerator.autocast():
                    values = network(images.to(self.accelerator.device))
                parts.append(values.float().cpu().numpy())
            return np.concatenate(parts)

        metrics = validate(embed, step)
        if self._board is not None:
            for name, value in metrics.items():
                self._board.add_scalar(f"validation/{name}", value, step)
        return metrics

    def _save(self, step: int) -> None:
        state = self.bare.state_dict()
        wrong = [name for name, value in state.items() if not torch.isfinite(value).all()]
        if wrong:
            raise VipOfflineError(
                f"step {step}: the network's {wrong[0]} is no longer finite, so nothing is saved. "
                f"Take a smaller --learning-rate than {self.options.learning_rate:g}."
            )
        if not self.accelerator.is_main_process:
            return
        # before the checkpoint, from which a run that was killed goes on: what comes before it is
        # not made again
        self._losses.flush()
        os.fsync(self._losses.fileno())
        self._board.flush()
        self._write_model()
        scaler = self.accelerator.scaler
        content = {
            # so that a checkpoint, too, loads like the published file
            **checkpoint.published_state(self.options.backbone, state),
            "optimizer": self.optimizer.state_dict(),
            "generator": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if self.options.device == "cuda" else None,
            "scaler": scaler.state_dict() if scaler is not None else None,
            "settings": dataclasses.asdict(self.options),
            "fingerprint": self.clips.fingerprint,
            "version": __version__,
        }
        checkpoint.save(self.out, step, content, self.options.keep)

    def _write_model(self) -> None:
        state = {name: value.cpu() for name, value in self.bare.state_dict().items()}
        checkpoint.write_file(
            checkpoint.published_state(self.options.backbone, state), self.out / checkpoint.MODEL
        )

    def _open(self, began: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.out.mkdir(parents=True, exist_ok=True)
        keep_lines(self.out / LOSSES, began)
        self._losses = (self.out / LOSSES).open("a", encoding="utf-8")
        self._board = SummaryWriter(str(self.out / "tensorboard"), purge_step=began + 1)

    def _note(self, step: int, loss: float, seconds: float, waited: float) -> None:
        self._losses.write(json.dumps({"step": step, "loss": loss}) + "\n")
        frames = self.options.batch_size * _frames(self.options)
        self._board.add_scalar("loss/train", loss, step)
        self._board.add_scalar("speed/frames_per_s", frames / seconds, step)
        self._board.add_scalar("speed/data_wait_share", waited / seconds, step)

    def close(self) -> None:
        """Close the files."""
        for log in (self._losses, self._board):
            if log is not None:
                log.close()


def keep_lines(path: Path, steps: int) -> None:
    """Truncate a losses file to the lines up to a step; later steps are trained again."""
    if not path.exists():
        return
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # cut short by a kill
            if json.loads(line)["step"] <= steps:
                lines.append(line + "\n")
    replace_file(path, "".join(lines).encode())


def _frames(options: PretrainOptions) -> int:
    return 3 if options.objective == "tcn" else 4


def _freeze_norms(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
