"""``bayne crb``: how precisely an exposure can constrain the labels of a star, at best."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import Level, Overwrite, console, number, refuse_existing, set_up, split
from .options import parse_continuum

if TYPE_CHECKING:
    from ..emulators import Emulator
    from ..information import Bounds, Sweep


class Over(StrEnum):
    """What a sweep goes over."""

    snr = "snr"
    resolution = "resolution"
    window = "window"


class Per(StrEnum):
    """What S/N is counted per."""

    pixel = "pixel"
    angstrom = "angstrom"


def crb(
    *,
    emulator: Annotated[str, typer.Option("--emulator", "-e", help="Name of a packaged emulator, or a folder.")] = (
        "galah"
    ),
    instrument: Annotated[str, typer.Option(help="Profile; 'bayne info' lists them.", show_default=False)],
    star: Annotated[str | None, typer.Option(help="sun, k-giant or turn-off.")] = None,
    label: Annotated[
        list[str],
        typer.Option(
            metavar="LABEL=VALUE", help="Label of the star; repeatable.", default_factory=list, show_default=False
        ),
    ],
    snr: Annotated[float, typer.Option(help="S/N at the continuum.")] = 100.0,
    snr_table: Annotated[
        Path | None,
        typer.Option(help="Table from an exposure-time calculator: wavelength (first column, vacuum Å), S/N (second)."),
    ] = None,
    per: Annotated[Per, typer.Option(help="Whether S/N is per pixel or per angstrom.")] = Per.pixel,
    arm: Annotated[
        list[str],
        typer.Option(
            help="Arm of the instrument; repeatable. [default: all]", default_factory=list, show_default=False
        ),
    ],
    resolution: Annotated[float | None, typer.Option(help="R = λ/FWHM that replaces the profile's.")] = None,
    continuum: Annotated[
        str | None, typer.Option(help="Chebyshev order per arm, or 'none' if it is known. [default: the instrument's]")
    ] = None,
    correlation: Annotated[
        float, typer.Option(help="Noise correlation of neighbouring pixels; falls off geometrically.")
    ] = 0.0,
    no_emulator_error: Annotated[
        bool, typer.Option("--no-emulator-error", help="Leave out the emulator's own error.")
    ] = False,
    sweep: Annotated[Over | None, typer.Option(help="Also compute the bounds as a function of this.")] = None,
    target: Annotated[
        float | None, typer.Option(help="Print the S/N at which each element's bound reaches this (dex).")
    ] = None,
    compare_emulators: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="Compare the bounds from two emulators.")
    ] = None,
    derivatives: Annotated[
        Path | None,
        typer.Option(help="Physical derivatives (HDF5): also print bounds from them, for a --star in that file."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Page (.html) with a table beside it (.ecsv), or a table: .ecsv, .csv, .fits."
        ),
    ] = None,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Predict the smallest possible errors of labels for an exposure.

    Cramér-Rao bounds with the model and noise of the fits, joint for all labels, velocity, rotation, LSF scale and
    continuum, including the emulator's error.

    \b
    Examples:
      bayne crb --star sun --instrument hermes --snr 100
      bayne crb --star k-giant --instrument uves --arm 580_lower --sweep snr --target 0.1 --output giant.html
    """
    set_up(log_level)
    if (star is None) == (not label):
        raise typer.BadParameter("give a star, or its labels with --label", param_hint="--star")
    if snr_table is not None and (target is not None or sweep is Over.snr):
        raise typer.BadParameter("a sweep over S/N needs --snr, not a table", param_hint="--snr-table")
    if derivatives is not None and star is None:
        raise typer.BadParameter("name a star of the file with --star", param_hint="--derivatives")
    from ..information.result import FORMATS

    page = output is not None and output.suffix == ".html"
    if output is not None and not page and output.suffix not in FORMATS:
        raise typer.BadParameter(f"end it in .html, {', '.join(FORMATS)}", param_hint="--output")
    files = [] if output is None else [output, output.with_suffix(".ecsv")] if page else [output]
    refuse_existing(files, overwrite)
    from ..emulators import load_emulator
    from ..information import STARS, cramer_rao, prepare_exposure, required_snr
    from ..information import sweep as go_over

    options: dict[str, Any] = {
        "per": per.value, "arms": arm or None, "resolution": resolution, "continuum": parse_continuum(continuum),
        "correlation": correlation, "emulator_error": not no_emulator_error,
    }  # fmt: skip
    given = dict(_label(text) for text in label)
    who: dict[str, float] | str = star if star is not None else given
    noise = snr if snr_table is None else _table(snr_table)
    names = compare_emulators or (emulator,)
    emulators = {name: load_emulator(name) for name in names}
    if derivatives is not None:
        who, emulators["physical"] = _physical(derivatives, str(star), emulators[names[0]])
    found: dict[str, Bounds] = {
        name: cramer_rao(network, instrument, who, noise, **options)  # type: ignore[misc]
        for name, network in emulators.items()
    }
    first = emulators[names[0]]
    swept: Sweep | None = None
    if target is not None or sweep is Over.snr:
        swept = go_over(first, instrument, who, snr, "snr", **options)
    wanted = {} if target is None or swept is None else required_snr(swept, target)
    if sweep not in (None, Over.snr):
        swept = go_over(first, instrument, who, noise, sweep.value, **options)
    _show(found, wanted, target)
    if output is None:
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    if page:
        from ..reports import bounds_page

        values = STARS[who] if isinstance(who, str) else {n: 0.0 for n in first.label_names} | who
        exposure = prepare_exposure(first, instrument, noise, **options)
        level = f"S/N {snr:g} per {per.value}" if snr_table is None else snr_table.name
        bounds_page(
            found,
            output,
            title=f"{star or 'a star'}, {instrument}, {level}",
            information=exposure.information(values),
            gradients=exposure.gradients(values),
            swept=swept if sweep is not None else None,
            overwrite=overwrite,
        )
    found[names[0]].write(files[-1], overwrite)
    console().print("\n".join(map(str, files)), soft_wrap=True)


