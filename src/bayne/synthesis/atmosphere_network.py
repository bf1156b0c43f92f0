"""Model atmospheres from networks that were trained on a grid, by Teff, log g, [Fe/H] and [alpha/Fe]."""

from __future__ import annotations

import zipfile
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ..errors import BayneError, ReadError
from ..precision import double, matmul
from ..spectrum import FloatArray
from .atmosphere import Atmosphere, Scale, rosseland_depth
from .constants import BOLTZMANN

#: Labels in the order of the networks' inputs: what the file calls them, and what we do.
_THEIRS = ("TEFF", "LOGG", "FE_H", "ALPHA_FE")
LABELS = ("teff", "logg", "fe_h", "alpha_fe")

#: The columns of an ATLAS deck that are used: RHOX, T, P, XNE, ABROSS, ACCRAD.
_COLUMNS = tuple(f"c{i}" for i in range(6))
_ARRAYS = ("w_array_0", "b_array_0", "w_array_1", "b_array_1", "w_array_2", "b_array_2", "x_min", "x_max")

#: Layers that are used: log tau (Rosseland) of the first, the step, and how many. Deeper ones, from log tau 2 to 3, do
#: not show in a spectrum, and the networks are worst there.
FIRST, STEP, LAYERS = -6.875, 0.125, 72

#: What a structure may be wrong by, dex: the pressure against that of the network for it, from log tau = -4 and from
#: -2 inwards, and the optical depth that column mass and opacity give, from -6 inwards.
PRESSURE, DEPTH = ((-4.0, 0.3), (-2.0, 0.1)), 0.2

#: The largest part of the pressure that electrons may have: 0.52 in hydrogen and helium that are fully ionised, and
#: some error.
ELECTRONS = 0.65

_LEAK = 0.01


class Network(NamedTuple):
    """Networks of c columns in d layers, one hidden width; arrays for a compiled function.

    Parameters
    ----------
    low, high
        (c, 4) labels that become -0.5 and 0.5.
    weights, biases
        Three layers each, (c, out, in) and (c, out).
    """

    low: jax.Array
    high: jax.Array
    weights: tuple[jax.Array, ...]
    biases: tuple[jax.Array, ...]


class Structure(NamedTuple):
    """(..., d) each, from the top inwards: K, dyn/cm² of gas with electrons, g/cm², cm²/g (Rosseland mean).

    Then electrons per cm³, and the gas pressure by its own network.
    """

    temperature: jax.Array
    pressure: jax.Array
    column: jax.Array
    kappa: jax.Array
    electrons: jax.Array
    stated: jax.Array


def structure(network: Network, labels: jax.Array) -> Structure:
    """The structure of the atmosphere at (teff, logg, fe_h, alpha_fe).

    The pressure is what carries the column mass: g RHOX less the radiation's, the integral of ACCRAD over RHOX. So it
    is in hydrostatic equilibrium. That of its own network is, to 1% in the median; but in dwarfs of 4000 K between the
    gravities of the training grid, where RHOX goes on smoothly, it is wrong by a factor of two at the top.

    Pure JAX, differentiable in the labels (4,); it extrapolates in silence, so see `NetworkModels.contains` first.
    """
    hidden = (labels - network.low) / (network.high - network.low) - 0.5
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        if i:
            hidden = jnp.where(hidden > 0, hidden, _LEAK * hidden)
        hidden = matmul(weight, hidden[..., None])[..., 0] + bias
    column, temperature, stated, electrons, kappa, acceleration = 10.0 ** hidden[:, :LAYERS]
    pressure = 10.0 ** labels[1] * column - _integral(column, acceleration)
    return Structure(temperature, pressure, column, kappa, electrons, stated)


def _integral(column: jax.Array, y: jax.Array) -> jax.Array:
    """(d,) of y over the column mass from the surface, y constant above the first layer; trapezoids."""
    steps = 0.5 * (y[1:] + y[:-1]) * jnp.diff(column)
    return jnp.cumsum(jnp.concatenate([y[:1] * column[:1], steps]))


