"""Spectra that cannot or must not be measured are flagged, never raise; wrong arguments raise and say why."""

from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne import BayneError, Flag
from bayne.lsf import GaussianLSF
from bayne.spectrum import Spectrum, make_arm


def changed(spectrum, **arrays):
    """The spectrum with arrays of every arm replaced by functions of the arm."""
    return replace(
        spectrum, arms=tuple(replace(arm, **{k: f(arm) for k, f in arrays.items()}) for arm in spectrum.arms)
    )


def assert_given_up(result, flag, star):
    """Flagged as bad with a sentence; NaN where numbers would be; the observed pixels are still there."""
    assert not result.ok
    assert flag in result.flags
    assert result.flags.bad.sentences()
    assert result.messages
    assert np.all(np.isnan(result.map))
    assert np.all(np.isnan(result.covariance))
    assert np.all(np.isnan(result.table["mean"]))
    assert set(result.table["label"]) >= {"teff", "logg", "fe_h", "mg_fe", "mg_h", "rv", "vsini"}
    for fitted, given in zip(result.arms, star.arms, strict=True):
        np.testing.assert_array_equal(fitted.wavelength, given.wavelength)
        assert not fitted.used.any()
        assert np.all(np.isnan(fitted.model))


def blend(first, second, light, lag):
    """Sum of two stars, the fainter one linearly interpolated onto the pixels of the brighter."""
    arms = []
    for a, b in zip(first.arms, second.arms, strict=True):
        good = ~a.mask & (a.wavelength > b.wavelength[0] + lag) & (a.wavelength < b.wavelength[-1] - lag)
        flux = light * a.flux + (1 - light) * np.interp(a.wavelength, b.wavelength, b.flux)
        arms.append(replace(a, flux=flux, mask=~good))
    return replace(first, arms=tuple(arms), id="blend")


@pytest.mark.parametrize("method", ["map", "laplace", "nuts", "hmc"])
def test_flux_without_a_finite_pixel(method, star, fit):
    empty = changed(star, flux=lambda arm: np.full(arm.flux.size, np.nan))
    result = fit(empty, method)
    assert result.method == method
    assert_given_up(result, Flag.NO_PIXELS, empty)


def test_flux_read_as_nan_is_counted(star, fit):
    arms = [make_arm(a.wavelength, a.flux * np.nan, ivar=a.ivar, lsf=a.lsf, name=a.name) for a in star.arms]
    assert_given_up(fit(replace(star, arms=tuple(arms))), Flag.NO_PIXELS, star)
    bare = [make_arm(a.wavelength, a.flux * np.nan, lsf=a.lsf, name=a.name) for a in star.arms]
    assert_given_up(fit(replace(star, arms=tuple(bare))), Flag.NO_PIXELS, star)


@pytest.mark.parametrize("how", ["mask", "ivar", "windows"])
def test_nothing_left_after_masking(how, star, fit):
    options = {}
    spectrum = star
    if how == "mask":
        options["mask"] = [np.ones(a.flux.size, bool) for a in star.arms]
    elif how == "ivar":
        spectrum = changed(star, ivar=lambda arm: np.zeros(arm.flux.size))
    else:
        options["windows"] = ((6000.0, 6100.0),)
    assert_given_up(fit(spectrum, **options), Flag.NO_PIXELS, spectrum)


def test_some_bad_pixels_do_no_harm(star, fit, maximum):
    def spoil(arm):
        flux = arm.flux.copy()
        flux[100:103] = [np.nan, np.inf, -np.inf]
        return flux

    result = fit(changed(star, flux=spoil))
    assert result.ok, result.messages
    assert not any(arm.used[100:103].any() for arm in result.arms)
    teff = result.names.index("teff")
    assert abs(result.map[teff] - maximum.map[teff]) < np.sqrt(result.covariance[teff, teff])


def test_wavelengths_that_do_not_meet_the_emulator(star, fit):
    far = changed(star, wavelength=lambda arm: arm.wavelength + 3000.0)
    result = fit(far, resolution=20_000.0)
    assert_given_up(result, Flag.NO_OVERLAP, far)
    told = " ".join(result.messages)
    for number in ("8004", "8104", "5000", "5035", "5100", "5135"):
        assert number in told, told


