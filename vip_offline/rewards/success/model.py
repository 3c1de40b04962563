"""A success model as one JSON file: numbers and text, so that loading it runs no code."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline import __version__
from vip_offline.dataset.store_format import now
from vip_offline.encoders.preprocessing import fit_of
from vip_offline.errors import VipOfflineError
from vip_offline.rewards.success.calibration import ClassResult, Fitted
from vip_offline.rewards.success.rules import RULES, Rule, end_score, held_scores, verdict
from vip_offline.utils.arrays import Floats
from vip_offline.utils.files import write_json
from vip_offline.utils.size_limits import read_description

FORMAT, VERSION = "vip-offline success model", 1
MOST_BYTES = 2**28
OF_PEOPLE, OF_EARLY_FRAMES = "labelled episodes", "early frames"
OF_PICTURES = "goal pictures"


@dataclass(frozen=True)
class SuccessModel:
    """A rule and its band, what they were learned from, and how often they were wrong."""

    making: Mapping[str, Any]  # encoder, sha256 of its weights, preprocessing
    camera: str
    rule: Rule
    band: tuple[float, float]  # success below, failure above
    hold: int  # frames
    successes: ClassResult
    failures: ClassResult
    success_from: str  # what the success side is
    failure_from: str
    auc: float
    auc_by_rule: Mapping[str, float]
    store: str  # that it was learned from
    task: str
    goal: str  # in words
    error: float = 0.05
    created: str = ""
    code_version: str = ""

    @classmethod
    def of(cls, fitted: Fitted, **about: Any) -> Self:
        """Make one now from a fit."""
        return cls(
            rule=fitted.rule,
            band=fitted.band,
            successes=fitted.successes,
            failures=fitted.failures,
            auc=fitted.auc,
            auc_by_rule=fitted.auc_by_rule,
            created=now(),
            code_version=__version__,
            **about,
        )

    @property
    def encoder(self) -> str:
        """Name of the encoder."""
        return str(self.making["encoder"])

    def judge(self, embedding: NDArray[np.float32]) -> str:
        """Verdict on an episode from its (T, D) frames: ``success``, ``failure``, ``unsure``."""
        return verdict(self.score(embedding), self.band)

    def score(self, embedding: NDArray[np.float32]) -> float:
        """Held score of the end of an episode from its (T, D) frames."""
        scores = self.rule.scores(embedding[-self.hold :], embedding[0])
        return end_score(scores, self.hold)

    def reached(self, embedding: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(T,) whether the goal is reached, and was for `hold` frames, in each of (T, D) frames."""
        scores: Floats = self.rule.scores(embedding, embedding[0])
        return held_scores(scores, self.hold) < self.band[0]

    def require_making(self, making: Mapping[str, Any], where: str) -> None:
        """Refuse embeddings that another encoder, other weights or another fit made.

        Args:
            making: of the embeddings, as `Encoder.provenance`.
            where: that is judged, for the message.

        Raises:
            VipOfflineError: naming what differs.
        """
        names = {"encoder": "encoder", "weights_sha256": "weights of sha256"}
        for key, word in names.items():
            if making.get(key) != self.making[key]:
                raise VipOfflineError(
                    f"{where}: {word} {str(making.get(key))[:16]}, but the success model was made "
                    f"with {str(self.making[key])[:16]}; distances of two networks are not "
                    "comparable. Give that encoder's file with --weights, or fit again."
                )
        if making.get("preprocessing") != self.making["preprocessing"]:
            ours, theirs = fit_of(self.making), fit_of(making)
            differ = f"fit {theirs}, not {ours}" if ours != theirs else "another preprocessing"
            raise VipOfflineError(
                f"{where}: its frames are seen with {differ} ({making.get('preprocessing')}; the "
                f"success model: {self.making['preprocessing']}). Fit a model on frames like these."
            )

    def save(self, path: Path) -> None:
        """Write it atomically, with a checksum.

        Raises:
            OSError: as the system gives it.
        """
        plain = self.plain()
        write_json({**plain, "sha256": _checksum(plain)}, path)

    def plain(self) -> dict[str, Any]:
        """Convert to JSON values; arrays as base64 of little-endian float32."""
        values = {**vars(self), "successes": asdict(self.successes)}
        values |= {"failures": asdict(self.failures), "band": list(self.band)}
        direction = self.rule.direction
        values["rule"] = {
            "name": self.rule.name,
            "goals": _packed(self.rule.goals),
            "direction": None if direction is None else _packed(direction),
            "offset": self.rule.offset,
        }
        return {
            "format": FORMAT,
            "version": VERSION,
            **{key: dict(v) if isinstance(v, Mapping) else v for key, v in values.items()},
        }


def load_success_model(path: Path) -> SuccessModel:
    """Read a success model.

    Raises:
        VipOfflineError: if there is none, the file is another, damaged, or of a later release.
    """
    if not path.is_file():
        raise VipOfflineError(f"{path}: is no file. `vip-offline success fit` writes one.")
    try:
        plain = json.loads(read_description(path, MOST_BYTES))
    except (ValueError, OSError, RecursionError):
        plain = None
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise VipOfflineError(
            f"{path}: is no success model. Give the file that `vip-offline success fit` wrote."
        )
    if plain.get("version") != VERSION:
        raise VipOfflineError(
            f"{path}: is of version {plain.get('version')!r}; this release reads {VERSION}. "
            "Update vip-offline, or fit again."
        )
    content = {key: value for key, value in plain.items() if key != "sha256"}
    if plain.get("sha256") != _checksum(content):
        raise VipOfflineError(
            f"{path}: is damaged (its checksum is of other content). Restore it, or fit again."
        )
    try:
        return _read(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VipOfflineError(f"{path}: is no whole success model ({error}). Fit again.") from None


def _read(content: Mapping[str, Any]) -> SuccessModel:
    fields = {key: value for key, value in content.items() if key not in ("format", "version")}
    rule, dim = fields["rule"], int(fields["making"]["dim"])
    if rule["name"] not in RULES:
        raise ValueError(f"rule {rule['name']!r}")
    goals = _unpacked(rule["goals"]).reshape(-1, dim)
    direction = None if rule["direction"] is None else _unpacked(rule["direction"]).reshape(dim)
    if not len(goals) or not np.isfinite(goals).all() or int(fields["hold"]) < 1:
        raise ValueError("its numbers are none")
    fields["rule"] = Rule(rule["name"], goals, direction, float(rule["offset"]))
    fields["band"] = (float(fields["band"][0]), float(fields["band"][1]))
    for name in ("successes", "failures"):
        fields[name] = ClassResult(**fields[name])
    return SuccessModel(**fields)


def _packed(values: NDArray[np.float32]) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _unpacked(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)


def _checksum(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
