"""Air and vacuum, arms, spectra."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from astropy import units
from astropy import units as u
from scipy.sparse import dia_matrix
from specutils.utils.wcs_utils import vac_to_air

from bayne import BayneError
from bayne.lsf import BandedLSF, GaussianLSF
from bayne.spectrum import Arm, Spectrum, make_arm
from bayne.wavelength import air_to_vacuum, to_vacuum, vacuum_to_air

WAVE = np.linspace(5000.0, 5010.0, 11)

#: Air and vacuum wavelengths (Å) of the SDSS table of lines (Vanden Berk et al. 2001; conversion of Morton 1991,
#: ApJS 77, 119): [O II], H beta, [O III], Na D2, H alpha, Ca II.
LINES = np.array(
    [
        (3728.815, 3729.875),
        (4861.325, 4862.683),
        (5006.843, 5008.240),
        (5889.951, 5891.583),
        (6562.80, 6564.61),
        (8542.09, 8544.44),
    ]
)


def arm(**changes: Any) -> Arm:
    given = {"wavelength": WAVE, "flux": np.ones(11), "ivar": np.ones(11), "mask": np.zeros(11, bool)}
    return Arm(**(given | changes))


def test_published_lines() -> None:
    air, vacuum = LINES.T
    assert vacuum_to_air(vacuum) == pytest.approx(air, abs=0.006)
    assert air_to_vacuum(air) == pytest.approx(vacuum, abs=0.006)


def test_the_formula_is_that_of_ciddor_in_specutils() -> None:
    vacuum = np.linspace(2300.0, 17000.0, 200)
    other = vac_to_air(vacuum * u.AA, method="Ciddor1996").to_value(u.AA)
    assert vacuum_to_air(vacuum) == pytest.approx(other, rel=1e-12)


def test_air_to_vacuum_is_the_inverse_and_both_rise() -> None:
    vacuum = np.linspace(2001.0, 25000.0, 5001)
    air = vacuum_to_air(vacuum)
    assert np.all(np.diff(air) > 0)
    assert air_to_vacuum(air) == pytest.approx(vacuum, rel=1e-12)
    assert 299792.458 * (vacuum / air - 1)[vacuum > 4000] == pytest.approx(82.5, abs=2.5)


@pytest.mark.parametrize("wavelength", [500.0, 0.5, 1999.0])
def test_wavelengths_without_air_are_refused(wavelength: float) -> None:
    with pytest.raises(BayneError, match="from 2000 Å; are these in nm or µm, or vacuum"):
        vacuum_to_air(wavelength)
    with pytest.raises(BayneError, match="from 2000 Å"):
        air_to_vacuum(wavelength)


def test_to_vacuum_by_name() -> None:
    assert np.array_equal(to_vacuum(WAVE, "vacuum"), WAVE)
    assert np.array_equal(to_vacuum(WAVE, "air"), air_to_vacuum(WAVE))
    with pytest.raises(BayneError, match="say 'vacuum' or 'air'"):
        to_vacuum(WAVE, "water")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flux": np.ones(10)}, r"flux has shape \(10,\), wavelength has \(11,\)"),
        ({"mask": np.zeros(3, bool)}, "mask has shape"),
        ({"wavelength": WAVE[:1], "flux": WAVE[:1], "ivar": None, "mask": np.zeros(1, bool)}, "at least two pixels"),
        ({"wavelength": WAVE - 5000}, "finite and positive"),
        ({"wavelength": np.where(WAVE > 5005, np.nan, WAVE)}, "finite and positive"),
        ({"wavelength": np.where(WAVE > 5005, 5001.0, WAVE)}, "does not increase at pixel 6"),
    ],
)
def test_arms_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BayneError, match=f"arm '0': .*{message}"):
        arm(**changes)


def test_good_pixels() -> None:
    flux, ivar, mask = np.ones(11), np.ones(11), np.zeros(11, bool)
    flux[1], ivar[2], mask[3] = np.nan, 0.0, True
    assert np.flatnonzero(~arm(flux=flux, ivar=ivar, mask=mask).good).tolist() == [1, 2, 3]
    assert np.flatnonzero(~arm(flux=flux, ivar=None, mask=mask).good).tolist() == [1, 3]


def test_make_arm_masks_what_means_nothing() -> None:
    flux, error = np.ones(11), np.full(11, 0.5)
    flux[0], flux[1] = np.nan, np.inf
    error[2:7] = [0.0, -1.0, np.nan, np.inf, 1e-300]
    made = make_arm(WAVE, flux, error=error)
    assert np.flatnonzero(made.mask).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.all(np.isfinite(made.flux))
    assert np.all(made.ivar[2:7] == 0)
    assert np.all(made.ivar[7:] == 4.0)
    weights = make_arm(WAVE, np.ones(11), ivar=np.where(WAVE > 5005, -1.0, 4.0))
    assert np.array_equal(weights.mask, WAVE > 5005)


def test_make_arm_copies_and_converts() -> None:
    flux, error, mask = np.ones(11, ">f4"), np.ones(11), np.zeros(11, int)
    made = make_arm(WAVE, flux, error=error, mask=mask, medium="air")
    assert made.flux.dtype == np.dtype(float)
    assert made.wavelength == pytest.approx(air_to_vacuum(WAVE))
    for array in (made.wavelength, made.flux, made.ivar, made.mask):
        array[:] = 0
    assert WAVE[0] == 5000
    assert flux[0] == error[0] == 1
    with pytest.raises(BayneError, match="error or ivar, not both"):
        make_arm(WAVE, flux, error=error, ivar=error)


def test_decreasing_wavelengths_are_turned_with_all_that_belongs_to_them() -> None:
    ramp = np.arange(11.0)
    made = make_arm(WAVE[::-1], ramp, ivar=ramp + 1, mask=ramp == 0, lsf=GaussianLSF(ramp + 0.1, 0.2))
    assert np.array_equal(made.wavelength, WAVE)
    assert np.array_equal(made.flux, ramp[::-1])
    assert np.array_equal(made.ivar, ramp[::-1] + 1)
    assert np.flatnonzero(made.mask).tolist() == [10]
    assert isinstance(made.lsf, GaussianLSF)
    assert np.array_equal(made.lsf.fwhm, ramp[::-1] + 0.1)
    assert made.lsf.scale_sigma == 0.2


def test_a_matrix_is_turned_as_a_matrix() -> None:
    rng = np.random.default_rng(0)
    offsets = np.arange(2, -3, -1)
    bands = rng.random((5, 11))
    dense = dia_matrix((bands, offsets), shape=(11, 11)).toarray()
    lsf = make_arm(WAVE[::-1], np.ones(11), lsf=BandedLSF(bands, offsets)).lsf
    assert isinstance(lsf, BandedLSF)
    assert np.array_equal(dia_matrix((lsf.bands, lsf.offsets), shape=(11, 11)).toarray(), dense[::-1, ::-1])


def test_spectra_that_cannot_be() -> None:
    with pytest.raises(BayneError, match="at least one arm"):
        Spectrum(())
    with pytest.raises(BayneError, match="say 'observed', 'barycentric' or 'rest'"):
        Spectrum((arm(),), frame="heliocentric")  # type: ignore[arg-type]
    with pytest.raises(BayneError, match="names must differ"):
        Spectrum((arm(), arm()))


def test_with_resolution_and_mask_leave_the_original_alone() -> None:
    spectrum = Spectrum((arm(name="a"), arm(name="b")))
    sharper = spectrum.with_resolution(20000)
    assert all(isinstance(a.lsf, GaussianLSF) and np.allclose(a.lsf.fwhm, WAVE / 20000) for a in sharper.arms)
    assert spectrum.arms[0].lsf is None
    masked = spectrum.with_mask([WAVE > 5005, np.zeros(11, bool)])
    assert (masked.n_good, spectrum.n_good) == (17, 22)
    with pytest.raises(BayneError, match="positive number"):
        spectrum.with_resolution(0)
    with pytest.raises(BayneError, match="2 arms need as many arrays, got 1"):
        spectrum.with_mask([WAVE > 5005])
    with pytest.raises(FrozenInstanceError):
        spectrum.id = "other"  # type: ignore[misc]


def test_the_hash_is_of_what_was_observed() -> None:
    def made(**changes: Any) -> Spectrum:
        lsf = GaussianLSF(np.full(11, 0.2))
        own = {key: changes.pop(key) for key in ("flux", "ivar", "mask", "lsf", "name") if key in changes}
        return Spectrum((arm(**({"lsf": lsf} | own)),), **changes)

    assert made().hash == made(id="another", provenance={"file": "x"}, star_id="y").hash
    flux, mask = np.ones(11), np.zeros(11, bool)
    flux[3], mask[3] = 1 + 1e-12, True
    others = (
        made(flux=flux), made(mask=mask), made(ivar=None), made(lsf=None), made(name="red"), made(frame="rest"),
        made(bary_kms=0.0), made(normalized=True), made(lsf=GaussianLSF(np.full(11, 0.2), scale_sigma=0.1)),
    )  # fmt: skip
    assert len({made().hash, *(other.hash for other in others)}) == 1 + len(others)


def test_lists_are_arrays_and_equal_spectra_are_equal() -> None:
    def made(**changes: Any) -> Spectrum:
        lists = {"wavelength": WAVE.tolist(), "flux": [1.0] * 11, "ivar": [4] * 11, "mask": [False] * 11}
        return Spectrum((Arm(**(lists | {"lsf": GaussianLSF([0.2] * 11)} | changes)),))  # type: ignore[arg-type]

    assert made().n_good == 11
    assert made().with_resolution(20_000).arms[0].lsf is not None
    assert made() == made()
    assert made(flux=[np.nan] * 11) == made(flux=[np.nan] * 11)
    assert made() != made(ivar=None)
    assert made() != made(flux=[2.0] * 11)
    assert made() != made(lsf=GaussianLSF(np.full(11, 0.3)))
    assert made() != "a spectrum"
    assert replace(made(), id="b") != made()


@pytest.mark.parametrize("name", ["blue/1", "", 3])
def test_names_that_no_file_can_have_are_refused(name: Any) -> None:
    with pytest.raises(BayneError, match=r"arm name .*: give text without '/'"):
        arm(name=name)


def test_gaps_filled_with_a_constant_are_masked_and_counted() -> None:
    wave, rng = np.linspace(5000, 5100, 2000), np.random.default_rng(0)
    flux, counts = 1 + 0.01 * rng.normal(size=2000), {}
    gap = np.zeros(2000, bool)
    for start, value in ((100, 0.0), (900, 1.0), (1500, 0.97)):
        gap[start : start + 200] = True
        flux[start : start + 200] = value
    flux[50:69] = 1.0  # less than one would take for a gap
    error = np.full(2000, 0.01)
    error[100:110] = 0.0
    made = make_arm(wave, flux, error=error, counts=counts)
    np.testing.assert_array_equal(made.mask, gap)
    assert counts == {"no information": 10, "filled gap": 590}
    assert make_arm(wave, np.ones(2000)).good.all(), "a spectrum of ones is what was asked for, as in a mock"


def test_from_arrays_converts_and_counts() -> None:
    wave, flux, error = np.linspace(480.0, 490.0, 500), np.ones(500), np.full(500, 0.5)
    flux[3], error[7] = np.nan, 0.0
    made = Spectrum.from_arrays(
        wave.tolist(), flux, error, medium="air", unit="NM", resolution=20_000, frame="barycentric", id="a", star_id="b"
    )
    (one,) = made.arms
    assert one.wavelength == pytest.approx(air_to_vacuum(10 * wave))
    assert isinstance(one.lsf, GaussianLSF)
    assert one.lsf.fwhm == pytest.approx(one.wavelength / 20_000)
    assert np.flatnonzero(one.mask).tolist() == [3, 7]
    assert made.counts == {"not finite": 1, "no information": 1}
    assert (made.frame, made.id, made.star_id, one.name) == ("barycentric", "a", "b", "0")
    assert made.provenance["hash"]
    assert Spectrum.from_arrays(wave * units.nm, flux, medium="air").arms[0].wavelength == pytest.approx(one.wavelength)


def test_from_arrays_makes_arms_of_several_arrays_and_of_orders_in_one() -> None:
    first, second = np.linspace(5000, 5100, 300), np.linspace(5080, 5180, 400)
    flux = [np.full(300, 1.0), np.full(400, 2.0)]
    made = Spectrum.from_arrays([first, second], flux, ivar=flux, medium="vacuum", names=["a", "b"])
    assert [(each.name, each.flux.size, each.flux[0]) for each in made.arms] == [("a", 300, 1.0), ("b", 400, 2.0)]
    together = Spectrum.from_arrays(np.concatenate([first, second]), np.concatenate(flux), medium="vacuum")
    assert [(each.name, each.flux.size, each.flux[0]) for each in together.arms] == [("0", 300, 1.0), ("1", 400, 2.0)]
    square = np.stack([first, first + 90])
    assert len(Spectrum.from_arrays(square, np.ones((2, 300)), medium="vacuum").arms) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flux": np.ones(10)}, "flux has shape .10,., wavelength has .500,."),
        ({"unit": "furlong"}, "unit 'furlong': say 'Angstrom', 'nm' or 'um'"),
        ({"unit": "nm"}, "not those of a stellar spectrum; is the unit right"),
        ({"wavelength": np.log10(np.linspace(5000, 5010, 500))}, "or are they logarithms"),
        ({"medium": "water"}, "say 'vacuum' or 'air'"),
        ({"ivar": np.ones(500), "error": np.ones(500)}, "error or ivar, not both"),
        ({"names": ["a", "b"]}, "2 names for 1 arms"),
        ({"names": ["a/b"]}, "without '/'"),
        ({"wavelength": np.random.default_rng(0).uniform(5000, 5010, 500)}, "sort them"),
        ({"wavelength": [np.linspace(5000, 5010, 500)]}, "flux has 500 arrays, wavelength has 1"),
        ({"resolution": -3}, "a positive number"),
    ],
)
def test_from_arrays_says_what_is_wrong(changes: dict[str, Any], words: str) -> None:
    good = {"wavelength": np.linspace(50_000, 50_100, 500), "flux": np.ones(500), "medium": "vacuum"}
    with pytest.raises(BayneError, match=words):
        Spectrum.from_arrays(**(good | changes))
