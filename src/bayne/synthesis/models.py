"""Where model atmospheres come from: a grid of models, or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ..spectrum import FloatArray
from .abundances import abundances, alpha_of
from .atmosphere import Atmosphere
from .atmosphere_grid import read_grid
from .atmosphere_network import is_network, read_network
from .continuum import continuum
from .gas import equilibrium
from .grey import grey_atmosphere

#: Where a grey atmosphere stands for a star at all: effective temperature (K), log g, [Fe/H].
GREY = ((3500.0, 8500.0), (0.0, 5.5), (-5.0, 1.0))

#: Wavelength of the optical depth that atmospheres are tabulated on, vacuum Å.
REFERENCE = 5000.0


class Models(Protocol):
    """Model atmospheres by effective temperature (K), log g, [Fe/H], and some by [alpha/Fe].

    Those whose `label_names` have no ``"alpha_fe"`` are of one composition for each [Fe/H], as a rule the solar
    one scaled. They take `alpha_fe` in `at` and give the same structure whatever it is.
    """

    @property
    def label_names(self) -> tuple[str, ...]:
        """What they depend on, in order: ``("teff", "logg", "fe_h")``, and ``"alpha_fe"`` for some."""

    @property
    def alpha_range(self) -> tuple[float, float]:
        """Lowest and highest [alpha/Fe]; both 0 where it is no label."""

    def contains(self, labels: FloatArray) -> np.ndarray:
        """(...) True where there is one for labels (..., 3 or 4), in the order of `label_names`."""

    def at(self, teff: float, logg: float, fe_h: float, alpha_fe: float = 0.0) -> Atmosphere:
        """The atmosphere of a star; raises BayneError where there is none."""


class Grey:
    """Grey atmospheres with the opacity at 5000 Å of solar-scaled abundances."""

    label_names: ClassVar[tuple[str, ...]] = ("teff", "logg", "fe_h")
    alpha_range: ClassVar[tuple[float, float]] = (0.0, 0.0)

    def __init__(self, solar_scale: str = "asplund2009") -> None:
        self.solar_scale = solar_scale

    def contains(self, labels: FloatArray) -> np.ndarray:
        """See `Models`."""
        return np.all([(low <= x) & (x <= high) for x, (low, high) in zip(labels.T, GREY, strict=True)], axis=0)

    def at(self, teff: float, logg: float, fe_h: float, alpha_fe: float = 0.0) -> Atmosphere:
        """See `Models`; solar-scaled whatever `alpha_fe` is."""
        abundance = jnp.asarray(abundances({"fe_h": fe_h}, self.solar_scale))
        return grey_atmosphere(teff, logg, fe_h, lambda t, p: _opacity(t, p, abundance))


@jax.jit
def _opacity(temperature: jax.Array, pressure: jax.Array, abundance: jax.Array) -> jax.Array:
    """(d,) extinction at 5000 Å, cm²/g."""
    gas = equilibrium(temperature, pressure, abundance)
    return jnp.sum(jnp.stack(continuum(gas, jnp.full(1, REFERENCE))), axis=0)[0] / gas.density


def read_models(source: str, solar_scale: str) -> Models:
    """Models from a file or folder, see `read_grid`, or from networks, see `read_network`; ``"grey"`` for `Grey`."""
    if source == "grey":
        return Grey(solar_scale)
    return read_network(source) if is_network(source) else read_grid(Path(source))


def place_of(models: Models, labels: Mapping[str, Any]) -> list[Any]:
    """What the models depend on, in their order, of a star's labels by name; numbers, or arrays of one shape.

    [alpha/Fe] is that of the star's own abundances, see `alpha_of`, or the nearest that there are models for.
    """
    star = {**labels, "alpha_fe": np.clip(alpha_of(labels), *models.alpha_range)}
    return list(np.broadcast_arrays(*(star[name] for name in models.label_names)))
