"""``bayne grid``: a grid of synthetic spectra."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Level, Overwrite, RootSeed, console, refuse_existing, set_up
from .train import progress


def grid(
    config: Annotated[Path, typer.Argument(help="Settings (TOML).", show_default=False)],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Grid file (HDF5).", show_default=False)],
    seed: RootSeed = None,
    workers: Annotated[int, typer.Option(help="Number of processes.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    append: Annotated[
        bool, typer.Option("--append", help="Extend a finished file to a larger number of spectra.")
    ] = False,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Synthesise spectra from a line list and model atmospheres, for 'bayne train'.

    \b
    Example, with a file grid.toml of these lines:
      synthesiser = "lte"
      linelist = "lines.vald"
      atmospheres = "stagger.npz"
      windows = [[5650, 5870], [6480, 6740]]
      number = 1000
      [labels]
      teff = [4000, 6900]
      logg = [1.4, 5.0]
      fe_h = [-2.5, 0.5]
      vmic = [0.5, 2.5]
      mg_fe = [-0.4, 0.8]
    \b
      bayne grid grid.toml --output grid.h5 --workers 8
    """
    set_up(log_level)
    from ..synthesis.grids import make_grid

    refuse_existing([output], overwrite or append)
    with progress("spectra") as tell:
        path = make_grid(
            config, output, seed=seed, workers=workers, resume=resume, append=append, overwrite=overwrite, tell=tell
        )
    _show(path)


def _show(path: Path) -> None:
    """Print what the file holds."""
    import h5py

    from ..synthesis.grids import failures

    out = console()
    with h5py.File(path) as file:
        failed = failures(file)
        rows, pixels = file["flux"].shape
    out.print(f"{rows} spectra of {pixels} pixels" + (f"; {len(failed)} could not be made" if failed else ""))
    for place, reason in list(failed.items())[:5]:
        out.print(f"  spectrum {place}: {reason}", soft_wrap=True)
    out.print(str(path), soft_wrap=True)
