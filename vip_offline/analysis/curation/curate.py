"""A labelled store -> a `Curation`."""

from vip_offline.analysis.analyze import analyse
from vip_offline.analysis.curation.oddities import oddities_of
from vip_offline.analysis.curation.ranking import rank
from vip_offline.analysis.curation.results import Curation
from vip_offline.analysis.curation.scenes import scenes_of
from vip_offline.analysis.curation.shots import shot_rows, shots_of
from vip_offline.analysis.curation.standstill import idle_rows
from vip_offline.dataset.store import Store
from vip_offline.errors import VipOfflineError
from vip_offline.options import AnalyzeOptions
from vip_offline.utils.console import Advance

CASES = 24  # episodes of which frames are shown


def curation_of(
    store: Store,
    label_name: str,
    least: float,
    advance: Advance = lambda amount=0, total=None: None,
) -> Curation:
    """Rank the episodes of a store by one labelling, with reasons.

    Args:
        store: finished.
        label_name: of the labelling; empty: the only one.
        least: share of the way to the goal that an episode must cover to be kept.
        advance: told the frames to look at in total, then those of each episode.

    Raises:
        VipOfflineError: if there is no such labelling, or its stages have different goals.
    """
    label = store.label(label_name)
    if label.goal is not None and len(label.goal) > 1:
        raise VipOfflineError(
            f"{store.path}: label {label.name!r} has {len(label.goal)} stages, so episodes end at "
            "distances to different goals. Label again with the last goal alone."
        )
    analysis = analyse(store.path, AnalyzeOptions(labels=(label.name,)), advance)
    idle = idle_rows(store)
    jumps = [
        next((flag.row for flag in episode.flags if flag.kind == "cut"), None)
        for episode in analysis.episodes
    ]
    scenes, notes = scenes_of(store, label, jumps)
    oddities, not_looked_for = oddities_of(scenes, analysis.success)
    flags = [
        [f"{flag.kind}: {flag.value}" for flag in episode.flags] + odd
        for episode, odd in zip(analysis.episodes, oddities, strict=True)
    ]
    ranked = rank(
        analysis.labellings[0].distances,
        [(episode.start, episode.end) for episode in idle],
        flags,
        least,
    )
    curation = Curation(analysis, tuple(ranked), least, (*notes, *not_looked_for), {})
    camera = str(label.provenance["camera"]).split(",")[0]
    clear = curation.clear_success
    shown = [*curation.borderline[:CASES], *([clear] if clear else [])]
    shots = {
        episode.episode: shots_of(
            store,
            camera,
            episode.episode,
            shot_rows(analysis.episodes[episode.episode].frames, episode.segments),
        )
        for episode in shown
    }
    return Curation(analysis, tuple(ranked), least, curation.notes, shots)
