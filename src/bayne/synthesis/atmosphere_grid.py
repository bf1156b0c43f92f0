"""Grids of model atmospheres and the interpolation between them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull, Delaunay, KDTree, QhullError

from ..errors import BayneError, ReadError, did_you_mean
from ..precision import double
from ..spectrum import FloatArray
from .atmosphere import QUANTITIES, Atmosphere, Scale, formats, is_atmosphere, read_atmospheres

Method = Literal["spline", "local"]

#: Distances in Teff (K), log g and [Fe/H] that count alike. Found by leave-one-out on the STAGGER grid, where half
#: or twice of one of them makes the error in temperature larger, by up to 15%.
SCALES = np.array([500.0, 1.0, 0.5])

#: What plays the part of the 500 K in grids whose steps grow with Teff, in ln Teff: the same at 5000 K.
LOG_TEFF = 0.1

#: Grids of more models than this get local splines, and of how many models each is.
MANY, NEAR = 1500, 100

#: Local splines: models whose tetrahedron extends further in ln Teff, log g or [Fe/H] have a gap between them.
GAP = np.array([0.15, 1.1, 1.1])

#: Spare room about the hull, in units of SCALES, so that the models on it count as inside in spite of rounding.
SPARE = 1e-9


class Spline(NamedTuple):
    """What `structure` needs of a grid of n models in d layers; arrays for a compiled function.

    Parameters
    ----------
    points
        (n, 3) labels of the models over `SCALES`.
    coefficients
        (n + 4, q, d) of the splines in ln(T / Teff) and the logarithms of the other quantities.
    """

    points: jax.Array
    coefficients: jax.Array


def structure(spline: Spline, labels: jax.Array) -> jax.Array:
    """(q, d) quantities of the atmosphere at (teff, logg, fe_h), in the order of `AtmosphereGrid.quantities`.

    Pure JAX, differentiable in the labels (3,); it extrapolates in silence, so see `AtmosphereGrid.contains` first.
    """
    place = labels / SCALES
    square = jnp.sum((spline.points - place) ** 2, axis=-1)
    basis = jnp.concatenate([_kernel(square), jnp.ones(1), place])
    logs = jnp.tensordot(basis, spline.coefficients, axes=1, precision=jax.lax.Precision.HIGHEST)
    return jnp.exp(logs).at[0].multiply(labels[0])


def _kernel(square: jax.Array) -> jax.Array:
    """r² ln r of squared distances; 0 at 0, and so its gradient."""
    far = square > 0
    return jnp.where(far, 0.5 * square * jnp.log(jnp.where(far, square, 1.0)), 0.0)


_structure = jax.jit(structure)


@dataclass(frozen=True, eq=False, kw_only=True)
class AtmosphereGrid:
    r"""Models of one kind on common depths, interpolated inside the convex hull of their labels.

    Between the models the logarithms of T / Teff, pressure, electron pressure, density and column mass are interpolated
    at equal optical depth, by thin-plate splines (r² ln r and a linear function, through every model; Duchon 1977,
    Lecture Notes in Mathematics 571, 85). They invert a matrix of the size of the number of models, good for some
    thousands. Each of the 176 models of the STAGGER grid that are not corners of its hull, made from the 203 others,
    differs from the truth by (log tau -4 to 1)

    ==============================  =====
    temperature, root mean square   33 K
    temperature, median             11 K
    log10 pressure, rms             0.023
    log10 pressure, median          0.004
    ==============================  =====

    Their root mean square at log tau = -4, -3, -2, -1, 0, 1 is 69, 41, 19, 10, 10, 49 K and 0.075, 0.019, 0.009, 0.007,
    0.008, 0.008 dex; the top is worst at [Fe/H] = -1 and below. A hole is as wide as two steps of the grid; the models
    at log g = 4.44, which lie close to those at 4.5, come out to 8, 5, 8 and 22 K for [Fe/H] = 0, -0.5, -1 and -2, and
    to about 40 K at -3, -4 and 0.5.

    ``"local"`` splines are of the nearest 100 models only, with ln Teff in place of Teff, and have small steps where
    these change. Their models may have gaps, such as that beyond the Eddington limit, which count as outside although
    the hull goes round them. `leave_one_out` gives the errors of any grid.

    Parameters
    ----------
    labels
        (n, 3) Teff (K), log g, [Fe/H]; any places, in any order.
    log_tau
        (d,), as in `Atmosphere`.
    temperature, pressure, electron_pressure, density, column
        (n, d), as in `Atmosphere`.
    name, scale
        As there.
    method
        ``"spline"`` or ``"local"``.

    Raises
    ------
    BayneError
        Wrong shapes or numbers, two models with the same labels, labels that span no volume.
    """

    labels: FloatArray
    log_tau: FloatArray
    temperature: FloatArray
    pressure: FloatArray
    electron_pressure: FloatArray = field(default_factory=lambda: np.array(np.nan))
    density: FloatArray = field(default_factory=lambda: np.array(np.nan))
    column: FloatArray = field(default_factory=lambda: np.array(np.nan))
    name: str = "grid"
    scale: Scale = "5000"
    method: Method = "spline"

    label_names: ClassVar[tuple[str, ...]] = ("teff", "logg", "fe_h")
    alpha_range: ClassVar[tuple[float, float]] = (0.0, 0.0)

    def __post_init__(self) -> None:
        labels = np.array(self.labels, dtype=np.float64)
        if labels.ndim != 2 or labels.shape[1] != 3:
            raise BayneError(f"{self.name}: labels have shape {labels.shape}; they should be (n, 3)")
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "log_tau", np.array(self.log_tau, dtype=np.float64))
        if self.method not in get_args(Method):
            raise BayneError(f"unknown method {self.method!r}. {did_you_mean(self.method, get_args(Method))}")
        shape = (len(labels), self.log_tau.size)
        for name in QUANTITIES:
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape not in ((), shape):
                raise BayneError(f"{self.name}: {name} has shape {values.shape}, it should be {shape}")
            object.__setattr__(self, name, np.broadcast_to(values, shape))
        for i in range(len(labels)):
            self.model(i)  # checks the numbers
        _, first, count = np.unique(labels, axis=0, return_index=True, return_counts=True)
        if np.any(count > 1):
            raise BayneError(f"{self.name}: several models are at {_describe(labels[first[np.argmax(count)]])}")
        self._hull  # noqa: B018  (labels that span no volume)

    @classmethod
    def of(cls, models: Sequence[Atmosphere], *, name: str = "grid") -> AtmosphereGrid:
        """The grid of single models, brought to equal steps over the depths that all of them have.

        The method is ``"spline"``, or ``"local"`` for more than 1500 models.

        Raises
        ------
        BayneError
            No models, or of two scales of optical depth; or as in the class.
        """
        if not models:
            raise BayneError(f"{name}: there are no models")
        scales: set[Scale] = {model.scale for model in models}
        if len(scales) > 1:
            raise BayneError(
                f"{name}: some models are on the optical depth at 5000 Å, some on Rosseland's; take one kind"
            )
        low, high = max(m.log_tau[0] for m in models), min(m.log_tau[-1] for m in models)
        if not low < high:
            raise BayneError(f"{name}: the models have no depths in common")
        log_tau = np.linspace(low, high, max(model.log_tau.size for model in models))
        resampled = [model.resampled(log_tau) for model in models]
        return cls(
            labels=np.array([(m.teff, m.logg, m.fe_h) for m in models]),
            log_tau=log_tau,
            name=name,
            scale=scales.pop(),
            method="local" if len(models) > MANY else "spline",
            **{quantity: np.stack([getattr(m, quantity) for m in resampled]) for quantity in QUANTITIES},
        )

    def __len__(self) -> int:
        return len(self.labels)

    def model(self, index: int) -> Atmosphere:
        """One of the models, as it is."""
        teff, logg, fe_h = map(float, self.labels[index])
        return self._atmosphere({n: getattr(self, n)[index] for n in QUANTITIES}, teff, logg, fe_h)

    def _atmosphere(self, values: dict[str, FloatArray], teff: float, logg: float, fe_h: float) -> Atmosphere:
        name = f"{self.name} {teff:g}/{logg:g}/{fe_h:g}"
        return Atmosphere(log_tau=self.log_tau, teff=teff, logg=logg, fe_h=fe_h, name=name, scale=self.scale, **values)

    @cached_property
    def quantities(self) -> tuple[str, ...]:
        """What all models state, temperature first: the fields that are interpolated."""
        return tuple(name for name in QUANTITIES if np.all(np.isfinite(getattr(self, name))))

    @cached_property
    def _logs(self) -> FloatArray:
        """(n, q, d) ln(T / Teff), and the logarithms of the other quantities."""
        logs = np.log(np.stack([getattr(self, name) for name in self.quantities], axis=1))
        logs[:, 0] -= np.log(self.labels[:, :1])
        return logs

    @cached_property
    def _hull(self) -> ConvexHull:
        try:
            return ConvexHull(self._places(self.labels))
        except (QhullError, ValueError) as error:
            raise BayneError(
                f"{self.name}: the labels of {len(self)} models span no volume in (teff, logg, fe_h); "
                "at least 4 are needed, with more than one value of each label"
            ) from error

    @cached_property
    def _inverse(self) -> FloatArray:
        """(n + 4, n) from values at the models to coefficients of the splines."""
        n = len(self)
        system = _system(self.labels / SCALES)
        return np.asarray(np.linalg.solve(system, np.eye(n + 4)[:, :n]), dtype=np.float64)

    @cached_property
    @double
    def spline(self) -> Spline:
        """The arrays of `structure`, float64."""
        coefficients = np.tensordot(self._inverse, self._logs, axes=1)
        return Spline(jnp.asarray(self.labels / SCALES), jnp.asarray(coefficients))

    @cached_property
    def _delaunay(self) -> Delaunay:
        return Delaunay(self._places(self.labels))

    @cached_property
    def _whole(self) -> np.ndarray:
        """(s,) False for tetrahedra of models with a gap between them."""
        corners = (self.labels * [np.nan, 1, 1])[self._delaunay.simplices]
        corners[..., 0] = np.log(self.labels[:, 0])[self._delaunay.simplices]
        return np.asarray(np.all(np.ptp(corners, axis=1) <= GAP, axis=-1))

    @cached_property
    def _tree(self) -> KDTree:
        return KDTree(self._places(self.labels))

    def _places(self, labels: FloatArray) -> FloatArray:
        """Labels over the distances that count alike."""
        if self.method != "local":
            return np.asarray(labels / SCALES)
        return np.stack([np.log(labels[..., 0]) / LOG_TEFF, *np.moveaxis(labels[..., 1:] / SCALES[1:], -1, 0)], axis=-1)

    @property
    def corners(self) -> np.ndarray:
        """Indices of the models that are corners of the convex hull."""
        return np.sort(self._hull.vertices)

    def contains(self, labels: ArrayLike) -> np.ndarray:
        """(...) True where labels (..., 3) are inside the convex hull of the models, its surface included.

        With the method ``"local"``: and in no gap between them.
        """
        normals, offsets = self._hull.equations[:, :3], self._hull.equations[:, 3]
        with np.errstate(invalid="ignore"):
            place = self._places(np.asarray(labels, dtype=np.float64))
            inside = np.asarray(np.all(place @ normals.T + offsets <= SPARE, axis=-1))
        if self.method == "local":
            found = self._delaunay.find_simplex(np.where(inside[..., None], place, 0.0), tol=SPARE)
            # a model at the edge of a gap may be found in a tetrahedron of the gap
            model = self._tree.query(np.where(inside[..., None], place, 0.0))[0] < SPARE
            inside = inside & (model | ((found >= 0) & self._whole[found]))
        return inside

    def at(self, teff: float, logg: float, fe_h: float, alpha_fe: float = 0.0) -> Atmosphere:
        """The atmosphere of a star, interpolated. `alpha_fe` does not count: see `Models`.

        Raises
        ------
        BayneError
            Outside the convex hull of the models; the nearest one and the ranges are named.
        """
        labels = np.array([teff, logg, fe_h], dtype=np.float64)
        if not np.all(np.isfinite(labels)):
            raise BayneError(f"{self.name}: no model can be made for {_describe(labels)}")
        if not self.contains(labels):
            nearest = self.labels[np.argmin(np.sum(((self.labels - labels) / SCALES) ** 2, axis=1))]
            ranges = [f"{x:g} to {y:g}" for x, y in zip(self.labels.min(0), self.labels.max(0), strict=True)]
            raise BayneError(
                f"{_describe(labels)} is outside the models of {self.name}, and nothing is extrapolated. The nearest "
                f"model is {_describe(nearest)}; all are within Teff {ranges[0]} K, log g {ranges[1]}, "
                f"[Fe/H] {ranges[2]}, and not every combination of these is there"
            )
        values = dict(zip(self.quantities, self._interpolated(labels), strict=True))
        return self._atmosphere({name: values.get(name, np.array(np.nan)) for name in QUANTITIES}, *map(float, labels))

    @double
    def _interpolated(self, labels: FloatArray) -> FloatArray:
        if self.method == "spline":
            return np.asarray(_structure(self.spline, jnp.asarray(labels)))
        values = np.exp(self._near(self._places(labels)))
        values[0] *= labels[0]
        return values

    def _near(self, place: FloatArray, without: int = -1) -> FloatArray:
        """(q, d) logarithms by the spline of the nearest models but one."""
        near = self._tree.query(place, k=min(NEAR + 1, len(self)))[1]
        near = near[near != without][:NEAR]
        points = self._tree.data[near]
        square = np.sum((points - place) ** 2, axis=-1)
        basis = np.concatenate([_radial(square), [1.0], place])
        weights = np.linalg.solve(_system(points), basis)[: near.size]
        return np.tensordot(weights, self._logs[near], axes=1)


def _radial(square: FloatArray) -> FloatArray:
    """`_kernel` in NumPy."""
    return np.asarray(0.5 * square * np.log(np.where(square > 0, square, 1.0)))


def _system(points: FloatArray) -> FloatArray:
    """(n + 4, n + 4) symmetric matrix whose solution for values at (n, 3) points is the spline through them."""
    n = len(points)
    matrix = np.zeros((n + 4, n + 4))
    matrix[:n, :n] = _radial(np.sum((points[:, None] - points) ** 2, axis=-1))
    matrix[:n, n:] = np.concatenate([np.ones((n, 1)), points], axis=1)
    matrix[n:, :n] = matrix[:n, n:].T
    return matrix


class LeaveOneOut(NamedTuple):
    """Errors of models that were made from the others: interpolated minus true.

    Parameters
    ----------
    models
        (m,) which of the grid's, those that are not corners of the hull.
    temperature
        (m, d) K.
    log_pressure
        (m, d) dex.
    """

    models: np.ndarray
    temperature: FloatArray
    log_pressure: FloatArray


def leave_one_out(grid: AtmosphereGrid) -> LeaveOneOut:
    """The error of interpolation, from every model inside the hull made without itself.

    It is larger than the error in use, because each hole is as wide as two steps of the grid. For splines it follows
    from their coefficients, c_i / (A⁻¹)_ii, without making any anew (Rippa 1999, Adv. Comput. Math. 11, 193).

    Raises
    ------
    BayneError
        All models are corners of the hull.
    """
    inner = np.setdiff1d(np.arange(len(grid)), grid.corners)
    if not inner.size:
        raise BayneError(f"{grid.name}: all {len(grid)} models are corners of the hull; none can be left out")
    if grid.method == "spline":
        coefficients = np.tensordot(grid._inverse, grid._logs, axes=1)
        error = -(coefficients[inner, :2] / grid._inverse[inner, inner][:, None, None])
    else:
        error = np.stack([grid._near(grid._tree.data[i], without=i) for i in inner])[:, :2] - grid._logs[inner, :2]
    return LeaveOneOut(inner, grid.temperature[inner] * np.expm1(error[:, 0]), error[:, 1] / np.log(10.0))


def read_grid(path: str | Path, format: str | None = None) -> AtmosphereGrid:
    """A grid of model atmospheres: a ``.npz`` file of <3D> models, a file of many decks, or a folder of model files.

    Parameters
    ----------
    path
        In a folder every file is read but hidden ones, and those that are no models if no format is given. Files may
        be packed with gzip. Warnings of single files are given once, with their number.
    format
        Of the single models, see `read_atmospheres`; ``"stagger"`` for the ``.npz`` file; None to recognise it.

    Raises
    ------
    ReadError
        Nothing there, or a file that cannot be read.
    BayneError
        The models make no grid, see `AtmosphereGrid`.
    """
    from .stagger import read_stagger

    path = Path(path)
    if format is not None and format != "stagger" and format not in formats():
        raise ReadError(f"unknown format {format!r}. {did_you_mean(format, [*formats(), 'stagger'])}")
    if format == "stagger" or (format is None and path.suffix == ".npz"):
        return read_stagger(path)
    files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")) if path.is_dir() else [path]
    if not files:
        raise ReadError(f"{path}: the folder has no files")
    if path.is_dir() and format is None:
        files = [file for file in files if is_atmosphere(file)]
    if not files:
        raise ReadError(f"{path}: the folder has no file of model atmospheres ({', '.join(formats())})")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        models = [model for file in files for model in read_atmospheres(file, format)]
    if caught:
        warnings.warn(f"{len(caught)} of {len(models)} models: {caught[0].message}", stacklevel=2)
    return AtmosphereGrid.of(models, name=path.stem)


def _describe(labels: FloatArray) -> str:
    return f"Teff {labels[0]:g} K, log g {labels[1]:g}, [Fe/H] {labels[2]:g}"
