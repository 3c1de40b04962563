"""Pages from the templates beside this file, by Jinja2, which escapes whatever it prints.

A page is one file that needs nothing else: no network, no script, no font.
"""

import base64
import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from vip_offline.report.figures.comparison import FIGURE_WIDTH, svg

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vip_offline.report.html"),
        autoescape=True,
        undefined=StrictUndefined,  # a value that is missing is an error, not an empty place
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["jpeg"] = jpeg_url
    return environment


def render(template: str, **values: Any) -> str:
    """Fill a template.

    Args:
        template: name of a file in ``templates/``.
        values: what it prints. Text is escaped; a `Markup`, such as of `drawn`, is not.

    Raises:
        jinja2.UndefinedError: if the template asks for a value that is not there.
    """
    return _environment().get_template(template).render(**values)


def drawn(
    draw: Callable[[Axes], None], height: float, label: str, width: float = FIGURE_WIDTH
) -> "Markup":
    """Return a figure as an ``<svg>`` element, in a box that scrolls, which templates print as is.

    Args:
        draw: called with an empty Axes.
        height: inches.
        label: what the figure shows, for those who cannot see it. Escaped here.
        width: inches.
    """
    from markupsafe import Markup

    return Markup(f'<div class="figure">{svg(draw, height, label, width)}</div>')


def jpeg_url(pixels: NDArray[np.uint8]) -> str:
    """(H, W, 3) RGB -> a ``data:`` URL that holds the picture itself."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
