from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.policies.interface import Interface
from vip_offline.policies.reference_io import Samples, action_error, read_samples, write_samples

INTERFACE = Interface({"frame/front": (2, 2, 3)}, ("x",), ("a", "b"), (0, -1), (0.5, 1), (1, 1))


def samples() -> Samples:
    observation: dict[str, NDArray[Any]] = {
        "frame/front": np.ones((5, 2, 2, 3), np.uint8),
        "proprio": np.ones((5, 1)),
    }
    return Samples(observation, np.ones((5, 2), np.float32), np.ones((5, 3), np.float32))


def test_there_and_back(tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        write_samples(tmp_path / name, samples())
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    stored = read_samples(tmp_path / "one.npz", INTERFACE)
    assert list(stored.observation) == ["frame/front", "proprio"]
    np.testing.assert_array_equal(stored.action, samples().action)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    with pytest.raises(VipOfflineError, match=r"s\.npz: cannot be read"):
        read_samples(path, INTERFACE)
    path.write_bytes(b"PK\x03\x04short")
    with pytest.raises(VipOfflineError, match=r"s\.npz: cannot be read"):
        read_samples(path, INTERFACE)
    np.savez(path, action=np.array([object()]))
    with pytest.raises(VipOfflineError, match=r"s\.npz"):
        read_samples(path, INTERFACE)
    np.savez(path, action=np.zeros(1))
    with pytest.raises(VipOfflineError, match="has no 'frame/front'"):
        read_samples(path, INTERFACE)


def test_errors_count_in_units_of_what_an_action_does() -> None:
    given = np.array([[0.25, 0.5]], np.float32)
    expected = np.array([[0.2, 0.6]], np.float32)
    # 0.05 of a range of 0.5, and 0.1 of one of 2
    assert action_error(given, expected, INTERFACE) == pytest.approx(0.1, rel=1e-5)
    still = replace(INTERFACE, low=(0.2, 0.6), high=(0.2, 0.6))
    assert action_error(given, expected, still) == pytest.approx(10, rel=1e-5)
