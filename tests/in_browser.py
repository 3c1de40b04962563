"""Pages as a real browser shows them."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE = 390  # px, of CSS
# what a reader sees of the frame: sizes of text, and whether the page itself scrolls sideways
MEASURE = """
const page = document.querySelector('iframe').contentDocument;
page.querySelectorAll('details').forEach(details => details.open = true);
const texts = [];
const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.textContent.trim(), holder = walker.currentNode.parentElement;
  if (!text || !holder.getClientRects().length) continue;
  const shape = holder.closest('svg') && holder.closest('text');
  const matrix = shape ? shape.getScreenCTM() : {a: 1, b: 0};
  const scale = Math.hypot(matrix.a, matrix.b);  // also of text that is turned
  texts.push([parseFloat(page.defaultView.getComputedStyle(holder).fontSize) * scale, text]);
}
const figures = [...page.querySelectorAll('svg')].map(svg => svg.getBoundingClientRect().width);
const width = page.documentElement.scrollWidth;
document.body.textContent = JSON.stringify({texts, figures, width});
"""


@dataclass(frozen=True)
class Measured:
    """What a page is like at some width."""

    texts: list[tuple[float, str]]  # px of the font, as rendered, and the text
    figures: list[float]  # px, widths
    width: float  # px that the page takes; more than it has: it scrolls sideways

    @property
    def smallest(self) -> tuple[float, str]:
        return min(self.texts)


def browser() -> str:
    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser_path is None:
        pytest.fail(
            f"none of {', '.join(BROWSERS)} is on PATH, and a page that no browser has opened is "
            "not tested: apt-get install chromium"
        )
    return browser_path


def opened(page: Path, folder: Path) -> tuple[str, list[str]]:
    """What a page becomes in a browser, and what that has to complain of."""
    done = subprocess.run(
        [
            browser(), "--headless=new", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr", "--v=0", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def measured(page: Path, folder: Path, width: int = PHONE) -> Measured:
    """Measure a page in a frame of some width: a browser's own window is never that narrow."""
    source = html.escape(page.read_text(encoding="utf-8"), quote=True)
    style = f"width: {width}px; height: 3000px; border: 0"
    frame = folder / f"frame-{width}.html"
    frame.write_text(
        f'<!doctype html><meta charset="utf-8"><body><iframe style="{style}" srcdoc="{source}" '
        f'onload="measure()"></iframe><script>function measure() {{{MEASURE}}}</script></body>',
        encoding="utf-8",
    )
    dom, _ = opened(frame, folder)
    (body,) = re.findall(r"<body[^>]*>(.*?)</body>", dom, re.DOTALL)
    values: dict[str, Any] = json.loads(html.unescape(body))
    texts = [(float(size), str(text)) for size, text in values["texts"]]
    return Measured(texts, values["figures"], values["width"])
