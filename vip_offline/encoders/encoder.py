"""A frozen encoder, loaded: uint8 frames (N, H, W, 3) in, float32 embeddings (N, D) out."""

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vip_offline.encoders.backends import Backend, OnnxRuntime, Torch, choose_backend
from vip_offline.encoders.checkpoints import (
    StateDict,
    load_strictly,
    misfits,
    read_state_dict,
    unwrap,
)
from vip_offline.encoders.onnx_graphs import AGREEMENT, cached_graph, disagreement
from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.encoders.registry import ENCODERS, Entry, check_encoder, entry_of, provenance_of
from vip_offline.encoders.weight_files import fetch_weights
from vip_offline.errors import VipOfflineError
from vip_offline.options import Computing, Fit
from vip_offline.utils.download import Progress
from vip_offline.utils.files import sha256_of
from vip_offline.utils.parallel import check_not_forked, threaded_map

BatchT = TypeVar("BatchT")
LOADED = "loaded an encoder", "its threads"  # for `check_not_forked`


class Encoder:
    """A frozen network with its preprocessing, what computes it, and its provenance."""

    def __init__(self, name: str, entry: Entry, backend: Backend, sha256: str) -> None:
        self.name = name
        self.dim = entry.dim
        self.preprocessing = entry.preprocessing
        self.licence = entry.licence
        self.sha256 = sha256
        self.backend = backend

    def __call__(self, frames: NDArray[np.uint8], batch_size: int = 0) -> NDArray[np.float32]:
        """(N, H, W, 3) uint8 RGB -> (N, D) float32.

        Args:
            frames: the pictures.
            batch_size: frames per forward pass; by default what the backend does fastest.
        """
        size = batch_size or self.backend.batch
        starts = range(0, len(frames), size)
        parts = list(self.stream(starts, lambda start: frames[start : start + size]))
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    def stream(
        self, batches: Iterable[BatchT], read: Callable[[BatchT], NDArray[np.uint8]]
    ) -> Iterator[NDArray[np.float32]]:
        """Embed batches in order; the next ones are read while one is computed.

        Args:
            batches: what is to be read; taken as they are needed, so that a few at a time are in
                memory, whatever their number.
            read: gives a batch's (N, H, W, 3) uint8 RGB frames; called from several threads.
        """

        def embed(batch: BatchT) -> NDArray[np.float32]:
            return self.backend(self.preprocessing(read(batch)))

        # a thread's own operations, preprocessing among them, must leave the other cores to the
        # other threads; torch hands the last number that was set to threads that start later
        check_not_forked(*LOADED)
        before = torch.get_num_threads()
        threads = self.backend.threads
        try:
            yield from threaded_map(
                embed, batches, self.backend.workers, lambda: torch.set_num_threads(threads)
            )
        finally:
            torch.set_num_threads(before)

    @property
    def provenance(self) -> dict[str, Any]:
        """Return what must be equal for embeddings of two runs to be comparable."""
        return provenance_of(self.name, self.sha256, self.preprocessing)

    def seeing(self, preprocessing: Preprocessing) -> Self:
        """Return an encoder that shares this network and preprocesses frames differently."""
        if preprocessing == self.preprocessing:
            return self
        encoder = copy.copy(self)
        encoder.preprocessing = preprocessing
        return encoder


