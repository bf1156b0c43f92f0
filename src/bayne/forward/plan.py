"""Everything about an observation that is fixed before fitting: which pixels, which samples, which kernels."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator, Network
from ..spectrum import C_KMS, FloatArray, Spectrum
from .grid import ModelGrid, model_grid
from .lsf import ArmKernel, arm_kernel, pixel_width
from .operators import (
    apply_bands,
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

#: Smallest Gaussian, in samples, whose sum over samples is its integral: the aliased part is below
#: exp(-2 π² σ² (1 - f)²), 1e-5 for a spectrum without power above f = 1/4 of the sampling rate.
MIN_SIGMA = 1.0


@dataclass(frozen=True)
class ForwardStatic:
    """What a compiled forward model depends on besides arrays; hashable."""

    network: Network
    upsample: int
    rotates: bool
    macro: bool
    scaled: bool


Arrays = dict[str, jax.Array]


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
    """

    static: ForwardStatic
    arrays: Arrays
    used: np.ndarray
    n_lost: int
    has_kernel: bool


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
    # a Gaussian of macroturbulence has sigma = vmac / sqrt(2)
    reach = max_vsini + REACH_SIGMA / np.sqrt(2) * max_vmac + margin
    grid = model_grid(emulator, reach)
    upsample, floor = _sampling(kernels, grid)
    dv = C_KMS * grid.step.min() / upsample
    n = max(arm.wavelength.size for arm in spectrum.arms)
    box = any(k.width is not None for k in kernels)

    shape = (len(kernels), n)
    start = np.zeros(shape, np.int64)
    position = np.full(shape, float(grid.pad * upsample))
    variance, emulated = np.zeros(shape), np.zeros(shape)
    # arms without a pixel of their own beside arms with one: 0.3 samples widen the kernel by 0.4%
    width = np.full(shape, 0.3)
    used, good, reached = np.zeros(shape, bool), np.zeros(shape, bool), np.ones(shape, bool)
    half = 1
    for a, (arm, kernel) in enumerate(zip(spectrum.arms, kernels, strict=True)):
        m = arm.wavelength.size
        good[a, :m] = arm.good
        spread = np.sqrt((max_scale or 1.0) ** 2 * kernel.instrument.max() + floor * dv**2)
        own_width = 0.0 if kernel.width is None else float(kernel.width.max())
        own_reach = REACH_SIGMA * spread + own_width / 2
        half = max(half, int(np.ceil(own_reach / dv)))
        if kernel.bands is not None:
            own_reach += kernel.bands.shape[1] // 2 * float(pixel_width(arm.wavelength).max())
            # rows at the ends of an arm lack neighbours to draw on
            edge = kernel.bands.shape[1] // 2
            reached[a, :edge] = reached[a, m - edge : m] = False
        rest = np.log(arm.wavelength) - float(log_doppler(velocity))
        scale = np.full(m, dv)
        room = (own_reach + reach) / C_KMS
        for s in range(grid.step.size):
            last = grid.first[s] + grid.step[s] * (grid.size[s] - 1)
            inside = np.flatnonzero((rest - room >= grid.first[s]) & (rest + room <= last))
            fine_step = grid.step[s] / upsample
            start[a, inside] = s * grid.length * upsample
            position[a, inside] = grid.pad * upsample + (rest[inside] - grid.first[s]) / fine_step
            scale[inside] = C_KMS * fine_step
            used[a, inside] = True
        variance[a, :m] = kernel.instrument / scale**2
        emulated[a, :m] = kernel.emulator / scale**2
        if kernel.width is not None:
            width[a, :m] = kernel.width / scale
    used &= good & reached
    base = np.floor(position)
    offset = np.arange(-half, half + 1)
    distance = (offset - (position - base)[..., None]).astype(np.float32)
    pixel = jnp.asarray(width) if box else None
    arrays = {
        "params": dict(emulator.params),
        "grid_index": grid.index,
        "grid_weight": grid.weight.astype(np.float32),
        "frequency": grid.frequency,
        "sharpen": _sharpen(grid, upsample, floor),
        "velocity": np.float64(velocity),
        "index": ((start + base.astype(np.int64))[..., None] + offset).astype(np.int32),
    }
    if max_scale is None:
        arrays["weight"] = tap_weights(jnp.asarray(distance), jnp.asarray(variance - emulated + floor), pixel)
    else:
        arrays |= {"distance": distance, "variance": variance, "emulated": emulated, "floor": np.float64(floor)}
        if pixel is not None:
            arrays["width"] = pixel
    if any(k.bands is not None for k in kernels):
        arrays["bands"] = _stack_bands(kernels, n)
    static = ForwardStatic(emulator.network, upsample, max_vsini > 0, max_vmac > 0, max_scale is not None)
    has_kernel = any(np.any(k.instrument > 0) for k in kernels)
    return Plan(static, jax.tree.map(jnp.asarray, arrays), used, int((good & ~used).sum()), has_kernel)


def _sampling(kernels: list[ArmKernel], grid: ModelGrid) -> tuple[int, float]:
    """Upsampling factor, and variance (in fine samples²) added to every kernel and taken out of the model."""
    dv = C_KMS * grid.step.max()
    narrowest = min(float(np.min(k.instrument - k.emulator)) for k in kernels)
    if narrowest >= (1.3 * MIN_SIGMA * dv) ** 2:
        return 1, 0.0
    return 2, MIN_SIGMA**2


def _sharpen(grid: ModelGrid, upsample: int, floor: float) -> FloatArray:
    """(s, f) inverse transform of the Gaussian that sampling adds, and the factor of upsampling."""
    cycles = grid.frequency * C_KMS * grid.step[:, None] / upsample  # per fine sample
    gain = upsample * np.exp(2 * np.pi**2 * cycles**2 * floor)
    if upsample > 1:
        gain[:, -1] *= 0.5  # the Nyquist term stands for both signs once zeros follow it
    return gain


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
    transfer = arrays["sharpen"]
    if static.rotates:
        transfer = transfer * rotation_transform(arrays["frequency"], vsini)
    if static.macro:
        transfer = transfer * macroturbulence_transform(arrays["frequency"], vmac)
    moved = C_KMS * (log_doppler(velocity) - log_doppler(arrays["velocity"]))
    transfer = transfer * shift_transform(arrays["frequency"], moved)
    spectrum = jnp.fft.rfft(padded) * transfer.astype(jnp.complex64)
    fine = jnp.fft.irfft(spectrum, n=static.upsample * padded.shape[-1]).ravel()
    weight = arrays["weight"] if not static.scaled else _scaled_weights(arrays, lsf_scale)
    flux = jnp.sum(weight * fine[arrays["index"]], axis=-1)
    return apply_bands(flux, arrays["bands"]) if "bands" in arrays else flux


def _scaled_weights(arrays: Arrays, lsf_scale: jax.Array) -> jax.Array:
    """Weights of the samples for LSF widths multiplied by a factor."""
    variance = jnp.maximum(lsf_scale**2 * arrays["variance"] - arrays["emulated"], 0.0) + arrays["floor"]
    return tap_weights(arrays["distance"], variance, arrays.get("width"))
