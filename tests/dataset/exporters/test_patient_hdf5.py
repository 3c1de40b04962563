import errno
import resource
from pathlib import Path

import h5py
import numpy as np
import pytest

from vip_offline.dataset.exporters.patient_hdf5 import PatientFile


def test_a_full_disk_is_told_after_hdf5_closed(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with (
            pytest.raises(OSError, match="too large") as raised,
            PatientFile(tmp_path / "x.hdf5") as disk,
            h5py.File(disk, "w") as file,
        ):
            file.create_dataset("a", data=np.ones(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.errno == errno.EFBIG


def test_what_is_written_is_read_by_anyone(tmp_path: Path) -> None:
    with PatientFile(tmp_path / "x.hdf5") as disk, h5py.File(disk, "w") as file:
        file.create_dataset("a", data=np.arange(1000))
        disk.check()
    with h5py.File(tmp_path / "x.hdf5") as file:
        np.testing.assert_array_equal(file["a"][:], np.arange(1000))
