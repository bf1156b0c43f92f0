"""What a fit returns, saved to NetCDF and loaded back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import xarray as xr
from astropy.table import Table

from ..errors import ReadError
from ..files import replacing
from ..flags import Flag
from ..labels import over_hydrogen, unit
from ..spectrum import FloatArray
from .diagnose import rank_rhat

#: Version of the result file; files of another version are refused by name.
FORMAT = 2

#: What xarray and h5py raise at damaged files.
DAMAGED = (OSError, ValueError, KeyError, RuntimeError, AttributeError, TypeError)

COLUMNS = (
    "median", "mean", "std", "std_photon", "std_over_photon", "q16", "q84", "upper_95", "rhat", "ess_bulk", "ess_tail",
    "crb", "std_over_crb", "crb_with_prior", "prior_std",
)  # fmt: skip

#: How the columns that are no errors are printed.
PRINTED = dict.fromkeys(("median", "mean", "q16", "q84", "upper_95"), ".6g") | {
    "rhat": ".3f", "ess_bulk": ".0f", "ess_tail": ".0f"
}  # fmt: skip


@dataclass(frozen=True)
class ArmFit:
    """The fit on the pixels of one arm. All arrays are (n,) and in the order of the observed pixels.

    Parameters
    ----------
    name
        Name of the arm.
    wavelength
        Vacuum Å, in the frame of the file.
    flux, sigma
        As observed; sigma is the photon error (NaN where the pixel was masked in the file).
    model
        Best-fit model with the continuum, NaN where the pixel was not used.
    continuum
        Best-fit continuum, in the units of the flux.
    total_sigma
        Photon error, jitter and the uncorrelated emulator error in quadrature.
    used
        Whether the pixel entered the fit.
    """

    name: str
    wavelength: FloatArray
    flux: FloatArray
    sigma: FloatArray
    model: FloatArray
    continuum: FloatArray
    total_sigma: FloatArray
    used: np.ndarray


@dataclass(frozen=True, eq=False)
class FitResult:
    """Posterior of one star, with Cramér-Rao bounds, best fit and flags.

    Parameters
    ----------
    id, method
        Id of the spectrum; ``"nuts"``, ``"hmc"``, ``"fast"``, ``"laplace"`` or ``"map"``.
    flags
        `bayne.Flag`; `ok` is False when any bad bit is set.
    messages
        Sentences that add details to the flags (numbers, label names).
    names
        (n_free,) everything sampled: labels, velocities, nuisances such as ``excess_blue``.
    label_names
        The labels and velocities among `names`, then the fixed ones: the first rows of the table.
    map, prior_std
        (n_free,) posterior maximum in label space; standard deviation of the prior.
    fixed
        Values of labels that were not free.
    fisher_covariance
        (n_free, n_free) inverse of the Fisher matrix at the maximum, priors included.
    photon_covariance
        (n_free, n_free) the same for photon noise alone: no jitter, no misfit, no emulator error.
    crb
        (n_free,) Cramér-Rao bound without priors on labels; inf where the data do not constrain a parameter.
    label_flags
        Flags of single labels by name (`NEAR_EDGE`, `OUTSIDE_DOMAIN`, `PRIOR_DOMINATED`, ...).
    drawn, predicted
        What `idata` has at once, and what computes the rest of it when it is first asked for; None for nothing.
    arms
        See `ArmFit`.
    diagnostics
        Numbers behind the flags: chi2, n_pixels, n_lost, jitter ratio, autocorrelation, E-BFMI, seconds...
    ccf_velocity, ccf
        (v,) km/s in the frame of the file, and the normalised cross-correlation that started the fit.
    provenance
        Input, emulator card, settings, versions, seed.
    blocks, influence
        (b, 2) arm and middle (vacuum Å, in the frame of the file) of blocks of wavelength, and (b, m) the shift that
        each block causes in the first m of `names`: without it they would be lower by that. Empty for
        ``robust=False``.
    """

    id: str
    method: str
    flags: Flag
    messages: tuple[str, ...]
    names: tuple[str, ...]
    label_names: tuple[str, ...]
    map: FloatArray
    prior_std: FloatArray
    fixed: dict[str, float]
    fisher_covariance: FloatArray
    photon_covariance: FloatArray
    crb: FloatArray
    label_flags: dict[str, Flag]
    drawn: az.InferenceData
    arms: tuple[ArmFit, ...]
    diagnostics: dict[str, float]
    ccf_velocity: FloatArray
    ccf: FloatArray
    provenance: dict[str, Any] = field(default_factory=dict)
    blocks: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    influence: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    predicted: Callable[[], az.InferenceData] | None = None

    @cached_property
    def idata(self) -> az.InferenceData:
        """ArviZ InferenceData: posterior (one variable per name, and [X/H]), sample_stats, observed_data and
        constant_data of the fitted pixels; from `fit_star` also log_likelihood (of blocks of wavelength, each given the
        others), posterior_predictive and prior, which take seconds when they are first asked for."""
        if self.predicted is None:
            return self.drawn
        groups = {name: part[name] for part in (self.drawn, self.predicted()) for name in part.groups()}
        return az.InferenceData(attrs=self.drawn.attrs, **groups)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: `idata` with all of its groups, not the star's problem that they are computed from."""
        return vars(self) | {"drawn": self.idata, "idata": self.idata, "predicted": None}

    @property
    def ok(self) -> bool:
        """False when any bad bit is set."""
        return not self.flags.bad

    @property
    def best_fit(self) -> tuple[FloatArray, ...]:
        """Model on the observed pixels of every arm, with the continuum; NaN where a pixel was not used."""
        return tuple(arm.model for arm in self.arms)

    @property
    def has_chains(self) -> bool:
        """Whether the draws are those of ``"nuts"``, of ``"hmc"``, or of ``"fast"`` that had to hand over to it."""
        return "sample_stats" in self.drawn and "diverging" in self.drawn.sample_stats

    def draws(self, name: str) -> FloatArray:
        """(chain, draw) posterior draws of a sampled label or a derived [X/H]."""
        posterior = self.drawn.posterior
        if name in posterior:
            return np.asarray(posterior[name].values, dtype=np.float64)
        over, iron = over_hydrogen(self.label_names)[name]
        return self._values(over) + self._values(iron)

    def _values(self, name: str) -> FloatArray:
        shape = (self.drawn.posterior.sizes["chain"], self.drawn.posterior.sizes["draw"])
        return np.full(shape, self.fixed[name]) if name in self.fixed else self.draws(name)

    @property
    def covariance(self) -> FloatArray:
        """(n_free, n_free) posterior covariance in the order of `names`; the Fisher one for ``"map"``."""
        if self.method == "map":
            return self.fisher_covariance
        stacked = np.stack([self.draws(name).ravel() for name in self.names])
        if not np.all(np.isfinite(stacked)):
            return np.full((len(self.names),) * 2, np.nan)
        return np.atleast_2d(np.cov(stacked))

    @property
    def table(self) -> Table:
        """One row per label, velocity, derived [X/H] and nuisance; columns ``unit``, those of `COLUMNS`, and ``flag``.

        ``std`` is the error to quote, ``std_photon`` that from photon noise alone; ``upper_95`` is the 95% upper limit
        of abundances that are only upper limits (`Flag.UPPER_LIMIT`), NaN for others; ``crb`` is the Cramér-Rao bound
        without priors and misfit, inf where the data do not constrain a parameter; ``crb_with_prior`` is the Bayesian
        bound, with misfit, for which a uniform prior counts as a Gaussian with the same standard deviation.
        """
        rows = []
        index = {name: i for i, name in enumerate(self.names)}
        derived = over_hydrogen(self.label_names)
        nuisances = [name for name in self.names if name not in self.label_names]
        for name in (*self.label_names, *derived, *nuisances):
            parts = [index[p] for p in derived.get(name, (name,)) if p in index]
            rows.append(
                {"label": name, "unit": unit(name)}
                | self._summary(name, parts)
                | {"flag": int(self.label_flags.get(name, Flag(0)))}
            )
        table = Table(rows=rows, names=["label", "unit", *COLUMNS, "flag"])
        for name in COLUMNS:
            table[name].info.format = PRINTED.get(name, ".3g")  # FITS, ECSV and Parquet keep all digits
        return table

    def _summary(self, name: str, parts: list[int]) -> dict[str, float]:
        numbers = dict.fromkeys(COLUMNS, np.nan)
        values = self._values(name)
        if not parts:
            return numbers | {"median": values.mean(), "mean": values.mean(), "std": 0.0}
        photon = float(np.sqrt(max(self.photon_covariance[np.ix_(parts, parts)].sum(), 0.0)))
        bound = self.crb[parts[0]] if len(parts) == 1 else self.diagnostics.get(f"crb_{name}", np.nan)
        both = float(np.sqrt(self.fisher_covariance[np.ix_(parts, parts)].sum()))
        numbers |= {"std_photon": photon, "crb": bound, "crb_with_prior": both}
        numbers["prior_std"] = float(np.linalg.norm(self.prior_std[parts]))
        if not np.all(np.isfinite(values)):
            return numbers
        if self.method == "map":
            low, middle, high, sd = values.mean() - both, values.mean(), values.mean() + both, both
        else:
            low, middle, high = np.quantile(values, [0.158655, 0.5, 0.841345])
            sd = values.std(ddof=1)
        numbers |= {"median": middle, "mean": values.mean(), "std": sd, "q16": low, "q84": high}
        if photon > 0:
            numbers["std_over_photon"] = sd / photon
        if Flag.UPPER_LIMIT in self.label_flags.get(name, Flag(0)):
            numbers["upper_95"] = float(np.quantile(values, 0.95))
        if np.isfinite(bound) and bound > 0:
            numbers["std_over_crb"] = sd / bound
        if self.has_chains:
            numbers["rhat"] = rank_rhat(values)
            numbers["ess_bulk"] = float(az.ess(values, method="bulk"))
            numbers["ess_tail"] = float(az.ess(values, method="tail"))
        elif self.method == "fast":
            numbers["ess_bulk"] = self.diagnostics["ess_weights"]
        return numbers

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write the result as one NetCDF file, by rename.

        Raises
        ------
        FileExistsError
            The file is there and `overwrite` is False.
        """
        path = Path(path)
        with replacing(path, overwrite) as part:
            self.add_to(part)
        return path

    def add_to(self, path: Path, group: str = "", compact: bool = False) -> None:
        """Write the result into a NetCDF file, to whatever is there.

        Parameters
        ----------
        path
            The file.
        group
            Of the file, where nothing is yet: it is for this result alone.
        compact
            Write draws and spectra as compressed 32-bit numbers.
        """
        groups: dict[str, xr.Dataset] = {name: self.idata[name] for name in self.idata.groups()}
        groups["bayne"] = self._header()
        for i, arm in enumerate(self.arms):
            data = {
                key: ("pixel", np.asarray(getattr(arm, key)))
                for key in ("wavelength", "flux", "sigma", "model", "continuum", "total_sigma")
            }
            data["used"] = ("pixel", arm.used.astype(np.int8))
            groups[f"arm_{i}"] = xr.Dataset(data, attrs={"name": arm.name})
        for name, dataset in groups.items():
            where: dict[str, Any] = {"mode": "a" if path.exists() else "w", "group": f"{group}/{name}"}
            how = _compact(dataset) if compact and name != "bayne" else {}
            dataset.to_netcdf(path, engine="h5netcdf", encoding=how, **where)

    def _header(self) -> xr.Dataset:
        text = {
            "id": self.id,
            "method": self.method,
            "flags": int(self.flags),
            "messages": list(self.messages),
            "names": list(self.names),
            "label_names": list(self.label_names),
            "n_arms": len(self.arms),
            "fixed": self.fixed,
            "label_flags": {k: int(v) for k, v in self.label_flags.items()},
            "diagnostics": self.diagnostics,
            "provenance": self.provenance,
        }
        return xr.Dataset(
            {
                "map": ("parameter", self.map),
                "prior_std": ("parameter", self.prior_std),
                "crb": ("parameter", self.crb),
                "fisher_covariance": (("parameter", "parameter_"), self.fisher_covariance),
                "photon_covariance": (("parameter", "parameter_"), self.photon_covariance),
                "blocks": (("block", "place"), self.blocks),
                "influence": (("block", "moved"), self.influence),
                "ccf_velocity": ("velocity", self.ccf_velocity),
                "ccf": ("velocity", self.ccf),
                "header": ((), json.dumps(text, default=_plain)),  # an attribute would end at 64 kB
            },
            attrs={"format": FORMAT},
        )


def _compact(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Encoding that makes a dataset small; wavelengths keep their precision."""
    real = [key for key, values in dataset.variables.items() if values.dtype == np.float64 and key != "wavelength"]
    return {str(key): {"zlib": True} | ({"dtype": "float32"} if key in real else {}) for key in dataset.variables}


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays, which readers leave in provenance, as what JSON knows; other objects as text."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


