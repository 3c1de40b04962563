"""A zarr that runs code, wherever it names its codec; and those that people have."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hostile_zarr import NAMED, PICKLE, poisoned
from origins import replay
from zarr.storage import LocalStore, ZipStore

from vip_offline.dataset.storage.untrusted_zarr import CODECS, VettedStore, require_known_codecs
from vip_offline.dataset.storage.zarr_arrays import array_at
from vip_offline.dataset.zarr_frames import open_zarr
from vip_offline.errors import VipOfflineError


def sharded(inner: str) -> list[dict[str, Any]]:
    return [{"name": "sharding_indexed", "configuration": {inner: [NAMED]}}]


@pytest.mark.parametrize(
    "about",
    [
        {"compressor": PICKLE},
        {"filters": [{"id": "delta"}, PICKLE]},
        {"filters": {"id": "pickle"}},
        {"filters": [[["id", "pickle"]]]},
        {"filters": ["pickle"]},
        {"filters": [{"id": ["pickle"]}]},
        {"codecs": [{"name": "bytes"}, NAMED]},
        {"codecs": ["bytes", "numcodecs.pickle"]},
        {"codecs": [{"name": "bytes", "id": "pickle"}]},
        {"codecs": sharded("codecs")},
        {"codecs": sharded("index_codecs")},
        {"metadata": {"data/x/.zarray": {"filters": [PICKLE]}}},
        {"consolidated_metadata": {"metadata": {"attributes": {"codecs": [NAMED]}}}},
    ],
)
def test_wherever_a_codec_is_named_it_must_be_known(about: dict[str, Any]) -> None:
    with pytest.raises(VipOfflineError, match=r"^set: zarr.json.*pickle.*run no code.*again with"):
        require_known_codecs(json.dumps(about).encode(), "set: zarr.json")


def test_what_people_have_is_known() -> None:
    v2 = {"compressor": {"id": "blosc"}, "filters": [{"id": "vlen-utf8"}]}
    umi = {"compressor": {"id": "imagecodecs_jpegxl", "level": 99}, "filters": None}
    v3 = {"codecs": ["bytes", {"name": "zstd", "configuration": {"level": 0}}]}
    sums = {"metadata": {".zattrs": {"filters": ["mine"]}, "data/x/.zarray": v2}}
    own = {"attributes": {"codecs": ["mine"]}, "codecs": [{"name": "numcodecs.lz4"}]}
    abouts: tuple[Any, ...] = (v2, umi, v3, sums, own, [], None, {"codecs": None})
    for about in abouts:
        require_known_codecs(json.dumps(about).encode(), "set")
    require_known_codecs(b"{", "set")  # zarr says what is wrong
    unknown = set(numcodecs.registry.codec_registry) - CODECS
    assert unknown <= {"pickle"} | {name for name in unknown if name.startswith("imagecodecs_")}


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True)  # as before 0.16.6
    poisoned(tmp_path / "set.zarr", tmp_path / "mark")
    with pytest.raises(VipOfflineError, match=r"set.zarr: data/state/.zarray: .*'pickle'"):
        array_at(open_zarr(tmp_path / "set.zarr"), "data/state", "set")
    assert not (tmp_path / "mark").exists()
    plain = zarr.open_group(tmp_path / "set.zarr", mode="r")["data/state"]
    with suppress(Exception):  # what the bomb makes is no array
        plain[0]  # type: ignore[index]
    assert (tmp_path / "mark").exists()  # so it was live


def test_a_pipe_in_place_of_a_chunk_is_not_waited_for(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    array = array_at(open_zarr(tmp_path / "set.zarr"), "data/state", "set")
    (tmp_path / "set.zarr/data/state/0.0").unlink()
    os.mkfifo(tmp_path / "set.zarr/data/state/0.0")
    with pytest.raises(VipOfflineError, match=r"state/0\.0: is a FIFO"):
        array[0]


def test_bytes_below_a_key_are_counted(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zip", mode="w") as archive:
        zarr.create_array(archive, name="x", data=np.arange(9))
    whole = (tmp_path / "a.zip").stat().st_size
    assert [*VettedStore(ZipStore(tmp_path / "a.zip", mode="r")).stored("x")] == [whole]
    zarr.create_array(LocalStore(tmp_path / "a"), name="x", data=np.arange(9))
    stored = sum(VettedStore(LocalStore(tmp_path / "a")).stored("x"))
    assert stored == sum(p.stat().st_size for p in (tmp_path / "a/x").rglob("*") if p.is_file())
