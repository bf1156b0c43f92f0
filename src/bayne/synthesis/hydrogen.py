"""Opacity of the Balmer, Paschen and Brackett lines of hydrogen (JAX).

A profile is the distribution of the shifts that slow ions, and the electrons that are slow enough, cause (Griem's
quasi-static profile), convolved with what fast electrons, other hydrogen atoms, the natural widths and the Doppler
effect do, which makes a Voigt function. The distribution is written as a sum of Gaussians, so that the convolution is a
sum of Voigt functions.

Not in: fine structure (0.1 Å in the core of Hα), the dynamics of ions, dissolved levels near the ends of the series,
broadening by helium (3% of that by hydrogen in Hα), and the red wing's Boltzmann factor (Stehlé 1994; 2% at 40 Å).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import BayneError
from ..precision import double, matmul
from ..spectrum import FloatArray
from .constants import BOLTZMANN, CHARGE, DALTON, ELECTRON, HC_K, LIGHT
from .damping import collision_width
from .gas import Gas, row
from .species import MASSES, parse_species
from .voigt import voigt

_HYDROGEN = row(parse_species("H I"))

#: Levels 1 to 8, cm^-1, means over the fine structure, as in HLINOP by P. Barklem and N. Piskunov; higher ones at
#: limit - rydberg / n².
_LEVELS = (0.0, 82259.105, 97492.302, 102823.893, 105291.651, 106632.160, 107440.444, 107965.051)
_LIMIT, _RYDBERG = 109678.764, 109677.576

#: Upper levels up to this one have lines; beyond, levels are dissolved in the photospheres of dwarfs.
HIGHEST = 15

#: Å from the centre where a line ends.
CUTOFF = 250.0

#: K_nm in Å per statvolt/cm, by lower level, of the three next upper levels: the mean shift per unit of field (Griem
#: 1960, ApJ 132, 883, eqs. 7 and 12; as in HLINOP, where those of the Balmer lines are of Vidal, Cooper & Smith 1973,
#: ApJS 25, 37). Higher ones: Griem's eq. 33, times 1 / (1 + 0.13 / (m - n)), which joins them to the table.
_SHIFTS = {2: (0.0090190, 0.0177200, 0.0250700), 3: (0.1001000, 0.1710000, 0.2230000), 4: (0.5820000, 0.8660000, 1.02)}

#: Self-broadening of Hα, Hβ, Hγ: cross section in squared Bohr radii at 10 km/s and exponent of the velocity (Barklem,
#: Piskunov & O'Mara 2000, A&A 363, 1091, section 4).
_SELF = {(2, 3): (1180.0, 0.677), (2, 4): (2320.0, 0.455), (2, 5): (4208.0, 0.380)}

#: HLINOP's widths by electron impact are multiplied with this plus 0.047 (log10 n_e - 13) - 0.10 log10(T / 5000 K), at
#: most 1: a fit of ours to the profiles of Stehlé & Hutcheon (1999, A&AS 140, 93) at n_e of 1e11 to 3e15 and T of 5000
#: and 10,000 K. Without it, wings are 5 to 15% stronger, as those of Vidal, Cooper & Smith (1973) are.
_IMPACT = {(2, 3): 0.84, (2, 4): 0.92, (2, 5): 0.88, (2, 6): 0.91}

#: Standard deviations of the Gaussians that quasi-static profiles are made of, in β.
_WIDTHS = np.geomspace(0.35, 6e4, 26)
#: The values of P that profiles are tabulated for, in equal steps.
_SHIELDING = np.array([0.0, 0.2, 0.4, 0.6, 0.8])

#: Profiles are computed at distances _FINE sinh(s) Å from the centre, s in steps of _STEP, and interpolated.
_FINE, _STEP = 0.1, 0.09
_NODES = np.arange(-1, int(np.arcsinh(CUTOFF / _FINE) / _STEP) + 3)


@dataclass(frozen=True)
class HydrogenLine:
    """A line of hydrogen, from level `lower` to level `upper`."""

    lower: int
    upper: int

    def __post_init__(self) -> None:
        if not 2 <= self.lower <= 4 or not self.lower < self.upper <= HIGHEST:
            raise BayneError(
                f"no profile for the hydrogen line {self.lower}-{self.upper}: lower levels are 2 to 4, "
                f"upper levels up to {HIGHEST}"
            )

    @property
    def wavelength(self) -> float:
        """Vacuum Å."""
        return 1e8 / (level_energy(self.upper) - level_energy(self.lower))

    @property
    def shift(self) -> float:
        """K_nm, see `_SHIFTS`."""
        n, m = self.lower, self.upper
        if m - n <= 3:
            return _SHIFTS[n][m - n - 1]
        return 5.5e-5 * (n * m) ** 4 / (m**2 - n**2) / (1 + 0.13 / (m - n))


def hydrogen_lines(low: float, high: float) -> tuple[HydrogenLine, ...]:
    """The lines that reach into a range of vacuum wavelengths in Å."""
    lines = (HydrogenLine(n, m) for n in (2, 3, 4) for m in range(n + 1, HIGHEST + 1))
    return tuple(line for line in lines if low - CUTOFF < line.wavelength < high + CUTOFF)


def level_energy(n: int) -> float:
    """Energy of level n over the ground state, cm^-1."""
    return _LEVELS[n - 1] if n <= len(_LEVELS) else _LIMIT - _RYDBERG / n**2


@cache
def oscillator_strength(n: int, m: int) -> float:
    """Absorption oscillator strength from level n to level m > n, mean over the sublevels.

    Menzel & Pekeris (1935, MNRAS 96, 77): with z = -4 n m / (m - n)² and hypergeometric polynomials F,

        f = (32/3) (1/n² - 1/m²)^-3 ((m - n) / (m + n))^(2n + 2m) |F(1-n, -m; 1; z)² - F(1-m, -n; 1; z)²|
            / (n⁴ m² (m - n)).
    """
    z = Fraction(-4 * n * m, (m - n) ** 2)
    difference = _polynomial(1 - n, -m, z) ** 2 - _polynomial(1 - m, -n, z) ** 2
    power = Fraction(m - n, m + n) ** (2 * (n + m))
    return 32 / 3 * (1 / n**2 - 1 / m**2) ** -3 * abs(float(power * difference)) / (n**4 * m**2 * (m - n))


def _polynomial(a: int, b: int, z: Fraction) -> Fraction:
    """2F1(a, b; 1; z) for negative integers."""
    term = total = Fraction(1)
    for k in range(min(-a, -b)):
        term *= Fraction((a + k) * (b + k), (k + 1) ** 2) * z
        total += term
    return total


@cache
def _natural_width(line: HydrogenLine) -> float:
    """Half width at half maximum, rad/s: half the sum of the decay rates of both levels, means over the sublevels.

    A = 8π² e² / (m_e c λ²) (g_l / g_u) f (Mihalas 1978, Stellar Atmospheres, 2nd ed., eq. 4-35 with 4-11).
    """
    classical = 8 * np.pi**2 * CHARGE**2 / (ELECTRON * LIGHT)
    rate = 0.0
    for upper in (line.lower, line.upper):
        for lower in range(1, upper):
            wavenumber = level_energy(upper) - level_energy(lower)
            rate += classical * wavenumber**2 * (lower / upper) ** 2 * oscillator_strength(lower, upper)
    return 0.5 * rate


@cache
def _quasi_static(name: str) -> FloatArray:
    """(p, k) weights of Gaussians in β, of the widths `_WIDTHS`, whose sum is S(β) at every value of P tabulated."""
    text = files("bayne").joinpath("synthesis", "hydrogen.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    table = {r["quantity"]: np.array([float(r[f"p{p}"]) for p in (0, 2, 4, 6, 8)]) for r in rows if r["line"] == name}
    c, d = table.pop("c"), table.pop("d")
    knots = np.array([float(beta) for beta in table])
    values = np.array(list(table.values()))
    beta = np.concatenate([np.linspace(0, 3, 60), np.geomspace(3.05, 5e4, 250)])
    # Below the first knot the correction goes on as a straight line.
    slope = (values[1] - values[0]) / (knots[1] - knots[0])
    correction = np.stack([np.interp(beta, knots, column) for column in values.T])
    correction += np.minimum(beta - knots[0], 0.0) * slope[:, None]
    outer_beta = np.maximum(beta, 1.0)
    outer = (1.5 / np.sqrt(outer_beta) + 27 / outer_beta**2) / outer_beta**2
    inner = 8 / (83 + (2 + 0.95 * beta**2) * beta)
    weight = np.clip(0.5 * (10 - beta), 0, 1)
    profile = np.where(
        beta <= knots[-1],
        (inner * weight + outer * (1 - weight)) * (1 + correction),
        outer * (1 + np.where(beta > 500, 0.0, d[:, None] / (c[:, None] + beta**1.5))),
    )
    gaussians = np.exp(-0.5 * (beta / _WIDTHS[:, None]) ** 2) / (np.sqrt(2 * np.pi) * _WIDTHS[:, None])
    weights = []
    for one in profile:
        # Relative errors count, but in the dip of the centre, which every other broadening fills.
        relative = 1 / np.where(beta < 1, np.maximum(one, 0.3 * one.max()), one)
        weights.append(np.linalg.lstsq((gaussians * relative).T, one * relative, rcond=1e-9)[0])
    return np.array(weights)


def line_profile(line: HydrogenLine, gas: Gas, vmic: jax.Array | float, distance: jax.Array) -> jax.Array:
    """Profile of a line, normalised over -∞ to ∞.

    Parameters
    ----------
    line
        The line.
    gas
        d depths.
    vmic
        Microturbulence, km/s.
    distance
        (x,) Å: λ0 (ν0 - ν) / ν0, which is λ - λ0 near the centre.

    Returns
    -------
    array
        (x, d) Å^-1.

    Notes
    -----
    The Stark effect is that of HLINOP (P. Barklem and N. Piskunov 2003, after D. Peterson and R. Kurucz), who follow
    Griem (1960, ApJ 132, 883; 1967, ApJ 147, 1092) and adjust him to Vidal, Cooper & Smith (1973): ions and slow
    electrons are quasi-static, fast electrons cause a Lorentzian whose width falls with the distance. HLINOP adds the
    parts, or takes the strongest one; here they are convolved.
    """
    name = f"{line.lower}-{line.upper}"
    table = jnp.asarray(_quasi_static(name if name in ("2-3", "2-4", "3-4", "3-5") else "other"))
    temperature, electrons = gas.temperature, gas.electrons
    unit = _field(electrons) * line.shift
    beta = jnp.maximum(jnp.abs(distance)[:, None] / unit, 1e-6)
    impact, slow = _electrons(line, temperature, electrons, beta)
    lorentz = impact * unit + (_self_broadening(line, gas) + _natural_width(line)) * (
        1e-8 * line.wavelength**2 / (2 * np.pi * LIGHT)
    )
    thermal = BOLTZMANN / (MASSES[1] * DALTON) * temperature + 0.5 * (1e5 * jnp.asarray(vmic)) ** 2
    doppler = line.wavelength / LIGHT * jnp.sqrt(thermal)
    # Shielding of the ions' fields by electrons: the ratio of the mean distance of ions and the Debye length.
    shielding = jnp.clip(0.08989 * electrons ** (1 / 6) / jnp.sqrt(temperature), 0.0, _SHIELDING[-1])
    place = shielding / _SHIELDING[1]
    below = jnp.minimum(place.astype(int), len(_SHIELDING) - 2)
    weights = (table[below] + (place - below)[:, None] * (table[below + 1] - table[below])).T
    total = jnp.sum(weights, axis=0)
    if line.upper - line.lower > 1 or line.lower > 3:
        weights, total = weights / total, jnp.ones_like(total)
    # The components that no field shifts: alpha lines, whose S(β) is normalised to the rest, have them.
    weights = jnp.concatenate([1 - total[None], weights])
    sigma = jnp.sqrt(doppler**2 + (np.concatenate([[0.0], _WIDTHS])[:, None] * unit) ** 2)
    scale = 1 / (np.sqrt(2.0) * sigma[:, None])
    u = jnp.abs(distance)[:, None] * scale
    fast = (
        voigt(lorentz * scale, u)
        + slow * jnp.exp(-(u**2)) * jnp.where(np.arange(len(sigma)) > 0, 1.0, 0.0)[:, None, None]
    )
    return jnp.sum(weights[:, None] * scale / np.sqrt(np.pi) * fast, axis=0)


def _field(electrons: jax.Array) -> jax.Array:
    """Holtsmark's normal field F0 = 1.25e-9 n_e^(2/3), statvolt/cm (Griem 1960)."""
    return 1.25e-9 * electrons ** (2 / 3)


