"""What all pages share: the document, and the pieces they are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..files import replacing
from .style import png

#: Cells of a table, some with their class. Between rows, a plain string is the title of a group.
Cells = Sequence[object]
Row = Cells | str


class Html(str):
    """A text that is not escaped any more."""


def write(path: str | Path, title: str, body: Iterable[str], overwrite: bool) -> Path:
    """Write a page that needs no other file, by rename; its parts are made only if the file may be written.

    Raises
    ------
    FileExistsError
        The file is there and `overwrite` is False.
    FileNotFoundError
        The folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder")
    css = files("bayne").joinpath("reports", "style.css").read_text(encoding="utf-8")
    with replacing(path, overwrite) as part:
        parts = "\n".join(body)
        page = (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(title)} · Bayne</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n{parts}\n"
            f"<footer>Bayne {escape(version('bayne'))}</footer>\n</main>\n</body>\n</html>\n"
        )
        part.write_text(page, encoding="utf-8")
    return path


def number(value: float, digits: int) -> str:
    """The number with this many decimals and a real minus; empty where it is not finite."""
    text = f"{value:.{digits}f}" if np.isfinite(value) else ""
    return text.removeprefix("-") if not text.strip("-0.") else text.replace("-", "−")


def header(title: str, facts: Mapping[str, str], verdict: tuple[str, str] | None = None) -> str:
    """Title, verdict (class and words) and facts."""
    judged = f'<span class="verdict {verdict[0]}">{verdict[1]}</span>' if verdict else ""
    items = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())
    told = f'<dl class="facts">{items}</dl>\n' if facts else ""
    return f"<header>\n<h1>{escape(title)}</h1>{judged}\n{told}</header>"


def picture(figure: Figure, alt: str, kind: str = "wide", dpi: int = 120) -> str:
    """An image; `kind` is ``"wide"`` or ``"natural"``."""
    return f'<figure class="{kind}"><img alt="{escape(alt)}" src="{png(figure, dpi)}"></figure>'


def section(
    title: str, figure: Figure | None, alt: str, kind: str, words: str = "", otherwise: str = "", dpi: int = 120
) -> str:
    """A figure under its title with a note, or the sentence that says why there is none."""
    if figure is None:
        return f"<h2>{title}</h2>\n{note(otherwise)}" if otherwise else ""
    return f"<h2>{title}</h2>\n{note(words) if words else ''}{picture(figure, alt, kind, dpi)}"


def folded(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """A table of keys and values that opens on a click."""
    body = "".join(f'<tr><td class="left key">{escape(k)}</td><td class="wrap">{escape(v)}</td></tr>' for k, v in rows)
    if not body:
        return ""
    return f'<details><summary>{title}</summary>\n<div class="scroll"><table>{body}</table></div></details>\n'


def breaking(text: str) -> tuple[str, Html]:
    """A cell whose text may be broken into lines."""
    return "left", Html(f'<div style="white-space:normal">{_escaped(text)}</div>')


def tip(text: str, more: str) -> Html:
    """A text that tells more under the pointer."""
    return Html(f'<abbr title="{escape(more)}">{escape(text)}</abbr>')


def note(text: str) -> str:
    """A paragraph that explains."""
    return f'<p class="note">{escape(text)}</p>'


def table(head: Collection[str], rows: Iterable[Row], tips: Mapping[str, str] | None = None) -> str:
    """Rows of cells under titles, some of which tell more; those above a cell of class ``"left"`` stand left."""
    body, sides = "", [""] * len(head)
    for row in rows:
        if isinstance(row, str):
            body += f'<tr class="group"><td colspan="{len(head)}">{escape(row)}</td></tr>'
        else:
            cells = [cell if isinstance(cell, tuple) else ("", cell) for cell in row]
            sides = ["left" if kind == "left" else "" for kind, _ in cells]
            body += "<tr>" + "".join(f'<td class="{kind}">{_escaped(text)}</td>' for kind, text in cells) + "</tr>"
    names = [tip(name, tips[name]) if tips and tips[name] else escape(name) for name in head]
    titles = "".join(f'<th class="{side}">{name}</th>' for side, name in zip(sides, names, strict=True))
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def _escaped(text: object) -> str:
    return text if isinstance(text, Html) else escape(str(text))
