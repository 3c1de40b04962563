"""The command line: one command per stage, in the order in which data flows.

Each parses, calls one function and prints; heavy imports live inside the commands, so that
``--help`` answers at once.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from vip_offline import __version__, ending
from vip_offline.errors import VipOfflineError
from vip_offline.help_page import PanelledGroup
from vip_offline.recipe import (
    AnalyzeOptions,
    BackendName,
    CompareOptions,
    Computing,
    Device,
    Fit,
    GripperMode,
    Head,
    Mixed,
    Negatives,
    Norm,
    NormaliseActions,
    Objective,
    Pack,
    Precision,
    PretrainOptions,
    PretrainRecipe,
    Recipe,
    RecordOptions,
    RelabelOptions,
    Reward,
    RolloutOptions,
    Sampling,
    Similarity,
    TrainOptions,
    WeightBy,
    load_pretrain_recipe,
    load_recipe,
)
from vip_offline.utils.cache_folder import lend_matplotlib_a_folder
from vip_offline.utils.console import Console, bar
from vip_offline.utils.parallel import is_first

app = typer.Typer(
    name="vip-offline",
    cls=PanelledGroup,
    rich_markup_mode=None,  # see vip_offline/help_page.py
    help="Few-shot offline RL from a camera, a goal picture and twenty demonstrations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
DATA, REWARD, POLICY = "Data", "Reward", "Policy"
# options of `record` that mean nothing without the one, or the other
FROM_SIMULATOR = (
    "episodes",
    "failures",
    "image_size",
    "camera",
    "tail",
    "first_placement",
    "hidden_goal",
)
FROM_CLIENT = ("control_rate", "describe", "host", "port", "api_key_file")
DESCRIPTION = "file (--describe)"  # for messages


def _named(path: Path | None) -> Path | None:
    """``.`` and ``..`` by the names that they stand for, which messages and new files need."""
    return path.resolve() if path is not None and path.name in ("", "..") else path


def _storable(path: Path | None) -> Path | None:
    """Refuse what would be written into JSON and cannot be.

    Raises:
        VipOfflineError: if the path is not UTF-8.
    """
    try:
        str(path and path.absolute()).encode()
    except UnicodeEncodeError:
        raise VipOfflineError(
            f"{path}: its name, or that of a folder above it, is not UTF-8, so what is made of it "
            "could not say where it lies. Rename it."
        ) from None
    return _named(path)


def _all_named(paths: list[Path] | None) -> list[Path] | None:
    return paths and [path for path in map(_named, paths) if path]


def _all_storable(paths: list[Path] | None) -> list[Path] | None:
    return paths and [path for path in map(_storable, paths) if path]


StoreArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[STORE]", callback=_storable, help="Default: the only one under datasets/."
    ),
]
Label = Annotated[str, typer.Option(help="Which labelling; default: the only one.")]
Tau = Annotated[str, typer.Option(help="Temperature in exp(tau R), or auto.")]
Steps = Annotated[int, typer.Option(help="Gradient steps.")]
Cameras = Annotated[
    str,
    typer.Option(help="That the policy sees, with commas; default: those of the labelling."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vip-offline {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
    traceback: Annotated[
        bool,
        typer.Option(
            "--traceback", help=f"Print an error's traceback, too; also by ${ending.TRACEBACK}=1."
        ),
    ] = False,
) -> None:
    """Hold what stands before the command."""
    del version
    if traceback:
        os.environ[ending.TRACEBACK] = "1"


def _given(context: typer.Context) -> set[str]:
    """Names of the options that stand on the command line."""
    return {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }


def _bar(console: Console) -> Any:
    return lambda description, total, unit: bar(console, description, total, unit)


def _store(given: Path | None) -> Path:
    from vip_offline.dataset.importers.link import store_of
    from vip_offline.dataset.store import default_store

    return store_of(given) if given is not None else default_store()


def _spoken(console: Console) -> Any:
    """Lines of a server, which waits for nobody who reads them."""
    from vip_offline.deployment.server.log_lines import LineWriter

    def write(text: str) -> None:
        # whoever read our output may be gone; the robot is not
        with contextlib.suppress(OSError):
            console.print(text, end="", highlight=False, soft_wrap=True)

    return LineWriter(write)


def _tau(text: str) -> float | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise VipOfflineError(f"--tau {text}: is neither a number nor auto.") from None


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise VipOfflineError(f"--resize {text}: expected HEIGHTxWIDTH, e.g. 224x224.")
    return int(height), int(width)


# --- data ----------------------------------------------------------------------------------


@app.command(rich_help_panel=DATA)
def record(
    context: typer.Context,
    store: Annotated[
        Path | None,
        typer.Argument(callback=_named, metavar="[STORE]", help="Default: datasets/<task>.zarr."),
    ] = None,
    task: Annotated[
        str, typer.Option(help="A Meta-World task; with --from-client in your words.")
    ] = RecordOptions.task,
    episodes: Annotated[int, typer.Option(help="In all.")] = RecordOptions.episodes,
    failures: Annotated[
        int | None, typer.Option(help="Of them; default: two thirds.", show_default=False)
    ] = None,
    image_size: Annotated[int, typer.Option(help="Pixels, square.")] = RecordOptions.image_size,
    camera: Annotated[str, typer.Option(help="Name for the frames.")] = RecordOptions.camera,
    max_steps: Annotated[
        int, typer.Option(help="Of a failure; of a client's episode: 2000.")
    ] = RecordOptions.max_steps,
    tail: Annotated[int, typer.Option(help="Steps kept after success.")] = RecordOptions.tail,
    first_placement: Annotated[
        int, typer.Option(help="Seed of the first placement.")
    ] = RecordOptions.first_placement,
    hidden_goal: Annotated[
        bool,
        typer.Option(
            "--hidden-goal",
            help="Place targets that no picture shows at random, as Meta-World does.",
        ),
    ] = False,
    from_client: Annotated[
        bool, typer.Option("--from-client", help="Record what a robot streams, by openpi's client.")
    ] = False,
    control_rate: Annotated[
        float | None, typer.Option(help="Of a client: actions per second.", show_default=False)
    ] = None,
    describe: Annotated[
        Path | None,
        typer.Option(help="Of a client: a TOML file as for `ship`.", dir_okay=False),
    ] = None,
    host: Annotated[str, typer.Option(help="Another needs an API key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free one.")] = 8001,
    api_key_file: Annotated[
        Path | None, typer.Option(help="Default: $VIP_OFFLINE_API_KEY.", dir_okay=False)
    ] = None,
) -> None:
    """Record a scripted expert, and failures, in a simulator; or what a robot's client streams."""
    said = _given(context)
    foreign = FROM_SIMULATOR if from_client else FROM_CLIENT
    for name in foreign:
        if name in said:
            why = "belongs to the simulator" if from_client else "needs --from-client"
            raise VipOfflineError(f"--{name.replace('_', '-')}: {why}. Leave one of them out.")
    if from_client:
        from vip_offline.deployment.recording.episode_stream import MAX_STEPS, RecordingInfo
        from vip_offline.deployment.recording.record import IDLE, record_from_client
        from vip_offline.deployment.serving_options import ServeOptions, read_api_key
        from vip_offline.recipe import read_toml

        if "task" not in said:
            raise VipOfflineError("--task: say in a few words what the robot is to do.")
        described = read_toml(describe, DESCRIPTION) if describe is not None else {}
        info = RecordingInfo.of(task, control_rate, described)
        serving = ServeOptions(host=host, port=port, idle=IDLE, api_key=read_api_key(api_key_file))
        path = store or Path("datasets") / f"{re.sub(r'[^a-zA-Z0-9]+', '-', task).strip('-')}.zarr"
        steps = max_steps if "max_steps" in said else MAX_STEPS
        with _spoken(Console()) as say:
            say.last(record_from_client(path, info, serving, say, steps))
        return
    from vip_offline.experiments.stages import record_stage

    failing = episodes * 2 // 3 if failures is None else failures
    options = RecordOptions(
        task,
        episodes,
        failing,
        image_size,
        camera,
        max_steps,
        tail,
        first_placement,
        hidden_goal,
    )
    console = Console()
    path = store or Path("datasets") / f"{task}.zarr"
    console.print(record_stage(Recipe(store=str(path), record=options), _bar(console)))


