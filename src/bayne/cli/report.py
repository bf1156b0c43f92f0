"""``bayne report``: a page from a saved result, or from a run over many spectra."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Level, Overwrite, refuse_existing, set_up
from .train import progress


def report(
    result: Annotated[
        Path,
        typer.Argument(help="Saved result (.nc), or folder of 'fit-catalog'.", show_default=False),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Page. [default: beside the result, report.html in the folder]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed for the random stars that the page of a run lists.")] = 0,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Write the HTML report of a saved result, or of a run.

    The page of a run links to those of single stars that are in its folder as pages/<spectrum_id>.html. Those of the
    stars that it lists are written, too, where the run keeps spectra (fit-catalog --keep-spectra).

    \b
    Examples:
      bayne report fits/star.nc --output star.html
      bayne report run
    """
    set_up(log_level)
    from ..inference import load_result
    from ..reports import report as write
    from ..reports import write_catalogue_page

    run = result.is_dir()
    page = output or (result / "report.html" if run else result.with_suffix(".html"))
    refuse_existing([page], overwrite)
    if run:
        with progress("pages of stars") as tell:
            write_catalogue_page(result, page, overwrite=overwrite, seed=seed, tell=tell)
        typer.echo(page)
    else:
        typer.echo(write(load_result(result), page, overwrite=overwrite))
