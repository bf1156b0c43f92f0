"""A made-up fit result: random draws and a spectrum with a few lines, without a fit."""

from __future__ import annotations

from collections.abc import Sequence

import arviz as az
import numpy as np

from bayne import Flag
from bayne.inference import ArmFit, FitResult

SCALE = {"teff": 40.0, "logg": 0.08, "fe_h": 0.03, "vmic": 0.05, "rv": 0.1, "vsini": 0.6, "vmac": 0.7}
CENTRE = {"teff": 5772.0, "logg": 4.44, "fe_h": 0.0, "vmic": 1.0, "rv": -21.4, "vsini": 2.0, "vmac": 3.0}
LABELS = ("teff", "logg", "fe_h", "vmic", "mg_fe", "si_fe", "rv", "vsini")
NONE = Flag(0)
SUN_LINES = (4862.683, 4872.68, 4892.86, 5660.39, 5859.06, 6564.61, 6679.83)


def fake_arm(name: str, low: float, high: float, n: int, velocity: float, used: bool = True, seed: int = 0) -> ArmFit:
    """Gaussian lines on a sloping continuum, S/N 60; every 97th pixel masked, or none used at all."""
    rng = np.random.default_rng([seed, n])
    wave = np.linspace(low, high, n)
    continuum = 2.0e4 * (1 + 0.2 * (wave - low) / (high - low))
    depth = sum(0.6 * np.exp(-0.5 * ((wave - line * (1 + velocity / 299792.458)) / 0.12) ** 2) for line in SUN_LINES)
    model = continuum * (1 - depth)
    sigma = np.full(n, 2.0e4 / 60)
    flux = model + sigma * rng.standard_normal(n)
    mask = np.full(n, not used)
    mask[::97] = True
    return ArmFit(
        name=name,
        wavelength=wave,
        flux=flux,
        sigma=np.where(mask & used, np.nan, sigma),
        model=np.where(mask, np.nan, model),
        continuum=continuum if used else np.full(n, np.nan),
        total_sigma=1.1 * sigma,
        used=~mask,
    )


def fake_idata(names: Sequence[str], centre: np.ndarray, covariance: np.ndarray, method: str) -> az.InferenceData:
    """Draws (4, 250) from a Gaussian; a single one for ``"map"``; statistics of a sampler for ``"nuts"``."""
    rng = np.random.default_rng(1)
    shape = (1, 1) if method == "map" else (4, 250)
    values = rng.multivariate_normal(centre, covariance, shape)
    stats = {
        "lp": rng.standard_normal(shape),
        "diverging": np.zeros(shape, bool),
        "energy": rng.standard_normal(shape),
        "tree_depth": np.full(shape, 3.0),
    }
    return az.from_dict(
        posterior={name: values[..., i] for i, name in enumerate(names)},
        sample_stats=stats if method == "nuts" else {"lp": stats["lp"]},
    )


def fake_result(
    labels: Sequence[str] = LABELS,
    arms: Sequence[ArmFit] | None = None,
    *,
    method: str = "nuts",
    flags: Flag = NONE,
    failed: bool = False,
    star: str = "star-1",
    messages: Sequence[str] = (),
) -> FitResult:
    """A result that looks like one of `fit_star`; with `failed`, one whose numbers are all NaN."""
    if arms is None:
        arms = [fake_arm("blue", 4830, 4900, 900, -21.4, not failed), fake_arm("red", 6540, 6590, 600, -21.4, False)]
    jitters = [f"excess_{arm.name}" for arm in arms][:3]
    names = (*labels, *jitters)
    sd = np.array([SCALE.get(name, 0.05) for name in names])
    centre = np.array([CENTRE.get(name, 0.1) for name in names])
    mix = 0.3 + 0.7 * np.eye(len(names))
    covariance = mix * np.outer(sd, sd)
    crb = 0.95 * sd
    crb[-1] = np.inf
    if failed:
        centre, covariance, crb = centre * np.nan, covariance * np.nan, crb * np.nan
    draws = centre if not failed else np.zeros(len(names))
    idata = fake_idata(names, draws, covariance if not failed else np.eye(len(names)), method)
    if failed:
        for name in names:
            idata.posterior[name][:] = np.nan
    velocity = np.arange(-1000.0, 1001.0, 12.0)
    n_pixels = float(sum(arm.used.sum() for arm in arms))
    blocks = [[i, middle] for i, arm in enumerate(arms) for middle in arm.wavelength[50::100]]
    return FitResult(
        id=star,
        method=method,
        flags=flags | (Flag.FAILED if failed else Flag(0)),
        messages=tuple(messages),
        names=names,
        label_names=(*labels, "vmac") if "vmac" not in labels else tuple(labels),
        map=centre,
        prior_std=10 * sd,
        fixed={} if "vmac" in labels else {"vmac": 0.0},
        fisher_covariance=covariance,
        photon_covariance=0.25 * covariance,
        crb=crb,
        label_flags={labels[-1]: Flag.NEAR_EDGE},
        drawn=idata,
        arms=tuple(arms),
        diagnostics={"chi2": 1.02 * n_pixels, "n_pixels": n_pixels, "velocity_frame": np.nan if failed else -21.4},
        ccf_velocity=velocity,
        ccf=np.full(velocity.size, np.nan) if failed else np.exp(-0.5 * ((velocity + 21.4) / 40.0) ** 2),
        provenance={"emulator": {"name": "demo", "labels": list(labels)}, "seed": 0, "input": {"file": f"{star}.fits"}},
        blocks=np.array(blocks).reshape(-1, 2),
        influence=np.sin(np.arange(len(blocks))[:, None] + np.arange(len(labels))) * sd[: len(labels)],
    )
