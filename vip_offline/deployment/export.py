"""Make a policy folder whole for another computer: the encoder, a graph, samples, a card."""

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vip_offline.analysis.closed_loop.statistics import success_interval
from vip_offline.config import options_from, read_toml
from vip_offline.dataset.media.pictures import read_picture
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_format import now, settings_of
from vip_offline.deployment.card import policy_card
from vip_offline.encoders.encoder import load_network, rebuild_encoder
from vip_offline.encoders.onnx_graphs import cached_graph
from vip_offline.errors import VipOfflineError
from vip_offline.options import ShipOptions, TrainOptions, nuisance_text
from vip_offline.policies.brightness import brightness_grid
from vip_offline.policies.checksums import (
    SUMS,
    changed_files,
    finish_replacement,
    read_sums,
    replace_listed,
    write_sums,
)
from vip_offline.policies.interface import FRAME, PROPRIO, Interface, check_described
from vip_offline.policies.novelty import training_embeddings
from vip_offline.policies.onnx_export import write_graph
from vip_offline.policies.policy import (
    MANIFEST,
    READ,
    TENSORS,
    Policy,
    find_policies,
    manifest_text,
    read_manifest,
    read_reads,
    write_manifest,
    write_tensors,
)
from vip_offline.policies.reference_io import COUNT, SAMPLES, Samples, write_samples
from vip_offline.policies.runtime import (
    ENCODER,
    GRAPH,
    REFERENCE,
    check_encoder_of,
    load_policy,
    seen_by,
)
from vip_offline.policies.verify import package_versions, verify
from vip_offline.training.data.dataset import TrainingSet, differences, training_set
from vip_offline.utils.console import Bar
from vip_offline.utils.files import hidden_beside, only_writer, put_back, put_in_place

CARD, PICTURE = "README.md", "goal.png"
COLOUR_FRAMES = 64  # whose mean colour is taken


def ship(
    folder: Path,
    *,
    store: Path | None = None,
    weights: Path | None = None,
    described: Mapping[str, Any] | None = None,
    takes: Literal["frames", "embedding"] = "frames",
    on_prepare: Callable[[str], None] = lambda sentence: None,
) -> list[str]:
    """Add to a policy folder what another computer needs.

    Args:
        folder: the policy.
        store: what it was trained on; by default where it was then.
        weights: the encoder's checkpoint, where it needs one.
        described: what the store does not say: names, units and kind, gripper, rate, key map.
        takes: ``embedding``: leave the encoder out, for one that must not or cannot travel.
        on_prepare: called with a sentence before work of some seconds.

    Returns:
        What the user should know, in sentences.

    Raises:
        VipOfflineError: if the store is another now, the encoder cannot be had or is another one,
            or the graph gives other actions than the policy.
    """
    put_back(folder)
    path = store or Path(read_manifest(folder)["store"])
    with contextlib.ExitStack() as stack:
        stack.enter_context(only_writer(folder))
        if path.is_dir():  # otherwise `differences` says what is wrong with it
            stack.enter_context(only_writer(path, shared=True))
        finish_replacement(folder)
        # a copy of the folder is made ready and put in its place: it is whole at every moment
        copy = hidden_beside(folder, "shipped")
        shutil.rmtree(copy, ignore_errors=True)
        try:
            shutil.copytree(folder, copy, symlinks=True)
            notes = _ship(copy, path, weights, described or {}, takes, on_prepare)
            put_in_place(copy, folder)
            return notes
        except VipOfflineError as error:
            error.args = (str(error).replace(str(copy), str(folder)),)
            raise
        finally:
            shutil.rmtree(copy, ignore_errors=True)


