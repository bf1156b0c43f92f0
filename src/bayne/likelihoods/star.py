"""The model of one star's pixels: an emulator's spectrum, moved, broadened and sampled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp

from ..emulators import ErrorModel
from ..forward import ForwardModel
from ..wavelength import C_KMS
from .marginal import EmulatorError
from .model import PixelModel

#: Parameters of the spectrum that are no labels of the network.
OTHERS = ("rv", "vsini", "vmac", "lsf_scale", "lsf_box")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RobustWidths:
    """Makes a likelihood as wide about its maximum as the covariance of an estimate is.

    It has the likelihood at θ that the model has at θ₀ + A (θ - θ₀) (Ribatet, Cooley & Davison 2012, Statistica Sinica
    22, 813): the maximum stays, the curvature H becomes Aᵀ H A. Priors, domain and samplers are what they were.

    Parameters
    ----------
    centre
        (m,) maximum θ₀ in the parameters of the mean.
    shrink
        (m, m) the matrix A.
    """

    centre: jax.Array
    shrink: jax.Array

    @classmethod
    def unchanged(cls, m: int) -> RobustWidths:
        """Of a model that is taken for right."""
        return cls(jnp.zeros(m), jnp.eye(m))

    def __call__(self, mean: jax.Array) -> jax.Array:
        """Parameters (m,) of the mean nearer to the maximum than they are."""
        return self.centre + self.shrink @ (mean - self.centre)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class StarModel(PixelModel):
    """Spectrum of a star on its pixels.

    Parameters
    ----------
    label_index
        Where the leading parameters stand in the network's vector of labels; those after it are velocities,
        ``lsf_scale`` and ``lsf_box``.
    forward
        What takes the network's spectrum to the pixels.
    labels
        (l,) the network's labels, which those that are free replace.
    fixed
        Values () of those of `OTHERS` that are not free.
    bary
        Velocity that is added to that in the frame of the file (km/s).
    robust
        Widths of the likelihood.
    spreads
        (h, a, c) standard deviations of the continuum's columns to choose from; None without a process.
    offset
        (a, n) what a teacher adds to the spectra of a distilled emulator; None without a teacher.
    """

    label_index: tuple[int, ...] = field(metadata={"static": True})
    forward: ForwardModel
    labels: jax.Array
    fixed: dict[str, jax.Array]
    bary: jax.Array
    robust: RobustWidths
    spreads: jax.Array | None = None
    offset: jax.Array | None = None

    def parameters(self, theta: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Label vector (l,) of the network, and those of `OTHERS` by name."""
        theta, k = self._nearer(theta), len(self.label_index)
        labels = self.labels.at[jnp.asarray(self.label_index, dtype=jnp.int32)].set(theta[:k])
        where = {name: i for i, name in enumerate(self.names)}
        return labels, {name: theta[where[name]] if name in where else self.fixed[name] for name in OTHERS}

    def _nearer(self, theta: jax.Array) -> jax.Array:
        m = self.n_mean
        return theta.at[:m].set(self.robust(theta[:m]))

    def predictions(self, x: jax.Array) -> jax.Array:
        """(a, n, k) normalised flux, float64, 1 on unused pixels; side by side they cost less than one by one."""
        labels, other = jax.vmap(self.parameters)(x)
        return self._model(self.observed(self.forward.network.spectra(self.forward.params, labels), other))

    def jacobian(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        """As of any `PixelModel`; broadening and sampling are linear in the spectrum, whose derivatives go through them
        side by side."""
        labels, other = self.parameters(theta)
        directions = jnp.eye(labels.size)[jnp.asarray(self.label_index, dtype=jnp.int32)]
        rest, by_label = self.forward.network.jacobian(self.forward.params, labels, directions)
        by_label = self.observed(by_label, other)
        k = len(self.label_index)
        names = self.names[k : self.n_mean]

        def moved(values: jax.Array) -> jax.Array:
            return self.observed(rest[None], other | dict(zip(names, values, strict=True)))

        model, push_other = jax.linearize(moved, self._nearer(theta)[k : self.n_mean])
        by_other = jax.vmap(push_other, out_axes=-1)(jnp.eye(len(names)))[..., 0, :]
        both = jnp.concatenate([by_label, by_other], axis=-1) @ self.robust.shrink
        return self._model(model)[..., 0], jnp.where(self.pixels.used[..., None], both, 0.0)

    def observed(self, rest: jax.Array, other: dict[str, jax.Array]) -> jax.Array:
        """(a, n, k) spectra (k, p) of the emulator's wavelengths on the observed pixels, float64.

        What is in `other` is () for all of them, or (k,).
        """
        # collinear velocities add in rapidity: barycentric rv minus the observer's motion is the frame's velocity
        velocity = C_KMS * jnp.tanh(jnp.arctanh(other["rv"] / C_KMS) - jnp.arctanh(self.bary / C_KMS))
        flux = self.forward.observe(rest, velocity, *(other[name] for name in OTHERS[1:]))
        return flux.astype(jnp.float64)

    def _model(self, observed: jax.Array) -> jax.Array:
        offset = 0.0 if self.offset is None else self.offset[..., None]
        return jnp.where(self.pixels.used[..., None], observed + offset, 1.0)

    def thinned(self, step: int) -> StarModel:
        """The model of one pixel in `step`; of all of them where a banded LSF makes each of its neighbours."""
        if self.forward.bands is not None:
            return self
        offset = None if self.offset is None else self.offset[:, ::step]
        return replace(self, forward=self.forward.thinned(step), pixels=self.pixels.thinned(step), offset=offset)

    def with_emulator_error(self, error: ErrorModel, theta: jax.Array) -> StarModel:
        """With the emulator's error counted, as it is at θ: it depends on the star.

        It stays as it is there when the parameters change, so that the maximum does not drift to where the error is
        large.
        """
        labels, other = self.parameters(theta)
        network, params = self.forward.network, self.forward.params
        found = error.of(*network.jacobian(params, labels, jnp.eye(labels.size)))
        rows = jnp.concatenate([found.basis, found.sigma[None] ** 2]).astype(jnp.float32)
        carried, used = self.observed(rows, other), self.pixels.used
        own = EmulatorError(
            jnp.where(used[..., None], carried[..., :-1], 0.0),
            jnp.where(used, self.forward.independent * jnp.maximum(carried[..., -1], 0.0), 0.0),
        )
        return replace(self, pixels=replace(self.pixels, error=own))
