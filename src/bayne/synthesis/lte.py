"""The simplified physics: LTE spectra of plane-parallel atmospheres in JAX, differentiable in everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ..errors import BayneError
from ..precision import double
from ..spectrum import FloatArray
from .abundances import abundances, alpha_of, response
from .atmosphere import Atmosphere, integrate
from .atmosphere_grid import AtmosphereGrid, Spline, structure
from .atmosphere_network import Network, NetworkModels
from .atmosphere_network import structure as network_structure
from .continuum import continuum
from .gas import SPECIES, equilibrium
from .hydrogen import HydrogenLine, hydrogen_lines, hydrogen_opacity
from .line_layout import LineData, Lines, line_data, prepare
from .line_opacity import line_cutoff, line_opacity
from .linelist import LineList
from .models import REFERENCE, Grey, Models, place_of
from .synthesiser import Synthesiser, register
from .transfer import emergent_flux

#: Stars whose lines decide which lines count, and how far from their centres: effective temperature (K) and log g. They
#: are rich in metals, and lines ten times as weak as count there are kept, for stars with more of one element.
STARS, RICH, THRESHOLD = ((3900.0, 1.0), (4700.0, 4.6), (5800.0, 4.4), (7000.0, 4.0)), 0.5, 1e-4

#: Microturbulence with which they are found, and the largest expected (km/s); lines that are looked at together.
VMIC, CHUNK = 2.5, 20_000

#: Pixels between those where the continuum is computed: 50 km/s. Edges of bound-free opacity are smeared over as much.
SMOOTH = 64

#: Pixels that are computed together, at most: arrays of a long window do not fit into caches.
PIECE = 40_000

#: Layers of a model are left out that are deeper than this optical depth at 5000 Å, and, above the second one, that are
#: closer in log tau than this. On the STAGGER models spectra change by 0.00005 in the mean (0.001 at most).
DEEPEST, SHALLOW, APART = 20.0, 0.05, 0.19

#: The number of layers is a multiple of this where optical depths at 5000 Å are not the same for all stars.
MULTIPLE = 16

#: What `radiation` needs of a window.
Window = tuple[tuple[HydrogenLine, ...], Lines, jax.Array]


@register
class LTE(Synthesiser):
    """Local thermodynamic equilibrium, plane-parallel, scattering in the continuum taken for absorption.

    Lines of species that the equation of state does not know are left out, and lines that show in no star; lines of
    hydrogen are added.
    """

    name: ClassVar[str] = "lte"

    @double
    def __init__(self, lines: LineList, wavelength: Sequence[FloatArray]) -> None:
        super().__init__(lines.of(SPECIES), wavelength)
        cutoff = _cutoffs(self.lines)
        self.laid: list[Window] = [
            (hydrogen_lines(wave[0], wave[-1]), prepare(self.lines, wave, cutoff, vmic=VMIC), jnp.asarray(wave))
            for window in self.windows
            for wave in np.array_split(window, -(-window.size // PIECE))
        ]

    @double
    def synthesise(self, atmosphere: Atmosphere, abundance: FloatArray, vmic: float) -> tuple[FloatArray, FloatArray]:
        """See `Synthesiser`."""
        temperature, pressure, share = (
            jnp.asarray(x) for x in (atmosphere.temperature, atmosphere.pressure, abundance)
        )
        log_tau = log_tau_5000(atmosphere, share)
        # depths of models on another scale differ from star to star; a new number of layers has to be compiled
        kept = _layers(np.asarray(log_tau), 1 if atmosphere.scale == "5000" else MULTIPLE)
        log_tau, temperature, pressure = log_tau[kept], temperature[kept], pressure[kept]
        parts = [
            radiation(*window, log_tau, temperature, pressure, share, jnp.asarray(float(vmic))) for window in self.laid
        ]
        flux, without = (np.concatenate([np.asarray(part[i]) for part in parts]) for i in (0, 1))
        return flux, without

    @double
    def derivatives(
        self, models: Models, labels: Mapping[str, float], solar_scale: str
    ) -> tuple[FloatArray, FloatArray]:
        """Normalised flux (w,) and its derivatives by the labels (l, w), exact, the atmosphere's changes included.

        [alpha/Fe] of the atmosphere moves with the labels that `place_of` takes it from. Where it is cut to the range
        of the models it does not move; at the very end of the range half the derivative of the inside is taken.

        Parameters
        ----------
        models
            Networks, or a grid interpolated by splines.
        labels
            Values by name: ``teff``, ``logg``, ``fe_h``, ``vmic``, and abundances ``<element>_fe``.
        solar_scale
            Of the abundances.

        Raises
        ------
        BayneError
            Other models (grey ones, grids that are interpolated otherwise), or a star outside them.
        """
        arrays: Network | Spline
        if isinstance(models, NetworkModels):
            arrays = models.network
        elif isinstance(models, AtmosphereGrid) and models.method == "spline":
            arrays = models.spline
        else:
            raise BayneError("exact derivatives need models from networks, or a grid interpolated by splines")
        star = models.at(*map(float, place_of(models, labels)))
        names, at = list(labels), jnp.asarray(list(labels.values()))
        share, dex = jnp.asarray(abundances(labels, solar_scale)), response(tuple(labels))
        depths, vmic = np.asarray(log_tau_5000(star, share)), names.index("vmic")
        kept = _layers(depths, 1 if star.scale == "5000" else MULTIPLE)

        def layers(arrays: Network | Spline, x: jax.Array, atoms: jax.Array) -> tuple[jax.Array, ...]:
            """Optical depth at 5000 Å (log10), temperature, pressure."""
            named = dict(zip(names, x, strict=True))
            place = {**named, "alpha_fe": jnp.clip(alpha_of(named), *models.alpha_range)}
            position = jnp.stack([place[name] for name in models.label_names])
            if isinstance(arrays, Network):
                temperature, pressure, column = network_structure(arrays, position)[:3]
            else:
                found = structure(arrays, position)
                temperature, pressure, column = found[0], found[1], found[-1]  # the last, if it is stated
                if star.scale == "5000":
                    return jnp.asarray(star.log_tau), temperature, pressure
            return depth_5000(temperature, pressure, column, atoms), temperature, pressure

        @partial(jax.jit, static_argnums=0)
        def slope(
            hydrogen: tuple[HydrogenLine, ...],
            lines: Lines,
            wavelength: jax.Array,
            arrays: Network | Spline,
            direction: jax.Array,
        ) -> tuple[jax.Array, jax.Array]:
            def normalised(x: jax.Array) -> jax.Array:
                atoms = share * 10.0 ** (dex @ (x - at))
                log_tau, temperature, pressure = (layer[kept] for layer in layers(arrays, x, atoms))
                flux, without = radiation(hydrogen, lines, wavelength, log_tau, temperature, pressure, atoms, x[vmic])
                return flux / without

            return jax.jvp(normalised, (at,), (direction,))

        found = [[slope(*window, arrays, each) for window in self.laid] for each in jnp.eye(len(names))]
        return (
            np.concatenate([np.asarray(value) for value, _ in found[0]]),
            np.stack([np.concatenate([np.asarray(change) for _, change in row]) for row in found]),
        )


@partial(jax.jit, static_argnums=0)
def radiation(
    hydrogen: tuple[HydrogenLine, ...],
    lines: Lines,
    wavelength: jax.Array,
    log_tau: jax.Array,
    temperature: jax.Array,
    pressure: jax.Array,
    abundance: jax.Array,
    vmic: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Flux of an atmosphere and its continuum (w,), erg/s/cm²/Å; a pure function, with derivatives by all that is real.

    Parameters
    ----------
    hydrogen
        From `hydrogen_lines`.
    lines, wavelength
        From `prepare`, and the (w,) vacuum Å that it was given.
    log_tau, temperature, pressure
        (d,) log10 of the optical depth at 5000 Å, K, dyn/cm².
    abundance
        (93,) atoms per hydrogen atom.
    vmic
        km/s.
    """
    gas = equilibrium(temperature, pressure, abundance)
    pixels = wavelength.shape[0]
    blocks = -(-pixels // SMOOTH)
    step = jnp.log(wavelength[-1] / wavelength[0]) / (pixels - 1)
    knots = wavelength[0] * jnp.exp(step * SMOOTH * jnp.arange(blocks + 1))
    at_knots, at_reference = sum(continuum(gas, knots)), sum(continuum(gas, jnp.full(1, REFERENCE)))[0]
    tau = 10.0**log_tau
    floor = THRESHOLD * jnp.min(at_knots, axis=0) * jnp.exp(tau - 1) / tau
    own = line_opacity(gas, lines, vmic, wavelength, floor) + hydrogen_opacity(gas, wavelength, vmic, hydrogen)
    flux = emergent_flux(wavelength, log_tau, at_reference, _between(at_knots)[:pixels] + own, None, temperature)
    return flux, _between(emergent_flux(knots, log_tau, at_reference, at_knots, None, temperature))[:pixels]


def _between(values: jax.Array) -> jax.Array:
    """(k * SMOOTH, ...) from (k + 1, ...) values at every `SMOOTH`-th pixel, linear."""
    share = jnp.reshape(jnp.arange(SMOOTH) / SMOOTH, (SMOOTH,) + (1,) * (values.ndim - 1))
    filled = values[:-1, None] + share * (values[1:] - values[:-1])[:, None]
    return jnp.reshape(filled, (-1, *values.shape[1:]))


def log_tau_5000(atmosphere: Atmosphere, abundance: jax.Array) -> jax.Array:
    """(d,) log10 of the optical depth at 5000 Å; integrated over the column mass of models on another scale."""
    if atmosphere.scale == "5000":
        return jnp.asarray(atmosphere.log_tau)
    temperature, pressure = jnp.asarray(atmosphere.temperature), jnp.asarray(atmosphere.pressure)
    return depth_5000(temperature, pressure, jnp.asarray(atmosphere.column), abundance)


def depth_5000(temperature: jax.Array, pressure: jax.Array, column: jax.Array, abundance: jax.Array) -> jax.Array:
    """(d,) log10 of the optical depth at 5000 Å in the continuum; pure JAX, differentiable in everything.

    Parameters
    ----------
    temperature, pressure, column
        (d,) K, dyn/cm², g/cm² from the top inwards.
    abundance
        (93,) atoms per hydrogen atom.
    """
    gas = equilibrium(temperature, pressure, abundance)
    kappa = sum(continuum(gas, jnp.full(1, REFERENCE)))[0] / gas.density
    # above the first layer the opacity goes on as a power of the column mass
    power = jnp.log(kappa[1] / kappa[0]) / jnp.log(column[1] / column[0])
    return jnp.log10(integrate(jnp.log(column), kappa, kappa[0] * column[0] / jnp.maximum(1 + power, 0.1)))


def _layers(log_tau: FloatArray, multiple: int = 1) -> NDArray[np.intp]:
    """Indices of the layers that the spectrum is computed from; their number is a multiple, if there are enough."""
    kept = [0]
    for i, here in enumerate(log_tau[1:], start=1):
        if here < np.log10(DEEPEST) and (here > np.log10(SHALLOW) or here - log_tau[kept[-1]] > APART):
            kept.append(i)
    rest = np.setdiff1d(np.arange(log_tau.size), kept)[::-1]  # the deepest first
    return np.sort(np.concatenate([kept, rest[: -len(kept) % multiple]]).astype(np.intp))


def _cutoffs(lines: LineList) -> FloatArray:
    """(n,) km/s up to which each line matters in one of `STARS`; 0 for lines that matter in none."""
    share = jnp.asarray(abundances({"fe_h": RICH}, "asplund2009"))
    models, data, found = Grey(), line_data(lines), np.zeros(len(lines))
    for teff, logg in STARS:
        star = models.at(teff, logg, RICH)
        gas = equilibrium(jnp.asarray(star.temperature), jnp.asarray(star.pressure), share)
        for i in range(0, len(lines), CHUNK):
            some = slice(i, i + CHUNK)
            at_lines = sum(continuum(gas, jnp.asarray(lines.wavelength[some])))
            part = LineData(*(jnp.asarray(array[some]) for array in data))
            cutoff = line_cutoff(gas, part, VMIC, at_lines, jnp.asarray(star.log_tau), THRESHOLD)
            found[some] = np.maximum(found[some], np.asarray(cutoff))
    return found
