"""WEAVE spectra of level 1 (L1): the fibres of an observation, one arm per file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..spectrum import Arm, Frame, Medium, Spectrum, make_arm
from .build import origin, stem
from .fits_1d import axis_wavelengths, stated_medium
from .fits_files import extension, keep, open_fits, records, row_of, value
from .registry import Peek, register
from .stated import angstrom, choose_medium, scalar, stated_spectrum, text
from .targets import choose_row

#: Arms by the names of their extensions, in the order of wavelength.
ARMS = ("BLUE", "GREEN", "RED")

#: Profiles by the words of MODE.
PROFILES = {"LOWRES": "weave-lr", "HIGHRES": "weave-hr"}

KEPT = ("OBID", "RUN", "CAMERA", "MODE", "OBSMODE", "DATE-OBS", "MJD-OBS", "EXPTIME", "SPECSYS")

#: Columns of the fibre table worth keeping.
KEPT_TARGET = ("FIBREID", "CNAME", "TARGID", "TARGNAME", "TARGSRVY", "TARGUSE", "STATUS")


def recognise(peek: Peek) -> bool:
    """A fibre table, and the flux of an arm with one row per fibre (cubes have more axes)."""
    names = peek.extensions
    arms = [peek.header(names.index(f"{arm}_DATA")) for arm in ARMS if f"{arm}_DATA" in names]
    return "FIBTABLE" in names and any(arm.get("NAXIS") == 2 for arm in arms)


@register("weave-l1", "WEAVE spectra of one arm (L1); from its data model, not tried on real files", recognise)
def read(
    path: Path,
    row: int | None = None,
    targetid: int | str | None = None,
    medium: Medium | None = None,
    frame: Frame | None = None,
) -> Spectrum:
    """Read one fibre of a WEAVE L1 file, a single exposure or a stack.

    The layout is the one that the survey's software PyAPS and weaveio read: RED_DATA, RED_IVAR and RED_SENSFUNC (BLUE
    and GREEN likewise) have a row for every row of FIBTABLE. The flux is multiplied with the sensitivity function,
    where there is one. Wavelengths are linear. They are in air, from which PyAPS converts them, unless ``CTYPE1`` says
    vacuum.

    Parameters
    ----------
    row
        Row from 0.
    targetid
        CNAME or TARGID of the star.
    medium
        Overrides ``CTYPE1``.
    frame
        Overrides ``SPECSYS``; observed where neither is given.
    """
    counts: dict[str, int] = {}
    with open_fits(path) as hdus:
        header = hdus[0].header
        table = records(hdus, "FIBTABLE", path)
        own = [table[name] for name in ("CNAME", "TARGID") if name in table.columns.names]
        if not own:
            raise ReadError(f"{path.name}: FIBTABLE has no column CNAME or TARGID")
        index = choose_row(path, own, row, targetid, label="target")
        kept = {name: scalar(table[name][index]) for name in KEPT_TARGET if name in table.columns.names}
        present = {hdu.name for hdu in hdus}
        arms = [_arm(hdus, name, index, medium, counts, path) for name in ARMS if f"{name}_DATA" in present]
    if not arms:
        raise ReadError(f"{path.name} has no extension RED_DATA, GREEN_DATA or BLUE_DATA")
    mode = text(value(header, "MODE")).upper()
    if mode not in PROFILES:
        raise ReadError(f"{path.name}: MODE is {mode!r}; {' or '.join(PROFILES)} is expected")
    return stated_spectrum(
        arms,
        {"frame": value(header, "SPECSYS"), "star_id": kept.get("CNAME") or kept.get("TARGID")},
        frame=frame,
        id=f"{stem(path)}-{index}",
        instrument=PROFILES[mode],
        provenance=origin(path.name, "weave-l1", keep(header, KEPT) | kept, row=index),
        counts=counts,
    )


def _arm(hdus: Any, name: str, index: int, medium: Medium | None, counts: dict[str, int], path: Path) -> Arm:
    header = extension(hdus, f"{name}_DATA", path).header
    flux, ivar = (row_of(hdus, f"{name}_{what}", index, path).astype(np.float64) for what in ("DATA", "IVAR"))
    if f"{name}_SENSFUNC" in {hdu.name for hdu in hdus}:
        factor = row_of(hdus, f"{name}_SENSFUNC", index, path).astype(np.float64)
        if factor.shape != flux.shape:
            raise ReadError(f"{path.name}: {name}_SENSFUNC has {factor.size} pixels, {name}_DATA {flux.size}")
        known = np.isfinite(factor) & (factor > 0)
        factor = np.where(known, factor, 1.0)
        flux, ivar = flux * factor, np.where(known, ivar / factor**2, 0.0)
    return make_arm(
        angstrom(axis_wavelengths(path, header, flux.size), value(header, "CUNIT1") or "Angstrom", "CUNIT1"),
        flux,
        counts=counts,
        ivar=ivar,
        medium=choose_medium(medium, stated_medium(header) or "air"),
        name=name.lower(),
    )
