"""The simplified physics: LTE spectra of plane-parallel atmospheres in JAX, differentiable in everything."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ..precision import double
from ..spectrum import FloatArray
from .abundances import abundances
from .atmosphere import Atmosphere, integrate
from .continuum import continuum
from .gas import SPECIES, equilibrium
from .hydrogen import HydrogenLine, hydrogen_lines, hydrogen_opacity
from .line_layout import LineData, Lines, line_data, prepare
from .line_opacity import line_opacity, line_reach
from .linelist import LineList
from .models import REFERENCE, Grey
from .synthesiser import Synthesiser, register
from .transfer import emergent_flux

#: Stars whose lines decide which lines count, and how far from their centres: effective temperature (K) and log g. They
#: are rich in metals, and lines ten times as weak as count there are kept, for stars with more of one element.
STARS, RICH, THRESHOLD = ((3900.0, 1.0), (4700.0, 4.6), (5800.0, 4.4), (7000.0, 4.0)), 0.5, 1e-4

#: Microturbulence with which they are found, and the largest expected (km/s); lines that are looked at together.
VMIC, CHUNK = 2.5, 20_000


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
        reach = _reach(self.lines)
        self.laid = [
            (hydrogen_lines(wave[0], wave[-1]), prepare(self.lines, wave, reach, vmic=VMIC), jnp.asarray(wave))
            for wave in self.windows
        ]

    @double
    def synthesise(self, atmosphere: Atmosphere, abundance: FloatArray, vmic: float) -> tuple[FloatArray, FloatArray]:
        """See `Synthesiser`."""
        temperature, pressure, share = (
            jnp.asarray(x) for x in (atmosphere.temperature, atmosphere.pressure, abundance)
        )
        log_tau = log_tau_5000(atmosphere, share)
        parts = [
            radiation(*window, log_tau, temperature, pressure, share, jnp.asarray(float(vmic))) for window in self.laid
        ]
        flux, without = (np.concatenate([np.asarray(part[i]) for part in parts]) for i in (0, 1))
        return flux, without


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
    absorption, scattering = continuum(gas, wavelength)
    at_reference = sum(continuum(gas, jnp.full(1, REFERENCE)))[0]
    own = line_opacity(gas, lines, vmic, wavelength) + hydrogen_opacity(gas, wavelength, vmic, hydrogen)
    with_lines, without = (
        emergent_flux(wavelength, log_tau, at_reference, extinction, None, temperature)
        for extinction in (absorption + scattering + own, absorption + scattering)
    )
    return with_lines, without


def log_tau_5000(atmosphere: Atmosphere, abundance: jax.Array) -> jax.Array:
    """(d,) log10 of the optical depth at 5000 Å; integrated over the column mass of models on another scale."""
    if atmosphere.scale == "5000":
        return jnp.asarray(atmosphere.log_tau)
    gas = equilibrium(jnp.asarray(atmosphere.temperature), jnp.asarray(atmosphere.pressure), abundance)
    kappa = sum(continuum(gas, jnp.full(1, REFERENCE)))[0] / gas.density
    column = jnp.asarray(atmosphere.column)
    # above the first layer the opacity goes on as a power of the column mass
    power = jnp.log(kappa[1] / kappa[0]) / jnp.log(column[1] / column[0])
    return jnp.log10(integrate(jnp.log(column), kappa, kappa[0] * column[0] / jnp.maximum(1 + power, 0.1)))


def _reach(lines: LineList) -> FloatArray:
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
            reach = line_reach(gas, part, VMIC, at_lines, jnp.asarray(star.log_tau), THRESHOLD)
            found[some] = np.maximum(found[some], np.asarray(reach))
    return found
