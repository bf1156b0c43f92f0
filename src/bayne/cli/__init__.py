"""Commands, one per file, each a thin shell over one public function."""

from __future__ import annotations

import typer

from . import (
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
    help="Posteriors of stellar labels from spectra.\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but numbers of a star must not be used.",
)
COMMANDS = (
    fit, fit_catalog, merge, validate, compare, crb, compile, demo, grid, mock, train, finetune, evaluate, info, report,
)  # fmt: skip
for module in COMMANDS:
    app.command()(getattr(module, module.__name__.rpartition(".")[2]))


def main() -> None:
    """Run the command line."""
    app()
