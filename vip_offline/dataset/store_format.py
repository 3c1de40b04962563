"""Format of a store: one zarr v3 group per set of demonstrations.

A superset of the diffusion_policy replay buffer, so its readers find what they know::

    data/<key>                          (N, ...)  all episodes, one after the other
    data/frames_<camera>                (N, H, W, 3) in shards, a frame to a chunk; or, of frames
                                              that stay in their videos:
    data/pts_<camera>                   (N,)      which frame of the file meta/video_<camera>,
                                                  upright if its attributes say so
    data/rows_<camera>                  (N,)      or which row of another zarr array
    extras/<column>                     (N, ...)  what else the origin had, as it was
    meta/episode_ends                   (E,)      exclusive end of each episode in data/
    meta/content_<camera>               (E, 16)   hash of the episode's frames
    meta/done                           (E,)      written last: without it an episode is not there
    embeddings/<encoder>/<camera>       (N, D)    NaN where not computed
    embeddings/<encoder>/<camera>@content (E, 16)   hash of the frames that were embedded
    embeddings/<encoder>/<camera>@hash  (E, 16)   hash of the embedding itself
    goals/<encoder>/<hash>              (D,)      embedding of a goal picture or prompt
    labels/<name>/{reward,distance}     (N,)      the last row of an episode has no reward: NaN
    labels/<name>/goal                  (K, D)    its goals, one per stage
    labels/<name>/goal_set              (G, D)    in its place: goals of which the nearest counts
    labels/<name>/read                  (E, K, 8)  hashes of what it was made from, see `reads`
    files/<array>                       (F, 3)    size, time and inode of each file of an array,
                                              when its content was last known to be right

Row t is the observation before action t; reward t belongs to the step from t to t+1.

Every chunk carries zarr's crc32c, is written even where it holds nothing but zeros (one that is
missing was lost), and every ``zarr.json`` a checksum of its own: see `metadata_seal`. Stores of
schema version 1 have neither; they are read, and `vip-offline upgrade` rewrites them.
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
    """Provenance without date, release and backend: the part that two runs are compared by."""
    circumstances = ("created", "code_version", "backend")
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
