"""Which cameras the pictures of one folder are of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vip_offline.dataset.importers.folders import pairing
from vip_offline.dataset.importers.folders.folder_contents import Part
from vip_offline.dataset.media.pictures import not_a_view


@dataclass(frozen=True)
class CameraParts:
    """What is made of pictures in one folder."""

    parts: tuple[Part, ...]
    left_out: dict[str, str] = field(default_factory=dict)  # file -> why
    broken: str = ""


def cameras_of(folder: Path, name: str, pictures: Sequence[Path]) -> CameraParts:
    """Tell the cameras apart whose pictures lie in one folder: ``left_000.png``, ``right_000.png``.

    The name is the camera's, if they are of one; "" in the episode's own folder.
    """
    camera = CameraParts((Part(name or "pictures", folder, "pictures"),))
    episodes = {number: path for path in pictures if (number := pairing.episode_in(path.stem))}
    if len(episodes) > 1:
        first, second, *_ = (path.name for path in episodes.values())
        broken = (
            f"{folder}: {first} and {second} are of several episodes. Put the pictures of each "
            "episode into a folder of their own."
        )
        return CameraParts(camera.parts, broken=broken)
    series_stems = pairing.series([path.stem for path in pictures])
    long = {series: stems for series, stems in series_stems.items() if len(stems) > 1}
    if not long or len(series_stems) == 1:
        return camera
    counts = {series: len(stems) for series, stems in long.items() if not not_a_view(series)}
    single = {path.name for path in pictures if pairing.series_of(path.stem) not in long}
    left_out = dict.fromkeys(single, "is a single picture beside series of others")
    numbers = {tuple(map(pairing.numbers, sorted(long[series]))) for series in counts}
    named = len(numbers) < 2 or all(map(pairing.is_camera, counts))
    if len({*counts.values()}) > 1 or not named:
        summary = ", ".join(f"{series or 'no word'} {count}" for series, count in counts.items())
        broken = (
            f"{folder}: its pictures have {len(counts)} kinds of names ({summary}), which do not "
            "go together. Put those of each camera into a folder of their own, or give all one "
            "name."
        )
        return CameraParts(camera.parts, left_out, broken)
    common = set.intersection(*(pairing.words(series) for series in long))
    parts = []
    for series in long:
        own = pairing.label(series, common) if len(long) > 1 else ""
        full = ".".join(filter(None, (name, own))) or "pictures"
        parts.append(Part(full, folder, "pictures", series))
    return CameraParts(tuple(parts), left_out)
