"""``bayne merge``: a run as one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Level, Overwrite, console, refuse_existing, set_up


def merge(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Table: .fits or .parquet.", show_default=False)],
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Make one table of a run of 'bayne fit-catalog', with the rows of the catalogue in its order.

    \b
    Example:
      bayne merge run --output stars.fits
    """
    set_up(log_level)
    from ..catalog import merge as work
    from ..catalog import open_store

    refuse_existing([output], overwrite)
    path, store = work(folder, output, overwrite=overwrite), open_store(folder)
    ok = sum(not flags for number in store.blocks for flags in store.bad_flags(number))
    out = console()
    out.print(f"{len(store.catalogue)} rows; {ok} stars are ok")
    out.print(str(path), soft_wrap=True)
