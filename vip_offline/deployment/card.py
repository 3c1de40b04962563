"""The README of a policy folder: what it does, how to run it, how far to trust it."""

from collections.abc import Mapping
from typing import Any

from vip_offline.analysis.closed_loop.conditions import UNKNOWN, conditions
from vip_offline.encoders.preprocessing import fit_of


def policy_card(manifest: Mapping[str, Any]) -> str:
    """Markdown, from the manifest alone."""
    interface, options = manifest["interface"], manifest["options"]
    encoder, success = manifest["encoder"], manifest.get("success") or {}
    task = manifest["task"] or "a task without a name"
    lines = [
        f"# Policy: {task}, {options['algo']}, seed {options['seed']}",
        "",
        _success_line(success),
        "",
        "## Run it",
        "",
        "```bash",
        "vip-offline verify .   # does it do here what it did where it was trained?",
        "vip-offline serve .    # openpi's WebSocket protocol, on this computer alone",
        "```",
        "",
        "A robot needs the files that `SHA256SUMS` lists; others (rollouts, videos, `model.d3`, "
        "`metrics.jsonl`) may stay behind.",
        "",
        "```python",
        "from vip_offline.policies.runtime import load_policy",
        "",
        'policy = load_policy(".")',
        "action = policy.act(observation)",
        "```",
        "",
        _graph_line(manifest),
        "",
        "## Observation",
        "",
        "| key | shape | dtype | what |",
        "|---|---|---|---|",
    ]
    for key, camera in interface["frames"].items():
        shape = " x ".join(str(size) for size in camera["shape"])
        lines.append(f"| `{key}` | {shape} | uint8 | RGB picture, height x width x colour |")
    names = ", ".join(interface["proprio"])
    lines += [
        f"| `proprio` | {len(interface['proprio'])} | float32 | {names} |",
        "",
        "## Action",
        "",
        "| # | what | least | greatest | largest step per tick |",
        "|---|---|---|---|---|",
    ]
    limits = zip(
        interface["action"],
        interface["low"],
        interface["high"],
        interface["largest_step"],
        strict=True,
    )
    for place, (name, low, high, step) in enumerate(limits):
        lines.append(f"| {place} | {name} | {low:.4g} | {high:.4g} | {step:.4g} |")
    rate, grippers = interface["control_rate"], interface.get("grippers", [])
    lines += [
        "",
        "The limits are those of the training set; `serve` keeps to them.",
        f"Control rate: {f'{rate:g} Hz' if rate else 'not known'}. "
        f"Gripper: {interface['gripper'] or 'not described'}. {_action_kind_line(interface)}",
        *(
            f"Action {gripper['dimension']} is {gripper['low']:.4g} or {gripper['high']:.4g}: "
            f"`act` and `serve` go to the first below {gripper['low_below']:.4g}, to the second "
            f"above {gripper['high_above']:.4g}; `policy.onnx` gives the raw output."
            for gripper in grippers
        ),
        "",
        "## Made from",
        "",
        "| | |",
        "|---|---|",
        f"| encoder | {encoder['encoder']}, sha256 {encoder['weights_sha256'][:16]}… |",
        f"| fit of its frames | {fit_of(encoder)} |",
        f"| licence of its weights | {encoder.get('licence', 'not known')} |",
        f"| demonstrations | {len(manifest['episodes'])} episodes of {manifest['store']} |",
        f"| sha256 of them | {manifest['data_sha256'][:16]}… |",
        f"| goal | {(manifest.get('goal') or {}).get('said') or 'none: cloning from pixels'} |",
        f"| cameras | {_camera_line(manifest)} |",
        f"| algorithm | {options['algo']}, tau {manifest['tau']:.4g}, {options['steps']} steps |",
        f"| seed | {options['seed']} |",
        "| versions | "
        + ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
        + " |",
        "",
    ]
    return "\n".join(lines)


def _camera_line(manifest: Mapping[str, Any]) -> str:
    cameras = ", ".join(key.removeprefix("frame/") for key in manifest["interface"]["frames"])
    label = manifest.get("label") or {}
    labelled = ", ".join(str(label["camera"]).split(",")) if "camera" in label else cameras
    return (
        cameras if cameras == labelled else f"the policy sees {cameras}; the reward saw {labelled}"
    )


def _action_kind_line(interface: Mapping[str, Any]) -> str:
    kind = interface.get("action_kind", "")
    if not kind:
        return "Kind of action: not known."
    guessed = " (guessed from the training data)" if interface.get("action_kind_guessed") else ""
    return f"Kind of action: {kind}{guessed}."


def _success_line(success: Mapping[str, Any]) -> str:
    if not success:
        return (
            "**Was not evaluated**: nothing is known of how often it succeeds. "
            "`vip-offline rollout` tells in a simulator."
        )
    low, high = success["interval_95"]
    rate = success["successes"] / success["rollouts"]
    return (
        f"Succeeded in **{success['successes']} of {success['rollouts']} rollouts** ({rate:.0%}; "
        f"95 % CI {low:.0%} to {high:.0%}) in the simulator, on placements that it was not "
        f"trained on, within {success['horizon']} steps. One policy, one seed: another seed may do "
        "much better or worse. "
        + conditions(
            success.get("backend", UNKNOWN),
            success.get("processor", UNKNOWN),
            success.get("nuisance", ""),
        )
    )


def _graph_line(manifest: Mapping[str, Any]) -> str:
    graph = manifest.get("onnx")
    if not graph:
        return "There is no `policy.onnx`: this policy could not be made one."
    if graph["takes"] == "embedding":
        name = manifest["encoder"]["encoder"]
        return (
            f"**`policy.onnx` TAKES EMBEDDINGS, NOT FRAMES**: the encoder ({name}) is not in it, "
            "nor in this folder. Embed each frame with that encoder first."
        )
    return (
        "Without torch: `policy.onnx` (opset "
        f"{graph['opset']}) takes the observation below, N at a time, and gives `action` and "
        "`embedding`. Resizing, cropping, scaling and the encoder are inside."
    )
