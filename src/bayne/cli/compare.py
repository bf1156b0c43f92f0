"""``bayne compare``: the same stars with several emulators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import STAR_FAILED, Level, Overwrite, Seed, console, refuse_existing, set_up
from .options import InstrumentOptions, ReadOptions, SamplerOptions, grouped

if TYPE_CHECKING:
    from astropy.table import Column, Table
    from rich.console import Console


@grouped
def compare(
    spectra: Annotated[list[Path], typer.Argument(help="Spectrum files.", show_default=False)],
    *,
    emulator: Annotated[
        list[str],
        typer.Option(
            "--emulator", "-e", help="Name of a packaged emulator, or a folder; repeatable.", show_default=False
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Page (.html); the table goes beside it (.ecsv).", show_default=False)
    ],
    classical: Annotated[
        str | None,
        typer.Option(help="An emulator to fit by classical least squares as well.", show_default=False),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Table with one row per spectrum and a column per known label.", show_default=False),
    ] = None,
    reading: ReadOptions,
    instrument: InstrumentOptions,
    sampler: SamplerOptions,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Fit the same stars with several emulators.

    Prints a summary; writes a page with differences per label, and the same numbers as a table. The exit code is 3
    if one of the emulators gives no result for a star.

    \b
    Example:
      bayne compare star*.fits -e galah -e galah-payne --classical galah-payne --output compare.html
    """
    set_up(log_level)
    files = [output, output.with_suffix(".ecsv")]
    refuse_existing(files, overwrite)
    from ..emulators import load_emulator
    from ..inference import compare as work
    from ..reports import comparison_page

    stars = [reading.spectrum(path) for path in spectra]
    emulators = {name: load_emulator(name) for name in emulator}
    known = None if truth is None else _truth(truth)
    found = work(
        stars, emulators, truth=known, classical=classical, seed=seed, **instrument.arguments(), **sampler.arguments()
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    comparison_page(found, output, overwrite=overwrite)
    found.table.write(files[1], format="ascii.ecsv", overwrite=True)
    out = console()
    _show(found.summary, out)
    out.print("\n".join(map(str, files)), soft_wrap=True)
    if found.summary["stars"].min() < len(found.ids):
        raise typer.Exit(STAR_FAILED)


def _truth(path: Path) -> dict[str, Column]:
    from astropy.io.registry import IORegistryError
    from astropy.table import Table

    from ..errors import ReadError

    try:
        found = Table.read(path)
    except (OSError, ValueError, IORegistryError) as error:
        raise ReadError(f"{path}: not a readable table ({error})") from None
    return {str(name): found[name] for name in found.colnames if name != "id"}


def _show(summary: Table, out: Console) -> None:
    from rich.table import Table as Grid

    grid = Grid(box=None, pad_edge=False, header_style="dim")
    for name in ("", "stars", "ok", "chi²", "s per star", "rms pull"):
        grid.add_column(name, justify="right" if name else "left", no_wrap=True)
    for row in summary:
        numbers = ("" if value != value else f"{value:.2f}" for value in row["chi2", "seconds", "rms_pull"])
        grid.add_row(str(row["emulator"]), str(row["stars"]), str(row["ok"]), *numbers)
    out.print(grid)
