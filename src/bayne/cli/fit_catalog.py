"""``bayne fit-catalog``: a survey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .common import (
    STAR_FAILED,
    Format,
    FrameOption,
    Level,
    MediumOption,
    Overwrite,
    ReadOptions,
    Seed,
    console,
    reading,
    set_up,
)
from .fit import (
    CardOption,
    Continuum,
    EmulatorOption,
    Fix,
    Free,
    InstrumentOption,
    Method,
    NoEmulatorError,
    NoJitter,
    NoRobust,
    PriorOption,
    Resolution,
    Snr,
    fit_options,
)
from .train import progress


def fit_catalog(
    catalogue: Annotated[
        str,
        typer.Argument(
            help="Table (FITS, Parquet, ECSV) with a row per spectrum, folder, or glob.", show_default=False
        ),
    ],
    *,
    emulator: EmulatorOption,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.", show_default=False)],
    spectra: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="Paths in columns of the table, such as 'spectra/{spectrum_id}.fits'.",
            show_default=False,
        ),
    ] = None,
    card: CardOption = None,
    method: Annotated[Method, typer.Option(help="How the posterior is explored.")] = Method.fast,
    block: Annotated[int, typer.Option(help="Stars that are written, and lost by a kill, together.")] = 16,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Of N processes on the same folder this is number I, from 0.")
    ] = "0/1",
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Dask scheduler whose workers do it: tcp://node:8786.", show_default=False
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder, or begin it.")] = False,
    keep_spectra: Annotated[bool, typer.Option("--keep-spectra", help="Write whole results: draws, spectra.")] = False,
    format: Format = None,
    medium: MediumOption = None,
    frame: FrameOption = None,
    read_options: ReadOptions,
    instrument: InstrumentOption = None,
    resolution: Resolution = None,
    snr: Snr = None,
    free: Free = "rv,vsini",
    fix: Fix,
    prior: PriorOption,
    continuum: Continuum = None,
    no_jitter: NoJitter = False,
    no_robust: NoRobust = False,
    no_emulator_error: NoEmulatorError = False,
    debug: Annotated[bool, typer.Option("--debug", help="Stop at an unexpected error, with its traceback.")] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Fit all spectra of a catalogue.

    Writes blocks of results into a folder, for 'bayne merge'. The exit code is 3 where stars have no result that may be
    used.

    \b
    Examples:
      bayne fit-catalog stars.fits --spectra 'spectra/{spectrum_id}.fits' --emulator galah --output run --resume
      bayne fit-catalog 'mocks/*.fits' --emulator galah --output run
    """  # fmt: skip
    settings = fit_options(
        instrument, resolution, snr, free, fix, prior, continuum, no_jitter, no_robust, no_emulator_error
    )
    part = parse_shard(shard)
    options = reading(format, medium, frame, read_options)
    set_up(log_level)
    from ..catalog import fit_catalog as work
    from ..catalog.store import status_path
    from ..emulators import load_emulator

    with progress("stars") as tell:
        folder = work(
            catalogue, load_emulator(emulator, card), output, spectra=spectra, method=method.value, block=block,
            shard=part, scheduler=scheduler, resume=resume, overwrite=overwrite, keep_spectra=keep_spectra,
            reading=options, debug=debug, seed=seed, tell=tell, **settings,
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
