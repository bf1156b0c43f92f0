"""APOGEE formats: detectors, masks by name, visits, velocities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bayne import ReadError, load_instrument, read_spectrum
from surveys import examples


def test_the_detectors_are_sorted_and_named(tmp_path: Path) -> None:
    spectrum = read_spectrum(examples.apvisit(tmp_path))
    assert [arm.name for arm in spectrum.arms] == ["blue", "green", "red"]
    assert [arm.wavelength[0] for arm in spectrum.arms] == [15145.0, 15858.0, 16474.0]
    assert spectrum.arms[0].lsf.fwhm == pytest.approx(spectrum.arms[0].wavelength / 22500)


def test_a_visit_is_topocentric_with_its_barycentric_correction(tmp_path: Path) -> None:
    spectrum = read_spectrum(examples.apvisit(tmp_path))
    header = spectrum.provenance["header"]
    assert spectrum.frame == "observed"
    assert header["VRAD"] + spectrum.bary_kms == pytest.approx(header["VHELIO"], abs=0.05)
    assert spectrum.id == "2M00000000+0000000-5095-55844-128"
    assert spectrum.star_id == "2M00000000+0000000"


def test_mask_bits_act_by_name(tmp_path: Path) -> None:
    bits = load_instrument("apogee").mask_bits
    mask = np.zeros((3, 400), np.int16)
    mask[0, 10] = 1 << bits["BADPIX"]
    mask[0, 11] = 1 << bits["SIG_SKYLINE"]
    mask[0, 12] = 1 << bits["PERSIST_LOW"] | 1 << bits["LITTROW_GHOST"] | 1 << bits["SIG_TELLURIC"]
    mask[0, 13] = 1 << bits["NOT_ENOUGH_PSF"] | 1 << bits["BADPIX"]
    spectrum = read_spectrum(examples.apvisit(tmp_path, mask=mask))
    # row 0 is the red detector, stored from the red end
    red = spectrum.arms[2]
    assert np.flatnonzero(red.mask[::-1]).tolist() == [10, 11, 13]
    assert spectrum.counts == {"BADPIX": 2, "SIG_SKYLINE": 1, "NOT_ENOUGH_PSF": 1}


def test_a_visit_without_a_correction_says_so(tmp_path: Path) -> None:
    from astropy.io import fits

    path = examples.apvisit(tmp_path)
    with fits.open(path, mode="update") as hdus:
        del hdus[0].header["BC"]
    assert read_spectrum(path).bary_kms is None


@pytest.mark.parametrize(("visit", "row"), [(None, 0), ("global", 1), (1, 2), (3, 4)])
def test_every_row_of_apstar_is_reachable(tmp_path: Path, visit: int | str | None, row: int) -> None:
    spectrum = read_spectrum(examples.apstar(tmp_path), visit=visit)
    assert np.median(spectrum.arms[1].flux) == pytest.approx(100.0 * (row + 1))
    assert spectrum.frame == "rest"
    assert spectrum.id.endswith(f"visit-{visit}") == (visit is not None)
    assert spectrum.star_id == "2M00000000+0000000"
    if isinstance(visit, int):
        assert spectrum.provenance["header"][f"VHELIO{visit}"] == 12.0 + visit - 1


@pytest.mark.parametrize("visit", [0, 4, -1, "combined"])
def test_a_visit_that_is_not_there(tmp_path: Path, visit: int | str) -> None:
    with pytest.raises(ReadError, match="visits 1 to 3, and 'global'"):
        read_spectrum(examples.apstar(tmp_path), visit=visit)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_star_with_one_visit(tmp_path: Path, rows: int) -> None:
    """DR17 has files with an empty second row."""
    path = examples.apstar(tmp_path, visits=1, rows=rows)
    combined, only = read_spectrum(path), read_spectrum(path, visit=1)
    assert np.array_equal(combined.arms[1].flux, only.arms[1].flux)
    assert combined.id != only.id
    with pytest.raises(ReadError, match=r"visits 1 to 1$"):
        read_spectrum(path, visit="global")


def test_the_gaps_between_detectors_are_left_out(tmp_path: Path) -> None:
    for path in (examples.apstar(tmp_path), examples.aspcapstar(tmp_path)):
        spectrum = read_spectrum(path)
        edges = [round(float(edge)) for arm in spectrum.arms for edge in arm.wavelength[[0, -1]]]
        assert edges == [15145, 15810, 15858, 16433, 16474, 16953]
        assert spectrum.counts == {}


def test_the_cut_follows_the_velocity_of_the_star(tmp_path: Path) -> None:
    # the rest frame moves the gaps by 21 Å at 400 km/s
    shift = 1 + 400 / 299792.458

    def moved(wave: np.ndarray) -> np.ndarray:
        return original(wave * shift)

    original = examples.on_chips
    examples.on_chips = moved
    try:
        path = examples.apstar(tmp_path)
    finally:
        examples.on_chips = original
    edges = np.array([arm.wavelength[[0, -1]] for arm in read_spectrum(path).arms])
    assert edges * shift == pytest.approx(np.array([[15145, 15810], [15858, 16433], [16474, 16953]]), abs=0.5)


def test_apstar_mask_and_wavelengths(tmp_path: Path) -> None:
    mask = np.zeros((5, 8575), np.int16)
    mask[2, 4000] = 1 << 12
    spectrum = read_spectrum(examples.apstar(tmp_path, mask=mask), visit=1)
    assert spectrum.counts == {"SIG_SKYLINE": 1}
    arm = next(arm for arm in spectrum.arms if arm.mask.any())
    # the published start of the grid is 15100.802 Å
    assert arm.wavelength[arm.mask] == pytest.approx(15100.8016 * 10 ** (6e-6 * 4000), rel=1e-7)


def test_normalised_formats_say_so(tmp_path: Path) -> None:
    assert read_spectrum(examples.aspcapstar(tmp_path)).normalized
    assert read_spectrum(examples.apogee_npz(tmp_path)).normalized
    assert not read_spectrum(examples.apvisit(tmp_path)).normalized


def test_npz_errors_of_one_or_more_mean_masked(tmp_path: Path) -> None:
    def edit(flux: np.ndarray, error: np.ndarray) -> None:
        error[[100, 200]] = 1.0
        error[300] = 50.0
        error[400] = 0.999

    assert read_spectrum(examples.apogee_npz(tmp_path, edit)).counts == {"masked": 3}


def test_npz_arms_end_where_the_wavelengths_jump(tmp_path: Path) -> None:
    wave = examples.apogee_grid()[examples.on_chips(examples.apogee_grid())]

    def edit(flux: np.ndarray, error: np.ndarray) -> None:
        # a dead pixel near a gap is no gap
        flux[np.searchsorted(wave, 15790.0)] = 0.0

    spectrum = read_spectrum(examples.apogee_npz(tmp_path, edit))
    edges = [round(float(edge)) for arm in spectrum.arms for edge in arm.wavelength[[0, -1]]]
    assert edges == [15145, 15810, 15858, 16433, 16474, 16953]
    assert spectrum.counts == {"no data": 1}


def test_npz_wavelengths_are_found_or_named(tmp_path: Path) -> None:
    path = examples.apogee_npz(tmp_path)
    grid = tmp_path / "binspec_apogee_wavelength.npz"
    elsewhere = tmp_path / "grid.npz"
    grid.rename(elsewhere)
    with pytest.raises(ReadError, match="wavelength="):
        read_spectrum(path)
    named = read_spectrum(path, wavelength=elsewhere)
    spectra, networks = tmp_path / "spectra", tmp_path / "networks"
    spectra.mkdir()
    networks.mkdir()
    path.rename(spectra / path.name)
    elsewhere.rename(networks / grid.name)
    assert np.array_equal(read_spectrum(spectra / path.name).arms[0].flux, named.arms[0].flux)


def test_npz_on_other_pixels_is_refused(tmp_path: Path) -> None:
    path = examples.apogee_npz(tmp_path)
    np.savez(tmp_path / "short.npz", wavelength=np.arange(15200.0, 15300.0))
    with pytest.raises(ReadError, match="differ in shape"):
        read_spectrum(path, wavelength=tmp_path / "short.npz")
    with pytest.raises(ReadError, match="no such file"):
        read_spectrum(path, wavelength=tmp_path / "none.npz")


def test_npz_runs_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    np.savez(path, spectrum=np.array([print], dtype=object), spec_err=np.ones(1))
    with pytest.raises(ReadError, match="evil"):
        read_spectrum(path, wavelength=path)
