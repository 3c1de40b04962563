"""A new store whose episodes lack the rows in which they stand still before and after the task."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.curation.standstill import idle_rows
from vip_offline.dataset.edits.trim import write_trimmed
from vip_offline.dataset.store import Store
from vip_offline.dataset.validation.idle import Idle
from vip_offline.errors import VipOfflineError
from vip_offline.utils.console import Bar

FEWEST = 2  # rows of an episode: one transition


def check_trim(path: Path, out: Path) -> None:
    """Refuse to write where there is something already, or inside of the store itself.

    Raises:
        VipOfflineError: naming it.
    """
    if out.exists():
        raise VipOfflineError(
            f"--trim {out}: is there already, and no store is ever trimmed in place. Name another, "
            "or remove it."
        )
    if path.resolve() in out.resolve().parents:
        raise VipOfflineError(
            f"--trim {out}: lies inside of {path}, which is not changed. Name a path beside it."
        )


def trim_stage(store: Store, out: Path, margin: int, bar: Bar) -> list[str]:
    """Write the trimmed store; nothing where there is nothing to cut.

    Args:
        store: finished; it is read alone.
        out: path of the new store.
        margin: idle rows that stay at either end of an episode.
        bar: of progress.

    Returns:
        Lines on what was cut and what was not.

    Raises:
        VipOfflineError: see `write_trimmed`.
    """
    check_trim(store.path, out)
    idle, spans = idle_rows(store), store.spans()
    still = [index for index, episode in enumerate(idle) if episode.start == episode.rows]
    notes = [f"note: trim: episodes {still} never move, and are left as they are"] if still else []
    cuts = [
        rows_to_cut(episode, store.data("succeeded", start, stop), margin)
        for episode, (start, stop) in zip(idle, spans, strict=True)
    ]
    heads, tails = (sum(side) for side in zip(*cuts, strict=True))
    if not heads + tails:
        least = f"no episode stands still at its start or end for more than {margin} rows"
        return [*notes, f"trim: {least}, so {out} is not written"]
    parts = [
        (start + head, stop - tail) for (start, stop), (head, tail) in zip(spans, cuts, strict=True)
    ]
    about = {"margin": margin, "rows_cut": [list(pair) for pair in cuts]}
    with bar("trim", len(parts), "episode") as advance:
        notes += [
            f"note: trim: {note}" for note in write_trimmed(store, out, parts, about, advance)
        ]
    touched = sum(any(pair) for pair in cuts)
    return [
        *notes,
        f"trim: {heads + tails} of {store.rows} rows cut from {touched} of {len(store)} episodes "
        f"({heads} at starts, {tails} at ends)",
        f"-> {out}; goals lie in other frames now: run `vip-offline relabel {out}`",
    ]


def rows_to_cut(
    idle: Idle, succeeded: NDArray[np.bool_] | Sequence[bool], margin: int
) -> tuple[int, int]:
    """Rows to cut at the start and at the end of an episode.

    An episode that never moves is left whole, and the first row in which the task is solved stays.
    """
    if idle.start == idle.rows:
        return 0, 0
    head, tail = max(0, idle.start - margin), max(0, idle.end - margin)
    solved = np.flatnonzero(succeeded)
    if len(solved):
        head, tail = min(head, int(solved[0])), min(tail, idle.rows - 1 - int(solved[0]))
    return (head, tail) if idle.rows - head - tail >= FEWEST else (0, 0)