def _electrons(
    line: HydrogenLine, temperature: jax.Array, electrons: jax.Array, beta: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """(x, d) half width by impact, in β, and the share of the electrons that are quasi-static.

    Griem (1967), the equation between 13a and 13b, and 8, with the adjustments of Peterson and Kurucz (HLINOP, function
    STARK1): y1 and y2 are squared velocities, in units of 2kT/m, at which the minimal impact parameter, and the Debye
    length, equal Lewis' cut-off.
    """
    n, m = line.lower, line.upper
    field = _field(electrons)
    gap = (m**2 - n**2) ** 2 / (n * m) ** 2
    shift = line.shift / line.wavelength
    weight = 1 / (1 + electrons / {(2, 3): 1e17, (2, 4): 1e14}.get((n, m), 1e14 if m - n <= 3 else 1e13))
    scale = (380.0 if m == 3 else 320.0) * (temperature / 1e4) ** 0.3 / electrons ** (1 / 6) * weight
    scale = scale + 2 / (1 + 0.012 / temperature * jnp.sqrt(electrons / temperature)) * (1 - weight)
    first = field * 78940 / temperature * shift * gap * scale
    second = field**2 / (5.96e-23 * electrons) * shift**2
    y1, y2 = first * beta, second * beta**2
    near = 0.2 + 0.09 * jnp.sqrt(temperature / 1e4) / (1 + electrons / 1e13)
    far = 0.2 / (1 + electrons / 1e15)
    bracket = 0.5 * jnp.exp(-y1) + _exponential_integral(y1) - 0.5 * _exponential_integral(y2)
    width = 6.77 * jnp.sqrt(first) * jnp.maximum(bracket, 0.0)
    width = width * (1 - near / (1 + (90 * y1) ** 3) - far / (1 + 2000 * y1))
    factor = _IMPACT.get((n, m), 0.9) + 0.047 * (jnp.log10(electrons) - 13) - 0.10 * jnp.log10(temperature / 5000)
    square = (0.9 * y1) ** 2
    return width * jnp.clip(factor, 0.5, 1.0), (square + 0.03 * jnp.sqrt(y1)) / (square + 1)


def _exponential_integral(x: jax.Array) -> jax.Array:
    """E1(x), x > 0, to 5e-5: Abramowitz & Stegun (1964), 5.1.53 and 5.1.54."""
    s = jnp.minimum(x, 1.0)
    low = -0.57721566 + s * (0.99999193 + s * (-0.24991055 + s * (0.05519968 + s * (-0.00976004 + s * 0.00107857))))
    b = jnp.clip(x, 1.0, 700.0)
    high = (b * (b + 2.334733) + 0.250621) / (b * (b + 3.330657) + 1.681534) / b * jnp.exp(-b)
    return jnp.where(x < 1, low - jnp.log(s), high)


def _self_broadening(line: HydrogenLine, gas: Gas) -> jax.Array:
    """(d,) half width at half maximum by hydrogen atoms, rad/s.

    `collision_width` for Hα, Hβ and Hγ. Others: resonance broadening of the p states of the lower level, 1.92 π
    (g_1/g_n)^(1/2) n_H e² f_1n / (m_e ω_1n) (Ali & Griem 1966, Phys. Rev. 144, 366), which is too small where it can
    be compared, by 1.5 in Hα.
    """
    atoms = gas.numbers[_HYDROGEN]
    if (line.lower, line.upper) in _SELF:
        return collision_width(*_SELF[line.lower, line.upper], gas.temperature, 2 / MASSES[1]) * atoms
    frequency = 2 * np.pi * LIGHT * level_energy(line.lower)
    return 1.92 * np.pi * 3**-0.5 * CHARGE**2 * oscillator_strength(1, line.lower) / (ELECTRON * frequency) * atoms


@double
def hydrogen_opacity(
    gas: Gas,
    wavelength: jax.Array,
    vmic: jax.Array | float,
    lines: tuple[HydrogenLine, ...],
) -> jax.Array:
    """Extinction coefficient of hydrogen lines.

    Parameters
    ----------
    gas
        d depths.
    wavelength
        (w,) vacuum Å.
    vmic
        Microturbulence, km/s.
    lines
        From `hydrogen_lines`.

    Returns
    -------
    array
        (w, d) cm^-1, stimulated emission included.
    """
    total = jnp.zeros((wavelength.shape[0], gas.temperature.shape[0]))
    for line in lines:
        total = total + _line_opacity(line, gas, vmic, wavelength)
    return total


def _line_opacity(line: HydrogenLine, gas: Gas, vmic: jax.Array | float, wavelength: jax.Array) -> jax.Array:
    """(w, d) cm^-1. Of the profile the logarithm is interpolated, by cubic convolution.

    Keys (1981, IEEE Trans. ASSP 29, 1153), a = -1/2.
    """
    profile = jnp.log(line_profile(line, gas, vmic, jnp.asarray(_FINE * np.sinh(_STEP * _NODES))))
    distance = jnp.abs(line.wavelength * (wavelength - line.wavelength) / wavelength)
    t = jnp.abs(jnp.arcsinh(distance / _FINE)[:, None] / _STEP - _NODES)
    kernel = jnp.where(t < 1, 1 + t**2 * (1.5 * t - 2.5), jnp.where(t < 2, 2 + t * (-4 + t * (2.5 - 0.5 * t)), 0.0))
    shape = jnp.where(distance[:, None] < CUTOFF, jnp.exp(matmul(kernel, profile)), 0.0)
    n = line.lower
    population = 2 * n**2 * (gas.numbers / gas.partition)[_HYDROGEN]
    population = population * jnp.exp(-1e-8 * HC_K * level_energy(n) / gas.temperature)
    stimulated = -jnp.expm1(-HC_K / (line.wavelength * gas.temperature))
    # Over frequency, profiles are λ0²/c times those over wavelength; one factor 1e-8 for Å^-1 and two for λ0².
    cross_section = np.pi * CHARGE**2 / (ELECTRON * LIGHT**2) * oscillator_strength(n, line.upper) * 1e-8
    return cross_section * line.wavelength**2 * population * stimulated * shape
