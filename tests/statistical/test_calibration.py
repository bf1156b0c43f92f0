"""Simulation-based calibration of the posterior, with twins that are known to be wrong."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

import bayne
from bayne.inference import Sampler
from toy import LABELS, LOWER, UPPER, mock_star, toy_emulator

STARS = 200
NAMES = (*LABELS, "rv")
SPAN = 14.0


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
    level = 1 - (1 - 0.01) ** (1 / len(NAMES))
    return [n for n, column in zip(NAMES, u.T, strict=True) if pointwise(column, grid).min() < threshold(STARS, level)]


@pytest.fixture(scope="module", params=["nuts", "hmc", "fast"])
def stars(request):
    """Truth (n,) and posterior draws (d, n), thinned to their effective number, of stars drawn from the prior."""
    emulator = toy_emulator(SPAN)
    rng = np.random.default_rng(20)
    out = []
    # two chains have the hundred effective draws that are used
    sampler = Sampler(draws=100, warmup=100, chains=4 if request.param == "fast" else 2)
    for i in range(STARS):
        labels, rv = rng.uniform(LOWER, UPPER), rng.normal(0, 3)
        star = mock_star(emulator, labels, velocity=rv, snr=40, seed=i, span=SPAN)
        result = bayne.fit_star(
            star, emulator, method=request.param, free=("rv",), priors={"rv": (0, 3)}, continuum=2, jitter=False,
            robust=False, sampler=sampler, seed=i,
        )  # fmt: skip
        out.append((np.array([*labels, rv]), thinned(result)))
    return out


def thinned(result):
    """Draws (d, n) of the labels, as many as are effective."""
    effective = int(min(100, np.min(result.table["ess_bulk"][: len(NAMES)])))
    every = np.stack([result.draws(n).ravel() for n in NAMES], -1)
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
