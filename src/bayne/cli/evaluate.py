"""``bayne evaluate``: how good an emulator is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import Level, Overwrite, Seed, console, refuse_existing, set_up

if TYPE_CHECKING:
    from rich.console import Console

    from ..training import Evaluation


def evaluate(
    emulator: Annotated[str, typer.Argument(help="Name of a packaged emulator, or a folder.", show_default=False)],
    grid: Annotated[Path, typer.Argument(help="Grid file (HDF5).", show_default=False)],
    *,
    derivatives: Annotated[
        Path | None, typer.Option(help="Physical derivatives of a few stars (HDF5).", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Page (.html); the numbers go beside it (.json).", show_default=False),
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Judge an emulator on the test rows of a grid.

    Prints the main numbers; with --output, writes a page with figures, and all numbers as JSON.

    \b
    Example:
      bayne evaluate galah grid.h5 --derivatives derivatives.h5 --output galah.html
    """
    set_up(log_level)
    files = [] if output is None else [output, output.with_suffix(".json")]
    refuse_existing(files, overwrite)
    from rich.console import Console

    from ..emulators import load_emulator
    from ..training import evaluate as judge

    network, out = load_emulator(emulator), console()
    with Console(stderr=True).status("evaluating"):
        found = judge(network, grid, derivatives=derivatives, seed=seed)
    _show(found, out)
    if output is not None:
        from ..files import replacing
        from ..reports import evaluation_page

        evaluation_page(found, output, overwrite=overwrite)
        with replacing(files[1]) as part:
            part.write_text(json.dumps(found.numbers(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        out.print("\n".join(map(str, files)), soft_wrap=True)


def _show(found: Evaluation, out: Console) -> None:
    from rich.table import Table

    from ..labels import pretty

    mae = f"MAE {found.errors.mae:.5f}; that of the mean spectrum is {found.ratio:.1f} times as large"
    out.print(f"{found.card.name}: {mae}", style="bold")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "stars", "MAE", "median\nstar", "worst\nstar", "99.9%", "worst\npixel"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for part, errors in ({"all": found.errors} | found.windows | found.regions).items():
        shown = (errors.mae, errors.median_star_mae, errors.worst_star_mae, errors.p999, errors.worst_pixel)
        table.add_row(part, str(errors.stars), *(f"{value:.5f}" for value in shown))
    out.print(table)
    if found.calibration is not None:
        out.print(f"error model: actual / predicted {found.calibration.ratio:.2f}")
    for star in found.derivatives:
        good = star.measurable & (star.correlation > 0.99)
        worst = int(min(star.measurable.nonzero()[0], key=lambda i: star.correlation[i], default=0))
        out.print(
            f"derivatives, {star.name}: {good.sum()} of {star.measurable.sum()} measurable labels correlate > 0.99, "
            f"least {pretty(found.card.labels[worst])} {star.correlation[worst]:.3f}",
            soft_wrap=True,
        )
    if found.line_tests:
        passed = sum(test.passed for test in found.line_tests)
        out.print(f"lines: {passed} of {len(found.line_tests)} maps answer to their own element's lines (p < 0.01)")