def _ship(
    folder: Path,
    path: Path,
    weights: Path | None,
    described: Mapping[str, Any],
    takes: Literal["frames", "embedding"],
    on_prepare: Callable[[str], None],
) -> list[str]:
    """See `ship`; nobody else writes to the policy or to the store at `path`."""
    policy = Policy.load(folder)
    manifest = dict(policy.manifest)
    options = _options(folder, manifest, path)
    # the settings are its own; of one from before an option they are not written down
    settings = json.loads(json.dumps(asdict(options)))
    label = settings_of(manifest["label"])
    read = read_reads(folder)
    trained = {**manifest, "options": settings, "store": str(path), "label": label, "read": read}
    differing_inputs = differences(trained, path, options)
    differing = (*differing_inputs.settings, *differing_inputs.data)
    if differing:  # a labelling that was made again may be one that nothing can be trained on
        raise VipOfflineError(
            f"{folder}: was trained on something else than {path} now holds "
            f"({'; '.join(differing)}). Name the store with --store, or train again."
        )
    data = training_set(path, options)
    interface = Interface.read(manifest["interface"], str(folder / MANIFEST))
    interface = _described(interface, described)
    name = manifest["encoder"]["encoder"]
    network, sha256 = load_network(name, weights)
    state = network.state_dict()
    encoder = rebuild_encoder(name, state, sha256).seeing(seen_by(folder, manifest))
    check_encoder_of(folder, manifest, encoder)

    (folder / SUMS).unlink(missing_ok=True)  # of the copy, until it is whole
    opened, notes = open_store(path), []
    files = [MANIFEST, TENSORS, SAMPLES, REFERENCE, CARD]
    if takes == "frames":
        write_tensors(folder / ENCODER, {key: value.numpy() for key, value in state.items()})
        files.append(ENCODER)
    else:
        (folder / ENCODER).unlink(missing_ok=True)
        notes.append(
            f"the encoder is left out: the computer beside the robot needs {name} with weights of "
            f"sha256 {sha256[:16]}…"
        )
    manifest["interface"] = interface.plain()
    manifest["colour"] = {
        camera: _colour(opened, camera)
        for camera in (key.removeprefix(FRAME) for key in interface.frames)
    }
    manifest["goal"] = _goal(opened, manifest, folder)
    files += [name for name in (PICTURE, READ) if (folder / name).exists()]
    lengths = [len(observations) for observations in data.observations]
    reference = training_embeddings(
        np.concatenate(data.observations)[:, : manifest["embedding_size"]],
        np.repeat(np.arange(len(lengths)), lengths),
    )
    write_tensors(
        folder / REFERENCE,
        {"embedding": reference.embedding, "scale": np.array([reference.scale])},
    )
    try:
        # without an encoder inside, or one that only flattens, there is none to be exported
        graph = None
        if takes == "frames" and any(True for _ in network.parameters()):
            graph = cached_graph(name, network, encoder.preprocessing.crop, sha256, on_prepare)
        opset = write_graph(
            folder / GRAPH,
            Policy(policy.tensors, manifest),
            interface,
            graph,
            encoder.preprocessing,
            takes,
        )
        manifest["onnx"] = {"takes": takes, "opset": opset}
        files.append(GRAPH)
    except VipOfflineError as error:
        (folder / GRAPH).unlink(missing_ok=True)
        manifest.pop("onnx", None)
        notes.append(f"no {GRAPH}: {error}")
    manifest["versions"] = package_versions()
    manifest["shipped"] = now()
    manifest["success"] = _success(folder)
    write_manifest(folder, manifest)
    samples = _samples(opened, data, interface)
    exact = load_policy(folder, backend="torch", encoder=encoder).infer(samples)
    write_samples(folder / SAMPLES, Samples(samples, exact.action, exact.embedding))
    (folder / CARD).write_text(policy_card(manifest), encoding="utf-8")
    write_sums(folder, files)
    if problems := verify(folder).problems:
        raise VipOfflineError(
            f"{folder}: {'; '.join(problems)}. Ship it --without-encoder, and report this."
        )
    return notes


def _options(folder: Path, manifest: Mapping[str, Any], path: Path) -> TrainOptions:
    """What a policy was trained with, of the labelling that it was trained on.

    Raises:
        VipOfflineError: if the store holds that labelling no longer.
    """
    options = options_from(TrainOptions, manifest["options"], f"{folder / MANIFEST} options")
    name = str(manifest["label"].get("name", ""))
    if not name:
        return options
    names = open_store(path).label_names
    if name not in names:
        raise VipOfflineError(
            f"{folder}: was trained on label {name!r}, and {path} holds it no longer (there are: "
            f"{', '.join(names) or 'none'}). Make it again with `vip-offline relabel {path} --name "
            f"{name}` and the settings under label in {folder / MANIFEST}, or train again."
        )
    return replace(options, label=name)


