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
from .fits_files import image, open_fits, records, row_of
from .registry import Peek, register
from .targets import choose_row

INSTRUMENT = "desi"

#: Columns of the fibre map worth keeping.
KEPT = ("TARGETID", "TARGET_RA", "TARGET_DEC", "COADD_FIBERSTATUS", "COADD_EXPTIME", "COADD_NUMEXP", "EXPID", "FIBER")


def recognise(peek: Peek) -> bool:
    """A fibre map, and wavelength and flux of at least one arm."""
    names = set(peek.extensions)
    return "FIBERMAP" in names and any(f"{name[:-5]}_WAVELENGTH" in names for name in names if name.endswith("_FLUX"))


@register("desi-coadd", "DESI spectra, coadded or of single exposures", recognise)
def read(path: Path, targetid: int | str | None = None, row: int | None = None) -> Spectrum:
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
        index = choose_row(path, [targets], row, targetid, label="TARGETID")
        kept = {name: fibermap[name][index].item() for name in KEPT if name in fibermap.columns.names}
        present = {hdu.name for hdu in hdus}
        bands = sorted(name.removesuffix("_WAVELENGTH") for name in present if name.endswith("_WAVELENGTH"))
        for band in bands:  # alphabetical is also the order of wavelength
            mask = row_of(hdus, f"{band}_MASK", index, path) if f"{band}_MASK" in present else None
            matrix = _resolution(hdus, f"{band}_RESOLUTION", index, path) if f"{band}_RESOLUTION" in present else None
            arms.append(
                make_arm(
                    image(hdus, f"{band}_WAVELENGTH", path),
                    row_of(hdus, f"{band}_FLUX", index, path),
                    counts=counts,
                    ivar=row_of(hdus, f"{band}_IVAR", index, path),
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


def _resolution(hdus: Any, name: str, index: int, path: Path) -> BandedLSF:
    bands = row_of(hdus, name, index, path).astype(np.float64)
    if bands.ndim != 2 or bands.shape[0] % 2 == 0:
        raise ReadError(f"{path.name}: {name} has shape {bands.shape} per target; an odd number of diagonals is needed")
    half = bands.shape[0] // 2
    return BandedLSF(np.where(np.isfinite(bands), bands, 0.0), np.arange(half, -half - 1, -1, dtype=np.int64))
