"""A policy as one ONNX file: a camera's frames and the robot's state in, actions out.

Resizing, cropping, scaling, the encoder and the network behind it are all inside, so that whoever
runs it can get none of them wrong. It keeps no state: actions that take two values (``grippers`` of
the interface in its metadata) come out raw, for `gripper.GripperState`. Written node by node around
the encoder's own graph: the same policy gives the same bytes.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.errors import VipOfflineError
from vip_offline.policies.interface import PROPRIO, Interface
from vip_offline.policies.policy import HIGH, LOW, Policy

if TYPE_CHECKING:
    import onnx

EMBEDDING, ACTION = "embedding", "action"
OPSET = 18  # of policies without an encoder; with one, that of the encoder's graph
BATCH_AXIS = "N"  # observations, as many as there are
MOST_BITS = 22  # of torch's weights for bytes, which fit into 16 with their sign


class _Nodes:
    """Nodes and constants of a graph under way, named by count."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: NDArray[Any]) -> str:
        """Name of an array."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def __call__(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Name of what a node gives."""
        from onnx import helper

        name = out or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def split(self, values: str, sizes: str, parts: list[str]) -> None:
        """Rows into equal parts, or columns into parts of these sizes."""
        from onnx import helper

        how: dict[str, Any] = {"axis": 1} if sizes else {"axis": 0, "num_outputs": len(parts)}
        self.nodes.append(
            helper.make_node("Split", [values, sizes] if sizes else [values], parts, **how)
        )


def write_graph(
    path: Path,
    policy: Policy,
    interface: Interface,
    encoder: Path | None,
    preprocessing: Preprocessing,
    takes: Literal["frames", "embedding"] = "frames",
) -> int:
    """Write ``policy.onnx``; returns the version of ONNX's operators that it uses.

    Args:
        path: of the file.
        policy: the network behind the encoder.
        interface: what it takes.
        encoder: the encoder's graph, ``images`` (N, 3, S, S) -> ``embedding`` (N, D); None: there
            is nothing to be computed, the picture itself is the embedding.
        preprocessing: of the encoder.
        takes: ``embedding``: leave the encoder out.

    Raises:
        VipOfflineError: if frames are too small for the encoder.
    """
    import onnx
    from onnx import TensorProto, helper

    graph, inputs, opsets, ir = _Nodes(), [], [helper.make_opsetid("", OPSET)], 8
    if takes == "frames":
        pictures = []
        for key, shape in interface.frames.items():
            inputs.append(
                helper.make_tensor_value_info(key, TensorProto.UINT8, [BATCH_AXIS, *shape])
            )
            pictures.append(_preprocessed(graph, key, shape, preprocessing))
        # cameras one below the other through the encoder, side by side behind it
        stacked = pictures[0] if len(pictures) == 1 else graph("Concat", *pictures, axis=0)
        if encoder is None:
            features = graph("Flatten", stacked, axis=1)
        else:
            features, model = _inlined(graph, stacked, onnx.load(encoder))
            opsets, ir = list(model.opset_import), model.ir_version
        if len(pictures) > 1:
            parts = [f"camera_{place}" for place in range(len(pictures))]
            graph.split(features, "", parts)
            features = graph("Concat", *parts, axis=1)
        embedding = graph("Identity", features, out=EMBEDDING)
    else:
        embedding = EMBEDDING
        width = policy.manifest["embedding_size"]
        inputs.append(
            helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, [BATCH_AXIS, width])
        )
    width = policy.manifest["proprio_size"]
    inputs.append(helper.make_tensor_value_info(PROPRIO, TensorProto.FLOAT, [BATCH_AXIS, width]))
    observation = graph("Concat", embedding, PROPRIO, axis=1)
    _network(graph, observation, policy)
    sizes = {ACTION: policy.manifest["action_size"]}
    if takes == "frames":
        sizes[EMBEDDING] = policy.manifest["embedding_size"]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH_AXIS, size])
        for name, size in sizes.items()
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "policy", inputs, outputs, graph.constants),
        producer_name="vip-offline",
        opset_imports=opsets,
        ir_version=ir,
    )
    helper.set_model_props(
        model, {"interface": json.dumps(interface.plain(), sort_keys=True), "takes": takes}
    )
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return next(int(imported.version) for imported in opsets if imported.domain == "")


