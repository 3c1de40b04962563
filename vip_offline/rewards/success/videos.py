"""Judge videos by a success model: their last frames are decoded, and the first."""

from pathlib import Path
from typing import TYPE_CHECKING

from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.media.video import Decoder, decode_small, stacked
from vip_offline.errors import VipOfflineError
from vip_offline.rewards.success.model import SuccessModel

if TYPE_CHECKING:
    from vip_offline.encoders.encoder import Encoder

SHORT = 360  # px of the shorter side at which frames are looked at, as by `look`


def judge_video(path: Path, model: SuccessModel, encoder: "Encoder") -> tuple[str, float]:
    """Verdict and held score of a video.

    Args:
        path: of the video, of one episode.
        model: that judges.
        encoder: the model's, loaded.

    Raises:
        VipOfflineError: if it cannot be decoded, has one frame, or the encoder is another one.
    """
    line = timeline(path)
    if len(line.pts) < 2:
        raise VipOfflineError(f"{path}: holds one picture, and an episode takes two or more.")
    height, width = line.shape[:2]
    seeing = encoder.seeing(encoder.preprocessing.for_frames(height, width))
    model.require_making(seeing.provenance, str(path))
    stamps = [int(stamp) for stamp in line.pts]
    decoder = Decoder(path)
    try:
        first = list(decode_small(decoder, stamps[:1], SHORT))
        last = list(decode_small(decoder, stamps[1:][-model.hold :], SHORT))
    finally:
        decoder.close()
    embedding = seeing(stacked([*first, *last], path))
    score = model.score(embedding)
    return model.judge(embedding), score
