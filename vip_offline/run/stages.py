"""Recording and relabelling, with a progress bar and a closing sentence.

Each imports what it needs itself: torch takes seconds, and recording does without.
"""

from pathlib import Path

from vip_offline.console import Bar
from vip_offline.recipe import Recipe


def record_stage(recipe: Recipe, bar: Bar) -> str:
    """Record the episodes that are missing; says what was done."""
    from vip_offline.run.record import record

    with bar("record", recipe.record.episodes, "episode") as advance:
        done = record(
            Path(recipe.store),
            recipe.record,
            on_start=lambda there, planned: advance(there),
            on_episode=lambda episode: advance(1),
        )
    if not done.episodes:
        return f"record: all {done.there} episodes are there"
    again = f", {done.discarded} attempts thrown away" if done.discarded else ""
    return f"record: {done.episodes} episodes, {done.frames} frames{again} -> {recipe.store}"


def relabel_stage(recipe: Recipe, bar: Bar, *, overwrite: bool = False) -> str:
    """Embed and reward what is not; says what was done."""
    from vip_offline.encode.download import BLOCK
    from vip_offline.encode.encoders import download
    from vip_offline.label.relabel import relabel

    if not recipe.relabel.weights:
        with bar("download", 0, "MB") as advance:
            download(
                recipe.relabel.encoder,
                lambda done, total: advance(1, total=total // BLOCK if total else None),
            )
    with bar("relabel", 0, "frame") as advance:
        done = relabel(
            Path(recipe.store),
            recipe.relabel,
            overwrite=overwrite,
            on_start=lambda frames: advance(total=frames),
            on_frames=advance,
        )
    if not done.written:
        return f"relabel: label {done.name!r} is there"
    return (
        f"relabel: {done.embedded_frames} frames embedded, label {done.name!r} written, goal from "
        f"{len(done.goal_rows)} success{'es' if len(done.goal_rows) > 1 else ''}"
    )
