"""How a policy is served, and who may reach it."""

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vip_offline.errors import VipOfflineError

Hold = Literal["zero", "last"] | tuple[float, ...]
GivenHold = Literal["auto"] | Hold
KEY_VARIABLE = "VIP_OFFLINE_API_KEY"
KEY_LENGTH = 16  # characters at least: a key that can be tried out is none
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class ServeOptions:
    """Options of a server."""

    host: str = "127.0.0.1"  # anything but a loopback address needs an API key
    port: int = 8000  # openpi's; 0: any free one
    timeout: float = 1.0  # s without an observation, after which one hold action is sent
    # what is sent instead of an action that must not be sent; auto: by the kind of action
    hold: GivenHold = "auto"
    stop_above: float | None = None  # novelty, above which a connection is held for good
    max_message_mb: float = 0.0  # 10^6 bytes; 0: an observation as float64, and 64 KiB
    max_connections: int = 16
    idle: float = 300.0  # s without a whole message, after which a connection is closed
    opening: float = 10.0  # s in which a connection must have said what it wants
    lost: float = 20.0  # s after which a client that answers no ping or reads no reply is gone
    drain: float = 10.0  # s in which messages under way are answered at the end
    api_key: str = field(default="", repr=False)


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach an address; False for names that may be any address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_api_key(path: Path | None) -> str:
    """Read the API key from a file or the environment; other users can see the command line.

    Returns:
        "" where neither says one.

    Raises:
        VipOfflineError: if the file cannot be read, or holds no key.
    """
    if path is not None:
        try:
            key, where = path.read_text("ascii").strip(), str(path)
        except UnicodeDecodeError:
            raise VipOfflineError(f"{path}: the API key must be plain ASCII.") from None
    elif KEY_VARIABLE in os.environ:
        key, where = os.environ[KEY_VARIABLE].strip(), f"${KEY_VARIABLE}"
    else:
        return ""
    if len(key) < KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        raise VipOfflineError(
            f"{where}: holds no API key; expected at least {KEY_LENGTH} characters in one word. "
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe())'."
        )
    return key


def check_serve_options(options: ServeOptions) -> None:
    """Refuse options that cannot be served, or would leave the server open to everyone.

    Raises:
        VipOfflineError: saying which option.
    """
    if not is_loopback(options.host) and not options.api_key:
        raise VipOfflineError(
            f"--host {options.host}: other computers could command the robot. Give an API key "
            f"by --api-key-file FILE or ${KEY_VARIABLE}, or leave --host out."
        )
    if not 0 <= options.port <= 65535:
        raise VipOfflineError(f"--port {options.port}: expected 0 to 65535.")
    for name in ("timeout", "idle"):
        if not 0 < getattr(options, name) < float("inf"):
            raise VipOfflineError(f"--{name} {getattr(options, name):g}: expected seconds above 0.")
    if options.stop_above is not None and not 0 < options.stop_above < float("inf"):
        raise VipOfflineError(
            f"--stop-above {options.stop_above:g}: expected a number above 0; 1 is the edge of "
            "what the training set looked like."
        )
    if options.idle <= options.timeout:
        raise VipOfflineError(
            f"--idle {options.idle:g}: must be longer than --timeout {options.timeout:g}."
        )
    if not 0 <= options.max_message_mb < 1e5:
        raise VipOfflineError(f"--max-message-mb {options.max_message_mb:g}: expected 0 or more.")
    if options.max_connections < 1:
        raise VipOfflineError(f"--max-connections {options.max_connections}: must be at least 1.")


def parse_hold(text: str) -> GivenHold:
    """Parse ``auto``, ``zero``, ``last`` or an action with commas.

    Raises:
        VipOfflineError: if it is none of them.
    """
    if text == "auto":
        return "auto"
    if text == "zero":
        return "zero"
    if text == "last":
        return "last"
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise VipOfflineError(
            f"--hold {text}: expected auto, zero, last or an action as numbers with commas."
        ) from None
