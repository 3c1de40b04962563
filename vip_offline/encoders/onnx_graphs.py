"""Networks as ONNX files, exported once and kept beside the downloaded weights."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vip_offline.encoders.backends import Backend, OnnxRuntime, Torch
from vip_offline.errors import VipOfflineError, first_line
from vip_offline.utils.cache_folder import cache_home, writable_cache
from vip_offline.utils.files import whole_file

AGREEMENT = 1e-3  # largest relative difference to eager torch in fp32

GRAPHS = "graphs"  # of the cache


def relative_difference(values: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Largest over the rows of (N, D) arrays: |value - reference| / |reference|."""
    offset = np.linalg.norm(np.subtract(values, reference, dtype=np.float64), axis=1)
    length = np.linalg.norm(reference, axis=1)
    exact = np.zeros(len(offset))  # of a row of zeros that is met
    return float(np.divide(offset, length, out=exact, where=offset > 0).max())


def cached_graph(
    name: str,
    network: nn.Module,
    size: int,
    sha256: str,
    on_prepare: Callable[[str], None] = lambda sentence: None,
    way_out: str = "",
) -> Path:
    """The network as an ONNX file, which is checked against the network whenever it is used.

    Args:
        name: of the encoder.
        network: in evaluation mode.
        size: S of its (N, 3, S, S) input, px.
        sha256: of its weights; names the file in the cache.
        on_prepare: called before the export, which takes some seconds.
        way_out: for the message, where there is no such file to be had: a sentence.

    Raises:
        VipOfflineError: if the network cannot be exported, or what was exported gives other
            embeddings.
    """
    torch_release = torch.__version__.split("+")[0]
    path = cache_home() / GRAPHS / f"{name}-{sha256[:16]}-torch-{torch_release}.onnx"
    if path.is_file():
        # it may be cut short, or an entry of one's own may have changed since; whatever ONNX
        # Runtime then raises, the graph is made anew, and made again it must agree
        with contextlib.suppress(Exception):
            if _disagrees(path, network, size) <= AGREEMENT:
                return path
    on_prepare(f"preparing {name} for ONNX Runtime, once")
    writable_cache(GRAPHS)
    try:
        with whole_file(path) as partial:
            export_onnx(network, size, partial)
            difference = _disagrees(partial, network, size)
            if not difference <= AGREEMENT:
                raise VipOfflineError(
                    f"Encoder {name} gives other embeddings in ONNX Runtime than in torch: "
                    f"relative difference {difference:.1g}, allowed {AGREEMENT:g}. "
                    f"{way_out}".rstrip()
                )
    except (VipOfflineError, OSError):  # a full disk is no fault of the network
        raise
    except Exception as error:  # the exporter raises whatever it meets
        raise VipOfflineError(
            f"Encoder {name} cannot be made an ONNX graph ({first_line(error)}). {way_out}".rstrip()
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def export_onnx(network: nn.Module, size: int, path: Path) -> None:
    """Write the network as one ONNX file, for any number of pictures."""
    example = torch.zeros(2, 3, size, size)
    loud = logging.getLogger("torch.onnx")
    level = loud.level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of the exporter's own, about itself
        loud.setLevel(logging.ERROR)
        try:
            torch.onnx.export(
                network,
                (example,),
                path,
                input_names=["images"],
                output_names=["embedding"],
                dynamic_shapes=({0: torch.export.Dim("pictures")},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        finally:
            loud.setLevel(level)


def disagreement(a: Backend, b: Backend, size: int) -> float:
    """Relative difference between backends, for one and for three pictures of noise."""
    generator = torch.Generator().manual_seed(0)
    pictures = [torch.randn(count, 3, size, size, generator=generator) for count in (1, 3)]
    return max(relative_difference(a(batch), b(batch)) for batch in pictures)


def _disagrees(path: Path, network: nn.Module, size: int) -> float:
    return disagreement(OnnxRuntime(path), Torch(network), size)
