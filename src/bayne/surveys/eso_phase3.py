"""One-dimensional spectra of ESO's archive (phase 3): UVES, HARPS, FEROS, X-shooter, GIRAFFE, ESPRESSO and others."""

from __future__ import annotations

from pathlib import Path

from ..spectrum import Frame, Medium, Spectrum
from .eso import is_spectrum, read_product
from .fourmost import is_fourmost
from .registry import Peek, register


def recognise(peek: Peek) -> bool:
    """One row of arrays that the header calls a spectrum, and not one of 4MOST."""
    return any(map(is_spectrum, peek.headers)) and not is_fourmost(peek)


@register("eso-phase3", "spectrum of ESO's archive (phase 3): UVES, HARPS, FEROS, X-shooter and others", recognise)
def read(
    path: Path,
    medium: Medium | None = None,
    frame: Frame | None = None,
    instrument: str | None = None,
    normalized: bool | None = None,
) -> Spectrum:
    """Read a one-dimensional spectrum of ESO's archive.

    The format is the Science Data Products Standard (ESO-044286), which states the columns (``TUTYP``), the medium
    (``TUCD``), the frame (``SPECSYS``) and the normalisation (``CONTNORM``). Of several fluxes the main one is read,
    with the error and the quality that belong to it; pixels whose quality is not 0 are masked. The line-spread function
    is that of ``SPEC_RES``, its scale free, and else that of the instrument's profile.

    Parameters
    ----------
    medium, frame, instrument, normalized
        Override what the file states.
    """
    return read_product(path, "eso-phase3", medium=medium, frame=frame, instrument=instrument, normalized=normalized)
