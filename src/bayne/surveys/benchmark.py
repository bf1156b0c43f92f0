"""The library of the Gaia FGK benchmark stars: normalised, in air and at rest, 4800 to 6800 Å."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ReadError
from ..lsf import GaussianLSF
from ..spectrum import Frame, Spectrum
from . import fits_1d
from .build import stem
from .fits_files import number, read_headers, value
from .registry import Peek, register
from .stated import text

#: First wavelength, step (Å) and number of pixels of the library.
START, STEP, PIXELS = 4800.0, 0.01, 200_000

#: Å of the units that its files have.
UNITS = {"NM": 10.0, "ANGSTROM": 1.0}

#: The resolving power to which a spectrum was degraded ends the name of its file.
RESOLUTION = re.compile(r"_(\d{4,6})$")


def recognise(peek: Peek) -> bool:
    """What iSpec writes, with the wavelengths of the library."""
    return _is_library(peek.header(0))


@register("gaia-benchmark", "library of the Gaia FGK benchmark stars (Blanco-Cuaresma et al. 2014)", recognise)
def read(
    path: Path, frame: Frame | None = None, instrument: str | None = None, normalized: bool | None = None
) -> Spectrum:
    """Read a spectrum of the library of Blanco-Cuaresma et al. (2014, A&A 566, A98).

    Its headers state unit, medium (air) and wavelengths; the paper, that spectra are normalised and at rest. Errors are
    in the extension SIGMA, where there are any. The resolving power ends the name of the file (``_47000``); spectra as
    the spectrographs have them lack that, and it is for the caller to say. There are several pixels to a resolution
    element, which share their noise.

    Parameters
    ----------
    frame, normalized
        Override this: iSpec writes other spectra with the same header.
    instrument
        Profile that has the line-spread function.
    """
    if not _is_library(read_headers(path)[0]):
        raise ReadError(
            f"{path.name} is not of this library: {PIXELS} pixels of {STEP} Å from {START:.0f} Å, written by "
            "iSpec, are expected; read it with format='fits-1d'"
        )
    spectrum = fits_1d.read(
        path, frame=frame or "rest", instrument=instrument, normalized=True if normalized is None else normalized
    )
    arms = spectrum.arms
    name = RESOLUTION.search(stem(path))
    if name and instrument is None:
        arms = tuple(replace(arm, lsf=GaussianLSF(arm.wavelength / float(name[1]))) for arm in arms)
    return replace(spectrum, arms=arms, id=stem(path), provenance=spectrum.provenance | {"format": "gaia-benchmark"})


def _is_library(header: Any) -> bool:
    """Whether a header has iSpec's name and the wavelengths of the library, in any of its units."""
    scale = UNITS.get(text(value(header, "CUNIT1")).upper())
    start, step = number(header, "CRVAL1"), number(header, "CDELT1")
    if text(value(header, "ORIGIN")) != "iSpec" or scale is None or start is None or step is None:
        return False
    found = abs(scale * start - START) < STEP / 2 and abs(scale * step / STEP - 1) < 1e-6
    return found and text(value(header, "CTYPE1")) == "AWAV" and header.get("NAXIS1") == PIXELS
