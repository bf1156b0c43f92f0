"""Spectra of the specutils package as spectra of this one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from astropy import units
from astropy.nddata import StdDevUncertainty

from ..errors import BayneError
from ..spectrum import Arm, FloatArray, Frame, Medium, Spectrum, make_arm
from .stated import angstrom, choose_medium, stated_spectrum, text


def from_specutils(spectrum: Any, *, medium: Medium | None = None, frame: Frame | None = None) -> Spectrum:
    """A `specutils.Spectrum`, or a `specutils.SpectrumList` with one element per arm, as a `Spectrum`.

    Parameters
    ----------
    spectrum
        One-dimensional flux on any spectral axis that converts to a wavelength; uncertainty of any type
        that converts to a standard deviation; mask True = bad. Never modified. The dictionary ``meta`` may
        state ``medium``, ``frame``, ``bary_kms``, ``normalized``, ``instrument``, ``id`` and ``star_id``
        (a list: that of its first element), and ``arm``, the name of an element.
    medium
        ``"air"`` or ``"vacuum"``; overrides ``meta``, needed where that does not state it.
    frame
        ``"observed"``, ``"barycentric"`` or ``"rest"``; overrides ``meta``; observed where neither states it.

    Returns
    -------
    Spectrum

    Raises
    ------
    BayneError
        The medium is not stated; the object, its spectral axis or its uncertainty is of another kind.
    """
    parts = [spectrum] if hasattr(spectrum, "spectral_axis") else list(_elements(spectrum))
    if not parts:
        raise BayneError("the list of spectra is empty")
    meta = dict(parts[0].meta or {})
    counts: dict[str, int] = {}
    arms = []
    for number, part in enumerate(parts):
        own = dict(part.meta or {})
        said = choose_medium(medium, own.get("medium"))
        arms.append(_arm(part, said, text(own.get("arm")).replace("/", "-") or str(number), counts))
    origin = {"format": f"specutils.{type(spectrum).__name__}"}
    return stated_spectrum(arms, meta, frame=frame, id="spectrum", provenance=origin, counts=counts)


def _elements(spectrum: Any) -> Iterable[Any]:
    if not isinstance(spectrum, Iterable) or isinstance(spectrum, str | bytes | np.ndarray):
        raise BayneError(f"a {type(spectrum).__name__} is no spectrum; give a bayne.Spectrum or a specutils.Spectrum")
    for part in spectrum:
        if not hasattr(part, "spectral_axis"):
            raise BayneError(f"the list holds a {type(part).__name__}; its elements must be specutils.Spectrum")
        yield part


def _arm(part: Any, medium: Medium, name: str, counts: dict[str, int]) -> Arm:
    flux = np.asarray(part.flux.value, dtype=np.float64)
    if flux.ndim != 1:
        raise BayneError(f"flux has shape {flux.shape}; give one-dimensional spectra, several as a SpectrumList")
    wave = angstrom(part.spectral_axis.value, part.spectral_axis.unit, "spectral axis")
    masked = None if part.mask is None else np.broadcast_to(np.asarray(part.mask, bool), flux.shape)
    return make_arm(
        wave,
        flux,
        counts=counts,
        error=_error(part),
        reasons={} if masked is None else {"masked": masked},
        medium=medium,
        name=name,
    )


def _error(part: Any) -> FloatArray | None:
    if part.uncertainty is None:
        return None
    try:
        spread = part.uncertainty.represent_as(StdDevUncertainty)
    except (TypeError, AttributeError) as error:
        raise BayneError(
            f"uncertainty of type {type(part.uncertainty).__name__}: give StdDevUncertainty, VarianceUncertainty or "
            "InverseVariance"
        ) from error
    own = spread.unit or part.flux.unit
    return np.asarray(units.Quantity(spread.array, own).to_value(part.flux.unit), dtype=np.float64)
