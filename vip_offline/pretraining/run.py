"""Videos to an encoder: open them, keep some back, pack, train, say what came of it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.config import dump
from vip_offline.encoders.registry import entry_of
from vip_offline.errors import VipOfflineError, naming
from vip_offline.options import PretrainOptions
from vip_offline.pretraining.check_options import check_pretrain
from vip_offline.pretraining.clips.clip import Clips
from vip_offline.pretraining.clips.open_clips import open_clips
from vip_offline.pretraining.clips.pack import pack_clips, packed_bytes
from vip_offline.pretraining.dataloader import packing_side
from vip_offline.pretraining.trainer import EmbedFrames, Metrics, Report, Trained, pretrain
from vip_offline.pretraining.validation import (
    CLIPS,
    ProgressMetrics,
    Validation,
    validation_mask,
)
from vip_offline.utils.console import Bar
from vip_offline.utils.files import only_writer, replace_file, require_writable, write_json
from vip_offline.utils.parallel import forget_ranks, is_first

GIB = 2**30
SKIPPED_SHOWN = 5  # clips that were left out, by name
PRETRAIN_REPORT = "pretrain.json"


class ClipSubset:
    """A subset of the clips, renumbered from 0."""

    def __init__(self, clips: Clips, chosen: NDArray[np.int64]) -> None:
        self._clips, self._chosen = clips, chosen
        self.lengths = clips.lengths[chosen]
        self.groups = clips.groups[chosen]
        self.takes = clips.takes[chosen]
        self.group_names = clips.group_names
        self.skipped = clips.skipped
        self.fingerprint = clips.fingerprint

    def name(self, clip: int) -> str:
        """As the origin names it."""
        return self._clips.name(int(self._chosen[clip]))

    def read(self, clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(n, H, W, 3) RGB."""
        return self._clips.read(int(self._chosen[clip]), rows)


@dataclass(frozen=True)
class Pretrained:
    """Result of a pre-training, with the controls of its validation."""

    trained: Trained
    progress: ProgressMetrics | None  # of the encoder on the videos held out; None: none were
    controls: dict[str, ProgressMetrics]
    clips: int  # trained on
    frames: int
    held_out: int
    skipped: tuple[str, ...]


def pretrain_stage(
    videos: Sequence[Path],
    options: PretrainOptions,
    out: Path,
    bar: Bar,
    say: Callable[[str], None],
) -> Pretrained:
    """Train an encoder from videos; started again, it goes on from its last checkpoint.

    Every process of several runs this; the first alone writes.

    Raises:
        VipOfflineError: see `open_clips`, `pack_clips` and `pretrain`.
    """
    check_pretrain(options)
    if forgotten := forget_ranks():
        say(f"note: {forgotten}")
    require_writable(out)
    with naming(out), only_writer(out) if is_first() else contextlib.nullcontext():
        return _stage(videos, options, out, bar, say if is_first() else lambda line: None)


def _stage(
    videos: Sequence[Path],
    options: PretrainOptions,
    out: Path,
    bar: Bar,
    say: Callable[[str], None],
) -> Pretrained:
    clips = ready_clips(videos, options, out, bar, say)
    kept = validation_mask(clips, options)
    if kept.all() or (~kept).sum() < 2:
        raise VipOfflineError(
            f"{', '.join(map(str, videos))}: of {len(kept)} videos {int(kept.sum())} are held "
            "out, so too few are left to train on. Give more, or --hold-out 0."
        )
    train = ClipSubset(clips, np.flatnonzero(~kept))
    if options.other_goals:
        say_goals(train, say)
    validation = None
    if kept.any() and is_first():
        with bar("controls", min(int(kept.sum()), CLIPS), "clip") as advance:
            validation = Validation(clips, np.flatnonzero(kept).tolist(), advance)
    measured: list[ProgressMetrics] = []

    def validate(embed: EmbedFrames, step: int) -> Metrics:
        if validation is None:
            return {}
        measured.append(validation(embed))
        return measured[-1].named()

    def begin(began: int, processes: int) -> None:
        noun = "process" if processes == 1 else "processes"
        say(
            f"pretrain: {len(train.lengths)} videos, {int(train.lengths.sum())} frames; "
            f"{int(kept.sum())} more held out; {processes} {noun} on {options.device}"
        )
        if began >= options.steps:
            say(f"is done: {began} steps")
        elif began:
            say(f"goes on from step {began}")

    with bar("pretrain", options.steps, "step") as advance:

        def on_step(report: Report) -> None:
            advance(1)
            if report.metrics:
                shown = ", ".join(f"{name} {value:.3f}" for name, value in report.metrics.items())
                say(f"step {report.step}: loss {report.loss:.4f}, {shown}")

        def on_begin(began: int, processes: int) -> None:
            begin(began, processes)
            advance(began)

        trained = pretrain(
            train, options, out, validate=validate, on_step=on_step, on_begin=on_begin
        )
    result = Pretrained(
        trained=trained,
        progress=measured[-1] if measured else None,
        controls=dict(validation.controls) if validation else {},
        clips=len(train.lengths),
        frames=int(train.lengths.sum()),
        held_out=int(kept.sum()),
        skipped=clips.skipped,
    )
    if is_first():
        _write(result, options, out)
    return result


