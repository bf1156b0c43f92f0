"""``bayne validate``: whether a run is complete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Level, console, set_up
from .train import progress


def validate(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    *,
    spectra: Annotated[bool, typer.Option("--spectra", help="Also check that the spectra are unchanged.")] = False,
    log_level: Level = None,
) -> None:
    """Check a run of 'bayne fit-catalog' against its manifest. The exit code is 1 if something is missing or wrong.

    \b
    Examples:
      bayne validate run
      bayne validate run --spectra
    """
    set_up(log_level)
    from ..catalog import validate as work

    with progress("spectra") as tell:
        wrong = work(folder, spectra=spectra, tell=tell)
    console().print("\n".join(wrong) or "all is there", soft_wrap=True)
    if wrong:
        raise typer.Exit(1)
