"""``bayne report``: a page from a saved result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Level, Overwrite, refuse_existing, set_up


def report(
    result: Annotated[Path, typer.Argument(help="File that a fit saved (.nc).", show_default=False)],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Page. [default: beside the result]")] = None,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Write the HTML report of a saved result.

    \b
    Example:
      bayne report fits/star.nc --output star.html
    """
    set_up(log_level)
    from ..inference import load_result
    from ..report import report as write

    page = output or result.with_suffix(".html")
    refuse_existing([page], overwrite)
    typer.echo(write(load_result(result), page, overwrite=overwrite))
