"""The Voigt function and its derivatives (JAX)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ..spectrum import FloatArray

_SQRT_PI = float(np.sqrt(np.pi))

#: Terms of the series below `_FAR`: its error is 2e-12, and that of H at a = 1e-6 just below 1e-4.
_TERMS = 28
#: |z| from which the continued fraction takes over.
_FAR = 8.0


def _series(terms: int) -> tuple[float, FloatArray]:
    """Scale L and coefficients, the constant last, of Weideman's (1994) series; his listing 'cef' in section 4."""
    scale = np.sqrt(terms / np.sqrt(2.0))
    angle = np.pi * np.arange(1 - 2 * terms, 2 * terms) / (2 * terms)
    t = scale * np.tan(angle / 2)
    samples = np.concatenate([[0.0], np.exp(-(t**2)) * (scale**2 + t**2)])
    coefficients = np.real(np.fft.fft(np.fft.fftshift(samples))) / (4 * terms)
    return float(scale), coefficients[terms:0:-1]


_SCALE, _COEFFICIENTS = _series(_TERMS)


def _near(a: jax.Array, u: jax.Array) -> tuple[jax.Array, jax.Array]:
    """w(u + ia) = 2 p(Z) / (L - iz)² + π^-1/2 / (L - iz), Z = (L + iz) / (L - iz); Weideman (1994), eq. 38."""
    plus = _SCALE + a
    size = 1.0 / (plus**2 + u**2)
    x, y = (_SCALE**2 - a**2 - u**2) * size, 2 * _SCALE * u * size
    # A polynomial with real coefficients at a complex point: Horner's scheme without complex numbers (Knuth, The Art
    # of Computer Programming 2, section 4.6.4).
    twice, square = 2 * x, x**2 + y**2
    last, previous = jnp.zeros_like(x), jnp.zeros_like(x)
    for coefficient in _COEFFICIENTS:
        # In this order the next step waits for one product and one sum only: it is three times as fast.
        last, previous = twice * last + (float(coefficient) - square * previous), last
    real, imaginary = last - x * previous, y * previous
    # 1 / (L - iz) and its square.
    re, im = plus * size, u * size
    re2, im2 = re**2 - im**2, 2 * re * im
    return (
        2 * (real * re2 - imaginary * im2) + re / _SQRT_PI,
        2 * (real * im2 + imaginary * re2) + im / _SQRT_PI,
    )


def _far(a: jax.Array, u: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Four levels of Laplace's continued fraction, w = i π^-1/2 z (z² - 5/2) / (z⁴ - 3 z² + 3/4).

    Gautschi (1970, SIAM J. Numer. Anal. 7, 187), eq. 2.8.
    """
    re2, im2 = u**2 - a**2, 2 * a * u
    top_re, top_im = u * (re2 - 2.5) - a * im2, u * im2 + a * (re2 - 2.5)
    low_re, low_im = re2 * (re2 - 3) - im2**2 + 0.75, im2 * (2 * re2 - 3)
    size = 1.0 / (_SQRT_PI * (low_re**2 + low_im**2))
    return (top_re * low_im - top_im * low_re) * size, (top_re * low_re + top_im * low_im) * size


@jax.custom_jvp
def faddeeva(a: jax.Array, u: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Real and imaginary part of w(z) = exp(-z²) erfc(-iz) at z = u + ia, a >= 0.

    Parameters
    ----------
    a, u
        Of shapes that broadcast.

    Returns
    -------
    tuple
        H(a, u), the Voigt function, and L(a, u). The relative error of H is below 1e-4 for a > 1e-6, below 1e-6 for
        a > 1e-4, and its absolute error below 1e-11 where |z| < 8 at any a; that of L is below 1e-6.

    Notes
    -----
    Below |z| = 8 the rational series of Weideman (1994, SIAM J. Numer. Anal. 31, 1497) with 28 terms, beyond it
    Laplace's continued fraction. Derivatives come from w' = -2 z w + 2i π^-1/2 (Abramowitz & Stegun 1964, 7.1.20).
    """
    a, u = jnp.broadcast_arrays(a, u)
    far = a**2 + u**2 > _FAR**2
    near_re, near_im = _near(a, u)
    # Where the near formula holds the far one has no pole with this argument in place of u.
    far_re, far_im = _far(a, jnp.where(far, u, _FAR))
    return jnp.where(far, far_re, near_re), jnp.where(far, far_im, near_im)


@faddeeva.defjvp
def _faddeeva_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    a, u = primals
    re, im = faddeeva(a, u)
    slope_re, slope_im = 2 * (a * im - u * re), 2 * (1 / _SQRT_PI - u * im - a * re)
    da, du = tangents
    return (re, im), (slope_re * du - slope_im * da, slope_im * du + slope_re * da)


def voigt(a: jax.Array, u: jax.Array) -> jax.Array:
    """The Voigt function H(a, u) = (a/π) ∫ exp(-y²) / ((u - y)² + a²) dy; its integral over u is π^1/2.

    Parameters
    ----------
    a
        Damping width over Doppler width, γ / (4π Δν_D), >= 0.
    u
        Distance from the line's centre in Doppler widths.

    Notes
    -----
    H is the real part of w(u + ia): Mihalas (1978, Stellar Atmospheres, 2nd ed.), eq. 9-34. See `faddeeva` for the
    accuracy.
    """
    return faddeeva(a, u)[0]
