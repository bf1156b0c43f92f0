"""Opacity of metal lines against a plain sum of SciPy's Voigt functions, written anew here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import gamma as gamma_function
from scipy.special import wofz

from bayne.errors import BayneError
from bayne.precision import double
from bayne.synthesis import line_layout
from bayne.synthesis import line_opacity as module
from bayne.synthesis.gas import SPECIES, Gas, row
from bayne.synthesis.line_layout import line_data, prepare
from bayne.synthesis.line_opacity import line_cutoff
from bayne.synthesis.species import parse_species
from bayne.synthesis.transitions import LineList

line_opacity = jax.jit(module.line_opacity)
KMS = 299792.458
FE, TI, CN = (parse_species(name) for name in ("Fe I", "Ti II", "CN"))


def gas():
    """Four layers like those of the Sun, with a partition function of 30 for all."""
    temperature = np.array([4500.0, 5200.0, 6300.0, 8000.0])
    numbers = np.zeros((len(SPECIES), 4))
    for name, share in {"H I": 1.0, "He I": 0.085, "H2": 1e-5, "Fe I": 1e-6, "Ti II": 8e-8, "CN": 1e-9}.items():
        numbers[row(parse_species(name))] = share * np.array([1e16, 5e16, 1.2e17, 1.5e17])
    electrons = np.array([1e12, 6e12, 6e13, 5e15])
    return Gas(*(jnp.asarray(x) for x in (temperature, temperature, electrons, temperature, numbers, 30 + 0 * numbers)))


def lines(wavelength, species=FE, log_gf=-1.0, energy=3.0, rad=1e8, stark=1e-6, sigma=300.0, alpha=0.25, vdw=0.0):
    """A line list; numbers are broadcast, `species` is one or one for each line."""
    wavelength = np.atleast_1d(np.asarray(wavelength, dtype=float))
    each = list(species) if isinstance(species, list) else [species] * wavelength.size
    kinds = tuple(sorted(set(each)))
    columns = (
        np.broadcast_to(np.asarray(x, dtype=float), wavelength.shape) for x in (log_gf, energy, rad, stark, sigma)
    )
    log_gf, energy, rad, stark, sigma = columns
    return LineList(
        wavelength=wavelength,
        species=kinds,
        kind=np.array([kinds.index(one) for one in each], dtype=int),
        isotopes=((0,),),
        isotope=np.zeros(wavelength.size, dtype=int),
        log_gf=log_gf,
        energy=energy,
        gamma_rad=rad,
        gamma_stark=stark,
        vdw_sigma=sigma,
        vdw_alpha=np.where(sigma > 0, alpha, 0.0),
        gamma_vdw=np.where(sigma > 0, 0.0, np.broadcast_to(vdw, wavelength.shape)),
    )


def grid(low, high, step=0.75):
    return np.exp(np.arange(np.log(low), np.log(high), step / KMS))


def plain(linelist, one, vmic, wave, reach):
    """(w, d) cm^-1, in frequency, everything from scratch."""
    one = Gas(*(np.asarray(x) for x in one))
    k, unit, c = 1.380649e-16, 1.66053907e-24, 2.99792458e10
    density = {name: one.numbers[row(parse_species(name))] for name in ("H I", "He I", "H2")}
    perturbers = density["H I"] + 0.4125 * density["He I"] + 0.8746 * density["H2"]
    total = np.zeros((wave.size, one.temperature.size))
    for i in range(len(linelist)):
        species, t = linelist.species[linelist.kind[i]], one.temperature
        mass = species.mass * unit
        centre = c / (linelist.wavelength[i] * 1e-8)
        width = centre / c * np.sqrt(2 * k * t / mass + (vmic * 1e5) ** 2)
        if linelist.vdw_sigma[i] > 0:
            alpha = linelist.vdw_alpha[i]
            speed = np.sqrt(8 * k * t / np.pi * (1 / mass + 1 / (1.008 * unit)))
            cross_section = linelist.vdw_sigma[i] * 5.29177211e-9**2 * (speed / 1e6) ** -alpha
            vdw = 2 * (4 / np.pi) ** (alpha / 2) * gamma_function(2 - alpha / 2) * speed * cross_section
        else:
            vdw = linelist.gamma_vdw[i] * (t / 1e4) ** 0.3
        damping = (
            linelist.gamma_rad[i] + linelist.gamma_stark[i] * one.electrons * (t / 1e4) ** (1 / 6) + vdw * perturbers
        )
        index = row(species)
        lower = one.numbers[index] / one.partition[index] * np.exp(-linelist.energy[i] * 1.602176634e-12 / (k * t))
        strength = 0.02654 * 10 ** linelist.log_gf[i] * lower * -np.expm1(-6.62607015e-27 * centre / (k * t))
        near = np.abs(np.log(wave / linelist.wavelength[i])) * KMS <= reach
        z = ((c / (wave[near, None] * 1e-8) - centre) + 1j * damping / (4 * np.pi)) / width
        total[near] += strength * wofz(z).real / (np.sqrt(np.pi) * width)
    return total


@double
@pytest.mark.parametrize(("sigma", "vdw"), [(300.0, 0.0), (0.0, 3e-8)])
def test_one_line_out_to_its_wings(sigma, vdw):
    wave = grid(4995, 5005)
    one = lines(5000.0, sigma=sigma, vdw=vdw)
    found = np.asarray(line_opacity(gas(), prepare(one, wave, np.array([250.0])), 1.2, wave))
    exact = plain(one, gas(), 1.2, wave, 250.0)
    # The layer of 8000 K is far below what is seen: damping is more than twice the Doppler width.
    np.testing.assert_allclose(found[:, :3], exact[:, :3], rtol=2e-3, atol=1e-6 * exact.max())
    np.testing.assert_allclose(found[:, 3], exact[:, 3], rtol=2e-2, atol=1e-6 * exact.max())


@double
def test_a_line_integrates_to_its_oscillator_strength():
    wave = grid(4990, 5010, 0.25)
    found = np.asarray(line_opacity(gas(), prepare(lines(5000.0), wave, np.array([1e4])), 1.0, wave))
    t = np.array([4500.0, 5200.0, 6300.0])
    lower = np.asarray(gas().numbers)[row(FE), :3] / 30 * np.exp(-3.0 / (8.617333e-5 * t))
    exact = 0.02654 * 0.1 * lower * -np.expm1(-1.438776877e8 / (5000 * t))
    integral = np.trapezoid(found[:, :3] * 2.99792458e18 / wave[:, None] ** 2, wave, axis=0)
    np.testing.assert_allclose(integral, exact, rtol=3e-3)


def crowd(count, reach=(0.0, 0.4, 1.0, 3.0, 6.0, 10.0, 50.0, 400.0), seed=0):
    """Lines of three species, weak and strong, from 4998 to 5012 Å, and how far they reach."""
    random = np.random.default_rng(seed)
    species = [(FE, TI, CN)[i] for i in random.integers(0, 3, count)]
    wavelength = np.sort(random.uniform(4998, 5012, count))
    reach = random.choice(reach, count)
    some = lines(
        wavelength,
        species,
        random.uniform(-5, 0, count),
        random.uniform(0, 5, count),
        sigma=random.choice([0.0, 300.0], count),
        vdw=2e-8,
    )
    return some, reach


@double
def test_many_lines_are_the_sum_of_each():
    wave, (some, reach) = grid(5000, 5010), crowd(200)
    laid = prepare(some, wave, reach, vmic=1.5)
    assert [cores.offset.size for cores in laid.cores] == [8, 16, 32, 64]
    found = np.asarray(line_opacity(gas(), laid, 1.0, wave))
    exact = plain(some, gas(), 1.0, wave, np.inf) * 0
    for i in range(len(some)):
        exact += plain(some.select([i]), gas(), 1.0, wave, reach[i])
    scale = exact.max(axis=0)
    np.testing.assert_allclose(found[:, :3] / scale[:3], exact[:, :3] / scale[:3], rtol=2e-3, atol=2e-6)
    np.testing.assert_allclose(found[:, 3], exact[:, 3], rtol=0.05, atol=1e-4 * scale[3])


@double
def test_a_part_of_the_grid_has_the_same_opacity():
    """Nothing depends on where blocks and windows begin."""
    wave, (some, reach) = grid(5000, 5010), crowd(200)
    part = wave[101:707]
    whole = line_opacity(gas(), prepare(some, wave, reach), 1.0, wave)
    np.testing.assert_allclose(line_opacity(gas(), prepare(some, part, reach), 1.0, part), whole[101:707], rtol=1e-7)


@double
def test_a_species_of_many_lines_is_convolved_to_the_same(monkeypatch):
    """As weak lines of molecules are: with one damping for all, which is small."""
    random = np.random.default_rng(1)
    wave = grid(5000, 5010)
    some = lines(np.sort(random.uniform(4999, 5011, 400)), CN, random.uniform(-4, 0, 400), 1.0, 2e7, 0.0, 0.0)
    reach = random.choice([8.0, 12.0, 100.0], 400)
    each = prepare(some, wave, reach)
    monkeypatch.setattr(line_layout, "CROWDED", 100)
    together = prepare(some, wave, reach)
    assert [len(laid.blends) for laid in (each, together)] == [0, 1]
    for vmic in (0.8, 2.0):
        exact = np.asarray(line_opacity(gas(), each, vmic, wave))
        np.testing.assert_allclose(line_opacity(gas(), together, vmic, wave), exact, rtol=0, atol=2e-3 * exact.max())


@double
def test_opacity_beside_narrow_lines_of_a_crowded_species_is_not_negative(monkeypatch):
    monkeypatch.setattr(line_layout, "CROWDED", 1)
    wave = grid(5000, 5010)
    some = lines([5003.0, 5007.0], CN, 3.0, 1.0, 1e3, 0.0, 0.0)
    laid = prepare(some, wave, np.array([30.0, 30.0]))
    assert len(laid.blends) == 1
    found = np.asarray(line_opacity(gas(), laid, 0.0, wave))
    assert found.max() > 0
    assert found.min() >= 0


@double
def test_wings_are_positive_however_strong_the_damping():
    wave = grid(4990, 5010)
    one = lines(5000.0, rad=1e13)  # a = 300
    found = np.asarray(line_opacity(gas(), prepare(one, wave, np.array([500.0])), 1.0, wave))
    exact = plain(one, gas(), 1.0, wave, 500.0)
    assert np.all(found >= 0)
    np.testing.assert_allclose(found[exact > 0], exact[exact > 0], rtol=1.0)


@double
def test_no_lines_no_opacity():
    wave = grid(5000, 5010)
    for some, reach in ((lines(np.zeros(0)), np.zeros(0)), (lines(5005.0), np.zeros(1)), (lines(6000.0), np.ones(1))):
        found = line_opacity(gas(), prepare(some, wave, reach), 1.0, wave)
        assert found.shape == (wave.size, 4)
        assert float(jnp.max(jnp.abs(found))) == 0.0


@double
def test_reach_is_where_the_line_falls_to_the_threshold_of_the_continuum():
    one, log_tau = gas(), jnp.array([-3.0, -1.5, 0.0, 1.5])
    strong = lines([5000.0, 5000.0, 5000.0], log_gf=[0.0, -2.0, -14.0], energy=1.0)
    continuum = 1e-9 * jnp.array([0.03, 0.2, 1.0, 30.0]) * jnp.ones((3, 1))
    reach = np.asarray(line_cutoff(one, line_data(strong), 1.0, continuum, log_tau, 1e-3))
    assert reach[0] > reach[1] > 0.0
    assert reach[2] == 0.0
    wave = 5000 * np.exp(np.array([0.0, reach[0] / KMS]))
    ratio = plain(strong.select([0]), one, 1.0, wave, np.inf) / np.asarray(continuum[0])
    weight = 10.0**log_tau * np.exp(1 - 10.0**log_tau)
    assert np.max(ratio[1] * weight) == pytest.approx(1e-3, rel=0.1)


@double
def test_lines_below_the_floor_may_be_left_out_and_no_others():
    """Lines go in fours, the strong first: four that show, four that show nowhere."""
    wave = grid(5000, 5010)
    both = lines(np.linspace(5001, 5009, 8), log_gf=np.repeat([-1.0, -7.0], 4))
    strong = both.select(np.arange(4))
    laid, alone = (prepare(some, wave, np.repeat([30.0, 5.0], 4)[: len(some)]) for some in (both, strong))
    whole, expected = line_opacity(gas(), laid, 1.0, wave), line_opacity(gas(), alone, 1.0, wave)
    weak = np.asarray(whole - expected).max(axis=0)
    assert np.all(weak > 0)
    # the weak reach no further than their cores: wings are computed for all
    np.testing.assert_allclose(line_opacity(gas(), laid, 1.0, wave, 3 * weak), expected, rtol=1e-12)
    np.testing.assert_allclose(line_opacity(gas(), laid, 1.0, wave, weak / 3), whole, rtol=1e-12)


@double
def test_derivatives_are_those_of_finite_differences(monkeypatch):
    """By temperature, all densities and microturbulence, through cores, wings and blends."""
    monkeypatch.setattr(line_layout, "CROWDED", 30)
    wave, (some, reach) = grid(5000, 5003), crowd(60, (2.5, 400.0))
    more = lines(np.linspace(5000, 5003, 40), CN, -2.0)
    laid = [prepare(some, wave, reach), prepare(more, wave, np.full(40, 10.0))]
    assert laid[1].blends
    assert laid[0].wings.line.size

    def opacity(x):
        one = gas()
        one = one._replace(
            temperature=x[0] * one.temperature, electrons=x[1] * one.electrons, numbers=x[2] * one.numbers
        )
        return sum(line_opacity(one, each, x[3], wave) for each in laid)

    at = jnp.ones(4)
    opacity = jax.jit(opacity)
    forward, backward = (
        np.asarray(jax.jit(jacobian(lambda x: opacity(x)[::37]))(at)) for jacobian in (jax.jacfwd, jax.jacrev)
    )
    np.testing.assert_allclose(forward, backward, rtol=1e-7, atol=1e-12 * np.abs(forward).max())
    for i in range(4):
        # Large enough that the joint of the two formulae for the Voigt function, 1e-6, does not count.
        step = 1e-3 * jnp.eye(4)[i]
        numeric = np.asarray((opacity(at + step) - opacity(at - step)) / 2e-3)[::37]
        np.testing.assert_allclose(forward[..., i], numeric, rtol=2e-3, atol=1e-4 * np.abs(numeric).max())


@double
def test_many_stars_at_once_are_each_what_one_is():
    wave, (some, reach) = grid(5000, 5003), crowd(60, (2.5, 400.0))
    laid = prepare(some, wave, reach)
    stars = [gas(), gas()._replace(temperature=0.9 * gas().temperature)]
    both = jax.tree.map(lambda *x: jnp.stack(x), *stars)
    many = jax.jit(jax.vmap(lambda one, vmic: module.line_opacity(one, laid, vmic, wave)))(both, jnp.array([1.0, 1.5]))
    np.testing.assert_allclose(many[1], line_opacity(stars[1], laid, 1.5, wave), rtol=1e-10)


def test_unknown_species_are_named():
    one = lines([5000.0, 5001.0], [FE, parse_species("YO")])
    with pytest.raises(BayneError, match=r"no YO, of which the line list has lines.*linelist\.of"):
        prepare(one, grid(5000, 5010))


def test_what_prepare_refuses():
    one = lines(5005.0)
    with pytest.raises(BayneError, match="equal steps in ln λ"):
        prepare(one, np.linspace(5000, 5500, 1000))
    with pytest.raises(BayneError, match="equal steps in ln λ; lay lines out for one window"):
        prepare(one, np.concatenate([grid(5000, 5010), grid(6000, 6010)]))
    with pytest.raises(BayneError, match="at least two pixels"):
        prepare(one, np.array([5000.0]))
    for reach in (np.ones(2), np.array([-1.0]), np.array([np.nan])):
        with pytest.raises(BayneError, match="one distance in km/s, 0 or more, for each of the 1 lines"):
            prepare(one, grid(5000, 5010), reach)
