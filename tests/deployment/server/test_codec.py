import tracemalloc
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vip_offline.deployment.server.codec import WIRE_DTYPES, Limits, MessageError, decode, encode

LIMITS = Limits(1 << 20)
# how fast each example is, is not what is tested
many = settings(max_examples=3500, deadline=None, suppress_health_check=list(HealthCheck))


def array(**changed: Any) -> bytes:
    """A valid (2,) float32, changed."""
    form = {"__ndarray__": True, "data": bytes(8), "dtype": "<f4", "shape": [2]} | changed
    return bytes(msgpack.packb({key.encode(): value for key, value in form.items()}))


def scalar(data: Any, dtype: str) -> bytes:
    return bytes(msgpack.packb({b"__npgeneric__": True, b"data": data, b"dtype": dtype}))


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray | np.generic):
        return (
            type(a) is type(b)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and a.tobytes() == b.tobytes()
        )
    return type(a) is type(b) and (a == b or a != a)


def wire(value: Any) -> Any:
    """As msgpack has it: NumPy's float64 is Python's float, to msgpack and to openpi's client."""
    if isinstance(value, dict):
        return {key: wire(item) for key, item in value.items()}
    if isinstance(value, list):
        return [wire(item) for item in value]
    return float(value) if isinstance(value, np.float64) else value


kinds = st.sampled_from([np.dtype(dtype) for dtype in WIRE_DTYPES if not dtype.startswith(">")])
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | hnp.arrays(kinds, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    | kinds.flatmap(lambda kind: hnp.from_dtype(kind))
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.text(max_size=8), values, max_size=5))
def test_there_and_back(message: dict[str, Any]) -> None:
    assert same(decode(encode(message), Limits(1 << 20, depth=12)), wire(message))


def test_an_array_in_another_byte_order_and_layout_means_the_same() -> None:
    columns = np.arange(6, dtype=np.int16).reshape(2, 3).T
    message = encode({"a": columns.astype(">i2"), "b": columns})
    assert b">i2" in message
    for got in decode(message, LIMITS).values():
        assert got.dtype == np.int16 and got.dtype.isnative
        assert not got.flags.writeable
        np.testing.assert_array_equal(got, columns)


def test_a_frame_is_not_copied_but_viewed() -> None:
    frame = np.zeros((64, 64, 3), np.uint8)
    got = decode(encode({"frame/front": frame}), LIMITS)["frame/front"]
    assert isinstance(got.base, bytes)


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.zeros(2, np.complex64),
        np.zeros(2, "V4"),
        np.zeros(2, [("a", np.float32)]),
        np.array(["text"]),
        np.array(["2026"], "datetime64[D]"),
        np.complex64(1),
        object(),
        {1, 2},
        2**64,
    ],
    ids=lambda value: str(value).partition(" at 0x")[0],  # the same in every process
)
def test_what_is_not_sent(value: Any) -> None:
    with pytest.raises(MessageError, match="cannot be written"):
        encode({"key": value})


