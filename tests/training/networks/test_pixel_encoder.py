import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import d3rlpy
import numpy as np
import pytest
import torch
from made_up_training import LENGTHS, made_up, parameters, policy_folder
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from vip_offline.errors import VipOfflineError
from vip_offline.options import Head, TrainOptions
from vip_offline.policies.policy import MANIFEST, TENSORS, Policy
from vip_offline.training.algorithms.models import create, strides
from vip_offline.training.algorithms.rwr import RWR, RWRConfig
from vip_offline.training.data.dataset import TrainingSet
from vip_offline.training.data.input_statistics import Statistics
from vip_offline.training.networks.pixel_encoder import PixelsAndProprioFactory, picture_size
from vip_offline.training.trainer import D3rlpyTraining, begin

SIDE = 36  # px, the least that three convolutions leave something of
PICTURE, PROPRIO = 3 * SIDE**2, 2
OPTIONS = TrainOptions(algo="scratch-bc", hidden=(16, 8), batch_size=16)


def pictures(options: TrainOptions = OPTIONS) -> TrainingSet:
    """The action says how bright the picture is, and the noise in the rest nothing."""
    data = made_up(options, PICTURE + PROPRIO, 1, embedding_size=PICTURE)
    generator = np.random.default_rng(0)
    brightness = [generator.uniform(0, 1, (length, 1)).astype(np.float32) for length in LENGTHS]
    observations = [
        np.concatenate([np.repeat(each, PICTURE, 1), generator.normal(size=(len(each), 2))], 1)
        for each in brightness
    ]
    rows = np.concatenate([each[:-1] for each in observations]).astype(np.float32)
    return replace(
        data,
        observations=[observation.astype(np.float32) for observation in observations],
        statistics=Statistics(rows.mean(0), rows.std(0)) if options.standardise else None,
        actions=[2 * each - 1 for each in brightness],
    )


def folder_of(path: Path, options: TrainOptions = OPTIONS) -> Policy:
    data = pictures(options)
    return policy_folder(path, create(data, options), data, layers=2)


def test_shapes() -> None:
    network = PixelsAndProprioFactory(size=64, hidden_units=[7, 5]).create((3 * 64**2 + 4,))
    assert network(torch.zeros(2, 3 * 64**2 + 4)).shape == (2, 5)
    sizes = [tuple(parameter.shape) for parameter in network.parameters() if parameter.ndim > 1]
    # 64 px -> 15 -> 6 -> 4
    assert sizes == [(32, 3, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (7, 64 * 16 + 4), (5, 7)]
    assert [picture_size(3 * side**2) for side in (1, 36, 64, 224)] == [1, 36, 64, 224]


def test_the_front_of_the_vector_is_a_picture_of_channels_first() -> None:
    factory = PixelsAndProprioFactory(size=8, filters=[[2, 8, 4]], hidden_units=[3])
    network = factory.create((3 * 64 + 1,))
    convolution, dense = (
        next(module for module in network.modules() if isinstance(module, kind))
        for kind in (torch.nn.Conv2d, torch.nn.Linear)
    )
    x = torch.randn(2, 3 * 64 + 1, generator=torch.Generator().manual_seed(0))
    kernel = convolution.weight.reshape(2, -1)  # one place to be: a matrix
    assert convolution.bias is not None
    features = torch.relu(x[:, :-1] @ kernel.T + convolution.bias)
    expected = torch.relu(dense(torch.cat([features, x[:, -1:]], 1)))
    torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-5)


