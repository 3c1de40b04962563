import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from vip_offline.dataset.storage.description_checksum import SEAL, sealed, unsealed
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.errors import VipOfflineError

ABOUT = {"zarr_format": 3, "attributes": {"task": "é", "rate": 0.1}, "shape": [4, 2]}


def test_what_was_sealed_comes_back_without_the_checksum() -> None:
    text = sealed(json.dumps(ABOUT).encode())
    assert SEAL in json.loads(text)["attributes"]
    assert json.loads(unsealed(text)) == ABOUT
    assert sealed(text) == text  # sealed again it is the same


def test_every_changed_byte_is_noticed_or_changes_nothing() -> None:
    text = sealed(json.dumps(ABOUT).encode())
    noticed = 0
    for place in range(len(text)):
        for bit in (1, 4, 32):
            changed = bytearray(text)
            changed[place] ^= bit
            try:
                about = json.loads(unsealed(bytes(changed)))
            except ValueError:
                noticed += 1
                continue
            # the name of the checksum, or of all attributes: zarr knows no such key
            kept = about.get("attributes", {})
            assert "attributes" not in about or ABOUT["attributes"].items() <= kept.items()  # type: ignore[attr-defined]
            assert {k: about[k] for k in ("zarr_format", "shape")} == {
                k: ABOUT[k] for k in ("zarr_format", "shape")
            }
    assert noticed > 2 * len(text)


def test_a_description_by_another_program_passes() -> None:
    for about in (ABOUT, {"zarr_format": 3, "node_type": "group"}):
        text = json.dumps(about).encode()
        assert unsealed(text) == text


def test_a_checksum_of_another_kind_is_refused() -> None:
    about = {**ABOUT, "attributes": {SEAL: "sha-1:00"}}
    with pytest.raises(ValueError, match=r"'sha-1:00' is of a kind that is not known"):
        unsealed(json.dumps(about).encode())


def test_an_edit_by_plain_zarr_is_noticed_and_one_by_us_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    root = zarr.create_group(DurableStore(path), attributes={"task": "a"})
    root.create_array("values", data=np.arange(3))
    assert SEAL not in zarr.open_group(DurableStore(path)).attrs
    zarr.open_group(DurableStore(path), mode="r+").attrs["task"] = "b"
    assert zarr.open_group(DurableStore(path)).attrs["task"] == "b"
    zarr.open_group(path, mode="r+").attrs["task"] = "c"  # others read and write it, too
    with pytest.raises(VipOfflineError, match=r"zarr\.json: cannot be read.*edited.*--seal"):
        zarr.open_group(DurableStore(path))
