"""Spectral lines as arrays, and their making from the columns of a line list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import BayneError
from ..spectrum import FloatArray
from .damping import complete
from .species import Species

#: Hydrogen's lines are broadened by other laws and no part of a line list.
HYDROGEN = Species((1,), 0)

ARRAYS = ("wavelength", "log_gf", "energy", "gamma_rad", "gamma_stark", "vdw_sigma", "vdw_alpha", "gamma_vdw")


@dataclass(frozen=True, eq=False)
class LineList:
    """n spectral lines by increasing wavelength, without those of hydrogen atoms.

    Isotopic and hyperfine components are lines of their own. Damping constants are full widths at half maximum in
    angular frequency; what a file leaves out is replaced as `bayne.synthesis.damping.complete` says.

    Parameters
    ----------
    wavelength
        (n,) vacuum Å.
    species, kind
        Distinct species, and (n,) index of that of each line.
    isotopes, isotope
        Distinct sets of mass numbers, in the order of the atoms of the species (0: natural mixture), and (n,) index of
        that of each line.
    log_gf
        (n,) log10 of statistical weight times oscillator strength, times the fraction of the isotopes in the species,
        where the line belongs to some: the number density of the whole species goes with it.
    energy
        (n,) lower level, eV.
    gamma_rad
        (n,) s^-1.
    gamma_stark
        (n,) s^-1 cm^3 per electron at 10,000 K.
    vdw_sigma, vdw_alpha
        (n,) van der Waals broadening after Anstee, Barklem & O'Mara: cross section in squared Bohr radii at 10 km/s and
        exponent of the velocity; zero where `gamma_vdw` holds.
    gamma_vdw
        (n,) s^-1 cm^3 per hydrogen atom at 10,000 K, scales with T^0.3; zero where `vdw_sigma` holds.

    Raises
    ------
    BayneError
        Arrays of other shapes, values that are not finite or that cannot be.
    """

    wavelength: FloatArray
    species: tuple[Species, ...]
    kind: NDArray[np.intp]
    isotopes: tuple[tuple[int, ...], ...]
    isotope: NDArray[np.intp]
    log_gf: FloatArray
    energy: FloatArray
    gamma_rad: FloatArray
    gamma_stark: FloatArray
    vdw_sigma: FloatArray
    vdw_alpha: FloatArray
    gamma_vdw: FloatArray

    def __post_init__(self) -> None:
        shape = np.shape(self.wavelength)
        for name in (*ARRAYS, "kind", "isotope"):
            array = np.asarray(getattr(self, name))
            if len(shape) != 1 or array.shape != shape:
                raise BayneError(f"{name} has the shape {array.shape}; all arrays of a line list have the same (n,)")
            if not np.all(np.isfinite(array)):
                raise BayneError(f"{name} is not finite for {np.sum(~np.isfinite(array))} of {shape[0]} lines")
            if name not in ("log_gf", "wavelength") and np.any(array < 0):
                raise BayneError(f"{name} is negative for {np.sum(array < 0)} of {shape[0]} lines")
        if np.any(self.wavelength <= 0):
            raise BayneError("wavelengths of a line list are positive, in vacuum Å")
        for name, index, known in (("kind", self.kind, self.species), ("isotope", self.isotope, self.isotopes)):
            if index.dtype.kind not in "iu" or (len(index) and index.max() >= len(known)):
                raise BayneError(
                    f"{name} must hold indices below {len(known)}, the number of entries that it refers to"
                )

    def __len__(self) -> int:
        return len(self.wavelength)

    def select(self, mask: ArrayLike) -> LineList:
        """Some of the lines, with the species and isotopes that they have.

        Parameters
        ----------
        mask
            (n,) booleans, or indices in increasing order.
        """
        chosen = np.asarray(mask)
        kinds, kind = np.unique(self.kind[chosen], return_inverse=True)
        sets, isotope = np.unique(self.isotope[chosen], return_inverse=True)
        return LineList(
            species=tuple(self.species[i] for i in kinds),
            kind=kind.astype(np.intp),
            isotopes=tuple(self.isotopes[i] for i in sets),
            isotope=isotope.astype(np.intp),
            **{name: getattr(self, name)[chosen] for name in ARRAYS},
        )

    def between(self, low: float, high: float) -> LineList:
        """The lines from one vacuum wavelength in Å to another, both included."""
        return self.select((self.wavelength >= low) & (self.wavelength <= high))

    def of(self, species: Iterable[Species]) -> LineList:
        """The lines of some species."""
        wanted = set(species)
        return self.select(np.array([one in wanted for one in self.species], dtype=bool)[self.kind])


def assemble(
    wavelength: FloatArray,
    species: tuple[Species, ...],
    kind: NDArray[np.intp],
    log_gf: FloatArray,
    energy: FloatArray,
    rad: FloatArray,
    stark: FloatArray,
    vdw: FloatArray,
    isotopes: tuple[tuple[int, ...], ...] | None = None,
    isotope: NDArray[np.intp] | None = None,
) -> LineList:
    """A line list from the columns of a file: sorted, without lines of hydrogen atoms, all damping constants given.

    Parameters
    ----------
    wavelength, species, kind, log_gf, energy, isotopes, isotope
        As in `LineList`, in any order; without isotopes all lines belong to the natural mixture.
    rad, stark, vdw
        (n,) as in `bayne.synthesis.damping.complete`.

    Raises
    ------
    BayneError
        As `LineList`, and for damping that can be no logarithm.
    """
    if np.any(wavelength <= 0):
        raise BayneError("wavelengths of a line list are positive, in vacuum Å")
    if isotopes is None or isotope is None:
        isotopes = tuple(dict.fromkeys((0,) * len(one.atoms) for one in species))
        isotope = np.array([isotopes.index((0,) * len(one.atoms)) for one in species], dtype=np.intp)[kind]
    metal = np.array([one != HYDROGEN for one in species], dtype=bool)[kind]
    order = np.argsort(wavelength, kind="stable")
    order = order[metal[order]]
    wavelength, kind, energy = wavelength[order], kind[order], energy[order]
    damping = complete(wavelength, species, kind, energy, rad[order], stark[order], vdw[order])
    whole = LineList(
        wavelength=wavelength,
        species=species,
        kind=kind,
        isotopes=isotopes,
        isotope=isotope[order],
        log_gf=log_gf[order],
        energy=energy,
        **damping._asdict(),
    )
    return whole.select(np.ones(len(whole), dtype=bool))
