"""LAMOST medium-resolution spectra: two arms, the combination of the exposures and the exposures themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..spectrum import Spectrum
from .build import origin, stem, with_profile_lsf
from .fits_files import columns, exact_grid, keep, one_row, open_fits, value
from .lamost import is_lamost, motion, survey_arm
from .registry import Peek, register
from .stated import text

INSTRUMENT = "lamost-mrs"

#: Arms, by the letter that names them in the file.
ARMS = {"B": "blue", "R": "red"}

#: What a combination is called, and steps of its grid in log10 of the wavelength.
COADD, STEP = "COADD", 1e-5

KEPT = ("OBSID", "DESIG", "OBJNAME", "DATA_V", "PLANID", "SPID", "FIBERID", "LMJD", "MJD", "SLIT_MOD", "HELIO_RV")

KEPT_PER_ARM = ("DATE-OBS", "LMJM", "EXPTIME", "SNR")


def recognise(peek: Peek) -> bool:
    """LAMOST's header, and a table named after an arm."""
    known = (f"{COADD}_", *(f"{arm}-" for arm in ARMS))
    return is_lamost(peek) and any(name.startswith(known) for name in peek.extensions[1:])


@register("lamost-mrs", "LAMOST medium-resolution spectrum, combined or one exposure", recognise)
def read(path: Path, exposure: int | str | None = None) -> Spectrum:
    """Read the two arms of a LAMOST medium-resolution file.

    The data model is that of the survey's releases since DR6: tables COADD_B and COADD_R of the combinations, and B-n
    and R-n of the exposures, where n is the minute of the observation (LMJM). Wavelengths are in vacuum and
    heliocentric, also those of exposures. Pixels are masked where a bad bit of the profile is set in every exposure.

    Parameters
    ----------
    exposure
        Number of an exposure, such as 83555758; None for the combination.
    """
    with open_fits(path) as hdus:
        header = hdus[0].header
        found = _named(hdus, exposure, path)
        counts: dict[str, int] = {}
        arms, kept = [], {}
        for letter, extension in found.items():
            bits = "andmask" if exposure is None else "pixmask"
            table = columns(hdus, extension, ("flux", "ivar", "loglam", bits), path)
            flux, ivar, loglam, mask = (one_row(column, path) for column in table.values())
            start = None if exposure is not None or not loglam.size else STEP * np.round(float(loglam[0]) / STEP)
            wavelength = 10.0 ** exact_grid(loglam, start, STEP)
            name = ARMS[letter]
            arms.append(survey_arm(INSTRUMENT, name, wavelength, flux, ivar, mask, header, counts))
            kept[name] = keep(hdus[extension].header, KEPT_PER_ARM)
    return Spectrum(
        arms=with_profile_lsf(arms, INSTRUMENT),
        id=stem(path) if exposure is None else f"{stem(path)}-{exposure}",
        star_id=text(value(header, "DESIG")),
        instrument=INSTRUMENT,
        provenance=origin(path.name, "lamost-mrs", keep(header, KEPT), exposure=exposure, arms=kept),
        counts=counts,
        **motion(header),
    )


def _named(hdus: Any, exposure: int | str | None, path: Path) -> dict[str, str]:
    """Extensions to read, by the letter of the arm; the data of one arm may be missing."""
    names = [hdu.name.upper() for hdu in hdus[1:]]
    wanted = {arm: f"{COADD}_{arm}" if exposure is None else f"{arm}-{exposure}" for arm in ARMS}
    found = {arm: name for arm, name in wanted.items() if name in names}
    if not found:
        known = sorted({name[2:] for name in names if name[:2] in ("B-", "R-")})
        what = "no combined spectrum" if exposure is None else f"no exposure {exposure!r}"
        there = f"its exposures are {', '.join(known)}; choose one with exposure=" if known else "nor any exposure"
        raise ReadError(f"{path.name} has {what}; {there}")
    return found
