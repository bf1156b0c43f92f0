"""From draws and flags to a `FitResult`."""

from __future__ import annotations

import platform
import time
import zlib
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import arviz as az
import jax.numpy as jnp
import numpy as np

from ..emulators import Emulator
from ..files import digest
from ..information import cramer_rao_bounds
from ..labels import over_hydrogen
from ..likelihoods import Problem, best_continuum, described
from ..spectrum import FloatArray, Spectrum
from ..wavelength import C_KMS
from . import diagnose
from .draws import Draws
from .idata import inference_data, predictive_data
from .maximum import FitState
from .medium import judge_medium
from .prepare import Settings
from .result import ArmFit, FitResult
from .widths import photon_covariance, precision


def finish(found: FitState, covariance: FloatArray, draws: Draws, complete: bool) -> FitResult:
    """Result of a fit that ran to its end.

    Parameters
    ----------
    found
        The posterior maximum.
    covariance
        (n, n) at the maximum, priors included; of fitted labels, as are the draws.
    draws
        From the posterior.
    complete
        Whether the ArviZ data will hold the groups that take seconds to compute; see `predictive_data`.
    """
    whole, plain, problem = found.whole, found.plain, found.problem
    if whole is None or plain is None or problem is None or found.discrepancy is None:
        raise ValueError("a fit without a maximum has no end: failed_result makes its result")
    settings, emulator, verdict, theta = found.settings, found.emulator, found.verdict, found.theta
    ready, discrepancy = found.ready, found.discrepancy
    reported = replace(problem, prior=discrepancy.prior, prior_std=discrepancy.prior_std)
    best, covariance = discrepancy.best(theta), discrepancy.covariance(covariance)
    # one root seed, folded with the name, as for the draws themselves
    rng = np.random.default_rng((settings.seed & 0xFFFFFFFF, zlib.crc32(ready.spectrum.id.encode())))
    values = best[None, None] if settings.method == "map" else discrepancy.draws(draws.values, rng)
    several = values.shape[1] > 1
    names = problem.model.names
    spectrum = ready.spectrum
    x = jnp.asarray(theta)
    model, ratio, correction = (np.asarray(v) for v in best_continuum(problem, x))
    extra = problem.model.jitter_variance(x)
    jitters = np.zeros(len(spectrum.arms)) if extra is None else np.sqrt(np.asarray(extra))
    sigma = np.sqrt(np.diag(covariance))
    std = values.reshape(-1, values.shape[-1]).std(0) if several else sigma
    diagnose.judge_fit(verdict, problem, spectrum.arms, model + correction, ratio, jitters)
    stated = 0.0 if spectrum.frame == "rest" else spectrum.provenance.get("stated_rv_kms")
    judge_medium(verdict, problem, spectrum.arms, theta, jitters, stated)
    if found.misfit is not None:
        diagnose.judge_misfit(verdict, names, spectrum.arms, found.misfit, sigma)
    diagnose.judge_edges(verdict, reported, emulator, best, sigma)
    diagnose.judge_prior(verdict, reported, emulator, std)
    if several:
        diagnose.judge_limits(verdict, reported, settings.reported(emulator), values)
    labels = np.array([_value(name, names, theta, settings) for name in emulator.label_names])
    rv = float(theta[names.index("rv")]) if "rv" in names else settings.fixed.get("rv", ready.bary)
    velocity = float(C_KMS * np.tanh(np.arctanh(rv / C_KMS) - np.arctanh(ready.bary / C_KMS)))
    level = [problem.pilot[a, : arm.flux.size] * ratio[a, : arm.flux.size] for a, arm in enumerate(spectrum.arms)]
    # a companion's lines may be what was left out
    everywhere, whole_ratio, other = (np.asarray(v) for v in best_continuum(whole, x))
    diagnose.judge_binary(verdict, spectrum, emulator, level, everywhere + other, whole.plan.used, labels, velocity)
    still = [low if n in ("vsini", "vmac") else v for n, low, v in zip(names, problem.prior.lower, theta, strict=True)]
    sharp, _, _ = (np.asarray(v) for v in best_continuum(whole, jnp.asarray(still)))
    diagnose.judge_profile(verdict, whole, spectrum.arms, everywhere + other, sharp, whole_ratio, jitters)
    crb, bound_covariance = cramer_rao_bounds(
        precision(plain, theta)[0], np.asarray(reported.prior.upper - reported.prior.lower)
    )
    label_names = settings.reported(emulator)
    for derived, parts in over_hydrogen(label_names).items():
        where = [names.index(p) for p in parts if p in names]
        if where and np.all(np.isfinite(crb[where])):
            verdict.numbers[f"crb_{derived}"] = float(np.sqrt(max(bound_covariance[np.ix_(where, where)].sum(), 0.0)))
    verdict.numbers |= {f"jitter_{arm.name}": float(j) for arm, j in zip(spectrum.arms, jitters, strict=True)}
    verdict.numbers["velocity_frame"] = velocity
    fixed = {n: _value(n, names, best, settings) for n in label_names if n not in names}
    slim = replace(
        found, whole=None, plain=None, problem=None, teacher=None
    )  # a result keeps it until idata is asked for
    verdict.numbers |= _snr(spectrum, level)
    return FitResult(
        **_common_fields(found),
        names=names,
        label_names=label_names,
        map=best,
        prior_std=reported.prior_std,
        fixed=fixed,
        fisher_covariance=covariance,
        photon_covariance=photon_covariance(replace(plain, prior=discrepancy.prior), theta),
        crb=crb,
        drawn=inference_data(found, reported, values, draws, level),
        predicted=partial(predictive_data, slim, reported, draws) if complete else None,
        arms=_arms(spectrum, problem, model + correction, level, jitters),
        blocks=np.zeros((0, 2)) if found.misfit is None else found.misfit.blocks,
        influence=np.zeros((0, 0)) if found.misfit is None else found.misfit.influence,
    )


