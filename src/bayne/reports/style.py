"""Colours and small helpers common to the figures of a report."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

# Okabe & Ito: told apart with every kind of colour vision.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
INK, GREY, PALE, FAINT = "#222222", "#8a8a8a", "#bdbdbd", "#f0f0f0"

#: Text sizes and thin lines of all figures; applied while a figure is built and drawn, never globally.
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.titlesize": 9.5,
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.7,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "path.simplify": True,
    "path.simplify_threshold": 0.05,  # in pixels: nothing that can be seen is dropped
}


def png(figure: Figure, dpi: int = 120) -> str:
    """The figure as a ``data:`` address of a PNG, for a page that needs no other file."""
    buffer = BytesIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=dpi)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
