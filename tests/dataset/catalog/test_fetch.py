"""Real servers on the loopback and real programs; what is fetched is imported."""

import hashlib
import json
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAM
from origins import LENGTHS, demos, lerobot, robomimic

from vip_offline.dataset.catalog.card import Card, card
from vip_offline.dataset.catalog.fetch import fetch_dataset
from vip_offline.dataset.media.video import write_video
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError

REVISION = "0" * 40
DATA = "$MINARI_DATASETS_PATH/D4RL/kitchen/complete-v2/data"
SCRIPT = f'mkdir -p "{DATA}"; touch "{DATA}/metadata.json"'


class Hub(ThreadingHTTPServer):
    """As much of a Hugging Face Hub as its own client asks for; any other path is a file's."""

    root: Path
    broken: str = ""  # a file that cannot be had


class Answer(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        root, path = self.server.root, self.path.partition("?")[0]
        files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        kind = "application/octet-stream"
        if path.startswith("/api/datasets/"):
            kind = "application/json"
            listed = [
                {
                    "type": "file",
                    "path": name,
                    "size": (root / name).stat().st_size,
                    "oid": "1" * 40,
                }
                for name in files
            ]
            about = {
                "id": "lerobot/pusht",
                "sha": REVISION,
                "siblings": [{"rfilename": name} for name in files],
            }
            data = json.dumps(listed if "/tree/" in path else about).encode()
        else:
            name = path.rpartition(f"/{REVISION}/")[2].lstrip("/")
            exists = name in files and name != self.server.broken
            data = (root / name).read_bytes() if exists else b""
        self.send_response(200 if data else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(("127.0.0.1", 0), Answer) as server:
        server.root = tmp_path / "served"
        server.root.mkdir()
        monkeypatch.setenv("HF_ENDPOINT", address(server))
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def address(server: Hub) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def import_as_the_card_says(data_set: Card) -> None:
    command = [data_set.filled(part) for part in data_set.command]
    assert command[0] == "vip-offline"
    result = subprocess.run([*PROGRAM, *command[1:]], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert data_set.state == "store"


def of_server(server: Hub, name: str = "image.hdf5") -> Card:
    known = card("robomimic-lift-ph")
    return replace(known, fetch=replace(known.fetch, url=f"{address(server)}/{name}"))


@pytest.mark.slow
def test_a_file_by_http_and_its_import(hub: Hub) -> None:
    robomimic(hub.root / "image.hdf5", solved=(0, 1, 2))
    data_set, progress = of_server(hub), []
    path = fetch_dataset(data_set, lambda done, total: progress.append((done, total)))
    assert path == Path("datasets/sources/robomimic-lift-ph/image.hdf5")
    assert path.read_bytes() == (hub.root / "image.hdf5").read_bytes()
    size = path.stat().st_size
    assert progress[-1] == (size, size)
    assert data_set.state == "fetched"
    import_as_the_card_says(data_set)
    assert len(open_store(data_set.store)) == len(LENGTHS)
    (hub.root / "image.hdf5").unlink()
    assert fetch_dataset(data_set) == data_set.store  # nothing is asked for again


def test_what_is_fetched_is_not_fetched_again(hub: Hub) -> None:
    robomimic(hub.root / "image.hdf5")
    data_set = of_server(hub)
    path = fetch_dataset(data_set)
    (hub.root / "image.hdf5").unlink()
    assert fetch_dataset(data_set) == path


def test_a_server_that_has_it_no_longer(hub: Hub) -> None:
    with pytest.raises(VipOfflineError, match=r"Not Found.*put it at datasets/sources/robomimic"):
        fetch_dataset(of_server(hub, "gone.hdf5"))
    assert card("robomimic-lift-ph").state == "fetch"


@pytest.mark.slow
def test_a_hub_by_its_own_client(hub: Hub) -> None:
    pytest.importorskip("huggingface_hub")
    lerobot(hub.root)
    data_set, messages = card("lerobot-pusht"), list[str]()
    hub.broken = "data/chunk-000/file-000.parquet"
    with pytest.raises(VipOfflineError, match=r"hf ended with exit code 1"):
        fetch_dataset(data_set)
    assert data_set.state == "fetch"  # half of it is nothing
    hub.broken = ""
    assert fetch_dataset(data_set, say=messages.append) == Path("datasets/sources/lerobot-pusht")
    part = Path("datasets/sources/lerobot-pusht.part").absolute()
    assert shlex.split(messages[0]) == [
        *("hf", "download", "lerobot/pusht", "--repo-type", "dataset", "--local-dir", str(part))
    ]
    assert not part.exists()
    import_as_the_card_says(data_set)
    assert open_store(data_set.store).rows == sum(LENGTHS)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("true",), r"ended well, but datasets/sources/d4rl-kitchen-complete.part/D4RL.*not there"),
        (("false",), "false ended with exit code 1"),
        (("no-such-program",), r"by no-such-program, which is not installed. pip install"),
    ],
)
def test_success_is_never_made_up(command: tuple[str, ...], message: str) -> None:
    known = card("d4rl-kitchen-complete")
    data_set = replace(known, fetch=replace(known.fetch, command=command))
    with pytest.raises(VipOfflineError, match=message):
        fetch_dataset(data_set)
    assert data_set.state == "fetch"


