"""DESI spectra (coadd and spectra files): many targets per file, three arms, resolution matrices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..instrument import load_instrument
from ..lsf import BandedLSF
from ..spectrum import Arm, Spectrum, make_arm
from .build import bad_bits, origin, with_profile_lsf
from .fits_files import extension, image, open_fits, records
from .registry import Peek, register

INSTRUMENT = "desi"

#: Columns of the fibre map worth keeping.
KEPT = ("TARGETID", "TARGET_RA", "TARGET_DEC", "COADD_FIBERSTATUS", "COADD_EXPTIME", "COADD_NUMEXP", "EXPID", "FIBER")


def recognise(peek: Peek) -> bool:
    """A fibre map, and wavelength and flux of at least one arm."""
    names = set(peek.extensions)
    return "FIBERMAP" in names and any(f"{name[:-5]}_WAVELENGTH" in names for name in names if name.endswith("_FLUX"))


@register("desi-coadd", "DESI coadded spectra", recognise)
def read(path: Path, targetid: int | None = None, row: int | None = None) -> Spectrum:
    """Read one target of a DESI coadd (or spectra) file.

    Wavelengths are in vacuum and barycentric. Pixels with a bad bit of the profile are masked. The
    RESOLUTION extensions hold the diagonals of a matrix from the largest offset to the smallest, as
    `scipy.sparse.dia_matrix` has them (desispec.resolution).

    Parameters
    ----------
    targetid
        TARGETID of the star.
    row
        Row from 0; needed where a target has several.
    """
    profile = load_instrument(INSTRUMENT)
    counts: dict[str, int] = {}
    arms: list[Arm] = []
    with open_fits(path) as hdus:
        fibermap = records(hdus, "FIBERMAP", path)
        targets = np.asarray(fibermap["TARGETID"])
        index = _row(path, targets, targetid, row)
        kept = {name: fibermap[name][index].item() for name in KEPT if name in fibermap.columns.names}
        present = {hdu.name for hdu in hdus}
        bands = sorted(name.removesuffix("_WAVELENGTH") for name in present if name.endswith("_WAVELENGTH"))
        for band in bands:  # alphabetical is also the order of wavelength
            mask = _row_of(hdus, f"{band}_MASK", index, path) if f"{band}_MASK" in present else None
            matrix = _resolution(hdus, f"{band}_RESOLUTION", index, path) if f"{band}_RESOLUTION" in present else None
            arms.append(
                make_arm(
                    image(hdus, f"{band}_WAVELENGTH", path),
                    _row_of(hdus, f"{band}_FLUX", index, path),
                    counts=counts,
                    ivar=_row_of(hdus, f"{band}_IVAR", index, path),
                    reasons=bad_bits(profile, mask) if mask is not None else {},
                    lsf=matrix,
                    name=band.lower(),
                )
            )
    target = str(targets[index])
    repeated = int(np.count_nonzero(targets == targets[index])) > 1
    return Spectrum(
        arms=with_profile_lsf(arms, INSTRUMENT),
        frame="barycentric",
        id=f"{path.name.split('.')[0]}-{target}" + (f"-{index}" if repeated else ""),
        star_id=target,
        instrument=INSTRUMENT,
        provenance=origin(path.name, "desi-coadd", kept, row=index),
        counts=counts,
    )


def _row_of(hdus: Any, name: str, index: int, path: Path) -> np.ndarray:
    hdu = extension(hdus, name, path)
    if not hdu.is_image or len(hdu.shape) < 2 or hdu.shape[0] <= index:
        raise ReadError(f"{path.name}: extension {name!r} has no row {index}")
    return np.asarray(hdu.section[index])  # only this row is read: a file holds hundreds of targets


def _resolution(hdus: Any, name: str, index: int, path: Path) -> BandedLSF:
    bands = _row_of(hdus, name, index, path).astype(np.float64)
    if bands.ndim != 2 or bands.shape[0] % 2 == 0:
        raise ReadError(f"{path.name}: {name} has shape {bands.shape} per target; an odd number of diagonals is needed")
    half = bands.shape[0] // 2
    return BandedLSF(np.where(np.isfinite(bands), bands, 0.0), np.arange(half, -half - 1, -1, dtype=np.int64))


def _row(path: Path, targets: np.ndarray, targetid: int | None, row: int | None) -> int:
    n = len(targets)
    if row is not None:
        if not 0 <= row < n:
            raise ReadError(f"{path.name} has no row {row}; rows are 0 to {n - 1}")
        if targetid is not None and targets[row] != targetid:
            raise ReadError(f"{path.name}: row {row} is TARGETID {targets[row]}, not {targetid}")
        return row
    if targetid is None:
        if n == 1:
            return 0
        raise ReadError(f"{path.name} holds {n} spectra; say which with targetid= or row=")
    found = np.flatnonzero(targets == targetid)
    if found.size == 1:
        return int(found[0])
    if found.size == 0:
        raise ReadError(f"{path.name} has no TARGETID {targetid} among its {n} spectra")
    raise ReadError(f"{path.name}: TARGETID {targetid} is in rows {found.tolist()}; choose one with row=")
