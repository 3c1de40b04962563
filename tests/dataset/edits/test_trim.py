from pathlib import Path

import numpy as np
import pytest
from conftest import LENGTHS
from imported import imported
from origins import lerobot, replay

from vip_offline.dataset.edits.trim import write_trimmed
from vip_offline.dataset.store import Store, open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.rewards.relabel import relabel


def trimmed(store: Store, out: Path) -> tuple[Store, list[slice]]:
    """Without the first row of each episode and the last of the second."""
    parts = [(start + 1, stop - (index == 1)) for index, (start, stop) in enumerate(store.spans())]
    assert write_trimmed(store, out, parts, {"margin": 0}) == []
    new = open_store(out)
    new.require_finished()
    return new, [slice(*part) for part in parts]


def rows(store: Store, key: str, parts: list[slice]) -> np.ndarray:
    return np.concatenate([store.data(key)[part] for part in parts])


def test_rows_embeddings_and_what_is_known_of_episodes_are_carried_over(
    labelled: Path, tmp_path: Path
) -> None:
    old = open_store(labelled)
    new, parts = trimmed(old, tmp_path / "new.zarr")
    assert [stop - start for start, stop in new.spans()] == [4, 5, 5] != [*LENGTHS]
    for key in ("proprio", "action", "succeeded", "true_reward"):
        assert np.array_equal(new.data(key), rows(old, key, parts), equal_nan=True)
    frames = np.concatenate([old.frames("front", part.start, part.stop) for part in parts])
    assert np.array_equal(new.frames("front", 0, new.rows), frames)
    for key in ("success", "placement", "kind"):
        assert np.array_equal(new.meta(key), old.meta(key))
    assert new.attributes["trimmed"] == {"from": str(labelled.absolute()), "margin": 0}
    # what was embedded need not be again; goals are of other frames now
    embedding = old.embedding("pixels", "front")[0]
    carried = np.concatenate([embedding[part] for part in parts])
    assert np.array_equal(new.embedding("pixels", "front")[0], carried)
    assert new.embedded("pixels", "front").all() and new.label_names == []
    relabel(new.path, RelabelOptions("pixels"))
    assert open_store(labelled).label().name  # which was only read


@pytest.mark.parametrize("kind", ["video", "linked"])
def test_frames_that_lie_elsewhere_stay_there(kind: str, tmp_path: Path) -> None:
    if kind == "video":
        lerobot(tmp_path / "set")
        old = imported(tmp_path / "set", tmp_path / "old.zarr")
    else:
        replay(tmp_path / "set.zarr")
        old = imported(tmp_path / "set.zarr", tmp_path / "old.zarr", link_frames=True)
    (camera,) = old.cameras
    (tmp_path / "deep").mkdir()
    new, parts = trimmed(old, tmp_path / "deep/new.zarr")
    frames = np.concatenate([old.frames(camera, part.start, part.stop) for part in parts])
    assert np.array_equal(new.frames(camera, 0, new.rows), frames)
    assert new.find(f"data/frames_{camera}") is None
    assert np.array_equal(new.meta("source_episode"), old.meta("source_episode"))
    hashes = np.stack([new.frame_storage(camera).hash_episode(index) for index in range(3)])
    assert np.array_equal(new.recorded_content(camera), hashes)


def test_nothing_is_ever_written_over(store_path: Path) -> None:
    old = open_store(store_path)
    with pytest.raises(VipOfflineError, match="is there already"):
        write_trimmed(old, store_path, old.spans(), {})
    assert len(open_store(store_path)) == len(LENGTHS)
    assert [path.name for path in store_path.parent.iterdir()] == [store_path.name]
