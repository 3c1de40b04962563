"""Put files of the repository that pages link to on the site.

Pages link to them by relative paths, which work on GitHub and in an editor. mkdocs knows the files
of ``docs/`` alone: without this, such a link would need the address of one host.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
SHOWN = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "datasets/*.md",
    "notebooks/*.ipynb",
    "recipes/**/*",
    "vip_offline/encoders/weights/*.md",
)
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)\s#]+)")


@event_priority(100)  # before mkdocs-jupyter looks for notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of the repository under their own paths."""
    for pattern in SHOWN:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and path.suffix != ".pyc":
                name = path.relative_to(ROOT).as_posix()
                files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to where the site has their target: ``docs/`` is its root, beside the others."""
    source = page.file.src_uri
    in_docs = page.file.src_dir == config.docs_dir
    folder = posixpath.dirname(f"docs/{source}" if in_docs else source)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2]))
        place = "index.md" if target == "README.md" else target.removeprefix("docs/")
        return link[1] + posixpath.relpath(place, posixpath.dirname(source) or ".")

    return LINK.sub(moved, markdown)
