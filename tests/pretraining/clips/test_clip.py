import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.clip import check_clip_length, check_skipped


@pytest.mark.parametrize(("length", "message"), [(0, "0 frames"), (1, "1 frame,")])
def test_a_clip_shows_a_step(length: int, message: str) -> None:
    with pytest.raises(VipOfflineError, match=f"a/b: has {message}"):
        check_clip_length("a/b", length)
    check_clip_length("a/b", 2)


def test_a_share_may_be_left_out() -> None:
    check_skipped(["a: is gone"], 100, 0.01)
    check_skipped([], 100, 0)
    with pytest.raises(VipOfflineError, match="1 of 99 clips ") as error:
        check_skipped(["a: is gone"], 99, 0.01)
    assert "a: is gone" in str(error.value) and "more\n" not in str(error.value)
    assert "--max-skipped allows 1.0%" in str(error.value)


def test_the_first_few_are_named() -> None:
    with pytest.raises(VipOfflineError, match="5 of 9 clips") as error:
        check_skipped([f"clip {i}" for i in range(5)], 9, 0.5)
    assert "clip 2\n  and 2 more" in str(error.value) and "clip 3" not in str(error.value)
