"""The tensors of a TorchScript archive, without its code.

`torch.jit.load` compiles an archive's code and runs it (any ``__setstate__``), which can write
files. A zip of pickles and raw storages is all that the tensors need; of the code, only the two
lines per class are read, as text, that name its parameters and its buffers.
"""

from __future__ import annotations

import ast
import io
import pickle
import pickletools
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from vip_offline.errors import VipOfflineError

MOST_TEXT = 64 * 2**20  # bytes of pickles and code: OpenAI's have 2 MB
MOST_NAMES, DEEPEST = 100_000, 64  # of a state: one that is made by hand may name itself
MOST_DIMENSIONS = 64
SCRIPTED = "__torch__"
STORAGE_DTYPES = {
    f"{name}Storage": dtype
    for name, dtype in {
        "Float": torch.float32,
        "Double": torch.float64,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Long": torch.int64,
        "Int": torch.int32,
        "Short": torch.int16,
        "Char": torch.int8,
        "Byte": torch.uint8,
        "Bool": torch.bool,
        "ComplexFloat": torch.complex64,
        "ComplexDouble": torch.complex128,
    }.items()
}
# of lists whose elements have a type: what they hold is their first argument
TYPED = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")
CLASS = re.compile(r"^class (\w+)\(Module\):\n((?:  .*\n)*)", re.MULTILINE)
NAMES_PATTERN = re.compile(r"^  __(?:parameters|buffers)__ = (\[.*\])$", re.MULTILINE)


@dataclass(frozen=True)
class _Storage:
    dtype: torch.dtype
    key: str
    size: int  # elements


@dataclass(frozen=True)
class _Stored:
    """Where a tensor lies in a storage; the storage itself is not read yet."""

    storage: _Storage
    offset: int  # elements
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Object:
    """Stands for an object of the archive's own classes: its attributes, and nothing it does."""

    kind = ""
    attributes: Mapping[str, object] = MappingProxyType({})

    def __setstate__(self, state: object) -> None:
        # of a class with a __getstate__ of its own any value: code alone would know its tensors
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"{self.kind} keeps its state in a way of its own")
        self.attributes = state


def state_of_archive(path: Path) -> dict[str, torch.Tensor]:
    """The state dict that ``torch.jit.load(path).state_dict()`` gives, on the CPU.

    Args:
        path: of a zip, with a checksum of each of its files, that ``torch.jit.save`` wrote.

    Raises:
        VipOfflineError: naming what is in the archive that is no tensor, container or number.
        Exception: what pickle and zipfile raise, if it is damaged; see `checkpoints.DAMAGED`.
    """
    with zipfile.ZipFile(path) as archive:
        files = {member.filename.partition("/")[2]: member for member in archive.infolist()}
        text = sum(
            member.file_size for name, member in files.items() if name.endswith((".pkl", ".py"))
        )
        if text > MOST_TEXT:
            raise VipOfflineError(
                f"{path}: has {text} bytes of code and pickles; at most {MOST_TEXT} are read. "
                "Save its state_dict() with torch.save where it is trusted."
            )
        if "byteorder" in files and archive.read(files["byteorder"]) != b"little":
            raise VipOfflineError(f"{path}: was written on a big-endian computer. Save it anew.")
        data = archive.read(files["data.pkl"])
        _check_opcodes(data)
        try:
            root = _Unpickler(io.BytesIO(data)).load()
        except _Refused as error:
            raise VipOfflineError(
                f"{path}: holds {error}, which is no tensor, container or number, so it is not "
                "read. Save its state_dict() with torch.save where it is trusted."
            ) from None
        code = {
            name.removeprefix("code/").removesuffix(".py").replace("/", "."): archive.read(member)
            for name, member in files.items()
            if name.startswith("code/") and name.endswith(".py")
        }
        named = list(_state(root, _listed(code), "", 0, [MOST_NAMES]))
        loaded: dict[str, bytes] = {
            key: archive.read(files[f"data/{key}"])
            for key in dict.fromkeys(stored.storage.key for _, stored in named)
        }
    return {name: _tensor(stored, loaded[stored.storage.key]) for name, stored in named}


