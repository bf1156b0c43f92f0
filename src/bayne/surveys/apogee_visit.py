"""APOGEE visit spectra (apVisit, asVisit): three detectors, native pixels, topocentric vacuum wavelengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ReadError
from ..instrument import load_instrument
from ..spectrum import Spectrum, make_arm
from .apogee import CHIPS, HUGE_ERROR, INSTRUMENT
from .build import bad_bits, origin, with_profile_lsf
from .fits_files import image, keep, number, open_fits, value
from .registry import Peek, register
from .stated import text, velocity

KEPT = (
    *("OBJID", "TELESCOP", "LOCID", "PLATE", "MJD5", "FIBERID", "JD-MID", "EXPTIME", "SNR", "STARFLAG", "V_APRED"),
    *("BC", "VRAD", "VRADERR", "VHELIO", "VSCATTER", "RVTEFF", "RVLOGG", "RVFEH"),
)


def recognise(peek: Peek) -> bool:
    """Primary header of one fibre's visit, then flux, error, mask and wavelength with a row per detector."""
    primary, planes = peek.header(0), [peek.header(i) for i in range(1, 5)]
    return (
        "FIBERID" in primary
        and all(plane.get("NAXIS") == 2 and plane.get("NAXIS2") == 3 for plane in planes)
        and str(planes[3].get("BUNIT", "")).startswith("Wavelen")
    )


@register("apvisit", "APOGEE visit spectrum, three detectors", recognise)
def read(path: Path) -> Spectrum:
    """Read an apVisit file.

    The data model is that of SDSS DR17 (apVisit): HDU 1 flux, 2 error, 3 APOGEE_PIXMASK, 4 vacuum
    wavelengths as observed from the ground. ``BC`` is the barycentric correction: VHELIO = VRAD + BC.
    Pixels with a bad bit of the profile are masked.
    """
    profile = load_instrument(INSTRUMENT)
    with open_fits(path) as hdus:
        header = hdus[0].header
        flux, error, mask, wavelength = (image(hdus, i, path) for i in (1, 2, 3, 4))
    if flux.ndim != 2 or not flux.shape == error.shape == mask.shape == wavelength.shape:
        shapes = ", ".join(str(a.shape) for a in (flux, error, mask, wavelength))
        raise ReadError(f"{path.name}: flux, error, mask and wavelength differ in shape ({shapes})")
    counts: dict[str, int] = {}
    arms = []
    for name, row in zip(CHIPS, np.argsort(wavelength.mean(axis=1)), strict=True):
        reasons = bad_bits(profile, mask[row]) | {"no data": error[row] >= HUGE_ERROR}
        arms.append(make_arm(wavelength[row], flux[row], counts=counts, error=error[row], reasons=reasons, name=name))
    parts = [text(value(header, key)) for key in ("OBJID", "PLATE", "MJD5", "FIBERID")]
    return Spectrum(
        arms=with_profile_lsf(arms, INSTRUMENT),
        frame="observed",
        bary_kms=number(header, "BC"),
        id="-".join(parts) if all(parts) else path.stem,
        star_id=parts[0],
        instrument=INSTRUMENT,
        provenance=origin(path.name, "apvisit", keep(header, KEPT), **velocity(number(header, "VHELIO"))),
        counts=counts,
    )
