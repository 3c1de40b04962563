"""An analysis, and what it leaves in a folder: a page, numbers, figures, films."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vip_offline.analysis.analyze import analyse
from vip_offline.analysis.metrics import normalised
from vip_offline.analysis.results import Analysis, summarise_analysis
from vip_offline.dataset.labels import LABEL_ARRAYS
from vip_offline.dataset.read_hashes import LENGTHS, made_from
from vip_offline.dataset.store import Store, open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import AnalyzeOptions
from vip_offline.options.fields import check_ranges
from vip_offline.report.figures.films import write_film
from vip_offline.report.figures.save import save_figures
from vip_offline.report.html.analysis_page import write_analysis_page
from vip_offline.utils.console import Bar
from vip_offline.utils.files import require_writable, write_json

ANALYZED_COLUMNS = ("action", "proprio", "true_reward")
USUAL_RATE = 10.0  # frames per second of a film where the store gives no control rate


def check_analyze(options: AnalyzeOptions) -> None:
    """Refuse settings that say nothing.

    Raises:
        VipOfflineError: naming the option, its value and the range.
    """
    check_ranges(options)
    twice = [label for label in options.labels if options.labels.count(label) > 1]
    if twice:
        raise VipOfflineError(f"--label {twice[0]}: is given twice.")


def analyze_stage(
    path: Path, options: AnalyzeOptions, out: Path, bar: Bar, *, figures: bool
) -> tuple[Analysis, list[str]]:
    """Analyse a store and write what was found; says where.

    Raises:
        VipOfflineError: see `analyse`; if films are wanted and there are no frames.
    """
    check_analyze(options)
    _check_store(path, options)
    require_writable(out)
    with bar("look at frames", 0, "frame") as advance:
        analysis = analyse(path, options, advance)
    write_analysis_page(analysis, out / "report.html")
    store = open_store(path)
    record = made_from(store, _sources(store, options))
    write_json({**summarise_analysis(analysis), "made_from": record}, out / "analysis.json")
    messages = [f"-> {out / 'report.html'}", f"-> {out / 'analysis.json'}"]
    if figures:
        saved = save_figures(analysis, out / "figures")
        messages.append(f"-> {out / 'figures'}: {len(saved)} files")
    if options.films:
        chosen = list(_filmed(analysis))[: options.films]
        store = open_store(path)
        with bar("films", len(chosen), "film") as advance:
            for index in chosen:
                _film(store, analysis, index, out / "films" / f"episode-{index}.mp4")
                advance(1)
        messages.append(f"-> {out / 'films'}: {len(chosen)} films")
    return analysis, messages


def _sources(store: Store, options: AnalyzeOptions) -> list[str]:
    """What `analyse` reads, as `dataset.read_hashes` names it."""
    keys = [LENGTHS, "meta/success"]
    keys += [f"data/{name}" for name in ANALYZED_COLUMNS if name in store.keys("data")]
    for name in options.labels or store.label_names:
        about = store.label_provenance(name)
        keys += [f"labels/{name}/{array}" for array in LABEL_ARRAYS]
        for camera in str(about["camera"]).split(","):
            keys += [f"frames/{camera}"] if camera in store.cameras else []
            embedding = f"{about['encoder']}/{camera}"
            kept = store.embedding_provenance(str(about["encoder"]), camera) is not None
            keys += [f"embeddings/{embedding}"] if kept else []
    return [*dict.fromkeys(keys)]


def _check_store(path: Path, options: AnalyzeOptions) -> None:
    """Refuse a labelling that is not there, and films of a camera whose frames are not."""
    store = open_store(path)
    label, *_ = (store.label(name) for name in options.labels or ("",))
    camera = str(label.provenance["camera"]).split(",")[0]
    if options.films and camera not in store.cameras:
        raise VipOfflineError(
            f"--films {options.films}: the frames are not in {path}, so none can be made."
        )


def _filmed(analysis: Analysis) -> Iterator[int]:
    """Episodes, a success and a failure in turn."""
    good = [episode.index for episode in analysis.episodes if episode.success]
    bad = [episode.index for episode in analysis.episodes if not episode.success]
    for place in range(max(len(good), len(bad))):
        yield from (outcome[place] for outcome in (good, bad) if place < len(outcome))


def _film(store: Store, analysis: Analysis, index: int, path: Path) -> None:
    label = store.label(analysis.labellings[0].name)
    camera = str(label.provenance["camera"]).split(",")[0]
    start, stop = store.spans()[index]
    curves = {
        labelling.name: normalised(labelling.distances[index])
        for labelling in analysis.labellings
        if np.isfinite(labelling.distances[index]).all()
    }
    rate = float(store.attributes.get("control_rate") or USUAL_RATE)
    write_film(path, store.frames(camera, start, stop), curves, rate)
