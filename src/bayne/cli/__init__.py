"""Commands, one per file, each a thin shell over one public function."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from . import (
    calibrate,
    compare,
    compile,
    crb,
    demo,
    evaluate,
    finetune,
    fit,
    fit_catalog,
    grid,
    info,
    merge,
    mock,
    report,
    train,
    validate,
)
from .common import Commands

app = typer.Typer(
    cls=Commands,
    name="bayne",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    fit, fit_catalog, merge, validate, compare, crb, calibrate, compile, demo, grid, mock, train, finetune, evaluate,
    info, report,
)  # fmt: skip
for module in COMMANDS:
    app.command()(getattr(module, module.__name__.rpartition(".")[2]))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bayne {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Posteriors of stellar labels from spectra.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but at least one star carries a bad flag.
    """


def main() -> None:
    """Run the command line."""
    app()
