"""APOGEE star spectra (apStar, asStar): combinations of visits and the visits themselves, in the rest frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..spectrum import Spectrum
from .apogee import INSTRUMENT, chip_arms
from .build import origin
from .fits_files import image, keep, linear_grid, open_fits, value
from .registry import Peek, register
from .stated import text

KEPT = ("OBJID", "TELESCOP", "LOCID", "NVISITS", "SNR", "STARFLAG", "VHELIO", "VSCATTER", "VERR", "RVTEFF", "RVLOGG")

#: Header keys that end in the number of the visit.
KEPT_PER_VISIT = ("SFILE", "DATE", "JD", "FIBER", "BC", "VRAD", "VHELIO", "SNRVIS", "FLAG")


def recognise(peek: Peek) -> bool:
    """Flux, error and integer mask on one log-linear grid."""
    flux, error, mask = (peek.header(i) for i in (1, 2, 3))
    return (
        "NVISITS" in peek.header(0)
        and all("CRVAL1" in plane and plane.get("NAXIS1", 0) > 8000 for plane in (flux, error))
        and mask.get("NAXIS1") == flux.get("NAXIS1")
        and mask.get("BITPIX", 0) > 0
    )


@register("apstar", "APOGEE combined spectrum with its visits", recognise)
def read(path: Path, visit: int | str | None = None) -> Spectrum:
    """Read one spectrum of an apStar file.

    The data model is that of SDSS DR17 (apStar): HDU 1 flux, 2 error, 3 APOGEE_PIXMASK; row 0 the
    combination with weights per pixel, row 1 that with one weight per visit, then the visits, all in the
    rest frame on one grid in log10 of the vacuum wavelength. A star with one visit has that in row 0, and no other row
    or an empty one.
    Pixels with a bad bit of the profile are masked.

    Parameters
    ----------
    visit
        1, 2, ... for a visit, ``"global"`` for row 1, None for row 0.
    """
    with open_fits(path) as hdus:
        header = hdus[0].header
        flux, error, mask = (np.atleast_2d(image(hdus, i, path)) for i in (1, 2, 3))
        grid = hdus[1].header
    row = _row(path, len(flux), visit)
    counts: dict[str, int] = {}
    arms = chip_arms(
        10.0 ** linear_grid(grid, flux.shape[1]),
        flux[row].astype(np.float64),
        error[row].astype(np.float64),
        counts,
        mask=mask[row],
    )
    kept = keep(header, KEPT)
    number = visit if isinstance(visit, int) else 1 if _visits(len(flux)) == 1 else None
    if number is not None:
        kept |= keep(header, [f"{key}{number}" for key in KEPT_PER_VISIT])
    return Spectrum(
        arms=arms,
        frame="rest",
        id=path.stem if visit is None else f"{path.stem}-visit-{visit}",
        star_id=text(value(header, "OBJID")),
        instrument=INSTRUMENT,
        provenance=origin(path.name, "apstar", kept, visit=visit, visits=_visits(len(flux))),
        counts=counts,
    )


def _visits(rows: int) -> int:
    return max(rows - 2, 1)


def _row(path: Path, rows: int, visit: Any) -> int:
    visits = _visits(rows)
    if visit is None:
        return 0
    if visit == "global" and visits > 1:
        return 1
    if isinstance(visit, int) and not isinstance(visit, bool) and 1 <= visit <= visits:
        return 0 if visits == 1 else visit + 1
    raise ReadError(
        f"{path.name} has no visit {visit!r}; it has visits 1 to {visits}"
        + (", and 'global' for the combination with one weight per visit" if visits > 1 else "")
    )
