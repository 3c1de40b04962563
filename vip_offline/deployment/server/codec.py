"""Messages on the wire: msgpack with NumPy arrays, in the form that openpi's clients write.

An array is a map of bytes keys, ``__ndarray__`` (true), ``data``, ``dtype`` (NumPy's, such as
``|u1``) and ``shape``; a NumPy scalar is ``__npgeneric__`` (true), ``data``, ``dtype``. Whoever
reaches the port can send anything, so a message is read against limits and a list of dtypes:
what it can take is bounded by its own size, and nothing in it is ever executed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError

ARRAY, SCALAR = b"__ndarray__", b"__npgeneric__"
DATA, DTYPE, SHAPE = b"data", b"dtype", b"shape"
# spelled out: NumPy's own parser of dtypes knows pickled objects, records and dates
WIRE_DTYPES = {
    f"{order}{kind}{size}": np.dtype(f"{order}{kind}{size}")
    for kind, sizes in {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8)}.items()
    for size in sizes
    for order in ("|" if size == 1 else "<>")
}
CHARACTERS_SHOWN = 80  # characters of what was sent
_NAMED: dict[str, tuple[type, ...]] = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float)}


class MessageError(VipOfflineError):
    """A message that cannot be decoded; the text says why."""


@dataclass(frozen=True)
class Limits:
    """Limits on the size, depth and items of a message."""

    size: int  # bytes
    depth: int = 8  # maps and lists inside one another
    items: int = 1024  # values, keys included, over the whole message
    elements: int = 1 << 28  # of one array
    text: int = 1 << 16  # bytes of one string


def encode(message: Any) -> bytes:
    """Encode maps, lists, strings, numbers, arrays and NumPy scalars.

    Raises:
        MessageError: on anything else, objects, records and complex numbers among it.
    """
    try:
        return bytes(msgpack.packb(message, default=_plain))
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError(f"message: cannot be written ({error}).") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.str not in WIRE_DTYPES:
            raise TypeError(f"an array of {value.dtype}; expected bool, int, uint or float")
        if isinstance(value, np.generic):
            return {SCALAR: True, DATA: value.item(), DTYPE: value.dtype.str}
        return {
            ARRAY: True,
            DATA: value.tobytes(),
            DTYPE: value.dtype.str,
            SHAPE: value.shape,
        }
    raise TypeError(f"a {type(value).__name__}")


def decode(message: bytes, limits: Limits) -> Any:
    """Decode what `encode`, or openpi's client, encoded.

    Arrays are views of their bytes, in the machine's own byte order, and read-only. Nothing is
    set aside for a length that the message only claims.

    Raises:
        MessageError: if it is not whole, holds more than `limits` allows, an unknown dtype, a
            shape that its data does not have, a key twice, or what no observation needs.
    """
    if len(message) > limits.size:
        raise MessageError(f"message: {len(message)} bytes; at most {limits.size} are taken.")
    reader = _Reader(message, limits)
    try:
        value = reader.value(0)
    except msgpack.OutOfData:
        raise MessageError(f"message: ends too early, after {len(message)} bytes.") from None
    except MessageError:
        raise
    except (ValueError, msgpack.UnpackException) as error:
        # texts that are no UTF-8, and the one byte that msgpack leaves undefined
        raise MessageError(
            f"message: is no msgpack ({str(error)[:CHARACTERS_SHOWN] or 'an undefined byte'})."
        ) from None
    if reader.place != len(message):
        raise MessageError(f"message: {len(message) - reader.place} bytes after its end.")
    return value


def _shown(value: Any) -> str:
    """For a message of ours; whatever was sent, it stays short, and is not even written long."""
    if isinstance(value, str | bytes):
        return f"{value[:CHARACTERS_SHOWN]!r}{'...' if len(value) > CHARACTERS_SHOWN else ''}"
    if isinstance(value, list) and not all(isinstance(item, int) for item in value):
        return f"a list of {len(value)} values"
    if isinstance(value, dict):
        return f"a map of {len(value)} keys"
    text = str(value)  # a number, an array or none, which NumPy shortens
    return text if len(text) <= CHARACTERS_SHOWN else f"{text[:CHARACTERS_SHOWN]}..."


class _Reader:
    """One message, read value by value: the library alone would build lists that are only claimed,
    and count neither depth nor items.
    """

    def __init__(self, message: bytes, limits: Limits) -> None:
        self._message = message
        self._limits = limits
        self._items = 0
        self._unpacker = msgpack.Unpacker(
            max_buffer_size=max(len(message), 1), max_str_len=limits.text, max_ext_len=0
        )
        self._unpacker.feed(message)

    @property
    def place(self) -> int:
        """How many bytes were read."""
        return int(self._unpacker.tell())

    def value(self, depth: int) -> Any:
        """What comes next."""
        self._items += 1
        if self._items > self._limits.items:
            raise MessageError(f"message: more than {self._limits.items} values.")
        if self.place >= len(self._message):
            raise msgpack.OutOfData
        first = self._message[self.place]
        is_map = 0x80 <= first <= 0x8F or first in (0xDE, 0xDF)
        is_list = 0x90 <= first <= 0x9F or first in (0xDC, 0xDD)
        if not (is_map or is_list):
            if 0xC7 <= first <= 0xC9 or 0xD4 <= first <= 0xD8:
                raise MessageError("message: holds an extension type, which nothing here needs.")
            return self._unpacker.unpack()
        if depth >= self._limits.depth:
            raise MessageError(f"message: maps and lists more than {self._limits.depth} deep.")
        if is_list:
            return [self.value(depth + 1) for _ in range(self._unpacker.read_array_header())]
        return _restored(self._map(self._unpacker.read_map_header(), depth), self._limits)

    def _map(self, length: int, depth: int) -> dict[Any, Any]:
        read: dict[Any, Any] = {}
        for _ in range(length):
            key = self.value(self._limits.depth)  # a key holds no map or list
            if not isinstance(key, str | bytes):
                raise MessageError(f"message: a key is a {type(key).__name__}; expected a text.")
            if key in read:
                raise MessageError(f"message: the key {_shown(key)} twice.")
            read[key] = self.value(depth + 1)
        return read


def _restored(read: dict[Any, Any], limits: Limits) -> Any:
    """A map as it is, or the array or scalar that it stands for."""
    if all(isinstance(key, str) for key in read):
        return read
    if read.keys() == {ARRAY, DATA, DTYPE, SHAPE} and read[ARRAY] is True:
        return _array(read, limits)
    if read.keys() == {SCALAR, DATA, DTYPE} and read[SCALAR] is True:
        return _scalar(read)
    raise MessageError("message: a map of bytes keys that is neither an array nor a scalar.")


def _dtype(read: Mapping[bytes, Any]) -> np.dtype[Any]:
    text = read[DTYPE]
    dtype = WIRE_DTYPES.get(text) if isinstance(text, str) else None
    if dtype is None:
        raise MessageError(
            f"message: dtype {_shown(text)}; expected bool, int, uint or float as NumPy writes "
            f"them: {', '.join(name for name in WIRE_DTYPES if not name.startswith('>'))}."
        )
    return dtype


def _array(read: Mapping[bytes, Any], limits: Limits) -> NDArray[Any]:
    dtype, shape, data = _dtype(read), read[SHAPE], read[DATA]
    if not isinstance(shape, list) or len(shape) > limits.depth:
        raise MessageError(f"message: an array's shape is {_shown(shape)}; expected a few sizes.")
    if not all(type(size) is int and 0 <= size <= limits.elements for size in shape):
        raise MessageError(
            f"message: the shape {_shown(shape)} of an array; expected sizes from 0 to "
            f"{limits.elements}."
        )
    # the product without zeros too: NumPy computes strides even of an array that holds nothing
    if math.prod(size for size in shape if size) > limits.elements:
        raise MessageError(
            f"message: an array of shape {_shown(shape)}; at most {limits.elements} elements."
        )
    expected = math.prod(shape) * dtype.itemsize
    if not isinstance(data, bytes) or len(data) != expected:
        actual = f"{len(data)} bytes" if isinstance(data, bytes) else f"a {type(data).__name__}"
        raise MessageError(
            f"message: an array of shape {_shown(shape)} and dtype {dtype} has {expected} bytes; "
            f"its data is {actual}."
        )
    if dtype.kind == "b" and data.strip(b"\x00\x01"):
        raise MessageError("message: a bool array with bytes that are neither 0 nor 1.")
    array = np.ndarray(shape, dtype, data)
    if not dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
        array.flags.writeable = False
    return array


def _scalar(read: Mapping[bytes, Any]) -> np.generic:
    dtype, value = _dtype(read), read[DATA]
    # to Python a bool is an int; here it is not
    if not isinstance(value, _NAMED[dtype.kind]) or isinstance(value, bool) is (dtype.kind != "b"):
        raise MessageError(f"message: a {dtype} scalar is {_shown(value)}.")
    try:
        with np.errstate(over="ignore"):  # too great a float is infinite, which the guard sees
            return dtype.type(value)  # type: ignore[no-any-return]
    except OverflowError:
        raise MessageError(f"message: {_shown(value)} does not fit {dtype}.") from None
