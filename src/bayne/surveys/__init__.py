"""Readers: files of surveys and of single stars in, `bayne.spectrum.Spectrum` out.

A new format is one file here: a function decorated with `register`, imported below.
"""

from __future__ import annotations

from . import (  # noqa: F401  (importing a reader registers it)
    apogee_npz,
    apogee_visit,
    apstar,
    aspcapstar,
    benchmark,
    desi_coadd,
    echelle_hdf5,
    eso_phase3,
    fits_1d,
    fourmost,
    gaia_rvs,
    galah,
    lamost,
    lamost_mrs,
    mwm,
    sdss_spec,
    table,
    weave,
)
from .objects import from_specutils
from .read import read_spectrum
from .registry import Peek, Reader, format_names, readers, register

__all__ = ["Peek", "Reader", "format_names", "from_specutils", "read_spectrum", "readers", "register"]
