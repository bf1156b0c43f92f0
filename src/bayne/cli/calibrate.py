"""``bayne calibrate``: an emulator that learns from stars with known labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import Level, Overwrite, console, refuse_existing, set_up
from .options import InstrumentOptions, ReadOptions, grouped, parse_continuum, parse_snr
from .train import prepare, progress

if TYPE_CHECKING:
    from astropy.table import Table
    from rich.console import Console

    from ..calibration import Calibrated
    from ..catalog.catalogue import Entry
    from ..spectrum import Spectrum


@grouped
def calibrate(
    emulator: Annotated[str, typer.Argument(help="Name of a packaged emulator, or a folder.", show_default=False)],
    stars: Annotated[
        Path,
        typer.Argument(
            help="Table (ECSV, FITS, Parquet) with one row per spectrum: spectrum_id, path, known labels as "
            "<label>_prior with <label>_prior_error; star_id where a star has several spectra, resolution where they "
            "differ.",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the emulator.", show_default=False)],
    spectra: Annotated[
        str | None, typer.Option(help="Pattern of the paths, such as 'spectra/{spectrum_id}.fits'.")
    ] = None,
    strength: Annotated[float, typer.Option(help="Standard deviation of log gf (dex).")] = 0.15,
    grades: Annotated[
        Path | None,
        typer.Option(help="Graded line list (VizieR, '|'), such as that of Gaia-ESO; instead of --strength."),
    ] = None,
    departures: Annotated[Path | None, typer.Option(help="Departures from LTE (ECSV).")] = None,
    no_labels: Annotated[
        bool, typer.Option("--no-labels", help="Correct what all spectra of a survey share, whatever their labels.")
    ] = False,
    windows: Annotated[
        list[str],
        typer.Option(
            "--window", metavar="LOW-HIGH", help="Use these vacuum Å alone; repeatable.", default_factory=list,
            show_default=False,
        ),
    ],
    reading: ReadOptions,
    instrument: InstrumentOptions,
    snr: Annotated[str | None, typer.Option(help="S/N per pixel of spectra without errors.")] = None,
    continuum: Annotated[
        str | None, typer.Option(help="Chebyshev order per arm, or 'none'. [default: the instrument's]")
    ] = None,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:  # fmt: skip
    """Correct the line strengths of an emulator with spectra of stars whose labels are known.

    Writes the emulator, stars.ecsv (each star measured by what the others teach) and lines.ecsv (the corrections).

    \b
    Examples:
      bayne calibrate galah stars.ecsv --output galah-mine
      bayne calibrate optical-high stars.ecsv --medium air --window 4785-5880 --window 5985-6265 -o optical-mine
      bayne calibrate optical-low survey.fits --no-labels --output optical-lamost
    """
    set_up(log_level)
    from ..calibration import graded_strengths, learn
    from ..catalog.catalogue import read_catalogue
    from ..emulators import load_emulator, save_emulator

    prepare(output, False, overwrite)
    refuse_existing([output / name for name in ("stars.ecsv", "lines.ecsv")], overwrite)
    ranges = [_window(text) for text in windows]
    options: dict[str, Any] = {"windows": ranges} if ranges else {}
    options |= {"instrument": instrument.instrument, "snr": parse_snr(snr), "continuum": parse_continuum(continuum)}
    entries = read_catalogue(stars, spectra)
    observed = [_spectrum(entry, reading, instrument.resolution) for entry in entries]
    known = None if no_labels else [entry.priors for entry in entries]
    original = load_emulator(emulator)
    errors = strength if grades is None else graded_strengths(original, grades)
    with progress("calibrating") as tell:
        made = learn(
            original, observed, known, strength=errors, departures=departures, tell=tell,
            **{name: value for name, value in options.items() if value is not None},
        )  # fmt: skip
    save_emulator(made.emulator, output)
    for name, table in (("stars", made.stars), ("lines", made.lines)):
        table.write(output / f"{name}.ecsv", overwrite=True)
    _show(made, console())
    console().print(str(output), soft_wrap=True)


def _window(text: str) -> tuple[float, float]:
    """``4785-5880`` as a pair."""
    low, dash, high = text.partition("-")
    try:
        found = (float(low), float(high))
    except ValueError:
        dash = ""
    if not dash or not found[0] < found[1]:
        raise typer.BadParameter(f"{text!r} should look like 4785-5880 (vacuum Å)", param_hint="--window")
    return found


def _spectrum(entry: Entry, reading: ReadOptions, resolution: float | None) -> Spectrum:
    """The spectrum of a row, with the identity that the table gives it."""
    from ..surveys import read_spectrum

    spectrum = read_spectrum(entry.path, **reading.arguments() | entry.options)
    own = entry.resolution or resolution
    spectrum = spectrum.with_resolution(own) if own else spectrum
    return replace(spectrum, id=entry.spectrum_id, star_id=entry.star_id)


def _show(made: Calibrated, out: Console) -> None:
    """Print how well each star is measured by what the others teach."""
    from rich.table import Table as RichTable

    from ..labels import pretty

    if not len(made.stars):
        return
    labels = [name for name in ("teff", "logg", "fe_h") if name in made.stars.colnames]
    shown = RichTable("star", *(pretty(name) for name in labels), "", box=None, pad_edge=False, header_style="dim")
    for row in made.stars:
        cells = [f"{_off(row, name, 'before')} -> {_off(row, name, 'after')}" for name in labels]
        shown.add_row(str(row["star"]), *cells, "doubtful labels" if str(row["star"]) in made.doubtful else "")
    out.print("Measured minus known, when the star itself teaches nothing: before -> after")
    out.print(shown)


def _off(row: Table.Row, label: str, when: str) -> str:
    digits = 0 if label == "teff" else 2
    return f"{row[f'{label}_{when}'] - row[label]:+.{digits}f}"
