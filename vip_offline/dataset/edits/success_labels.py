"""Success flags by a program, for episodes that nobody labelled; a person's flag stays."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.store import Store
from vip_offline.dataset.store_writer import StoreWriter
from vip_offline.errors import VipOfflineError

BY = "success_by"  # attribute of the store: what labelled -> {episode: flag}


def by_a_program(store: Store) -> NDArray[np.bool_]:
    """(E,) episodes whose flag is a program's, not a person's."""
    flagged = np.zeros(len(store), bool)
    for flags in store.attributes.get(BY, {}).values():
        for episode in flags:
            if int(episode) < len(flagged):
                flagged[int(episode)] = True
    return flagged & store.success_labelled


def write_success(store: StoreWriter, flags: Mapping[int, bool], by: str) -> None:
    """Flag episodes as success or failure, and remember by what.

    The flags become valid with one write, the last: a process that is killed before leaves the
    episodes unlabelled.

    Args:
        store: open for writing.
        flags: by episode.
        by: what labelled, in a few words.

    Raises:
        VipOfflineError: if one is labelled already, or the store is of an earlier release.
    """
    if not flags:
        return
    labelled, success = store.success_labelled.copy(), store.meta("success").copy()
    again = sorted(episode for episode in flags if labelled[episode])
    if again:
        raise VipOfflineError(
            f"{store.path}, episode {again[0]}: is labelled already; a flag is never overwritten."
        )
    if store.version == 1:
        raise VipOfflineError(
            f"{store.path}: was written by an earlier release. `vip-offline upgrade {store.path}` "
            "first, then label it."
        )
    for episode, flag in flags.items():
        success[episode], labelled[episode] = flag, True
    known = dict(store.attributes.get(BY, {}))
    mine = {str(episode): bool(flag) for episode, flag in flags.items()}
    store.update_attributes({BY: known | {by: known.get(by, {}) | mine}})
    store.put(store.array("meta/success"), 0, success)
    store.sync()
    store.put(store.array("meta/success_labelled"), 0, labelled)
    store.sync()
