"""A fit in a few lines of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from ..flags import Flag
from ..labels import pretty
from ..reports.figures import decimals

if TYPE_CHECKING:
    from rich.console import Console

    from ..inference.result import FitResult


def text(value: float, digits: int) -> str:
    """The number, or a dash where it is not finite."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def show(result: FitResult, console: Console) -> None:
    """Print verdict, labels and flags."""
    verdict = "ok" if not result.flags else ("ok, with warnings" if result.ok else "BAD: do not use as it is")
    console.print(f"{result.id}: {verdict} ({result.method})", style="bold")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("label", "median", "-", "+", "unit", "std", "bound", "R-hat", "notes"):
        left = name in ("label", "unit", "notes")
        table.add_column(name, justify="left" if left else "right", no_wrap=name != "notes")
    for row in result.table:
        name = str(row["label"])
        if name in result.names and name not in result.label_names:
            continue  # nuisances are in the report
        n = decimals(float(row["std"]))
        fixed, limit = name in result.fixed, np.isfinite(row["upper_95"])
        flags = Flag(int(row["flag"])).names
        value = f"{row['median']:g}" if fixed else f"< {row['upper_95']:.{n}f}" if limit else text(row["median"], n)
        table.add_row(
            pretty(name),
            value,
            "" if fixed or limit else text(row["median"] - row["q16"], n),
            "" if fixed or limit else text(row["q84"] - row["median"], n),
            str(row["unit"]),
            "" if fixed else text(row["std"], n),
            "none" if np.isinf(row["crb"]) else ("" if fixed else text(row["crb"], n)),
            text(row["rhat"], 3) if np.isfinite(row["rhat"]) else "",
            "fixed" if fixed else ", ".join(flag.lower().replace("_", " ") for flag in flags),
        )
    console.print(table)
    for bit in Flag:
        if bit in result.flags:
            mark, style = ("BAD ", "bold red") if bit.bad else ("note", "yellow")
            console.print(f"{mark} {bit.sentences()[0]}", style=style, soft_wrap=True)
    for message in result.messages:
        console.print(f"     {message}", soft_wrap=True)
