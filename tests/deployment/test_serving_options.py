from pathlib import Path

import pytest

from vip_offline.deployment.serving_options import (
    KEY_VARIABLE,
    check_serve_options,
    is_loopback,
    read_api_key,
)
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions

KEY = "a-key-of-some-length"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("", False),  # asyncio would listen everywhere
        ("robot.local", False),
        ("localhost.example.com", False),
    ],
)
def test_who_can_reach_it(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
    if expected:
        check_serve_options(ServeOptions(host=host))
    else:
        with pytest.raises(VipOfflineError, match="other computers could command the robot"):
            check_serve_options(ServeOptions(host=host))
    check_serve_options(ServeOptions(host=host, api_key=KEY))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (ServeOptions(port=65536), "--port 65536"),
        (ServeOptions(port=-1), "--port -1"),
        (ServeOptions(timeout=0), "--timeout 0"),
        (ServeOptions(timeout=float("nan")), "--timeout nan"),
        (ServeOptions(idle=float("inf")), "--idle inf"),
        (ServeOptions(timeout=2, idle=2), "--idle 2: must be longer than --timeout 2"),
        (ServeOptions(stop_above=0), "--stop-above 0"),
        (ServeOptions(stop_above=float("nan")), "--stop-above nan"),
        (ServeOptions(max_message_mb=-1), "--max-message-mb -1"),
        (ServeOptions(max_connections=0), "--max-connections 0"),
    ],
)
def test_options_that_are_none(options: ServeOptions, says: str) -> None:
    with pytest.raises(VipOfflineError, match=says):
        check_serve_options(options)


def test_the_key_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert read_api_key(None) == ""
    monkeypatch.setenv(KEY_VARIABLE, f"{KEY}-too")
    assert read_api_key(None) == f"{KEY}-too"
    (tmp_path / "key").write_text(f"{KEY}\n")
    assert read_api_key(tmp_path / "key") == KEY


@pytest.mark.parametrize(
    "text", ["", "short", "two words are not one", "tab\tseparated-words-here"]
)
def test_keys_that_are_none(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(VipOfflineError, match="holds no API key"):
        read_api_key(tmp_path / "key")
    monkeypatch.setenv(KEY_VARIABLE, text)
    with pytest.raises(VipOfflineError, match="VIP_OFFLINE_API_KEY: holds no API key"):
        read_api_key(None)
    (tmp_path / "key").write_text("schlüssel-mit-umlauten")
    with pytest.raises(VipOfflineError, match="plain ASCII"):
        read_api_key(tmp_path / "key")


def test_a_key_is_not_shown() -> None:
    assert KEY not in repr(ServeOptions(api_key=KEY))
