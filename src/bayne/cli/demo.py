"""``bayne demo``: the first five minutes."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import Level, Overwrite, Seed, console, refuse_existing, set_up
from .fit import result_files, stop_unless_ok

if TYPE_CHECKING:
    from rich.console import Console

    from ..inference.result import FitResult


def demo(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result and the report.")] = Path(
        "demo"
    ),
    seed: Seed = 0,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Fit the example star (Laplace approximation) and compare with the true labels.

    \b
    Example:
      bayne demo --output demo
    """
    set_up(log_level)
    from ..emulators import load_emulator
    from ..inference import fit_star
    from ..reports import report
    from ..surveys import read_spectrum
    from .summary import show

    out = console()
    examples = files("bayne").joinpath("examples")
    with as_file(examples.joinpath("demo_star.ecsv")) as path:
        star = read_spectrum(path)
    truth = json.loads(examples.joinpath("demo_truth.json").read_text(encoding="utf-8"))
    paths = result_files(output, star.id)
    refuse_existing(list(paths), overwrite)
    output.mkdir(parents=True, exist_ok=True)
    result = fit_star(star, load_emulator("galah"), method="laplace", seed=seed)
    result.save(paths[0], overwrite=overwrite)
    report(result, paths[1], overwrite=overwrite)
    show(result, out)
    out.print()
    compare(result, truth, out)
    out.print(f"\nOpen {paths[1].resolve()} in a browser.", soft_wrap=True)
    stop_unless_ok(result)


def compare(result: FitResult, truth: dict[str, float], console: Console) -> None:
    """Print the true labels beside the fitted ones."""
    from rich.table import Table

    from ..labels import pretty
    from ..reports.figures import decimals

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("label", "truth", "median", "std", "off by"):
        table.add_column(column, justify="left" if column == "label" else "right")
    rows = {str(row["label"]): row for row in result.table}
    for name, value in truth.items():
        if name in rows and rows[name]["std"] > 0:
            median, std = float(rows[name]["median"]), float(rows[name]["std"])
            n = decimals(std)
            off = f"{(median - value) / std:+.1f} σ"
            table.add_row(pretty(name), f"{value:.{n}f}", f"{median:.{n}f}", f"{std:.{n}f}", off)
    console.print(table)
