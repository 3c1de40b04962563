from pathlib import Path

import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.utils.cache_folder import cache_home, set_matplotlib_cache, writable_cache


def test_a_cache_that_cannot_be_written_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(VipOfflineError, match="XDG_CACHE_HOME=/path/to/folder"):
        writable_cache("weights")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_home() == tmp_path / ".cache/vip-offline"
    assert writable_cache("weights").is_dir()


def test_matplotlib_gets_a_folder_where_it_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    (tmp_path / "home").touch()
    # recorded, so that it is undone
    monkeypatch.setenv("MPLCONFIGDIR", "")
    monkeypatch.delenv("MPLCONFIGDIR")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    set_matplotlib_cache()
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "cache/vip-offline/matplotlib")
