"""Commands, one per file, each a thin shell over one public function."""

from __future__ import annotations

import typer

from . import compare, compile, crb, demo, evaluate, finetune, fit, grid, info, mock, report, train
from .common import Commands

app = typer.Typer(
    cls=Commands,
    name="bayne",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Posteriors of stellar labels from spectra.\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but the numbers of the star must not be used.",
)
for module in (fit, compare, crb, compile, demo, grid, mock, train, finetune, evaluate, info, report):
    app.command()(getattr(module, module.__name__.rpartition(".")[2]))


def main() -> None:
    """Run the command line."""
    app()
