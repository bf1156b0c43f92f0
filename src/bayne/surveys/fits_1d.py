"""One-dimensional FITS spectra with the wavelengths in the header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..spectrum import FloatArray, Frame, Medium, Spectrum, make_arm
from .build import named, origin
from .fits_files import image, keep, number, open_fits, pixels, value
from .registry import Peek, register
from .stated import HARPS_RV, angstrom, choose_medium, stated_spectrum, text, usable_errors, velocity

KEPT = ("OBJECT", "INSTRUME", "TELESCOP", "DATE-OBS", "EXPTIME", "RA", "DEC", "SPECSYS", "AIRORVAC", "CTYPE1", "CUNIT1")

#: Extensions that give errors, by what they hold.
ERRORS = {
    "error": ("ERROR", "ERR", "ERRS", "ERRORS", "SIGMA", "STDDEV", "STD", "UNCERT", "UNCERTAINTY"),
    "ivar": ("IVAR", "INVVAR"),
    "variance": ("VARIANCE", "VAR"),
}


def recognise(peek: Peek) -> bool:
    """The first HDU that holds an image has one axis, and its header gives wavelengths."""
    index = _first(peek.headers)
    return index is not None and _axis(peek.headers[index])


@register("fits-1d", "one-dimensional FITS spectrum, wavelengths in the header", recognise, generic=True)
def read(
    path: Path,
    medium: Medium | None = None,
    frame: Frame | None = None,
    instrument: str | None = None,
    normalized: bool | None = None,
    unit: str | None = None,
    hdu: int | str | None = None,
) -> Spectrum:
    """Read a one-dimensional FITS spectrum with linear or logarithmic wavelengths.

    The unit is that of ``CUNIT1``, and Å where the header has none, which is what IRAF means by it. An
    extension named ERROR, SIGMA, IVAR, VARIANCE or the like gives the errors.

    Parameters
    ----------
    medium
        Needed where neither ``CTYPE1`` (WAVE, AWAV) nor ``AIRORVAC`` states it.
    frame
        Overrides ``SPECSYS``; observed where neither is given.
    instrument, normalized
        See `bayne.read_spectrum`.
    unit
        Overrides ``CUNIT1``.
    hdu
        Number or name of the HDU with the flux, where a file has several; the first image by default.
    """
    with open_fits(path) as hdus:
        index = _first([each.header for each in hdus]) if hdu is None else hdu
        if index is None:
            raise ReadError(f"{path.name} has no image; a one-dimensional spectrum is expected")
        flux = np.squeeze(image(hdus, index, path))
        header = hdus[index].header
        spread = _errors(path, hdus, index)
    if flux.ndim != 1:
        raise ReadError(
            f"{path.name}: the image has {flux.ndim} axes of {flux.shape} pixels, one is expected; "
            "write the orders as a table with the columns order, wavelength, flux and error"
        )
    counts: dict[str, int] = {}
    arm = make_arm(
        angstrom(axis_wavelengths(path, header, flux.size), unit or value(header, "CUNIT1") or "Angstrom", "CUNIT1"),
        flux,
        counts=counts,
        **usable_errors(**spread),
        medium=choose_medium(medium, stated_medium(header)),
    )
    return stated_spectrum(
        [arm],
        {"frame": value(header, "SPECSYS"), "star_id": value(header, "OBJECT")},
        frame=frame,
        normalized=normalized,
        id=named(path, hdu),
        instrument=instrument,
        provenance=origin(path.name, "fits-1d", keep(header, KEPT), **velocity(number(header, HARPS_RV))),
        counts=counts,
    )


def _errors(path: Path, hdus: Any, index: int | str) -> dict[str, FloatArray]:
    """Errors of the flux in an HDU: where a file has several spectra, theirs is the same EXTVER."""
    flux, spread = hdus[index], {}
    others = [i for i, each in enumerate(hdus) if each is not flux and each.ver == flux.ver]
    for kind, known in ERRORS.items():
        found = [i for i in others if hdus[i].name in known]
        if len(found) > 1:
            name = hdus[found[0]].name
            raise ReadError(f"{path.name}: several HDUs {name!r} may be errors of {index!r}; EXTVER should tell")
        if found:
            spread[kind] = np.squeeze(image(hdus, found[0], path))
    return spread


def _first(headers: Any) -> int | None:
    """Index of the first HDU that holds an image."""
    images = (head.get("NAXIS", 0) > 0 and head.get("XTENSION", "IMAGE").strip() == "IMAGE" for head in headers)
    return next((index for index, found in enumerate(images) if found), None)


def _axis(header: Any) -> bool:
    """One axis longer than a pixel, and a start and a step of the wavelengths."""
    long = [axis for axis in range(1, header["NAXIS"] + 1) if header.get(f"NAXIS{axis}", 0) > 1]
    return long == [1] and "CRVAL1" in header and ("CDELT1" in header or "CD1_1" in header)


def axis_wavelengths(path: Path, header: Any, n: int) -> FloatArray:
    """(n,) wavelengths in the header's unit.

    Linear; IRAF's logarithm (DC-FLAG = 1, log10); or that of the FITS standard (WAVE-LOG, AWAV-LOG:
    Greisen et al. 2006, A&A 446, 747, equation 5).
    """
    start = number(header, "CRVAL1")
    step = number(header, "CD1_1") if number(header, "CD1_1") is not None else number(header, "CDELT1")
    if start is None or not step:
        raise ReadError(f"{path.name}: the header gives no wavelengths; CRVAL1 and CDELT1 or CD1_1 are expected")
    offset = pixels(header, n)
    kind = text(value(header, "CTYPE1")).upper()
    if kind.endswith("-LOG") and kind != "LOG-LINEAR":
        return start * np.exp(step * offset / start)
    line = start + step * offset
    logarithmic = value(header, "DC-FLAG") == 1 or kind in ("LOG", "LOG-LINEAR", "LOGLAM")
    if logarithmic and line.max() > 6:
        raise ReadError(f"{path.name}: the header says log10 wavelengths, but CRVAL1 is {start:g}")
    return 10.0**line if logarithmic else line


def stated_medium(header: Any) -> Any:
    """What ``AIRORVAC`` or ``CTYPE1`` (WAVE, AWAV) say of the medium; None where they say nothing."""
    stated = value(header, "AIRORVAC")
    if stated is not None:
        return stated
    kind = text(value(header, "CTYPE1")).upper().split("-")[0]
    return {"WAVE": "vacuum", "AWAV": "air"}.get(kind)