class _Refused(Exception):
    """Something that is not built; the text names it."""


class _Unpickler(pickle.Unpickler):
    """Builds numbers, texts, containers and `_Stored`; looks no name up anywhere."""

    def find_class(self, module: str, name: str) -> Any:
        if module == SCRIPTED or module.startswith(f"{SCRIPTED}."):
            return type(name, (_Object,), {"kind": f"{module}.{name}"})
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        # made anew for each: a pickle may set attributes of what it is given
        built = {
            "collections.OrderedDict": OrderedDict,
            "torch._utils._rebuild_tensor_v2": lambda *arguments: _stored(*arguments),
            "torch.jit._pickle.restore_type_tag": lambda value, _: value,
            **{f"torch.jit._pickle.{type_name}": lambda value: value for type_name in TYPED},
        }
        if f"{module}.{name}" not in built:
            raise _Refused(f"{module}.{name}")
        return built[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, size = pid
        if not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise pickle.UnpicklingError("a storage has no type or no name")
        return _Storage(dtype, key, int(size))


def _stored(storage: _Storage, offset: int, size: Any, stride: Any, *_: object) -> _Stored:
    if len(size) > MOST_DIMENSIONS:
        raise pickle.UnpicklingError(f"a tensor of {len(size)} dimensions")
    return _Stored(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


def _check_opcodes(data: bytes) -> None:
    """Refuse numbers in a pickle for which the unpickler would make room before it looks.

    Raises:
        pickle.UnpicklingError: naming the place.
        ValueError: if the pickle is cut short.
    """
    for opcode, argument, place in pickletools.genops(data):
        if opcode.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(data):
            raise pickle.UnpicklingError(f"byte {place} of data.pkl: place {argument} of the memo")


def _listed(code: Mapping[str, bytes]) -> dict[str, Sequence[str]]:
    """Class of a module -> names of its parameters, then of its buffers."""
    listed: dict[str, Sequence[str]] = {}
    for module, text in code.items():
        for name, body in CLASS.findall(text.decode() + "\n"):
            names: list[str] = []
            for line in NAMES_PATTERN.findall(body):
                names += map(str, ast.literal_eval(line))
            listed[f"{module}.{name}"] = names
    return listed


def _state(
    module: object, listed: Mapping[str, Sequence[str]], prefix: str, depth: int, budget: list[int]
) -> Iterator[tuple[str, _Stored]]:
    """Name and place of each tensor of a module's state, in the order of `state_dict`."""
    if not isinstance(module, _Object) or module.kind not in listed:
        raise pickle.UnpicklingError("its root is no module")
    budget[0] -= 1
    if depth > DEEPEST or budget[0] < 0:
        raise pickle.UnpicklingError("its modules hold each other without end")
    for name in listed[module.kind]:
        value = module.attributes.get(name)
        if isinstance(value, _Stored):
            budget[0] -= 1
            yield prefix + name, value
    for name, value in module.attributes.items():
        if isinstance(value, _Object) and value.kind in listed:
            yield from _state(value, listed, f"{prefix}{name}.", depth + 1, budget)


def _tensor(stored: _Stored, data: bytes) -> torch.Tensor:
    """Build one tensor from the bytes of its storage.

    Raises:
        ValueError: if the tensor states more than the file holds.
    """
    storage = stored.storage
    last = stored.offset + sum(
        (n - 1) * step for n, step in zip(stored.size, stored.stride, strict=True)
    )
    count = torch.Size(stored.size).numel()
    room = len(data) // storage.dtype.itemsize
    if min(stored.offset, *stored.size, *stored.stride, 0) < 0 or (
        count and (last >= room or count > room)
    ):
        raise ValueError(
            f"a tensor of size {stored.size} states more than storage {storage.key}, which holds "
            f"{room} elements"
        )
    if not count:
        return torch.empty(stored.size, dtype=storage.dtype)
    elements = torch.frombuffer(bytearray(data), dtype=storage.dtype)
    return elements.as_strided(stored.size, stored.stride, stored.offset)