def load_encoder(
    name: str,
    weights: Path | None = None,
    progress: Progress = lambda done, total: None,
    computing: Computing | None = None,
    on_prepare: Callable[[str], None] = lambda sentence: None,
    fit: Fit = "crop",
    way_out: str = "Take Computing(backend='torch').",
) -> Encoder:
    """Load an encoder; never with random weights unless it is named so.

    Args:
        name: a key of `ENCODERS`.
        weights: path of its checkpoint; by default the cache's, or the publisher's.
        progress: of a download, in bytes.
        computing: backend, device, precision; by default the fastest for the CPU.
        on_prepare: called with a sentence before work of some seconds that is done once.
        fit: how a frame that is not square becomes one; see `RelabelOptions.fit`.
        way_out: what to do where ONNX Runtime cannot compute this encoder: a sentence.

    Raises:
        VipOfflineError: on an unknown name, on weights that are missing, unreadable, of another
            model, or given to an encoder that has its own, on a backend that is not there, and in
            a fork of a process that has loaded one.
    """
    check_not_forked(*LOADED)
    check_encoder(name, str(weights or ""))
    computing = computing or Computing()
    chosen = choose_backend(computing)
    entry = entry_of(name)
    fitted = entry.preprocessing.fitted(fit)
    network, sha256 = load_network(name, weights, progress)
    # a picture that is only flattened has nothing to be computed
    if chosen == "onnx" and any(True for _ in network.parameters()):
        size = entry.preprocessing.crop
        graph = cached_graph(name, network, size, sha256, on_prepare, way_out)
        return Encoder(name, entry, OnnxRuntime(graph), sha256).seeing(fitted)
    backend = Torch(network, computing.device, computing.precision)
    if computing.precision != "fp32":
        exact = Torch(network, computing.device)
        difference = disagreement(backend, exact, entry.preprocessing.crop)
        if not difference <= AGREEMENT:
            raise VipOfflineError(
                f"--precision {computing.precision}: encoder {name} gives other embeddings than "
                f"in fp32: relative difference {difference:.1g}, allowed {AGREEMENT:g}. Use "
                "--precision fp32."
            )
    return Encoder(name, entry, backend, sha256).seeing(fitted)


def load_network(
    name: str, weights: Path | None = None, progress: Progress = lambda done, total: None
) -> tuple[nn.Module, str]:
    """An encoder's network with its weights, in evaluation mode, and their sha256.

    Raises:
        VipOfflineError: see `load_encoder`.
    """
    check_encoder(name, str(weights or ""))
    entry = entry_of(name)
    network = entry.build()
    path = weights
    if path is None and entry.carried is not None:
        path = entry.carried()
    elif path is None and entry.origin is not None:
        path = fetch_weights(name, entry.origin, progress)
    if path is not None:
        load_strictly(network, _state(name, entry, path, network))
    network.eval().requires_grad_(False)
    return network, _sha256_of_tensors(network) if path is None else sha256_of(path)


def rebuild_encoder(name: str, state: StateDict, sha256: str) -> Encoder:
    """Rebuild an encoder from the tensors of its network, in torch on the CPU.

    Raises:
        VipOfflineError: on tensors that are not this encoder's.
    """
    entry = entry_of(name)
    network = entry.build()
    wrong = misfits(network, state)
    if wrong:
        raise VipOfflineError(f"does not fit encoder {name}: {wrong[0]}.")
    load_strictly(network, state)
    network.eval().requires_grad_(False)
    return Encoder(name, entry, Torch(network), sha256)


def _state(name: str, entry: Entry, path: Path, network: nn.Module) -> StateDict:
    content = read_state_dict(path)
    state = unwrap(content, entry.layout)
    wrong = (
        misfits(network, entry.adapt(state))
        if state is not None
        else [f"it has not the layout that encoder {name} is published in"]
    )
    if state is None or wrong:
        matches = [match for match in encoders_fitting(content) if match != name]
        hint = ""
        if matches:
            hint = f" This looks like {matches[0]}; did you mean --encoder {matches[0]}?"
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise VipOfflineError(f"{path}: does not fit encoder {name}: {wrong[0]}{more}.{hint}")
    return entry.adapt(state)


def encoders_fitting(content: Mapping[str, object]) -> list[str]:
    """Return the names of the encoders whose tensor names and shapes a checkpoint matches.

    Several may share them (MAE and VC-1 ViT-B): a file does not say what it was trained on.
    """
    matches = []
    for name, entry in ENCODERS.items():
        published = entry.origin is not None or entry.headed is not None
        state = unwrap(content, entry.layout) if published else None
        if state is None:
            continue
        try:
            with torch.device("meta"):  # shapes alone: nothing is computed
                network = entry.build()
                adapted = entry.adapt({k: v.to("meta") for k, v in state.items()})
            if not misfits(network, adapted):
                matches.append(name)
        except (VipOfflineError, KeyError, RuntimeError):
            continue
    return matches


def _sha256_of_tensors(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        digest.update(key.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()
