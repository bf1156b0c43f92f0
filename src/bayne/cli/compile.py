"""``bayne compile``: an emulator distilled for one instrument."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import Level, Overwrite, Seed, console, set_up
from .train import prepare, progress


def compile(
    emulator: Annotated[str, typer.Argument(help="Name of a packaged emulator, or a folder.", show_default=False)],
    instrument: Annotated[str, typer.Argument(help="Instrument profile, such as hermes.", show_default=False)],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the emulator.", show_default=False)],
    error: Annotated[float, typer.Option(help="Largest mean flux error from truncating the basis.")] = 5e-4,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Distil an emulator into a fast one for the wavelengths of one instrument.

    A distilled emulator is kept in the cache: the second time takes no time.

    \b
    Example:
      bayne compile galah-transformer hermes --output galah-transformer-hermes
    """
    set_up(log_level)
    from ..emulators import load_emulator, save_emulator
    from ..training import compile as work

    prepare(output, False, overwrite)
    with progress("compiling") as tell:
        made = work(load_emulator(emulator), instrument, error=error, seed=seed, tell=tell)
    save_emulator(made, output)
    out, told = console(), made.card.held_out_error
    out.print(
        f"{made.card.name}: {made.wavelength.size} pixels, R = {made.card.resolution:g}; mean absolute difference from "
        f"{emulator} {told['distillation_mae']:.5f}, median star {told['distillation_median_star_mae']:.5f}",
        soft_wrap=True,
    )
    out.print(str(output), soft_wrap=True)
