import numpy as np
import pytest

from vip_offline.dataset.storage.content_hash import (
    DIGEST,
    SHORT_DIGEST,
    content_of,
    content_of_blocks,
    hashes_of,
)


def test_rows_in_blocks_have_the_hash_of_all_at_once() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), np.uint8)
    blocks = [rows[:3], rows[3:4], rows[4:]]
    assert content_of(rows).shape == (DIGEST,)
    np.testing.assert_array_equal(content_of_blocks(rows.shape, blocks), content_of(rows))
    turned = np.asfortranarray(rows)  # how values lie in memory is not what they are
    np.testing.assert_array_equal(content_of(turned), content_of(rows))


@pytest.mark.parametrize("change", ["value", "shape", "order"])
def test_other_rows_have_another_hash(change: str) -> None:
    rows = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    other = {"value": rows ^ (rows == 7), "shape": rows.reshape(4, 3, 2), "order": rows[::-1]}
    assert (content_of(rows) != content_of(other[change])).any()


def test_the_hash_is_the_one_that_stores_hold() -> None:
    """Were it another one some day, every stored hash would be of other data."""
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert content_of(rows).tobytes().hex() == "0c6a3e1c167fa6bee4c18a63b357c812"
    assert hashes_of(rows, [(0, 3)]).tobytes().hex() == "278f2f49a4517803"


def test_hashes_of_episodes() -> None:
    values = np.array([[1.0, 2], [3, 4], [1, 2], [3, 4], [5, 6]], np.float32)
    first, again, other = hashes_of(values, [(0, 2), (2, 4), (3, 5)])
    assert first.shape == (SHORT_DIGEST,)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("change", ["dtype", "width", "nan"])
def test_columns_that_only_look_alike(change: str) -> None:
    values, spans = np.zeros((4, 2), np.float32), [(0, 4)]
    other = {
        "dtype": values.view(np.int32),
        "width": values.reshape(2, 4).repeat(2, axis=0)[:, :2].reshape(4, 2, 1),
        "nan": np.where(np.arange(4)[:, None] == 2, np.float32(np.nan), values),
    }
    assert (hashes_of(values, spans) != hashes_of(other[change], spans)).any()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_columns_of_nothing_and_of_one_number(shape: tuple[int, ...]) -> None:
    spans = [(0, 0)] if shape[0] == 0 else [(0, 1), (1, 3)]
    assert hashes_of(np.zeros(shape), spans).shape == (len(spans), SHORT_DIGEST)
