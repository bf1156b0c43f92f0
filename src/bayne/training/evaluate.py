"""How good an emulator is, on spectra that touched no training."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..emulators import Card, Emulator
from ..errors import BayneError
from ..spectrum import FloatArray
from .attention import LineMap, LineTest, attention_map, gradient_map, line_tests
from .derivatives import StarDerivatives, check_labels, check_wavelength, compare_derivatives
from .grid import Grid, read_grid

#: Edges of the regions of label space: temperature by metallicity, and gravity.
EDGES = {"teff": (4800.0, 5800.0), "fe_h": (-1.0,), "logg": (3.5,)}
REGIONS = (("teff", "fe_h"), ("logg",))

#: A grid and an emulator of one resolution agree to this; a row may lie this far outside a domain that was rounded,
#: in units of its width.
SAME_RESOLUTION, ROUNDING = 0.02, 1e-3

#: Probabilities at which residuals in units of the predicted error are compared with a Gaussian: 1 and 2 sigma.
PROBABILITIES = (0.02275, 0.15866, 0.5, 0.84134, 0.97725)


@dataclass(frozen=True)
class Errors:
    """Errors in normalised flux of some stars over some pixels.

    Parameters
    ----------
    stars
        Number of stars.
    mae, rmse
        Mean absolute and root mean square error.
    p999
        99.9th percentile of the absolute error.
    worst_pixel
        Largest absolute error.
    median_star_mae, worst_star_mae
        Mean absolute error of the median and of the worst star.
    """

    stars: int
    mae: float
    rmse: float
    p999: float
    worst_pixel: float
    median_star_mae: float
    worst_star_mae: float

    @classmethod
    def of(cls, residual: np.ndarray) -> Errors:
        """Errors of residuals (n, p)."""
        size = np.abs(residual)
        star = size.mean(axis=1, dtype=np.float64)
        return cls(
            stars=len(size),
            mae=float(star.mean()),
            rmse=float(np.sqrt(np.mean(size**2, dtype=np.float64))),
            p999=float(np.percentile(size, 99.9)),
            worst_pixel=float(size.max()),
            median_star_mae=float(np.median(star)),
            worst_star_mae=float(star.max()),
        )


@dataclass(frozen=True)
class Calibration:
    """The error that an emulator predicts for itself against the one it makes.

    Parameters
    ----------
    predicted, actual
        (p,) root mean square over the stars of the standard deviation that the error model predicts, and of the
        residuals.
    quantiles
        Of residual / predicted over all stars and pixels, at the probabilities of -2, -1, 0, 1, 2 sigma of a Gaussian.
    inside
        Share of residuals within 1, 2 and 3 predicted sigma: 0.683, 0.954, 0.997 for a Gaussian.
    """

    predicted: FloatArray
    actual: FloatArray
    quantiles: tuple[float, ...]
    inside: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Root mean square of all residuals over that predicted."""
        return float(np.sqrt(np.mean(self.actual**2) / np.mean(self.predicted**2)))


