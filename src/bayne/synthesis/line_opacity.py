"""Opacity of metal and molecular lines in local thermodynamic equilibrium (JAX).

Every line is a Voigt profile. What is computed, and how, depends on the distance from the line's centre:

- *cores*, a few Doppler widths on either side: the Voigt function, for every line, pixel and depth;
- *wings*, from there to the line's own cutoff: a polynomial in the inverse square of the distance. Each term is a
  product of what depends on the distance and what depends on the depth, so that the sum over lines is a product of
  matrices;
- *blends*, the lines of a species that has many (TiO): all have the profile of that species at that depth, so that
  their strengths are put on the grid with weights of a spline, and the sum is convolved with the profile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..precision import double, matmul
from .constants import BOLTZMANN, BOLTZMANN_EV, CHARGE, DALTON, ELECTRON, HC_K, LIGHT
from .gas import SPECIES, Gas, row
from .line_layout import BLEND, TOGETHER, WING, Blend, Cores, LineData, Lines, Tasks
from .species import MASSES, parse_species
from .voigt import voigt

#: π e² / (m_e c), cm² s^-1: the cross section of a classical oscillator, integrated over frequency.
_CROSS_SECTION = float(np.pi * CHARGE**2 / (ELECTRON * LIGHT))
_SQRT_PI = float(np.sqrt(np.pi))

#: Helium atoms and hydrogen molecules as perturbers, relative to hydrogen atoms. The van der Waals width goes as
#: α^(2/5) μ^(-3/10) with the polarisability of the perturber and the reduced mass (Unsöld 1955; see
#: `bayne.synthesis.damping.unsold_width`); α = 4.500, 1.383 and 5.414 a0³ (Schwerdtfeger & Nagle 2019, Mol. Phys. 117,
#: 1200, for H and He; Kołos & Wolniewicz 1967, J. Chem. Phys. 46, 1426, for H2), and a heavy absorber.
_PERTURBERS = {
    "H I": 1.0,
    "He I": (1.383 / 4.5) ** 0.4 * (MASSES[1] / MASSES[2]) ** 0.3,
    "H2": (5.414 / 4.5) ** 0.4 * 0.5**0.3,
}
_PERTURBER_ROWS = [
    (row(species), weight) for name, weight in _PERTURBERS.items() if (species := parse_species(name)) in SPECIES
]


@double
def line_opacity(
    gas: Gas, lines: Lines, vmic: jax.Array | float, wavelength: jax.Array, floor: jax.Array | float = 0.0
) -> jax.Array:
    """Extinction coefficient of the lines.

    Parameters
    ----------
    gas
        d depths.
    lines
        Laid out by `prepare` for this grid.
    vmic
        Microturbulence, km/s.
    wavelength
        (w,) vacuum Å, the grid that `prepare` was given.
    floor
        (d,) cm^-1. The cores of lines below it at all depths may be left out.

    Returns
    -------
    array
        (w, d) cm^-1, stimulated emission included.

    Notes
    -----
    α = (π e² / m_e c) gf (N / U) exp(-E/kT) (1 - exp(-hν/kT)) H(a, u) / (π^1/2 Δν_D) (Mihalas 1978, Stellar
    Atmospheres, 2nd ed., eqs. 4-38 and 9-35), with the Doppler width Δν_D = (2kT/m + ξ²)^(1/2) / λ. Widths at
    temperature T: van der Waals as T^((1 - α)/2) or T^0.3, Stark as T^(1/6). Perturbers are hydrogen atoms, 0.41
    helium atoms and 0.88 hydrogen molecules. The cores take the distance from the centre in ln λ for that in frequency.
    """
    pixels = wavelength.shape[0]
    start = jnp.log(wavelength[0])
    grid = _Grid(start, (jnp.log(wavelength[-1]) - start) / (pixels - 1), pixels)
    layers = _layers(gas, vmic)
    total = _wings(layers, lines, grid)
    speed = _speed(layers, lines.data)
    amplitude = _amplitude(layers, lines.data, speed)
    shows = jnp.any(amplitude > floor, axis=1)
    for cores in lines.cores:
        total = total + _cores(layers, lines, cores, grid, speed, amplitude, shows)
    for blend in lines.blends:
        total = total + _blend(layers, lines, blend, grid)
    return total


@double
def line_cutoff(
    gas: Gas,
    data: LineData,
    vmic: jax.Array | float,
    continuum: jax.Array,
    log_tau: jax.Array,
    threshold: float = 1e-4,
) -> jax.Array:
    """How far from their centres lines matter to the spectrum of a star.

    Parameters
    ----------
    gas
        d depths.
    data
        n lines, from `line_data`.
    vmic
        Microturbulence, km/s.
    continuum
        (n, d) cm^-1, the continuous extinction at the lines' centres.
    log_tau
        (d,) log10 of the optical depth at 5000 Å.
    threshold
        Ratio of line to continuum below which a line does not count.

    Returns
    -------
    array
        (n,) km/s; 0 for lines that matter nowhere. For a grid of stars, take the largest of each line.

    Notes
    -----
    Opacity at optical depth τ moves the emergent flux by about its ratio to the continuum times τ exp(-τ), so that the
    ratio is weighted with τ exp(1 - τ). The cutoff is where the larger of the Gaussian core and the Lorentz wing,
    a π^-1/2 / u², falls below the threshold.
    """
    layers = _layers(gas, vmic)
    speed = _speed(layers, data)
    tau = 10.0**log_tau
    ratio = _amplitude(layers, data, speed) / continuum * tau * jnp.exp(1 - tau) / threshold
    core = jnp.sqrt(jnp.log(jnp.maximum(ratio, 1.0)))
    wing = jnp.sqrt(_damping(layers, data, speed) / _SQRT_PI * ratio)
    return jnp.max(jnp.where(ratio > 1, jnp.maximum(core, wing), 0.0) * speed, axis=1) / 1e5


#: Adding to a few rows of an array, from one row on. As a scatter, and not as a slice that is replaced, its transpose
#: touches these rows only.
_ROWS = jax.lax.ScatterDimensionNumbers((0, 1), (), (0,))


class _Layers(NamedTuple):
    """What lines need to know of a gas: (d,), but `population` (s, d), number densities over partition functions."""

    temperature: jax.Array
    electrons: jax.Array
    perturbers: jax.Array
    population: jax.Array
    turbulence: jax.Array


class _Grid(NamedTuple):
    """First ln λ, its step and the number of pixels."""

    start: jax.Array
    step: jax.Array
    pixels: int


def _layers(gas: Gas, vmic: jax.Array | float) -> _Layers:
    perturbers = jnp.stack([weight * gas.numbers[index] for index, weight in _PERTURBER_ROWS]).sum(axis=0)
    turbulence = jnp.broadcast_to((1e5 * jnp.asarray(vmic)) ** 2, gas.temperature.shape)
    return _Layers(gas.temperature, gas.electrons, perturbers, gas.numbers / gas.partition, turbulence)


def _speed(layers: _Layers, data: LineData) -> jax.Array:
    """(n, d) Doppler width, cm/s."""
    return jnp.sqrt(2 * BOLTZMANN / DALTON * layers.temperature / data.mass[:, None] + layers.turbulence)


def _amplitude(layers: _Layers, data: LineData, speed: jax.Array) -> jax.Array:
    """(n, d) cm^-1: the opacity is this times H(a, u)."""
    wavelength = jnp.exp(data.log_wavelength)[:, None]
    boltzmann = jnp.exp(data.log_gf[:, None] - data.energy[:, None] / (BOLTZMANN_EV * layers.temperature))
    stimulated = -jnp.expm1(-HC_K / (wavelength * layers.temperature))
    factor = _CROSS_SECTION / _SQRT_PI * 1e-8
    return factor * wavelength * layers.population[data.row] * boltzmann * stimulated / speed


def _damping(layers: _Layers, data: LineData, speed: jax.Array) -> jax.Array:
    """(n, d) parameter a of the Voigt function."""
    log_t = jnp.log(layers.temperature / 1e4)
    gamma = (
        data.gamma_rad[:, None]
        + data.gamma_stark[:, None] * layers.electrons * jnp.exp(log_t / 6)
        + data.vdw[:, None] * layers.perturbers * jnp.exp(data.vdw_power[:, None] * log_t)
    )
    return gamma * 1e-8 * jnp.exp(data.log_wavelength)[:, None] / (4 * jnp.pi * speed)


def _take(data: LineData, index: jax.Array) -> LineData:
    return LineData(*(array[index] for array in data))


def _cores(
    layers: _Layers,
    lines: Lines,
    cores: Cores,
    grid: _Grid,
    speed: jax.Array,
    amplitude: jax.Array,
    shows: jax.Array,
) -> jax.Array:
    """(w, d) sum of the lines of one size of window, added one after the other; tasks where no line shows are skipped.

    `speed`, `amplitude` (n, d) and `shows` (n,) are of all lines.
    """
    size = cores.offset.shape[0]

    def added(total: jax.Array, index: jax.Array, first: jax.Array) -> jax.Array:
        data, width = _take(lines.data, index), speed[index]
        distance = grid.start + grid.step * (first[:, None] - size + cores.offset) - data.log_wavelength[:, None]
        inside = jnp.where(jnp.abs(distance) <= lines.core[index][:, None], 1.0, 0.0)
        profile = voigt(_damping(layers, data, width)[:, None], distance[..., None] * (LIGHT / width)[:, None])
        profile = inside[..., None] * amplitude[index][:, None] * profile
        for k in range(TOGETHER):
            total = jax.lax.scatter_add(total, first[k, None], profile[k], _ROWS, mode="promise_in_bounds")
        return total

    def step(total: jax.Array, task: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        needed, index, first = task
        return jax.lax.cond(needed, added, lambda total, *_: total, total, index, first), None

    # A window can begin one window before the grid and end one after it.
    empty = jnp.zeros((grid.pixels + 2 * size, layers.temperature.shape[0]))
    tasks = (shows[cores.line].any(axis=1), cores.line, cores.first)
    # Recomputed in the backward pass: what one step keeps for it would be kept for all.
    total, _ = jax.lax.scan(jax.checkpoint(step, prevent_cse=False), empty, tasks)
    return total[size : size + grid.pixels]


def _blocks(
    plan: Tasks, pixels: int, size: int, depths: int, piece: Callable[[jax.Array, jax.Array], jax.Array]
) -> jax.Array:
    """(pixels or a few more, d) sum of what `piece(block, lines)`, (size, d), makes of each task."""

    def add(total: jax.Array, task: Tasks) -> tuple[jax.Array, None]:
        return total.at[task.block].add(piece(task.block, task.line), mode="promise_in_bounds"), None

    empty = jnp.zeros((-(-pixels // size), size, depths))
    total, _ = jax.lax.scan(jax.checkpoint(add, prevent_cse=False), empty, plan)
    return total.reshape(-1, depths)


def _wings(layers: _Layers, lines: Lines, grid: _Grid) -> jax.Array:
    """(w, d) sum of polynomials in the inverse square of the distance, through three values of the Voigt function.

    Far out H(a, u) is a series in u^-2 (Abramowitz & Stegun 1964, 7.1.23, for a real distance). Of the first three
    powers, the coefficients are those that give H at the distances `_NODES`, and not those of the series, which fails
    where a > u, deep inside stars.
    """

    def piece(block: jax.Array, index: jax.Array) -> jax.Array:
        data, core, cutoff = _take(lines.data, index), lines.core[index], lines.cutoff[index]
        pixel = block * WING[0] + jnp.arange(WING[0])
        distance = grid.start + grid.step * pixel[:, None] - data.log_wavelength
        inside = (jnp.abs(distance) > core) & (jnp.abs(distance) <= cutoff)
        edge = jnp.maximum(core, 1e-9)
        # In frequency, from that in ln λ; in units of the distance of the core's edge.
        ratio = jnp.where(inside, edge / jnp.where(inside, jnp.expm1(-distance), 1.0), 0.0) ** 2
        speed = _speed(layers, data)
        u = LIGHT * edge[:, None] / speed / np.sqrt(_NODES)[:, None, None]
        values = _amplitude(layers, data, speed) * voigt(_damping(layers, data, speed), u)
        factors = jnp.tensordot(_THROUGH_NODES, values, axes=1).reshape(-1, speed.shape[1])
        return matmul(jnp.concatenate([ratio, ratio**2, ratio**3], axis=1), factors)

    return _blocks(lines.wings, grid.pixels, WING[0], layers.temperature.shape[0], piece)[: grid.pixels]


def _blend(layers: _Layers, lines: Lines, blend: Blend, grid: _Grid) -> jax.Array:
    """(w, d) opacity of one species. Its profile is a quintic spline through its values at the pixels, for all lines.

    Σ_l A_l f(x - x_l) with f(x) = Σ_q c_q B(x - q), B the cardinal B-spline, is c convolved with Σ_l A_l B(x - x_l).
    """
    taps = blend.inverse.shape[0]
    half = taps // 2
    speed = _speed(layers, blend.mean)

    def piece(block: jax.Array, index: jax.Array) -> jax.Array:
        data = _take(lines.data, index)
        pixel = block * BLEND[0] + jnp.arange(BLEND[0]) - half
        distance = pixel[:, None] - (data.log_wavelength - grid.start) / grid.step
        return matmul(_b_spline(distance), _amplitude(layers, data, speed))

    strength = _blocks(blend.tasks, grid.pixels + 2 * half, BLEND[0], layers.temperature.shape[0], piece)
    u = (jnp.arange(taps) - half)[:, None] * (grid.step * LIGHT) / speed
    coefficients = matmul(blend.inverse, voigt(_damping(layers, blend.mean, speed), u))
    total = jnp.zeros((grid.pixels, layers.temperature.shape[0]))
    for k in range(taps):
        begin = taps - 1 - k
        total = total + coefficients[k] * strength[begin : begin + grid.pixels]
    return jnp.maximum(total, 0.0)  # beside lines as narrow as pixels the spline swings below zero


#: Inverse squares of the distances, in units of the edge of the core, at which wings are exact. With others, the
#: polynomial can be negative between them where a is large.
_NODES = np.array([1.0, 0.6, 0.25])
_THROUGH_NODES = np.linalg.inv(_NODES[:, None] ** np.arange(1, 4))


def _b_spline(x: jax.Array) -> jax.Array:
    """The quintic cardinal B-spline (de Boor 1978, A Practical Guide to Splines, chapter 9, as truncated powers)."""
    x = jnp.abs(x)
    return (jnp.maximum(3 - x, 0.0) ** 5 - 6 * jnp.maximum(2 - x, 0.0) ** 5 + 15 * jnp.maximum(1 - x, 0.0) ** 5) / 120
