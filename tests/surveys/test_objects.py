"""specutils objects as spectra."""

from __future__ import annotations

import numpy as np
import pytest
import specutils
from astropy import units as u
from astropy.nddata import InverseVariance, StdDevUncertainty, UnknownUncertainty, VarianceUncertainty

from bayne import BayneError
from bayne.surveys import from_specutils
from surveys import examples

WAVE = 5000.0 + 0.1 * np.arange(500)
UNIT = u.Unit("erg / (s cm2 AA)")


def spectrum(**options: object) -> specutils.Spectrum:
    """A star in vacuum, S/N 50."""
    flux, error = examples.star(WAVE)
    given: dict[str, object] = {
        "flux": flux * UNIT,
        "spectral_axis": WAVE * u.AA,
        "uncertainty": StdDevUncertainty(error),
        "meta": {"medium": "vacuum"},
    }
    return specutils.Spectrum(**(given | options))


@pytest.mark.parametrize("unit", [u.AA, u.nm, u.um, u.THz, u.eV, 1 / u.cm])
def test_any_spectral_axis(unit: u.UnitBase) -> None:
    axis = (WAVE * u.AA).to(unit, equivalencies=u.spectral())
    result = from_specutils(spectrum(spectral_axis=axis))
    assert result.arms[0].wavelength == pytest.approx(WAVE, rel=1e-10)
    assert result.arms[0].flux == pytest.approx(examples.star(WAVE)[0])


def test_an_increasing_frequency_is_turned_with_its_flux() -> None:
    flux, _ = examples.star(WAVE)
    flux[:100] = 7.0
    axis = (WAVE * u.AA).to(u.THz, equivalencies=u.spectral())[::-1]
    result = from_specutils(spectrum(spectral_axis=axis, flux=flux[::-1] * UNIT))
    assert result.arms[0].wavelength == pytest.approx(WAVE, rel=1e-10)
    assert result.arms[0].flux == pytest.approx(flux)


@pytest.mark.parametrize(
    "uncertainty",
    [
        StdDevUncertainty(np.full(500, 2.0)),
        VarianceUncertainty(np.full(500, 4.0)),
        InverseVariance(np.full(500, 0.25)),
        StdDevUncertainty(np.full(500, 2.0), unit=UNIT),
    ],
)
def test_any_uncertainty(uncertainty: object) -> None:
    assert from_specutils(spectrum(uncertainty=uncertainty)).arms[0].ivar == pytest.approx(np.full(500, 0.25))


def test_mask_and_no_uncertainty() -> None:
    mask = np.zeros(500, bool)
    mask[3] = True
    result = from_specutils(spectrum(mask=mask, uncertainty=None))
    assert result.arms[0].ivar is None
    assert np.flatnonzero(result.arms[0].mask).tolist() == [3]
    assert result.counts == {"masked": 1}


def test_the_medium_is_stated_or_given() -> None:
    with pytest.raises(BayneError, match="say medium='air' or 'vacuum'"):
        from_specutils(spectrum(meta={}))
    assert from_specutils(spectrum(meta={}), medium="air").arms[0].wavelength[0] > 5001
    assert from_specutils(spectrum(), medium="air").arms[0].wavelength[0] > 5001


def test_metadata() -> None:
    meta = {
        "medium": "vacuum",
        "frame": "observed",
        "bary_kms": 12.0 * u.km / u.s,
        "id": "a",
        "star_id": "b",
        "instrument": "uves",
        "normalized": True,
    }
    result = from_specutils(spectrum(meta=meta))
    assert (result.frame, result.bary_kms, result.id, result.star_id) == ("observed", 12.0, "a", "b")
    assert result.normalized
    assert result.arms[0].lsf is not None
    assert from_specutils(spectrum(meta=meta), frame="rest").frame == "rest"


def test_a_list_is_one_arm_per_element() -> None:
    parts = [
        spectrum(meta={"medium": "air", "arm": "first"}),
        spectrum(spectral_axis=(WAVE + 30) * u.AA),
    ]
    result = from_specutils(specutils.SpectrumList(parts))
    assert [arm.name for arm in result.arms] == ["first", "1"]
    assert result.arms[0].wavelength[0] > 5001
    assert result.arms[1].wavelength[0] == 5030


def test_inputs_stay_as_they_are() -> None:
    given = spectrum()
    flux, error = given.flux.value.copy(), given.uncertainty.array.copy()
    result = from_specutils(given)
    result.arms[0].flux[:] = 0
    result.arms[0].ivar[:] = 0
    assert np.array_equal(given.flux.value, flux)
    assert np.array_equal(given.uncertainty.array, error)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5.0, "a float is no spectrum"),
        ("star.fits", "a str is no spectrum"),
        ([], "is empty"),
        ([1, 2], "holds a int"),
    ],
)
def test_other_objects_are_refused(given: object, message: str) -> None:
    with pytest.raises(BayneError, match=message):
        from_specutils(given)


def test_spectra_that_cannot_be_used() -> None:
    with pytest.raises(BayneError, match="is no unit of wavelength"):
        from_specutils(spectrum(spectral_axis=np.arange(500.0) * u.km / u.s, velocity_convention="optical"))
    with pytest.raises(BayneError, match="one-dimensional"):
        from_specutils(spectrum(flux=np.ones((2, 500)) * UNIT, uncertainty=None))
    with pytest.raises(BayneError, match="UnknownUncertainty"):
        from_specutils(spectrum(uncertainty=UnknownUncertainty(np.ones(500))))