@pytest.mark.parametrize(
    "dtype",
    [
        *("O", "|O", "|O8", "V8", "|V8", "<c8", "<U4", "|S4", "<M8[D]", "<m8[s]", "<f16", "f4"),
        *("float32", "<f4,<f4", "(2,)<f4", "{'names': ['a'], 'formats': ['O']}", "", None, 1),
        *(b"<f4", ["<f4"]),
    ],
    ids=str,
)
def test_dtypes_that_are_not_read(dtype: Any) -> None:
    with pytest.raises(MessageError, match="expected bool, int, uint or float"):
        decode(array(dtype=dtype), LIMITS)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"", "ends too early"),
        (b"\xc1", "is no msgpack"),
        (b"\x81\xa1a", "ends too early"),
        (b"\x01\x01", "1 bytes after its end"),
        (b"\xa1\xff", "is no msgpack"),
        (b"\xd4\x01\x00", "extension type"),
        (b"\xc7\x03\x01abc", "extension type"),
        (b"\xd6\xff\x00\x00\x00\x00", "extension type"),  # a time
        (b"\x82\xa1a\x01\xa1a\x02", "the key 'a' twice"),
        (b"\x81\x01\x02", "a key is a int"),
        (b"\x81\xc0\x02", "a key is a NoneType"),
        (b"\x81\x90\x02", "more than 8 deep"),  # a list as a key
        (b"\x81\xc4\x01a\x02", "neither an array nor a scalar"),
        (b"\x91" * 9 + b"\x01", "more than 8 deep"),
        (b"\x91" * 100_000, "more than 8 deep"),
        (b"\xdd\xff\xff\xff\xff", "ends too early"),
        (b"\xdf\xff\xff\xff\xff", "ends too early"),
        (b"\xc6\xff\xff\xff\xff", "ends too early|is no msgpack"),
        (b"\xdc\xff\xff" + b"\x01" * 65535, "more than 1024 values"),
        (b"\xda\xff\xff" * 2, "ends too early|is no msgpack"),
        (bytes(1 << 20) + b"\x00", "1048577 bytes; at most 1048576"),
        (array(shape=[3]), "has 12 bytes; its data is 8 bytes"),
        (array(shape=[1]), "has 4 bytes; its data is 8 bytes"),
        (array(shape=[-2]), "sizes from 0"),
        (array(shape=[2.0]), "sizes from 0"),
        (array(shape=[True, 2]), "sizes from 0"),
        (array(shape=2), "expected a few sizes"),
        (array(shape=[1] * 9), "expected a few sizes"),
        (array(shape=[2**62, 4]), "sizes from 0"),
        (array(shape=[2**20, 2**20], data=b""), "at most 268435456 elements"),
        (array(shape=[0, 2**20, 2**20], data=b""), "at most 268435456 elements"),
        (array(data="text", shape=[1]), "its data is a str"),
        (array(data=None), "its data is a NoneType"),
        (array(dtype="|b1", data=b"\x00\x02\x01", shape=[3]), "neither 0 nor 1"),
        (array(more=1), "neither an array nor a scalar"),
        (array(__ndarray__=1), "neither an array nor a scalar"),
        (array(__ndarray__=False), "neither an array nor a scalar"),
        (scalar(300, "|u1"), "does not fit uint8"),
        (scalar(-1, "<u4"), "does not fit uint32"),
        (scalar(1.5, "<i4"), "a int32 scalar is 1.5"),
        (scalar(True, "<i4"), "a int32 scalar is True"),
        (scalar(1, "|b1"), "a bool scalar is 1"),
        (scalar("1", "<f4"), "a float32 scalar is '1'"),
    ],
)
def test_messages_that_are_none(message: bytes, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        decode(message, LIMITS)


def test_too_great_a_float_is_infinite() -> None:
    assert decode(scalar(1e300, "<f4"), LIMITS) == np.inf


def read(message: bytes) -> Any:
    """A value, or our own error and no other."""
    try:
        return decode(message, LIMITS)
    except MessageError as error:
        assert len(str(error)) < 500
        return None


@pytest.mark.slow
@many
@given(st.binary(max_size=300))
@example(b"\xde\xff\xff" * 50)
def test_any_bytes(message: bytes) -> None:
    read(message)


FORMS = [
    encode({"frame/front": np.zeros((4, 4, 3), np.uint8), "proprio": np.ones(4), "prompt": "go"}),
    encode({"a": [np.float32(1), np.bool_(True), None, -5, 2.5, b"x"], "b": {"c": {"d": []}}}),
    array(),
    scalar(7, "<i8"),
]


@pytest.mark.slow
@many
@given(
    st.sampled_from(FORMS),
    st.lists(
        st.tuples(st.sampled_from(["set", "cut", "put", "copy"]), st.integers(0, 400), st.binary()),
        min_size=1,
        max_size=6,
    ),
)
def test_valid_messages_with_bytes_changed(
    message: bytes, changes: list[tuple[str, int, bytes]]
) -> None:
    for kind, place, piece in changes:
        at = place % (len(message) + 1)
        if kind == "set":
            message = message[:at] + piece + message[at + len(piece) :]
        elif kind == "cut":
            message = message[:at] + message[at + max(1, len(piece)) :]
        elif kind == "put":
            message = message[:at] + piece + message[at:]
        else:
            message = message[:at] + message
    read(message)


ODD = st.none() | st.booleans() | st.integers(-3, 2**63) | st.floats() | st.text() | st.binary()


@pytest.mark.slow
@many
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "__ndarray__": ODD | st.just(True),
            "__npgeneric__": ODD | st.just(True),
            "data": ODD | st.binary(max_size=64) | st.integers(),
            "dtype": ODD | st.sampled_from([*WIRE_DTYPES, "|O", "V8", "<U2", "<c8", "f4,O"]),
            "shape": ODD | st.lists(st.integers(-2, 2**40) | st.integers(0, 4) | ODD, max_size=10),
        },
    ).map(lambda form: {"__ndarray__": True, "data": bytes(8), "dtype": "<f4", "shape": [2]} | form)
)
def test_arrays_that_lie(form: dict[str, Any]) -> None:
    try:
        message = msgpack.packb({key.encode(): value for key, value in form.items()})
    except OverflowError:
        return
    got = read(message)
    if isinstance(got, np.ndarray):
        assert got.dtype.kind in "biuf"
        assert got.nbytes == len(form["data"])


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from([b"\x91", b"\x81", b"\x81\xa1a", b"\xdc\x00\x01", b"\xc4"])))
def test_nesting(openings: list[bytes]) -> None:
    read(b"".join(openings) * 40)


@pytest.mark.parametrize(
    "message",
    [
        b"\xdd\x00\x0f\x00\x00" * 8,  # lists in lists that claim a million values each
        b"\xdf\x00\x0f\x00\x00\xa1a" * 8,
        b"\xdc\x03\xf0" + b"\x90" * 0x3F0,  # as many empty lists as there may be
        b"\xc6\x7f\xff\xff\xff" + bytes(1000),  # two gigabytes, it says
        b"\xdb\x7f\xff\xff\xff" + bytes(1000),
        array(shape=[2**28], data=bytes(1000)),
        array(shape=[0, 2**28], data=b""),
        encode({"frame": np.zeros((512, 512, 3), np.uint8)}),
        encode({"frame": np.zeros((300, 300), ">f8")}),
        b"\x91" * 1_000_000,
        array(shape=[bytes(1_000_000)]),
        array(dtype=bytes(1_000_000)),
        scalar(bytes(1_000_000), "<f4"),
        b"\xc6\x00\x0f\x00\x00" + bytes(0xF0000),  # bytes at the top are bytes
    ],
    ids=range(14),
)
def test_memory_is_bounded_by_the_message(message: bytes) -> None:
    read(message)  # whatever is made once is made
    tracemalloc.start()
    try:
        read(message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # the unpacker's own copy of it, the bytes of its arrays, another byte order of them; and
    # what 1,024 empty lists take
    assert peak < 4 * len(message) + 200_000
