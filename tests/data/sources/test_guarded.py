from collections.abc import Sequence
from pathlib import Path

import pytest

from vip_offline.data.sources.guarded import Guarded
from vip_offline.data.sources.source import Catalogue, Rows
from vip_offline.errors import VipOfflineError


class Failing:
    """A source that raises what it is given."""

    error: BaseException = OverflowError("Python int too large")

    def __init__(self, path: Path) -> None:
        self.path = path

    def catalogue(self) -> Catalogue:
        raise self.error

    def read(self, episode: int, columns: Sequence[str]) -> Rows:
        raise self.error

    def close(self) -> None:
        pass


def test_errors_of_libraries_name_file_and_episode() -> None:
    source = Guarded(Path("set"), Failing)
    with pytest.raises(VipOfflineError, match=r"^set: cannot be read \(OverflowError: Python int"):
        source.catalogue()
    with pytest.raises(VipOfflineError, match=r"^set, episode 3: cannot .*--skip-broken"):
        source.read(3, ["action"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), VipOfflineError("own")])
def test_an_interrupt_and_own_errors_pass(error: BaseException) -> None:
    class Other(Failing):
        pass

    Other.error = error
    with pytest.raises(type(error)) as info:
        Guarded(Path("set"), Other).read(0, [])
    assert info.value is error


def test_a_file_that_cannot_be_opened_is_named() -> None:
    def make(path: Path) -> Failing:
        raise RecursionError("maximum depth")

    with pytest.raises(VipOfflineError, match=r"^set: cannot be read \(RecursionError"):
        Guarded(Path("set"), make)
