"""``bayne fit``: one star."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import STAR_FAILED, Level, Overwrite, Seed, console, refuse_existing, set_up
from .options import EmulatorOptions, InstrumentOptions, ModelOptions, ReadOptions, SamplerOptions, grouped

if TYPE_CHECKING:
    from ..inference.result import FitResult


@grouped
def fit(
    spectrum: Annotated[Path, typer.Argument(help="Spectrum file.", show_default=False)],
    *,
    emulator: EmulatorOptions,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the two files.")] = Path("."),
    reading: ReadOptions,
    instrument: InstrumentOptions,
    model: ModelOptions,
    sampler: SamplerOptions,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Fit one star.

    Writes the result as <id>.nc and a report as <id>.html.

    \b
    Examples:
      bayne fit star.fits --output fits
      bayne fit star.fits --emulator galah --output fits
      bayne fit hd122563.fits -e my-emulator/ --medium air --frame rest --resolution 35000 --prior teff=4600,100
    """
    options = instrument.arguments() | model.arguments() | sampler.arguments()
    set_up(log_level)
    from ..inference import fit_star
    from ..reports import report
    from .summary import show

    out = console()
    clock = time.perf_counter()
    star = reading.spectrum(spectrum)
    network = emulator.load() if emulator.emulator else None
    read = time.perf_counter() - clock
    files = result_files(output, star.id)
    refuse_existing(list(files), overwrite)
    output.mkdir(parents=True, exist_ok=True)
    clock = time.perf_counter()
    result = fit_star(star, network, seed=seed, **options)
    fitted = time.perf_counter() - clock
    result.save(files[0], overwrite=overwrite)
    report(result, files[1], overwrite=overwrite)
    show(result, out)
    if network is None:
        out.print(f"emulator {result.provenance['emulator']['name']}, which suits the wavelengths and the resolution")
    out.print(f"read {read:.1f} s, compiled and fitted {fitted:.1f} s")
    out.print(f"{files[0]}\n{files[1]}", soft_wrap=True)
    stop_unless_ok(result)


def stop_unless_ok(result: FitResult) -> None:
    """Leave with the exit code for a star whose numbers must not be used."""
    if not result.ok:
        raise typer.Exit(STAR_FAILED)


def result_files(folder: Path, id: str) -> tuple[Path, Path]:
    """Result and report of a star; what a file name cannot hold becomes an underscore."""
    name = re.sub(r"[^\w.+-]+", "_", id).lstrip(".") or "star"
    return folder / f"{name}.nc", folder / f"{name}.html"
