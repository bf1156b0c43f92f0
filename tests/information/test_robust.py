"""Errors from blocks of wavelength, against what estimates do when their noise is not what the model says."""

import numpy as np
import pytest

from bayne.information.robust import blocks_of, misfit, shrunk

PIXELS, TOGETHER, PARAMETERS = 4000, 20, 4


def estimates(correlated, stars=200):
    """True covariance of least squares on a linear model of one arm of 400 Å, and those that `misfit` finds.

    Noise is independent and of unit variance, or the same for twenty neighbours at a time, which nobody says.
    """
    rng = np.random.default_rng(2)
    wave = np.linspace(5000.0, 5400.0, PIXELS)[None]
    design = np.stack([np.sin(wave[0] / (3.0 + k)) for k in range(PARAMETERS)], axis=-1)
    precision = design.T @ design
    found = []
    offsets = []
    for _ in range(stars):
        noise = rng.normal(size=PIXELS)
        if correlated:
            noise = np.repeat(noise[::TOGETHER], TOGETHER)
        estimate = np.linalg.solve(precision, design.T @ noise)
        residual = noise - design @ estimate
        scores = (design * residual[:, None])[None]
        answer = misfit(scores, wave, np.ones_like(wave, bool), precision)
        found.append(np.linalg.inv(answer.shrink.T @ precision @ answer.shrink))
        offsets.append(estimate)
    return np.cov(np.array(offsets).T), np.mean(found, axis=0), np.linalg.inv(precision)


def test_errors_are_those_of_estimates_whose_noise_is_correlated():
    """The Fisher matrix, which believes in independent pixels, is the known-bad twin."""
    true, robust, fisher = estimates(correlated=True)
    ratio = np.sqrt(np.diag(robust) / np.diag(true))
    assert np.all((ratio > 0.85) & (ratio < 1.2)), ratio
    assert np.all(np.sqrt(np.diag(fisher) / np.diag(true)) < 0.5)


def test_where_the_model_is_right_errors_are_those_of_the_noise():
    true, robust, fisher = estimates(correlated=False)
    assert np.all(np.diag(robust) >= np.diag(fisher) * (1 - 1e-9)), "no label is better known than by the noise"
    ratio = np.sqrt(np.diag(robust) / np.diag(true))
    assert np.all((ratio > 0.85) & (ratio < 1.25)), ratio


def test_influence_is_what_leaving_a_block_out_does():
    """To first order: against fits without each block."""
    rng, wave = np.random.default_rng(1), np.linspace(5000.0, 5400.0, PIXELS)[None]
    design = np.stack([np.sin(wave[0] / 3.0), np.cos(wave[0] / 5.0)], axis=-1)
    data = design @ [0.3, -0.2] + rng.normal(size=PIXELS)
    precision = design.T @ design
    estimate = np.linalg.solve(precision, design.T @ data)
    scores = (design * (data - design @ estimate)[:, None])[None]
    used = np.ones_like(wave, bool)
    found, number = misfit(scores, wave, used, precision), blocks_of(wave, used)[0]
    for block in (0, 7, 39):
        rest = number != block
        left = np.linalg.solve(design[rest].T @ design[rest], design[rest].T @ data[rest])
        np.testing.assert_allclose(estimate - left, found.influence[block], rtol=0.2, atol=2e-4)
        assert found.blocks[block, 1] == pytest.approx(wave[0][number == block].mean())


def test_blocks_are_ten_angstroms_and_at_least_twenty():
    wave = np.stack([np.linspace(5000.0, 5200.0, 300), np.linspace(6000.0, 6100.0, 300)])
    used = np.ones_like(wave, bool)
    used[1, :150] = False
    used[0, 100:130] = False  # 20 Å, of which one block is nothing but gap
    number = blocks_of(wave, used)
    assert number[0].max() == 18
    assert number[1].max() == 23
    assert np.unique(number[used]).tolist() == list(range(24))
    assert np.all(number[~used] == -1)
    assert blocks_of(wave[:1, :30], used[:1, :30]).max() == 19


def test_shrinkage_is_that_of_ledoit_and_wolf():
    """Their equations 9 to 14, with loops."""
    rows = np.random.default_rng(3).normal(size=(12, 5)) * [3.0, 1.0, 1.0, 1.0, 0.2]
    sample = sum(np.outer(row, row) for row in rows) / 12
    m = np.trace(sample) / 5
    d2 = np.linalg.norm(sample - m * np.eye(5)) ** 2
    b2 = min(sum(np.linalg.norm(np.outer(row, row) - sample) ** 2 for row in rows) / 12**2, d2)
    np.testing.assert_allclose(shrunk(rows), b2 / d2 * m * np.eye(5) + (1 - b2 / d2) * sample)
    assert 0.1 < b2 / d2 < 0.9
