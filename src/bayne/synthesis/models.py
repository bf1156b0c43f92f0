"""Where model atmospheres come from: a grid of models, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ..spectrum import FloatArray
from .abundances import abundances
from .atmosphere import Atmosphere
from .atmosphere_grid import read_grid
from .continuum import continuum
from .gas import equilibrium
from .grey import grey_atmosphere

#: Where a grey atmosphere stands for a star at all: effective temperature (K), log g, [Fe/H].
GREY = ((3500.0, 8500.0), (0.0, 5.5), (-5.0, 1.0))

#: Wavelength of the optical depth that atmospheres are tabulated on, vacuum Å.
REFERENCE = 5000.0


class Models(Protocol):
    """Model atmospheres by effective temperature (K), log g and [Fe/H]."""

    def contains(self, labels: FloatArray) -> np.ndarray:
        """(...) True where there is one for labels (..., 3)."""

    def at(self, teff: float, logg: float, fe_h: float) -> Atmosphere:
        """The atmosphere of a star; raises BayneError where there is none."""


class Grey:
    """Grey atmospheres with the opacity at 5000 Å of solar-scaled abundances."""

    def __init__(self, solar_scale: str = "asplund2009") -> None:
        self.solar_scale = solar_scale

    def contains(self, labels: FloatArray) -> np.ndarray:
        """See `Models`."""
        return np.all([(low <= x) & (x <= high) for x, (low, high) in zip(labels.T, GREY, strict=True)], axis=0)

    def at(self, teff: float, logg: float, fe_h: float) -> Atmosphere:
        """See `Models`."""
        abundance = jnp.asarray(abundances({"fe_h": fe_h}, self.solar_scale))
        return grey_atmosphere(teff, logg, fe_h, lambda t, p: _opacity(t, p, abundance))


@jax.jit
def _opacity(temperature: jax.Array, pressure: jax.Array, abundance: jax.Array) -> jax.Array:
    """(d,) extinction at 5000 Å, cm²/g."""
    gas = equilibrium(temperature, pressure, abundance)
    return jnp.sum(jnp.stack(continuum(gas, jnp.full(1, REFERENCE))), axis=0)[0] / gas.density


def read_models(source: str, solar_scale: str) -> Models:
    """Models from a file or folder, see `read_grid`; ``"grey"`` for `Grey`."""
    return Grey(solar_scale) if source == "grey" else read_grid(Path(source))
