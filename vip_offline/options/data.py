"""Options of the stages that make a store: recording and importing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vip_offline.options.fields import Option
from vip_offline.options.nuisance import NuisanceKinds, NuisanceLevel

Describe = Annotated[
    Path | None,
    Option(
        "TOML file that describes the robot: proprio, action, action_kind, gripper, control_rate, "
        "key_map."
    ),
]
TAIL = 6  # steps that a recording keeps after success, so that its last frame is a goal image


@dataclass(frozen=True)
class RecordOptions:
    """Demonstrations from a scripted expert (paper, appendix F.1: 10 experts + 20 failures)."""

    task: Annotated[
        str,
        Option(
            "Task of Meta-World, without its version suffix, or ogbench/TASK. With --from-client: "
            "the task in a few words."
        ),
    ] = "drawer-close"
    # at most the stride between the placement seeds of an episode's attempts (simulation/record.py)
    episodes: Annotated[
        int, Option("Number of episodes, failures included.", "appendix F.1", ge=1, le=1000)
    ] = 30
    failures: Annotated[
        int,
        Option(
            "Number of failed episodes. The kinds of failure take turns.",
            "appendix F.1",
            ge=0,
            default_text="two thirds of --episodes",
        ),
    ] = 20
    failures_as: Annotated[
        tuple[str, ...],
        Option(
            "Failures that move as cleanly as the expert, in turn: wrong-place (the object ends "
            "elsewhere), stopped-short, undone (solved, then taken back), wrong-object. Which a "
            "task can have is said where it cannot.",
            separator=",",
            default_text="frozen, pulled, noisy and wandering",
        ),
    ] = ()
    image_size: Annotated[
        int, Option("Height and width of the frames in pixels; an even number.", ge=16, le=2048)
    ] = 128
    camera: Annotated[
        str,
        Option(
            "Name under which the frames are stored; of OGBench also the view that is drawn, "
            "corner or front."
        ),
    ] = "corner"
    # 100 is the paper's rollout horizon; Meta-World raises beyond 500
    max_steps: Annotated[
        int,
        Option(
            "Environment steps of a failed episode, at most 500; those of --failures-as end when "
            "they are done. With --from-client: most rows of "
            "an episode, 2000 by default.",
            "appendix F.2",
            ge=2,
        ),
    ] = 100
    # an episode is tried up to 20 times, with seeds 1000 apart
    first_placement: Annotated[
        int,
        Option("Seed of the first episode's object placement.", ge=0, le=2**31 - 20_000),
    ] = 0
    hidden_goal: Annotated[
        bool,
        Option(
            "Draw targets that no frame shows at random for each episode, as Meta-World does. "
            "Otherwise they are fixed, so that a policy can know them.",
            flags=("--hidden-goal",),
        ),
    ] = False
    nuisance: NuisanceKinds = ()
    nuisance_level: NuisanceLevel = 1


@dataclass(frozen=True)
class ClientOptions:
    """Recording of what a robot's client streams."""

    from_client: Annotated[
        bool,
        Option("Record what a robot streams, by openpi's client.", flags=("--from-client",)),
    ] = False
    control_rate: Annotated[float | None, Option("Actions per second of a client.")] = None
    describe: Describe = None


@dataclass(frozen=True)
class ImportOptions:
    """What of a data set is imported, and how."""

    # "action=actions", "proprio=a,b", "action=robot.a*", "camera:top=images.top", "time=log.stamp"
    key_map: Annotated[
        tuple[str, ...],
        Option(
            "ROLE=COLUMN, may be repeated. Roles: action, proprio (several columns: A,B or "
            "robot.q*), camera:NAME, success, reward, time."
        ),
    ] = ()
    rates: Annotated[
        tuple[str, ...],
        Option(
            "Rate in Hz of rows without time stamps, or FILE=HZ of one file, whatever its time "
            "stamps say; may be repeated.",
            flags=("--rate",),
        ),
    ] = ()
    cameras: Annotated[
        tuple[str, ...],
        Option("Cameras to import.", flags=("--camera",), separator=",", default_text="all"),
    ] = ()
    size: Annotated[
        tuple[int, int] | None,
        Option("Resize frames to this size in pixels.", flags=("--resize",), ge=1),
    ] = None
    max_episodes: Annotated[int, Option("Import at most this many episodes; 0: all.", ge=0)] = 0
    copy_frames: Annotated[
        bool,
        Option(
            "Copy the frames of videos into the store, instead of a pointer to them.",
            flags=("--copy-frames",),
        ),
    ] = False
    link_frames: Annotated[
        bool,
        Option(
            "Leave the frames of a zarr replay buffer where they are, and point to them.",
            flags=("--link-frames",),
        ),
    ] = False
    decode: Annotated[
        bool, Option("Decode all videos once, to find damaged frames now.", flags=("--decode",))
    ] = False
    skip_broken: Annotated[
        bool,
        Option("Leave out episodes that cannot be read, and list them.", flags=("--skip-broken",)),
    ] = False


@dataclass(frozen=True)
class InspectOptions:
    """What `inspect` looks for beside what there is."""

    check: Annotated[
        bool,
        Option("Read everything; exit code 1 if something is wrong.", flags=("--check",)),
    ] = False
    verify: Annotated[
        bool,
        Option("Hash all frames and embeddings; exit code 1 if one changed.", flags=("--verify",)),
    ] = False
    seal: Annotated[
        bool,
        Option("Accept a store as it is: edited by hand, or without checksums.", flags=("--seal",)),
    ] = False
