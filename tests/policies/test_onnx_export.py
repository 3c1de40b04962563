"""What the graph does is held to what the encoder's own preprocessing and the policy do."""

from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import onnxruntime
import pytest
from made_up_policies import trained_policy
from onnx import TensorProto, helper

from vip_offline.encoders.registry import ENCODERS
from vip_offline.errors import VipOfflineError
from vip_offline.options import Fit
from vip_offline.policies.interface import Interface
from vip_offline.policies.onnx_export import _Nodes, _preprocessed, write_graph
from vip_offline.policies.policy import Policy


@pytest.mark.parametrize("name", ["vip", "lite0", "vip-mini", "mae-vit-b", "clip-rn50"])
@pytest.mark.parametrize("size", [(96, 96), (128, 128), (224, 224), (240, 320), (301, 207)])
@pytest.mark.parametrize("fit", get_args(Fit))
def test_preprocessing_to_the_bit(name: str, size: tuple[int, int], fit: Fit) -> None:
    preprocessing = ENCODERS[name].preprocessing.fitted(fit)
    graph = _Nodes()
    out = _preprocessed(graph, "frames", (*size, 3), preprocessing)
    given = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", *size, 3])
    result = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
    model = helper.make_model(
        helper.make_graph(graph.nodes, "g", [given], [result], graph.constants),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    (output,) = session.run(None, {"frames": frames})
    np.testing.assert_array_equal(output, preprocessing(frames).numpy())


def test_a_frame_that_is_smaller_than_the_crop() -> None:
    from vip_offline.encoders.preprocessing import Preprocessing

    wide = Preprocessing(16, 32, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(VipOfflineError, match="smaller than the 32 px"):
        _preprocessed(_Nodes(), "frames", (20, 20, 3), wide)


def test_a_graph_that_takes_embeddings(tmp_path: Path) -> None:
    policy = Policy.load(trained_policy(tmp_path, "pixels"))
    interface = Interface.read(policy.manifest["interface"], "x")
    path = tmp_path / "policy.onnx"
    write_graph(path, policy, interface, None, ENCODERS["pixels"].preprocessing, "embedding")
    session = onnxruntime.InferenceSession(path)
    assert {node.name for node in session.get_inputs()} == {"embedding", "proprio"}
    generator = np.random.default_rng(0)
    embedding = generator.random((7, 3072), dtype=np.float32)
    proprio = generator.random((7, 4), dtype=np.float32)
    (action,) = session.run(["action"], {"embedding": embedding, "proprio": proprio})
    np.testing.assert_allclose(action, policy.act(embedding, proprio), atol=1e-5)
    properties = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    assert properties["takes"] == "embedding"
    assert "frame/front" in properties["interface"]
