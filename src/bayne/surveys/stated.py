"""What formats without a survey's conventions must be told: medium, frame, units, instrument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from astropy import units
from numpy.typing import ArrayLike

from ..errors import BayneError
from ..spectrum import Arm, FloatArray, Frame, Medium, Spectrum
from ..wavelength import UNITS, check_plausible
from .build import with_profile_lsf

#: Barycentric velocity of the star in headers of the HARPS pipeline, which writes -99999 for none.
HARPS_RV = "ESO DRS CCF RVC"

#: Faster than any star of the Galaxy (km/s): a header that says so says that nothing was measured.
FASTEST = 2000.0

_MEDIA = {"vacuum": "vacuum", "vac": "vacuum", "air": "air"}
_FRAMES = {
    **{name: name for name in ("observed", "barycentric", "rest")},
    # the names of the FITS standard (Greisen et al. 2006, A&A 446, 747, table 12)
    **{"topocent": "observed", "barycent": "barycentric", "heliocen": "barycentric", "source": "rest"},
}

#: Frames of that table that move by more than the Earth about the Sun, or by what depends on the time of the day.
_OTHER_FRAMES = ("geocentr", "lsrk", "lsrd", "galactoc", "localgrp", "cmbdipol")


def choose_medium(given: str | None, stated: object) -> Medium:
    """The medium of the wavelengths: what the caller says, else what the file states.

    Raises
    ------
    BayneError
        Neither says, or neither word is known. Nothing is guessed: the difference is 83 km/s.
    """
    said = given if given is not None else stated
    if said is None:
        raise BayneError("it does not state whether its wavelengths are in air or vacuum; say medium='air' or 'vacuum'")
    known = _MEDIA.get(str(said).strip().lower())
    if known is None:
        raise BayneError(f"medium {said!r}: say 'vacuum' or 'air'")
    return cast(Medium, known)


def choose_frame(given: str | None, stated: object) -> Frame:
    """The frame of the wavelengths: what the caller says, else what the file states, else observed.

    Raises
    ------
    BayneError
        The caller's word is not known; the file states one of the other frames of the FITS standard.
    """
    if given is not None and given not in ("observed", "barycentric", "rest"):
        raise BayneError(f"frame {given!r}: say 'observed', 'barycentric' or 'rest'")
    said = str(given if given is not None else stated).strip().lower()
    if said in _OTHER_FRAMES:
        raise BayneError(f"frame {stated}: shift the wavelengths to the barycentre, and say frame='barycentric'")
    return cast(Frame, _FRAMES.get(said, "observed"))


def angstrom(wavelength: ArrayLike, unit: object, what: str) -> FloatArray:
    """Wavelengths (or frequencies, energies, wavenumbers) of a unit as Å.

    Parameters
    ----------
    wavelength
        (n,).
    unit
        `astropy.units.Unit` or its name.
    what
        Where the unit comes from, for the message.

    Raises
    ------
    BayneError
        The unit is not known, not one of light, or leads to wavelengths that no stellar spectrum has.
    """
    try:
        scale = UNITS.get(str(unit).strip().lower())
        parsed = units.Unit(str(unit)) if scale is None else scale * units.AA
        value = units.Quantity(np.asarray(wavelength, dtype=np.float64), parsed)
        wave = np.asarray(value.to_value(units.AA, equivalencies=units.spectral()))
    except (ValueError, units.UnitConversionError) as error:
        raise BayneError(f"{what}: {str(unit)!r} is no unit of wavelength; say 'Angstrom', 'nm' or 'um'") from error
    check_plausible(wave, what)
    return wave


def stated_spectrum(
    arms: list[Arm],
    meta: Mapping[str, Any],
    *,
    id: str,
    provenance: dict[str, Any],
    counts: dict[str, int],
    frame: Frame | None = None,
    instrument: str | None = None,
    normalized: bool | None = None,
) -> Spectrum:
    """A spectrum of which the caller, or else its metadata, say what is known.

    Parameters
    ----------
    meta
        May have ``frame``, ``bary_kms``, ``normalized``, ``instrument``, ``id`` and ``star_id``.
    id
        Where the metadata have none.
    arms, provenance, counts, frame, instrument, normalized
        See `Spectrum`; arms without a line-spread function get that of the instrument's profile.

    Raises
    ------
    BayneError
        The frame or the profile is not known, or the correction is no velocity.
    """
    profile = instrument or text(meta.get("instrument"))
    return Spectrum(
        arms=with_profile_lsf(arms, profile),
        frame=choose_frame(frame, meta.get("frame")),
        bary_kms=_correction(meta.get("bary_kms")),
        normalized=bool(meta.get("normalized") if normalized is None else normalized),
        id=text(meta.get("id")) or id,
        star_id=text(meta.get("star_id")),
        instrument=profile,
        provenance=provenance,
        counts=counts,
    )


def _correction(found: Any) -> float | None:
    """A stated barycentric correction in km/s (a number, or a quantity of velocity); None where there is none."""
    if found is None:
        return None
    try:
        kms = float(units.Quantity(found, units.km / units.s).value)
    except (TypeError, ValueError) as error:
        raise BayneError(f"bary_kms {found!r}: give a velocity in km/s") from error
    if not np.isfinite(kms):
        raise BayneError(f"bary_kms {found!r}: leave it out where the correction is unknown")
    return kms


def text(found: Any) -> str:
    """A stated name as text; empty where nothing is stated."""
    return "" if found is None else str(found).strip()


def scalar(item: Any) -> Any:
    """A cell of a table as a plain number, or as text."""
    return item.item() if isinstance(item, np.generic) and item.dtype.kind in "iufb" else text(item)


def usable_errors(
    error: FloatArray | None = None, variance: FloatArray | None = None, ivar: FloatArray | None = None
) -> dict[str, Any]:
    """``error`` or ``ivar`` for `make_arm`, or neither; errors or variances of which none is positive say nothing.

    A negative variance becomes a negative error.
    """
    if error is None and variance is not None:
        error = np.sign(variance) * np.sqrt(np.abs(variance))
    if error is not None and np.any(np.isfinite(error) & (error > 0)):
        return {"error": error}
    return {} if ivar is None else {"ivar": ivar}


def velocity(kms: object) -> dict[str, float]:
    """For the provenance: the barycentric velocity of the star (km/s), where a header states one."""
    found = isinstance(kms, int | float) and abs(kms) < FASTEST
    return {"stated_rv_kms": float(cast(float, kms))} if found else {}
