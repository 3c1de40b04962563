"""Policies in closed loop with simulators: one group of environments moves while another is seen.

Physics, drawing and the encoder share the cores. So the environments are dealt into groups that
take turns: while the frames of one are embedded and acted on, the processes step and draw the
other. Frames that nobody looks at are not drawn.
"""

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.closed_loop.reattempts import reattempts
from vip_offline.policies.gripper import GripperState
from vip_offline.policies.interface import PROPRIO
from vip_offline.policies.runtime import LoadedPolicy
from vip_offline.simulation.vector_env import PlacementOrAction, VectorSimulator

GROUPS = 2  # one is embedded, one is simulated


@dataclass(frozen=True)
class Ended:
    """A rollout that ended."""

    policy: int  # its index
    placement: int
    success: bool
    steps: int  # until success, or the horizon
    reattempts: int | None  # None: the policy has no goal
    frames: tuple[NDArray[np.uint8], ...] = ()  # (H, W, 3) of each step, if it is filmed
    # (H, W, 3) the first and the last `hold`, if it is judged
    ends: tuple[NDArray[np.uint8], ...] = ()
    undone: bool = False  # solved, but no longer at the end of the steps after it
    verdict: str = ""  # of who judges the ends


@dataclass
class _Running:
    """A rollout under way in a slot."""

    policy: int
    placement: int
    grippers: GripperState
    filmed: bool
    last: deque[NDArray[np.uint8]]  # frames after the first; as many as a judge looks at
    first: NDArray[np.uint8] | None = None
    solved_at: int | None = None  # step of the first success
    steps: int = 0
    distances: list[float] = field(default_factory=list)  # to the goal, of each frame
    frames: list[NDArray[np.uint8]] = field(default_factory=list)

    def see(self, frame: NDArray[np.uint8]) -> None:
        """Keep of a frame what is looked at later, as a copy: the others' are let go of."""
        if self.filmed:
            self.frames.append(frame.copy())
        if self.last.maxlen and self.first is None:
            self.first = frame.copy()
        elif self.last.maxlen:
            self.last.append(frame.copy())

    def ended(self, still_solved: bool) -> Ended:
        curve = np.asarray(self.distances)
        # without a goal there is nothing to be near to
        tried_again = None if np.isnan(curve).any() else reattempts(curve)
        return Ended(
            self.policy,
            self.placement,
            self.solved_at is not None,
            self.steps if self.solved_at is None else self.solved_at,
            tried_again,
            tuple(self.frames),
            () if self.first is None else (self.first, *self.last),
            self.solved_at is not None and not still_solved,
        )


