from pathlib import Path

import pytest

from vip_offline.data.hidden import hidden_beside


def test_a_link_is_followed_and_a_dot_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "far/link").symlink_to(tmp_path / "real")
    assert hidden_beside(tmp_path / "far/link", "staging") == tmp_path / ".real.staging"
    monkeypatch.chdir(tmp_path / "real")
    assert hidden_beside(Path(), "new") == tmp_path / ".real.new"
