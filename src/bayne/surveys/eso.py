"""What ESO's archive says of the columns and the headers of its one-dimensional spectra.

ESO Science Data Products Standard (ESO-044286): one row of arrays; ``TUTYPn`` states what a column is, ``TUCDn`` of the
wavelengths whether they are in air, and the primary header the frame, the resolving power and the normalisation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..instrument import instrument_names
from ..lsf import GaussianLSF
from ..spectrum import Arm, Frame, Medium, Spectrum, make_arms
from .build import BoolArray, origin, stem
from .fits_files import column_names, columns, keep, number, one_row, open_fits, value
from .stated import HARPS_RV, angstrom, choose_medium, stated_spectrum, text, usable_errors, velocity

#: Names of the extension with the spectrum.
EXTENSIONS = ("SPECTRUM", "PHASE3SPECTRUM")

#: What columns are, by the end of their TUTYP in lower case; pipelines of ESO misspell the accuracy.
ROLES = {
    "wavelength": ("spectralaxis.value",),
    "flux": ("fluxaxis.value",),
    "error": ("fluxaxis.accuracy.staterror", "fluxaxis.accurancy.staterror"),
    "quality": ("fluxaxis.accuracy.qualitystatus", "fluxaxis.accurancy.qualitystatus"),
}

#: Names of columns in tables without TUTYP.
NAMES = {
    "wavelength": ("wave",),
    "flux": ("flux", "flux_reduced"),
    "error": ("err", "err_flux", "err_reduced"),
    "quality": ("qual",),
}

#: Standard deviation of the factor on a width from SPEC_RES, which is that of the slit: seeing may be sharper.
WIDTH_SIGMA = 0.1

KEPT = (
    *("OBJECT", "INSTRUME", "TELESCOP", "DATE-OBS", "MJD-OBS", "EXPTIME", "SPECSYS", "SPEC_RES", "SNR", "CONTNORM"),
    *("PRODCATG", "PROG_ID", "DISPELEM", "CNAME", "TRG_UID"),
)


def is_spectrum(header: Any) -> bool:
    """Whether an HDU is one row of arrays with a spectrum, by what is said of its columns or by its name."""
    if header.get("XTENSION") != "BINTABLE" or header.get("NAXIS2") != 1:
        return False
    named = text(header.get("EXTNAME")).upper() in EXTENSIONS and "wave" in column_names(header)
    return named or any(kind.endswith(ROLES["wavelength"]) for kind in column_names(header, "TUTYP"))


def read_product(
    path: Path,
    reader: str,
    *,
    profile: Callable[[Sequence[Arm]], str] | None = None,
    medium: Medium | None = None,
    frame: Frame | None = None,
    instrument: str | None = None,
    normalized: bool | None = None,
) -> Spectrum:
    """Read a spectrum of ESO's archive.

    Parameters
    ----------
    reader
        Name of the format.
    profile
        Which profile has the line-spread function, from the arms; None for SPEC_RES, or else that of ``INSTRUME``.
    medium, frame, instrument, normalized
        Override what the file states.

    Raises
    ------
    ReadError
        There is no such table, a column is missing, or the wavelengths have no unit.
    BayneError
        The medium is not stated, or the frame is of another kind.
    """
    with open_fits(path) as hdus:
        index = next((i for i, hdu in enumerate(hdus) if is_spectrum(hdu.header)), None)
        if index is None:
            raise ReadError(f"{path.name} has no table with one row of arrays, as ESO's archive has them")
        primary, header = hdus[0].header, hdus[index].header
        places = _places(header)
        for role in ("wavelength", "flux"):
            if role not in places:
                known = ", ".join(column_names(header))
                raise ReadError(f"{path.name}: no column is said to be the {role}; there are {known}")
        names = {role: column_names(header)[place] for role, place in places.items()}
        table = columns(hdus, index, dict.fromkeys(names.values()), path)
    data = {role: one_row(table[name], path) for role, name in names.items()}
    unit = _of(header, "TUNIT", places["wavelength"])
    if not unit:
        raise ReadError(f"{path.name}: the wavelengths have no unit; say it with format='table' and unit=")
    counts: dict[str, int] = {}
    arms = make_arms(
        angstrom(data["wavelength"], unit, "unit of the wavelengths"),
        data["flux"],
        **usable_errors(data["error"].astype(np.float64) if "error" in data else None),
        mask=_flagged(data.get("quality")),
        counts=counts,
        medium=choose_medium(medium, _medium(_of(header, "TUCD", places["wavelength"]))),
    )
    own = text(value(primary, "INSTRUME")).lower()
    chosen = instrument or (profile(arms) if profile else own if own in instrument_names() else None)
    resolution = number(primary, "SPEC_RES")
    if resolution and not instrument and not profile:
        arms = [replace(arm, lsf=GaussianLSF(arm.wavelength / resolution, WIDTH_SIGMA)) for arm in arms]
    return stated_spectrum(
        arms,
        {
            "frame": value(primary, "SPECSYS") or value(header, "SPECSYS"),
            "normalized": value(primary, "CONTNORM") is True,
            "star_id": value(primary, "CNAME") or value(primary, "OBJECT"),
        },
        frame=frame,
        normalized=normalized,
        id=stem(path),
        instrument=chosen,
        provenance=origin(path.name, reader, keep(primary, KEPT), **velocity(number(primary, HARPS_RV))),
        counts=counts,
    )


def _places(header: Any) -> dict[str, int]:
    """Number of the column of every role, from 0.

    Where there are several fluxes, the one in the namespace of the data model is the main one and not that in ESO's
    own (``eso:``); its error and its quality are of the same namespace, since another may have another scale.
    """
    kinds = column_names(header, "TUTYP")
    by_role = {role: [i for i, kind in enumerate(kinds) if kind.endswith(ends)] for role, ends in ROLES.items()}
    if not by_role["wavelength"]:
        known = column_names(header)
        named = {role: [known.index(name) for name in names if name in known] for role, names in NAMES.items()}
        return {role: places[0] for role, places in named.items() if places}
    fluxes = sorted(by_role["flux"], key=lambda place: _space(kinds[place]) == "eso:")
    for role in ("error", "quality"):
        by_role[role] = [i for i in by_role[role] if fluxes and _space(kinds[i]) == _space(kinds[fluxes[0]])]
    by_role["flux"] = fluxes
    return {role: places[0] for role, places in by_role.items() if places}


def _space(kind: str) -> str:
    """Namespace of a TUTYP: what stands before ``data.``."""
    return kind.partition("data.")[0]


def _of(header: Any, key: str, place: int) -> str:
    """What a header says of a column."""
    return text(value(header, f"{key}{place + 1}"))


def _medium(kind: str) -> str | None:
    """The medium that a UCD of wavelengths states: ``em.wl;obs.atmos`` is air, ``em.wl`` alone vacuum."""
    if not kind.lower().startswith("em.wl"):
        return None
    return "air" if "obs.atmos" in kind.lower() else "vacuum"


def _flagged(quality: np.ndarray | None) -> BoolArray | None:
    """Pixels whose quality is not 0. A column without any 0 follows another convention, and says nothing."""
    return None if quality is None or not np.any(quality == 0) else quality != 0
