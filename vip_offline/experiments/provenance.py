"""What was made of a store, by which settings, and whether that is still true."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.config import options_from
from vip_offline.dataset.read_hashes import (
    Reads,
    StaleError,
    changed_arrays,
    episodes_in_words,
)
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_format import settings_of
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.export_data import record_of
from vip_offline.options import TrainOptions, nuisance_text
from vip_offline.policies.policy import MANIFEST, TENSORS, find_policies, read_manifest, read_reads
from vip_offline.rewards.scores import has_no_goal
from vip_offline.simulation.rollout import RESULT, is_of, read_rollouts
from vip_offline.training.data.dataset import differences
from vip_offline.utils.files import read_json, sha256_of

TRUE, UNKNOWN = "yes", "not known: by an earlier release"


def _gone(store: object) -> str:
    return f"not known: {store} is not there any more"


@dataclass(frozen=True)
class Made:
    """Something that was made, and from what."""

    what: str
    source: str  # what it was made from
    settings: str
    still: str  # `TRUE`, `UNKNOWN`, or why not


def made_of_store(store: Store) -> Iterator[Made]:
    """Embeddings and labellings of a store."""
    for encoder in store.encoders:
        names = store.keys(f"embeddings/{encoder}")
        for camera in (name for name in names if "@" not in name):
            about = store.embedding_provenance(encoder, camera) or {}
            settings = f"weights {str(about.get('weights_sha256'))[:8]}"
            yield Made(
                f"embedding {encoder}/{camera}",
                f"frames of {camera}",
                settings,
                _embedding(store, encoder, camera, known=f"{camera}@hash" in names),
            )
    for name in store.label_names:
        about = store.label_provenance(name)
        yield Made(
            f"label {name}",
            f"{about.get('encoder')}/{about.get('camera')}",
            f"{about.get('reward')}, scores: {about.get('goal')}"
            if has_no_goal(about)
            else f"{about.get('reward')}, {about.get('similarity')}, goal: {about.get('goal')}",
            _label(store, name),
        )


def _embedding(store: Store, encoder: str, camera: str, *, known: bool) -> str:
    try:
        outdated = np.flatnonzero(store.outdated(encoder, camera))
        missing = np.flatnonzero(~store.embedded(encoder, camera))
    except VipOfflineError as error:
        return str(error)
    if len(outdated):
        return f"no: outdated in {episodes_in_words(outdated)}; relabel computes it again"
    if len(missing):
        return f"no: lacks {len(missing)} of {len(store)} episodes; relabel computes them"
    return TRUE if known else UNKNOWN


def _label(store: Store, name: str) -> str:
    try:
        label = store.label(name)
    except StaleError as error:
        return f"no: {error.reason}; relabel makes it again"
    except VipOfflineError as error:
        return str(error)
    return TRUE if label.read else UNKNOWN


def made_of_folder(path: Path) -> Iterator[Made]:
    """Policies, their rollouts, tables and pages under a folder; or an export.

    Raises:
        VipOfflineError: if nothing there was made by this program.
    """
    record = read_json(record_of(path))
    if record is not None:
        source = f"{record['store']}, label {record['label']}"
        yield Made(f"{record['what']} {path}", source, "", _arrays(record))
        return
    analysis = read_json(path / "analysis.json")
    if analysis is not None and "made_from" in analysis:
        record = analysis["made_from"]
        yield Made(f"analysis {path}", str(record["store"]), "", _arrays(record))
    comparison = read_json(path / "comparison.json")
    if comparison is not None:
        yield _comparison(path, comparison.get("made_from", {}))
    if any(path.rglob(MANIFEST)) or (analysis is None and comparison is None):
        yield from made_of_policies(path)


def _comparison(path: Path, made_from: Mapping[str, Mapping[str, str]]) -> Made:
    """A comparison, by rollouts or without a simulator by held-out episodes."""
    what, result = ("rollouts", RESULT) if "policies" not in made_from else ("policies", TENSORS)
    hashes = made_from.get(what, {})
    files = {name: path / name / result for name in hashes}
    changed = [
        name
        for name, file in files.items()
        if not file.is_file() or sha256_of(file) != hashes[name]
    ]
    of = "rollouts of " if what == "rollouts" else ""
    still = f"no: {of}{', '.join(changed)} changed" if changed else TRUE
    source = f"{of}{len(hashes)} policies"
    return Made(f"comparison {path}", source, "", still if hashes else UNKNOWN)


def _arrays(record: Mapping[str, Any]) -> str:
    if not Path(record["store"]).exists():
        return _gone(record["store"])
    try:
        changes = changed_arrays(open_store(Path(record["store"])), record["read"])
    except VipOfflineError as error:
        return str(error)
    return f"no: {'; '.join(changes)}" if changes else TRUE


def made_of_policies(folder: Path) -> Iterator[Made]:
    """Policies under a folder, and their rollouts."""
    for policy in find_policies([folder], named=True):
        try:
            manifest, read = read_manifest(policy), read_reads(policy)
            options = options_from(TrainOptions, manifest["options"], f"{policy / MANIFEST}")
        except VipOfflineError as error:  # of one among many
            yield Made(f"policy {policy}", "", "", f"no: damaged: {error}")
            continue
        label = manifest["label"].get("name", "")
        yield Made(
            f"policy {policy}",
            f"{manifest['store']}" + (f", label {label}" if label else ""),
            f"{options.algo}, seed {options.seed}, {options.steps} steps",
            _policy(manifest, read, options),
        )
        if (policy / RESULT).exists():
            rollouts = read_rollouts(policy)
            if rollouts is None:
                yield Made(f"rollouts of {policy}", "", "", "no: damaged; rollout makes them again")
                continue
            still = TRUE if rollouts.policy != "unknown" else UNKNOWN
            nuisance = nuisance_text(vars(rollouts))
            yield Made(
                f"rollouts of {policy}",
                f"policy {policy.name}",
                f"{len(rollouts.placements)} placements, horizon {rollouts.horizon}"
                + (f", {nuisance}" if nuisance else ""),
                still if is_of(rollouts, policy) else "no: the policy is another one by now",
            )


def _policy(manifest: Mapping[str, Any], read: Reads, options: TrainOptions) -> str:
    settings = json.loads(json.dumps(asdict(options)))
    label = settings_of(manifest["label"])
    trained = {**manifest, "options": settings, "label": label, "read": read}
    store = Path(manifest["store"])
    if not store.exists():
        return _gone(store)
    # "the only labelling" is the one that was trained on, however many there are by now
    options = replace(options, label=options.label or label.get("name", ""))
    try:
        differing = differences(trained, store, options)
    except StaleError as error:
        return f"no: its label: {error.reason}; relabel, then train make both again"
    except VipOfflineError as error:
        return str(error)
    changes = (*differing.settings, *differing.data)
    if changes:
        return f"no: {'; '.join(changes)}; train makes it again"
    return TRUE if read else UNKNOWN
