"""The continuum's Gaussian process: its covariance, and amplitude and scale by evidence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayne.likelihoods import Pixels
from bayne.likelihoods.continuum_process import AMPLITUDES, SCALES, best_spread, modes
from bayne.spectrum import Spectrum, make_arm

WAVE = np.linspace(5000.0, 5200.0, 500)
NOISE = 0.005


def made():
    arm = make_arm(WAVE, np.ones(WAVE.size), error=np.full(WAVE.size, NOISE))
    return modes(Spectrum((arm,)))


def kernel(amplitude, scale):
    return amplitude**2 * np.exp(-0.5 * ((WAVE[:, None] - WAVE) / scale) ** 2)


@pytest.mark.parametrize("scale", [0, 2])
def test_modes_have_the_covariance_of_a_squared_exponential(scale):
    (waves,), spreads = made()
    found = (waves * spreads[scale, 5, 0] ** 2) @ waves.T
    # the outermost pixels feel the border where the process ends
    inner = np.abs(WAVE - 5100.0) < 60.0
    expected = kernel(AMPLITUDES[5], SCALES[scale])
    assert np.abs(found - expected)[np.ix_(inner, inner)].max() < 0.02 * AMPLITUDES[5] ** 2


def chosen(data):
    """Amplitude and scale of most evidence for a flat spectrum."""
    (waves,), spreads = made()
    h = spreads.reshape(-1, *spreads.shape[2:])
    with jax.enable_x64(True):
        spreads, one = jnp.asarray(h), jnp.ones((1, WAVE.size))
        pixels = Pixels(jnp.asarray(data[None]), NOISE**2 * one, one > 0, jnp.asarray(waves[None]), spreads[0])
        spread, which = best_spread(pixels, spreads, one, None)
    scale, amplitude = divmod(int(which[0]), AMPLITUDES.size)
    np.testing.assert_array_equal(spread, h[int(which[0])])
    return AMPLITUDES[amplitude], SCALES[scale]


@pytest.mark.parametrize(("amplitude", "scale"), [(0.01, 10.0), (0.003, 30.0), (0.02, 50.0)])
def test_evidence_finds_the_waves_that_are_there(amplitude, scale):
    """Among all choices it takes one nearly as likely as the best, by dense Gaussians."""
    rng = np.random.default_rng(4)
    data = 1 + rng.multivariate_normal(np.zeros(WAVE.size), kernel(amplitude, scale) + NOISE**2 * np.eye(WAVE.size))
    found = chosen(data)

    def evidence(amplitude, scale):
        return multivariate_normal.logpdf(data - 1, cov=kernel(amplitude, scale) + NOISE**2 * np.eye(WAVE.size))

    best = max(evidence(a, s) for a in AMPLITUDES for s in SCALES)
    assert evidence(*found) > best - 1.0
    assert evidence(AMPLITUDES[0], SCALES[0]) < best - 20.0


def test_no_waves_are_found_in_noise():
    data = 1 + NOISE * np.random.default_rng(5).normal(size=WAVE.size)
    assert chosen(data)[0] <= 0.2 * NOISE
