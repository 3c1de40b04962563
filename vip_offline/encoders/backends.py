"""What computes a network: ONNX Runtime or torch on the CPU, torch on CUDA."""

import os
import threading
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vip_offline.errors import VipOfflineError
from vip_offline.options import Computing

SMALL_SIDE, SMALL_PICTURES = 96, 32  # px, of which a batch may have so many
MOST_WORKERS = 8  # each holds the activations of a batch


class Backend(Protocol):
    """Preprocessed pictures to embeddings."""

    name: str  # for people: what it is and where it runs
    workers: int  # threads to call it from, each with a batch of its own
    threads: int  # that each of those may start itself
    batch: int  # pictures per call at which it is fastest

    def __call__(self, images: Tensor) -> NDArray[np.float32]:
        """(N, 3, S, S) float32 -> (N, D) float32."""


def check_device(device: str) -> None:
    """Refuse a device that torch cannot compute on here.

    Raises:
        VipOfflineError: naming it.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise VipOfflineError(
            "--device cuda: torch finds no CUDA device here (torch.cuda.is_available() is False). "
            "Use --device cpu, or install a torch that fits the driver."
        )


def choose_backend(computing: Computing) -> Literal["torch", "onnx"]:
    """Resolve the backend; ``auto`` is ONNX Runtime on the CPU in fp32, else torch.

    Raises:
        VipOfflineError: if it cannot run here. Nothing else is used in its place.
    """
    backend, device, precision = computing.backend, computing.device, computing.precision
    check_device(device)
    if backend == "onnx" and (device, precision) != ("cpu", "fp32"):
        raise VipOfflineError(
            f"--backend onnx: runs on the CPU in fp32, not on {device} in {precision}. Use "
            "--backend torch."
        )
    if backend == "auto":
        return "onnx" if (device, precision) == ("cpu", "fp32") else "torch"
    return backend


class Torch:
    """Eager torch, channels last."""

    def __init__(self, network: nn.Module, device: str = "cpu", precision: str = "fp32") -> None:
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.name = f"torch {torch.__version__}, {device}, {precision}"
        self.workers = 2  # one reads while the other computes, on all cores
        self.threads = torch.get_num_threads()
        self._computing = threading.Lock()
        # small batches are fastest on a CPU: the activations of 16 pictures stay in its cache
        self.batch = 16 if device == "cpu" else 256
        self._device = device
        self._mixed = precision == "fp16"

    def __call__(self, images: Tensor) -> NDArray[np.float32]:
        """(N, 3, S, S) float32 -> (N, D) float32."""
        images = images.to(self._device, memory_format=torch.channels_last)
        mixed = torch.autocast(self._device, torch.float16, enabled=self._mixed)
        # torch's own default rounds convolutions to 10 bits (TF32) where fp32 was asked for
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=self._mixed)
        with self._computing, torch.inference_mode(), mixed, exact:
            embedding: NDArray[np.float32] = self.network(images).float().cpu().numpy()
        return embedding


class OnnxRuntime:
    """ONNX Runtime on the CPU, one thread per batch.

    Two batches side by side on two cores take less time than one batch split over both: nobody
    waits for the slower half of each layer. And while one thread reads pictures, the others
    compute.
    """

    def __init__(self, graph: Path) -> None:
        import onnxruntime

        self.graph = graph
        cores = len(os.sched_getaffinity(0))
        self.workers = min(cores, MOST_WORKERS)
        options = onnxruntime.SessionOptions()
        self.threads = options.intra_op_num_threads = cores // self.workers
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
        images = self._session.get_inputs()[0]
        self._input = images.name
        # the activations of so many pictures stay in a core's cache
        self.batch = SMALL_PICTURES if images.shape[-1] <= SMALL_SIDE else 8
        self.name = f"ONNX Runtime {onnxruntime.__version__}, cpu, fp32"

    def __call__(self, images: Tensor) -> NDArray[np.float32]:
        """(N, 3, S, S) float32 -> (N, D) float32."""
        embedding: NDArray[np.float32]
        (embedding,) = self._session.run(None, {self._input: images.contiguous().numpy()})
        return embedding
