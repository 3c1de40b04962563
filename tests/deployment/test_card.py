from pathlib import Path
from typing import Any

from vip_offline.deployment.card import policy_card


def manifest(**changes: Any) -> dict[str, Any]:
    return {
        "task": "push",
        "options": {"algo": "rwr", "seed": 3, "steps": 10},
        "interface": {
            "frames": {"frame/top": {"shape": [48, 64, 3]}},
            "proprio": ["x [m]"],
            "action": ["dx [m]"],
            "low": [-0.5],
            "high": [1],
            "largest_step": [0.25],
            "control_rate": None,
            "gripper": "",
        },
        "encoder": {"encoder": "vip", "weights_sha256": "ab" * 32, "licence": "CC-BY-NC-4.0"},
        "episodes": [0, 1],
        "store": str(Path("datasets/push.zarr")),
        "data_sha256": "cd" * 32,
        "goal": {"said": "frame 0:9"},
        "tau": 0.1,
        "versions": {"torch": "2"},
        "onnx": {"takes": "frames", "opset": 20},
        **changes,
    }


def test_what_a_reader_must_know() -> None:
    card = policy_card(manifest())
    for part in (
        "# Policy: push, rwr, seed 3",
        "**Was not evaluated**",
        "| `frame/top` | 48 x 64 x 3 | uint8 |",
        "| 0 | dx [m] | -0.5 | 1 | 0.25 |",
        "CC-BY-NC-4.0",
        "Control rate: not known. Gripper: not described.",
        "2 episodes of datasets/push.zarr",
        "opset 20",
    ):
        assert part in card


def test_the_kind_of_action() -> None:
    assert "Kind of action: not known." in policy_card(manifest())  # as an older manifest has it
    interface = {**manifest()["interface"], "action_kind": "position"}
    assert "Kind of action: position." in policy_card(manifest(interface=interface))
    guessed = {**interface, "action_kind_guessed": True}
    text = "Kind of action: position (guessed from the training data)."
    assert text in policy_card(manifest(interface=guessed))


def test_an_action_of_two_values_is_told() -> None:
    gripper = {"dimension": 0, "low": 0.0, "high": 0.08, "low_below": 0.032, "high_above": 0.048}
    interface = manifest()["interface"] | {"grippers": [gripper]}
    card = policy_card(manifest(interface=interface))
    assert "Action 0 is 0 or 0.08: `act` and `serve` go to the first below 0.032" in card


def test_success_with_its_interval_and_its_limits() -> None:
    success = {"successes": 5, "rollouts": 10, "interval_95": [0.24, 0.76], "horizon": 150}
    card = policy_card(manifest(success=success))
    assert "**5 of 10 rollouts** (50%; 95 % CI 24% to 76%)" in card
    assert "another seed may do" in card
    assert "nuisance" not in card
    success["nuisance"] = "nuisance light at level 2"
    assert "pictures had nuisance light at level 2." in policy_card(manifest(success=success))


def test_a_graph_that_is_not_whole_is_said_loudly() -> None:
    assert "TAKES EMBEDDINGS" in policy_card(manifest(onnx={"takes": "embedding", "opset": 18}))
    assert "There is no `policy.onnx`" in policy_card(manifest(onnx=None))
