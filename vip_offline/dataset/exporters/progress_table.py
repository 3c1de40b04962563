"""The table of progress that LeRobot's sample weighting reads, beside a LeRobot data set.

``sample_weighting: {type: rabc, progress_path: FILE}`` of ``lerobot-train`` weighs a frame by how
much progress the next chunk of actions makes (lerobot/rewards/sarm/rabc.py). Named
``sarm_progress.parquet`` in the data set's folder, it is found without a path.

Progress is 1 - d / d0, clipped to [0, 1]: d is the distance to the goal, d0 that of the episode's
first frame. So every encoder is on one scale, as LeRobot's threshold (kappa, 0.01) needs it, and
an episode begins at 0, as those of LeRobot's own reward models do. It is not made to rise: that it
falls is what the weighting is to see.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

from vip_offline.dataset.exporters.labelled_episodes import (
    ExportResult,
    LabelledStore,
    provenance_text,
)
from vip_offline.dataset.exporters.lerobot_origin import index_of, lerobot_origin
from vip_offline.errors import VipOfflineError

GROUP_ROWS = 2**16  # that are written at once
SCHEMA = pyarrow.schema(
    [
        ("index", pyarrow.int64()),
        ("episode_index", pyarrow.int64()),
        ("frame_index", pyarrow.int64()),
        ("progress_sparse", pyarrow.float32()),
    ]
)


def progress_of(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T,) distances of one episode to its goal -> (T,) from 0, the first row's, to 1.

    An episode that begins at the goal is at 1 where it is there, else at 0.
    """
    if distance[0] == 0:
        return np.asarray(distance == 0, np.float32)
    share = 1 - distance.astype(np.float64) / float(distance[0])
    return np.asarray(share.clip(0, 1), np.float32)


def write_progress(
    labelled: LabelledStore, path: Path, on_episode: Callable[[int], None]
) -> ExportResult:
    """Write the progress of every frame of a store that was imported from LeRobot.

    Raises:
        VipOfflineError: if the store is of another origin, that one is gone or was changed, or
            the labelling has several stages.
    """
    label = labelled.label
    if label.goal is not None and len(label.goal) > 1:
        raise VipOfflineError(
            f"{labelled.path}: label {label.name!r} has {len(label.goal)} stages, whose distances "
            "are to different goals and make no one progress. Label with a single goal "
            "(relabel --name NAME --goal ...) and name it with --label."
        )
    origin = lerobot_origin(labelled)
    metadata = {
        "reward_model_path": str(label.provenance.get("encoder", "")),  # as LeRobot's own say it
        "vip_offline": provenance_text(labelled),
    }
    rows, pending = 0, list[pyarrow.Table]()
    with pyarrow.parquet.ParquetWriter(path, SCHEMA.with_metadata(metadata)) as writer:
        for episode, number in zip(
            labelled.episodes(), labelled.store.meta("source_episode"), strict=True
        ):
            length = len(episode)
            columns = [
                index_of(origin, int(number), length),
                np.full(length, number, np.int64),
                np.arange(length),
                progress_of(label.distance[episode.start : episode.start + length]),
            ]
            pending.append(pyarrow.table(columns, schema=SCHEMA))
            rows += length
            if sum(map(len, pending)) >= GROUP_ROWS:
                writer.write_table(pyarrow.concat_tables(pending))
                pending.clear()
            on_episode(1)
        if pending:
            writer.write_table(pyarrow.concat_tables(pending))
    return ExportResult(len(labelled.store), rows)
