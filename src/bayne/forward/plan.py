"""Everything about an observation that is fixed before fitting: which pixels, which samples, which kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator, Network
from ..spectrum import C_KMS, FWHM_PER_SIGMA, FloatArray, Spectrum
from .grid import model_grid
from .lsf import ArmKernel, arm_kernel, pixel_width
from .operators import (
    apply_bands,
    gaussian_transform,
    log_doppler,
    macroturbulence_transform,
    rotation_transform,
    shift_transform,
    tap_weights,
)

#: Velocities within this of the starting one are reachable without losing a pixel (km/s), unless the prior of the
#: velocity is narrower.
VELOCITY_MARGIN = 50.0

#: Kernels are summed out to this many sigma.
REACH_SIGMA = 5.0

#: Sigma, in samples, of the Gaussian that every pixel is sampled with: the smallest whose sum over samples is its
#: integral. The aliased part is below exp(-2 π² σ² (1 - f)²), 1e-5 for a spectrum without power above f = 1/4 of
#: the sampling rate.
MIN_SIGMA = 1.0


@dataclass(frozen=True)
class ForwardStatic:
    """What a compiled forward model depends on besides arrays; hashable."""

    network: Network
    upsample: int
    rotates: bool
    macro: bool


#: Arrays of a compiled function by name; ``params`` holds those of the network.
Arrays = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """A forward model ready for one spectrum.

    Parameters
    ----------
    static, arrays
        See `ForwardStatic`; arrays are arguments of the compiled functions.
    used
        (a, n) True for pixels whose kernels stay inside a window, within the velocity margin.
    n_lost
        Good pixels that do not.
    has_kernel
        Whether any arm has a Gaussian kernel, so that a scale on its width means something.
    min_scale
        Smallest factor on the width of the LSF for which the emulator is sharp enough.
    """

    static: ForwardStatic
    arrays: Arrays
    used: np.ndarray
    n_lost: int
    has_kernel: bool
    min_scale: float


def plan(
    spectrum: Spectrum,
    emulator: Emulator,
    velocity: float,
    *,
    margin: float = VELOCITY_MARGIN,
    max_vsini: float = 0.0,
    max_vmac: float = 0.0,
    max_scale: float | None = None,
) -> Plan:
    """Plan the forward model of a spectrum about a starting velocity.

    Parameters
    ----------
    spectrum, emulator
        See there.
    velocity
        km/s in the frame of the file.
    margin
        How far from it a fit may go (km/s).
    max_vsini, max_vmac
        Largest rotation and macroturbulence that will be asked for (km/s); 0 leaves the operator out.
    max_scale
        Largest factor on the width of the LSF where that is a parameter; None where the width is as stated.

    Raises
    ------
    BayneError
        What `arm_kernel` raises.
    """
    card = emulator.card
    kernels = [arm_kernel(arm, card.resolution, card.includes_pixel) for arm in spectrum.arms]
    emulated = (C_KMS / card.resolution / FWHM_PER_SIGMA) ** 2
    common = min(float(kernel.variance.min()) for kernel in kernels)
    scale = max_scale or 1.0
    # a Gaussian of macroturbulence has sigma = vmac / sqrt(2)
    broadening = max_vsini + REACH_SIGMA / np.sqrt(2) * max_vmac + margin
    grid = model_grid(emulator, broadening + REACH_SIGMA * np.sqrt(max(scale**2 * common - emulated, 0.0)))
    dv = C_KMS * grid.step
    upsample = 1 if common - emulated >= (1.3 * MIN_SIGMA * dv.max()) ** 2 else 2
    floor = (MIN_SIGMA * dv.max() / upsample) ** 2
    n = max(arm.wavelength.size for arm in spectrum.arms)
    box = any(k.width is not None for k in kernels)

    shape = (len(kernels), n)
    start = np.zeros(shape, np.int64)
    position = np.full(shape, float(grid.pad * upsample))
    # padding keeps a harmless width: a variance of zero would put NaN into gradients
    excess, step = np.zeros(shape), np.full(shape, dv[0] / upsample)
    # arms without a pixel of their own beside arms with one: 0.3 samples widen the kernel by 0.4%
    width = np.full(shape, 0.3)
    used, good, reached = np.zeros(shape, bool), np.zeros(shape, bool), np.ones(shape, bool)
    taps = 0.0
    for a, (arm, kernel) in enumerate(zip(spectrum.arms, kernels, strict=True)):
        m = arm.wavelength.size
        good[a, :m] = arm.good
        excess[a, :m] = kernel.variance - common
        half_width = 0.0 if kernel.width is None else float(kernel.width.max()) / 2
        taps = max(taps, REACH_SIGMA * np.sqrt(excess[a, :m].max() + floor) + half_width)
        reach = broadening + half_width
        reach += REACH_SIGMA * np.sqrt(max(scale**2 * kernel.variance.max() - emulated, 0.0) + floor)
        if kernel.bands is not None:
            reach += kernel.bands.shape[1] // 2 * float(pixel_width(arm.wavelength).max())
            # rows at the ends of an arm lack neighbours to draw on
            edge = kernel.bands.shape[1] // 2
            reached[a, :edge] = reached[a, m - edge : m] = False
        rest = np.log(arm.wavelength) - float(log_doppler(velocity))
        for s in range(grid.step.size):
            last = grid.first[s] + grid.step[s] * (grid.size[s] - 1)
            inside = np.flatnonzero((rest - reach / C_KMS >= grid.first[s]) & (rest + reach / C_KMS <= last))
            start[a, inside] = s * grid.length * upsample
            position[a, inside] = grid.pad * upsample + (rest[inside] - grid.first[s]) / grid.step[s] * upsample
            step[a, inside] = dv[s] / upsample
            used[a, inside] = True
        if kernel.width is not None:
            width[a, :m] = kernel.width / step[a, :m]
    used &= good & reached
    base = np.floor(position)
    half = int(np.ceil(taps / (dv.min() / upsample)))
    offset = np.arange(-half, half + 1)
    distance = jnp.asarray(offset - (position - base)[..., None], jnp.float32)
    pixel = jnp.asarray(width) if box else None
    weight, slope = jax.jvp(
        lambda v: tap_weights(distance, v, pixel),
        (jnp.asarray((excess + floor) / step**2),),
        (jnp.asarray(excess / step**2),),
    )
    arrays = {
        "params": dict(emulator.params),
        "grid_index": grid.index,
        "grid_weight": grid.weight.astype(np.float32),
        "frequency": grid.frequency.astype(np.float32),
        "gain": np.full(grid.frequency.shape[-1], upsample, np.float32),
        "velocity": np.float64(velocity),
        "common": np.float64(common),
        "emulated": np.float64(emulated + floor),
        "index": ((start + base.astype(np.int64))[..., None] + offset).astype(np.int32),
        "weight": weight,
    }
    if upsample > 1:
        arrays["gain"][-1] *= 0.5  # the Nyquist term stands for both signs once zeros follow it
    if max_scale is not None and excess.any():
        arrays["slope"] = slope
    if any(k.bands is not None for k in kernels):
        arrays["bands"] = _stack_bands(kernels, n)
    static = ForwardStatic(emulator.network, upsample, max_vsini > 0, max_vmac > 0)
    has_kernel = any(np.any(k.variance > emulated) for k in kernels)
    lost = int((good & ~used).sum())
    return Plan(static, jax.tree.map(jnp.asarray, arrays), used, lost, has_kernel, float(np.sqrt(emulated / common)))


def _stack_bands(kernels: list[ArmKernel], n: int) -> FloatArray:
    """(a, n, b) bands of all arms; the identity where an arm has a Gaussian."""
    half = max(k.bands.shape[1] // 2 for k in kernels if k.bands is not None)
    out = np.zeros((len(kernels), n, 2 * half + 1))
    out[:, :, half] = 1.0
    for a, kernel in enumerate(kernels):
        if kernel.bands is not None:
            m, b = kernel.bands.shape
            out[a, :m] = 0.0
            out[a, :m, half - b // 2 : half + b // 2 + 1] = kernel.bands
    return out


def observe(
    static: ForwardStatic,
    arrays: Arrays,
    rest_flux: jax.Array,
    velocity: jax.Array,
    vsini: jax.Array,
    vmac: jax.Array,
    lsf_scale: jax.Array,
) -> jax.Array:
    """Take a normalised rest-frame spectrum on the emulator's pixels to the observed pixels.

    Parameters
    ----------
    static, arrays
        From `plan`.
    rest_flux
        (p,).
    velocity, vsini, vmac
        km/s; the velocity in the frame of the file.
    lsf_scale
        Factor on the width of the Gaussian LSF.

    Returns
    -------
    array
        (a, n) normalised flux; meaningless where `Plan.used` is False.
    """
    padded = jnp.sum(rest_flux[arrays["grid_index"]] * arrays["grid_weight"], axis=-1)
    frequency = arrays["frequency"]
    moved = C_KMS * (log_doppler(velocity) - log_doppler(arrays["velocity"]))
    # what all pixels have in common, less what the emulator has already and what sampling will add
    spread = lsf_scale**2 * arrays["common"] - arrays["emulated"]
    vsini, vmac, moved, spread = (x.astype(frequency.dtype) for x in (vsini, vmac, moved, spread))
    transfer = arrays["gain"] * gaussian_transform(frequency, spread)
    if static.rotates:
        transfer = transfer * rotation_transform(frequency, vsini)
    if static.macro:
        transfer = transfer * macroturbulence_transform(frequency, vmac)
    spectrum = jnp.fft.rfft(padded) * (transfer * shift_transform(frequency, moved))
    fine = jnp.fft.irfft(spectrum, n=static.upsample * padded.shape[-1]).ravel()
    weight = arrays["weight"]
    if "slope" in arrays:
        # where widths differ, a scale changes the rest of each pixel's variance too: to first order
        weight = weight + (lsf_scale**2 - 1).astype(weight.dtype) * arrays["slope"]
    flux = jnp.sum(weight * fine[arrays["index"]], axis=-1)
    return apply_bands(flux, arrays["bands"]) if "bands" in arrays else flux
