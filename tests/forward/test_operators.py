"""Every operator against an exact integral or a calculation that shares nothing with it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import erf

from bayne.errors import BayneError
from bayne.forward import TooSharp, plan
from bayne.forward.operators import limb_darkening
from bayne.lsf import FWHM_PER_SIGMA, BandedLSF, GaussianLSF
from bayne.spectrum import Spectrum, make_arm
from bayne.wavelength import C_KMS
from toy import log_grid, table_emulator

CENTRE = 5000.0
WAVE = log_grid(4960.0, 5040.0, 2.0)
LINE_SIGMA = 4.0  # km/s


def km(wavelength, centre=CENTRE):
    return C_KMS * np.log(wavelength / centre)


def line(v, sigma=LINE_SIGMA):
    return 1 - 0.6 * np.exp(-0.5 * (v / sigma) ** 2)


def emulator(resolution=75_000.0, **changes):
    return table_emulator(WAVE, line(km(WAVE)), resolution, **changes)


def observed(wave, lsf, em=None, velocity=0.0, at=None, vsini=0.0, vmac=0.0, scale=1.0, box=1.0, max_scale=None):
    """Model flux on the pixels of one arm, and which of them are used."""
    em = em or emulator()
    arm = make_arm(wave, np.ones(wave.size), error=np.ones(wave.size), lsf=lsf)
    with jax.enable_x64(True):
        p = plan(Spectrum((arm,)), em, velocity, max_vsini=vsini, max_vmac=vmac, max_scale=max_scale)
        args = (jnp.asarray(x) for x in (velocity if at is None else at, vsini, vmac, scale, box))
        flux = np.asarray(p.forward.observe(jnp.asarray(em.params["flux"])[None], *args))[0, :, 0]
    return flux[p.used[0]], wave[p.used[0]]


PIXELS = np.arange(4975.0, 5025.0, 0.045)
SAME = GaussianLSF(PIXELS / 75_000.0)


def test_no_kernel_reproduces_the_emulator_between_its_own_pixels():
    flux, wave = observed(PIXELS, SAME)
    np.testing.assert_allclose(flux, line(km(wave)), atol=2e-5)


@pytest.mark.parametrize("v", [-350.0, -48.0, 0.37, 49.0, 900.0])
def test_doppler_shift_is_relativistic(v):
    start = round(v / 100) * 100.0
    flux, wave = observed(PIXELS, SAME, velocity=start, at=v)
    shifted = CENTRE * np.sqrt((1 + v / C_KMS) / (1 - v / C_KMS))
    np.testing.assert_allclose(flux, line(km(wave, shifted)), atol=2e-5)
    classical = line(km(wave, CENTRE * (1 + v / C_KMS)))
    if abs(v) > 300:
        assert np.abs(flux - classical).max() > 1e-3, "a classical shift would pass this test"


@pytest.mark.parametrize("resolution", [20_000.0, 45_000.0, 70_000.0])
def test_constant_resolution_subtracts_the_emulators_own_width(resolution):
    flux, wave = observed(PIXELS, GaussianLSF(PIXELS / resolution))
    s_inst, s_em = (C_KMS / r / FWHM_PER_SIGMA for r in (resolution, 75_000.0))
    sigma = np.sqrt(LINE_SIGMA**2 + s_inst**2 - s_em**2)
    depth = 0.6 * LINE_SIGMA / sigma
    np.testing.assert_allclose(flux, 1 - depth * np.exp(-0.5 * (km(wave) / sigma) ** 2), atol=3e-5)


def test_width_per_pixel_is_local():
    resolution = np.where(PIXELS < CENTRE, 20_000.0, 40_000.0)
    flux, wave = observed(PIXELS, GaussianLSF(PIXELS / resolution))
    for r, side in ((20_000.0, wave < CENTRE), (40_000.0, wave > CENTRE)):
        alone, where = observed(PIXELS, GaussianLSF(PIXELS / r))
        common = np.isin(where, wave[side])
        np.testing.assert_allclose(flux[side], alone[common], atol=1e-6)


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_scale_of_the_lsf_is_a_scale_of_its_width(scale):
    flux, _ = observed(PIXELS, GaussianLSF(PIXELS / 20_000.0), scale=scale, max_scale=1.5)
    direct, _ = observed(PIXELS, GaussianLSF(PIXELS * scale / 20_000.0))
    trimmed = direct[(direct.size - flux.size) // 2 :][: flux.size]
    np.testing.assert_allclose(flux, trimmed, atol=2e-6)


def test_pixel_integration_is_the_mean_over_the_pixel():
    wide = np.arange(4975.0, 5025.0, 0.25)  # 15 km/s, several line widths
    lsf = GaussianLSF(wide / 75_000.0, includes_pixel=False)
    flux, wave = observed(wide, lsf)
    low, high = km(wave - 0.125), km(wave + 0.125)
    root = np.sqrt(2) * LINE_SIGMA
    mean = 1 - 0.6 * LINE_SIGMA * np.sqrt(np.pi / 2) * (erf(high / root) - erf(low / root)) / (high - low)
    np.testing.assert_allclose(flux, mean, atol=3e-5)
    assert np.abs(mean - line(km(wave))).max() > 0.05, "point sampling would pass this test"


def disk(vsini, limb, vmac, v, points=400):
    """Line profile of a rotating, turbulent star by summing over the visible disk."""
    r = (np.arange(points) + 0.5) / points
    phi = (np.arange(points) + 0.5) / points * 2 * np.pi
    rr, pp = np.meshgrid(r, phi)
    mu = np.sqrt(1 - rr**2)
    weight = rr * (1 - limb * (1 - mu))
    shift = vsini * rr * np.cos(pp)
    out = np.zeros(v.size)
    for widths in (np.hypot(LINE_SIGMA, vmac * mu / np.sqrt(2)), np.hypot(LINE_SIGMA, vmac * rr / np.sqrt(2))):
        for i, x in enumerate(v):
            out[i] += 0.5 * np.sum(weight * LINE_SIGMA / widths * np.exp(-0.5 * ((x - shift) / widths) ** 2))
    return 1 - 0.6 * out / weight.sum()


@pytest.mark.parametrize("vsini", [0.0, 3.0, 12.0, 60.0])
def test_rotation_is_the_integral_over_a_limb_darkened_disk(vsini):
    flux, wave = observed(PIXELS, SAME, vsini=vsini)
    near = np.abs(km(wave)) < vsini + 20
    pick = np.flatnonzero(near)[:: max(1, near.sum() // 60)]
    np.testing.assert_allclose(flux[pick], disk(vsini, 0.64, 0.0, km(wave[pick])), atol=1e-4)


@pytest.mark.parametrize("wavelength", [4000.0, 5000.0, 6500.0, 8000.0, 15_000.0])
def test_limb_darkening_is_that_of_the_sun(wavelength):
    """Against the polynomials of SolarSoft (darklimb_u.pro, darklimb_v.pro), fits to an earlier table."""
    u = [-8.9829751, 0.0069093916, -1.8144591e-6, 2.2540875e-10, -1.3389747e-14, 3.0453572e-19]
    v = [9.2891180, -0.0062212632, 1.5788029e-6, -1.9359644e-10, 1.1444469e-14, -2.599494e-19]
    mu = np.linspace(0, 1, 2001)
    a, b = np.polyval(u[::-1], wavelength), np.polyval(v[::-1], wavelength)
    disk_mean = 2 * trapezoid((1 - a * (1 - mu) - b * (1 - mu**2)) * mu, mu)
    assert 1 - float(limb_darkening(wavelength)) / 3 == pytest.approx(disk_mean, abs=0.01)


@pytest.mark.parametrize("vmac", [2.0, 8.0, 25.0])
def test_macroturbulence_is_the_integral_over_the_disk(vmac):
    flux, wave = observed(PIXELS, SAME, vmac=vmac)
    pick = np.flatnonzero(np.abs(km(wave)) < 60)[::6]
    np.testing.assert_allclose(flux[pick], disk(0.0, 0.0, vmac, km(wave[pick])), atol=1e-4)


def test_banded_matrix_acts_as_the_gaussian_it_was_made_from():
    wave = np.arange(4975.0, 5025.0, 0.2)  # 12 km/s
    sigma = 1.3  # pixels
    offsets = np.arange(6, -7, -1)
    bands = np.exp(-0.5 * (offsets[:, None] / sigma) ** 2) * np.ones(wave.size)
    flux, used = observed(wave, BandedLSF(bands / bands.sum(0), offsets))
    width = 0.2 / CENTRE * C_KMS * sigma
    total = np.sqrt(LINE_SIGMA**2 + width**2 - (C_KMS / 75_000.0 / FWHM_PER_SIGMA) ** 2)
    exact = 1 - 0.6 * LINE_SIGMA / total * np.exp(-0.5 * (km(used) / total) ** 2)
    # second moments are matched, not the whole profile
    np.testing.assert_allclose(flux, exact, atol=3e-3)
    naive = np.sqrt(total**2 + (0.2 / CENTRE * C_KMS) ** 2 / 12 + (C_KMS / 75_000.0 / FWHM_PER_SIGMA) ** 2)
    assert np.ptp(exact) - 0.6 * LINE_SIGMA / naive > 3e-3, "a matrix that is not narrowed would pass this test"


@pytest.mark.parametrize("varies", [False, True])
def test_a_tabulated_profile_acts_as_what_was_tabulated(varies):
    """A Gaussian as a table, of one width and of one that grows along the arm."""
    width = 16.0 * (np.linspace(0.9, 1.1, PIXELS.size) if varies else np.ones(PIXELS.size))  # km/s
    velocity = np.linspace(-100.0, 100.0, 401)
    table = 7.0 * np.exp(-0.5 * (velocity / width[:, None]) ** 2)
    flux, used = observed(PIXELS, BandedLSF.from_profile(PIXELS, velocity, table if varies else table[0]))
    exact, pixels = observed(PIXELS, GaussianLSF(PIXELS * width * FWHM_PER_SIGMA / C_KMS))
    both = np.intersect1d(used, pixels)
    assert both.size > 100
    np.testing.assert_allclose(flux[np.isin(used, both)], exact[np.isin(pixels, both)], atol=2e-3)


@pytest.mark.parametrize(
    ("velocity", "profile", "message"),
    [
        ([-1.0, 0.0, 1.0], [1.0, 1.0], "shape"),
        ([1.0, 0.0, -1.0], [1.0, 1.0, 1.0], "increase"),
        ([-20.0, 0.0, 20.0], [0.0, 0.0, 0.0], "positive"),
    ],
)
def test_tables_that_are_no_profile_are_refused(velocity, profile, message):
    with pytest.raises(BayneError, match=message):
        BandedLSF.from_profile(PIXELS, velocity, profile)


def test_a_sharper_instrument_is_refused_with_both_resolutions():
    with pytest.raises(TooSharp, match=r"R = 80000.*R = 75000"):
        observed(PIXELS, GaussianLSF(PIXELS / 80_000.0))
    observed(PIXELS, GaussianLSF(PIXELS / 75_500.0))
    with pytest.raises(TooSharp):  # a width whose square is zero
        observed(PIXELS, GaussianLSF(PIXELS / 1e200))


def test_an_unknown_lsf_is_asked_for():
    with pytest.raises(BayneError, match="resolution="):
        observed(PIXELS, None)


def test_linear_grids_of_published_networks_are_carried_over():
    wave = np.arange(4960.0, 5040.0, 0.03)
    em = table_emulator(wave, line(km(wave)), 75_000.0)
    flux, used = observed(PIXELS, SAME, em)
    np.testing.assert_allclose(flux, line(km(used)), atol=3e-4)  # a tenth of what such networks are wrong by


def test_pixels_near_the_ends_of_windows_are_left_out_and_nothing_crosses_a_gap():
    wave = np.concatenate([log_grid(4960.0, 4990.0, 2.0), log_grid(5010.0, 5040.0, 2.0)])
    em = table_emulator(wave, line(km(wave)), 75_000.0)
    pixels = np.arange(4950.0, 5050.0, 0.05)
    _, used = observed(pixels, GaussianLSF(pixels / 30_000.0), em)
    room = 50 + 5 * C_KMS / 30_000.0 / FWHM_PER_SIGMA - 6
    for low, high in ((4960.0, 4990.0), (5010.0, 5040.0)):
        inside = used[(used > low - 5) & (used < high + 5)]
        assert C_KMS * np.log(inside[0] / low) > room
        assert C_KMS * np.log(high / inside[-1]) > room
    assert not np.any((used > 4990.0) & (used < 5010.0))


@pytest.mark.parametrize("box", [0.3, 0.6])
def test_a_boxy_lsf_is_a_gaussian_and_a_top_hat_convolved(box):
    """Against a direct convolution; the whole has the variance of the width that is given."""
    resolution = 25_000.0
    sigma, own = (C_KMS / r / FWHM_PER_SIGMA for r in (resolution, 75_000.0))
    flux, wave = observed(PIXELS, GaussianLSF(PIXELS / resolution, box=box))
    v = np.linspace(-60.0, 60.0, 12_001)
    half = 0.5 * np.sqrt(12 * box) * sigma
    gaussian = np.exp(-0.5 * v**2 / ((1 - box) * sigma**2 - own**2))
    kernel = np.convolve(gaussian, np.abs(v) < half, mode="same")
    fine = np.linspace(-400.0, 400.0, 80_001)
    expected = 1 - np.convolve(1 - line(fine), kernel / kernel.sum(), mode="same")
    np.testing.assert_allclose(flux, np.interp(km(wave), fine, expected), atol=2e-4)
    plain, _ = observed(PIXELS, GaussianLSF(PIXELS / resolution))
    assert np.abs(flux - plain).max() > 2e-3


def test_gradients_agree_with_finite_differences():
    em = emulator()
    lsf = GaussianLSF(PIXELS / 25_000.0, box=0.5)
    arm = make_arm(PIXELS, np.ones(PIXELS.size), error=np.ones(PIXELS.size), lsf=lsf)
    with jax.enable_x64(True):
        p = plan(Spectrum((arm,)), em, 10.0, max_vsini=30.0, max_vmac=10.0, max_scale=1.5)

        def f(x):
            return p.forward.observe(jnp.asarray(em.params["flux"])[None], *x)[0, :, 0] * p.used[0]

        x = jnp.asarray([12.0, 9.0, 4.0, 1.1, 0.8])
        jacobian = np.asarray(jax.jacfwd(f)(x))
        for i, h in enumerate((0.5, 0.3, 0.3, 0.02, 0.05)):
            step = jnp.zeros(5).at[i].set(h)
            # fourth-order differences: the flux itself is float32
            numeric = np.asarray(8 * (f(x + step) - f(x - step)) - (f(x + 2 * step) - f(x - 2 * step))) / (12 * h)
            np.testing.assert_allclose(jacobian[:, i], numeric, atol=2e-3 * np.abs(numeric).max() + 1e-6)


@pytest.mark.parametrize(("step", "resolution"), [(0.045, 25_000), (0.045, 75_000), (0.01, 47_000), (0.12, 10_000)])
def test_independent_errors_of_the_emulator_count_as_what_they_do_to_a_line(step, resolution):
    """A line that is wider than the LSF has the scatter that a variance per pixel says, however dense the pixels are.

    The kernel alone, and its square, do not pass: 25,000 and 47,000 are where they fail.
    """
    wave = np.arange(4975.0, 5025.0, step)
    arm = make_arm(wave, np.ones(wave.size), error=np.ones(wave.size), lsf=GaussianLSF(wave / resolution))
    noise = np.random.default_rng(0).normal(size=(400, WAVE.size))
    with jax.enable_x64(True):
        p = plan(Spectrum((arm,)), emulator(), 0.0)
        at = [jnp.asarray(x) for x in (0.0, 0.0, 0.0, 1.0, 1.0)]
        seen = np.asarray(p.forward.observe(jnp.asarray(noise), *at))[0]
    template = np.where(p.used[0], np.exp(-0.5 * (km(wave) / 60.0) ** 2), 0.0)
    scatter = np.std(template @ seen / np.sum(template**2))
    variance = float(np.median(p.forward.independent[0][p.used[0]]))
    told = np.sqrt(variance / np.sum(template**2))
    assert 0.9 < told / scatter < 1.3
    if resolution == 47_000:
        assert told / np.sqrt(variance) < 0.7 * scatter, "with the kernel"
    if resolution == 25_000:
        squares = np.mean(np.var(seen[p.used[0]], axis=1))
        assert np.sqrt(squares / np.sum(template**2)) < 0.7 * scatter, "with its square"