def _described(interface: Interface, described: Mapping[str, Any]) -> Interface:
    """What the store says, with what the user says."""
    check_described(described)
    plain = {**interface.plain(), **described}
    if "action_kind" in described:
        plain["action_kind_guessed"] = False
    for key in ("proprio", "action"):
        if not isinstance(plain[key], list) or not all(type(item) is str for item in plain[key]):
            raise VipOfflineError(
                f"--describe: {key} is {plain[key]!r}; expected a list of names, one for each of "
                f"{', '.join(getattr(interface, key))}."
            )
        if len(plain[key]) != len(getattr(interface, key)):
            raise VipOfflineError(
                f"--describe: {key} has {len(plain[key])} names; the policy has "
                f"{len(getattr(interface, key))} ({', '.join(getattr(interface, key))})."
            )
    return Interface.read(plain, "--describe")


def _colour(store: Store, camera: str) -> dict[str, Any]:
    """Mean colour and brightness of frames over the store, and how they differ from frame to frame.

    Returns:
        ``mean``, ``std`` (3,) and ``grid_mean``, ``grid_std`` (S, S) of `brightness_grid`.
    """
    rows = np.unique(np.linspace(0, store.rows - 1, COLOUR_FRAMES).round().astype(int))
    read = store.frame_reader(camera)
    means, grids = [], []
    for row in rows.tolist():
        (frame,) = read(row, row + 1)
        means.append(frame.mean(axis=(0, 1)))
        grids.append(brightness_grid(frame))
    return {
        "mean": np.mean(means, axis=0).round(3).tolist(),
        "std": np.std(means, axis=0).round(3).tolist(),
        "grid_mean": np.mean(grids, axis=0).round(1).tolist(),
        "grid_std": np.std(grids, axis=0).round(1).tolist(),
    }


