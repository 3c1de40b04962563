import subprocess
import sys
from pathlib import Path

import pytest

from vip_offline.encoders.registry import (
    ENCODERS,
    check_encoder,
    is_available,
    known_provenance,
    provenance_of,
    weights_file,
)
from vip_offline.encoders.weight_files import cache_folder
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import sha256_of


def test_what_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert is_available("lite0")
    assert is_available("pixels")
    assert not is_available("vip")
    assert not is_available("r3m-50")


def test_the_table_is_read_without_torch() -> None:
    """Labelling embeddings that are there, and listing encoders, must not wait for it."""
    code = (
        "import sys, vip_offline.encoders.registry, vip_offline.rewards.relabel as relabel;"
        "sys.exit(bool({'torch', 'torchvision'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_provenance_without_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert known_provenance("vip") is None
    file = tmp_path / "model.pt"
    file.write_bytes(b"whatever it holds")
    known = known_provenance("vip", str(file))
    assert known == provenance_of("vip", sha256_of(file))
    assert "not for commercial use" in known["licence"]
    downloaded = cache_folder() / "vip" / "model.pt"
    downloaded.parent.mkdir(parents=True)
    downloaded.write_bytes(b"from the publisher")
    assert weights_file("vip") == downloaded
    carried = known_provenance("lite0")
    assert carried is not None
    assert carried["weights_sha256"].startswith("579344248a93e230")


def test_every_entry_says_where_its_weights_are_from_and_under_which_licence() -> None:
    for name, entry in ENCODERS.items():
        assert entry.licence, name
        assert entry.weights, name
        if entry.origin is not None:
            assert bool(entry.origin.url) != bool(entry.origin.note), name


def test_weights_for_an_encoder_that_has_its_own(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="takes no --weights"):
        check_encoder("pixels", str(tmp_path))
