"""The robot's side in one small class: NumPy, msgpack and websockets, no torch.

openpi's own client works as well; this one needs no particular NumPy.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Self

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from vip_offline.deployment.server.codec import Limits, decode, encode
from vip_offline.errors import VipOfflineError

REPLY = Limits(1 << 24)


class Client:
    """Client of a remote policy: ``infer(observation) -> reply``, one at a time."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = 8000, api_key: str = "", timeout: float = 10
    ) -> None:
        """Connect.

        Args:
            host: a name or an address, or a whole ``ws://`` or ``wss://`` address.
            port: where a host alone was given.
            api_key: that the server asks for.
            timeout: s to wait for each answer; a robot must not wait forever.

        Raises:
            VipOfflineError: if nobody is there, or they will not talk.
        """
        named = f"[{host}]" if ":" in host else host
        self._address = host if "://" in host else f"ws://{named}:{port}"
        self._timeout = timeout
        self._stack = ExitStack()  # websockets wants its connections in a with block
        headers = {"Authorization": f"Api-Key {api_key}"} if api_key else None
        try:
            self._socket = self._stack.enter_context(
                connect(
                    self._address,
                    compression=None,
                    max_size=REPLY.size,
                    additional_headers=headers,
                    open_timeout=timeout,
                    close_timeout=2,
                    proxy=None,
                )
            )
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise VipOfflineError(f"{self._address}: cannot connect ({error}).") from None
        self._metadata = self._answer()

    def get_server_metadata(self) -> dict[str, Any]:
        """Return the server's metadata: names, units, limits."""
        return self._metadata

    def infer(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """Send an observation; ``actions`` of the reply is (1, A) float32, read-only.

        They are (0, A) where the last action is to be held, and there was none yet: do nothing.

        Raises:
            VipOfflineError: with the server's sentence if it refuses the observation, or if it
                is gone or silent.
        """
        try:
            self._socket.send(encode(dict(observation)))
        except ConnectionClosed as error:
            raise VipOfflineError(f"{self._address}: is closed ({error}).") from None
        return self._answer()

    def reset(self) -> None:
        """Do nothing: the wire has no reset, and our policies remember nothing."""

    def close(self) -> None:
        """Close the connection."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> dict[str, Any]:
        try:
            message = self._socket.recv(self._timeout)
        except TimeoutError:
            self.close()  # a late answer would be taken for that of the next question
            raise VipOfflineError(f"{self._address}: no answer for {self._timeout:g} s.") from None
        except ConnectionClosed as error:
            raise VipOfflineError(f"{self._address}: is closed ({error}).") from None
        if isinstance(message, str):
            raise VipOfflineError(message)
        answer = decode(message, REPLY)
        if not isinstance(answer, dict):
            raise VipOfflineError(f"{self._address}: answered with a {type(answer).__name__}.")
        return answer