_structures = jax.jit(jax.vmap(structure, in_axes=(None, 0)))
_depths = jax.jit(jax.vmap(_integral))


class NetworkModels:
    """Atmospheres from networks, where these give a possible structure.

    Networks do not know that their columns belong together. `contains` and `at` therefore look at every structure: the
    column mass must increase inwards; pressure must be positive and agree with the network for it (`PRESSURE`); column
    mass and opacity must lead to the optical depths of the models (`DEPTH`); and electrons must not be more than
    hydrogen can give (`ELECTRONS`).

    Of the C3K networks between 3800 and 8000 K nearly all structures with log g of 1.5 and more pass, and few hot ones
    below 0.5, where training models are rare and radiation carries the gas (``benchmarks/atmospheres.py``).

    Parameters
    ----------
    network
        Float64 arrays.
    ranges
        (4, 2) lowest and highest Teff (K), log g, [Fe/H], [alpha/Fe].
    name
        For people.
    """

    label_names: ClassVar[tuple[str, ...]] = LABELS
    scale: ClassVar[Scale] = "rosseland"

    def __init__(self, network: Network, ranges: FloatArray, name: str = "network") -> None:
        self.network, self.ranges, self.name = network, ranges, name

    @cached_property
    def alpha_range(self) -> tuple[float, float]:
        """Lowest and highest [alpha/Fe]."""
        low, high = map(float, self.ranges[3])
        return low, high

    def contains(self, labels: ArrayLike) -> np.ndarray:
        """(...) True where labels (..., 4) are in the ranges and the structure is possible."""
        places = np.asarray(labels, dtype=np.float64)
        inside = np.array(self._inside(places))
        if inside.any():
            inside[inside] = ~np.any(list(self._faults(places[inside])[1].values()), axis=0)
        return inside

    def at(self, teff: float, logg: float, fe_h: float, alpha_fe: float = 0.0) -> Atmosphere:
        """The atmosphere of a star, on the Rosseland optical depth.

        Raises
        ------
        BayneError
            Outside the ranges, or where the networks give no possible structure: says what is wrong with it.
        """
        place = np.array([teff, logg, fe_h, alpha_fe], dtype=np.float64)
        what = f"Teff {teff:g} K, log g {logg:g}, [Fe/H] {fe_h:g}, [alpha/Fe] {alpha_fe:g}"
        if not self._inside(place):
            low, high = self.ranges.T
            raise BayneError(
                f"{what} is outside the models of {self.name}, and nothing is extrapolated. They are within "
                f"Teff {low[0]:g} to {high[0]:g} K, log g {low[1]:g} to {high[1]:g}, [Fe/H] {low[2]:g} to {high[2]:g}, "
                f"[alpha/Fe] {low[3]:g} to {high[3]:g}"
            )
        found, faults = self._faults(place[None])
        for fault, wrong in faults.items():
            if wrong[0]:
                raise BayneError(f"{what}: {self.name} gives no possible atmosphere here, for {fault}")
        temperature, pressure, column, kappa, electrons, _ = found[:, 0]
        return Atmosphere(
            log_tau=np.log10(rosseland_depth(column, kappa)),
            temperature=temperature,
            pressure=pressure,
            electron_pressure=electrons * BOLTZMANN * temperature,
            column=column,
            teff=float(teff),
            logg=float(logg),
            fe_h=float(fe_h),
            name=f"{self.name} {teff:g}/{logg:g}/{fe_h:g}/{alpha_fe:g}",
            scale=self.scale,
        )

    def _inside(self, places: FloatArray) -> np.ndarray:
        return np.asarray(np.all((places >= self.ranges[:, 0]) & (places <= self.ranges[:, 1]), axis=-1))

    @double
    def _faults(self, places: FloatArray) -> tuple[FloatArray, dict[str, np.ndarray]]:
        """Structures at (n, 4) places, (6, n, d) as in `Structure`, and (n,) where each fault is."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = np.stack([np.asarray(each) for each in _structures(self.network, jnp.asarray(places))])
            temperature, pressure, column, kappa, electrons, stated = found
            depths = FIRST + STEP * np.arange(column.shape[1])
            apart = np.abs(np.log10(pressure / stated))
            tau = np.log10(np.asarray(_depths(jnp.asarray(column), jnp.asarray(kappa))))
            depth = np.abs(tau - depths)[:, depths >= -6]
            share = electrons * BOLTZMANN * temperature / pressure
        agree = [np.all(apart[:, depths >= above] < dex, axis=1) for above, dex in PRESSURE]
        # a NaN is a fault too
        return found, {
            "the column mass does not increase inwards": ~np.all(np.diff(column, axis=1) > 0, axis=1),
            "radiation pressure carries more than the gas weighs": ~np.all(pressure > 0, axis=1),
            "its gas pressure is not what the column mass needs": ~np.all(agree, axis=0),
            "column mass and opacity do not give the optical depth of the layers": ~np.all(depth < DEPTH, axis=1),
            "there are more electrons than hydrogen can give": ~np.all(share < ELECTRONS, axis=1),
        }


def is_network(path: str | Path) -> bool:
    """Whether a file is one of networks, by the names of its arrays."""
    try:
        with zipfile.ZipFile(path) as file:
            return f"{_COLUMNS[0]}_{_ARRAYS[0]}.npy" in file.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


@double
def read_network(path: str | Path) -> NetworkModels:
    """Networks of a ``.npz`` file in the form of those of the C3K models, which were computed with ATLAS12.

    Each column of the deck has a network of two hidden layers (leaky ReLU, slope 0.01) that gives log10 of the column
    in all layers. Inputs are scaled to -0.5 to 0.5.

    Parameters
    ----------
    path
        Arrays ``labels`` (``TEFF``, ``LOGG``, ``FE_H``, ``ALPHA_FE``) and for each column c0 (RHOX), c1 (T), c2 (P),
        c3 (XNE), c4 (ABROSS), c5 (ACCRAD): ``c0_w_array_0`` to ``2``, ``c0_b_array_0`` to ``2``, ``c0_x_min``,
        ``c0_x_max``, and ``c0_ranges`` (4, 2).

    Raises
    ------
    ReadError
        No such file, another kind of file, an array that is missing or has a wrong shape.
    """
    path = Path(path)
    if not path.is_file():
        raise ReadError(f"{path}: there is no such file")
    names = ["labels", "c0_ranges", *(f"{column}_{array}" for column in _COLUMNS for array in _ARRAYS)]
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file.files]
            if missing:
                raise ReadError(f"{path.name} has no array {missing[0]!r}; is it one of networks of atmospheres?")
            arrays = {name: file[name] for name in names}
    except ReadError:
        raise
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ReadError(f"{path.name} has arrays that cannot be read: {error}") from error
    labels = tuple(map(str, arrays["labels"]))
    if labels != _THEIRS:
        raise ReadError(f"{path.name}: labels are {', '.join(labels)}; they should be {', '.join(_THEIRS)}")

    def stacked(name: str) -> jax.Array:
        return jnp.asarray(np.stack([arrays[f"{column}_{name}"] for column in _COLUMNS]), dtype=jnp.float64)

    try:
        network = Network(
            stacked("x_min"),
            stacked("x_max"),
            tuple(stacked(f"w_array_{i}") for i in range(3)),
            tuple(stacked(f"b_array_{i}") for i in range(3)),
        )
        ranges = np.array(arrays["c0_ranges"], dtype=np.float64).reshape(4, 2)
        jax.eval_shape(structure, network, jnp.zeros(4))
    except (TypeError, ValueError) as error:
        raise ReadError(f"{path.name}: arrays do not fit together: {error}") from error
    return NetworkModels(network, ranges, path.stem)