@dataclass(frozen=True)
class Evaluation:
    """Results of `evaluate`.

    Parameters
    ----------
    card
        Of the emulator.
    grid_hash
        Of the grid.
    rows
        (n,) rows of the grid that were used (the test rows).
    labels
        (n, l) of these rows.
    wavelength, segment
        (p,) vacuum Å, and window of each pixel.
    flux, residual
        (n, p) flux in the grid, and emulator minus grid.
    mae_of_mean
        Mean absolute error of predicting the mean of all other rows.
    predicted
        (n, p) standard deviation that the emulator's error model predicts; None where it has none.
    derivatives
        Against physical derivatives, one per star of the file; empty without a file.
    maps
        Which wavelengths respond to which label: gradients, and attention if the network has it.
    seed
        Seed of the permutation tests of lines.
    """

    card: Card
    grid_hash: str
    rows: np.ndarray
    labels: FloatArray
    wavelength: FloatArray
    segment: np.ndarray
    flux: np.ndarray
    residual: np.ndarray
    mae_of_mean: float
    predicted: FloatArray | None
    derivatives: tuple[StarDerivatives, ...]
    maps: tuple[LineMap, ...]
    seed: int = 0

    @cached_property
    def errors(self) -> Errors:
        """Over all test rows and pixels."""
        return Errors.of(self.residual)

    @property
    def ratio(self) -> float:
        """How many times larger the error of the mean spectrum is."""
        return self.mae_of_mean / self.errors.mae if self.errors.mae else np.inf

    @property
    def star_mae(self) -> FloatArray:
        """(n,) mean absolute error of each star."""
        return np.abs(self.residual).mean(axis=1, dtype=np.float64)

    @property
    def worst(self) -> int:
        """Which of the stars has the largest mean absolute error."""
        return int(np.argmax(self.star_mae))

    @property
    def median(self) -> int:
        """Which of the stars is the median one."""
        return int(np.argsort(self.star_mae)[(len(self.rows) - 1) // 2])

    @cached_property
    def windows(self) -> dict[str, Errors]:
        """Errors in each window, such as ``"4709-4907 Å"``."""
        found = {}
        for k in np.unique(self.segment):
            own = self.segment == k
            low, high = self.wavelength[own][[0, -1]]
            found[f"{low:.0f}-{high:.0f} Å"] = Errors.of(self.residual[:, own])
        return found

    @cached_property
    def regions(self) -> dict[str, Errors]:
        """Errors in parts of label space that hold stars, such as ``"teff < 4800, fe_h < -1"``."""
        found = {}
        for names in REGIONS:
            if set(names) <= set(self.card.labels):
                for parts in itertools.product(*map(self._intervals, names)):
                    inside = np.logical_and.reduce([own for _, own in parts])
                    if inside.any():
                        found[", ".join(words for words, _ in parts)] = Errors.of(self.residual[inside])
        return found

    def _intervals(self, name: str) -> list[tuple[str, np.ndarray]]:
        """Words for each interval of a label, and which stars are in it."""
        value, edges = self.labels[:, self.card.labels.index(name)], EDGES[name]
        words = [f"{name} < {edges[0]:g}"]
        words += [f"{name} {low:g}-{high:g}" for low, high in itertools.pairwise(edges)]
        words += [f"{name} > {edges[-1]:g}"]
        part = np.searchsorted(edges, value, side="right")
        return [(text, part == i) for i, text in enumerate(words)]

    @cached_property
    def chi(self) -> FloatArray | None:
        """(n, p) residuals in units of the predicted standard deviation; None without an error model."""
        return None if self.predicted is None else self.residual / np.maximum(self.predicted, 1e-12)

    @cached_property
    def calibration(self) -> Calibration | None:
        """Predicted against actual error; None without an error model."""
        chi = self.chi
        if self.predicted is None or chi is None:
            return None
        return Calibration(
            predicted=np.sqrt(np.mean(self.predicted**2, axis=0)),
            actual=np.sqrt(np.mean(self.residual.astype(np.float64) ** 2, axis=0)),
            quantiles=tuple(float(q) for q in np.quantile(chi, PROBABILITIES)),
            inside=tuple(float(np.mean(np.abs(chi) < k)) for k in (1, 2, 3)),
        )

    @cached_property
    def line_tests(self) -> tuple[LineTest, ...]:
        """Whether the strongest pixels of each element's maps sit on its lines."""
        return tuple(test for m in self.maps for test in line_tests(m, self.wavelength, self.segment, self.seed))

    def numbers(self) -> dict[str, Any]:
        """All numbers, ready for JSON; those of the error model and of derivatives where there are any."""
        worst = {
            "row": int(self.rows[self.worst]),
            "labels": dict(zip(self.card.labels, self.labels[self.worst].tolist(), strict=True)),
        }
        table: dict[str, Any] = {
            "emulator": self.card.name,
            "network": self.card.network,
            "grid": self.grid_hash,
            "errors": asdict(self.errors),
            "mae_of_mean": self.mae_of_mean,
            "worst_star": worst,
            "windows": {name: asdict(errors) for name, errors in self.windows.items()},
            "regions": {name: asdict(errors) for name, errors in self.regions.items()},
            "lines": [asdict(test) for test in self.line_tests],
            "derivatives": {
                star.name: {"base_mae": star.base_mae} | self._derivatives(star) for star in self.derivatives
            },
        }
        if self.calibration is not None:
            found = self.calibration
            table["error_model"] = {"ratio": found.ratio, "quantiles": found.quantiles, "inside": found.inside}
        return table

    def _derivatives(self, star: StarDerivatives) -> dict[str, Any]:
        what = ("correlation", "cosine", "slope", "relative_rms", "significance", "measurable")
        return {
            name: {key: value if np.isfinite(value := getattr(star, key)[i].item()) else None for key in what}
            for i, name in enumerate(self.card.labels)
        }


def evaluate(
    emulator: Emulator, grid: Grid | str | Path, *, derivatives: str | Path | None = None, seed: int = 0
) -> Evaluation:
    """Judge an emulator on the test rows of a grid.

    Parameters
    ----------
    emulator
        Of the labels of the grid.
    grid
        From `read_grid`, or the file. A sharper one that covers the emulator's wavelengths is brought to its pixels and
        resolution.
    derivatives
        File of physical derivatives of a few stars by each label, on the same wavelengths.
    seed
        Of the permutation tests that ask whether an element's lines are where the emulator answers to it.

    Returns
    -------
    Evaluation
        Errors over all, by window and by region of label space; errors of derivatives; calibration of the
        emulator's own error model; whether each element's lines are where the emulator answers to it.

    Raises
    ------
    BayneError
        Test rows lie outside the emulator's domain, or the resolutions differ.
    ReadError
        A file is not readable, or not of the emulator's labels and wavelengths.
    """
    if not isinstance(grid, Grid):
        grid = read_grid(grid)
    if float(grid.attributes["resolution"]) > (1 + SAME_RESOLUTION) * emulator.card.resolution:
        grid = grid.observed(emulator.wavelength, emulator.card.resolution)
    _check(emulator, grid)
    rows = np.flatnonzero(grid.test)
    errors, attention = [emulator.error_at(x) for x in grid.labels[rows]], attention_map(emulator)
    return Evaluation(
        card=emulator.card,
        grid_hash=grid.hash,
        rows=rows,
        labels=grid.labels[rows],
        wavelength=emulator.wavelength,
        segment=emulator.segment,
        flux=grid.flux[rows],
        residual=_residual(emulator, grid),
        mae_of_mean=_mae_of_mean(grid),
        predicted=None if emulator.error is None else np.stack([error.total for error in errors if error]),
        derivatives=() if derivatives is None else compare_derivatives(emulator, derivatives),
        maps=(gradient_map(emulator), *(() if attention is None else (attention,))),
        seed=seed,
    )


def held_out_errors(emulator: Emulator, grid: Grid) -> dict[str, float]:
    """Errors on the test rows by name, and that of the mean spectrum: for the card."""
    return asdict(Errors.of(_residual(emulator, grid))) | {"mae_of_mean": _mae_of_mean(grid)}


def _residual(emulator: Emulator, grid: Grid) -> np.ndarray:
    return emulator.evaluate(grid.labels[grid.test]) - grid.flux[grid.test]


def _mae_of_mean(grid: Grid) -> float:
    mean = grid.flux[~grid.test].mean(axis=0, dtype=np.float64)
    return float(np.abs(grid.flux[grid.test] - mean).mean())


def _check(emulator: Emulator, grid: Grid) -> None:
    card = emulator.card
    check_labels(emulator, grid.names, "grid")
    check_wavelength(emulator, grid.wavelength, "grid")
    resolution = float(grid.attributes["resolution"])
    if abs(resolution / card.resolution - 1) > SAME_RESOLUTION:
        raise BayneError(f"the grid has R = {resolution:g}, the emulator {card.name!r} R = {card.resolution:g}")
    rows = np.flatnonzero(grid.test)
    a, b = card.halfspaces
    width = emulator.upper - emulator.lower
    x = grid.labels[rows]
    beyond = np.concatenate([(emulator.lower - x) / width, (x - emulator.upper) / width, x @ a.T - b], axis=1).max(1)
    outside = rows[beyond > ROUNDING]
    if outside.size:
        told = ", ".join(f"{name} = {value:g}" for name, value in zip(grid.names, grid.labels[outside[0]], strict=True))
        raise BayneError(
            f"{outside.size} of {rows.size} test rows lie outside the domain of {card.name!r}, "
            f"the first is row {outside[0]}: {told}"
        )
