"""An emulator: a network, its weights, its wavelengths and its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from ..errors import BayneError
from ..files import digest
from ..precision import double
from ..spectrum import FloatArray
from .card import HULL_LABELS, Card
from .coordinates import segments, sensitivity
from .networks import Network, Params

if TYPE_CHECKING:
    from .corrections import Corrections

#: Spectra that are computed side by side.
BATCH = 16

#: How far in Teff (K), log g and [Fe/H] a reference star's residual tells of another star's.
NEAR = (500.0, 0.7, 0.5)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ErrorModel:
    """Covariance of an emulator's error in normalised flux: low rank plus diagonal.

    Parameters
    ----------
    basis
        (k, p) correlated part: the covariance is ``basis.T @ basis + diag(sigma**2)``.
    sigma
        (p,) standard deviation of the part that is uncorrelated between pixels.
    labels
        (l,) standard deviation of label errors, in their units: the part of the emulator's error that mimics a change
        of labels. With it, `basis` and `sigma` are errors of absorbance, and `of` gives a star's covariance in flux;
        None: they are errors of flux, the same for all stars.
    near
        (m, 3) Teff, log g and [Fe/H] of reference stars, whose residuals are the last m rows of `basis`: each counts
        for stars of like labels. Empty where there are none.
    floor
        () With `labels`: uncorrelated standard deviation of flux at all pixels: what is wrong where there are no lines.
    """

    basis: FloatArray | jax.Array
    sigma: FloatArray | jax.Array
    labels: FloatArray | None = None
    near: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    floor: FloatArray | float = 0.0

    @property
    def total(self) -> FloatArray:
        """(p,) standard deviation of each pixel that `basis` and `sigma` make."""
        return np.sqrt(np.sum(self.basis**2, axis=0) + self.sigma**2)

    def at(self, labels: Mapping[str, float]) -> ErrorModel:
        """The same for one star, with rows of reference stars as far as they tell of it.

        Their weights add up to 1, in proportion to exp(-½ r²), r the distance of the labels in units of `NEAR`.
        """
        if not len(self.near):
            return self
        where = np.array([labels[name] for name in HULL_LABELS])
        distance = np.sum(((self.near - where) / NEAR) ** 2, axis=-1)
        share = np.exp(-0.5 * (distance - distance.min()))
        weight = np.ones(len(self.basis))
        weight[-len(share) :] = np.sqrt(share / share.sum())
        return replace(self, basis=self.basis * weight[:, None], near=self.near[:0])

    def of(self, flux: jax.Array, gradient: jax.Array) -> ErrorModel:
        """Flux errors of a star with flux f (p,) and derivatives g_i (l, p) with respect to the labels.

        With the basis B, σ and τ of `labels` their covariance is ``d (BᵀB + σ²) d + Σ τ_i² g_i g_iᵀ``, d = f (1 - f):
        an error of absorbance shows where the star has lines. `floor` adds to the diagonal.
        """
        if self.labels is None:
            return self
        size = sensitivity(flux)
        shift = gradient * self.labels[:, None]
        sigma = jnp.hypot(self.sigma * size, self.floor)
        return ErrorModel(jnp.concatenate([self.basis * size, shift]), sigma)


@dataclass(frozen=True, eq=False)
class Emulator:
    """Predicts normalised spectra from labels.

    Parameters
    ----------
    network
        The architecture, a pure function.
    params
        Its weights.
    wavelength
        (p,) vacuum Å, increasing.
    card
        Labels, domain, resolution, provenance.
    error
        The emulator's own error; None where it was never measured.
    teacher
        The emulator it was distilled from, to check posteriors; None if it was not distilled, or was read from a file.
    corrections
        Those that made it from another one; None where it is as it was trained.
    """

    network: Network
    params: Params
    wavelength: FloatArray
    card: Card
    error: ErrorModel | None = None
    teacher: Emulator | None = None
    corrections: Corrections | None = None

    def __repr__(self) -> str:
        windows = ", ".join(f"{low:.0f}-{high:.0f}" for low, high in self.windows())
        return f"<Emulator {self.card.name!r}: {len(self.label_names)} labels, {windows} Å, R = {self.resolution:.0f}>"

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels, in order."""
        return self.card.labels

    @property
    def label_units(self) -> tuple[str, ...]:
        """Units of the labels, in order."""
        return self.card.units

    @property
    def lower(self) -> FloatArray:
        """(l,) lower ends of the training domain."""
        return np.array(self.card.lower)

    @property
    def upper(self) -> FloatArray:
        """(l,) upper ends of the training domain."""
        return np.array(self.card.upper)

    @property
    def resolution(self) -> float:
        """R = λ/FWHM of the emulated spectra."""
        return self.card.resolution

    @cached_property
    def hash(self) -> str:
        """Of all that its spectra and their errors depend on: see `digest`."""
        arrays = {name: value for name, value in self.params.items() if name not in self.network.derived}
        arrays["its wavelength"] = self.wavelength  # networks with weights per pixel do not hold it
        if self.error is not None:
            arrays |= {f"error {name}": value for name, value in vars(self.error).items() if value is not None}
        return digest(arrays, self.card.to_json(), "" if self.teacher is None else self.teacher.hash)

    @property
    def segment(self) -> np.ndarray:
        """(p,) number of the contiguous window that each pixel belongs to."""
        return segments(self.wavelength)

    def contains(self, labels: ArrayLike) -> np.ndarray:
        """Whether label vectors (..., l) lie in the training domain; shape (...)."""
        return self.card.contains(self._checked(labels))

    @double
    def flux(self, labels: ArrayLike, wavelength: ArrayLike | None = None) -> np.ndarray:
        """Normalised flux for labels inside the training domain.

        Parameters
        ----------
        labels
            (..., l) in the order of `label_names`.
        wavelength
            (q,) vacuum Å; None for the emulator's own grid. Other wavelengths are reached by a cubic spline
            inside each window, never across a gap.

        Returns
        -------
        array
            (..., p) or (..., q) float32.

        Raises
        ------
        BayneError
            Labels outside the training domain or of the wrong number; wavelengths outside the windows.
        """
        x = self._checked(labels)
        if not np.all(self.contains(x)):
            out = x[~self.contains(x)].reshape(-1, x.shape[-1])[0]
            told = [
                f"{name} = {value:g} (domain {low:g} to {high:g})"
                for name, value, low, high in zip(self.label_names, out, self.lower, self.upper, strict=True)
                if not low <= value <= high
            ]
            raise BayneError(
                f"labels outside the domain of {self.card.name!r}: " + (", ".join(told) or "outside the hull")
            )
        own = self.evaluate(x)
        return own if wavelength is None else self._at(own, np.asarray(wavelength, dtype=np.float64))

    @double
    def evaluate(self, labels: FloatArray) -> np.ndarray:
        """Flux (..., p) on the own grid for labels (..., l), wherever they lie: a fit may touch the domain's wall."""
        flat = jnp.asarray(labels.reshape(-1, labels.shape[-1]))
        if not len(flat):
            return np.zeros((*labels.shape[:-1], self.wavelength.size), np.float32)
        return np.asarray(_flux(self.network, self.on_device, flat)).reshape(*labels.shape[:-1], -1)

    @double
    def gradient(self, labels: ArrayLike) -> FloatArray:
        """Derivatives (l, p) of the flux by the labels (l,), per unit of each label.

        Raises
        ------
        BayneError
            Labels of the wrong number.
        """
        _, gradient = _expanded(self.network, self.on_device, jnp.asarray(self._checked(labels)))
        return np.asarray(gradient, dtype=np.float64)

    @double
    def error_at(self, labels: FloatArray) -> ErrorModel | None:
        """Covariance in flux of the emulator's error for a star of labels (l,); None where it was never measured."""
        if self.error is None:
            return None
        error = self.error.at(dict(zip(self.label_names, labels, strict=True)))
        found = error.of(*_expanded(self.network, self.on_device, jnp.asarray(labels)))
        return ErrorModel(np.asarray(found.basis, np.float64), np.asarray(found.sigma, np.float64))

    def windows_in_words(self) -> str:
        """Ends of the windows, for messages."""
        return ", ".join(f"{low:.0f}-{high:.0f}" for low, high in self.windows())

    @property
    @double
    def on_device(self) -> Params:
        """`params` on the default device, put there once: stars share them."""
        device = jax.config.jax_default_device  # type: ignore[attr-defined]
        if device not in self._placed:
            self._placed[device] = jax.tree.map(jnp.asarray, dict(self.params))
        return self._placed[device]

    @cached_property
    def _placed(self) -> dict[Any, Params]:
        return {}

    def cut(self, keep: np.ndarray) -> Emulator:
        """The emulator on the pixels where `keep` (p,) is True, at their share of the cost; itself if it has no cut.

        The same object for the same pixels.
        """
        if keep.all() or not self.network.per_pixel:
            return self
        key = keep.tobytes()
        if key not in self._cuts:
            self._cuts[key] = self._cut(keep)
        return self._cuts[key]

    @cached_property
    def _cuts(self) -> dict[bytes, Emulator]:
        return {}

    def _cut(self, keep: np.ndarray) -> Emulator:
        stored = {k: np.asarray(v) for k, v in self.params.items() if k not in self.network.derived}
        arrays = {k: v[..., keep] if k in self.network.per_pixel else v for k, v in stored.items()}
        wavelength = self.wavelength[keep]
        network, params = self.network.decode(arrays | {"wavelength": wavelength}, self.card)
        error = self.error
        if error is not None:
            error = replace(error, basis=error.basis[:, keep], sigma=error.sigma[keep])
        return Emulator(network, params, wavelength, self.card, error, self.teacher)

    def _checked(self, labels: ArrayLike) -> FloatArray:
        x = np.asarray(labels, dtype=np.float64)
        if x.ndim == 0 or x.shape[-1] != len(self.label_names):
            raise BayneError(
                f"labels of shape {x.shape}: the last axis must hold the {len(self.label_names)} labels "
                f"{', '.join(self.label_names)}"
            )
        return x

    def _at(self, flux: np.ndarray, wavelength: FloatArray) -> np.ndarray:
        if wavelength.ndim != 1:
            raise BayneError(f"wavelength of shape {wavelength.shape}: give a one-dimensional array of vacuum Å")
        out = np.full((*flux.shape[:-1], wavelength.size), np.nan, dtype=np.float32)
        segment = self.segment
        for k in np.unique(segment):
            own = self.wavelength[segment == k]
            inside = (wavelength >= own[0]) & (wavelength <= own[-1])
            if own.size > 3:
                out[..., inside] = CubicSpline(own, flux[..., segment == k], axis=-1)(wavelength[inside])
        if np.any(np.isnan(out)):
            raise BayneError(
                f"wavelengths outside the windows of {self.card.name!r}: "
                + ", ".join(f"{a:.1f}-{b:.1f}" for a, b in self.windows())
                + " vacuum Å"
            )
        return out

    def windows(self) -> list[tuple[float, float]]:
        """First and last wavelength (vacuum Å) of every window."""
        segment = self.segment
        return [
            (float(self.wavelength[segment == k][0]), float(self.wavelength[segment == k][-1]))
            for k in np.unique(segment)
        ]


@partial(jax.jit, static_argnums=0)
def _flux(network: Network, params: Params, labels: jax.Array) -> jax.Array:
    # some at a time, for networks' memory
    return jax.lax.map(lambda x: network.spectra(params, x[None])[0], labels, batch_size=BATCH)


@partial(jax.jit, static_argnums=0)
def _expanded(network: Network, params: Params, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    return network.jacobian(params, labels, jnp.eye(labels.size, dtype=labels.dtype))
