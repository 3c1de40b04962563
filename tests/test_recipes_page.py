import re
from pathlib import Path

RECIPES = Path(__file__).parents[1] / "recipes"


def test_every_recipe_has_one_row_and_every_result_is_there() -> None:
    page = (RECIPES / "README.md").read_text()
    rows = re.findall(r"^\| `([\w.-]+\.toml)` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted(path.name for path in RECIPES.glob("*.toml"))
    for link in re.findall(r"\]\(([^)#]+)\)", page):
        assert (RECIPES / link).exists(), link
