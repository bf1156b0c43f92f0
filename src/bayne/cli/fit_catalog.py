"""``bayne fit-catalog``: a survey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .common import STAR_FAILED, Level, Overwrite, Seed, console, set_up
from .options import EmulatorOptions, InstrumentOptions, ModelOptions, ReadOptions, SamplerOptions, grouped
from .train import progress


@grouped
def fit_catalog(
    catalogue: Annotated[
        str,
        typer.Argument(
            help="Table (FITS, Parquet, ECSV) with a row per spectrum, folder, or glob.", show_default=False
        ),
    ],
    *,
    emulator: EmulatorOptions,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.", show_default=False)],
    spectra: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="Path pattern in columns of the table, such as 'spectra/{spectrum_id}.fits'.",
            show_default=False,
        ),
    ] = None,
    block: Annotated[int, typer.Option(help="Stars per block; a kill loses at most the blocks in progress.")] = 16,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="This is process I (from 0) of N on the same folder.")
    ] = "0/1",
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Dask scheduler whose workers run the fits: tcp://node:8786.", show_default=False
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the folder, or start it.")] = False,
    keep_spectra: Annotated[bool, typer.Option("--keep-spectra", help="Keep whole results: draws, spectra.")] = False,
    reading: ReadOptions,
    instrument: InstrumentOptions,
    model: ModelOptions,
    sampler: SamplerOptions,
    debug: Annotated[bool, typer.Option("--debug", help="Stop at an unexpected error, with its traceback.")] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Fit all spectra of a catalogue.

    Writes blocks of results into a folder, for 'bayne merge'. The exit code is 3 if at least one star
    carries a bad flag.

    \b
    Examples:
      bayne fit-catalog stars.fits --spectra 'spectra/{spectrum_id}.fits' --emulator galah --output run --resume
      bayne fit-catalog 'mocks/*.fits' --emulator galah --output run
    """  # fmt: skip
    options = instrument.arguments() | model.arguments() | sampler.arguments()
    part = parse_shard(shard)
    set_up(log_level)
    from ..catalog import fit_catalog as work
    from ..catalog.store import status_path

    with progress("stars") as tell:
        folder = work(
            catalogue, emulator.load(), output, spectra=spectra, block=block, shard=part, scheduler=scheduler,
            resume=resume, overwrite=overwrite, keep_spectra=keep_spectra, reading=reading.arguments(), debug=debug,
            seed=seed, tell=tell, **options,
        )  # fmt: skip
    status = json.loads(status_path(folder, part).read_text(encoding="utf-8"))
    bad = ", ".join(f"{count} {name}" for name, count in status["failures"].items())
    out = console()
    out.print(f"{status['done']} stars" + (f", {status['failed']} must not be used: {bad}" if bad else ""))
    out.print(str(folder), soft_wrap=True)
    if status["failed"]:
        raise typer.Exit(STAR_FAILED)


def parse_shard(text: str) -> tuple[int, int]:
    """``2/8`` as a pair."""
    first, slash, last = text.partition("/")
    if not (slash and first.isdigit() and last.isdigit()):
        raise typer.BadParameter(f"{text!r} should look like 0/8", param_hint="--shard")
    return int(first), int(last)
