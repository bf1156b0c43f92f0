"""Radiative transfer in a plane-parallel atmosphere: the flux that leaves it (JAX).

Everything goes through the depths one by one, with all wavelengths side by side: what a depth needs of its neighbours
is at hand and nothing is computed twice.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import roots_jacobi

from ..precision import double
from ..spectrum import FloatArray
from .constants import HC_K, LIGHT, PLANCK

#: 2 h c², erg cm² s^-1 sr^-1, times 1e32: wavelengths in Å, per Å.
_FIRST = 2e32 * PLANCK * LIGHT**2

#: Angles of the flux: it is good to 5e-5 with four (2e-4 where the source function turns in the upper layers).
ANGLES = 4

#: Curvature of the source function is left out between depths that are closer: it would be lost in rounding, and
#: matters by less than 1e-6.
_THIN = 1e-3


def planck(wavelength: jax.Array, temperature: jax.Array) -> jax.Array:
    """Planck function B_λ, erg s^-1 cm^-2 Å^-1 sr^-1: 2hc²/λ⁵ / (exp(hc/λkT) - 1).

    Parameters
    ----------
    wavelength
        Vacuum Å.
    temperature
        K, of a shape that broadcasts with that of `wavelength`.
    """
    # Beyond, the Planck function is zero for all that it is used for, and the exponential is infinite.
    exponent = jnp.minimum(HC_K / (wavelength * temperature), 600.0)
    return _FIRST / wavelength**5 / jnp.expm1(exponent)


def optical_depth(log_tau: jax.Array, ratio: jax.Array) -> jax.Array:
    """Optical depths from those of a reference wavelength.

    Parameters
    ----------
    log_tau
        (d,) log10 of the optical depth at the reference wavelength, increasing.
    ratio
        (d, ...) extinction relative to that at the reference wavelength, positive.

    Returns
    -------
    array
        (d, ...) ∫ ratio dτ. Between two depths the integrand over ln τ is taken as exponential, so that a ratio that is
        a power of τ is exact. Above the first depth the ratio is taken as constant.
    """
    shape = (-1,) + (1,) * (ratio.ndim - 1)
    integrand = ratio * jnp.reshape(10.0**log_tau, shape)

    def down(carry: _Pair, row: _Pair) -> tuple[_Pair, jax.Array]:
        tau, before = carry
        here, step = row
        tau = tau + step * _logarithmic_mean(before, here)
        return (tau, here), tau

    steps = np.log(10.0) * jnp.diff(log_tau)
    _, tau = jax.lax.scan(down, (integrand[0], integrand[0]), (integrand[1:], steps))
    return jnp.concatenate([integrand[:1], tau])


def _logarithmic_mean(x: jax.Array, y: jax.Array) -> jax.Array:
    """(y - x) / ln(y / x), for x, y > 0."""
    log = jnp.log(y / x)
    near = jnp.abs(log) < 1e-3
    small = jnp.where(near, log, 0.0)
    return jnp.where(near, x * (1 + small * (1 / 2 + small / 6)), (y - x) / jnp.where(near, 1.0, log))


def surface_intensity(tau: jax.Array, source: jax.Array, mu: float) -> jax.Array:
    """Intensity that leaves the surface at an angle.

    Parameters
    ----------
    tau
        (d, ...) optical depths, increasing; three or more.
    source
        (d, ...) source function there.
    mu
        Cosine of the angle to the normal.

    Returns
    -------
    array
        (...) ∫ S exp(-τ/μ) dτ/μ. The source function is constant above the first depth, linear below the last one, and
        parabolic in between. Linear source functions are exact.
    """
    return _formal_solution(tau, source, np.array([mu]), np.array([mu]))


def surface_flux(tau: jax.Array, source: jax.Array, angles: int = ANGLES) -> jax.Array:
    """Flux through the surface, 2π ∫ I(μ) μ dμ: π S where the source function is constant.

    Parameters
    ----------
    tau, source
        (d, ...), see `surface_intensity`.
    angles
        Number of directions: the nodes of Gaussian quadrature with weight μ on (0, 1).
    """
    nodes, weights = roots_jacobi(angles, 0.0, 1.0)
    mu = 0.5 * (1 + nodes)
    return np.pi * _formal_solution(tau, source, mu, 0.5 * weights * mu)


class _Walk(NamedTuple):
    """Where the formal solution has come to: at a depth, with the interval above it not yet in the sum.

    `first` and `second` are Σ w exp(-τ/μ) and Σ w μ exp(-τ/μ); `slope` and `step` are of the interval, `bend` is half
    the second derivative of S at its upper end; `line` and `cap` are what a slope, and a curvature, contributes.
    """

    tau: jax.Array
    source: jax.Array
    first: jax.Array
    second: jax.Array
    step: jax.Array
    slope: jax.Array
    bend: jax.Array
    line: jax.Array
    cap: jax.Array
    total: jax.Array


def _formal_solution(tau: jax.Array, source: jax.Array, mu: FloatArray, weights: FloatArray) -> jax.Array:
    """Σ (w/μ) ∫ S exp(-τ/μ) dτ/μ.

    Between two depths S is linear plus -c (τ - τ₁) (τ₂ - τ). By parts, with E = exp(-τ/μ), Δ = τ₂ - τ₁ and the slope s
    of the linear part, the integral over the whole atmosphere is S(0) plus the sum over intervals of
    s μ (E₁ - E₂) - c [μ Δ (E₁ + E₂) - 2μ² (E₁ - E₂)]. c is the harmonic mean of the values of S''/2 at both ends from
    three points, or 0 where they differ in sign, so that no extremum appears where the depths show none (Fritsch &
    Butland 1984, SIAM J. Sci. Stat. Comput. 5, 300, for slopes; Auer 2003, ASP Conf. 288, 3, in radiative transfer).
    """

    def escape(tau: jax.Array) -> _Pair:
        parts = [float(w) * jnp.exp(tau * float(-1 / m)) for w, m in zip(weights, mu, strict=True)]
        return sum(parts[1:], parts[0]), sum(
            (float(m) * p for m, p in zip(mu[1:], parts[1:], strict=True)), float(mu[0]) * parts[0]
        )

    def interval(tau: jax.Array, first: jax.Array, second: jax.Array, below: jax.Array) -> tuple[jax.Array, ...]:
        step = below - tau
        first_below, second_below = escape(below)
        line = first - first_below
        cap = jnp.where(step > _THIN, step * (first + first_below) - 2 * (second - second_below), 0.0)
        return step, first_below, second_below, line, cap

    def down(at: _Walk, row: _Pair) -> tuple[_Walk, None]:
        below, source_below = row
        step, first, second, line, cap = interval(at.tau, at.first, at.second, below)
        slope = (source_below - at.source) / step
        bend = (slope - at.slope) / (step + at.step)
        same = at.bend * bend > 0
        curvature = jnp.where(same, 2 * at.bend * bend / jnp.where(same, at.bend + bend, 1.0), 0.0)
        total = at.total + at.slope * at.line - curvature * at.cap
        return _Walk(below, source_below, first, second, step, slope, bend, line, cap, total), None

    step, first, second, line, cap = interval(tau[0], *escape(tau[0]), tau[1])
    slope = (source[1] - source[0]) / step
    bend = ((source[2] - source[1]) / (tau[2] - tau[1]) - slope) / (tau[2] - tau[0])
    walk = _Walk(
        tau[1], source[1], first, second, step, slope, bend, line, cap, float(np.sum(weights / mu)) * source[0]
    )
    walk, _ = jax.lax.scan(down, walk, (tau[2:], source[2:]))
    return walk.total + walk.slope * (walk.line + walk.first) - walk.bend * walk.cap


def scattered_source(tau: jax.Array, thermal: jax.Array, absorbed: jax.Array) -> jax.Array:
    """Source function with isotropic coherent scattering, in the Eddington approximation.

    Parameters
    ----------
    tau
        (d, ...) optical depths, increasing.
    thermal
        (d, ...) Planck function.
    absorbed
        (d, ...) share ε of true absorption in the extinction, 0 to 1.

    Returns
    -------
    array
        (d, ...) ε B + (1 - ε) J.

    Notes
    -----
    J obeys d²J/dτ² = 3 ε (J - B), with dJ/dτ = √3 J at the surface and J = B at the last depth (Mihalas 1978, Stellar
    Atmospheres, 2nd ed., section 6-1, with Eddington factors 1/3 and 1/√3). Only the mean intensity is approximate:
    the emergent intensity is that of this source function. The tridiagonal system is solved as in Rybicki & Hummer
    (1991, A&A 245, 171, appendix A), which keeps small ε apart from large differences.
    """
    step = jnp.diff(tau, axis=0)
    link = 1 / (3 * step)
    width = jnp.concatenate([tau[:1] + 0.5 * step[:1], 0.5 * (step[1:] + step[:-1])])
    sink = absorbed[:-1] * width
    gain = sink * thermal[:-1]
    sink = sink.at[0].add(3**-0.5)
    above = jnp.concatenate([jnp.zeros_like(link[:1]), link[:-1]])

    def down(carry: _Pair, row: tuple[jax.Array, ...]) -> tuple[_Pair, _Pair]:
        excess, part = carry
        a, c, h, k = row
        part = k + a * part
        excess = (h + a * excess / (1 + excess)) / c
        part = part / (c * (1 + excess))
        return (excess, part), (excess, part)

    def up(mean: jax.Array, row: _Pair) -> tuple[jax.Array, jax.Array]:
        excess, part = row
        mean = part + mean / (1 + excess)
        return mean, mean

    nothing = jnp.zeros_like(tau[0])
    _, eliminated = jax.lax.scan(down, (nothing, nothing), (above, link, sink, gain))
    _, mean = jax.lax.scan(up, thermal[-1], eliminated, reverse=True)
    return absorbed * thermal + (1 - absorbed) * jnp.concatenate([mean, thermal[-1:]])


@double
def emergent_flux(
    wavelength: jax.Array,
    log_tau: jax.Array,
    reference: jax.Array,
    extinction: jax.Array,
    scattering: jax.Array | None,
    temperature: jax.Array,
) -> jax.Array:
    """Flux that leaves a plane-parallel atmosphere in local thermodynamic equilibrium.

    Parameters
    ----------
    wavelength
        (w,) vacuum Å.
    log_tau
        (d,) log10 of the optical depth at the reference wavelength, 5000 Å, increasing; three depths or more.
    reference
        (d,) extinction coefficient there, cm^-1: all that this optical depth is made of.
    extinction
        (w, d) extinction coefficient, absorption and scattering, cm^-1.
    scattering
        (w, d) the part of it that is scattering, which is taken as isotropic and coherent; None takes it as
        absorption.
    temperature
        (d,) K.

    Returns
    -------
    array
        (w,) erg s^-1 cm^-2 Å^-1: ∫ I cos θ dΩ over the outer half-sphere, π B in a star of one temperature.

    Notes
    -----
    The optical depth is τ_λ = ∫ (α_λ / α_ref) dτ_ref: the atmosphere's own scale anchors it, and neither density nor
    geometrical depth is needed.
    """
    ratio = jnp.transpose(extinction / reference)
    tau = optical_depth(log_tau, ratio)
    source = planck(wavelength, temperature[:, None])
    if scattering is not None:
        source = scattered_source(tau, source, 1 - jnp.transpose(scattering / extinction))
    return surface_flux(tau, source)


_Pair = tuple[jax.Array, jax.Array]