def _preprocessed(
    graph: _Nodes, key: str, shape: tuple[int, int, int], preprocessing: Preprocessing
) -> str:
    """(N, H, W, 3) uint8 -> (N, 3, S, S) float32, as `Preprocessing` does it."""
    height, width, _ = shape
    fitted = preprocessing.for_frames(height, width)
    picture = graph("Cast", key, to=1)  # float
    picture = graph("Transpose", picture, perm=[0, 3, 1, 2])
    height, width = fitted.resized(height, width)
    # torchvision resizes bytes: along the rows first, rounded to bytes after each pass
    if width != shape[1]:
        across = graph.constant(_resampling(shape[1], width, fitted.interpolation).T)
        picture = _bytes(graph, graph("MatMul", picture, across))
    if height != shape[0]:
        down = graph.constant(_resampling(shape[0], height, fitted.interpolation))
        picture = _bytes(graph, graph("MatMul", down, picture))
    crop = fitted.crop
    if fitted.fit == "crop" and (height, width) != (crop, crop):
        if min(height, width) < crop:
            raise VipOfflineError(
                f"policy.onnx: frames of {shape[0]} x {shape[1]} px become {height} x {width}, "
                f"smaller than the {crop} px that the encoder takes. Ship --without-encoder."
            )
        top, left = (round((size - crop) / 2) for size in (height, width))
        starts, stops = (
            graph.constant(np.array(corner, np.int64))
            for corner in ((top, left), (top + crop, left + crop))
        )
        picture = graph("Slice", picture, starts, stops, graph.constant(np.array([2, 3])))
    mean, std = (
        graph.constant(np.array(values, np.float32).reshape(1, 3, 1, 1) * np.float32(255))
        for values in (fitted.mean, fitted.std)
    )
    picture = graph("Div", graph("Sub", picture, mean), std)
    left, right, above, below = fitted.bars(height, width)
    if not left + right + above + below:
        return picture
    bars = np.array([0, 0, above, left, 0, 0, below, right], np.int64)
    return graph("Pad", picture, graph.constant(bars))


def _bytes(graph: _Nodes, picture: str) -> str:
    low, half, high = (graph.constant(np.array(value, np.float32)) for value in (0, 0.5, 255))
    return graph("Clip", graph("Floor", graph("Add", picture, half)), low, high)


def _resampling(before: int, after: int, interpolation: str) -> NDArray[np.float32]:
    """(after, before): what each pixel of the resized row takes of those before.

    In steps of a power of two, as torch resizes bytes on a CPU: with the weights as they are, one
    pixel in a hundred would come out one level brighter or darker.
    """
    import torch
    from torch.nn import functional

    every = torch.eye(before, dtype=torch.float64)[None, None]
    resized = functional.interpolate(
        every, (after, before), mode=interpolation, antialias=True, align_corners=False
    )
    weights = resized[0, 0].numpy()
    bits = 0
    while bits < MOST_BITS and int(0.5 + weights.max() * 2 ** (bits + 1)) < 2**15:
        bits += 1
    steps = np.trunc(weights * 2**bits + np.copysign(0.5, weights))
    return np.asarray(steps / 2**bits, np.float32)


def _inlined(graph: _Nodes, pictures: str, model: onnx.ModelProto) -> tuple[str, onnx.ModelProto]:
    """Add the encoder's nodes, which say nothing of where they were made any more."""
    from onnx import compose

    model = compose.add_prefix(model, "encoder/")
    (graph_input,), (result,) = model.graph.input, model.graph.output
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for place, name in enumerate(node.input):
            if name == graph_input.name:
                node.input[place] = pictures
    graph.nodes += model.graph.node
    graph.constants += model.graph.initializer
    return result.name, model


def _network(graph: _Nodes, observation: str, policy: Policy) -> None:
    """`Policy.act`, node by node."""

    def tensor(name: str) -> str:
        return graph.constant(policy.tensors[name].numpy())

    x = graph("Div", graph("Sub", observation, tensor("mean")), tensor("std"))
    strides = policy.manifest.get("strides", [])
    if strides:
        size = policy.manifest["embedding_size"]
        side = math.isqrt(size // 3)
        sizes = graph.constant(np.array([size, policy.manifest["proprio_size"]]))
        flat, rest = f"{x}_picture", f"{x}_rest"
        graph.split(x, sizes, [flat, rest])
        shape = graph.constant(np.array([-1, 3, side, side]))
        picture = graph("Reshape", flat, shape)
        for layer, stride in enumerate(strides):
            weight, bias = (tensor(f"convolution.{layer}.{k}") for k in ("weight", "bias"))
            convolved = graph("Conv", picture, weight, bias, strides=[stride, stride])
            picture = graph("Relu", convolved)
        x = graph("Concat", graph("Flatten", picture, axis=1), rest, axis=1)
    for layer in range(policy.manifest["layers"]):
        weight, bias = (tensor(f"hidden.{layer}.{k}") for k in ("weight", "bias"))
        x = graph("Relu", graph("Gemm", x, weight, bias, transB=1))
    squashed = LOW not in policy.tensors
    mu = graph("Gemm", x, tensor("out.weight"), tensor("out.bias"), transB=1)
    action = graph("Tanh", mu, **({"out": ACTION} if squashed else {}))
    if not squashed:
        one_constant, two = (graph.constant(np.array(number, np.float32)) for number in (1, 2))
        share = graph("Div", graph("Add", action, one_constant), two)
        reach = graph.constant((policy.tensors[HIGH] - policy.tensors[LOW]).numpy())
        graph("Add", tensor(LOW), graph("Mul", share, reach), out=ACTION)
