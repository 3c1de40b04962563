"""Layout of a store: one zarr v3 group per data set.

E episodes, N rows in all. A superset of the diffusion_policy replay buffer, so its readers work::

    data/<key>                          (N, ...)  rows of all episodes, concatenated
    data/frames_<camera>                (N, H, W, 3) uint8 RGB, one frame per chunk, in shards;
                                                  or, for frames that are not copied:
    data/pts_<camera>                   (N,)      time stamps in the videos meta/video_<camera>;
                                                  attribute `upright`: frames are rotated
    data/rows_<camera>                  (N,)      rows of a zarr array of another program
    extras/<column>                     (N, ...)  other columns of the origin, unchanged
    meta/episode_ends                   (E,)      exclusive end row of each episode
    meta/content_<camera>               (E, 16)   hash of the episode's frames
    meta/done                           (E,)      written last: marks an episode as finished
    embeddings/<encoder>/<camera>       (N, D)    NaN where not computed
    embeddings/<encoder>/<camera>@content (E, 16)   hash of the frames that were embedded
    embeddings/<encoder>/<camera>@hash  (E, 16)   hash of the embedding itself
    goals/<encoder>/<hash>              (D,)      embedding of a goal image or prompt
    labels/<name>/{reward,distance}     (N,)      reward is NaN in the last row of an episode
    labels/<name>/goal                  (K, D)    goal of each stage
    labels/<name>/goal_set              (G, D)    or: goals of which the nearest counts
    labels/<name>/read                  (E, K, 8) hashes of its inputs, see `read_hashes.reads`
    files/<array>                       (F, 4)    size, time, inode and hash of each file of an
                                                  array, when its content was last verified

Row t is the observation before action t; reward t belongs to the step from t to t+1.

Every chunk has zarr's crc32c and is written even if it is all zeros, so a missing chunk means
damage. Every ``zarr.json`` has a checksum too, see `description_checksum`. Stores of schema version
1 have neither; they can be read, and `vip-offline upgrade` rewrites them.
"""

import datetime
import re
from collections.abc import Mapping
from typing import Any

from vip_offline.errors import VipOfflineError

FORMAT = "vip-offline"
SCHEMA_VERSION = 2  # 1: without checksums, each frame in a file of its own
REPLACED = ".replaced"
# of a labelling's provenance what follows from the data, where the same was asked for
OF_DATA = ("goal", "goal_rows", "stages", "episodes")
# what zarr leaves of a write that was killed
LEFTOVER = re.compile(r".+\.[0-9a-f]{32}\.partial")

Attributes = dict[str, Any]


def now() -> str:
    """Date and time in UTC, as provenance records it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def settings_of(attributes: Mapping[str, Any]) -> Attributes:
    """Provenance without date, release, backend and results: what two runs are compared by."""
    circumstances = ("created", "code_version", "backend", "measured")
    return {k: v for k, v in attributes.items() if k not in circumstances}


def check_name(kind: str, name: str) -> str:
    """The name, if it can be a folder name: names become folders of the store.

    Raises:
        VipOfflineError: listing the allowed characters.
    """
    if not re.fullmatch(r"\w[\w.+ -]*", name) or name.endswith((REPLACED, ".partial")):
        raise VipOfflineError(
            f"{kind} {name!r}: is no name. It begins with a letter or digit; letters, digits, "
            "blanks and . _ + - may follow."
        )
    return name
