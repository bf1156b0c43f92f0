"""Simulation-based calibration of the posterior, with twins that are known to be wrong."""

from dataclasses import replace
from functools import cache

import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import binom

import bayne
from bayne.emulators import ErrorModel
from bayne.inference import Sampler
from bayne.likelihoods.problem import MAX_JITTER
from toy import LABELS, LOWER, UPPER, mock_star, toy_emulator

STARS = 200
NAMES = (*LABELS, "rv")
SPAN = 14.0

#: Of the stars that are fitted with nothing turned off but what is for models that are wrong; their windows are wider,
#: as rotation takes more of their ends.
WIDE, SNR = 20.0, 60.0
PRIORS = {"rv": (0, 3), "vsini": dist.Uniform(0, 30)}


def pointwise(u, grid):
    """Smaller tail probability of the ECDF's count at every grid point, for samples that should be uniform."""
    counts = (u[..., None, :] <= grid[:, None]).sum(-1)
    n = u.shape[-1]
    return 2 * np.minimum(binom.cdf(counts, n, grid), binom.sf(counts - 1, n, grid))


@cache
def threshold(n, level):
    """Pointwise probability of the simultaneous ECDF band (Säilynoja, Bürkner & Vehtari 2022), by simulation."""
    rng = np.random.default_rng(99)
    grid = np.arange(1, 50) / 50
    return float(np.quantile(pointwise(rng.random((4000, n)), grid).min(-1), level))


def leaves_band(u):
    """Names of the labels whose rank ECDF leaves its band, family-wise at 1%."""
    grid = np.arange(1, 50) / 50
    level, names = 1 - (1 - 0.01) ** (1 / u.shape[1]), (*NAMES, "vsini")
    return [
        n for n, column in zip(names, u.T, strict=False) if pointwise(column, grid).min() < threshold(len(u), level)
    ]


def bare(method):
    """Truth (n,) and posterior draws (d, n), thinned to their effective number, of stars drawn from the prior."""
    emulator = toy_emulator(SPAN)
    rng = np.random.default_rng(20)
    out = []
    # most of the time goes into transitions of chains: half of the hundred draws that are used make ranks as good
    sampler = Sampler(draws=100) if method == "fast" else Sampler(draws=50, warmup=60, chains=1)
    for i in range(STARS):
        labels, rv = rng.uniform(LOWER, UPPER), rng.normal(0, 3)
        star = mock_star(emulator, labels, velocity=rv, snr=40, seed=i, span=SPAN)
        result = bayne.fit_star(
            star, emulator, method=method, free=("rv",), priors={"rv": (0, 3)}, continuum=2, jitter=False,
            robust=False, sampler=sampler, seed=i,
        )  # fmt: skip
        out.append((np.array([*labels, rv]), thinned(result, NAMES)))
    return out


def imperfect(emulator, labels, rv, vsini, seed):
    """A star with the emulator's error, a jitter per arm drawn from its prior, and 1% of the pixels hit."""
    rng = np.random.default_rng([8, seed])
    error = rng.normal(size=2) @ emulator.error.basis + emulator.error.sigma * rng.normal(size=emulator.wavelength.size)
    star = mock_star(emulator, labels, velocity=rv, vsini=vsini, snr=SNR, seed=seed, span=WIDE, error=error)
    arms = []
    for arm in star.arms:
        noise = np.where(arm.ivar > 0, arm.ivar, 1.0) ** -0.5
        # the prior is uniform in ln(1 + jitter²/noise²) up to a jitter of half the continuum
        jitter = np.sqrt(np.expm1(rng.uniform(0, np.log1p((MAX_JITTER * SNR) ** 2))))
        flux = arm.flux + jitter * np.median(noise) * rng.normal(size=noise.size)
        hit = rng.random(noise.size) < 0.01
        flux += np.where(hit, rng.uniform(20, 60, noise.size) * noise * np.hypot(1, jitter), 0.0)
        arms.append(replace(arm, flux=flux))
    return replace(star, arms=tuple(arms))


def whole(stars, **options):
    """The same with the method, jitter, outliers, emulator error and rotation of a fit by default."""
    emulator = toy_emulator(WIDE)
    pixels = emulator.wavelength.size
    basis = np.random.default_rng(2).normal(0, 0.01, (2, pixels))
    emulator = replace(emulator, error=ErrorModel(basis, np.full(pixels, 0.01)))
    rng = np.random.default_rng(20)
    out = []
    for i in range(stars):
        labels, rv, vsini = rng.uniform(LOWER, UPPER), rng.normal(0, 3), rng.uniform(0, 30)
        # robust widths are for models that are wrong; this one is right (tests/inference/test_robust.py has others)
        result = bayne.fit_star(
            imperfect(emulator, labels, rv, vsini, i), emulator, priors=PRIORS, continuum=2, robust=False,
            sampler=Sampler(draws=100), seed=i, **options,
        )  # fmt: skip
        out.append((np.array([*labels, rv, vsini]), thinned(result, (*NAMES, "vsini"))))
    return out


@pytest.fixture(scope="module", params=["nuts", "hmc", "fast", "default"])
def stars(request):
    """Truths and draws of stars."""
    return whole(STARS) if request.param == "default" else bare(request.param)


def thinned(result, names):
    """Draws (d, n) of the labels, as many as are effective."""
    effective = int(min(100, np.min(result.table["ess_bulk"][: len(names)])))
    every = np.stack([result.draws(n).ravel() for n in names], -1)
    return every[np.linspace(0, len(every) - 1, effective).astype(int)]


def ranks(stars, change=lambda draws: draws):
    """Ranks (s, n) of the truths among changed draws as numbers in (0, 1), ties broken at random."""
    rng = np.random.default_rng(0)
    changed = [(truth, change(draws)) for truth, draws in stars]
    return np.array([((d < t).sum(0) + rng.random(len(t))) / (len(d) + 1) for t, d in changed])


def test_ranks_of_truths_are_uniform(stars):
    assert leaves_band(ranks(stars)) == []


def test_errors_too_small_by_a_fifth_are_caught(stars):
    assert leaves_band(ranks(stars, lambda d: d.mean(0) + 0.8 * (d - d.mean(0))))


def test_means_off_by_a_third_of_sigma_are_caught(stars):
    assert leaves_band(ranks(stars, lambda d: d + 0.3 * d.std(0)))


def test_errors_without_jitter_and_outliers_are_caught():
    assert len(leaves_band(ranks(whole(25, jitter=False)))) > 1
