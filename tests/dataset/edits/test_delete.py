import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_cameras import two_cameras
from store_files import contents

from vip_offline.dataset.edits.delete import delete
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.rewards.relabel import relabel

PIXELS = RelabelOptions(encoder="pixels")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = two_cameras(tmp_path / "two.zarr")
    for camera in ("front", "wrist"):
        relabel(path, replace(PIXELS, camera=camera, name=camera))
    return path


@pytest.mark.slow
def test_what_is_left_is_as_it_was_before_it_came(store: Path) -> None:
    before = contents(store)
    relabel(store, replace(PIXELS, camera="front", name="last", goal=("last",)))
    files = (store / "labels" / "last").rglob("*")
    added = sum(path.stat().st_size for path in files if path.is_file())
    deleted = delete(store, ["last"], [])
    assert (deleted.labels, deleted.embeddings, deleted.size) == (("last",), (), added)
    assert contents(store) == before
    assert sorted(store.parent.iterdir()) == [store]
    delete(store, ["wrist"], ["pixels/wrist"])
    assert open_store(store).label_names == ["front"]
    assert open_store(store).keys("embeddings/pixels") == [
        "front",
        "front@content",
        "front@hash",
    ]
    assert relabel(store, replace(PIXELS, camera="wrist", name="wrist")).embedded_frames == 18


def test_all_cameras_of_an_encoder(store: Path) -> None:
    deleted = delete(store, ["front", "wrist"], ["pixels"])
    assert deleted.embeddings == ("pixels/front", "pixels/wrist")
    assert open_store(store).keys("embeddings/pixels") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "embeddings", "part"),
    [
        (["wirst"], [], r"no label 'wirst'.*Did you mean 'wrist'"),
        (["wrist", "no"], [], "no label 'no'"),
        ([], ["pixels/wirst"], r"no embedding 'pixels/wirst'.*Did you mean 'pixels/wrist'"),
        ([], ["lite0"], "no embedding 'lite0'"),
        ([], [], "name a --label or an --embedding"),
        (
            ["wrist"],
            ["pixels"],
            r"needed by the labellings .*\(front\).*--embedding pixels/front --embedding "
            "pixels/wrist --label front --label wrist`",
        ),
        (["../two.zarr"], [], "no label"),
    ],
)
def test_what_is_refused_changes_nothing(
    store: Path, labels: list[str], embeddings: list[str], part: str
) -> None:
    before = contents(store)
    with pytest.raises(VipOfflineError, match=part):
        delete(store, labels, embeddings)
    assert contents(store) == before


@pytest.mark.slow
def test_not_while_another_writes(store: Path) -> None:
    with (
        writing(store),
        pytest.raises(VipOfflineError, match="another process is writing"),
    ):
        delete(store, ["wrist"], [])
    assert open_store(store).label_names == ["front", "wrist"]


KILLED = """
import os, signal, sys
from pathlib import Path
from vip_offline.dataset.edits import delete as deleting
calls = int(sys.argv[2])
def flush(path):
    global calls
    calls -= 1
    if not calls:
        os.kill(os.getpid(), signal.SIGKILL)
deleting.flush = flush
deleting.delete(Path(sys.argv[1]), ["wrist"], ["pixels/wrist"])
"""


@pytest.mark.parametrize("renamed", [1, 2, 3])
def test_a_kill_leaves_a_whole_store(store: Path, renamed: int) -> None:
    command = [sys.executable, "-c", KILLED, str(store), str(renamed)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    opened = open_store(store)
    assert opened.label_names == ["front"]
    assert opened.label("front").reward.size == 18
    assert bool(opened.embedded("pixels", "wrist").any()) == (renamed == 1)
    relabel(store, replace(PIXELS, camera="wrist", name="again"))  # the next writer clears up
    assert sorted(store.parent.iterdir()) == [store]
    assert open_store(store).embedding("pixels", "wrist")[0].shape == (18, 3072)
