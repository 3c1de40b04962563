import torch

from vip_offline.encode.checkpoints import Layout, load_strictly, misfits, unwrap

TENSOR = torch.ones(2)


def test_outer_key_prefix_and_heads() -> None:
    layout = Layout(outer="net", prefix="module.", others=True, dropped=("head.",))
    content = {"net": {"module.a": TENSOR, "module.head.b": TENSOR, "queue": TENSOR, "step": 3}}
    assert unwrap(content, layout) == {"a": TENSOR}
    assert unwrap({"other": {}}, layout) is None
    assert unwrap({"net": {"queue": TENSOR}}, layout) is None


def test_names_without_the_prefix_are_only_taken_where_they_are_expected() -> None:
    content = {"module.a": TENSOR, "b": TENSOR}
    assert unwrap(content, Layout(prefix="module.")) is None
    assert unwrap(content, Layout(prefix="module.", others=True)) == {"a": TENSOR}


def test_every_misfit_is_named() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    state = dict(network.state_dict())
    del state["1.num_batches_tracked"]  # counts, does not compute
    assert misfits(network, state) == []
    del state["0.bias"]
    state["0.weight"] = torch.ones(3, 2)
    state["2.weight"] = TENSOR
    assert misfits(network, state) == [
        "0.bias is missing",
        "2.weight is not the network's",
        "0.weight is (3, 2), not (2, 2)",
    ]


def test_half_precision_is_loaded_in_the_networks_own() -> None:
    network = torch.nn.Linear(2, 2)
    load_strictly(network, {"weight": torch.full((2, 2), 0.5).half(), "bias": TENSOR.half()})
    assert network.weight.dtype == torch.float32
    assert network.weight[0, 0].item() == 0.5