def _goal(store: Store, manifest: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The goal in words, and as a picture beside it where it is one."""
    (folder / PICTURE).unlink(missing_ok=True)
    label = manifest["label"]
    if not label:
        return {}
    # of several cameras the first; the policy's own may be others
    camera = str(label.get("camera", manifest["camera"])).split(",")[0]
    picture = goal_picture(store, camera, label)
    if picture is not None:
        Image.fromarray(picture).save(folder / PICTURE)
    encoder = manifest["encoder"]
    return {
        "said": label.get("goal", ""),
        "picture": PICTURE if picture is not None else "",
        "encoder": encoder["encoder"],
        "weights_sha256": encoder["weights_sha256"],
    }


def goal_picture(
    store: Store, camera: str, provenance: Mapping[str, Any]
) -> NDArray[np.uint8] | None:
    """Return one of the goal images; None if the goal is a prompt or its file is gone."""
    rows = provenance["goal_rows"]
    if not rows and not provenance["stages"]:  # each episode's own last frame
        rows = [store.spans()[0][1] - 1]
    if rows:
        picture: NDArray[np.uint8] = store.frames(camera, rows[-1], rows[-1] + 1)[0]
        return picture
    files = [path for path in provenance["stages"][-1]["pictures"] if Path(path).is_file()]
    return read_picture(Path(files[0])) if files else None


def _samples(store: Store, data: TrainingSet, interface: Interface) -> dict[str, NDArray[Any]]:
    """Observations spread evenly over the training set."""
    spans = [store.spans()[episode] for episode in data.manifest["episodes"]]
    every = np.concatenate([np.arange(*span) for span in spans])
    rows = every[np.linspace(0, len(every) - 1, COUNT).round().astype(int)].tolist()
    observation: dict[str, NDArray[Any]] = {}
    for key in interface.frames:
        read = store.frame_reader(key.removeprefix(FRAME))
        observation[key] = np.concatenate([read(row, row + 1) for row in rows])
    observation[PROPRIO] = store.data("proprio")[rows].astype(np.float32)
    return observation


def _success(folder: Path) -> dict[str, Any]:
    """How often it succeeded where it was rolled out, with Wilson's interval."""
    from vip_offline.simulation.rollout import read_rollouts

    result = read_rollouts(folder)
    if result is None:
        return {}
    outcome = result.success
    low, high = success_interval(sum(outcome), len(outcome))
    nuisance = nuisance_text(vars(result))
    return {
        "successes": sum(outcome),
        "rollouts": len(outcome),
        "interval_95": [round(low, 4), round(high, 4)],
        "horizon": result.horizon,
        "first_placement": min(result.placements),
        "backend": result.backend,
        "processor": result.processor,
        **({"nuisance": nuisance} if nuisance else {}),
    }


def note_success(folder: Path, say: Callable[[str], None]) -> None:
    """Add the success rate of new rollouts to an exported folder; others are not changed.

    A folder whose files are not as they are listed is left alone too, so that they stay refused.

    Args:
        folder: of the policy.
        say: called with a sentence if the folder was left alone.
    """
    with only_writer(folder):
        finish_replacement(folder)
        sums = read_sums(folder)
        if SAMPLES not in sums:
            return
        if problems := changed_files(folder):
            say(
                f"note: {folder}: {'; '.join(problems)}, so its success rate is not noted in it. "
                f"`vip-offline ship {folder}` makes it whole again."
            )
            return
        manifest = dict(Policy.load(folder).manifest)
        success = _success(folder)
        if manifest.get("success") == success:
            return
        manifest["success"] = success
        texts = {MANIFEST: manifest_text(manifest), CARD: policy_card(manifest)}
        replace_listed(folder, sums, texts)


def is_shipped(folder: Path) -> bool:
    """Whether a folder was exported, not only trained, and is whole."""
    return SAMPLES in read_sums(folder) and not changed_files(folder)


def ship_all(
    policies: Sequence[Path] | None,
    options: ShipOptions,
    bar: Bar,
    say: Callable[[str], None],
) -> None:
    """`ship` several policies.

    Args:
        policies: folders; None: the only ones under ``runs/``.
        options: what goes along.
        bar: of progress.
        say: called with lines for the user.

    Args:
        policies: folders; None: the only ones under ``runs/``.
        store: what they were trained on, if it was moved.
        weights: checkpoint file of their encoder; empty: it ships with its weights.
        describe: TOML file that describes the robot; None: nothing does.
        takes: what ``policy.onnx`` takes.
        bar: of progress.
        say: called with lines for the user.

    Raises:
        VipOfflineError: if there are none, or the description cannot be read; see `ship`.
    """
    folders = find_policies(policies or [Path("runs")], named=bool(policies))
    file = options.describe
    described = read_toml(file, "file (--describe)") if file is not None else None
    with bar("ship", len(folders), "policy") as advance:
        for folder in folders:
            notes = ship(
                folder,
                store=options.store,
                weights=Path(options.weights) if options.weights else None,
                described=described,
                takes="embedding" if options.without_encoder else "frames",
                on_prepare=say,
            )
            advance(1)
            say(f"ready -> {folder}")
            for note in notes:
                say(f"note: {note}")


def ship_if_possible(folder: Path, weights: str, say: Callable[[str], None]) -> None:
    """`ship` a policy that was just trained, or say what is missing; it is a policy in any case.

    Args:
        folder: of the policy.
        weights: checkpoint file of its encoder; empty: it ships with its weights.
        say: called with lines for the user.
    """
    if is_shipped(folder):
        return
    try:
        notes = ship(folder, weights=Path(weights) if weights else None, on_prepare=say)
    except VipOfflineError as error:
        notes = [f"not ready for another computer yet: {error} Then: vip-offline ship {folder}"]
    for note in notes:
        say(f"note: {note}")


def ship_trained(
    folders: Sequence[Path], weights: str, bar: Bar, say: Callable[[str], None]
) -> None:
    """`ship_if_possible` of each policy that was just trained; say where they are."""
    with bar("make ready for a robot", len(folders), "policy") as advance:
        for folder in folders:
            ship_if_possible(folder, weights, say)
            advance(1)
    for folder in folders:
        say(f"policy -> {folder}")
