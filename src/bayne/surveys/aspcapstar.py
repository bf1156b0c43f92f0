"""APOGEE spectra as ASPCAP fitted them (aspcapStar): pseudo-continuum normalised, rest frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..spectrum import Spectrum
from .apogee import INSTRUMENT, chip_arms
from .build import origin
from .fits_files import image, keep, linear_grid, open_fits, value
from .registry import Peek, register
from .stated import text

KEPT = ("OBJID", "TELESCOP", "LOCID", "NVISITS", "SNR", "STARFLAG", "VHELIO", "VSCATTER", "ASPCAPFL")


def recognise(peek: Peek) -> bool:
    """Spectrum, error and best fit, all floating point, on one log-linear grid."""
    planes = [peek.header(i) for i in (1, 2, 3)]
    return all(
        "CRVAL1" in plane and plane.get("NAXIS1", 0) > 7000 and plane.get("BITPIX", 0) < 0 for plane in planes
    ) and any(header.get("XTENSION") == "BINTABLE" for header in peek.headers[4:5])


@register("aspcapstar", "APOGEE spectrum normalised by ASPCAP", recognise)
def read(path: Path) -> Spectrum:
    """Read an aspcapStar file.

    The data model is that of SDSS DR17 (aspcapStar): HDU 1 normalised spectrum, 2 error, 3 best fit. It has
    no mask: bad pixels have errors so large that they weigh nothing, and those without data are masked.
    """
    with open_fits(path) as hdus:
        header = hdus[0].header
        flux, error = (np.ravel(image(hdus, i, path)).astype(np.float64) for i in (1, 2))
        grid = hdus[1].header
    counts: dict[str, int] = {}
    return Spectrum(
        arms=chip_arms(10.0 ** linear_grid(grid, flux.size), flux, error, counts),
        frame="rest",
        normalized=True,
        id=path.stem,
        star_id=text(value(header, "OBJID")),
        instrument=INSTRUMENT,
        provenance=origin(path.name, "aspcapstar", keep(header, KEPT)),
        counts=counts,
    )
