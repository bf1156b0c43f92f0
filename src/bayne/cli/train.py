"""``bayne train``: a grid in, an emulator out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import Level, Overwrite, RootSeed, console, refuse_existing, set_up

if TYPE_CHECKING:
    from ..emulators import Emulator

Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="Folder of the emulator, its config.toml and log.jsonl.", show_default=False),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Settings (TOML).")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint in the output folder.")]


def train(
    grid: Annotated[
        Path | None, typer.Argument(help="Grid file (HDF5); omit it for a recipe.", show_default=False)
    ] = None,
    *,
    output: Output,
    network: Annotated[
        str | None,
        typer.Option("--network", "-n", help="Network, unless the configuration names it.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    resume: Resume = False,
    seed: RootSeed = None,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Train an emulator on a grid of spectra.

    A configuration with [[stage]] tables is a recipe: each stage names its grid and continues from the previous one.

    \b
    Examples:
      bayne train grid.h5 --network payne --output my-payne
      bayne train grid.h5 --config payne.toml --output my-payne --resume
      bayne train --config recipe.toml --output my-emulator
    """
    set_up(log_level)
    from ..training import train as work

    prepare(output, resume, overwrite)
    with progress("training") as tell:
        emulator = work(grid, network, config=config, output=output, seed=seed, resume=resume, tell=tell)
    show(emulator, output)


def prepare(output: Path, resume: bool, overwrite: bool) -> None:
    """Refuse to replace an emulator that was not to be replaced."""
    refuse_existing([output / name for name in ("card.json", "weights.safetensors")], overwrite or resume)


@contextmanager
def progress(what: str) -> Iterator[Callable[[float, str], None]]:
    """A bar on a terminal; else lines for the log."""
    from rich.console import Console
    from rich.progress import Progress

    stderr, logger = Console(stderr=True), logging.getLogger("bayne")
    with Progress(console=stderr, disable=not stderr.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=1.0)

        def tell(done: float, text: str) -> None:
            bar.update(task, completed=done, description=text)
            if bar.disable:
                logger.info(text)

        yield tell


def show(emulator: Emulator, output: Path) -> None:
    """Print the errors on the test rows and where the emulator is."""
    from rich.table import Table

    out, errors = console(), emulator.card.held_out_error
    table = Table("error in flux", "test rows", box=None, pad_edge=False, header_style="dim")
    rows = {
        "mean absolute": "mae",
        "median star": "median_star_mae",
        "worst star": "worst_star_mae",
        "root mean square": "rmse",
        "of the mean spectrum": "mae_of_mean",
    }
    for name, key in rows.items():
        table.add_row(name, f"{errors[key]:.5f}")
    out.print(table)
    out.print(str(output), soft_wrap=True)
