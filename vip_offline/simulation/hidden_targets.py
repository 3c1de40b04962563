"""Where a task's target is, and whether anybody can see it.

Kitchen's targets are positions of joints that are drawn, the same in all placements: nothing is
hidden there. Of Meta-World, and of the one task of OGBench that puts a cube somewhere on the table:

A placement draws the object *and* the target. Where the target is a marker, which is rightly not
drawn, neither frames nor proprioception tell where it is: no policy can solve more placements than
the marker's spread allows (39 % of push), and the mean of several goal images shows no goal. So
a placement fixes such a target, in the middle of the simulator's own range.
"""

from collections.abc import Mapping
from typing import Any, Literal

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.interface import METAWORLD, split_task
from vip_offline.simulation.suites.ogbench_tasks import OGBENCH, TASKS

# drawn: constant, or it moves with a drawn body; fixed: would be hidden, so every placement has
# the same; hidden: as the simulator draws it, another one for each placement, and invisible
Target = Literal["drawn", "fixed", "hidden"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# tests/simulation/test_hidden_targets.py walks all tasks and holds these to what Meta-World does
DRAWN_TARGETS = _names(
    """
    assembly basketball bin-picking box-close button-press button-press-topdown
    button-press-topdown-wall button-press-wall coffee-button coffee-push dial-turn disassemble
    door-close door-lock door-open door-unlock drawer-close drawer-open faucet-close faucet-open
    hammer handle-press handle-press-side handle-pull handle-pull-side lever-pull peg-insert-side
    peg-unplug-side plate-slide shelf-place soccer sweep sweep-into window-close window-open
    """
)
# the last three numbers of a placement are where the marker is
MARKED = _names(
    """
    coffee-pull hand-insert pick-place pick-place-wall push push-back push-wall reach reach-wall
    stick-pull stick-push
    """
)
# marked, and nothing but the marker differs from one placement to another
ONLY_MARKED = _names("pick-out-of-hole plate-slide-back plate-slide-back-side plate-slide-side")


def _is_drawn(task: str) -> bool:
    simulator, name = split_task(task)
    if simulator == OGBENCH:
        return name in TASKS and not TASKS[name].is_marked
    return simulator != METAWORLD or name in DRAWN_TARGETS


def _is_marked(task: str) -> bool:
    """Whether a placement can fix its target."""
    simulator, name = split_task(task)
    if simulator == OGBENCH:
        return name in TASKS and TASKS[name].is_marked
    return task in MARKED


def check_target(task: str, hidden_goal: bool) -> Target:
    """Return how the target of a task is placed.

    Args:
        task: as it is stored. No task of Kitchen has a hidden target.
        hidden_goal: leave a hidden target where the simulator draws it.

    Raises:
        VipOfflineError: if its placements cannot be made such that a policy can solve them, with
            the reason.
    """
    if _is_drawn(task):
        return "drawn"
    if hidden_goal:
        return "hidden"
    if _is_marked(task):
        return "fixed"
    reason = (
        "its target is a marker that no picture shows, and with the target fixed all placements "
        "are the same"
        if task in ONLY_MARKED
        else "whether its target is visible is not known here"
    )
    raise VipOfflineError(
        f"{task}: {reason}, so success on unseen placements would mean nothing. Choose another "
        "task, or --hidden-goal (in Python and recipes hidden_goal) to have it as the simulator "
        "does."
    )


def target_of(task: str, attributes: Mapping[str, Any]) -> Target:
    """How the target was placed in a store, or for a policy that was trained on it.

    Args:
        task: as it is stored.
        attributes: of the store, or the policy's manifest. Those written before targets were
            fixed have no ``target``: placements then were as Meta-World draws them.
    """
    if _is_drawn(task):
        return "drawn"
    return "fixed" if attributes.get("target") == "fixed" else "hidden"


def is_hidden(task: str, attributes: Mapping[str, Any]) -> bool:
    """Whether no policy can know where the target of a known task is; see `target_of`."""
    marked = _is_marked(task) or task in ONLY_MARKED
    return marked and target_of(task, attributes) == "hidden"


def hidden_note(task: str, name: str) -> str:
    """What is wrong with results on a store or policy whose target is hidden."""
    return (
        f"{name}: the target of {task} is another one in each placement, and nothing shows it. "
        "Success is limited by chance, whatever was learnt, and goal images disagree. Record the "
        "task again: the target is fixed now."
    )
