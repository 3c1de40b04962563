"""How far each frame of a video is from a goal, and what would have drawn the same curve.

No store and no actions: a first look at the reward (Eq. 1) of a video of one's own. Each video is
decoded once, beside the embedding, and drawn small while it is decoded; a few batches and a film of
limited length are in memory, however long the video is.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vip_offline.analysis.controls import (
    NETWORK_SIDE,
    clock_distance,
    random_features,
    random_weights,
    raw_pixels,
    shrink,
)
from vip_offline.analysis.look_notes import cut_notes, end_notes, scene_notes, shape_notes
from vip_offline.analysis.metrics import is_flat, leave_one_out_goals, order_correlation
from vip_offline.dataset.media.pictures import read_picture
from vip_offline.dataset.media.timeline import Timeline, timeline
from vip_offline.dataset.media.video import Decoder, decode_small, resized, stacked
from vip_offline.dataset.validation.checks import LOSSY
from vip_offline.errors import VipOfflineError
from vip_offline.rewards.functions import goal_distance
from vip_offline.utils.arrays import Floats, Pixels
from vip_offline.utils.console import OnFrames

if TYPE_CHECKING:
    from vip_offline.encoders.encoder import Encoder

# px of the shorter side at which frames are looked at: with lite0 on 1080p the curve is that of
# full-size frames within 2 % and correlates with it at 0.998
SHORT = 360
FILM_RATE = 10.0  # frames per second of the film at most
FILM_FRAMES = 600  # of the film at most: it shows a longer video faster
QUALITY = 90  # of the JPEGs by which the film's frames are kept
OWN = "its own last frame"  # the goal of a single video
CONTROLS = ("raw pixels", "random network")


@dataclass(frozen=True)
class Curve:
    """The distance of each frame to the goal, by one embedding."""

    name: str
    distance: Floats  # (T,) in units of its embedding
    order: float  # Spearman's correlation of nearness with time; nan if the curve is flat
    closer: float  # share of the steps that come closer
    likeness: float  # Pearson's correlation with the encoder's curve; nan if either is flat


@dataclass(frozen=True)
class Film:
    """Frames of a video, evenly spaced in time, small."""

    rows: NDArray[np.int64]  # (K,) of the video's frames; ascending, some may repeat
    rate: float  # frames per second
    speed: float  # times as fast as the video
    jpegs: Mapping[int, bytes]  # row -> its picture

    def frame(self, row: int) -> Pixels:
        """(h, w, 3) of one of the rows."""
        return np.asarray(Image.open(io.BytesIO(self.jpegs[row])))


@dataclass(frozen=True)
class Look:
    """A video, its curves, and what a user should know of them."""

    video: Path
    seconds: Floats  # (T,) from the first frame
    shape: tuple[int, int]  # height, width in px, upright
    goal: str  # in words
    encoder: str
    curves: tuple[Curve, ...]  # the encoder's, then raw pixels, random network, clock
    notes: tuple[str, ...]
    film: Film
    goal_picture: Pixels | None  # (h, w, 3) small, if one was given


@dataclass(frozen=True)
class _Video:
    path: Path
    timeline: Timeline

    @property
    def stamps(self) -> list[int]:
        return [int(stamp) for stamp in self.timeline.pts]

    @property
    def shape(self) -> tuple[int, int]:
        return self.timeline.shape[:2]


@dataclass(frozen=True)
class _Features:
    """(N, ...) of N frames: what the encoder and the controls see in them."""

    embedding: NDArray[np.float32]
    pixels: NDArray[np.uint8]
    random: NDArray[np.float32]

    @property
    def all(self) -> tuple[NDArray[Any], ...]:
        return self.embedding, self.pixels, self.random


def open_look(paths: Sequence[Path], goal: str) -> "OpenedVideos":
    """Open videos and goal image, before an encoder is loaded.

    Args:
        paths: of videos.
        goal: path of a picture; empty: there is none.

    Raises:
        VipOfflineError: if one is not there, cannot be read, is given twice, or has one frame.
    """
    seen: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise VipOfflineError(f"{path}: is no file. Name a video.")
        real = path.resolve()
        if real in seen:
            raise VipOfflineError(
                f"{path}: is given twice (also as {seen[real]}), and would be its own goal. Name "
                "each video once."
            )
        seen[real] = path
    if goal and not Path(goal).is_file():
        raise VipOfflineError(f"--goal {goal}: is no file. Name a picture.")
    picture = read_picture(Path(goal)) if goal else None
    videos = tuple(_Video(path, timeline(path)) for path in paths)
    for video in videos:
        if len(video.stamps) < 2:
            raise VipOfflineError(
                f"{video.path}: holds one picture, and a curve takes two or more. Name a video."
            )
    return OpenedVideos(videos, goal, picture)


@dataclass(frozen=True)
class OpenedVideos:
    """What is looked at."""

    videos: tuple[_Video, ...]
    goal: str  # path of the goal image, or empty
    picture: Pixels | None  # (H, W, 3)

    @property
    def frames(self) -> int:
        """Number of frames of all videos."""
        return sum(len(video.stamps) for video in self.videos)


def look_at(
    opened: OpenedVideos, encoder: "Encoder", on_frames: OnFrames = lambda frames: None
) -> Iterator[Look]:
    """Yield a look at each video.

    Args:
        opened: videos of one task.
        encoder: loaded, with the fit that is wanted.
        on_frames: called with the number of frames after each batch.

    Raises:
        VipOfflineError: if a video cannot be decoded, or its frames change their size.
    """
    goals = _own(opened.videos, encoder) if opened.picture is None else _given(opened, encoder)
    for video, goal in zip(opened.videos, goals, strict=True):
        yield _look(video, goal, encoder, on_frames)


@dataclass(frozen=True)
class _Goal:
    """The goal of one video."""

    name: str  # in words
    features: tuple[Floats, ...]  # (D,) by each kind of `_Features`
    notes: list[str]
    picture: Pixels | None = None


def _given(opened: OpenedVideos, encoder: "Encoder") -> list[_Goal]:
    """A picture as the goal of each video."""
    assert opened.picture is not None
    height, width = opened.picture.shape[:2]
    share = min(1.0, SHORT / min(height, width))
    size = max(1, round(height * share)), max(1, round(width * share))
    small, fit = resized(opened.picture, size), encoder.preprocessing.fit
    return [
        _Goal(
            f"the picture {opened.goal}",
            _plain(_features(small[None], _seeing(encoder, video))),
            shape_notes(video.path, video.shape, opened.goal, (height, width), fit),
            small,
        )
        for video in opened.videos
    ]


def _own(videos: Sequence[_Video], encoder: "Encoder") -> list[_Goal]:
    """A video's own last frame; of several videos the mean of the others'."""
    ends = [_last_and_first(video, encoder) for video in videos]
    last = [_plain(features) for features, _ in ends]
    if len(videos) == 1:
        return [_Goal(OWN, last[0], [])]
    first, count, fit = videos[0], len(videos), encoder.preprocessing.fit
    notes = [
        shape_notes(video.path, video.shape, str(first.path), first.shape, fit) for video in videos
    ]
    goals, starts = [goal[0] for goal in last], [start for _, start in ends]
    notes[0] += scene_notes(goals, starts, [video.path for video in videos])
    columns = [
        leave_one_out_goals(np.stack(kind), range(count), count) for kind in zip(*last, strict=True)
    ]
    name = "the mean of the others' last frames" if count > 2 else "the other's last frame"
    return [
        _Goal(name, features, about)
        for features, about in zip(zip(*columns, strict=True), notes, strict=True)
    ]


def _plain(features: _Features) -> tuple[Floats, ...]:
    """Each kind of features of one picture, (D,)."""
    return tuple(rows[0].astype(np.float64) for rows in features.all)


def _last_and_first(video: _Video, encoder: "Encoder") -> tuple[_Features, Floats]:
    """Features of the last frame, and the embedding of the first."""
    encoder, decoder = _seeing(encoder, video), Decoder(video.path)
    try:
        (first,) = decode_small(decoder, video.stamps[:1], SHORT)
        (last,) = decode_small(decoder, video.stamps[-1:], SHORT)
    finally:
        decoder.close()
    start = encoder(first[None])[0].astype(np.float64)
    return _features(last[None], encoder), start


def _seeing(encoder: "Encoder", video: _Video) -> "Encoder":
    return encoder.seeing(encoder.preprocessing.for_frames(*video.shape))


def _features(frames: Pixels, encoder: "Encoder") -> _Features:
    return _Features(encoder(frames), *_controls(frames, encoder, random_weights()))


def _controls(
    frames: Pixels, encoder: "Encoder", weights: Sequence[NDArray[np.float32]]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    small = shrink(frames, NETWORK_SIDE, encoder.preprocessing.fit)
    return raw_pixels(small), random_features(small, weights)


def _look(video: _Video, goal: _Goal, encoder: "Encoder", on_frames: OnFrames) -> Look:
    encoder = _seeing(encoder, video)
    stamps, weights = video.stamps, random_weights()
    seconds = video.timeline.seconds - video.timeline.seconds[0]
    rows, rate, speed = _film_rows(seconds)
    filmed, jpegs = {*rows.tolist()}, dict[int, bytes]()
    beside = dict[int, tuple[NDArray[np.uint8], NDArray[np.float32]]]()
    decoder = Decoder(video.path)

    def batches() -> Iterator[tuple[int, Pixels]]:
        frames, size = decode_small(decoder, stamps, SHORT), encoder.backend.batch
        for start in range(0, len(stamps), size):
            taken = [next(frames) for _ in stamps[start : start + size]]
            yield start, stacked(taken, video.path)

    def read(batch: tuple[int, Pixels]) -> Pixels:
        """Called from several threads, each of which computes the controls, too."""
        start, frames = batch
        beside[start] = _controls(frames, encoder, weights)
        for row in filmed.intersection(range(start, start + len(frames))):
            jpegs[row] = _jpeg(frames[row - start])
        return frames

    distances, at = np.empty((3, len(stamps))), 0
    first_pixels, moves = None, False
    try:
        for embedding in encoder.stream(batches(), read):
            features = _Features(embedding, *beside.pop(at))
            if first_pixels is None:
                first_pixels = features.pixels[0].astype(np.int16)
            moves = moves or bool((np.abs(features.pixels - first_pixels) > LOSSY).any())
            until = at + len(embedding)
            for kind, kind_goal, row in zip(features.all, goal.features, distances, strict=True):
                row[at:until] = goal_distance(kind, kind_goal)
            at = until
            on_frames(len(embedding))
    finally:
        decoder.close()
    curves = _curves(encoder.name, distances)
    cut = encoder.preprocessing.cut_off(*video.shape)
    notes = [
        *cut_notes(video.path, encoder.name, cut),
        *goal.notes,
        *end_notes(video.path, distances[0], moves=moves),
    ]
    return Look(
        video=video.path,
        seconds=seconds,
        shape=video.shape,
        goal=goal.name,
        encoder=encoder.name,
        curves=curves,
        notes=tuple(notes),
        film=Film(rows, rate, speed, jpegs),
        goal_picture=goal.picture,
    )


def _film_rows(seconds: Floats) -> tuple[NDArray[np.int64], float, float]:
    """Rows that a film shows, its frames per second, and how many times faster it is."""
    length = float(seconds[-1])
    rate = min(FILM_RATE, (len(seconds) - 1) / length)
    count = min(FILM_FRAMES, max(2, round(length * rate) + 1))
    times = np.linspace(0, length, count)
    return np.searchsorted(seconds, times, "right") - 1, rate, length * rate / (count - 1)


def _jpeg(frame: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "jpeg", quality=QUALITY)
    return buffer.getvalue()


def _curves(encoder: str, distances: Floats) -> tuple[Curve, ...]:
    length = distances.shape[1]
    named = zip((encoder, *CONTROLS, "clock"), [*distances, *clock_distance([length])], strict=True)
    return tuple(
        Curve(
            name,
            distance,
            order_correlation(distance),
            float((np.diff(distance) < 0).mean()),
            _likeness(distance, distances[0]),
        )
        for name, distance in named
    )


def _likeness(one: Floats, other: Floats) -> float:
    if len(one) < 3 or is_flat(one) or is_flat(other):
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def summarise_look(look: Look, *, every_frame: bool = True) -> dict[str, Any]:
    """Return a look as JSON values; what is not a number is None.

    Args:
        look: at one video.
        every_frame: with times and distances, of which there is one per frame.
    """
    curves = {}
    for curve in look.curves:
        numbers = {"order": curve.order, "closer": curve.closer, "likeness": curve.likeness}
        curves[curve.name] = {
            key: round(value, 4) if np.isfinite(value) else None for key, value in numbers.items()
        } | ({"distance": curve.distance.round(5).tolist()} if every_frame else {})
    return {
        "video": str(look.video),
        "frames": len(look.seconds),
        "height": look.shape[0],
        "width": look.shape[1],
        "encoder": look.encoder,
        "goal": look.goal,
        "notes": list(look.notes),
        **({"seconds": look.seconds.round(4).tolist()} if every_frame else {}),
        "curves": curves,
    }
