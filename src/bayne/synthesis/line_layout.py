"""How spectral lines are laid out over a wavelength grid, so that their opacity takes few operations."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import toeplitz

from ..errors import BayneError
from ..precision import double
from ..spectrum import FloatArray
from ..wavelength import C_KMS
from .constants import BOLTZMANN, DALTON
from .damping import REFERENCE_TEMPERATURE, collision_width
from .gas import SPECIES, row
from .species import MASSES
from .transitions import LineList

Mask = NDArray[np.bool_]

#: The Voigt function is computed up to this many Doppler widths, at this temperature, from the centre; at smaller
#: Doppler widths that is further out.
CORE_WIDTHS, CORE_TEMPERATURE = 4.5, 8000.0

#: Cores are computed in windows of 8, 16, 32, ... pixels, so many lines at a time. With more of them it takes longer to
#: compile, and is no faster.
SMALLEST, TOGETHER = 8, 4

#: Pixels of a block and lines of a task: of wings, of blends.
WING, BLEND = (256, 64), (64, 128)

#: More lines of a molecule on a grid than this are summed before they are convolved. Lines of atoms are damped each in
#: its own way.
CROWDED = 5000

#: km/s from the centre up to which lines are computed where nothing else is said.
DEFAULT_CUTOFF = 150.0

#: Values of the quintic cardinal B-spline at 0, 1 and 2 (de Boor 1978, A Practical Guide to Splines, chapter 9).
_SPLINE = np.array([66.0, 26.0, 1.0]) / 120

#: Values of `LineData` for a line without strength.
_PHANTOM = (np.log(5000.0), 0, 1.0, -1e4, 0.0, 1.0, 0.0, 0.0, 0.0)


class LineData(NamedTuple):
    """n spectral lines, as the synthesis takes them.

    Parameters
    ----------
    log_wavelength
        (n,) ln of the vacuum wavelength in Å.
    row
        (n,) index of the species in `bayne.synthesis.gas.SPECIES`.
    mass
        (n,) u.
    log_gf
        (n,) natural logarithm.
    energy
        (n,) lower level, eV.
    gamma_rad, gamma_stark
        (n,) s^-1; s^-1 cm^3 per electron at 10,000 K.
    vdw, vdw_power
        (n,) s^-1 cm^3 per hydrogen atom at 10,000 K, and the power of the temperature that it goes with.
    """

    log_wavelength: jax.Array
    row: jax.Array
    mass: jax.Array
    log_gf: jax.Array
    energy: jax.Array
    gamma_rad: jax.Array
    gamma_stark: jax.Array
    vdw: jax.Array
    vdw_power: jax.Array


class Cores(NamedTuple):
    """The cores of lines that need about as many pixels: t times k lines.

    Parameters
    ----------
    line
        (t, k) index of the line; that of the phantom where there is none.
    first
        (t, k) first pixel of the line's window, counted from one window before the grid.
    offset
        (p,) 0, 1, ... p - 1: the pixels of a window.
    """

    line: jax.Array
    first: jax.Array
    offset: jax.Array


class Tasks(NamedTuple):
    """Work in t pieces of one shape: k lines on one block of pixels.

    Parameters
    ----------
    block
        (t,) number of the block, not decreasing.
    line
        (t, k) index of the line; that of the phantom where there is none.
    """

    block: jax.Array
    line: jax.Array


class Blend(NamedTuple):
    """The lines of a species that are summed before they are convolved.

    Parameters
    ----------
    mean
        One line, (1,), with the mean wavelength and the mean damping constants.
    tasks
        Blocks of pixels and their lines, on a grid longer by half of the taps at both ends.
    inverse
        (k, k) from a profile at k pixels to the coefficients of the spline that passes through it.
    """

    mean: LineData
    tasks: Tasks
    inverse: jax.Array


class Lines(NamedTuple):
    """Lines laid out over a wavelength grid; make it with `prepare`.

    Parameters
    ----------
    data
        The n lines, and a phantom without strength.
    core, cutoff
        (n + 1,) distances in ln λ: up to `core` the Voigt function is computed, up to `cutoff` the wings.
    cores, wings, blends
        What is computed where; see `bayne.synthesis.line_opacity`.
    """

    data: LineData
    core: jax.Array
    cutoff: jax.Array
    cores: tuple[Cores, ...]
    wings: Tasks
    blends: tuple[Blend, ...]


@double
def line_data(linelist: LineList) -> LineData:
    """The lines of a list as the synthesis takes them, with the two kinds of van der Waals broadening as one.

    Raises
    ------
    BayneError
        Species that the equation of state does not know, all of them named.

    """
    unknown = [species for species in linelist.species if species not in SPECIES]
    if unknown:
        raise BayneError(
            f"the equation of state has no {', '.join(one.name for one in unknown)}, of which the line list has lines. "
            "Leave them out: linelist.of(species for species in linelist.species if species in SPECIES)"
        )
    rows = np.array([row(species) for species in linelist.species], dtype=np.intp)[linelist.kind]
    mass, alpha = _mass(linelist), linelist.vdw_alpha
    # The full width, from that at half maximum.
    theory = 2 * collision_width(linelist.vdw_sigma, alpha, REFERENCE_TEMPERATURE, 1 / mass + 1 / MASSES[1])
    packed = linelist.vdw_sigma > 0
    columns = (
        np.log(linelist.wavelength),
        rows,
        mass,
        np.log(10.0) * linelist.log_gf,
        linelist.energy,
        linelist.gamma_rad,
        linelist.gamma_stark,
        np.where(packed, theory, linelist.gamma_vdw),
        np.where(packed, (1 - alpha) / 2, 0.3),
    )
    return LineData(*(jnp.asarray(column) for column in columns))


def _mass(linelist: LineList) -> FloatArray:
    return np.array([species.mass for species in linelist.species], dtype=float)[linelist.kind]


@double
def prepare(
    linelist: LineList, wavelength: FloatArray, cutoff: FloatArray | None = None, *, vmic: float = 2.0
) -> Lines:
    """Lay out lines over a wavelength grid.

    Parameters
    ----------
    linelist
        Lines on the grid and around it; those that reach no pixel are left out.
    wavelength
        (w,) vacuum Å, uniform in ln λ; steps of 0.7 to 1 km/s resolve the lines of cool stars.
    cutoff
        (n,) km/s from its centre up to which each line is computed, 0 for none: from `line_cutoff`. Without it, all
        lines end at `DEFAULT_CUTOFF`.
    vmic
        The largest microturbulence expected, km/s. It sets where wings begin.

    Raises
    ------
    BayneError
        A grid that is not uniform in ln λ, a cutoff of the wrong shape, unknown species.
    """
    start, step, pixels = _uniform(wavelength)
    far = np.full(len(linelist), DEFAULT_CUTOFF) if cutoff is None else np.asarray(cutoff, dtype=float)
    if far.shape != (len(linelist),) or not np.all(far >= 0):
        raise BayneError(f"cutoff must be one distance in km/s, 0 or more, for each of the {len(linelist)} lines")
    far = far / C_KMS / step
    position = (np.log(linelist.wavelength) - start) / step
    used = (far > 0) & (position + far >= 0) & (position - far <= pixels - 1)
    linelist, far, position = linelist.select(used), far[used], position[used]
    data = line_data(linelist)
    thermal = 2 * BOLTZMANN * CORE_TEMPERATURE / (_mass(linelist) * DALTON) / 1e10
    core = np.minimum(far, CORE_WIDTHS * np.sqrt(thermal + vmic**2) / C_KMS / step)
    molecules = np.array([species.is_molecule for species in linelist.species], dtype=bool)
    many = np.flatnonzero(molecules & (np.bincount(linelist.kind, minlength=len(linelist.species)) > CROWDED))
    blends = []
    for kind in many:
        mine = linelist.kind == kind
        half = int(np.ceil(core[mine].max())) + 1
        core[mine & (far > core)] = half + 0.5
        spline = np.zeros(2 * half + 1)
        spline[:3] = _SPLINE
        some = LineData(*(column[mine] for column in data))
        mean = LineData(*(jnp.mean(column, keepdims=True) for column in some))._replace(row=some.row[:1])
        plan = _tasks(position + half, np.full(len(linelist), 3.0), mine, pixels + 2 * half, BLEND)
        blends.append(Blend(mean, plan, jnp.asarray(np.linalg.inv(toeplitz(spline)))))
    return Lines(
        LineData(
            *(jnp.append(column, jnp.asarray(last, column.dtype)) for column, last in zip(data, _PHANTOM, strict=True))
        ),
        jnp.append(jnp.asarray(core * step), 0.0),
        jnp.append(jnp.asarray(far * step), 0.0),
        _windows(position, core, far, ~np.isin(linelist.kind, many), pixels),
        _tasks(position, far, far > core, pixels, WING),
        tuple(blends),
    )


def _uniform(wavelength: FloatArray) -> tuple[float, float, int]:
    """First ln λ, step and number of pixels of a grid."""
    log_wavelength = np.log(np.asarray(wavelength, dtype=float))
    if log_wavelength.ndim != 1 or log_wavelength.size < 2:
        raise BayneError(f"the wavelength grid has shape {log_wavelength.shape}; it needs at least two pixels in a row")
    step = (log_wavelength[-1] - log_wavelength[0]) / (log_wavelength.size - 1)
    if not step > 0 or np.max(np.abs(np.diff(log_wavelength) / step - 1)) > 1e-3:
        raise BayneError("wavelengths must increase by equal steps in ln λ; lay lines out for one window at a time")
    return float(log_wavelength[0]), float(step), log_wavelength.size


#: What windows and tasks go beyond the masks of `bayne.synthesis.line_opacity`, in pixels: these must not depend on how
#: numbers are rounded.
_SPARE = 1e-6


def _windows(position: FloatArray, half: FloatArray, far: FloatArray, mask: Mask, pixels: int) -> tuple[Cores, ...]:
    """Cores of the lines where `mask`, which are at `position` and `half` wide in pixels, by the size of the window.

    Lines that reach about as `far` are together, so that a star without the weak ones is spared whole tasks.
    """
    first = np.ceil(position - half - _SPARE).astype(np.intp)
    last = np.floor(position + half + _SPARE).astype(np.intp)
    size = np.where(mask & (last >= 0) & (first < pixels), last - first + 1, 0)
    groups, smaller, window = [], 0, SMALLEST
    while np.any(size > smaller):
        here = np.flatnonzero((size > smaller) & (size <= window))
        here = here[np.argsort(-far[here], kind="stable")]
        rows = -(-here.size // TOGETHER)
        line = np.full(rows * TOGETHER, position.size)
        begin = np.zeros(rows * TOGETHER, dtype=np.intp)
        line[: here.size], begin[: here.size] = here, first[here] + window
        if rows:
            shaped = (line.reshape(rows, TOGETHER), begin.reshape(rows, TOGETHER), np.arange(window))
            groups.append(Cores(*(jnp.asarray(array) for array in shaped)))
        smaller, window = window, 2 * window
    return tuple(groups)


def _tasks(position: FloatArray, half: FloatArray, mask: Mask, pixels: int, shape: tuple[int, int]) -> Tasks:
    """Tasks of the lines where `mask`, which are at `position` and reach `half` pixels to both sides.

    `shape` holds the pixels of a block and the lines of a task.
    """
    per_block, per_task = shape
    index = np.flatnonzero(mask)
    blocks = -(-pixels // per_block)
    first = np.ceil(position[index] - half[index] - _SPARE).astype(np.intp)
    last = np.floor(position[index] + half[index] + _SPARE).astype(np.intp)
    low, high = np.maximum(first, 0) // per_block, np.minimum(last, pixels - 1) // per_block
    count = np.where((first <= last) & (last >= 0) & (first < pixels), high - low + 1, 0)
    which = np.repeat(np.arange(index.size), count)
    block = low[which] + np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)
    order = np.argsort(block, kind="stable")
    which, block = which[order], block[order]
    number = np.bincount(block, minlength=blocks)
    pieces = -(-number // per_task)
    rank = np.arange(block.size) - np.repeat(np.cumsum(number) - number, number)
    line = np.full((int(pieces.sum()), per_task), position.size, dtype=np.intp)
    line[np.repeat(np.cumsum(pieces) - pieces, number) + rank // per_task, rank % per_task] = index[which]
    return Tasks(jnp.asarray(np.repeat(np.arange(blocks), pieces)), jnp.asarray(line))