def test_a_program_is_told_where_to_put_it() -> None:
    known = card("d4rl-kitchen-complete")
    data_set = replace(known, fetch=replace(known.fetch, command=("sh", "-c", SCRIPT)))
    messages: list[str] = []
    path = fetch_dataset(data_set, say=messages.append)
    assert path == Path("datasets/sources/d4rl-kitchen-complete/D4RL/kitchen/complete-v2")
    assert path.is_dir()
    assert messages[0].startswith(f"MINARI_DATASETS_PATH={Path.cwd()}/datasets/sources/d4rl")


def test_something_in_the_way_is_left_alone() -> None:
    known = card("d4rl-kitchen-complete")
    data_set = replace(known, fetch=replace(known.fetch, command=("sh", "-c", SCRIPT)))
    assert data_set.folder is not None
    data_set.folder.mkdir(parents=True)
    (data_set.folder / "mine").touch()
    with pytest.raises(VipOfflineError, match="is in the way"):
        fetch_dataset(data_set)
    assert (data_set.folder / "mine").exists()


def test_half_a_download_is_not_taken_for_a_whole_one() -> None:
    # minari ends well, and does nothing, where a folder of that name is there
    known = card("d4rl-kitchen-complete")
    killed = replace(known.fetch, command=("sh", "-c", f"{SCRIPT}; exit 1"))
    with pytest.raises(VipOfflineError, match="exit code 1"):
        fetch_dataset(replace(known, fetch=killed))
    idle = replace(known.fetch, command=("true",))
    with pytest.raises(VipOfflineError, match="not there"):
        fetch_dataset(replace(known, fetch=idle))
    # a program that goes on finds what it left
    with pytest.raises(VipOfflineError, match="exit code 1"):
        fetch_dataset(replace(known, fetch=killed))
    assert fetch_dataset(replace(known, fetch=replace(idle, resumes=True))).is_dir()


@pytest.mark.parametrize("name", ["ego4d-clips", "vip-robot"])
def test_what_a_program_may_not_fetch(name: str) -> None:
    with pytest.raises(VipOfflineError) as caught:
        fetch_dataset(card(name))
    message = str(caught.value)
    assert f"{name}: cannot be fetched by a program.\n  1. " in message
    assert f"datasets/sources/{name}" in message
    assert not Path("datasets").exists()


def robot(folder: Path) -> None:
    for index, demo in enumerate(demos()):
        write_video(folder / f"{index:04d}/front.mp4", demo.frames, 25)
        np.savez(folder / f"{index:04d}/robot.npz", action=demo.action, proprio=demo.state)


def clips(folder: Path) -> None:
    for index, demo in enumerate(demos()):
        write_video(folder / f"{index}.mp4", demo.frames, 30)


@pytest.mark.parametrize(("name", "put"), [("vip-robot", robot), ("ego4d-clips", clips)])
def test_what_was_put_there_by_hand_is_imported(name: str, put: Callable[[Path], None]) -> None:
    data_set = card(name)
    assert data_set.folder is not None
    put(data_set.folder)
    assert fetch_dataset(data_set) == data_set.folder
    import_as_the_card_says(data_set)
    store = open_store(data_set.store)
    assert (len(store), store.rows) == (len(LENGTHS), sum(LENGTHS))


@pytest.mark.slow
@pytest.mark.sim
def test_a_recording() -> None:
    known = card("metaworld-drawer-close")
    small = ("--episodes", "1", "--failures", "1", "--max-steps", "5", "--image-size", "32")
    command = (*known.fetch.command[:5], *small)
    assert command[:3] == ("vip-offline", "record", "{store}")
    data_set = replace(known, fetch=replace(known.fetch, command=command))
    assert str(data_set.state) == "record"
    assert fetch_dataset(data_set) == Path("datasets/drawer-close.zarr")
    assert str(data_set.state) == "store"
    assert len(open_store(data_set.store)) == 1


def test_a_recording_that_fails() -> None:
    known = card("metaworld-drawer-close")
    refused = replace(known, fetch=replace(known.fetch, command=("vip-offline", "record", "--x")))
    with pytest.raises(VipOfflineError, match="exit code 2"):
        fetch_dataset(refused)
    idle = replace(known, fetch=replace(known.fetch, command=("true",)))
    with pytest.raises(VipOfflineError, match=r"but datasets/drawer-close\.zarr is not there"):
        fetch_dataset(idle)
