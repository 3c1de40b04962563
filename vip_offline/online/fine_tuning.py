"""An offline policy as the start of an online training, or why it cannot be one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.options.online import OnlineOptions
from vip_offline.policies.policy import TENSORS, Policy, read_manifest, read_tensors
from vip_offline.simulation.hidden_targets import check_target, target_of

WARM_UP_NOISE = 0.1  # deviation of the noise on its actions before training


def check_init(options: OnlineOptions) -> None:
    """Refuse settings that cannot start from an offline policy, before anything is made.

    Raises:
        VipOfflineError: naming the option.
    """
    if not options.init:
        return
    if options.algo != "sac":
        raise VipOfflineError(
            f"--init {options.init}: offline policies have ReLU layers and tanh at the end, that "
            f"of --algo {options.algo} has tanh layers and none. Use --algo sac."
        )
    if options.observe != "embedding":
        raise VipOfflineError(f"--init {options.init}: sees embeddings. Use --observe embedding.")


def check_manifest(folder: Path, task: str, options: OnlineOptions, view: str) -> None:
    """Refuse a policy that learnt something else, before anything is made.

    Args:
        folder: of the policy.
        task: to be learnt.
        options: encoder, size of frames, target, and where episodes begin.
        view: that it is drawn from; "" where the task has one.

    Raises:
        VipOfflineError: naming what differs.
    """
    manifest = read_manifest(folder)
    if manifest.get("strides"):
        raise VipOfflineError(
            f"--init {folder}: learns from pixels end to end (scratch-bc), while the policy here "
            "sees embeddings. Train one by `vip-offline train` with another --algo."
        )
    values = {
        "task": (manifest["task"], task),
        "encoder": (manifest["encoder"]["encoder"], options.encoder),
        "image size": (int(manifest["image_shape"][0]), options.image_size),
        "start": (manifest.get("start") or "hard", options.start),
        "target": (target_of(task, manifest), check_target(task, options.hidden_goal)),
    }
    if view:
        values["camera"] = (manifest.get("camera", ""), view)
    _check_equal(folder, values)


def _check_equal(folder: Path, values: Mapping[str, tuple[Any, Any]]) -> None:
    for name, (its, ours) in values.items():
        if its != ours:
            raise VipOfflineError(
                f"--init {folder}: its {name} is {its!r}, here it is {ours!r}. Start from a "
                "policy that was trained on the same."
            )


def offline_policy(
    folder: Path,
    task: str,
    options: OnlineOptions,
    view: str,
    encoder: Mapping[str, Any],
    sizes: tuple[int, int],
) -> tuple[Policy, dict[str, NDArray[np.float32]]]:
    """Load the policy and its tensors.

    Args:
        folder: of the policy.
        task: to be learnt.
        options: size of frames, and where episodes begin.
        view: that it is drawn from; "" where the task has one.
        encoder: provenance of the encoder that the training uses.
        sizes: of an observation (embedding ++ proprioception) and of an action.

    Raises:
        VipOfflineError: if it is of another task, view, encoder or shape, or starts from pixels.
    """
    manifest = read_manifest(folder)
    check_manifest(folder, task, options, view)
    known = manifest["encoder"]
    _check_equal(
        folder,
        {
            "encoder's weights": (known["weights_sha256"], encoder["weights_sha256"]),
            "fit of frames": (known["preprocessing"], encoder["preprocessing"]),
            "action size": (manifest["action_size"], sizes[1]),
        },
    )
    width = manifest["embedding_size"] + manifest["proprio_size"]
    if width != sizes[0]:
        raise VipOfflineError(
            f"--init {folder}: takes {width} inputs (of {manifest.get('camera', 'its cameras')}), "
            f"here there are {sizes[0]}: one camera's embedding and the robot's own joints."
        )
    tensors = {
        name: np.asarray(values, np.float32)
        for name, values in read_tensors(folder / TENSORS).items()
    }
    return Policy.load(folder), tensors
