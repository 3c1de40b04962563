"""What is committed in a folder, read without the package: pieces, each known by a hash.

A piece is what a user would miss: an episode of a store, a labelling, the embedding of an episode,
a file of a policy, a line of a log, an exported data set. Two folders hold the same if their pieces
are equal: arrays are compared decoded, texts without dates and places.
"""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

Pieces = dict[str, str]  # name -> hash
DATED = ("created", "code_version", "minutes", "shipped", "seconds", "versions", "frames_per_s")
# times and inodes of an origin's files; arrays there are so far; a checksum of all of it
DERIVED = ("data_wait", "waited", "origin_files", "arrays", "vip_offline_checksum")
DATE = re.compile(rb"\d{4}-\d\d-\d\d[T ]?[\d:.]*(?:\+00:00|Z)?|\b\d+(?:\.\d+)? (?:min|s)\b")
GROUPS = ("data", "extras", "meta", "embeddings", "goals")  # of a store, beside its labels
HIDDEN = re.compile(r"\..+|.+\.partial")
LOGS = re.compile(r"events\.out\.tfevents.*")  # beside what they tell, and named after the moment
WITHOUT_CONTENT = re.compile(r".+\.(svg|html|png|mp4|onnx)")
LINES, TEXTS = (".jsonl",), (".md", ".txt", ".toml", ".csv", "")


def digest(*parts: bytes) -> str:
    """Of bytes, with their lengths."""
    made = hashlib.blake2b(digest_size=12)
    for part in parts:
        made.update(len(part).to_bytes(8, "little") + part)
    return made.hexdigest()


def of_array(array: NDArray[Any]) -> bytes:
    """Bytes of an array, its shape and dtype; NaN is NaN."""
    if array.dtype.kind in "OSUT":
        return repr(array.tolist()).encode()
    return f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes()


