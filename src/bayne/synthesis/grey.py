"""A grey atmosphere, for stars without a grid of models: a T(tau) relation and hydrostatic equilibrium."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ..errors import BayneError, did_you_mean
from ..precision import double
from ..spectrum import FloatArray
from .atmosphere import Atmosphere, integrate

Relation = Literal["hopf", "krishna-swamy"]
Opacity = Callable[[jax.Array, jax.Array], ArrayLike]

#: Depths of the atmosphere unless others are asked for: as in grids of published models.
LOG_TAU = np.linspace(-5.0, 2.0, 71)

#: q(∞) of the exact solution of the grey atmosphere (Hopf's constant; Placzek & Seidel 1947, Phys. Rev. 72, 550;
#: its integral is 6/π² + (1/π) ∫ (3/φ² - 1/(1 - φ cot φ)) dφ from 0 to π/2).
HOPF = 0.71044608959876307

#: Coefficients of q(tau) = a + b exp(-c tau) + d exp(-e tau) for the Sun (Krishna Swamy 1966, ApJ 145, 174).
KRISHNA_SWAMY = (1.39, -0.815, 2.54, -0.025, 30.0)

#: Iterations stop where no pressure changes by more than this part, and fail after so many.
TOLERANCE, ITERATIONS = 1e-10, 100


@cache
def _hopf_nodes() -> tuple[FloatArray, FloatArray]:
    """Nodes u and weights w such that q(tau) = q(∞) - Σ w exp(-tau / u).

    Mark (1947, Phys. Rev. 72, 558; Mihalas 1978, Stellar Atmospheres, section 3-3):

        q(tau) = q(∞) - (1 / 2√3) ∫ exp(-tau/u) / (H(u) Z(u)) du from 0 to 1,
        Z(u) = [1 - u artanh u]² + (π u / 2)²,

    with Chandrasekhar's H function for isotropic conservative scattering,

        ln H(u) = -(u/π) ∫ ln(1 - arctan(t)/t) / (1 + u² t²) dt from 0 to ∞.

    Both integrals by the trapezoidal rule, in ln t and in logit u, which converges exponentially.
    """
    s = np.linspace(-30.0, 30.0, 601)
    u = 1 / (1 + np.exp(-s))
    x = np.linspace(-40.0, 70.0, 1101)
    t = np.exp(x)
    part = np.where(t < 1e-2, t**2 / 3 - t**4 / 5 + t**6 / 7, 1 - np.arctan(t) / t)
    log_h = -u / np.pi * np.sum(np.log(part) * t / (1 + (u[:, None] * t) ** 2), axis=1) * (x[1] - x[0])
    artanh = 0.5 * (np.log1p(u) + np.log1p(np.exp(s)))  # 1 - u = 1 / (1 + exp(s)), without cancellation
    z = (1 - u * artanh) ** 2 + (np.pi * u / 2) ** 2
    spacing = u / (1 + np.exp(s)) * (s[1] - s[0])
    return u, spacing / (2 * np.sqrt(3) * np.exp(log_h) * z)


def hopf_function(tau: jax.Array) -> jax.Array:
    """q(tau) of the exact grey atmosphere, S = (3/4) (σ Teff⁴ / π) (tau + q); 1/√3 at 0, 0.7104 at depth; pure JAX."""
    u, weight = _hopf_nodes()
    return HOPF - jnp.exp(-jnp.asarray(tau)[..., None] / u) @ weight


def temperature_of(log_tau: jax.Array, teff: jax.Array | float, relation: Relation = "hopf") -> jax.Array:
    """(d,) temperature, T⁴ = (3/4) Teff⁴ (tau + q(tau)); pure JAX.

    Parameters
    ----------
    log_tau
        (d,) log10 of the optical depth.
    teff
        K.
    relation
        ``"hopf"``: q of the exact grey atmosphere. ``"krishna-swamy"``: the empirical one of the Sun's photosphere at
        5000 Å (Krishna Swamy 1966), steeper: 1% cooler at the top and 8% hotter at optical depth one.
    """
    tau = 10.0 ** jnp.asarray(log_tau)
    if relation == "hopf":
        q = hopf_function(tau)
    else:
        a, b, c, d, e = KRISHNA_SWAMY
        q = a + b * jnp.exp(-c * tau) + d * jnp.exp(-e * tau)
    return teff * (0.75 * (tau + q)) ** 0.25


def pressure_step(log_tau: jax.Array, pressure: jax.Array, kappa: jax.Array, gravity: jax.Array | float) -> jax.Array:
    """The next approximation of the pressure in hydrostatic equilibrium, dP/dtau = g / kappa.

    P^{3/2} = (3/2) g ∫ P^{1/2} / kappa dtau from the surface, with the last pressure on the right (Gray 2005, The
    Observation and Analysis of Stellar Photospheres, section 9). Where kappa goes as P^n an error of ln P becomes
    (1 - 2n)/3 of it, so that a few steps are enough. Between layers, and above the first, P^{1/2} / kappa is taken as a
    power of tau, which is exact for constant kappa. Pure JAX.

    Parameters
    ----------
    log_tau, pressure, kappa
        (d,) log10 of the optical depth; the last approximation, dyn cm^-2; its opacity, cm² g^-1.
    gravity
        cm s^-2.
    """
    log_x = jnp.asarray(log_tau) * np.log(10.0)
    y = jnp.sqrt(pressure) / kappa
    slope = (jnp.log(y[1]) - jnp.log(y[0])) / (log_x[1] - log_x[0])
    first = jnp.exp(log_x[0]) * y[0] / jnp.maximum(1 + slope, 0.1)
    return (1.5 * gravity * integrate(log_x, y, first)) ** (2 / 3)


_temperature = jax.jit(temperature_of, static_argnums=2)
_step = jax.jit(pressure_step)


@double
def grey_atmosphere(
    teff: float,
    logg: float,
    fe_h: float,
    opacity: Opacity,
    *,
    relation: Relation = "hopf",
    log_tau: ArrayLike = LOG_TAU,
) -> Atmosphere:
    """A plane-parallel grey atmosphere in hydrostatic equilibrium; no convection, turbulence or radiation pressure.

    Temperature follows from the optical depth alone, see `temperature_of`; pressure from dP/dtau = g / kappa(T, P), see
    `pressure_step`. A grey opacity is the same at all wavelengths, so that the optical depth is that at 5000 Å and the
    mean one.

    Parameters
    ----------
    teff, logg, fe_h
        K, dex (cgs), dex; `fe_h` is a label only, for the opacity knows the composition.
    opacity
        ``opacity(temperature, pressure)``: (d,) K and (d,) dyn cm^-2 to the extinction at 5000 Å, (d,) cm² g^-1.
    relation
        As in `temperature_of`.
    log_tau
        (d,) log10 of the optical depth at 5000 Å, increasing.

    Raises
    ------
    BayneError
        Labels, depths or opacities that are not finite or not positive; a pressure that does not converge.
    """
    if not (np.all(np.isfinite([teff, logg, fe_h])) and teff > 0):
        raise BayneError(f"no grey atmosphere has Teff {teff} K, log g {logg}, [Fe/H] {fe_h}")
    if relation not in get_args(Relation):
        raise BayneError(f"unknown relation {relation!r}. {did_you_mean(relation, get_args(Relation))}")
    depth = np.asarray(log_tau, dtype=np.float64)
    if depth.ndim != 1 or depth.size < 3 or not np.all(np.diff(depth) > 0):
        raise BayneError("log_tau must be at least 3 increasing numbers")
    x = jnp.asarray(depth)
    temperature = _temperature(x, float(teff), relation)
    gravity = 10.0**logg
    pressure = 1e5 * (gravity / 2.74e4 * 10.0**x) ** 0.6  # near the Sun's; any positive start leads to the same end
    for _ in range(ITERATIONS):
        kappa = jnp.asarray(opacity(temperature, pressure))
        _check(kappa, temperature, pressure)
        last, pressure = pressure, _step(x, pressure, kappa, gravity)
        if float(jnp.max(jnp.abs(jnp.log(pressure / last)))) < TOLERANCE:
            break
    else:
        raise BayneError(
            f"hydrostatic equilibrium did not converge in {ITERATIONS} steps at Teff {teff:g} K, log g {logg:g}"
        )
    return Atmosphere(
        log_tau=depth,
        temperature=np.asarray(temperature),
        pressure=np.asarray(pressure),
        teff=float(teff),
        logg=float(logg),
        fe_h=float(fe_h),
        name=f"grey {teff:g}/{logg:g}/{fe_h:g}",
    )


def _check(kappa: jax.Array, temperature: jax.Array, pressure: jax.Array) -> None:
    if kappa.shape != temperature.shape:
        raise BayneError(f"opacity gave shape {kappa.shape} for {temperature.shape} layers")
    bad = np.flatnonzero(~(np.isfinite(kappa) & (np.asarray(kappa) > 0)))
    if bad.size:
        i = int(bad[0])
        raise BayneError(
            f"the opacity is {float(kappa[i]):g} cm²/g at T = {float(temperature[i]):.0f} K, "
            f"P = {float(pressure[i]):.3g} dyn/cm²; it must be positive"
        )
