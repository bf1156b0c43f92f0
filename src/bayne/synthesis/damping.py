"""Damping constants of spectral lines: the conventions of line lists, and what replaces the values they leave out.

All are full widths at half maximum in angular frequency: a line of width γ has the Voigt parameter γ / (4π Δν_D).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma as gamma_function

from ..errors import BayneError
from ..spectrum import FloatArray
from .constants import BOHR, BOLTZMANN, CHARGE, DALTON, HC_EV, PLANCK
from .partition import table
from .species import MASSES, Species

#: e²/ħ in cm/s.
SPEED_OF_ATOMIC_ELECTRON = 2 * np.pi * CHARGE**2 / PLANCK
RYDBERG_EV = 13.605693122994

#: Temperature in K to which the constants per perturber belong.
REFERENCE_TEMPERATURE = 1e4

#: From this value on, a van der Waals parameter is a packed pair of the Anstee-Barklem-O'Mara theory.
PACKED = 20.0

#: Effective quantum numbers squared: of levels above the ionisation limit, where there is none, and the largest of
#: others. As in Kurucz's programmes (SYNTHE, WIDTH9).
ABOVE_LIMIT, LARGEST = 25.0, 100.0

#: Logarithms of radiative and Stark widths above these are none: autoionising levels reach 15, Rydberg levels 0.
LARGEST_RAD, LARGEST_STARK = 20.0, 5.0


class Damping(NamedTuple):
    """Damping constants of n lines, complete.

    Parameters
    ----------
    gamma_rad
        (n,) s^-1.
    gamma_stark
        (n,) s^-1 cm^3 per electron at 10,000 K.
    vdw_sigma, vdw_alpha
        (n,) cross section in units of the squared Bohr radius for collisions with hydrogen at 10 km/s, and exponent of
        the velocity, v^-alpha; zero where `gamma_vdw` holds.
    gamma_vdw
        (n,) s^-1 cm^3 per hydrogen atom at 10,000 K, to be scaled with T^0.3; zero where `vdw_sigma` holds.
    """

    gamma_rad: FloatArray
    gamma_stark: FloatArray
    vdw_sigma: FloatArray
    vdw_alpha: FloatArray
    gamma_vdw: FloatArray


def complete(
    wavelength: FloatArray,
    species: tuple[Species, ...],
    kind: NDArray[np.intp],
    energy: FloatArray,
    rad: FloatArray,
    stark: FloatArray,
    vdw: FloatArray,
) -> Damping:
    """Damping constants from the three columns of VALD and of lists that follow it.

    Parameters
    ----------
    wavelength
        (n,) vacuum Å.
    species, kind
        Distinct species, and (n,) index of that of each line.
    energy
        (n,) lower level, eV.
    rad
        (n,) log10 of the radiative width in s^-1; 0: not given, `classical_width`.
    stark
        (n,) log10 of the Stark width in s^-1 cm^3 per electron at 10,000 K; 0: not given, `cowley_width`.
    vdw
        (n,) van der Waals broadening; 0: not given, `unsold_width`; between 0 and 20: factor to multiply `unsold_width`
        with; 20 and more: integer part sigma and fraction alpha of the theory of Anstee, Barklem & O'Mara; negative:
        log10 of the width in s^-1 cm^3 per hydrogen atom at 10,000 K.

    Raises
    ------
    BayneError
        A radiative or Stark width that can be no logarithm.

    Notes
    -----
    The two logarithms and the packed pair are those of VALD (Barklem, Piskunov & O'Mara 2000, A&AS 142, 467, section
    2, for the pair), the factor that of Turbospectrum and the Gaia-ESO list (Heiter et al. 2021, A&A 645, A106).
    Molecules whose widths are not given have no Stark and no van der Waals broadening: no formula for them is in use.
    """
    for name, values, largest in (("radiative", rad, LARGEST_RAD), ("Stark", stark, LARGEST_STARK)):
        if np.any(values > largest):
            worst = int(np.argmax(values))
            raise BayneError(
                f"{name} damping {values[worst]:g} of the line at {wavelength[worst]:.4f} Å (vacuum) is too large for "
                "a log10; is the column linear?"
            )
    packed = vdw >= PACKED
    given = 10.0 ** np.minimum(vdw, 0.0)
    factor = np.where(vdw == 0, 1.0, vdw)
    unsold = unsold_width(wavelength, species, kind, energy)
    sigma = np.where(packed, np.floor(vdw), 0.0)
    return Damping(
        np.where(rad == 0, classical_width(wavelength), 10.0**rad),
        np.where(stark == 0, cowley_width(wavelength, species, kind, energy), 10.0**stark),
        sigma,
        np.where(packed, vdw - sigma, 0.0),
        np.where(packed, 0.0, np.where(vdw < 0, given, factor * unsold)),
    )


def collision_width(sigma: Any, alpha: Any, temperature: Any, inverse_mass: Any) -> Any:
    """Half width at half maximum, rad/s per perturber in cm^3, by the theory of Anstee, Barklem & O'Mara.

    (4/π)^(α/2) Γ(2 - α/2) v0 σ (v/v0)^(1 - α), v0 = 10 km/s, v = (8kT / πμ)^(1/2) (Anstee & O'Mara 1995, MNRAS 276,
    859; Barklem, Piskunov & O'Mara 2000, A&AS 142, 467, eq. 1). Arrays of NumPy or JAX that go together.

    Parameters
    ----------
    sigma, alpha
        Cross section in squared Bohr radii at v0, and exponent of the velocity.
    temperature
        K.
    inverse_mass
        1/μ of the absorber and the perturber, per u.
    """
    factor = (4 / np.pi) ** (alpha / 2) * gamma_function(2 - alpha / 2) * 1e6 * BOHR**2 * sigma
    velocity = (8 * BOLTZMANN * temperature / (np.pi * DALTON) * inverse_mass) ** 0.5 / 1e6
    return factor * velocity ** (1 - alpha)


def classical_width(wavelength: FloatArray) -> FloatArray:
    """(n,) radiative width in s^-1 of classical oscillators: 8π²e² / (3 m c λ²) = 0.22234 / λ² with λ in cm.

    Gray (2005, The Observation and Analysis of Stellar Photospheres, 3rd ed.), chapter 11.
    """
    return 0.22234 / (wavelength * 1e-8) ** 2


def cowley_width(
    wavelength: FloatArray, species: tuple[Species, ...], kind: NDArray[np.intp], energy: FloatArray
) -> FloatArray:
    """(n,) Stark width in s^-1 cm^3 per electron at 10,000 K; zero for molecules.

    2.26e-7 n*⁴ for neutral atoms, 5.42e-7 n*⁴ / (Z + 1)² for ions, with the effective quantum number n* of the upper
    level and the charge Z that its electron sees: Cowley (1971, The Observatory 91, 139), equations 5 and 6, at
    10,000 K. SME, Turbospectrum and Korg have the same two numbers.
    """
    atomic, charge, upper, _ = _levels(wavelength, species, kind, energy)
    return atomic * np.where(charge == 1, 2.26e-7, 5.42e-7 / (charge + 1) ** 2) * upper**2


def unsold_width(
    wavelength: FloatArray, species: tuple[Species, ...], kind: NDArray[np.intp], energy: FloatArray
) -> FloatArray:
    """(n,) van der Waals width in s^-1 cm^3 per hydrogen atom at 10,000 K; zero for molecules.

    γ = 8.08 C6^(2/5) v^(3/5), with the mean relative velocity v = (8kT / πμ)^(1/2) and C6 = (e²/ħ) α_H (r_u² - r_l²),
    where r² = (5/2) n*⁴ / Z² in squared Bohr radii and α_H = 4.5 a0³ is the polarisability of hydrogen: Unsöld (1955,
    Physik der Sternatmosphären, 2nd ed.). 8.08 = 2π (3π/8)^(2/5) Γ(3/5) cos(π/5) is the impact theory's value for an
    interaction C6 / r⁶ in angular frequency; with C6 in Hz it is 17, as in Gray (2005), chapter 11, and in SME.
    """
    atomic, charge, upper, lower = _levels(wavelength, species, kind, energy)
    upper = np.where(upper > lower, upper, 2 * lower)  # a level above the limit, with an assumed n*
    radii = 2.5 * (upper**2 - lower**2) / charge**2
    c6 = SPEED_OF_ATOMIC_ELECTRON * 4.5 * BOHR**5 * radii
    mass = np.array([one.mass for one in species])[kind]
    reduced = DALTON * mass * MASSES[1] / (mass + MASSES[1])
    velocity = np.sqrt(8 * BOLTZMANN * REFERENCE_TEMPERATURE / (np.pi * reduced))
    return atomic * 8.08 * c6**0.4 * velocity**0.6


def _levels(
    wavelength: FloatArray, species: tuple[Species, ...], kind: NDArray[np.intp], energy: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """(n,) 1 for atoms and 0 for molecules, charge that the electron sees, n*² of the upper and of the lower level."""
    atomic = np.array([not one.is_molecule for one in species], dtype=float)[kind]
    charge = np.array([max(one.charge + 1, 1) for one in species], dtype=float)[kind]
    limit = np.array([_ionisation_energy(one) for one in species])[kind]

    def square(level: FloatArray) -> FloatArray:
        binding = limit - level
        bound = binding > 0
        return np.where(bound, np.minimum(RYDBERG_EV * charge**2 / np.where(bound, binding, 1.0), LARGEST), ABOVE_LIMIT)

    return atomic, charge, square(energy + HC_EV / wavelength), square(energy)


def _ionisation_energy(species: Species) -> float:
    """eV; zero, so that all levels count as above the limit, where the equation of state has no next ion."""
    known = table()
    rows = {one: i for i, one in enumerate(known.species)}
    if species.is_molecule or species.charge + 1 > species.atoms[0]:
        return 0.0
    ion = Species(species.atoms, species.charge + 1)
    return float(known.energy[rows[ion]] - known.energy[rows[species]]) if {ion, species} <= rows.keys() else 0.0
