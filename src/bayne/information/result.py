"""The answer of `cramer_rao`: bounds, what is not constrained, and tables of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import BayneError
from ..files import replacing
from ..labels import over_hydrogen, unit
from ..spectrum import FloatArray
from .fisher import cramer_rao_bounds

if TYPE_CHECKING:
    from astropy.table import Table

#: Formats of `Bounds.write` by suffix, as astropy calls them.
FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits"}


@dataclass(frozen=True)
class Bounds:
    """Cramér-Rao bounds of one star.

    Parameters
    ----------
    names
        (n,) parameters: labels, velocities, ``lsf_scale``, and one ``excess_<arm>`` per arm for the jitter.
    labels
        Those of the emulator.
    values
        (n,) parameter values at which the bounds hold.
    fisher
        (n, n) Fisher matrix, without priors on these parameters but with that on the continuum.
    prior
        (n, n) curvature of the priors that are not uniform.
    width, prior_std
        (n,) widths of the domain, and standard deviations of the priors.
    losses
        By nuisance parameter, (n,) fraction by which it widens each bound.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    values: FloatArray
    fisher: FloatArray
    prior: FloatArray
    width: FloatArray
    prior_std: FloatArray
    losses: Mapping[str, FloatArray] = field(default_factory=dict)

    def __add__(self, other: Bounds) -> Bounds:
        """Joint bounds of two exposures of a star, each with its own velocities, LSF and jitter."""
        if self.labels != other.labels or not np.allclose(self._own(self.values), other._own(other.values)):
            raise BayneError("bounds can be added for the same labels with the same values only")
        k = self._own(self.values).size
        if not np.allclose(self.prior[:k, :k], other.prior[:k, :k]):
            raise BayneError("bounds can be added with the same priors only")
        summed = sum(np.linalg.inv(b.covariance[:k, :k]) for b in (self, other))
        return Bounds(
            self.names[:k], self.labels, self.values[:k], np.asarray(summed), self.prior[:k, :k], self.width[:k],
            self.prior_std[:k],
        )  # fmt: skip

    def _own(self, values: FloatArray) -> FloatArray:
        return values[[i for i, name in enumerate(self.names) if name in self.labels]]

    @cached_property
    def _both(self) -> tuple[FloatArray, FloatArray]:
        return cramer_rao_bounds(self.fisher, self.width)

    @property
    def std(self) -> FloatArray:
        """(n,) bounds without priors on the parameters; inf where one exceeds width/sqrt(12): unconstrained."""
        return self._both[0]

    @property
    def covariance(self) -> FloatArray:
        """(n, n) inverse of the Fisher matrix; where that is singular, as wide as a thousand times the domain."""
        return self._both[1]

    @cached_property
    def bayesian(self) -> FloatArray:
        """(n, n) inverse of the information of data and priors at this star.

        No prior is wider than the domain: a uniform one counts as a Gaussian with the same standard deviation.
        """
        uniform = np.maximum(12 / self.width**2 - np.diag(self.prior), 0.0)
        return np.linalg.inv(self.fisher + self.prior + np.diag(uniform))

    @property
    def condition(self) -> float:
        """Condition number of the Fisher matrix with every parameter in units of its domain."""
        values = np.linalg.eigvalsh(self.fisher * np.outer(self.width, self.width))
        return float(values[-1] / values[0]) if values[0] > 0 else np.inf

    def unconstrained(self) -> list[dict[str, float]]:
        """Combinations of parameters, in units of their domains, that the data constrain less than the domain.

        Each is a unit vector; components below a tenth are omitted.
        """
        values, vectors = np.linalg.eigh(self.fisher * np.outer(self.width, self.width))
        found = []
        for value, vector in zip(values, vectors.T, strict=True):
            if value < 12:
                vector = vector * np.sign(vector[np.argmax(np.abs(vector))])
                order = [i for i in np.argsort(-np.abs(vector)) if abs(vector[i]) >= 0.1]
                found.append({self.names[i]: float(vector[i]) for i in order})
        return found

    @property
    def table(self) -> Table:
        """Row per parameter and per [X/H]: value, unit, bound (inf: not constrained), the same with priors, the prior's
        standard deviation, and per nuisance the share by which it widens the bound.
        """
        from astropy.table import Table

        rows: list[tuple[str, tuple[int, ...]]] = [(name, (i,)) for i, name in enumerate(self.names)]
        where = {name: i for i, name in enumerate(self.names)}
        rows += [
            (name, tuple(where[part] for part in parts))
            for name, parts in over_hydrogen(self.names).items()
            if all(part in where for part in parts)
        ]
        columns: dict[str, list[float]] = {"value": [], "bound": [], "with_prior": [], "prior_std": []}
        columns |= {f"loss_{name.replace(' ', '_')}": [] for name in self.losses}
        for _, parts in rows:
            columns["value"].append(float(self.values[list(parts)].sum()))
            bound, domain = _width(self.covariance, parts), np.sqrt(np.sum(self.width[list(parts)] ** 2) / 12)
            columns["bound"].append(bound if bound <= domain else np.inf)
            columns["with_prior"].append(_width(self.bayesian, parts))
            columns["prior_std"].append(float(np.sqrt(np.sum(self.prior_std[list(parts)] ** 2))))
            for name, loss in self.losses.items():
                columns[f"loss_{name.replace(' ', '_')}"].append(float(loss[parts[0]]) if len(parts) == 1 else np.nan)
        names = [name for name, _ in rows]
        return Table({"label": names, "unit": [unit(name) for name in names], **columns})

    def write(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write `table` to a file, by rename: ``.ecsv``, ``.csv``, or ``.fits``, then with HDUs ``COVARIANCE`` and
        ``FISHER``, whose rows are the first ones of the table, those of `names`.

        Raises
        ------
        BayneError
            Another suffix.
        FileExistsError
            The file is there and `overwrite` is False.
        """
        path = Path(path)
        if path.suffix not in FORMATS:
            raise BayneError(
                f"{path}: cannot write {path.suffix or 'a file without suffix'}; give {', '.join(FORMATS)}"
            )
        with replacing(path, overwrite) as part:
            if path.suffix == ".fits":
                from astropy.io import fits

                images = {"COVARIANCE": self.covariance, "FISHER": self.fisher}
                hdus = [fits.ImageHDU(matrix, name=name) for name, matrix in images.items()]
                fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(self.table, name="BOUNDS"), *hdus]).writeto(part)
            else:
                self.table.write(part, format=FORMATS[path.suffix])
        return path


def _width(covariance: FloatArray, parts: tuple[int, ...]) -> float:
    """Standard deviation of the sum of some parameters."""
    return float(np.sqrt(covariance[np.ix_(parts, parts)].sum()))