def test_instrument_sharper_than_the_emulator(star, fit):
    result = fit(star, resolution=60_000.0)
    assert_given_up(result, Flag.TOO_SHARP, star)
    told = " ".join(result.messages).replace(",", "").replace(" ", "")
    assert "60000" in told, result.messages
    assert "30000" in told, result.messages


@pytest.mark.parametrize("labels", [{"teff": 7500.0}, {"fe_h": -2.2}, {"teff": 3700.0}])
def test_star_outside_the_domain(labels, mock, fit):
    result = fit(mock(labels=labels, seed=6))
    assert not result.ok
    assert result.flags & (Flag.OUTSIDE_DOMAIN | Flag.BAD_FIT), result.flags.names
    assert result.messages
    if Flag.OUTSIDE_DOMAIN in result.flags:
        marked = [name for name, flag in result.label_flags.items() if Flag.OUTSIDE_DOMAIN in flag]
        assert marked
        assert any(name in " ".join(result.messages) for name in marked)


@pytest.mark.parametrize("level", [0.0, 1000.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_spectrum_without_lines(level, seed, star, fit):
    """Noise about zero, and a smooth spectrum: the star has no lines to be measured."""
    rng = np.random.default_rng(seed)

    def flux(arm):
        return level * (1 + 0.1 * np.linspace(-1, 1, arm.flux.size)) + rng.normal(0, 10, arm.flux.size)

    blank = changed(star, flux=flux, ivar=lambda arm: np.full(arm.flux.size, 0.01))
    result = fit(replace(blank, id=f"blank-{seed}"))
    assert not result.ok, (result.messages, result.diagnostics)
    assert result.messages


def test_noise_far_above_the_star(mock, fit):
    result = fit(mock(snr=0.5, seed=2))
    assert not result.ok, result.messages


@pytest.mark.parametrize(
    ("lag", "light", "seed"), [(80.0, 0.6, 11), (80.0, 0.6, 21), (-110.0, 0.6, 11), (158.0, 0.64, 31), (-50.0, 0.7, 41)]
)
def test_double_lined_binary(lag, light, seed, mock, fit):
    first = mock(velocity=0.0, vsini=4.0, seed=seed)
    second = mock(velocity=lag, vsini=4.0, seed=seed + 1, labels={"teff": 5200.0, "logg": 4.5})
    result = fit(blend(first, second, light, abs(lag) / 299_792 * 5100))
    assert Flag.DOUBLE_LINED in result.flags, (result.flags.names, result.diagnostics)
    assert not result.ok
    assert any("second peak" in message for message in result.messages)


@pytest.mark.parametrize("lag", [20.0, 24.0])
def test_two_stars_whose_lines_overlap_are_not_one(lag, mock, fit):
    """A second peak does not show, but no rotation makes lines of that shape."""
    first = mock(velocity=0.0, vsini=4.0, snr=150.0)
    second = mock(velocity=lag, vsini=4.0, snr=150.0, seed=2, labels={"teff": 5200.0, "logg": 4.5})
    result = fit(blend(first, second, 0.6, lag / 299_792 * 5100))
    assert Flag.DOUBLE_LINED not in result.flags
    assert Flag.BAD_FIT in result.flags, result.diagnostics
    assert any("two stars" in message for message in result.messages)


def test_rotation_beyond_its_range_is_not_ok(mock, fit):
    result = fit(mock(vsini=170.0, snr=200.0))
    assert Flag.OUTSIDE_DOMAIN in result.flags
    assert any("vsini" in message for message in result.messages)


@pytest.mark.parametrize(
    ("labels", "snr", "vsini"),
    [
        ({"teff": 4700.0}, 200.0, 4.0),
        ({"teff": 6300.0}, 60.0, 4.0),
        ({"fe_h": -0.8}, 100.0, 4.0),
        ({}, 10.0, 4.0),
        ({"logg": 3.8}, 300.0, 30.0),
        ({"teff": 5000.0, "fe_h": 0.0}, 100.0, 60.0),
    ],
)
def test_single_stars_are_not_taken_for_binaries(labels, snr, vsini, mock, fit):
    result = fit(mock(labels=labels, snr=snr, vsini=vsini, seed=int(snr)))
    assert Flag.DOUBLE_LINED not in result.flags, result.messages
    assert result.ok, result.messages


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"priors": {"mgfe": (0.0, 0.1)}}, ("priors", "mgfe", "mg_fe")),
        ({"fixed": {"tef": 5000.0}}, ("fixed", "tef", "teff")),
        ({"free": ("rv", "vsni")}, ("free", "vsni", "vsini")),
        ({"method": "nutz"}, ("method", "nutz", "nuts")),
        ({"fixed": {"teff": 9000.0}}, ("teff", "9000", "6500")),
        ({"fixed": {"vsini": -3.0}}, ("vsini", "-3")),
        ({"fixed": {"logg": np.nan}}, ("logg", "nan")),
        ({"priors": {"logg": (9.0, 0.1)}}, ("logg", "9", "5")),
        ({"priors": {"logg": (4.0, 0.0)}}, ("logg", "sd")),
        ({"priors": {"logg": 4.0}}, ("logg", "(mean, sd)")),
        ({"priors": {"vmac": (3.0, 1.0)}}, ("vmac", "free")),
        ({"priors": {"logg": (4.0, 0.1)}, "fixed": {"logg": 4.0}}, ("logg", "both")),
        ({"start": {"tef": 5000.0}}, ("start", "tef", "teff")),
        ({"start": {"teff": np.nan}}, ("start", "teff", "nan")),
        ({"start": {"logg": 4.0}, "fixed": {"logg": 4.0}}, ("logg", "both", "start")),
        ({"snr": -10.0}, ("snr", "-10")),
        ({"snr": np.inf}, ("snr", "inf")),
        ({"snr": (10.0, 20.0, 30.0)}, ("snr", "3", "2")),
        ({"mask": [np.zeros(10, bool)]}, ("mask", "2", "1")),
        ({"mask": [np.zeros(10, bool), np.zeros(10, bool)]}, ("mask", "blue", "10")),
        ({"instrument": "hermez"}, ("hermez",)),
        ({"resolution": -1.0}, ("resolution", "-1")),
        ({"continuum": 99}, ("continuum", "99")),
        ({"fixed": {"teff": "hot"}}, ("fixed", "teff", "hot", "number")),
        ({"start": {"teff": "warm"}}, ("start", "teff", "warm", "number")),
        ({"snr": "high"}, ("snr", "high", "numbers")),
        ({"windows": ((5030.0, 5000.0),)}, ("windows", "5030", "low, high")),
        ({"windows": (5000.0, 5010.0, 5020.0)}, ("windows", "5020", "low, high")),
        ({"priors": {"rv": (-9999.0, 1.0)}}, ("rv", "-10004", "1000")),
    ],
)
def test_wrong_arguments_are_named(options, named, star, fit):
    with pytest.raises(BayneError) as caught:
        fit(star, **options)
    for part in named:
        assert part in str(caught.value), str(caught.value)


