"""A curation that nobody ran, for the tests of its page."""

import numpy as np
from made_up_analysis import LABELLINGS, make_analysis

from vip_offline.analysis.curation.ranking import rank
from vip_offline.analysis.curation.results import Curation, Shot
from vip_offline.analysis.results import Analysis


def make_curation(evil: str = "", episodes: int = 14) -> Curation:
    """Half of them succeed; `evil` text is put wherever text comes from others."""
    made = make_analysis(episodes, 40, (evil or LABELLINGS[0],))
    rows = made.labellings[:1]
    analysis = Analysis(**{**vars(made), "rows": rows, "store": evil or made.store})
    idle = [(0, 12 if index == 1 else 0) for index in range(episodes)]
    flags = [[evil or "cut: row 12"] if index == 2 else [] for index in range(episodes)]
    ranked = tuple(rank(rows[0].distances, idle, flags, 0.7))
    shot = Shot(0, np.full((96, 112, 3), 120, np.uint8))
    curation = Curation(analysis, ranked, 0.7, (evil or "Moved cameras were not looked for.",), {})
    clear = curation.clear_success
    shown = [*curation.borderline, *([clear] if clear else [])]
    shots = {episode.episode: (shot, Shot(39, shot.pixels)) for episode in shown}
    return Curation(analysis, ranked, 0.7, curation.notes, shots)