@app.command("import", rich_help_panel=DATA)
def import_(
    source: Annotated[Path, typer.Argument(help="A file or folder, or a Minari id.")],
    store: Annotated[
        Path | None,
        typer.Argument(
            callback=_named, metavar="[STORE]", help="Default: datasets/<its name>.zarr."
        ),
    ] = None,
    kind: Annotated[
        str, typer.Option("--format", help="lerobot, robomimic, zarr, minari, folders.")
    ] = "",
    key_map: Annotated[
        list[str] | None,
        typer.Option(
            help="ROLE=COLUMN: action, proprio (several: A,B or robot.q*), camera:NAME, success, "
            "reward, time."
        ),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(help="HZ of rows whose times nothing says, or FILE=HZ of one file's."),
    ] = None,
    camera: Annotated[str, typer.Option(help="Which cameras, with commas; default: all.")] = "",
    resize: Annotated[str, typer.Option(help="Frames, as HEIGHTxWIDTH.")] = "",
    max_episodes: Annotated[int, typer.Option(help="0: all.")] = 0,
    copy_frames: Annotated[
        bool, typer.Option("--copy-frames", help="Copy what lies in videos, too.")
    ] = False,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode all videos once, to find damage now.")
    ] = False,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out what cannot be read, and say so.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be imported, and stop.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a store of other settings, and its labellings."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import what you have: LeRobot, robomimic, Minari, diffusion_policy, videos, folders."""
    from vip_offline.dataset.importers.registry import open_source
    from vip_offline.dataset.importers.run import plan_import
    from vip_offline.experiments.stages import import_stage
    from vip_offline.recipe import ImportOptions
    from vip_offline.report.terminal.import_preview import describe_import, print_import

    options = ImportOptions(
        key_map=tuple(key_map or ()),
        rates=tuple(rate or ()),
        cameras=tuple(name for name in camera.split(",") if name),
        size=_size(resize),
        max_episodes=max_episodes,
        copy_frames=copy_frames,
        decode=decode,
        skip_broken=skip_broken,
    )
    console = Console()
    origin = open_source(source, kind, options.rates, options.key_map)
    try:
        if dry_run:
            plan = plan_import(origin, options)
            description = describe_import(str(source), plan)
            if as_json:
                typer.echo(json.dumps(description))
            else:
                print_import(description, console)
            if plan.refusal:
                raise VipOfflineError(plan.refusal)
            return
        name = (source.resolve() if source.exists() else source).name.split(".")[0]
        path = store or Path("datasets") / f"{name}.zarr"
        done = import_stage(
            origin, path, options, _bar(console), console.print, overwrite=overwrite
        )
        console.print(done)
    finally:
        origin.close()


