"""Judge frames as they come: a success model with its encoder."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vip_offline.encoders.preprocessing import fit_of
from vip_offline.errors import VipOfflineError
from vip_offline.rewards.success.model import SuccessModel, load_success_model
from vip_offline.utils.arrays import Pixels
from vip_offline.utils.files import sha256_of

if TYPE_CHECKING:
    from vip_offline.encoders.encoder import Encoder


@dataclass(frozen=True)
class Judge:
    """A success model, its encoder, and the name that stores know it by."""

    model: SuccessModel
    encoder: "Encoder"
    by: str

    @classmethod
    def load(cls, path: Path, weights: str = "", **settings: Any) -> "Judge":
        """Load a model and its encoder.

        Args:
            path: of the model.
            weights: checkpoint file of its encoder; "": its own.
            settings: of `load_encoder`.

        Raises:
            VipOfflineError: if the model cannot be read, or the encoder has other weights.
        """
        from vip_offline.encoders.encoder import load_encoder

        model = load_success_model(path)
        encoder = load_encoder(
            model.encoder, Path(weights) if weights else None, fit=fit_of(model.making), **settings
        )
        seen = {**encoder.provenance, "preprocessing": model.making["preprocessing"]}
        model.require_making(seen, f"--success-by {path}")
        return cls(model, encoder, name_of(path))

    def check_frames(self, camera_shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
        """Refuse frames without the model's camera, or of a size that it sees otherwise.

        Args:
            camera_shapes: camera -> (H, W, 3).
            where: whose frames, for the message.

        Raises:
            VipOfflineError: naming camera or fit.
        """
        camera = self.model.camera
        if camera not in camera_shapes:
            raise VipOfflineError(
                f"{where}: has no camera {camera!r}, by which the success model judges (it has "
                f"{', '.join(sorted(camera_shapes)) or 'none'}). Leave --success-by out, or fit a "
                "model on one of these."
            )
        height, width = camera_shapes[camera][:2]
        self.model.require_making(self._seeing(height, width).provenance, where)

    def __call__(self, frames: Pixels) -> str:
        """Verdict on an episode of (T, H, W, 3) frames; only its ends are embedded."""
        ends = np.concatenate([frames[:1], frames[1:][-self.model.hold :]])
        return self.model.judge(self._seeing(*frames.shape[1:3])(ends))

    def watch(self) -> "Watch":
        """Begin to watch an episode, frame by frame."""
        return Watch(self)

    def _seeing(self, height: int, width: int) -> "Encoder":
        return self.encoder.seeing(self.encoder.preprocessing.for_frames(height, width))


@dataclass
class Watch:
    """One episode under way."""

    judge: Judge
    scores: deque[float] = field(default_factory=deque)
    first: Any = None  # (D,) of the episode's first frame

    def add(self, frame: Pixels) -> dict[str, Any]:
        """Judge one more frame (H, W, 3).

        Returns:
            ``reached``: whether the goal is reached, and was for `hold` frames; ``score`` of this
            frame; ``below``: the score that counts as success.
        """
        judge, model = self.judge, self.judge.model
        seeing = judge._seeing(*frame.shape[:2])
        embedding = seeing(frame[None])
        self.first = embedding[0] if self.first is None else self.first
        score = float(model.rule.scores(embedding, self.first)[0])
        self.scores.append(score)
        while len(self.scores) > model.hold:
            self.scores.popleft()
        reached = len(self.scores) == model.hold and max(self.scores) < model.band[0]
        return {"reached": reached, "score": score, "below": model.band[0]}


def name_of(path: Path) -> str:
    """Return what stores know a model by: the first digits of its file's SHA-256."""
    return f"success model {sha256_of(path)[:16]}"