def closed_loop(
    simulators: VectorSimulator,
    policies: Sequence[LoadedPolicy],
    rollouts: Iterable[tuple[int, int]],
    horizon: int,
    filmed: Collection[int] = (),
    groups: int = GROUPS,
    hold: int = 0,
) -> Iterator[Ended]:
    """Roll out policies; a slot whose rollout ends takes the next one.

    A rollout ends at its first success, or `hold` steps later; success, steps and re-attempts do
    not depend on what it does in these.

    Args:
        simulators: of the policies' task.
        policies: that act; those that share an encoder have their frames embedded in one go.
        rollouts: (index of the policy, placement) of each.
        horizon: most steps of a rollout.
        filmed: placements of which all frames are kept.
        groups: of environments that take turns; 1: all advance in lockstep. What a rollout does
            does not depend on it.
        hold: steps that a rollout goes on after its first success, and last frames that are kept.

    Yields:
        Each rollout when it ends.
    """
    waiting, running = deque(rollouts), dict[int, _Running]()
    underway: deque[tuple[list[int], list[int]]] = deque()  # the group, its slots with a command

    def send(group: list[int], commands: dict[int, PlacementOrAction]) -> None:
        for slot in group:
            if slot not in running and waiting:
                policy, placement = waiting.popleft()
                grippers = GripperState(policies[policy].interface.grippers)
                running[slot] = _Running(
                    policy, placement, grippers, placement in filmed, deque(maxlen=hold)
                )
                commands[slot] = placement
        if commands:
            slots = sorted(commands)
            unwatched = {slot for slot in slots if not (hold or running[slot].filmed)}
            simulators.send(
                {slot: commands[slot] for slot in slots},
                # nobody acts on the last frame
                drawn={s for s in slots if s not in unwatched or running[s].steps < horizon},
                unless_solved=unwatched,
            )
            underway.append((group, slots))

    for group in simulators.groups(groups):
        send(group, {})
    while underway:
        group, slots = underway.popleft()
        batch = simulators.receive()
        drawn = [slot for slot, is_drawn in zip(slots, batch.drawn, strict=True) if is_drawn]
        frames = dict(zip(drawn, batch.frames, strict=True))
        solved = dict(zip(slots, batch.solved.tolist(), strict=True))
        going, ended = _settle(solved, frames, running, horizon, hold)
        commands: dict[int, PlacementOrAction] = {}
        if going:
            owners = [policies[running[slot].policy] for slot in going]
            proprio = batch.proprio[[slots.index(slot) for slot in going]]
            actions, distances = act(owners, np.stack([frames[slot] for slot in going]), proprio)
            for slot, action, distance in zip(going, actions, distances, strict=True):
                if running[slot].solved_at is None:
                    running[slot].distances.append(distance)
                commands[slot] = running[slot].grippers(action)
        send(group, commands)
        # not before the next step is under way: whoever takes them may be at it for a while
        yield from ended


def _settle(
    solved: Mapping[int, bool],
    frames: Mapping[int, NDArray[np.uint8]],
    running: dict[int, _Running],
    horizon: int,
    hold: int,
) -> tuple[list[int], list[Ended]]:
    """Slots that go on, and the rollouts that ended. A reset has taken no step yet."""
    going, ended = [], []
    for slot, is_solved in solved.items():
        rollout = running[slot]
        if slot in frames:
            rollout.see(frames[slot])
        if is_solved and rollout.solved_at is None:
            rollout.solved_at = rollout.steps
        last = horizon if rollout.solved_at is None else rollout.solved_at + hold
        if rollout.steps == last:
            ended.append(running.pop(slot).ended(is_solved))
        else:
            rollout.steps += 1
            going.append(slot)
    return going, ended


def even_batch(frames: int, workers: int, batch: int) -> int:
    """Frames per batch, near to `batch`, such that no worker idles while another has one left."""
    rounds = max(1, round(frames / (workers * batch)))
    return math.ceil(frames / (workers * rounds))


def act(
    policies: Sequence[LoadedPolicy], frames: NDArray[np.uint8], proprio: NDArray[np.float32]
) -> tuple[list[NDArray[np.float32]], list[float]]:
    """Return one action per row from its own policy, and the row's distance to the goal.

    Rows of one policy go through it in one batch; rows of one encoder through that.
    """
    embedded: dict[int, NDArray[np.float32]] = {}  # row -> (D,)
    for encoder in {
        id(policy.encoder): policy.encoder for policy in policies if policy.encoder
    }.values():
        rows = [row for row, policy in enumerate(policies) if policy.encoder is encoder]
        size = even_batch(len(rows), encoder.backend.workers, encoder.backend.batch)
        embedded |= dict(zip(rows, encoder(frames[rows], size), strict=True))
    actions: list[Any] = [None] * len(policies)
    distances = [float("nan")] * len(policies)
    for policy in {id(policy): policy for policy in policies}.values():
        rows = [row for row, member in enumerate(policies) if member is policy]
        if policy.encoder is None:
            (key,) = policy.interface.frames
            inferred = policy.infer({key: frames[rows], PROPRIO: proprio[rows]})
            action, embedding = inferred.action, inferred.embedding
        else:
            embedding = np.stack([embedded[row] for row in rows])
            action = policy.decide(embedding, proprio[rows])
        away = policy.goal_distance(embedding)
        for place, row in enumerate(rows):
            actions[row] = action[place]
            if away is not None:
                distances[row] = float(away[place])
    return actions, distances
