"""Optical spectra of SDSS-I to V (spec files): one table per spectrum, log-linear vacuum wavelengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..instrument import load_instrument
from ..lsf import FWHM_PER_SIGMA, GaussianLSF
from ..spectrum import Spectrum, make_arm
from ..wavelength import C_KMS
from .build import bad_bits, origin, plain
from .fits_files import column_names, exact_grid, keep, number, open_fits, real, records, value
from .registry import Peek, register
from .stated import velocity

KEPT = ("PLATEID", "MJD", "FIBERID", "PLUG_RA", "PLUG_DEC", "EXPTIME", "HELIO_RV", "QUALITY", "VERS2D", "RUN2D")

#: Columns of the table of pipeline results worth keeping.
KEPT_RESULTS = ("CLASS", "SUBCLASS", "Z", "Z_ERR", "ZWARNING", "SN_MEDIAN_ALL", "ELODIE_TEFF", "ELODIE_LOGG")

#: Last night of the spectrographs of SDSS-I and II (July 2009), before they were rebuilt for BOSS.
LAST_SDSS_MJD = 55025

COLUMNS = ("flux", "loglam", "ivar", "and_mask")


def recognise(peek: Peek) -> bool:
    """The first extension is a table with the columns of a spec file."""
    return set(COLUMNS) <= set(column_names(peek.header(1)))


@register("sdss-spec", "SDSS or BOSS optical spectrum", recognise)
def read(path: Path) -> Spectrum:
    """Read a spec file of SDSS DR8 or later.

    Wavelengths are heliocentric and in vacuum. Pixels are masked where a bad bit of the profile is set in
    ``and_mask``, that is in every exposure: ``or_mask`` would also drop pixels that the combination has
    already freed of one bad exposure. ``wdisp`` is the standard deviation of the line-spread function in
    pixels, measured on arc lines and so including the pixel.
    """
    with open_fits(path) as hdus:
        header = hdus[0].header
        data = records(hdus, 1, path)
        results = _results(hdus)
    names = {name.lower(): name for name in data.columns.names}
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ReadError(f"{path.name}: the table in HDU 1 has no column {missing[0]!r}; is it a spec file?")
    column = {
        name: real(data[names[name]], f"{path.name}: column {name!r}") for name in (*COLUMNS, "wdisp") if name in names
    }
    name = _instrument(header, results)
    profile = load_instrument(name)
    wavelength = 10.0 ** exact_grid(column["loglam"], number(header, "COEFF0"), number(header, "COEFF1"))
    width = profile.lsf(profile.arms[0].name, wavelength)
    if "wdisp" in column:
        sigma = column["wdisp"].astype(np.float64)
        known = np.isfinite(sigma) & (sigma > 0)
        own = FWHM_PER_SIGMA * sigma * np.gradient(wavelength)
        width = GaussianLSF(np.where(known, own, width.fwhm), width.scale_sigma)
    counts: dict[str, int] = {}
    arm = make_arm(
        wavelength,
        column["flux"],
        counts=counts,
        ivar=column["ivar"],
        reasons=bad_bits(profile, column["and_mask"]),
        medium="air" if header.get("VACUUM") is False else "vacuum",
        lsf=width,
        name=profile.arms[0].name,
    )
    kept = keep(header, KEPT) | {key: results[key] for key in KEPT_RESULTS if key in results}
    star = results.get("CATALOGID") or results.get("BESTOBJID")
    z, is_star = results.get("Z", np.nan), str(results.get("CLASS")).strip() == "STAR"
    return Spectrum(
        arms=(arm,),
        frame="barycentric",
        id=path.stem,
        star_id=str(star) if star and str(star).strip() != "0" else "",
        instrument=name,
        provenance=origin(path.name, "sdss-spec", kept, **velocity(C_KMS * z if is_star else None)),
        counts=counts,
    )


def _results(hdus: Any) -> dict[str, Any]:
    """First row of the pipeline's results (HDU 2), by upper-case name; empty where there are none."""
    if len(hdus) < 3 or getattr(hdus[2], "columns", None) is None or not len(hdus[2].data):
        return {}
    row = hdus[2].data[0]
    items = {name.upper(): row[name] for name in hdus[2].columns.names}
    items = {name: item.item() if isinstance(item, np.generic) else item for name, item in items.items()}
    return plain({name: item.strip() if isinstance(item, str) else item for name, item in items.items()})


def _instrument(header: Any, results: dict[str, Any]) -> str:
    """Which spectrograph: as the pipeline's results say, else by the date."""
    stated = str(results.get("INSTRUMENT", "")).lower()
    if stated in ("sdss", "boss"):
        return stated
    night = value(header, "MJD")
    return "sdss" if isinstance(night, int | float) and night <= LAST_SDSS_MJD else "boss"
