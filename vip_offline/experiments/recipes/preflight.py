"""What would stop a command at its end, checked before its work of minutes or hours begins."""

from pathlib import Path

from vip_offline.dataset.importers.run import ImportPlan
from vip_offline.dataset.store import Store, open_store
from vip_offline.encoders.registry import check_encoder, known_provenance
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.options import Recipe, RolloutOptions, TrainOptions
from vip_offline.options.fields import OptionError
from vip_offline.simulation.simulators import SIMULATORS, check_task, is_task
from vip_offline.training.data.inputs import policy_cameras

SOME = 5  # placements that a message lists


def check_weights(store: Store, label: str, weights: str) -> None:
    """Refuse a checkpoint other than the one that a labelling was made with.

    Args:
        store: of the demonstrations.
        label: name of the labelling; empty: the only one.
        weights: path of the checkpoint; empty: the encoder has its own, or must be given one.

    Raises:
        VipOfflineError: if it is missing, or of another sha256.
    """
    labelling = store.label(label)
    encoder, expected = labelling.provenance["encoder"], labelling.provenance["weights_sha256"]
    check_encoder(encoder, weights)
    known = known_provenance(encoder, weights)
    if known is not None and known["weights_sha256"] != expected:
        given = f"--weights {weights}" if weights else f"encoder {encoder} without --weights"
        raise VipOfflineError(
            f"{given}: has sha256 {known['weights_sha256'][:16]}…, and label {labelling.name!r} of "
            f"{store.path} was made with {expected[:16]}…. Give that file with --weights, or label "
            "again with this one."
        )


def not_simulated(task: str) -> str:
    """Why no policy of a task can be rolled out here; empty: it can."""
    if not task:
        return "it names no task"
    try:
        known = is_task(task)
    except VipOfflineError:
        return f"its task {task!r} may be the simulator's, which is not installed"
    return "" if known else f"its task {task!r} is none of the simulator's"


def never_simulated(store: Store) -> str:
    """Why no simulator, be it installed, can roll out policies of a store; empty: one can."""
    task = str(store.attributes.get("task", ""))
    recorded = task and store.attributes.get("source") in SIMULATORS
    return "" if recorded else not_simulated(task)


def check_simulated(path: Path, train: TrainOptions, rollout: RolloutOptions) -> None:
    """Refuse a store whose policies no simulator here can run, before they are trained.

    Args:
        path: of a labelled store.
        train: what every policy is trained with.
        rollout: placements to run them on.

    Raises:
        VipOfflineError: naming what is missing, and what says how good a policy is without it.
    """
    store = open_store(path)
    obstacle = never_simulated(store)
    if obstacle:
        raise VipOfflineError(
            f"{path}: {obstacle}, so policies cannot be rolled out and variants not be compared. "
            f"Without a simulator: `vip-offline analyze {path}` says whether the reward means "
            f"progress, `vip-offline train {path} --hold-out 2` measures the action error on "
            "episodes kept back, and `vip-offline serve` runs a policy on the robot."
        )
    check_task(str(store.attributes.get("task", "")))
    cameras = policy_cameras(store, store.label(train.label), train)
    if len(cameras) > 1:
        raise VipOfflineError(
            f"{path}: the policies would see {len(cameras)} cameras ({', '.join(cameras)}), and "
            "the simulator draws one. Name one with --cameras (in a recipe train.cameras)."
        )
    first, last = rollout.first_placement, rollout.first_placement + rollout.placements
    seen = sorted(
        int(placement) for placement in store.meta("placement") if first <= placement < last
    )
    if seen:
        raise VipOfflineError(
            f"{path}: holds placements {seen[:SOME]}, which are to be evaluated. Choose another "
            "--first-placement (in a recipe rollout.first_placement), or fewer --placements."
        )


def check_import(recipe: Recipe, plan: ImportPlan) -> str:
    """Refuse a recipe whose later stages an import cannot serve, before anything is imported.

    Args:
        recipe: that begins with an import.
        plan: of that import.

    Returns:
        Why no policy can be rolled out; empty: the simulator has the task.

    Raises:
        VipOfflineError: if the import is refused, or lacks actions or a camera that is named; if
            neither rollouts nor held-out episodes can tell variants apart.
    """
    if plan.refusal:
        raise VipOfflineError(plan.refusal)
    data, cameras = recipe.import_, sorted(plan.keys.cameras)
    assert data is not None
    if not plan.keys.action:
        raise VipOfflineError(
            f"{data.source}: no column is known to be the action, so nothing can be trained. "
            f"`vip-offline import {data.source} --dry-run` lists the columns; name them with "
            'import.key_map = ["action=COLUMN,COLUMN"].'
        )
    for option, names in _named_cameras(recipe).items():
        for name in names:
            if name not in cameras:
                known = did_you_mean(name, cameras)
                raise VipOfflineError(f"{option}: {name!r} is not imported.{known}")
    if not recipe.relabel.camera and len(cameras) > 1:
        raise VipOfflineError(
            f"relabel.camera: {data.source} has {len(cameras)} cameras ({', '.join(cameras)}). "
            "Name the one that sees the goal."
        )
    obstacle = not_simulated(plan.catalogue.task)
    if obstacle and not recipe.train.hold_out:
        raise OptionError(
            TrainOptions,
            "hold_out",
            0,
            f"{data.source}: {obstacle}, so variants are compared by their action error on "
            "successes that are held out. Hold out 2 or more.",
        )
    return obstacle


def _named_cameras(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """Option -> cameras that it names."""
    return {
        "relabel.camera": tuple(camera for camera in recipe.relabel.camera.split(",") if camera),
        "train.cameras": recipe.train.cameras,
    }


def check_cameras(recipe: Recipe) -> None:
    """Refuse cameras that the simulator will not have drawn, before it records.

    Raises:
        VipOfflineError: naming the camera that is recorded.
    """
    for option, cameras in _named_cameras(recipe).items():
        unknown = [camera for camera in cameras if camera != recipe.record.camera]
        if unknown:
            raise VipOfflineError(
                f"{option}: {unknown[0]!r} is not recorded; the simulator draws one camera, "
                f"record.camera {recipe.record.camera!r}."
            )
