"""Spectral lines as arrays, and their making from the columns of a line list."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import BayneError
from ..spectrum import FloatArray
from ..wavelength import to_vacuum
from .damping import complete
from .isotopes import fraction
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


def open_text(path: Path, size: int = -1) -> str:
    """Text of a file, or its first `size` bytes, unpacked where it is gzipped."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        return file.read(size).decode("utf-8", errors="replace")


class Rows:
    """Lines read one by one from a text whose species and isotopes are one code.

    Parameters
    ----------
    parse
        From a code to the species and the mass numbers of its atoms (0: natural mixture).
    scaled
        Whether log gf has the fractions of the isotopes in it already.
    """

    def __init__(self, parse: Callable[[str], tuple[Species, tuple[int, ...]]], *, scaled: bool) -> None:
        self.parse, self.scaled = parse, scaled
        self.codes: list[str] = []
        self.values: list[Sequence[float]] = []

    def add(self, code: str, values: Sequence[float]) -> None:
        """One line: wavelength, log gf, lower level (eV), and rad, stark and vdw as `assemble` takes them."""
        self.codes.append(code)
        self.values.append(values)

    def finish(self, vacuum: Callable[[FloatArray], FloatArray]) -> LineList:
        """The list, with `vacuum` from the wavelengths of the file to vacuum Å.

        Raises
        ------
        BayneError
            As `assemble`; a code that is no species, an isotope that does not occur in nature.
        """
        known = {code: self.parse(code) for code in dict.fromkeys(self.codes)}
        species = tuple(dict.fromkeys(each for each, _ in known.values()))
        isotopes = tuple(dict.fromkeys(each for _, each in known.values()))
        shift = {code: 0.0 if self.scaled else float(np.log10(fraction(*both))) for code, both in known.items()}
        kind = {code: (species.index(one), isotopes.index(masses)) for code, (one, masses) in known.items()}
        index = np.array([kind[code] for code in self.codes], dtype=np.intp).reshape(-1, 2)
        wavelength, log_gf, energy, rad, stark, vdw = np.array(self.values, dtype=float).reshape(-1, 6).T
        log_gf = log_gf + np.array([shift[code] for code in self.codes])
        return assemble(
            vacuum(wavelength), species, index[:, 0], log_gf, energy, rad, stark, vdw, isotopes, index[:, 1]
        )


def to_vacuum_of(medium: str | None) -> Callable[[FloatArray], FloatArray]:
    """The function that takes the wavelengths of a file in a medium to vacuum Å.

    Raises
    ------
    BayneError
        No medium, which the format does not say.
    """
    if medium is None:
        raise BayneError("this format does not say whether wavelengths are in air or vacuum; give medium=")
    return lambda wavelength: to_vacuum(wavelength, medium)
