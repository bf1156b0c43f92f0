"""What all pages share: the document, and the pieces they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np

from ..files import replacing

#: Cells of a table: class and HTML of each.
Row = Sequence[tuple[str, str]]


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


def picture(address: str, alt: str, kind: str) -> str:
    """An image; `kind` is ``"wide"`` or ``"natural"``."""
    return f'<figure class="{kind}"><img alt="{escape(alt)}" src="{address}"></figure>'


def folded(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """A table of keys and values that opens on a click."""
    body = "".join(f'<tr><td class="left key">{escape(k)}</td><td class="wrap">{escape(v)}</td></tr>' for k, v in rows)
    if not body:
        return ""
    return f'<details><summary>{title}</summary>\n<div class="scroll"><table>{body}</table></div></details>\n'


def breaking(html: str) -> tuple[str, str]:
    """A cell whose text may be broken into lines."""
    return "left", f'<div style="white-space:normal">{html}</div>'


def note(text: str) -> str:
    """A paragraph that explains."""
    return f'<p class="note">{escape(text)}</p>'


def table(head: Sequence[str], rows: Iterable[Row | str]) -> str:
    """Rows of cells (class, HTML); a plain string is the title of a group."""
    body, sides = [], [""] * len(head)
    for row in rows:
        if isinstance(row, str):
            body.append(f'<tr class="group"><td colspan="{len(head)}">{escape(row)}</td></tr>')
        else:
            sides = ["left" if kind == "left" else "" for kind, _ in row]
            body.append("<tr>" + "".join(f'<td class="{kind}">{text}</td>' for kind, text in row) + "</tr>")
    names = "".join(f'<th class="{side}">{escape(name)}</th>' for side, name in zip(sides, head, strict=True))
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