def _physical(path: Path, star: str, emulator: Emulator) -> tuple[dict[str, float], Emulator]:
    """Labels of a star of a file of derivatives, and the emulator that they make."""
    from ..errors import BayneError, did_you_mean
    from ..training.derivatives import compare_derivatives

    found = {one.name: one for one in compare_derivatives(emulator, path)}
    if star not in found:
        raise BayneError(f"{path} has no star {star!r}. {did_you_mean(star, found)}")
    labels = dict(zip(emulator.label_names, map(float, found[star].labels), strict=True))
    return labels, found[star].as_emulator(emulator)


def _label(text: str) -> tuple[str, float]:
    name, value = split(text, "--label", "teff=5000")
    return name, number(value, "--label", "teff=5000")


def _table(path: Path) -> tuple[Any, Any]:
    """Wavelengths and S/N of the first two columns of a table that astropy can read."""
    import numpy as np
    from astropy.io import ascii
    from astropy.io.ascii import InconsistentTableError

    from ..errors import ReadError

    try:
        found = ascii.read(path)
        columns = [np.ma.filled(found[name].astype(float), np.nan) for name in found.colnames[:2]]
    except (OSError, ValueError, InconsistentTableError) as error:
        raise ReadError(f"{path}: not a readable table of numbers ({error})") from None
    if len(columns) < 2:
        raise ReadError(f"{path}: needs two columns, wavelength (vacuum Å) and S/N")
    if not np.isfinite(columns).all():
        raise ReadError(f"{path}: a cell of the first two columns is empty or not finite")
    return columns[0], columns[1]


def _show(found: dict[str, Bounds], wanted: dict[str, float], target: float | None) -> None:
    from rich.table import Table

    from ..labels import pretty
    from ..reports.figures import decimals
    from .summary import text

    first = next(iter(found.values()))
    grid = Table(box=None, pad_edge=False, header_style="dim")
    titles = ["bound", "with priors"] if len(found) == 1 else list(found)
    for title in ("label", "value", *titles, "unit", *([] if target is None else [f"S/N for {target:g}"])):
        grid.add_column(title, justify="left" if title in ("label", "unit") else "right", no_wrap=True)
    rows = {name: {str(row["label"]): row for row in own.table} for name, own in found.items()}
    for name in (*first.labels, *(n for n in ("rv", "vsini") if n in first.names)):
        row = next(iter(rows.values()))[name]
        n = decimals(float(row["with_prior"]))
        columns = [own[name]["bound"] if name in own else float("nan") for own in rows.values()]
        numbers = ["none" if value == float("inf") else text(value, n) for value in columns]
        cells = [pretty(name), text(row["value"], n), *numbers]
        if len(found) == 1:
            cells.append(text(row["with_prior"], n))
        cells.append(str(row["unit"]))
        if target is not None:
            cells.append(_reached(wanted.get(name)))
        grid.add_row(*cells)
    console().print(grid)


def _reached(snr: float | None) -> str:
    from ..information.sweep import SIGNAL_TO_NOISE

    if snr is None:
        return ""
    first, last = SIGNAL_TO_NOISE[0], SIGNAL_TO_NOISE[-1]
    return f"> {last:.0f}" if snr == float("inf") else f"≤ {snr:.0f}" if snr <= first else f"{snr:.0f}"
