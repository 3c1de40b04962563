"""Who may reach a server."""

import ipaddress
import os
from dataclasses import replace
from pathlib import Path

from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions
from vip_offline.options.fields import OptionError, check_ranges

KEY_VARIABLE = "VIP_OFFLINE_API_KEY"
KEY_LENGTH = 16  # characters at least: a key that can be tried out is none
MEGABYTE = 1_000_000


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


def with_api_key(options: ServeOptions) -> ServeOptions:
    """Options with the API key that their file or the environment holds; see `read_api_key`."""
    return replace(options, api_key=options.api_key or read_api_key(options.api_key_file))


def check_serve_options(options: ServeOptions) -> None:
    """Refuse options that cannot be served, or would leave the server open to everyone.

    Raises:
        VipOfflineError: saying which option.
    """
    if not is_loopback(options.host) and not options.api_key:
        raise OptionError(
            ServeOptions,
            "host",
            options.host,
            "other computers could command the robot. Give an API key by --api-key-file FILE or "
            f"${KEY_VARIABLE}, or leave --host out.",
        )
    check_ranges(options)
    if options.idle <= options.timeout:
        raise OptionError(
            ServeOptions,
            "idle",
            options.idle,
            f"must be longer than --timeout {options.timeout:g}.",
        )
