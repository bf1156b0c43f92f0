"""Doppler shift, rotation, macroturbulence and the weights of sampling: pure JAX, differentiable, in velocity space.

Broadening that is the same at every wavelength in km/s is a convolution in ln λ, done in Fourier space
with the exact transform of each profile. The line-spread function differs from pixel to pixel and is
applied where the model is sampled at the observed pixels.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ..spectrum import FloatArray
from ..wavelength import C_KMS

#: Limb darkening of the Sun, I(μ)/I(1) = 1 - u (1 - μ) - v (1 - μ²): wavelengths in Å, u, v (Cox 2000, Allen's
#: Astrophysical Quantities, 4th edition, section 14.7).
_SUN = np.array(
    [
        (3200, 0.88, 0.03), (3500, 0.98, -0.10), (3700, 1.03, -0.16), (3800, 0.92, -0.05), (4000, 0.91, -0.05),
        (4500, 0.99, -0.17), (5000, 0.97, -0.22), (5500, 0.93, -0.23), (6000, 0.88, -0.23), (8000, 0.73, -0.22),
        (10_000, 0.64, -0.20), (15_000, 0.57, -0.21), (20_000, 0.48, -0.18), (30_000, 0.35, -0.12),
        (50_000, 0.22, -0.07),
    ]
).T  # fmt: skip


def limb_darkening(wavelength: ArrayLike) -> FloatArray:
    """Linear limb-darkening coefficients at wavelengths (...) in Å: 0.64 at 5000 Å, 0.25 in the H band.

    Those of the Sun for all stars. A quadratic law becomes the linear one with the same mean intensity of the disk,
    ε = u + 3v/2, which is what normalises the rotation profile.
    """
    known, u, v = _SUN
    return np.interp(np.log(np.asarray(wavelength, dtype=np.float64)), np.log(known), u + 1.5 * v)


def log_doppler(velocity: jax.Array | float) -> jax.Array:
    """ln(λ_observed / λ_rest) of a radial velocity in km/s, positive receding; relativistic.

    ln sqrt((1 + β) / (1 - β)) = artanh β. Composition of collinear velocities is a sum.
    """
    return jnp.arctanh(jnp.asarray(velocity) / C_KMS)


def _j1_over_x(x: jax.Array) -> jax.Array:
    """J1(x)/x for x >= 0, to 1e-7; Abramowitz & Stegun (1964), 9.4.4 and 9.4.6."""
    small = jnp.minimum(x, 3.0) / 3.0
    t = small**2
    inner = 0.5 + t * (
        -0.56249985 + t * (0.21093573 + t * (-0.03954289 + t * (0.00443319 + t * (-0.00031761 + t * 0.00001109))))
    )
    large = jnp.maximum(x, 3.0)
    s = 3.0 / large
    amplitude = 0.79788456 + s * (
        0.00000156 + s * (0.01659667 + s * (0.00017105 + s * (-0.00249511 + s * (0.00113653 + s * -0.00020033))))
    )
    phase = (
        large
        - 2.35619449
        + s
        * (0.12499612 + s * (0.00005650 + s * (-0.00637879 + s * (0.00074348 + s * (0.00079824 + s * -0.00029166)))))
    )
    return jnp.where(x < 3.0, inner, amplitude * jnp.cos(phase) / (large * jnp.sqrt(large)))


def _sinc_like(x: jax.Array) -> jax.Array:
    """(sin x - x cos x) / x^3 for x >= 0; its series below 0.3, where the difference would cancel."""
    safe = jnp.maximum(x, 0.3)
    x2 = jnp.minimum(x, 0.3) ** 2
    series = 1 / 3 - x2 / 30 + x2**2 / 840 - x2**3 / 45360
    return jnp.where(x < 0.3, series, (jnp.sin(safe) - safe * jnp.cos(safe)) / safe**3)


def rotation_transform(frequency: jax.Array, vsini: jax.Array, limb: jax.Array) -> jax.Array:
    """Fourier transform of the rotation profile with linear limb darkening, 1 at zero frequency.

    Parameters
    ----------
    frequency
        Cycles per km/s, >= 0.
    vsini
        km/s, >= 0.
    limb
        Linear limb-darkening coefficient ε.

    Notes
    -----
    Profile G(v) = [2 (1 - ε) sqrt(1 - u²) + (π ε / 2) (1 - u²)] / [π v_max (1 - ε/3)], u = v / v_max (Gray 2005,
    eq. 18.14). With x = 2π f v_max, ∫ sqrt(1 - u²) cos(xu) du = π J1(x)/x and ∫ (1 - u²) cos(xu) du =
    4 (sin x - x cos x)/x³ over [-1, 1].
    """
    x = 2 * jnp.pi * frequency * vsini
    numerator = 2 * (1 - limb) * _j1_over_x(x) + 2 * limb * _sinc_like(x)
    return numerator / (1 - limb / 3)


def macroturbulence_transform(frequency: jax.Array, vmac: jax.Array) -> jax.Array:
    """Fourier transform of radial-tangential macroturbulence over the disk, 1 at zero frequency.

    Parameters
    ----------
    frequency
        Cycles per km/s.
    vmac
        ζ in km/s, equal for the radial and the tangential stream, each over half of the surface.

    Notes
    -----
    Gray (2005), section 17: at angle θ half of the light is broadened by exp(-v²/(ζ cos θ)²) and half by
    exp(-v²/(ζ sin θ)²). Averaged over the uniform disk, both have the transform (1 - e^{-a})/a with
    a = (π f ζ)².
    """
    a = (jnp.pi * frequency * vmac) ** 2
    safe = jnp.maximum(a, 1e-3)
    small = jnp.minimum(a, 1e-3)
    series = 1 - small / 2 + small**2 / 6
    return jnp.where(a < 1e-3, series, -jnp.expm1(-safe) / safe)


def gaussian_transform(frequency: jax.Array, variance: jax.Array) -> jax.Array:
    """Fourier transform of a Gaussian of the given variance, (km/s)²; below zero it sharpens."""
    return jnp.exp(-2 * jnp.pi**2 * frequency**2 * variance)


def top_hat_transform(frequency: jax.Array, variance: jax.Array) -> jax.Array:
    """Fourier transform of a top hat of the given variance, (km/s)²: its full width squared over 12."""
    square = 12 * (jnp.pi * frequency) ** 2 * variance
    safe = jnp.sqrt(jnp.maximum(square, 1e-3))
    small = jnp.minimum(square, 1e-3)
    return jnp.where(square < 1e-3, 1 - small / 6 + small**2 / 120, jnp.sin(safe) / safe)


def shift_transform(frequency: jax.Array, shift: jax.Array) -> jax.Array:
    """Fourier transform of a displacement in ln λ.

    Parameters
    ----------
    frequency
        Cycles per km/s.
    shift
        c times the displacement in ln λ, km/s, positive to the red.
    """
    phase = 2 * jnp.pi * frequency * shift
    return jax.lax.complex(jnp.cos(phase), -jnp.sin(phase))


def tap_weights(distance: jax.Array, variance: jax.Array, width: jax.Array | None) -> jax.Array:
    """Weights of model samples around a pixel: its Gaussian, averaged over its width.

    Parameters
    ----------
    distance
        (..., k) from the pixel's centre to the samples, in samples.
    variance
        (...) of the Gaussian, in samples²; at least about 1, or the sum over samples is not an integral.
    width
        (...) full width of the pixel in samples; None where the Gaussian contains the pixel.
    """
    inverse = (1 / jnp.sqrt(variance)).astype(distance.dtype)[..., None]
    if width is None:
        return inverse * jnp.exp(-0.5 * (distance * inverse) ** 2) / jnp.sqrt(jnp.asarray(2 * jnp.pi, distance.dtype))
    half = 0.5 * width.astype(distance.dtype)[..., None]
    scale = inverse * jnp.asarray(2**-0.5, distance.dtype)
    upper, lower = jax.lax.erf((distance + half) * scale), jax.lax.erf((distance - half) * scale)
    return 0.25 * (upper - lower) / half


def apply_bands(flux: jax.Array, bands: jax.Array) -> jax.Array:
    """Banded matrix times vectors on every arm.

    Parameters
    ----------
    flux
        (a, n, k).
    bands
        (a, n, b): element of row i and column i + k - b // 2.
    """
    half = bands.shape[-1] // 2
    padded = jnp.pad(flux, ((0, 0), (half, half), (0, 0)))
    shifted = jnp.stack([padded[:, i : i + flux.shape[1]] for i in range(bands.shape[-1])], axis=2)
    return jnp.einsum("anb,anbk->ank", bands.astype(flux.dtype), shifted)
