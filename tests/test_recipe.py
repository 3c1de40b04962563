import dataclasses
import tomllib
from pathlib import Path

import pytest

from vip_offline.config import (
    dump,
    load_pretrain_recipe,
    load_recipe,
    load_simulator_recipe,
    load_table_recipe,
)
from vip_offline.errors import VipOfflineError
from vip_offline.options import (
    ImportedData,
    ImportOptions,
    PlanRecipe,
    PretrainOptions,
    PretrainRecipe,
    TrainOptions,
)

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_load_and_hold_differences_only(path: Path) -> None:
    recipe = (
        load_pretrain_recipe(path)
        or load_simulator_recipe(path)
        or load_table_recipe(path)
        or load_recipe(path)
    )
    assert recipe.name == path.stem
    if isinstance(recipe, PretrainRecipe):
        defaults: object = PretrainRecipe(PretrainOptions())
    else:
        defaults = type(recipe)()
    for stage, values in tomllib.loads(path.read_text()).items():
        if not isinstance(values, dict):
            assert values != getattr(defaults, stage), f"{stage} = {values!r} is the default"
            continue
        for key, value in values.items():
            if (stage, key) == ("record", "task") or (stage, key) == ("compare", "seeds"):
                continue  # said although it is the default: it is what the recipe is about
            table = ImportedData() if stage == "import" else getattr(defaults, stage)
            default = getattr(table, key)
            assert value != default, f"{stage}.{key} = {value!r} is the default"


def test_defaults_are_the_papers_but_for_the_weights() -> None:
    train = TrainOptions()
    assert (train.tau, train.weighs_by) == ("auto", "outcome")
    assert dataclasses.replace(train, tau=0.1).weighs_by == "step"  # Eq. 7
    assert (train.hidden, train.learning_rate) == ((256, 256), 1e-3)
    assert (train.batch_size, train.steps, train.algo) == (32, 20_000, "rwr")


def test_a_plan_s_recipe_names_file_and_key(tmp_path: Path) -> None:
    recipe = load_simulator_recipe(
        written(tmp_path, 'tasks = ["drawer-close"]\n[plan]\nsteps = 5\n')
    )
    assert isinstance(recipe, PlanRecipe)
    assert (recipe.out, recipe.plan.length) == ("runs/mine", 5)
    assert load_simulator_recipe(written(tmp_path, "[train]\ntau = 1\n")) is None
    with pytest.raises(VipOfflineError, match=r"mine.toml: search.kappa = 0: must be above 0"):
        load_simulator_recipe(written(tmp_path, "[plan]\n[search]\nkappa = 0\n"))
    with pytest.raises(VipOfflineError, match=r"\[plan\]: unknown key 'viev'. Did you mean 'view'"):
        load_simulator_recipe(written(tmp_path, '[plan]\nviev = "left"\n'))
    assert load_simulator_recipe(written(tmp_path, dump(recipe))) == recipe


def test_a_key_in_the_wrong_place_is_told_its_table(tmp_path: Path) -> None:
    path = written(tmp_path, 'tasks = ["drawer-close"]\nseeds = 2\n[plan]\n')
    with pytest.raises(VipOfflineError, match=r"unknown key 'seeds'. It belongs to \[plan\]\."):
        load_simulator_recipe(path)


def test_paths_follow_the_name(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, "[train]\ntau = 1\n"))
    assert (recipe.store, recipe.out) == ("datasets/mine.zarr", "runs/mine")
    assert recipe.train == dataclasses.replace(TrainOptions(), tau=1, label="lite0")


def test_options_of_earlier_releases_are_read_where_they_say_what_is_so_now(tmp_path: Path) -> None:
    old = "[record]\ntail = 6\n[train]\nstandardise_scores = false\n"
    assert load_recipe(written(tmp_path, old)).train == load_recipe(written(tmp_path, "")).train
    with pytest.raises(VipOfflineError, match=r"\[record\]: tail = 3: is no option any more"):
        load_recipe(written(tmp_path, "[record]\ntail = 3\n"))


def test_every_arm_sees_what_the_label_saw(tmp_path: Path) -> None:
    (tmp_path / "wide.toml").write_text('[relabel]\nfit = "pad"\n')
    assert load_recipe(tmp_path / "wide.toml").train.fit == "pad"
    (tmp_path / "wide.toml").write_text('[relabel]\nfit = "stretch"\n')
    with pytest.raises(VipOfflineError, match="'crop' or 'pad' or 'squash'"):
        load_recipe(tmp_path / "wide.toml")


