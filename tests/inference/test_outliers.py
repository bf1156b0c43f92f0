"""Pixels that no model explains are left out; a model that is wrong everywhere is not saved that way."""

from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne import Flag
from bayne.wavelength import C_KMS


def with_lines(spectrum, centres, depth=0.5):
    """The spectrum with absorption lines that no emulator knows."""
    arms = []
    for arm in spectrum.arms:
        lines = sum(np.exp(-0.5 * ((arm.wavelength - c) / 0.12) ** 2) for c in centres)
        arms.append(replace(arm, flux=arm.flux * (1 - depth * lines)))
    return replace(spectrum, arms=tuple(arms))


def off(result, truth):
    """Largest distance of a label from the truth, in units of its error."""
    rows = {str(row["label"]): row for row in result.table}
    return max(abs(float(rows[k]["median"]) - v) / float(rows[k]["std"]) for k, v in truth.items())


def test_lines_that_the_emulator_lacks_do_not_move_the_labels(star, fit, truth):
    strange = with_lines(star, [5009.3, 5014.8, 5022.1, 5110.4, 5117.7])
    robust = fit(strange)
    assert off(robust, truth) < 4
    assert Flag.OUTLIERS_REMOVED in robust.flags
    assert 15 < robust.diagnostics["n_outliers"] < 90, "five lines of some nine pixels"
    # the known-bad twin: nothing left out
    assert off(fit(strange, jitter=False), truth) > 10


def test_gaussian_noise_has_no_outliers(maximum):
    assert Flag.OUTLIERS_REMOVED not in maximum.flags
    assert maximum.diagnostics["n_outliers"] == 0


def test_errors_that_are_too_small_make_no_outliers(star, fit):
    """Scatter that jitter explains is not cut away."""
    arms = [replace(arm, ivar=arm.ivar * 9) for arm in star.arms]
    assert fit(replace(star, arms=tuple(arms))).diagnostics["n_outliers"] <= 3


def test_left_out_pixels_are_marked_in_the_result(star, fit):
    result = fit(with_lines(star, [5014.8]))
    arm = result.arms[0]
    assert not arm.used[np.argmin(np.abs(arm.wavelength - 5014.8))]
    assert np.isnan(result.best_fit[0][np.argmin(np.abs(arm.wavelength - 5014.8))])


def test_a_model_that_is_wrong_everywhere_keeps_its_pixels_and_is_bad(star, fit):
    rng = np.random.default_rng(3)
    result = fit(with_lines(star, rng.uniform(5000, 5135, 80), depth=0.7))
    assert result.diagnostics["n_outliers"] <= 0.15 * result.diagnostics["n_pixels"]
    assert not result.ok


def test_windows_that_the_card_excludes_are_left_out_at_rest(emulator, star, truth):
    window = (5013.0, 5016.0)
    limited = replace(emulator, card=replace(emulator.card, excluded=(window,)))
    result = bayne.fit_star(star, limited, method="map")
    arm = result.arms[0]
    rest = arm.wavelength / (1 + truth["rv"] / C_KMS)
    inside = (rest > window[0] + 0.01) & (rest < window[1] - 0.01)
    assert not arm.used[inside].any()
    near = (rest > window[0] - 1) & (rest < window[1] + 1) & ~((rest > window[0] - 0.01) & (rest < window[1] + 0.01))
    assert arm.used[near].all()


def test_a_window_without_extent_is_refused(emulator):
    with pytest.raises(bayne.BayneError, match="low < high"):
        replace(emulator.card, excluded=((5016.0, 5013.0),))