@app.command(rich_help_panel=DATA)
def inspect(
    store: Annotated[
        Path | None,
        typer.Argument(
            callback=_named,
            metavar="[STORE]",
            help="A store (default: the only one under datasets/), or what was made of one: "
            "policies, a comparison, an analysis, an export. With --check also what import takes.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read it all; exit code 1 if something is wrong.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Hash all frames and embeddings; exit code 1 if one changed."
        ),
    ] = False,
    accept: Annotated[
        bool,
        typer.Option(
            "--seal", help="Accept a store as it is: edited by hand, or without checksums."
        ),
    ] = False,
    kind: Annotated[str, typer.Option("--format", help="Of what --check reads; see import.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what a store holds, what was made of it, and whether that is still true."""
    from vip_offline.dataset.importers.link import is_replay
    from vip_offline.dataset.store import default_store, is_store, open_store
    from vip_offline.experiments.provenance import made_of_folder, made_of_store
    from vip_offline.experiments.stages import check_stage, seal_stage

    if check:
        _check(store or default_store(), kind, as_json)
        return
    from vip_offline.report.terminal.made_from import provenance_table
    from vip_offline.report.terminal.store import describe_store, print_description

    console, aside = Console(), Console(stderr=True)
    path = store if store is not None and not is_store(store) else _store(store)
    if path.exists() and not is_store(path) and not is_replay(path):
        made = [vars(row) for row in made_of_folder(path)]
        if as_json:
            typer.echo(json.dumps({"path": str(path), "made": made}, indent=2))
        else:
            console.print(provenance_table(made))
        return
    path = _store(path)
    if accept:
        for line in seal_stage(path):
            console.print(line, soft_wrap=True)
    changed = check_stage(path, _bar(aside), aside.print, every=verify)
    opened = open_store(path)
    description = {**describe_store(opened), "made": [vars(row) for row in made_of_store(opened)]}
    if as_json:
        typer.echo(json.dumps(description, indent=2))
    else:
        print_description(description, console)
        if description["made"]:
            console.print(provenance_table(description["made"]))
        for line in changed:
            console.print(line, soft_wrap=True)
        if verify and not changed:
            console.print(f"verified: {opened.rows} rows are what they were")
    if changed and verify:
        raise typer.Exit(1)


@app.command(rich_help_panel=DATA)
def upgrade(store: StoreArgument = None) -> None:
    """Rewrite a store of an earlier release in today's format, with checksums."""
    from vip_offline.experiments.stages import upgrade_stage

    console = Console()
    console.print(upgrade_stage(_store(store), _bar(console)), soft_wrap=True)


def _check(path: Path, kind: str, as_json: bool) -> None:
    from vip_offline.dataset.validation.run import check
    from vip_offline.report.terminal.data_checks import describe_checks, print_checks

    with bar(Console(stderr=True), "check", 0, "frame") as advance:
        checked = check(path, kind, on_start=lambda total: advance(total=total), on_frames=advance)
    description = describe_checks(checked)
    if as_json:
        typer.echo(json.dumps(description, indent=2))
    else:
        print_checks(description, Console())
    if checked.wrong:
        raise typer.Exit(1)


@app.command(rich_help_panel=DATA)
def datasets(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Show its card; default: list them all.")
    ] = "",
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Get it, or say what is to be done by hand.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List known data sets: licence, size, whether they are here, how they are had."""
    from vip_offline.dataset.catalog.card import card, cards
    from vip_offline.report.terminal.datasets import describe_card, print_card, print_cards

    console = Console()
    if fetch:
        if not name:
            raise VipOfflineError("--fetch: say which data set. `vip-offline datasets` lists them.")
        _fetch(name, console)
    elif name and as_json:
        typer.echo(json.dumps(describe_card(card(name)), indent=2))
    elif name:
        print_card(describe_card(card(name)), console)
    elif as_json:
        typer.echo(json.dumps([describe_card(each) for each in cards().values()], indent=2))
    else:
        print_cards(cards().values(), console)


def _fetch(name: str, console: Console) -> None:
    from vip_offline.dataset.catalog.card import card
    from vip_offline.dataset.catalog.fetch import fetch
    from vip_offline.report.terminal.datasets import describe_card
    from vip_offline.utils.download import BLOCK

    def say(line: str) -> None:
        console.print(f"$ {line}", highlight=False, soft_wrap=True)

    wanted = card(name)
    licence = ". ".join(each for each in (wanted.licence, wanted.licence_note) if each)
    console.print(f"licence: {licence}", highlight=False, soft_wrap=True)
    if wanted.fetch.url:
        say(f"GET {wanted.fetch.url}")
    # a bar only where bytes are counted: other programs draw their own
    shown = Console(stderr=True) if wanted.fetch.url else Console(stderr=True, force_terminal=False)
    with bar(shown, "fetch", 0, "MB") as advance:
        done = 0

        def progress(there: int, total: int) -> None:
            nonlocal done
            advance(there // BLOCK - done, total=total // BLOCK if total else None)
            done = there // BLOCK

        path = fetch(wanted, progress, say)
    console.print(f"fetch: {name} -> {path}", highlight=False, soft_wrap=True)
    if path != wanted.store:
        say(describe_card(wanted)["import"])


# --- reward --------------------------------------------------------------------------------


@app.command(rich_help_panel=REWARD)
def encoders() -> None:
    """List the frozen encoders: dimension, licence, and whether their weights are here."""
    from vip_offline.encoders.registry import ENCODERS, is_available

    table = Table(box=None, width=80)
    for heading in ("encoder", "dim", "weights", "licence", "here"):
        right = heading == "dim"
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for name, entry in ENCODERS.items():
        if is_available(name):
            there = "yes"
        else:
            there = "download" if entry.origin and entry.origin.url else "--weights"
        table.add_row(name, str(entry.dim), entry.weights, entry.licence, there)
    Console().print(table)


@app.command(rich_help_panel=REWARD)
def relabel(
    store: StoreArgument = None,
    encoder: Annotated[str, typer.Option(help="See `encoders`.")] = RelabelOptions.encoder,
    weights: Annotated[str, typer.Option(help="Checkpoint.")] = RelabelOptions.weights,
    camera: Annotated[
        str, typer.Option(help="Default: the only one; a,b: both, side by side.")
    ] = RelabelOptions.camera,
    fit: Annotated[
        Fit, typer.Option(help="Frames that are not square: crop, pad or squash.")
    ] = RelabelOptions.fit,
    goal: Annotated[
        list[str] | None,
        typer.Option(
            help="successes, nearest:successes (the goal moves with an object), last, "
            "EPISODE:FRAME, a picture file or text:PROMPT; of several the mean. Default: "
            "successes.",
            show_default=False,
        ),
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(help="Goals to reach one after the other.", show_default=False),
    ] = None,
    reach: Annotated[
        float, typer.Option(help="Share of the first distance that counts as reached.")
    ] = RelabelOptions.reach,
    reward: Annotated[Reward, typer.Option(help="difference: Eq. 1.")] = RelabelOptions.reward,
    similarity: Annotated[
        Similarity, typer.Option(help="auto: cosine for text, else l2.")
    ] = RelabelOptions.similarity,
    gamma: Annotated[float, typer.Option(help="Of shaping.")] = RelabelOptions.gamma,
    n_steps: Annotated[int, typer.Option(help="Steps ahead.")] = RelabelOptions.n_steps,
    name: Annotated[
        str, typer.Option(help="Of the labelling; default: the encoder's.")
    ] = RelabelOptions.name,
    batch_size: Annotated[
        int, typer.Option(help="Frames at once; 0: the fastest.")
    ] = RelabelOptions.batch_size,
    backend: Annotated[
        BackendName, typer.Option(help="auto: ONNX Runtime if installed.")
    ] = Computing.backend,
    device: Annotated[Device, typer.Option(help="Where to embed.")] = Computing.device,
    precision: Annotated[
        Precision, typer.Option(help="fp16: mixed, for CUDA.")
    ] = Computing.precision,
    overwrite: Annotated[bool, typer.Option(help="Replace a labelling of this name.")] = False,
) -> None:
    """Write the reward of every transition: how much closer it came to the goal (Eq. 1).

    The embeddings stay in the store: another goal or reward takes no time.
    """
    from vip_offline.experiments.stages import link_stage, relabel_stage

    options = RelabelOptions(
        encoder=encoder,
        weights=weights,
        camera=camera,
        fit=fit,
        name=name,
        goal=tuple(goal or RelabelOptions.goal),
        stages=tuple(stage or ()),
        reach=reach,
        reward=reward,
        similarity=similarity,
        gamma=gamma,
        n_steps=n_steps,
        batch_size=batch_size,
        backend=backend,
        device=device,
        precision=precision,
    )
    console = Console()
    if store is not None:
        link_stage(store, _bar(console), console.print)
    recipe = Recipe(store=str(_store(store)), relabel=options)
    said = relabel_stage(recipe, _bar(console), console.print, overwrite=overwrite)
    console.print(said)


@app.command(rich_help_panel=REWARD)
def delete(
    store: StoreArgument = None,
    label: Annotated[
        list[str] | None, typer.Option(help="A labelling; may be repeated.", show_default=False)
    ] = None,
    embedding: Annotated[
        list[str] | None,
        typer.Option(
            help="ENCODER/CAMERA, or ENCODER for all cameras; may be repeated.", show_default=False
        ),
    ] = None,
) -> None:
    """Delete labellings and embeddings from a store; the demonstrations stay."""
    from vip_offline.experiments.delete import delete_stage

    for line in delete_stage(_store(store), label or (), embedding or ()):
        typer.echo(line)


@app.command(rich_help_panel=REWARD)
def analyze(
    store: StoreArgument = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="A labelling; several: side by side. Default: the only one."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            callback=_storable, help="Folder. Default: runs/<name of the store>/analysis."
        ),
    ] = None,
    n_steps: Annotated[
        int, typer.Option(help="As in train --weight-by n-step.")
    ] = AnalyzeOptions.n_steps,
    target_ess: Annotated[
        float, typer.Option(help="As in train --tau auto.")
    ] = AnalyzeOptions.target_ess,
    figures: Annotated[
        bool, typer.Option("--figures", help="Each figure as PNG and SVG, too.")
    ] = False,
    films: Annotated[int, typer.Option(help="Episodes as mp4, video beside curve.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say whether a labelling's reward means progress on these demonstrations, before training.

    Writes a page (report.html) and every number (analysis.json).
    """
    from vip_offline.experiments.analyze import analyze_stage
    from vip_offline.experiments.stages import check_stage

    path = _store(store)
    options = AnalyzeOptions(
        labels=tuple(label or ()), n_steps=n_steps, target_ess=target_ess, films=films
    )
    folder = out or Path("runs") / path.stem.removesuffix(".vip") / "analysis"
    console = Console(stderr=as_json)
    check_stage(path, _bar(console), console.print)
    found, said = analyze_stage(path, options, folder, _bar(console), figures=figures)
    if as_json:
        from vip_offline.analysis.results import summarise_analysis

        typer.echo(json.dumps(summarise_analysis(found), indent=2, ensure_ascii=False))
        return
    from vip_offline.report.terminal.analysis import print_analysis

    print_analysis(found, console)
    for line in said:
        console.print(line, soft_wrap=True, highlight=False)


@app.command(rich_help_panel=REWARD)
def pretrain(
    videos: Annotated[
        list[Path],
        typer.Argument(
            callback=_all_storable,
            help="Folders of videos or of frames, stores, or a manifest.csv (path,len).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(callback=_storable, help="Folder. Default: runs/<backbone>-<objective>."),
    ] = None,
    objective: Annotated[Objective, typer.Option(help="Loss.")] = PretrainOptions.objective,
    backbone: Annotated[
        str, typer.Option(help="vip: ResNet-50; vip-mini, ...; with -dN: N outputs.")
    ] = PretrainOptions.backbone,
    init: Annotated[
        str, typer.Option(help="Encoder or checkpoint to begin with. Default: random.")
    ] = PretrainOptions.init,
    init_weights: Annotated[
        str, typer.Option(help="Checkpoint of --init.")
    ] = PretrainOptions.init_weights,
    anchor: Annotated[
        float, typer.Option(help="Pull towards what --init makes of the frames.")
    ] = PretrainOptions.anchor,
    norm: Annotated[
        Norm, typer.Option(help="frozen: BatchNorm by the statistics it has.")
    ] = PretrainOptions.norm,
    gamma: Annotated[float, typer.Option(help="Discount.")] = PretrainOptions.gamma,
    negatives: Annotated[
        int, typer.Option(help="From other videos, for each sub-trajectory.")
    ] = PretrainOptions.negatives,
    negative_term: Annotated[
        Negatives, typer.Option(help="separate: as the released code.")
    ] = PretrainOptions.negative_term,
    sampling: Annotated[Sampling, typer.Option(help="Of frames.")] = PretrainOptions.sampling,
    stride: Annotated[
        int, typer.Option(help="Frames from one to the next.")
    ] = PretrainOptions.stride,
    crop: Annotated[
        bool, typer.Option(help="One random crop per sub-trajectory.")
    ] = PretrainOptions.crop,
    l1: Annotated[float, typer.Option(help="Penalty on embeddings.")] = PretrainOptions.l1,
    l2: Annotated[float, typer.Option(help="Penalty on embeddings.")] = PretrainOptions.l2,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = PretrainOptions.learning_rate,
    batch_size: Annotated[
        int, typer.Option(help="Sub-trajectories, over all processes.")
    ] = PretrainOptions.batch_size,
    steps: Steps = PretrainOptions.steps,
    hold_out: Annotated[
        float, typer.Option(help="Share of the videos to validate on.")
    ] = PretrainOptions.hold_out,
    validate_every: Annotated[int, typer.Option(help="Steps.")] = PretrainOptions.validate_every,
    save_every: Annotated[int, typer.Option(help="Steps.")] = PretrainOptions.save_every,
    keep: Annotated[int, typer.Option(help="Checkpoints.")] = PretrainOptions.keep,
    seed: Annotated[int, typer.Option(help="Of weights and draws.")] = PretrainOptions.seed,
    camera: Annotated[
        str, typer.Option(help="Of stores. Default: each is a video.")
    ] = PretrainOptions.camera,
    pack: Annotated[
        Pack, typer.Option(help="Decode frames once, into one file.")
    ] = PretrainOptions.pack,
    pack_folder: Annotated[
        str, typer.Option(help="Where. Default: the run's folder.")
    ] = PretrainOptions.pack_folder,
    pack_gib: Annotated[
        float, typer.Option(help="That --pack auto may use.")
    ] = PretrainOptions.pack_gib,
    readers: Annotated[int, typer.Option(help="Threads.")] = PretrainOptions.readers,
    device: Annotated[Device, typer.Option(help="Where to train.")] = PretrainOptions.device,
    precision: Annotated[
        Mixed, typer.Option(help="bf16, fp16: mixed, for CUDA.")
    ] = PretrainOptions.precision,
    max_skipped: Annotated[
        float, typer.Option(help="Share of unreadable videos.")
    ] = PretrainOptions.max_skipped,
    as_json: AsJson = False,
) -> None:
    """Train an encoder of your own on videos, by VIP, TCN or LSTD (paper, section 4).

    The result loads by `relabel --encoder BACKBONE --weights OUT/model.pt`.

    Started again, it goes on. On several GPUs or nodes it is started by
    `torchrun --nproc_per_node N -m vip_offline pretrain ...`
    """
    from vip_offline.pretraining.run import pretrain_stage, summary_of
    from vip_offline.report.terminal.encoders import print_validation

    options = PretrainOptions(
        objective=objective,
        backbone=backbone,
        init=init,
        init_weights=init_weights,
        anchor=anchor,
        norm=norm,
        gamma=gamma,
        negatives=negatives,
        negative_term=negative_term,
        sampling=sampling,
        stride=stride,
        crop=crop,
        l1=l1,
        l2=l2,
        learning_rate=learning_rate,
        batch_size=batch_size,
        steps=steps,
        hold_out=hold_out,
        validate_every=validate_every,
        save_every=save_every,
        keep=keep,
        seed=seed,
        camera=camera,
        pack=pack,
        pack_folder=pack_folder,
        pack_gib=pack_gib,
        readers=readers,
        device=device,
        precision=precision,
        max_skipped=max_skipped,
    )
    folder = out or Path("runs") / f"{backbone}-{objective}"
    console = Console(stderr=as_json)
    with _first_alone(console) as shown:
        found = pretrain_stage(videos, options, folder, _bar(shown), shown.print)
        described = summary_of(found, options)
        if as_json and shown is console:
            typer.echo(json.dumps(described, indent=2))
        elif not as_json:
            print_validation(described, shown)
            shown.print(f"-> {found.trained.model}", soft_wrap=True, highlight=False)


@contextlib.contextmanager
def _first_alone(console: Console) -> Iterator[Console]:
    """Of several processes that torchrun started, let the first alone print."""
    if is_first():
        yield console
    else:
        with Path(os.devnull).open("w") as nothing:
            yield Console(file=nothing)


@app.command(rich_help_panel=REWARD)
def export(
    paths: Annotated[
        list[Path],
        typer.Argument(
            callback=_all_named,
            metavar="[STORE] OUT",
            help="A labelled store, by default the only one under datasets/; the file or folder "
            "to write.",
            show_default=False,
        ),
    ],
    to: Annotated[
        str,
        typer.Option(help="lerobot-progress, lerobot, robomimic, minari, zarr or d3rlpy."),
    ],
    label: Label = "",
) -> None:
    """Give the rewards back, in the format that your data came in or another one."""
    from vip_offline.experiments.export_data import export_stage
    from vip_offline.experiments.stages import check_stage

    *stores, out = paths
    if len(stores) > 1:
        raise VipOfflineError(f"{len(paths)} paths given; expected [STORE] OUT.")
    console, store = Console(), _store(stores[0] if stores else None)
    check_stage(store, _bar(console), console.print)
    console.print(export_stage(store, out, to, label, _bar(console), console.print))


# --- policy --------------------------------------------------------------------------------


@app.command(rich_help_panel=POLICY)
def train(
    context: typer.Context,
    store: StoreArgument = None,
    algo: Annotated[str, typer.Option(help="rwr, bc, awr, iql or scratch-bc.")] = TrainOptions.algo,
    head: Annotated[Head, typer.Option(help="Mean action, or a Gaussian.")] = TrainOptions.head,
    tau: Tau = str(TrainOptions.tau),
    target_ess: Annotated[
        float, typer.Option(help="What --tau auto aims at.")
    ] = TrainOptions.target_ess,
    weight_by: Annotated[
        WeightBy,
        typer.Option(
            help="R in the exponent. auto: outcome; step (Eq. 7) where --tau is a number."
        ),
    ] = TrainOptions.weight_by,
    n_steps: Annotated[int, typer.Option(help="That n-step looks ahead.")] = TrainOptions.n_steps,
    standardise_scores: Annotated[
        bool, typer.Option(help="R to unit variance before tau.")
    ] = TrainOptions.standardise_scores,
    weight_cap: Annotated[
        float, typer.Option(help="Largest weight over the mean one; 0: none.")
    ] = TrainOptions.weight_cap,
    only_successes: Annotated[
        bool, typer.Option(help="Leave failures out.", show_default=False)
    ] = False,
    keep_best: Annotated[
        float, typer.Option(help="Train on this share of the episodes: those that end nearest.")
    ] = TrainOptions.keep_best,
    label: Label = "",
    cameras: Cameras = "",
    fit: Annotated[
        Fit, typer.Option(help="Of scratch-bc: crop, pad or squash.")
    ] = TrainOptions.fit,
    learning_rate: Annotated[float, typer.Option(help="Of Adam.")] = TrainOptions.learning_rate,
    batch_size: Annotated[int, typer.Option(help="Transitions.")] = TrainOptions.batch_size,
    steps: Steps = TrainOptions.steps,
    standardise: Annotated[
        bool, typer.Option(help="Scale the inputs, or take them raw as the paper does.")
    ] = TrainOptions.standardise,
    normalise_actions: Annotated[
        NormaliseActions,
        typer.Option(help="Actions to [-1, 1] by the range of what is no outlier, or otherwise."),
    ] = TrainOptions.normalise_actions,
    gripper: Annotated[
        GripperMode,
        typer.Option(help="Actions with two values: threshold them, or leave them a regression."),
    ] = TrainOptions.gripper,
    hold_out: Annotated[
        int, typer.Option(help="Successes kept back, to measure the action error on.")
    ] = TrainOptions.hold_out,
    discount: Annotated[float, typer.Option(help="Of awr and iql.")] = TrainOptions.discount,
    beta: Annotated[float, typer.Option(help="Of awr: exp(A / beta).")] = TrainOptions.beta,
    expectile: Annotated[float, typer.Option(help="Of iql.")] = TrainOptions.expectile,
    inverse_temperature: Annotated[
        float, typer.Option(help="Of iql: exp(it * A).")
    ] = TrainOptions.inverse_temperature,
    seed: Annotated[int, typer.Option(help="Of the first policy.")] = TrainOptions.seed,
    seeds: Annotated[int, typer.Option(help="Policies, with seeds from --seed on.")] = 1,
    processes: Annotated[
        int, typer.Option(help="That train side by side.")
    ] = CompareOptions.processes,
    weights: Annotated[str, typer.Option(help="Checkpoint of the label's encoder.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(callback=_storable, help="Default: runs/<store>/<settings>/seed-<seed>."),
    ] = None,
) -> None:
    """Train policies by weighted regression (Eq. 7), through d3rlpy."""
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.dataset.store import open_store
    from vip_offline.experiments.preflight import check_weights
    from vip_offline.experiments.stages import cameras_stage, check_stage
    from vip_offline.policies.policy import read_manifest
    from vip_offline.report.terminal.comparison import held_out_table
    from vip_offline.report.terminal.weights import weight_lines
    from vip_offline.training.data.dataset import TrainingSet, check_options
    from vip_offline.training.data.default_weighting import suited
    from vip_offline.training.job import TrainJob
    from vip_offline.training.run import seeded, train_all

    options = TrainOptions(
        algo=algo,
        head=head,
        tau=_tau(tau),
        target_ess=target_ess,
        weight_by=weight_by,
        n_steps=n_steps,
        standardise_scores=standardise_scores,
        weight_cap=weight_cap,
        only_successes=only_successes,
        keep_best=keep_best,
        label=label,
        cameras=_names(cameras),
        fit=fit,
        learning_rate=learning_rate,
        batch_size=batch_size,
        steps=steps,
        standardise=standardise,
        normalise_actions=normalise_actions,
        gripper=gripper,
        hold_out=hold_out,
        discount=discount,
        beta=beta,
        expectile=expectile,
        inverse_temperature=inverse_temperature,
        seed=seed,
    )
    check_options(options)
    for name, value in (("seeds", seeds), ("processes", processes)):
        if value < 1:
            raise VipOfflineError(f"--{name} {value}: must be at least 1.")
    path, console = _store(store), Console()
    check_stage(path, _bar(console), console.print)
    if not _given(context) & {"algo", "tau", "weight_by", "target_ess"}:
        options, why = suited(path, options)
        if why:
            console.print(f"note: {why}", highlight=False, soft_wrap=True)
    horizon = f"{n_steps}-step" if options.weighs_by == "n-step" else options.weighs_by
    settings = f"{options.algo}-{horizon}-tau-{tau}" if options.algo == "rwr" else options.algo
    settings += f"-best-{keep_best:g}" if keep_best < 1 else ""
    settings += f"-sees-{'+'.join(options.cameras)}" if options.cameras else ""
    folder = out or Path("runs") / path.stem / settings
    jobs = [
        TrainJob(path, each, folder if out and seeds == 1 else folder / f"seed-{each.seed}")
        for each in seeded(options, seeds)
    ]

    def say(data: TrainingSet) -> None:
        for line in (*weight_lines(data.weighed.summary, target_ess), *data.notes):
            console.print(line, highlight=False)

    if weights and algo != "scratch-bc":
        check_weights(open_store(path), label, weights)
    cameras_stage(path, options, weights, _bar(console), console.print)
    what = f"train, {seeds} seeds" if seeds > 1 else f"train, seed {seed}"
    with bar(console, what, steps * seeds, "step") as advance:
        train_all(jobs, processes, advance, say, lambda line: console.print(line, soft_wrap=True))
    with bar(console, "make ready for a robot", len(jobs), "policy") as advance:
        for job in jobs:
            _ship_trained(job.out, weights, console)
            advance(1)
    for job in jobs:
        console.print(f"policy -> {job.out}", highlight=False, soft_wrap=True)
    if hold_out:
        errors = {job.options.seed: read_manifest(job.out)["held_out_error"] for job in jobs}
        console.print(held_out_table(errors), width=min(80, console.width))


def _ship_trained(folder: Path, weights: str, console: Console) -> None:
    """Make it ready for another computer, if that can be had here; a policy it is in any case."""
    from vip_offline.deployment.export import is_shipped
    from vip_offline.deployment.export import ship as make_ready

    if is_shipped(folder):
        return
    try:
        notes = make_ready(
            folder,
            weights=Path(weights) if weights else None,
            on_prepare=lambda what: console.print(what, highlight=False),
        )
    except VipOfflineError as error:
        notes = [f"not ready for another computer yet: {error} Then: vip-offline ship {folder}"]
    for note in notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=POLICY)
def rollout(
    policies: Annotated[
        list[Path] | None,
        typer.Argument(
            callback=_all_named, metavar="[POLICY]...", help="Default: the only ones under runs/."
        ),
    ] = None,
    placements: Annotated[
        int, typer.Option("--placements", "--episodes", help="Unseen object placements.")
    ] = RolloutOptions.placements,
    first_placement: Annotated[
        int, typer.Option(help="Seed of the first.")
    ] = RolloutOptions.first_placement,
    horizon: Annotated[int, typer.Option(help="Environment steps.")] = RolloutOptions.horizon,
    videos: Annotated[int, typer.Option(help="Placements filmed.")] = RolloutOptions.videos,
    encoder: Annotated[str, typer.Option(help="Default: the policy's own.")] = "",
    weights: Annotated[str, typer.Option(help="Its checkpoint.")] = "",
    processes: Annotated[int, typer.Option(help="That simulate.")] = RolloutOptions.processes,
    environments: Annotated[int, typer.Option(help="Per process.")] = RolloutOptions.environments,
    as_table_1: Annotated[
        bool, typer.Option("--as-table-1", help="The paper's ± in place of the interval.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run policies closed loop in the simulator, on placements they have not seen."""
    from dataclasses import asdict

    from vip_offline.analysis.closed_loop.conditions import conditions, joined_names, rate_notes
    from vip_offline.deployment.export import note_success
    from vip_offline.policies.policy import find_policies, read_manifest
    from vip_offline.report.terminal.rollouts import rollout_table
    from vip_offline.simulation.metaworld import CONTROL_RATE
    from vip_offline.simulation.rollout import rollout as roll_out

    console = Console()
    options = RolloutOptions(
        placements, first_placement, horizon, min(videos, placements), processes, environments
    )
    folders, notes = find_policies(policies or [Path("runs")], named=bool(policies)), list[str]()
    with bar(Console(stderr=True), "rollout", 0, "rollout") as advance:
        results = roll_out(
            folders,
            options,
            encoder=encoder,
            weights=weights,
            on_start=lambda total: advance(total=total),
            on_rollout=lambda folder, success: advance(1),
            say=notes.append,
        )
    for note in notes:
        # beside the numbers, whatever these go to
        Console(stderr=True).print(f"note: {note}", highlight=False, soft_wrap=True)
    for folder in results:
        note_success(folder)
    if as_json:
        typer.echo(json.dumps({str(k): asdict(v) for k, v in results.items()}, indent=2))
    else:
        outcomes = {str(k): list(v.success) for k, v in results.items()}
        again = {str(k): v.reattempts for k, v in results.items()}
        by = [
            joined_names(getattr(v, k) for v in results.values()) for k in ("backend", "processor")
        ]
        computed = conditions(*by)
        console.print(rollout_table(outcomes, again, as_table_1=as_table_1, computed=computed))
    for note in rate_notes({str(each): read_manifest(each) for each in results}, CONTROL_RATE):
        said = f"note: {note}"
        Console(stderr=as_json).print(said, highlight=False, soft_wrap=True)


@app.command(rich_help_panel=POLICY)
def compare(
    store: StoreArgument = None,
    tau: Tau = str(TrainOptions.tau),
    label: Label = "",
    cameras: Cameras = "",
    weights: Annotated[str, typer.Option(help="Checkpoint of the label's encoder.")] = "",
    steps: Steps = TrainOptions.steps,
    seeds: Annotated[int, typer.Option(help="Policies per arm.")] = CompareOptions.seeds,
    placements: Annotated[
        int, typer.Option(help="Unseen object placements.")
    ] = RolloutOptions.placements,
    arms: Annotated[str, typer.Option(help="Comma-separated; bc among them.")] = ",".join(
        CompareOptions.arms
    ),
    out: Annotated[
        Path | None, typer.Option(callback=_storable, help="Default: runs/<store>-compare.")
    ] = None,
) -> None:
    """Does the reward help? Arms and controls on the same data, seeds and placements."""
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.dataset.store import open_store
    from vip_offline.encoders.preprocessing import fit_of
    from vip_offline.experiments.compare import labelled_before
    from vip_offline.experiments.run_recipe import check_recipe, compare_stages
    from vip_offline.experiments.stages import check_stage

    path, console = _store(store), Console()
    check_stage(path, _bar(console), console.print)
    folder = out or Path("runs") / f"{path.stem}-compare"
    labelling = open_store(path).label(label or labelled_before(folder))
    encoder, fit = labelling.provenance["encoder"], fit_of(labelling.provenance)
    recipe = Recipe(
        name=path.stem,
        store=str(path),
        out=str(folder),
        relabel=RelabelOptions(encoder=encoder, weights=weights, fit=fit),
        train=TrainOptions(
            tau=_tau(tau), label=labelling.name, cameras=_names(cameras), fit=fit, steps=steps
        ),
        rollout=RolloutOptions(
            placements=placements, videos=min(RolloutOptions.videos, placements)
        ),
        compare=CompareOptions(arms=tuple(arms.split(",")), seeds=seeds),
    )
    check_recipe(recipe)
    _print_comparison(compare_stages(recipe, _bar(console), console.print), recipe, console)


@app.command(rich_help_panel=POLICY)
def ship(
    policies: Annotated[
        list[Path] | None,
        typer.Argument(
            callback=_all_named, metavar="[POLICY]...", help="Default: the only ones under runs/."
        ),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="What it was trained on, if that was moved.")
    ] = None,
    weights: Annotated[str, typer.Option(help="Checkpoint of its encoder.")] = "",
    describe: Annotated[
        Path | None,
        typer.Option(
            callback=_named,
            help="TOML: proprio, action, action_kind, gripper, control_rate, key_map.",
            dir_okay=False,
        ),
    ] = None,
    without_encoder: Annotated[
        bool, typer.Option("--without-encoder", help="policy.onnx takes embeddings.")
    ] = False,
) -> None:
    """Make policy folders whole for another computer (`train` does it too)."""
    from vip_offline.deployment.export import ship as make_ready
    from vip_offline.policies.policy import find_policies
    from vip_offline.recipe import read_toml

    console = Console()
    folders = find_policies(policies or [Path("runs")], named=bool(policies))
    described = read_toml(describe, DESCRIPTION) if describe is not None else None
    with bar(Console(stderr=True), "ship", len(folders), "policy") as advance:
        for folder in folders:
            notes = make_ready(
                folder,
                store=store,
                weights=Path(weights) if weights else None,
                described=described,
                takes="embedding" if without_encoder else "frames",
                on_prepare=lambda what: console.print(what, highlight=False),
            )
            advance(1)
            console.print(f"ready -> {folder}", highlight=False, soft_wrap=True)
            for note in notes:
                console.print(f"note: {note}", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=POLICY)
def verify(
    folder: Annotated[
        Path, typer.Argument(callback=_named, metavar="POLICY", help="A policy folder.")
    ],
    as_json: AsJson = False,
) -> None:
    """Does a policy do on this computer what it did where it was trained?"""
    from dataclasses import asdict

    from vip_offline.policies.verify import verify as recompute
    from vip_offline.report.terminal.verification import verification_table

    console = Console()
    found = recompute(folder)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        console.print(f"{found.files} files are as they were written", highlight=False)
        if found.backends:
            rate = found.manifest["interface"]["control_rate"]
            console.print(verification_table(found.backends, rate))
        for note in found.notes:
            console.print(f"note: {note}", highlight=False, soft_wrap=True)
    if found.problems:
        raise VipOfflineError(
            f"{folder}: {'; '.join(found.problems)}. Do not run it here; copy the folder again, or "
            "train it anew."
        )
    if not as_json:
        console.print("verified: the actions are those of the computer that trained it")


@app.command(rich_help_panel=POLICY)
def serve(
    folder: Annotated[
        Path, typer.Argument(callback=_named, metavar="POLICY", help="A policy folder.")
    ],
    host: Annotated[str, typer.Option(help="Another needs an API key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free one.")] = 8000,
    api_key_file: Annotated[
        Path | None, typer.Option(help="Default: $VIP_OFFLINE_API_KEY.", dir_okay=False)
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds without an observation; then one hold action.")
    ] = 1.0,
    hold: Annotated[
        str,
        typer.Option(
            help="In place of an unsafe action: zero, last, numbers with commas, or auto: zero for "
            "velocities and differences, last for positions."
        ),
    ] = "auto",
    stop_above: Annotated[
        float | None, typer.Option(help="Novelty; above it a connection is held for good.")
    ] = None,
    max_message_mb: Annotated[
        float, typer.Option(help="0: an observation as float64, and 64 KiB.")
    ] = 0.0,
    max_connections: Annotated[int, typer.Option(help="At once.")] = 16,
    idle: Annotated[
        float, typer.Option(help="Seconds without a message; then the connection is closed.")
    ] = 300.0,
    key_map: Annotated[
        str, typer.Option(help="droid, libero, JSON or a file; default: the policy's own.")
    ] = "",
    log: Annotated[
        Path | None, typer.Option(help="Add a JSON line per reply.", dir_okay=False)
    ] = None,
    unsealed: Annotated[
        bool, typer.Option("--unsealed", help="Serve a folder without SHA256SUMS too.")
    ] = False,
) -> None:
    """Serve a policy to a robot: openpi's WebSocket protocol, with limits on its actions."""
    from vip_offline.deployment.server.serve import serve as serve_folder
    from vip_offline.deployment.serving_options import ServeOptions, parse_hold, read_api_key

    options = ServeOptions(
        host=host,
        port=port,
        timeout=timeout,
        hold=parse_hold(hold),
        stop_above=stop_above,
        max_message_mb=max_message_mb,
        max_connections=max_connections,
        idle=idle,
        api_key=read_api_key(api_key_file),
    )
    with _spoken(Console()) as say:
        say.last(serve_folder(folder, options, say, key_map, log, unsealed=unsealed))


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A TOML file; see recipes/.")],
) -> None:
    """Chain the stages of a recipe; started again, go on from the first unfinished one."""
    encoders_wanted = load_pretrain_recipe(recipe)
    if encoders_wanted is not None:
        _run_pretrain(encoders_wanted)
        return
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.experiments.run_recipe import run_recipe

    loaded, console = load_recipe(recipe), Console()
    _print_comparison(run_recipe(loaded, _bar(console), console.print), loaded, console)


def _run_pretrain(recipe: PretrainRecipe) -> None:
    from vip_offline.experiments.run_pretrain_recipe import NUMBERS, run_pretrain_recipe
    from vip_offline.report.terminal.encoders import print_trial, print_validation

    with _first_alone(Console()) as console:
        numbers = run_pretrain_recipe(recipe, _bar(console), console.print)
        if not is_first():
            return
        for name, trained in numbers["trained"].items():
            console.print(f"\n{name}", style="bold")
            print_validation(trained, console)
        console.print()
        print_trial(numbers, console)
        console.print(f"-> {Path(recipe.out) / NUMBERS}", soft_wrap=True, highlight=False)


def _print_comparison(summary: dict[str, Any], recipe: Recipe, console: Console) -> None:
    from vip_offline.experiments.run_recipe import NUMBERS, REPORT
    from vip_offline.report.terminal.comparison import print_comparison

    console.print()
    print_comparison(summary, console)
    minutes = ", ".join(f"{stage} {spent:.1f}" for stage, spent in summary["minutes"].items())
    console.print(f"\nminutes: {minutes}", highlight=False)
    for name in (REPORT, NUMBERS):
        console.print(f"-> {Path(recipe.out) / name}", highlight=False, soft_wrap=True)


def main() -> None:
    """Run the program; see vip_offline/ending.py for how it ends."""
    lend_matplotlib_a_folder()
    ending.run(app)