def test_dump_reads_back(tmp_path: Path) -> None:
    recipe = load_recipe(
        written(tmp_path, 'out = "a \\"b\\" \\\\c"\n[train]\ntau = "auto"\nhidden = [8, 8]\n')
    )
    assert load_recipe(written(tmp_path, dump(recipe))) == recipe


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[train]\ntao = 1\n", ["mine.toml [train]", "'tao'", "Did you mean 'tau'"]),
        ("[trian]\ntau = 1\n", ["'trian'", "Did you mean 'train'"]),
        ('[train]\ntau = "warm"\n', ["tau = 'warm'", "a number or 'auto'"]),
        ("[train]\nsteps = 1.5\n", ["steps = 1.5", "a whole number"]),
        ("[train]\nsteps = true\n", ["steps = True", "a whole number"]),
        ('[train]\nweight_by = "retrun"\n', ["'retrun'", "'step' or 'n-step' or 'return' or"]),
        ("train = 3\n", ["[train]"]),
        ("[train\n", ["cannot be read as TOML"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    with pytest.raises(VipOfflineError) as caught:
        load_recipe(written(tmp_path, text))
    for part in parts:
        assert part in str(caught.value)


IMPORT = '[import]\nsource = "demos"\nkey_map = ["action=robot.a*"]\nsize = [120, 160]\n'


def test_a_recipe_may_begin_with_an_import(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, IMPORT))
    assert recipe.import_ is not None
    assert (recipe.import_.source, recipe.import_.size) == ("demos", (120, 160))
    assert recipe.import_.options == ImportOptions(key_map=("action=robot.a*",), size=(120, 160))
    resolved = dump(recipe)
    assert "[import]" in resolved and "[record]" not in resolved
    assert load_recipe(written(tmp_path, resolved)) == recipe
    # one without says nothing of imports
    assert "import" not in dump(load_recipe(written(tmp_path, "")))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"{IMPORT}[record]\nepisodes = 3\n", ["both [record] and [import]", "Remove the other"]),
        ("[record]\n[import]\n", ["both [record] and [import]"]),
        ('[import]\nkey_map = ["action=a"]\n', ["[import] has no source", "working directory"]),
        ("[import]\nsource = 3\n", ["[import]: source = 3 is not a text"]),
        ('[import]\nsorce = "x"\n', ["[import]: unknown key 'sorce'", "'source'"]),
        ('[import]\nsource = "x"\nsize = [1]\n', ["size = [1] is not a list of 2 whole numbers"]),
        ('[compare]\narms = "bc"\n', ["'bc' is not a list of texts. Write arms = [\"bc\"]."]),
        ('[import]\nsource = "x"\nsize = [0, 9]\n', ["import.size = [0, 9]: must be at least 1"]),
        ('import = "demos"\n', ["import is a table; write [import]"]),
        ('imports = "demos"\n', ["Did you mean 'import'"]),
    ],
)
def test_mistakes_in_an_import_are_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    with pytest.raises(VipOfflineError) as caught:
        load_recipe(written(tmp_path, text))
    for part in parts:
        assert part in str(caught.value)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "x"', encoding="utf-8-sig")
    assert load_recipe(path).name == "x"


def test_a_missing_recipe_lists_those_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "")
    with pytest.raises(VipOfflineError, match=r"no such recipe.*mine\.toml"):
        load_recipe(tmp_path / "yours.toml")


def test_pretraining_defaults_are_table_2s() -> None:
    options = PretrainOptions()
    assert (options.backbone, options.gamma, options.negatives) == ("vip", 0.98, 3)
    assert (options.learning_rate, options.batch_size) == (1e-4, 32)
    assert (options.l1, options.l2, options.crop) == (0.001, 0.001, True)


def test_a_recipe_for_encoders_says_so_by_its_table(tmp_path: Path) -> None:
    path = written(tmp_path, 'videos = ["v"]\n[pretrain]\nsteps = 7\n')
    recipe = load_pretrain_recipe(path)
    assert recipe is not None
    assert (recipe.out, recipe.folder) == ("runs/mine", "datasets/mine")
    assert recipe.runs() == {"": PretrainOptions(steps=7)}
    again = tmp_path / "again.toml"
    again.write_text(dump(recipe))
    assert load_pretrain_recipe(again) == recipe
    assert load_pretrain_recipe(written(tmp_path, "[train]\ntau = 1\n")) is None


def test_runs_of_several_objectives_and_seeds() -> None:
    options = PretrainOptions(steps=30, seed=5)
    recipe = PretrainRecipe(options, objectives=("vip", "tcn"), seeds=2)
    assert list(recipe.runs()) == ["vip-5", "vip-6", "tcn-5", "tcn-6"]
    assert {run.steps for run in recipe.runs().values()} == {30}
    frames = dataclasses.replace(recipe, equal_frames=True).runs()
    # 30 steps of four frames are 40 of three
    assert (frames["vip-6"].steps, frames["tcn-6"].steps, frames["tcn-6"].seed) == (30, 40, 6)


def test_a_recipe_for_encoders_needs_videos(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="neither videos nor tasks"):
        load_pretrain_recipe(written(tmp_path, "[pretrain]\n"))
