"""LAMOST low-resolution spectra: one star per file, an image of five rows until DR7 and a table since then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..instrument import load_instrument
from ..spectrum import Arm, FloatArray, Frame, Medium, Spectrum, make_arm
from ..wavelength import C_KMS, check_plausible
from .build import bad_bits, origin, stem, with_profile_lsf
from .fits_files import columns, exact_grid, image, keep, number, one_row, open_fits, value
from .registry import Peek, register
from .stated import text, velocity

INSTRUMENT = "lamost"

#: The pipeline joins blue and red where the two arms overlap (5700 to 5900 Å). They are apart here, since they differ
#: in resolution and in their continuum.
JOIN = 5800.0

#: Names of the arms, and which pixels they have by their wavelength (Å).
SIDES = {"blue": (0.0, JOIN), "red": (JOIN, np.inf)}

KEPT = (
    *("OBSID", "DESIG", "OBJNAME", "DATA_V", "PLANID", "SPID", "FIBERID", "LMJD", "MJD", "EXPTIME", "SLIT_MOD"),
    *("HELIO_RV", "CLASS", "SUBCLASS", "Z", "Z_ERR", "ZFLAG", "SNRU", "SNRG", "SNRR", "SNRI", "SNRZ", "SN_G", "SN_I"),
)

COLUMNS = ("flux", "ivar", "wavelength", "andmask")

#: Stored wavelengths and those of the header differ by this at most (km/s): the header rounds.
ROUNDING = 10.0


def is_lamost(peek: Peek) -> bool:
    """Whether the primary header is one of LAMOST."""
    return text(peek.header(0).get("TELESCOP")).upper() == "LAMOST"


def recognise(peek: Peek) -> bool:
    """LAMOST's header with an image of five rows, or with the table of DR8."""
    primary = peek.header(0)
    five_rows = primary.get("NAXIS") == 2 and primary.get("NAXIS2") == 5
    return is_lamost(peek) and (five_rows or "COADD" in peek.extensions)


@register("lamost-lrs", "LAMOST low-resolution spectrum, all data releases", recognise)
def read(path: Path) -> Spectrum:
    """Read a LAMOST low-resolution spectrum.

    The data model is that of the survey's releases (dr1.lamost.org to dr10.lamost.org): flux, inverse variance,
    wavelength, and-mask and or-mask, as rows of the primary image, or as columns of the table COADD. In DR1 the third
    row is no wavelength. Wavelengths are in vacuum and heliocentric, log-linear with ``COEFF0`` and ``COEFF1``, unless
    ``VACUUM`` or ``HELIO`` say otherwise. Pixels with a bad bit of the profile in the and-mask are masked: they are
    bad in every exposure. The pipeline's redshift is kept where it is that of a star.
    """
    with open_fits(path) as hdus:
        header = hdus[0].header
        flux, ivar, stored, mask = _image(hdus, path) if value(header, "NAXIS") == 2 else _table(hdus, path)
    wavelength = _wavelength(header, stored, flux.size, path)
    counts: dict[str, int] = {}
    arms = []
    for name, (low, high) in SIDES.items():
        part = (wavelength >= low) & (wavelength < high)
        if part.sum() > 1:
            arms.append(
                survey_arm(INSTRUMENT, name, wavelength[part], flux[part], ivar[part], mask[part], header, counts)
            )
    if not arms:
        raise ReadError(f"{path.name}: none of its {flux.size} pixels has a wavelength")
    z = number(header, "Z") if text(value(header, "CLASS")).upper() == "STAR" else None
    return Spectrum(
        arms=with_profile_lsf(arms, INSTRUMENT),
        id=stem(path),
        star_id=text(value(header, "DESIG")),
        instrument=INSTRUMENT,
        provenance=origin(path.name, "lamost-lrs", keep(header, KEPT), **velocity(None if z is None else C_KMS * z)),
        counts=counts,
        **motion(header),
    )


def survey_arm(
    instrument: str,
    name: str,
    wavelength: FloatArray,
    flux: FloatArray,
    ivar: FloatArray,
    mask: np.ndarray,
    header: Any,
    counts: dict[str, int],
) -> Arm:
    """An arm with the survey's mask bits, in the medium that the header states.

    Parameters
    ----------
    instrument, name
        Of the profile that names the bits; of the arm.
    wavelength, flux, ivar, mask
        (n,) Å, and as in the file.
    header
        The primary header.
    counts
        Pixels masked so far, by reason; added to.

    Raises
    ------
    BayneError
        The wavelengths are not those of a star.
    """
    check_plausible(wavelength, f"arm {name!r}")
    medium: Medium = "air" if header.get("VACUUM") is False else "vacuum"
    reasons = bad_bits(load_instrument(instrument), mask)
    return make_arm(wavelength, flux, counts=counts, ivar=ivar, reasons=reasons, medium=medium, name=name)


def motion(header: Any) -> dict[str, Any]:
    """``frame`` and ``bary_kms`` of a spectrum: heliocentric unless ``HELIO`` denies it.

    ``HELIO_RV`` is the velocity of the Earth away from the star: the negative of the correction.
    """
    if header.get("HELIO") is not False:
        return {"frame": "barycentric"}
    frame: Frame = "observed"
    away = number(header, "HELIO_RV")
    return {"frame": frame, "bary_kms": None if away is None else -away}


def _image(hdus: Any, path: Path) -> tuple[FloatArray, FloatArray, FloatArray | None, np.ndarray]:
    rows = image(hdus, 0, path).astype(np.float64)
    if rows.ndim != 2 or len(rows) != 5:
        raise ReadError(f"{path.name}: the image has the shape {rows.shape}; five rows of pixels are expected")
    named = "wavelength" in text(value(hdus[0].header, "EXTEN0")).lower()
    return rows[0], rows[1], rows[2] if named else None, rows[3]


def _table(hdus: Any, path: Path) -> tuple[FloatArray, FloatArray, FloatArray | None, np.ndarray]:
    column = {
        key: one_row(item, path).astype(np.float64) for key, item in columns(hdus, "COADD", COLUMNS, path).items()
    }
    return column["flux"], column["ivar"], column["wavelength"], column["andmask"]


def _wavelength(header: Any, stored: FloatArray | None, n: int, path: Path) -> FloatArray:
    """(n,) Å. The header's grid is exact, but what is stored decides where the header was rounded."""
    start, step = number(header, "COEFF0"), number(header, "COEFF1")
    if start is None or step is None:
        if stored is None:
            raise ReadError(f"{path.name}: neither COEFF0 and COEFF1 nor a row of wavelengths say what its pixels are")
        return stored
    grid: FloatArray = np.power(10.0, start + step * np.arange(n))
    if stored is None:
        return grid
    if not np.all(C_KMS * np.abs(stored / grid - 1) < ROUNDING):
        raise ReadError(
            f"{path.name}: its wavelengths, from {stored[0]:.6g} to {stored[-1]:.6g}, are not those of COEFF0 and "
            f"COEFF1, {grid[0]:.6g} to {grid[-1]:.6g} Å; the file is damaged or in another unit"
        )
    exact: FloatArray = np.power(10.0, exact_grid(np.log10(stored), start, step))
    return exact
