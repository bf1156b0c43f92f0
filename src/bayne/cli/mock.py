"""``bayne mock``: observations of stars whose labels are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Level, Overwrite, Seed, console, refuse_existing, set_up
from .train import progress


def mock(
    source: Annotated[
        str,
        typer.Argument(help="Emulator (name or folder), grid (.h5), or settings of 'bayne grid' (.toml)."),
    ],
    instrument: Annotated[str, typer.Argument(help="Instrument profile, such as hermes.", show_default=False)],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.", show_default=False)],
    number: Annotated[int, typer.Option(help="Number of stars.")] = 100,
    snr: Annotated[tuple[float, float], typer.Option(help="Lowest and highest S/N per pixel.")] = (20.0, 300.0),
    arm: Annotated[
        list[str] | None, typer.Option("--arm", help="Arm to observe with; repeatable. [default: all]")
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Write FITS files of mock stars, and their true labels beside them.

    \b
    Example:
      bayne mock galah hermes --number 20 --snr 50 100 --output mocks
      bayne fit mocks/mock-000000.fits --emulator galah --method fast
    """
    set_up(log_level)
    from ..information.mock import mock as work

    refuse_existing([output], overwrite)
    with progress("stars") as tell:
        table = work(
            source, instrument, output, number=number, snr=snr, arms=arm, seed=seed, overwrite=overwrite, tell=tell
        )
    out = console()
    out.print(f"{len(table)} stars, their labels in {output / 'truth.ecsv'}", soft_wrap=True)