def pieces(folder: Path) -> Pieces:
    """All that is visible below a folder; hidden files and ``*.partial`` are not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's, of folders that no zarr wrote
        return dict(_below(folder, folder))


def names(folder: Path) -> set[str]:
    """Everything below a folder, hidden or not: what is left over shows here."""
    found = set()
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = (Path(where, name)).relative_to(folder).as_posix()
            found.add(re.sub(r"tfevents.*", "tfevents", path))
    return found


def _below(path: Path, top: Path) -> Iterator[tuple[str, str]]:
    name = path.relative_to(top).as_posix()
    if path != top and (HIDDEN.fullmatch(path.name) or LOGS.fullmatch(path.name)):
        return
    if not path.is_dir():
        yield from _file(path, name, top)
    elif (path / "zarr.json").exists():
        yield from _zarr(path, name, top)
    elif (path / ".zgroup").exists():
        yield name, _group_digest(zarr.open_group(path, mode="r"), top)
    elif any((path / sign).exists() for sign in ("meta/info.json", "data/metadata.json")):
        # a data set of LeRobot or Minari: one piece
        parts = sorted(each for each in path.rglob("*") if each.is_file())
        yield name, digest(*(_readable(part, top) for part in parts))
    else:
        for each in sorted(path.iterdir()):
            yield from _below(each, top)


def _file(path: Path, name: str, top: Path) -> Iterator[tuple[str, str]]:
    if path.suffix in LINES:
        for number, line in enumerate(path.read_bytes().splitlines()):
            yield f"{name}, line {number}", digest(line)
    else:
        yield name, digest(_readable(path, top))


def _readable(path: Path, top: Path) -> bytes:
    """What of a file counts; of a damaged one all."""
    try:
        return _content(path, top)
    except Exception:
        return b"cannot be read" + path.read_bytes()


def _content(path: Path, top: Path) -> bytes:
    """What of a file counts."""
    data = path.read_bytes()
    if WITHOUT_CONTENT.fullmatch(path.name):
        return b"there" if data else b"empty"
    if path.suffix == ".json":
        text = json.dumps(plain(json.loads(data)), sort_keys=True)
        return _placeless(text.encode(), top)
    if path.suffix in (".hdf5", ".h5"):
        import h5py

        found: list[bytes] = []

        def visit(key: str, item: Any) -> None:
            found.append(key.encode())
            found.extend(f"{k}={_value(item.attrs[k])}".encode() for k in sorted(item.attrs))
            if isinstance(item, h5py.Dataset):
                found.append(of_array(np.asarray(item[()])))

        with h5py.File(path) as file:
            file.visititems(visit)
        return digest(*found).encode()
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return repr(pyarrow.parquet.read_table(path).to_pylist()).encode()
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=True) as arrays:
            keys = sorted({*arrays} - {"states"} if path.name == "clips.npz" else arrays)
            found = [k.encode() + of_array(arrays[k]) for k in keys]  # not when clips were written
            return digest(*(_placeless(each, top) for each in found)).encode()
    if path.suffix == ".safetensors":
        from safetensors.numpy import load

        return digest(*(k.encode() + of_array(v) for k, v in sorted(load(data).items()))).encode()
    if path.suffix in (".pt", ".d3"):
        return _pickled(path)
    if path.name == "SHA256SUMS":
        return b"whole" if _sums_hold(path) else b"broken"
    if path.suffix in TEXTS:
        return _placeless(data, top)
    return data


def _pickled(path: Path) -> bytes:
    """Tensors, numbers and texts of what torch saved."""
    import torch

    def flat(value: Any) -> Iterator[bytes]:
        if isinstance(value, Mapping):
            for key, each in value.items():
                yield str(key).encode()
                yield from flat(each)
        elif isinstance(value, list | tuple):
            for each in value:
                yield from flat(each)
        elif isinstance(value, torch.Tensor):
            yield of_array(value.detach().numpy())
        else:
            yield repr(value).encode()

    return digest(*flat(torch.load(path, map_location="cpu", weights_only=False))).encode()


def _sums_hold(path: Path) -> bool:
    for line in path.read_text().splitlines():
        sha256, _, name = line.partition("  ")
        other = path.with_name(name)
        if not other.exists() or hashlib.sha256(other.read_bytes()).hexdigest() != sha256:
            return False
    return True


def _value(value: Any) -> str:
    return repr(value.tolist() if isinstance(value, np.ndarray) else value)


def plain(value: Any) -> Any:
    """Without what tells when and how fast it was made."""
    if isinstance(value, Mapping):
        dated = (*DATED, *DERIVED)
        return {k: plain(v) for k, v in value.items() if k not in dated}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def _placeless(data: bytes, top: Path) -> bytes:
    return DATE.sub(b"", data.replace(str(top).encode(), b"@"))


def _attributes(item: Any, top: Path) -> bytes:
    text = json.dumps(plain(dict(item.attrs)), sort_keys=True, default=repr)
    return _placeless(text.encode(), top)


def _group_digest(group: zarr.Group, top: Path) -> str:
    found = [_attributes(group, top)]
    for key, item in sorted(group.members(max_depth=None)):
        found += [key.encode(), _attributes(item, top)]
        if isinstance(item, zarr.Array):
            found.append(of_array(np.asarray(item[...])))
    return digest(*found)


def _zarr(path: Path, name: str, top: Path) -> Iterator[tuple[str, str]]:
    try:
        found = list(_members(path, name, top))
    except Exception as error:
        yield name, f"cannot be read: {type(error).__name__}"
    else:
        yield from found


def _arrays(root: zarr.Group, group: str) -> Iterator[tuple[str, zarr.Array[Any]]]:
    found = root.get(group)
    if isinstance(found, zarr.Group):
        for key, item in found.members(max_depth=None):
            if isinstance(item, zarr.Array):
                yield f"{group}/{key}", item


def _members(path: Path, name: str, top: Path) -> Iterator[tuple[str, str]]:
    root = zarr.open_group(path, mode="r")
    if root.attrs.get("format") != "vip-offline":
        yield name, _group_digest(root, top)
        return
    yield f"{name} attributes", digest(_attributes(root, top))
    arrays = {
        key: np.asarray(item[...])
        for group in GROUPS
        if (path / group).is_dir()
        for key, item in _arrays(root, group)
    }
    done = arrays.pop("meta/done", np.zeros(0, bool))
    finished = len(done) if done.all() else int(np.argmin(done))
    ends = [0, *arrays.get("meta/episode_ends", done)[:finished].tolist()]
    for index, (start, stop) in enumerate(pairwise(ends)):
        found = []
        for key, array in sorted(arrays.items()):
            group = key.split("/")[0]
            if group in ("data", "extras"):
                found.append(key.encode() + of_array(array[start:stop]))
            elif group == "meta" and "names" in root[key].attrs:
                code = int(array[index])
                said: Any = root[key].attrs["names"]
                found.append(key.encode() + str(said[code] if code >= 0 else "").encode())
            elif group == "meta":
                row = of_array(array[index])
                found.append(key.encode() + row.replace(str(top).encode(), b"@"))
        yield f"{name} episode {index}", digest(*found)
        for key, array in arrays.items():
            marked = arrays.get(f"{key}@content")
            if marked is not None and index < len(marked) and marked[index].any():
                yield f"{name} {key} of {index}", digest(of_array(array[start:stop]))
    labels = root.get("labels")
    if isinstance(labels, zarr.Group):
        for key, label in sorted(labels.groups()):
            yield f"{name} labels/{key}", _group_digest(label, top)
    for key, array in arrays.items():
        if key.startswith("goals/"):
            yield f"{name} {key}", digest(of_array(array))
