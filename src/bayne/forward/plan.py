"""Everything about an observation that is fixed before fitting: which pixels, which samples, which kernels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator, Network
from ..lsf import FWHM_PER_SIGMA, GaussianLSF
from ..spectrum import Arm, FloatArray, Spectrum
from ..wavelength import C_KMS
from .grid import model_grid
from .lsf import ArmKernel, arm_kernel, pixel_width
from .operators import (
    apply_bands,
    gaussian_transform,
    limb_darkening,
    log_doppler,
    macroturbulence_transform,
    rotation_transform,
    shift_transform,
    tap_weights,
    top_hat_transform,
)

#: Velocities within this of the starting one are reachable without losing a pixel (km/s), unless the prior of the
#: velocity is narrower.
VELOCITY_MARGIN = 50.0

#: Kernels are summed out to this many sigma.
REACH_SIGMA = 5.0

#: Kernels reach a multiple of so many samples: stars whose LSFs differ a little share one compiled function.
SHARED_TAPS = 4

#: Sigma, in samples, of the Gaussian that every pixel is sampled with: the smallest whose sum over samples is its
#: integral. The aliased part is below exp(-2 π² σ² (1 - f)²), 1e-5 for a spectrum without power above f = 1/4 of
#: the sampling rate.
MIN_SIGMA = 1.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ForwardModel:
    """What takes rest-frame spectra to the observed pixels; a pytree.

    Parameters
    ----------
    network, upsample, rotates, macro, boxy
        What compiled functions depend on: the network, samples per sample of the grid, and whether there is rotation,
        macroturbulence, a top hat in the LSF.
    params
        Weights of the network.
    grid_index, grid_weight
        (s, L, k) the padded grid of each window as weighted sums of the emulator's pixels.
    frequency, limb, gain
        (s, L // 2 + 1) cycles per km/s; (s,) limb darkening; (L // 2 + 1,) of the transform when it is upsampled.
    velocity
        () about which `index` is planned (km/s).
    emulated, floor, common
        () variance that the emulator's spectra have, and that sampling adds; (s,) what all pixels of a window have
        ((km/s)²).
    index, weight, slope
        (a, n) first sample of each pixel, (a, n, t) weights, and their derivative by the LSF's variance; None where
        widths do not differ or are not free.
    box
        (s,) share of a top hat in the LSF's variance.
    independent
        (a, n) variance of every pixel where the emulator's samples have independent errors of variance 1.
    bands
        (a, n, b) banded LSF; None for Gaussians alone.
    """

    network: Network = field(metadata={"static": True})
    upsample: int = field(metadata={"static": True})
    rotates: bool = field(metadata={"static": True})
    macro: bool = field(metadata={"static": True})
    boxy: bool = field(metadata={"static": True})
    params: Any
    grid_index: jax.Array
    grid_weight: jax.Array
    frequency: jax.Array
    limb: jax.Array
    gain: jax.Array
    velocity: jax.Array
    emulated: jax.Array
    floor: jax.Array
    common: jax.Array
    index: jax.Array
    weight: jax.Array
    box: jax.Array
    independent: jax.Array
    slope: jax.Array | None
    bands: jax.Array | None

    def thinned(self, step: int) -> ForwardModel:
        """To one observed pixel in `step`; without bands, which make a pixel of its neighbours."""
        slope = None if self.slope is None else self.slope[:, ::step]
        index, weight, independent = (v[:, ::step] for v in (self.index, self.weight, self.independent))
        return replace(self, index=index, weight=weight, independent=independent, slope=slope)

    def observe(
        self,
        rest_flux: jax.Array,
        velocity: jax.Array,
        vsini: jax.Array,
        vmac: jax.Array,
        lsf_scale: jax.Array,
        lsf_box: jax.Array,
    ) -> jax.Array:
        """Take normalised rest-frame spectra on the emulator's pixels to the observed pixels; linear in the spectra.

        Parameters
        ----------
        rest_flux
            (k, p).
        velocity, vsini, vmac
            km/s, () or (k,); the velocity in the frame of the file.
        lsf_scale
            Factor on the width of the LSF, () or (k,).
        lsf_box
            Factor on the share of its variance that a top hat has, () or (k,).

        Returns
        -------
        array
            (a, n, k) normalised flux; meaningless where `Plan.used` is False.
        """
        index, share = self.grid_index, self.grid_weight
        padded: Any = sum(rest_flux[:, index[..., i]] * share[..., i] for i in range(index.shape[-1]))
        frequency = self.frequency
        moved = C_KMS * (log_doppler(velocity) - log_doppler(self.velocity))
        # what all pixels of a window have in common, less what the emulator has already and what sampling will add
        variance = lsf_scale[..., None] ** 2 * self.common
        spread = (variance - self.emulated)[..., None]
        vsini, vmac, moved = (x[..., None, None].astype(frequency.dtype) for x in (vsini, vmac, moved))
        spread = spread.astype(frequency.dtype)
        transfer = self.gain
        if self.boxy:
            most = jnp.maximum(spread + self.floor, 0.0)  # beside the emulator's own width
            top = jnp.minimum((lsf_box[..., None] * self.box * variance)[..., None].astype(frequency.dtype), most)
            spread, transfer = spread - top, transfer * top_hat_transform(frequency, top)
        transfer = transfer * gaussian_transform(frequency, spread)
        if self.rotates:
            transfer = transfer * rotation_transform(frequency, vsini, self.limb[:, None])
        if self.macro:
            transfer = transfer * macroturbulence_transform(frequency, vmac)
        spectrum = jnp.fft.rfft(padded) * (transfer * shift_transform(frequency, moved))
        # spectra last, so that what a pixel takes from all of them lies side by side
        fine = jnp.fft.irfft(spectrum, n=self.upsample * padded.shape[-1])
        fine = fine.reshape(len(rest_flux), fine.shape[1] * fine.shape[2]).T  # of no spectra, too: all labels are fixed
        taps = self.weight.shape[-1]

        def sampled(weight: jax.Array) -> jax.Array:
            if len(rest_flux) == 1:  # all taps at once: the adjoint is one scatter
                every = self.index[..., None] + jnp.arange(taps, dtype=jnp.int32)
                return jnp.einsum("ant,antk->ank", weight, fine[every])
            # tap by tap: what all taps gather would be written to memory and read again
            first = weight[..., :1] * fine[self.index]
            return sum((weight[..., t, None] * fine[self.index + t] for t in range(1, taps)), first)

        flux = sampled(self.weight)
        if self.slope is not None:
            # where widths differ, a scale changes the rest of each pixel's variance too: to first order
            flux = flux + (lsf_scale**2 - 1).astype(flux.dtype) * sampled(self.slope)
        return flux if self.bands is None else apply_bands(flux, self.bands)


@dataclass(frozen=True)
class Plan:
    """A forward model ready for one spectrum.

    Parameters
    ----------
    forward
        The model, whose arrays are arguments of the compiled functions.
    used
        (a, n) True for pixels whose kernels stay inside a window, within the velocity margin.
    n_lost
        Good pixels that do not.
    has_kernel
        Whether any arm has a Gaussian kernel, so that a scale on its width means something.
    min_scale
        Smallest factor on the width of the LSF for which the emulator is sharp enough.
    """

    forward: ForwardModel
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
    scale = max_scale or 1.0
    # a Gaussian of macroturbulence has sigma = vmac / sqrt(2)
    broadening = max_vsini + REACH_SIGMA / np.sqrt(2) * max_vmac + margin
    reaches = [broadening + _reach(kernel, emulated, scale) for kernel in kernels]
    grid = model_grid(emulator, max(reaches))
    dv = C_KMS * grid.step
    narrowest = min(float(kernel.variance.min()) for kernel in kernels)
    upsample = 1 if narrowest - emulated >= (1.3 * MIN_SIGMA * dv.max()) ** 2 else 2
    floor = (MIN_SIGMA * dv.max() / upsample) ** 2
    n = max(arm.wavelength.size for arm in spectrum.arms)

    shape = (len(kernels), n)
    window, place = np.zeros(shape, np.int64), np.zeros(shape)
    used, good = np.zeros(shape, bool), np.zeros(shape, bool)
    for a, (arm, kernel, reach) in enumerate(zip(spectrum.arms, kernels, reaches, strict=True)):
        good[a, : arm.wavelength.size] = arm.good
        reach += REACH_SIGMA * np.sqrt(floor)
        if kernel.width is not None:
            reach += float(kernel.width.max()) / 2
        # rows of bands at the ends of an arm lack neighbours to draw on
        edge = 0 if kernel.bands is None else kernel.bands.shape[1] // 2
        reach += edge * float(pixel_width(arm.wavelength).max())
        rest = np.log(arm.wavelength) - float(log_doppler(velocity))
        for s in range(grid.step.size):
            last = grid.first[s] + grid.step[s] * (grid.size[s] - 1)
            inside = np.flatnonzero((rest - reach / C_KMS >= grid.first[s]) & (rest + reach / C_KMS <= last))
            window[a, inside] = s
            place[a, inside] = (rest[inside] - grid.first[s]) / grid.step[s]
            used[a, inside[(inside >= edge) & (inside < rest.size - edge)]] = True
    used &= good
    common, excess = _common(kernels, window, used, grid.step.size)
    position = (grid.pad + place) * upsample
    step = dv[window] / upsample
    # arms without a pixel of their own beside arms with one: 0.3 samples widen the kernel by 0.4%
    width = np.maximum(_stack([np.zeros(1) if k.width is None else k.width for k in kernels], n) / step, 0.3)
    pixel = jnp.asarray(width) if any(k.width is not None for k in kernels) else None
    half_width = 0.0 if pixel is None else 0.5 * float(width[used].max(initial=0.0))
    # padding keeps a harmless width: a variance of zero would put NaN into gradients
    variance = (excess + floor) / step**2
    half = SHARED_TAPS * int(np.ceil((REACH_SIGMA * np.sqrt(variance.max()) + half_width) / SHARED_TAPS))
    offset = np.arange(-half, half + 1)
    nearest = np.floor(position)
    distance = jnp.asarray(offset - (position - nearest)[..., None], jnp.float32)
    weight, slope = jax.jvp(
        lambda v: tap_weights(distance, v, pixel), (jnp.asarray(variance),), (jnp.asarray(excess / step**2),)
    )
    gain = np.full(grid.frequency.shape[-1], upsample, np.float32)
    if upsample > 1:
        gain[-1] *= 0.5  # the Nyquist term stands for both signs once zeros follow it
    box = _boxes(spectrum.arms, window, used, grid.step.size)
    arrays: dict[str, Any] = {
        "grid_index": grid.index,
        "grid_weight": grid.weight.astype(np.float32),
        "frequency": grid.frequency.astype(np.float32),
        "limb": limb_darkening(np.exp(grid.first + 0.5 * grid.step * (grid.size - 1))).astype(np.float32),
        "gain": gain,
        "velocity": np.float64(velocity),
        "emulated": np.float64(emulated + floor),
        "floor": np.float32(floor),
        "common": common,
        "index": (window * grid.length * upsample + nearest.astype(np.int64) - half).astype(np.int32),
        "weight": weight,
        "box": box,
        "independent": _independent(spectrum.arms, kernels, window, dv, emulated).astype(np.float32),
        "slope": slope if max_scale is not None and excess.any() else None,
        "bands": _stack_bands(kernels, n) if any(k.bands is not None for k in kernels) else None,
    }
    forward = ForwardModel(
        network=emulator.network,
        upsample=upsample,
        rotates=max_vsini > 0,
        macro=max_vmac > 0,
        boxy=bool(np.any(box)),
        params=emulator.on_device,
        **jax.tree.map(jnp.asarray, arrays),
    )
    has_kernel = any(np.any(k.variance > emulated) for k in kernels)
    lost = int((good & ~used).sum())
    min_scale = float(np.sqrt(emulated / common.min()))
    return Plan(forward, used, lost, has_kernel, min_scale)


def _boxes(arms: tuple[Arm, ...], window: np.ndarray, used: np.ndarray, count: int) -> FloatArray:
    """(s,) share of a top hat in the variance of the LSF in each window: the largest of the arms with pixels there."""
    own = np.array([arm.lsf.box if isinstance(arm.lsf, GaussianLSF) else 0.0 for arm in arms])
    there = np.array([(used & (window == s)).any(axis=1) for s in range(count)])
    return np.max(own * there, axis=1)


def _reach(kernel: ArmKernel, emulated: float, scale: float) -> float:
    """How far (km/s) an arm's LSF, its width times a factor, reaches beyond the emulator's."""
    return REACH_SIGMA * float(np.sqrt(max(scale**2 * kernel.variance.max() - emulated, 0.0)))


def _stack(values: list[FloatArray], n: int) -> FloatArray:
    """(a, n) one row per arm; beyond its own pixels the last value goes on."""
    return np.stack([np.pad(value, (0, n - value.size), mode="edge") for value in values])


def _common(
    kernels: list[ArmKernel], window: np.ndarray, used: np.ndarray, count: int
) -> tuple[FloatArray, FloatArray]:
    """(s,) least variance in each window, or of all where it has no pixel, and (a, n) what each pixel has beyond it."""
    variance = _stack([kernel.variance for kernel in kernels], used.shape[1])
    common = np.full(count, variance[used].min(initial=variance.max()))
    for s in range(count):
        own = used & (window == s)
        if own.any():
            common[s] = variance[own].min()
    return common, np.where(used, variance - common[window], 0.0)


def _independent(
    arms: tuple[Arm, ...], kernels: list[ArmKernel], window: np.ndarray, dv: FloatArray, emulated: float
) -> FloatArray:
    """(a, n) variance of every pixel where the emulator's samples have independent errors of variance 1.

    A Gaussian kernel of standard deviation s samples leaves 1 / sqrt(1 + 4π s²), the sum of its squared weights, but
    makes the errors of neighbouring pixels alike, which a likelihood with a variance per pixel takes for independent.
    What such a likelihood says of anything wider than the kernel is right where each pixel has as much variance as it
    has samples to itself, upside down: the step of the emulator over that of the pixels. The larger one is on the safe
    side for all that is narrower.
    """
    pixel = _stack([pixel_width(arm.wavelength) for arm in arms], window.shape[1])
    kernel = _stack([np.maximum(k.variance - emulated, 0.0) for k in kernels], window.shape[1])
    return np.maximum(dv[window] / pixel, 1 / np.sqrt(1 + 4 * np.pi * kernel / dv[window] ** 2))


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