def test_there_is_no_critic_from_pixels() -> None:
    with pytest.raises(NotImplementedError, match="no critic"):
        PixelsAndProprioFactory().create_with_action((4,), 2)


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
@pytest.mark.parametrize("standardise", [True, False])
def test_d3rlpy_and_the_folder_give_the_same_actions(
    head: Head, standardise: bool, tmp_path: Path
) -> None:
    options = replace(OPTIONS, head=head, standardise=standardise)
    data = pictures(options)
    training = begin(data, options)
    assert isinstance(training, D3rlpyTraining)
    training.advance(2)
    algo = training.finish()
    algo.save(str(tmp_path / "model.d3"))
    loaded = d3rlpy.load_learnable(str(tmp_path / "model.d3"))
    assert isinstance(loaded, RWR)
    assert isinstance(loaded.config, RWRConfig)
    assert loaded.config.encoder_factory == PixelsAndProprioFactory(size=SIDE, hidden_units=[16, 8])
    generator = np.random.default_rng(1)
    x = generator.normal(size=(5, PICTURE + PROPRIO)).astype(np.float32)
    np.testing.assert_array_equal(loaded.predict(x), algo.predict(x))
    assert np.ptp(algo.predict(x)) > 1e-4
    policy = policy_folder(tmp_path / "policy", algo, data, layers=2)
    given = policy.act(x[:, :PICTURE], x[:, PICTURE:])
    np.testing.assert_allclose(given, np.asarray(algo.predict(x)), atol=1e-5)


@pytest.mark.slow
def test_it_learns_to_see_brightness() -> None:
    data = pictures()
    training = begin(data, OPTIONS)
    assert isinstance(training, D3rlpyTraining)
    before = parameters(training.finish())
    training.advance(100)
    algo = training.finish()
    first, kernel = before[0], parameters(algo)[0]
    assert kernel.ndim == 4
    assert not np.array_equal(first, kernel)  # the encoder is trained too
    x, wanted = (
        np.concatenate([row[:-1] for row in rows]) for rows in (data.observations, data.actions)
    )
    np.testing.assert_allclose(np.asarray(algo.predict(x)), wanted, atol=0.25)


def damage_manifest(**changes: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text()) | changes
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return damage


def damage_tensors(change: Callable[[dict[str, NDArray[Any]]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tensors = load_file(folder / TENSORS)
        change(tensors)
        save_file(tensors, folder / TENSORS)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        damage_tensors(lambda t: t.pop("convolution.1.weight")),
        damage_tensors(lambda t: t.pop("convolution.2.bias")),
        damage_tensors(lambda t: t.update({"convolution.0.weight": np.ones((4, 3), np.float32)})),
        damage_tensors(lambda t: t.update({"convolution.1.bias": np.ones(3, np.float32)})),
        damage_tensors(
            lambda t: t.update({"convolution.0.weight": t["convolution.0.weight"][:, :, :, :7]})
        ),
        damage_tensors(lambda t: t["convolution.2.weight"].fill(np.nan)),
        damage_manifest(strides=[4, 2]),
        damage_manifest(strides=[4, 2, 1, 1]),
        damage_manifest(strides=[2, 2, 1]),
        damage_manifest(strides=[]),
        damage_manifest(strides=[4, 0, 1]),
        damage_manifest(strides=[4, "two", 1]),
        damage_manifest(strides=4),
        damage_manifest(strides=[4, 2, -1]),
        damage_manifest(embedding_size=PICTURE - 3, proprio_size=PROPRIO + 3),
    ],
    ids=[
        *("no kernel", "no bias", "flat kernel", "short bias", "oblong kernel", "nan kernel"),
        *("a stride less", "a stride more", "another stride", "no stride", "stride 0"),
        *("a word for a stride", "no list", "stride -1", "smaller picture"),
    ],
)
def test_a_damaged_folder_is_refused(damage: Callable[[Path], None], tmp_path: Path) -> None:
    folder_of(tmp_path / "policy")
    damage(tmp_path / "policy")
    with pytest.raises(VipOfflineError, match="policy"):
        Policy.load(tmp_path / "policy")


def test_another_picture_size_is_refused(tmp_path: Path) -> None:
    policy = folder_of(tmp_path / "policy")
    with pytest.raises(VipOfflineError, match="widths"):
        policy.act(np.zeros((1, 3 * 40**2), np.float32), np.zeros((1, PROPRIO), np.float32))


def test_the_strides_travel_with_the_policy(tmp_path: Path) -> None:
    assert strides(create(pictures(), OPTIONS)) == [4, 2, 1]
    assert folder_of(tmp_path / "policy").manifest["strides"] == [4, 2, 1]