def say_goals(clips: Clips, say: Callable[[str], None]) -> None:
    """Say which videos have no other of their group whose end could be their goal.

    Raises:
        VipOfflineError: of several cameras, whose pictures of one goal are not alike.
    """
    takes, times = np.unique(clips.takes, return_counts=True)
    if times.max() > 1:
        clip = int(np.flatnonzero(clips.takes == takes[times.argmax()])[0])
        raise VipOfflineError(
            f"--other-goals: {clips.name(clip)} is seen by {times.max()} cameras, and a goal is "
            "to be of the same. Name one with --camera."
        )
    groups, members = np.unique(clips.groups, return_counts=True)
    if alone := [clips.group_names[group] for group in groups[members == 1]]:
        say(
            f"{len(alone)} groups have one video, whose goals are its own: "
            f"{', '.join(alone[:SKIPPED_SHOWN])}{', ...' if len(alone) > SKIPPED_SHOWN else ''}"
        )


def ready_clips(
    videos: Sequence[Path],
    options: PretrainOptions,
    out: Path,
    bar: Bar,
    say: Callable[[str], None],
) -> Clips:
    """Return the clips, packed if requested or if they fit; reports which were left out.

    Raises:
        VipOfflineError: see `open_clips` and `pack_clips`.
    """
    with bar("look at videos", 0, "clip") as advance:
        clips = open_clips(
            videos,
            camera=options.camera,
            max_skipped=options.max_skipped,
            index=out / "clips.npz",
            advance=advance,
        )
    preprocessing = entry_of(options.backbone).preprocessing
    side = packing_side(preprocessing.resize, preprocessing.crop)
    packs = options.pack == "always"
    if options.pack == "auto":
        size = packed_bytes(clips, side) / GIB
        packs = size <= options.pack_gib
        if not packs:
            say(
                f"not packed: {size:.0f} GiB at {side} px, above --pack-gib "
                f"{options.pack_gib:g}; frames are decoded as they are drawn"
            )
    if packs:
        with bar("pack frames", 0, "frame") as advance:
            clips = pack_clips(
                clips,
                side,
                Path(options.pack_folder) if options.pack_folder else out / "packed",
                threads=options.readers,
                max_skipped=options.max_skipped,
                advance=advance,
            )
    if clips.skipped:
        say(f"left out {len(clips.skipped)} videos:")
        for line in clips.skipped[:SKIPPED_SHOWN]:
            say(f"  {line}")
        if len(clips.skipped) > SKIPPED_SHOWN:
            say(f"  and {len(clips.skipped) - SKIPPED_SHOWN} more, see {out / PRETRAIN_REPORT}")
    return clips


def _write(result: Pretrained, options: PretrainOptions, out: Path) -> None:
    replace_file(out / "recipe.toml", dump(options).encode())
    write_json(summary_of(result, options), out / PRETRAIN_REPORT)


def summary_of(result: Pretrained, options: PretrainOptions) -> dict[str, Any]:
    """Return the result as JSON values."""
    rows = {options.backbone: result.progress} if result.progress else {}
    return {
        "objective": options.objective,
        "backbone": options.backbone,
        "steps": result.trained.steps,
        "processes": result.trained.processes,
        "clips": result.clips,
        "frames": result.frames,
        "held_out": result.held_out,
        "skipped": list(result.skipped),
        "frames_per_s": _known(result.trained.frames_per_s),
        "data_wait": _known(result.trained.waited),
        "validation": {
            name: {key: _known(value) for key, value in progress.named().items()}
            | {"clips": progress.clips}
            for name, progress in (rows | result.controls).items()
        },
    }


def _known(value: float) -> float | None:
    """A number as JSON takes it, which has no nan."""
    return None if math.isnan(value) else value
