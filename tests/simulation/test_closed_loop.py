import pytest

from vip_offline.simulation.closed_loop import even_batch


@pytest.mark.parametrize(
    ("frames", "size"), [(1, 1), (2, 1), (10, 5), (16, 8), (20, 10), (32, 8), (64, 8), (65, 9)]
)
def test_batches_are_even(frames: int, size: int) -> None:
    """Of two workers, which are fastest at 8: none gets much more than the other."""
    assert even_batch(frames, 2, 8) == size
