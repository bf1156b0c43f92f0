"""4MOST spectra of level 1 (L1): one target per file, the arms joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..spectrum import Arm, Frame, Medium, Spectrum
from .eso import is_spectrum, read_product
from .fits_files import column_names
from .registry import Peek, register
from .stated import text

#: Steps of the wavelengths (Å): 0.25 Å at low resolution, finer at high resolution.
COARSE = 0.15


def is_fourmost(peek: Peek) -> bool:
    """ESO's layout, and 4MOST's name in the header or its columns before the subtraction of the sky."""
    named = text(peek.header(0).get("INSTRUME")).upper().startswith(("QMOST", "4MOST"))
    for header in peek.headers:
        if is_spectrum(header) and (named or {"err_flux", "flux_noss"} <= set(column_names(header))):
            return True
    return False


@register("4most-l1", "4MOST spectrum (L1); from its data model, not tried on real files", is_fourmost)
def read(path: Path, medium: Medium | None = None, frame: Frame | None = None) -> Spectrum:
    """Read a 4MOST L1 spectrum.

    The layout is that of ESO's archive (`bayne.surveys.eso_phase3`) with the extension PHASE3SPECTRUM and the columns
    WAVE, FLUX, ERR_FLUX and QUAL, as the consortium's simulations of L1 data have it; of the columns without
    subtraction of the sky nothing is used. Low and high resolution are told apart by the step of the wavelengths.

    Parameters
    ----------
    medium
        Needed where the header does not state it (``TUCD``).
    frame
        Overrides ``SPECSYS``; observed where neither is given.
    """
    return read_product(path, "4most-l1", profile=_profile, medium=medium, frame=frame)


def _profile(arms: Sequence[Arm]) -> str:
    return "4most-lr" if np.median(np.diff(arms[0].wavelength)) > COARSE else "4most-hr"