def load_result(path: str | Path, group: str = "") -> FitResult:
    """Read a result that `FitResult.save` wrote.

    Parameters
    ----------
    path
        The file.
    group
        Of a file that has several results; see `FitResult.add_to`.

    Raises
    ------
    ReadError
        The file is missing, damaged, not a result, or of another format version.
    """
    path = Path(path)
    if not path.exists():
        raise ReadError(f"{path}: no such file")
    try:
        header = xr.load_dataset(path, group=f"{group}/bayne", engine="h5netcdf")
    except DAMAGED as error:
        where = f"{path}, group {group!r}" if group else path
        raise ReadError(f"{where}: not a Bayne result ({error})") from None
    if header.attrs.get("format") != FORMAT:
        raise ReadError(
            f"{path}: result format {header.attrs.get('format')}, this version reads {FORMAT}; "
            "fit again, or load it with the Bayne version named in its provenance"
        )
    try:
        return _from_file(path, group, header, json.loads(str(header["header"].values)))
    except DAMAGED as error:
        raise ReadError(f"{path}: damaged result ({error})") from None


def _from_file(path: Path, group: str, header: xr.Dataset, text: dict[str, Any]) -> FitResult:
    import h5py

    with h5py.File(path) as file:
        groups = list(file[group or "/"])
    arms = []
    for i in range(text["n_arms"]):
        data = xr.load_dataset(path, group=f"{group}/arm_{i}", engine="h5netcdf")
        arrays = {k: data[k].values for k in ("wavelength", "flux", "sigma", "model", "continuum", "total_sigma")}
        arms.append(ArmFit(name=str(data.attrs["name"]), used=data["used"].values.astype(bool), **arrays))
    kept = {
        name: xr.load_dataset(path, group=f"{group}/{name}", engine="h5netcdf")
        for name in groups
        if name != "bayne" and not name.startswith("arm_")
    }
    missing = [name for name in text["names"] if "posterior" not in kept or name not in kept["posterior"]]
    if missing:
        raise KeyError(f"no posterior of {', '.join(missing)}")
    return FitResult(
        id=text["id"],
        method=text["method"],
        flags=Flag(text["flags"]),
        messages=tuple(text["messages"]),
        names=tuple(text["names"]),
        label_names=tuple(text["label_names"]),
        map=header["map"].values,
        prior_std=header["prior_std"].values,
        fixed=text["fixed"],
        fisher_covariance=header["fisher_covariance"].values,
        photon_covariance=header["photon_covariance"].values,
        crb=header["crb"].values,
        label_flags={k: Flag(v) for k, v in text["label_flags"].items()},
        drawn=az.InferenceData(**kept),
        arms=tuple(arms),
        diagnostics=text["diagnostics"],
        ccf_velocity=header["ccf_velocity"].values,
        ccf=header["ccf"].values,
        provenance=text["provenance"],
        blocks=header["blocks"].values,
        influence=header["influence"].values,
    )