def failed_result(found: FitState) -> FitResult:
    """Result of a spectrum that cannot be fitted: NaN, flags and sentences."""
    spectrum, settings = found.ready.spectrum, found.settings
    label_names = settings.reported(found.emulator)
    names = tuple(n for n in label_names if n not in settings.fixed)
    nan = np.full(len(names), np.nan)
    arms = []
    for arm in spectrum.arms:
        empty, unused = np.full(arm.flux.size, np.nan), np.zeros(arm.flux.size, bool)
        sigma = _sigma(arm.ivar, arm.good)
        arms.append(ArmFit(arm.name, arm.wavelength, arm.flux, sigma, empty, empty, empty, unused))
    return FitResult(
        **_common_fields(found),
        names=names,
        label_names=label_names,
        map=nan,
        prior_std=nan,
        fixed={n: float(v) for n, v in settings.fixed.items() if n in label_names},
        fisher_covariance=np.full((len(names),) * 2, np.nan),
        photon_covariance=np.full((len(names),) * 2, np.nan),
        crb=nan,
        drawn=az.from_dict(posterior={name: np.full((1, 1), np.nan) for name in names}),
        arms=tuple(arms),
    )


def _common_fields(found: FitState) -> dict[str, Any]:
    """Fields that a result has whether or not there was a fit."""
    spectrum, settings, verdict, start = found.ready.spectrum, found.settings, found.verdict, found.start
    return {
        "id": spectrum.id,
        "method": settings.method,
        "flags": verdict.flags,
        "messages": tuple(verdict.messages),
        "label_flags": verdict.labels,
        "diagnostics": verdict.numbers | _seconds(found.clock),
        "ccf_velocity": np.zeros(0) if start is None else start.grid,
        "ccf": np.zeros(0) if start is None else start.ccf,
        "provenance": _provenance(spectrum, found.emulator, settings),
    }


