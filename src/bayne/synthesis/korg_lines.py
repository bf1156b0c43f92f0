"""Reader of line lists in the HDF5 form of Korg (github.com/ajwheeler/Korg.jl), such as that of GALAH DR3."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import BayneError, ReadError
from .species import Species
from .transitions import LineList, assemble

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_COLUMNS = ("wl", "log_gf", "E_lo", "gamma_rad", "gamma_stark", "vdW")
_ALL = (*_COLUMNS, "formula", "ionization")


def recognise(path: Path) -> bool:
    """Whether a file is HDF5 with the datasets ``wl``, ``log_gf``, ``formula`` and ``ionization``."""
    with path.open("rb") as file:
        if file.read(8) != _SIGNATURE:
            return False
    try:
        with h5py.File(path) as file:
            return {"wl", "log_gf", "formula", "ionization"} <= file.keys()
    except OSError:
        return False


def read(path: Path, medium: str | None = None) -> LineList:
    """Read a list of Korg.

    Parameters
    ----------
    path
        HDF5 file with one entry per line in each of ``wl`` (vacuum Å), ``log_gf`` (the isotopic fraction included),
        ``E_lo`` (eV), ``gamma_rad``, ``gamma_stark`` (log10 as in VALD; 0: not given), ``vdW`` (as in VALD; 0: not
        given), ``formula`` (atomic numbers, filled up with zeros) and ``ionization`` (1: neutral).
    medium
        ``"vacuum"`` or None: the format has no other.

    Raises
    ------
    ReadError
        A dataset is missing or of another length, not numeric or not finite; an unknown species; another medium.

    Notes
    -----
    The form does not name isotopes: components are lines of their own, of the natural mixture. Wavelengths in float32
    are known to 0.0003 Å. Hydrogen lines, whose damping columns hold quantum numbers, are left out.
    """
    if medium not in (None, "vacuum"):
        raise ReadError(f"medium={medium!r} was given, but lists of Korg are in vacuum")
    try:
        with h5py.File(path) as file:
            missing = [name for name in _ALL if name not in file]
            if missing:
                raise ReadError(f"lacks {', '.join(missing)}; a list of Korg has {', '.join(_ALL)}")
            data = {name: file[name][()] for name in _ALL}
    except (OSError, TypeError) as error:
        raise ReadError(f"is damaged: {error}") from error
    count = len(data["wl"]) if np.ndim(data["wl"]) else 0
    for name, values in data.items():
        if np.shape(values)[:1] != (count,) or np.ndim(values) != 1 + (name == "formula"):
            raise ReadError(f"{name} has the shape {np.shape(values)}; there are {count} wavelengths")
        if values.dtype.kind not in "fiu":
            raise ReadError(f"{name} is not numeric but {values.dtype}")
        if not np.all(np.isfinite(values)):
            raise ReadError(f"{name} is not a number in entry {np.argwhere(~np.isfinite(values))[0, 0]}")
    columns = {name: data[name].astype(np.float64) for name in _COLUMNS}
    # In float32 a packed pair such as 812.279 has more digits than VALD's three.
    vdw = np.where(columns["vdW"] > 0, np.round(columns["vdW"], 3), columns["vdW"])
    species, kind = _species(data["formula"], data["ionization"])
    return assemble(
        columns["wl"],
        species,
        kind,
        columns["log_gf"],
        columns["E_lo"],
        columns["gamma_rad"],
        columns["gamma_stark"],
        vdw,
    )


def _species(
    formula: NDArray[np.integer], ionization: NDArray[np.integer]
) -> tuple[tuple[Species, ...], NDArray[np.intp]]:
    """Distinct species, and the index of that of each line."""
    codes = np.column_stack([formula, ionization]).astype(np.int64)
    distinct, first, kind = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    species = []
    for code, entry in zip(distinct, first, strict=True):
        atoms = tuple(sorted(int(z) for z in code[:-1] if z))
        try:
            species.append(Species(atoms, int(code[-1]) - 1))
        except BayneError as error:
            raise ReadError(f"entry {entry} (formula {code[:-1].tolist()}, ionization {code[-1]}): {error}") from error
    return tuple(species), kind.reshape(-1).astype(np.intp)
