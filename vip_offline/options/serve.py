"""Options of a server of policies or of recordings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from vip_offline.options.fields import Option
from vip_offline.options.success import SuccessWeights

Hold = Literal["zero", "last"] | tuple[float, ...]
GivenHold = Literal["auto"] | Hold


@dataclass(frozen=True)
class ServeOptions:
    """Of one server."""

    host: Annotated[
        str, Option("Address to bind. An address other than loopback requires an API key.")
    ] = "127.0.0.1"
    port: Annotated[int, Option("TCP port; 0: any free one.", ge=0, le=65535)] = 8000  # openpi's
    timeout: Annotated[
        float,
        Option("Seconds without an observation after which the next reply is a hold action.", gt=0),
    ] = 1.0
    hold: Annotated[
        GivenHold,
        Option(
            "Reply in place of an unsafe action: zero, last, or numbers with commas. auto: zero "
            "for velocities and increments (action_kind velocity, delta), last for positions."
        ),
    ] = "auto"
    stop_above: Annotated[
        float | None,
        Option(
            "Novelty above which a connection gets only hold actions; 1 is the 99th percentile of "
            "the training set.",
            gt=0,
            default_text="off",
        ),
    ] = None
    max_message_mb: Annotated[
        float,
        Option(
            "Largest message in MB (10^6 bytes). 0: an observation as float64, and 64 KiB.",
            ge=0,
            lt=1e5,
        ),
    ] = 0.0
    max_connections: Annotated[int, Option("Most connections at a time.", ge=1)] = 16
    idle: Annotated[
        float,
        Option("Seconds without a whole message after which a connection is closed.", gt=0),
    ] = 300.0
    opening: Annotated[
        float,
        Option(
            "Seconds in which a new connection must finish its handshake.",
            flags=("--opening-timeout",),
            gt=0,
        ),
    ] = 10.0
    lost: Annotated[
        float,
        Option(
            "Seconds after which a client that answers no ping, or reads no reply, is dropped.",
            flags=("--ping-timeout",),
            gt=0,
        ),
    ] = 20.0
    drain: Annotated[
        float,
        Option(
            "Seconds in which messages under way are answered when the server stops.",
            flags=("--drain-timeout",),
            ge=0,
        ),
    ] = 10.0
    key_map: Annotated[
        str,
        Option(
            "Names that the robot uses: droid, libero, JSON or a file of it.",
            default_text="the policy's own",
        ),
    ] = ""
    log: Annotated[Path | None, Option("File to add a JSON line per reply to.")] = None
    success_by: Annotated[
        Path | None,
        Option(
            "Success model, made by `success fit`. serve: each reply says whether the goal is "
            "reached; record: it proposes the flag of an episode that the client ends without one."
        ),
    ] = None
    success_weights: SuccessWeights = ""
    unsealed: Annotated[
        bool, Option("Serve a folder without SHA256SUMS, too.", flags=("--unsealed",))
    ] = False
    api_key_file: Annotated[
        Path | None,
        Option(
            "File with the API key that clients must send.", default_text="$VIP_OFFLINE_API_KEY"
        ),
    ] = None
    # other users of the computer see command lines: it is read from a file or the environment
    api_key: Annotated[str, Option("Key that clients must send.", recipe_only=True)] = field(
        default="", repr=False
    )