def _value(name: str, names: tuple[str, ...], theta: FloatArray, settings: Settings) -> float:
    return float(theta[names.index(name)]) if name in names else float(settings.fixed[name])


def _sigma(ivar: FloatArray | None, good: np.ndarray) -> FloatArray:
    weight = np.zeros(good.size) if ivar is None else ivar
    return np.where(good & (weight > 0), 1 / np.sqrt(np.where(weight > 0, weight, 1.0)), np.nan)


def _arms(
    spectrum: Spectrum, problem: Problem, model: FloatArray, level: list[FloatArray], jitters: FloatArray
) -> tuple[ArmFit, ...]:
    error = problem.model.pixels.error
    extra = np.zeros_like(model) if error is None else np.asarray(error.variance)
    arms = []
    for a, arm in enumerate(spectrum.arms):
        n = arm.flux.size
        used = problem.plan.used[a, :n]
        sigma = _sigma(arm.ivar, arm.good)
        total = np.sqrt(sigma**2 + (jitters[a] ** 2 + extra[a, :n]) * level[a] ** 2)
        fitted = np.where(used, model[a, :n] * level[a], np.nan)
        arms.append(
            ArmFit(arm.name, arm.wavelength, arm.flux, sigma, fitted, level[a], np.where(used, total, np.nan), used)
        )
    return tuple(arms)


def _snr(spectrum: Spectrum, level: list[FloatArray]) -> dict[str, float]:
    """Median S/N per native pixel of every arm."""
    out = {}
    for arm, continuum in zip(spectrum.arms, level, strict=True):
        if arm.ivar is not None and arm.good.any():
            out[f"snr_{arm.name}"] = float(np.median((np.abs(continuum) * np.sqrt(arm.ivar))[arm.good]))
    return out


def _seconds(clock: dict[str, float]) -> dict[str, float]:
    """Wall time of the stages that were reached."""
    marks = [*clock.items(), ("end", time.perf_counter())]
    stages = {f"seconds_{name}": t - marks[i][1] for i, (name, t) in enumerate(marks[1:])}
    return stages | {"seconds": marks[-1][1] - marks[0][1]}


def _masked(settings: Settings) -> dict[str, Any] | None:
    """How many pixels the argument ``mask`` names, and its hash; None where it was not given."""
    if settings.mask is None:
        return None
    arrays = {str(i): np.asarray(bad, bool) for i, bad in enumerate(settings.mask)}
    return {"pixels": int(sum(bad.sum() for bad in arrays.values())), "hash": digest(arrays)}


def _provenance(spectrum: Spectrum, emulator: Emulator, settings: Settings) -> dict[str, Any]:
    card = emulator.card
    return {
        "input": spectrum.provenance,
        "frame": spectrum.frame,
        "bary_kms": spectrum.bary_kms,
        "emulator": {
            k: getattr(card, k) for k in ("name", "network", "resolution", "solar_scale", "grid_hash", "citations")
        },
        "emulator_windows": emulator.windows(),
        "settings": {
            "method": settings.method,
            "instrument": str(getattr(settings.instrument, "name", settings.instrument or spectrum.instrument)),
            "resolution": settings.resolution,
            "snr": str(settings.snr),
            "priors": {k: described(v) for k, v in settings.priors.items()},
            "fixed": {k: float(v) for k, v in settings.fixed.items()},
            "start": {k: float(v) for k, v in settings.start.items()},
            "free": list(settings.free),
            "continuum": settings.continuum,
            "windows": None if settings.windows is None else [list(pair) for pair in settings.windows],
            "mask": _masked(settings),
            "emulator_error": settings.emulator_error,
            "jitter": settings.jitter,
            "robust": settings.robust,
            "sampler": asdict(settings.sampler),
            "seed": settings.seed,
        },
        "versions": {p: version(p) for p in ("bayne", "jax", "numpyro", "blackjax", "numpy", "arviz", "astropy")},
        "platform": platform.platform(terse=True),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
