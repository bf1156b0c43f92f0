"""``bayne finetune``: a trained emulator, trained further on another grid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Level, Overwrite, RootSeed, set_up
from .train import ConfigOption, Output, Resume, prepare, progress, show


def finetune(
    emulator: Annotated[str, typer.Argument(help="Name of a packaged emulator, or a folder.", show_default=False)],
    grid: Annotated[Path, typer.Argument(help="Grid file (HDF5).", show_default=False)],
    *,
    output: Output,
    config: ConfigOption = None,
    resume: Resume = False,
    seed: RootSeed = None,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Train an emulator further, on a grid with the same labels and wavelengths.

    \b
    Examples:
      bayne finetune my-payne/ better.h5 --output better-payne
      bayne finetune my-payne/ better.h5 --config finetune.toml --output better-payne
    """
    set_up(log_level)
    from ..training import finetune as work

    prepare(output, resume, overwrite)
    with progress("fine-tuning") as tell:
        trained = work(emulator, grid, config=config, output=output, seed=seed, resume=resume, tell=tell)
    show(trained, output)
