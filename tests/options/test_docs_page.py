import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_options_is_the_code_s() -> None:
    page = runpy.run_path(str(DOCS / "options.py"))["page"]
    assert (DOCS / "options.md").read_text() == page(), "run `python docs/options.py`"
