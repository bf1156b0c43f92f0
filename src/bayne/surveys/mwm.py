"""Spectra of the Milky Way Mapper of SDSS-V (mwmStar, mwmVisit): BOSS and APOGEE, combined or by visit, at rest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..instrument import load_instrument
from ..spectrum import Arm, FloatArray, Spectrum, make_arm
from . import apogee
from .build import bad_bits, origin, stem, with_profile_lsf
from .fits_files import column_names, columns, extension, number, open_fits, value
from .registry import Peek, register
from .stated import scalar, text

#: Names of the extensions: spectrograph and observatory.
EXTENSION = re.compile(r"(BOSS|APOGEE)/(APO|LCO)")

COLUMNS = ("flux", "ivar", "pixel_flags")

#: Columns worth keeping.
KEPT = (
    *("sdss_id", "telescope", "mjd", "min_mjd", "max_mjd", "n_visits", "n_good_visits", "in_stack", "snr", "v_rad"),
    *("e_v_rad", "std_v_rad", "xcsao_v_rad", "spectrum_flags", "zwarning_flags"),
)

#: Bits of BOSS that one exposure is enough to set (astra takes `or_mask`), while the combination does without it.
OF_AN_EXPOSURE = ("FULLREJECT", "COMBINEREJ")


def recognise(peek: Peek) -> bool:
    """Extensions named after spectrograph and observatory, with observed fluxes (files of fits have models alone)."""
    tables = [header for header in peek.headers[1:] if EXTENSION.fullmatch(_name(header))]
    return any("flux" in column_names(header) for header in tables)


@register(
    "mwm", "SDSS-V star (mwmStar, mwmVisit), BOSS or APOGEE; from its data model, not tried on real files", recognise
)
def read(path: Path, hdu: int | str | None = None, visit: int | None = None) -> Spectrum:
    """Read a spectrum of a mwmStar or mwmVisit file.

    The data model is that of the pipeline astra (sdss/astra, versions 0.6 to 0.8): tables BOSS/APO, BOSS/LCO,
    APOGEE/APO and APOGEE/LCO, of which some are empty, with a row for the star or for each of its visits. Wavelengths
    are in vacuum and log-linear: a column, or ``CRVAL`` and ``CDELT`` of the header. Spectra are in the rest frame; a
    visit of BOSS that the combination left out (``in_stack``) may not have been shifted, and its residual velocity
    tells. Pixels with a bad bit of the profile are masked, except for what a single exposure of BOSS is enough to set.

    Parameters
    ----------
    hdu
        Name or number of the table, such as ``"APOGEE/APO"``; needed where several hold spectra.
    visit
        1, 2, ... for the visit in that row of a mwmVisit file; needed where there are several.
    """
    with open_fits(path) as hdus:
        chosen = _choose(hdus, hdu, path)
        header, rows = chosen.header, len(chosen.data)
        index = _row(path, chosen.name, rows, visit)
        names = [name for name in ("wavelength",) if name in column_names(header)]
        row = {key: item[index] for key, item in columns(hdus, chosen.name, (*COLUMNS, *names), path).items()}
        own = {name.lower(): name for name in chosen.columns.names}
        kept = {key: scalar(chosen.data[own[key]][index]) for key in KEPT if key in own}
        star = kept.get("sdss_id") or value(hdus[0].header, "SDSS_ID")
    if any(np.ndim(item) != 1 for item in row.values()):
        raise ReadError(f"{path.name}: a row of {chosen.name} holds no array of pixels")
    flux, ivar = (row[key].astype(np.float64) for key in ("flux", "ivar"))
    wavelength = row["wavelength"].astype(np.float64) if names else _grid(header, flux.size, path)
    counts: dict[str, int] = {}
    instrument = chosen.name.split("/")[0].lower()
    arms = _arms(instrument, wavelength, flux, ivar, row["pixel_flags"], counts)
    return Spectrum(
        arms=arms,
        frame="rest",
        id=f"{stem(path)}-{chosen.name.replace('/', '-')}" + (f"-visit-{visit}" if visit is not None else ""),
        star_id=text(star),
        instrument=instrument,
        provenance=origin(path.name, "mwm", kept, hdu=chosen.name, visit=visit, rows=rows),
        counts=counts,
    )


def _name(header: Any) -> str:
    return text(header.get("EXTNAME")).upper()


def _choose(hdus: Any, wanted: int | str | None, path: Path) -> Any:
    """The table that is wanted, or the only one with spectra."""
    tables = {_name(hdu.header): hdu for hdu in hdus if EXTENSION.fullmatch(_name(hdu.header))}
    full = {name: hdu for name, hdu in tables.items() if hdu.header.get("NAXIS2", 0) > 0}
    if wanted is not None:
        chosen = extension(hdus, wanted, path)
        if _name(chosen.header) not in full:
            held = ", ".join(full) or "no table"
            raise ReadError(f"{path.name}: HDU {wanted!r} has no spectrum; {held} has")
        return chosen
    if len(full) == 1:
        return next(iter(full.values()))
    if not full:
        raise ReadError(f"{path.name} has no spectrum in any of the tables BOSS/APO, BOSS/LCO, APOGEE/APO, APOGEE/LCO")
    raise ReadError(f"{path.name} has spectra in {', '.join(full)}; say which with hdu=")


def _row(path: Path, table: str, rows: int, visit: Any) -> int:
    if visit is None:
        if rows == 1:
            return 0
        raise ReadError(f"{path.name}: {table} has {rows} visits; choose one with visit=1 to {rows}")
    if not isinstance(visit, int) or isinstance(visit, bool) or not 1 <= visit <= rows:
        raise ReadError(f"{path.name}: {table} has no visit {visit!r}; it has visits 1 to {rows}")
    return visit - 1


def _grid(header: Any, n: int, path: Path) -> FloatArray:
    start, step = number(header, "CRVAL"), number(header, "CDELT")
    if start is None or step is None:
        raise ReadError(f"{path.name}: neither a column 'wavelength' nor CRVAL and CDELT say what the pixels are")
    grid: FloatArray = np.power(10.0, start + step * np.arange(n))
    return grid


def _arms(
    instrument: str,
    wavelength: FloatArray,
    flux: FloatArray,
    ivar: FloatArray,
    flags: np.ndarray,
    counts: dict[str, int],
) -> tuple[Arm, ...]:
    if instrument == apogee.INSTRUMENT:
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(ivar == 0, np.inf, np.sign(ivar) * np.abs(ivar) ** -0.5)
        return apogee.chip_arms(wavelength, flux, error, counts, mask=flags)
    profile = load_instrument(instrument)
    reasons = {name: bad for name, bad in bad_bits(profile, flags).items() if name not in OF_AN_EXPOSURE}
    arm = make_arm(wavelength, flux, counts=counts, ivar=ivar, reasons=reasons, name=profile.arms[0].name)
    return with_profile_lsf([arm], instrument)
