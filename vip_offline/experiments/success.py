"""Learn a success model, and label stores and judge videos by it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vip_offline.dataset.store import is_store
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.stages import check_stage, download_stage, encoder_stage
from vip_offline.options import SuccessApplyOptions, SuccessFitOptions
from vip_offline.options.fields import check_ranges
from vip_offline.utils.console import Bar
from vip_offline.utils.files import require_writable

if TYPE_CHECKING:
    from vip_offline.rewards.success.model import SuccessModel

Say = Callable[[str], None]
MODEL = "success.json"


def fit_stage(
    store: Path, options: SuccessFitOptions, out: Path | None, bar: Bar, say: Say
) -> tuple["SuccessModel", Path]:
    """Learn a success model from a store and write it; returns it and its file.

    Raises:
        VipOfflineError: see `fit_store`.
    """
    from vip_offline.encoders.registry import check_encoder
    from vip_offline.rewards.success.stores import fit_store

    check_ranges(options)
    check_encoder(options.encoder, options.weights)
    check_stage(store, bar, say)
    path = out or Path("runs") / store.stem.removesuffix(".vip") / MODEL
    require_writable(path.parent)
    if path.is_dir():
        raise VipOfflineError(f"--out {path}: is a folder. Name the model's file.")
    if not options.weights:
        download_stage(options.encoder, bar)
    with bar("success", 0, "frame") as advance:
        model = fit_store(
            store,
            options,
            advance=advance,
            on_prepare=say,
            say=lambda note: say(f"note: {note}"),
        )
    model.save(path)
    return model, path


def apply_stage(
    path: Path, targets: Sequence[Path], options: SuccessApplyOptions, bar: Bar, say: Say
) -> list[dict[str, Any]]:
    """Label stores and judge videos by a success model; a summary of each.

    All targets are looked at before the first is judged; a store is labelled whole, or not.

    Raises:
        VipOfflineError: if the model or a target cannot be read, or they do not belong together.
    """
    from vip_offline.encoders.registry import check_encoder
    from vip_offline.rewards.success.judge import name_of
    from vip_offline.rewards.success.model import load_success_model

    model = load_success_model(path)
    for target in targets:
        if not target.exists() or (target.is_dir() and not is_store(target)):
            raise VipOfflineError(f"{target}: is no store and no video.")
    check_encoder(model.encoder, options.weights)
    by = name_of(path)
    summaries = []
    for target in targets:
        if is_store(target):
            summaries.append(_apply_to_store(target, model, by, options, bar, say))
    videos = [target for target in targets if not is_store(target)]
    if videos:
        summaries += _apply_to_videos(videos, model, options, bar, say)
    return summaries


def _apply_to_store(
    store: Path,
    model: "SuccessModel",
    by: str,
    options: SuccessApplyOptions,
    bar: Bar,
    say: Say,
) -> dict[str, Any]:
    from vip_offline.rewards.success.stores import encoder_options, judge_store

    check_stage(store, bar, say)
    with bar("success", 0, "frame") as advance:
        judged = judge_store(
            store,
            model,
            by,
            encoder_options(model, options.weights, backend=options.backend, device=options.device),
            write=not options.dry_run,
            advance=advance,
            on_prepare=say,
            say=lambda note: say(f"note: {note}"),
        )
    return {
        "path": str(store),
        "kind": "store",
        "kept": judged.labelled,
        "written": judged.written,
        "verdicts": {str(k): verdict for k, verdict in judged.verdicts.items()},
        "scores": {str(k): round(score, 6) for k, score in judged.scores.items()},
    }


def _apply_to_videos(
    videos: Sequence[Path],
    model: "SuccessModel",
    options: SuccessApplyOptions,
    bar: Bar,
    say: Say,
) -> list[dict[str, Any]]:
    from vip_offline.rewards.success.stores import encoder_options
    from vip_offline.rewards.success.videos import judge_video

    wanted = encoder_options(model, options.weights, backend=options.backend, device=options.device)
    encoder = encoder_stage(wanted, bar, say)
    summaries = []
    with bar("success", len(videos), "video") as advance:
        for video in videos:
            verdict, score = judge_video(video, model, encoder)
            summaries.append(
                {
                    "path": str(video),
                    "kind": "video",
                    "verdict": verdict,
                    "score": round(score, 6),
                }
            )
            advance(1)
    return summaries


def summarise_model(model: "SuccessModel", path: Path) -> dict[str, Any]:
    """What `success fit` says of a model, as JSON values."""
    from vip_offline.rewards.success.bounds import episodes_enough

    classes = {
        name: {**result.plain(), "enough": episodes_enough(result.wrong)}
        for name, result in (("failures", model.failures), ("successes", model.successes))
    }
    return {
        "model": str(path),
        "encoder": model.encoder,
        "camera": model.camera,
        "rule": model.rule.name,
        "goal": model.goal,
        "hold": model.hold,
        "success_below": model.band[0],
        "failure_above": model.band[1],
        "auc": round(model.auc, 4),
        "auc_by_rule": {name: round(value, 4) for name, value in model.auc_by_rule.items()},
        "success_from": model.success_from,
        "failure_from": model.failure_from,
        **classes,
    }
