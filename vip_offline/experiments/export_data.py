"""A labelled store, with its rewards, in another format: which one, and that it appears whole."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.utils.console import Advance, Bar

if TYPE_CHECKING:
    from vip_offline.dataset.exporters.labelled_episodes import ExportResult, LabelledStore

    Writer = Callable[[LabelledStore, Path, Callable[[int], None]], ExportResult]

_EXPORTERS = "vip_offline.dataset.exporters."
# format -> module and function that write it; the module imports its library
EXPORT_FORMATS = {
    "lerobot-progress": (f"{_EXPORTERS}progress_table", "write_progress"),
    "lerobot": (f"{_EXPORTERS}lerobot", "write_lerobot"),
    "robomimic": (f"{_EXPORTERS}robomimic", "write_robomimic"),
    "minari": (f"{_EXPORTERS}minari", "write_minari"),
    "zarr": (f"{_EXPORTERS}replay_buffer", "write_replay"),
    "d3rlpy": ("vip_offline.training.d3rlpy_export", "write_d3rlpy"),
}
EXPORTED_COLUMNS = ("action", "proprio", "succeeded", "true_reward")


def _writer(format_: str) -> "Writer":
    if format_ not in EXPORT_FORMATS:
        raise VipOfflineError(
            f"--to {format_}: no such format.{did_you_mean(format_, EXPORT_FORMATS)}"
        )
    module, function = EXPORT_FORMATS[format_]
    writer: Writer = getattr(importlib.import_module(module), function)
    return writer


def export(
    store: Path,
    out: Path,
    format_: str,
    label: str = "",
    *,
    advance: Advance = lambda amount=0, total=None: None,
) -> "ExportResult":
    """Write a store's episodes and rewards in another format; the store stays as it is.

    Args:
        store: a labelled store.
        out: the file or folder to write, which appears when it is whole.
        format_: one of `EXPORT_FORMATS`.
        label: name of the labelling; empty: the only one.
        advance: told the episodes in total, then each that is written.

    Raises:
        VipOfflineError: if something is there already, the store is unfinished or not labelled, or
            the format cannot hold it.
    """
    from vip_offline.dataset.exporters.atomic_output import atomic_output
    from vip_offline.dataset.exporters.labelled_episodes import open_labelled
    from vip_offline.dataset.read_hashes import LENGTHS, made_from

    write = _writer(format_)
    labelled = open_labelled(store, label)
    opened, name = labelled.store, labelled.label.name
    keys = [LENGTHS, f"labels/{name}/reward", f"labels/{name}/distance", "meta/success"]
    keys += [f"data/{key}" for key in EXPORTED_COLUMNS if key in opened.keys("data")]
    keys += [f"frames/{camera}" for camera in opened.cameras]
    record = {"what": f"export to {format_}", "label": name, **made_from(opened, keys)}
    with atomic_output(out) as partial:
        advance(total=len(opened))
        done = write(labelled, partial, advance)
        record_of(partial).write_text(json.dumps(record, indent=2), encoding="utf-8")
    return done


def record_of(out: Path) -> Path:
    """The file beside an export that says what it was made from."""
    return out.with_name(f"{out.name}.made-from.json")


def export_stage(
    store: Path, out: Path, format_: str, label: str, bar: Bar, say: Callable[[str], None]
) -> str:
    """Export with a progress bar; says what was done."""
    with bar("export", 0, "episode") as advance:
        done = export(store, out, format_, label, advance=advance)
    for note in done.notes:
        say(f"note: {note}")
    return f"export: {done.episodes} episodes, {done.rows} rows -> {out}"