def test_one_window_may_be_given_as_it_is_and_numbers_as_numpy_has_them(star, fit):
    whole = fit(star, windows=[(5000.0, 5040.0)], snr=100)
    same = fit(star, windows=(5000, 5040), snr=np.int64(100), fixed={})
    np.testing.assert_array_equal(same.map, whole.map)
    assert whole.diagnostics["n_pixels"] < fit(star).diagnostics["n_pixels"]


def test_a_prior_on_a_velocity_that_the_observer_s_motion_puts_out_of_reach(star, fit):
    """-9999 and the like are refused beforehand; this one only together with the correction of this spectrum."""
    observed = replace(star, frame="observed", bary_kms=30.0)
    with pytest.raises(BayneError, match="prior of rv: 980 to 1020 km/s"):
        fit(replace(observed, bary_kms=-30.0), priors={"rv": (1000.0, 4.0)})


def test_unknown_lsf_is_an_error_that_tells_the_ways_out(star, fit):
    unknown = changed(star, lsf=lambda arm: None)
    with pytest.raises(BayneError, match=r"(?i)resolution|line-spread|lsf"):
        fit(unknown)
    assert fit(unknown, resolution=20_000.0).ok


def test_a_path_is_not_an_emulator(star):
    with pytest.raises(BayneError, match="load_emulator"):
        bayne.fit_star(star, "galah")


def test_a_short_arm_is_no_obstacle(star, fit):
    wave = np.array([5050.0, 5050.1, 5050.2])
    stub = make_arm(wave, np.ones(3), error=np.ones(3), lsf=GaussianLSF(wave / 20_000), name="stub")
    result = fit(Spectrum((*star.arms, stub), frame="barycentric", id="stub"))
    assert not result.arms[2].used.any()
    assert np.all(np.isfinite(result.map[:5]))
