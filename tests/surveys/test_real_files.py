"""The readers on real files: lines lie where the headers say, masks and errors are those of the surveys.

Laboratory wavelengths are air wavelengths (Å) of the NIST Atomic Spectra Database.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from bayne import Spectrum, read_spectrum
from bayne.likelihoods.continuum import estimated_ivar
from bayne.spectrum import Arm
from bayne.wavelength import C_KMS, air_to_vacuum

#: Fe I, Ni I, Ca I lines without blends in cool stars, one or more in every HERMES arm.
HERMES_LINES = (4859.741, 5682.633, 5857.451, 6643.630, 6677.987, 6717.681, 7748.269, 7780.556)

#: What two columns of numbers do not say.
AIR, VACUUM = {"medium": "air", "unit": "A"}, {"medium": "vacuum", "unit": "Angstroms"}

#: Mg b, strong Fe I, Ca I.
OPTICAL_LINES = (5183.604, 5172.684, 4383.545, 5857.451, 6717.681)

#: Mg I, Si I, Fe I, Al I in the H band.
H_BAND_LINES = (15740.716, 15748.988, 15765.842, 15888.409, 15960.063, 15294.560, 16680.770)


def velocity(arm: Arm, line: float, guess: float) -> float:
    """Velocity (km/s) of the absorption line nearest to `guess`, by its centroid."""
    shift = C_KMS * (arm.wavelength / float(air_to_vacuum(line)) - 1)
    near = np.abs(shift - guess) < 30
    depth = np.clip(np.percentile(arm.flux[near], 90) - arm.flux[near], 0, None)
    shift = shift[near]
    core = np.abs(shift - shift[np.argmax(depth)]) < 15
    return float(np.sum(shift[core] * depth[core]) / np.sum(depth[core]))


def velocities(spectrum: Spectrum, lines: tuple[float, ...], guess: float) -> list[float]:
    """One velocity for every line and every arm that holds it."""
    return [
        velocity(arm, line, guess)
        for line in lines
        for arm in spectrum.arms
        if arm.wavelength[0] + 2 < float(air_to_vacuum(line)) < arm.wavelength[-1] - 2
    ]


def snr(arm: Arm) -> float:
    """Median signal to noise per good pixel."""
    assert arm.ivar is not None
    return float(np.median((arm.flux * np.sqrt(arm.ivar))[arm.good]))


@pytest.mark.parametrize(
    ("star", "frame", "rv"),
    [("210115000101001", "barycentric", -18.68), ("210115000101002", "barycentric", 31.90),
     ("210115002201239", "observed", -21.38)],
)  # fmt: skip
def test_galah_lines_are_at_the_velocity_of_the_header(shared: Path, star: str, frame: str, rv: float) -> None:
    spectrum = read_spectrum(shared / "spectra" / "galah" / star)
    assert spectrum.frame == frame
    assert spectrum.provenance["header"]["RVCOM"] == pytest.approx(rv, abs=0.01)
    found = velocities(spectrum, HERMES_LINES, rv)
    assert len(found) == 8
    assert median(found) == pytest.approx(rv, abs=1.0)


def test_galah_errors_and_masks(shared: Path) -> None:
    spectrum = read_spectrum(shared / "spectra" / "galah" / "2101150022012393.fits")
    assert spectrum.star_id == "Vesta/Sun"
    for arm in spectrum.arms:
        assert arm.flux.size == 4096
        # the header's S/N counts the masked pixels too
        assert snr(arm) == pytest.approx(spectrum.provenance["ccds"][arm.name]["SNR"], rel=0.02)
    masked = {arm.name: int(arm.mask.sum()) for arm in spectrum.arms}
    assert masked == {"blue": 0, "green": 0, "red": 3, "infrared": 911}
    # the O2 A band is what telluric light is about
    band = spectrum.arms[3].wavelength[spectrum.arms[3].mask]
    assert 7590 < band.min() < 7600
    assert np.mean((band > 7590) & (band < 7710)) > 0.9


def test_galah_widths_agree_with_the_published_resolution(shared: Path) -> None:
    # R = 28,000 (De Silva et al. 2015); the widths of the files at half maximum alone would be 24,000
    for arm in read_spectrum(shared / "spectra" / "galah" / "210115002201239").arms:
        assert arm.lsf is not None
        resolution = float(np.median(arm.wavelength / arm.lsf.fwhm))
        assert resolution == pytest.approx(28000, rel=0.08)


def test_apvisit(shared: Path) -> None:
    spectrum = read_spectrum(shared / "spectra" / "apVisit-r13-5095-55844-128.fits")
    header = spectrum.provenance["header"]
    assert header["VRAD"] + spectrum.bary_kms == pytest.approx(header["VHELIO"], abs=1e-4)
    assert median(velocities(spectrum, H_BAND_LINES, header["VRAD"])) == pytest.approx(header["VRAD"], abs=4)
    # the header's S/N is that of the middle detector
    assert snr(spectrum.arms[1]) == pytest.approx(header["SNR"], rel=0.05)
    assert spectrum.counts["BADPIX"] == 188
    assert spectrum.counts["SIG_SKYLINE"] == 1015
    assert spectrum.n_good == 11087


def test_apogee_npz(shared: Path) -> None:
    spectrum = read_spectrum(shared / "spectra" / "apogee_2M13012770.npz")
    assert [arm.flux.size for arm in spectrum.arms] == [2920, 2400, 1894]
    assert spectrum.counts == {"masked": 265}
    assert abs(median(velocities(spectrum, H_BAND_LINES, 0.0))) < 3
    assert np.median(spectrum.arms[1].flux) == pytest.approx(1, abs=0.1)


def test_sdss(shared: Path) -> None:
    spectrum = read_spectrum(shared / "spectra" / "spec-0266-51602-0031.fits")
    (arm,) = spectrum.arms
    assert spectrum.instrument == "sdss"
    assert snr(arm) == pytest.approx(spectrum.provenance["header"]["SN_MEDIAN_ALL"], rel=0.05)
    assert spectrum.counts == {"BRIGHTSKY": 219, "BADSKYCHI": 2}
    assert np.median(arm.wavelength / arm.lsf.fwhm) == pytest.approx(2000, rel=0.05)  # type: ignore[union-attr]
    # the strongest telluric-free sky residual, [O I] 5577.34 (air), moves to the heliocentre by 5 km/s
    sky = arm.wavelength[arm.mask & (np.abs(arm.wavelength - 5579) < 15)]
    assert sky.mean() == pytest.approx(5578.89, abs=2.0)


@pytest.mark.parametrize("night", ["2009-06-14", "2010-03-29"])
def test_tres_is_in_air_and_barycentric(shared: Path, night: str) -> None:
    spectrum = read_spectrum(shared / "spectra" / f"WASP14-{night}.hdf5", medium="air", instrument="tres")
    assert len(spectrum.arms) == 51
    assert abs(spectrum.provenance["header"]["BCV"]) > 8
    # WASP-14: systemic velocity -4.99 km/s, semi-amplitude 0.99 (Joshi et al. 2009, MNRAS 392, 1532)
    assert median(velocities(spectrum, OPTICAL_LINES, -5.0)) == pytest.approx(-4.99, abs=1.5)
    wrong = read_spectrum(shared / "spectra" / f"WASP14-{night}.hdf5", medium="vacuum")
    assert median(velocities(wrong, OPTICAL_LINES, -88.0)) == pytest.approx(-88, abs=3)


@pytest.mark.parametrize("star", ["hd122563", "cs22892-52"])
def test_mike(shared: Path, star: str) -> None:
    spectrum = read_spectrum(
        shared / "spectra" / f"{star}.fits", medium="air", frame="rest", normalized=True, instrument="mike"
    )
    (arm,) = spectrum.arms
    assert arm.ivar is None
    assert spectrum.normalized
    assert abs(median(velocities(spectrum, (5183.604, 5172.684, 5269.537, 4383.545), 0.0))) < 1.5
    assert np.median(arm.flux) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("file", "options", "pixels", "counts"),
    [
        ("gaia_rvs/Kepler-93.csv.gz", {}, 2401, {"not finite": 7, "no information": 7}),
        ("gaia_rvs/HD176650.csv.gz", {}, 2401, {}),
        ("lamost/3703110.fits.gz", {}, 3909, {}),
        ("lamost/spec-55939-GAC_061N46_V3_sp07-078.fits", {}, 3894, {"no information": 182}),
        ("lamost/med-58025-HIP9645901_sp02-051.fits.gz", {}, 7577, {"no information": 24}),
        ("desi/coadd-5-169-thru20210419.fits", {"row": 4}, 7958, {}),
        ("h_band/arcturus_observed.txt.gz", AIR, 44_445, {}),
        (
            "hires/rj26.531_adj.fits",
            {"medium": "vacuum", "unit": "A"},
            75_026,
            {"not finite": 130, "no information": 130},
        ),
        (
            "m92/M92-star-1.fits.gz",
            {"medium": "air", "unit": "A"},
            167_036,
            {"no information": 8872, "filled gap": 176},
        ),
        ("sdss/spec-3128-54776-0008.fits", {}, 3815, {"BRIGHTSKY": 69}),
        ("benchmark/UVES_epsEri-2_47000.fits", {}, 200_000, {"no information": 7467}),
        ("benchmark/iraf_UVES.POP_delEri_47000.fits", {}, 200_000, {"filled gap": 6999}),
        ("benchmark/HARPS.GBOG_Procyon.fits", {}, 200_000, {"filled gap": 3295}),
        ("benchmark/WASP-120_UVES_2017_rv.fits", {"medium": "air"}, 210_552, {"filled gap": 14_961}),
    ],
)
def test_files_as_people_have_them(
    shared: Path, file: str, options: dict[str, str], pixels: int, counts: dict[str, int]
) -> None:
    spectrum = read_spectrum(shared / "spectra" / file, **options)  # type: ignore[arg-type]
    assert sum(arm.flux.size for arm in spectrum.arms) == pixels
    assert spectrum.counts == counts


def test_lines_of_the_benchmark_stars_are_at_rest(shared: Path) -> None:
    """Their unit, NM, and their medium are understood."""
    for name in ("UVES_epsEri-2", "iraf_UVES.POP_delEri", "ATLAS.Sun"):
        spectrum = read_spectrum(shared / "spectra" / "benchmark" / f"{name}_47000.fits")
        assert spectrum.frame == "rest"
        assert np.median(spectrum.arms[0].wavelength / spectrum.arms[0].lsf.fwhm) == pytest.approx(47_000)  # type: ignore[union-attr]
        assert median(velocities(spectrum, (4859.741, 5682.633, 5857.451, 6643.630, 6717.681), 0.0)) == pytest.approx(
            0.0, abs=0.7
        )


def balmer(spectrum: Spectrum, line: float, guess: float) -> float:
    """Velocity (km/s) of a broad line at low resolution, by its centroid within 350 km/s."""
    vacuum = float(air_to_vacuum(line))
    (arm,) = (arm for arm in spectrum.arms if arm.wavelength[0] < vacuum < arm.wavelength[-1])
    shift = C_KMS * (arm.wavelength / vacuum - 1) - guess
    near = np.abs(shift) < 350
    depth = np.clip(np.percentile(arm.flux[np.abs(shift) < 900], 85) - arm.flux[near], 0, None)
    return guess + float(np.sum(shift[near] * depth) / np.sum(depth))


def test_lamost_is_in_vacuum_and_heliocentric(shared: Path) -> None:
    """Air or the Earth's motion would be off by 83 or 30 km/s; of G stars both arms agree with the survey."""
    offsets = []
    for file in ("3706009", "3706103", "3706125", "3709013", "3709131"):
        spectrum = read_spectrum(shared / "spectra" / "lamost" / f"{file}.fits.gz")
        stated = spectrum.provenance["stated_rv_kms"]
        offsets.append([balmer(spectrum, line, stated) - stated for line in (4861.34, 6562.80)])
        assert snr(spectrum.arms[0]) == pytest.approx(spectrum.provenance["header"]["SNRG"], rel=0.1)
    assert np.abs(np.median(offsets, axis=0)) == pytest.approx([0, 0], abs=8)


def test_releases_of_lamost(shared: Path) -> None:
    for folder, pixels in (("lamost_dr1", 3200), ("lamost_repeats", 3400)):
        for path in sorted((shared / "libraries" / folder).glob("*.fits.gz"))[:10]:
            spectrum = read_spectrum(path)
            assert spectrum.n_good > pixels
            assert spectrum.star_id.startswith("LAMOST J")


@pytest.mark.parametrize("exposure", [None, 83555758, 83555799])
def test_lamost_mrs_has_one_velocity(shared: Path, exposure: int | None) -> None:
    """Single exposures are heliocentric as the combination is: the Earth moved by 11 km/s."""
    path = shared / "spectra" / "lamost" / "med-58025-HIP9645901_sp02-051.fits.gz"
    spectrum = read_spectrum(path, exposure=exposure)
    found = velocities(spectrum, (5183.604, 5172.684, 6643.630, 6717.681, 6439.075), -20.0)
    assert median(found) == pytest.approx(-20.5, abs=4)


@pytest.mark.parametrize("star", ["Kepler-93", "HD176650"])
def test_gaia_rvs_is_in_vacuum_and_at_rest(shared: Path, star: str) -> None:
    spectrum = read_spectrum(shared / "spectra" / "gaia_rvs" / f"{star}.csv.gz")
    found = velocities(spectrum, (8498.02, 8542.09, 8662.14), 0.0)
    assert abs(median(found)) < 1.5
    assert np.median(spectrum.arms[0].flux) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("file", "velocity"),
    [("apVisit-r13-5095-55844-128.fits", -33.1), ("galah/2101150001010011.fits", -18.7),
     ("spec-0266-51602-0031.fits", -11.1), ("sdss/spec-6064-56097-0980.fits", None)],
)  # fmt: skip
def test_the_velocity_that_a_survey_states_is_kept(shared: Path, file: str, velocity: float | None) -> None:
    """In km/s, barycentric; the last is no star."""
    found = read_spectrum(shared / "spectra" / file).provenance.get("stated_rv_kms")
    assert found == (None if velocity is None else pytest.approx(velocity, abs=0.1))


@pytest.mark.parametrize("star", ["UVES_epsEri-2_47000", "ATLAS.Sun_47000", "UVES_HD106038_47000"])
def test_noise_is_estimated_as_the_file_has_it(shared: Path, star: str) -> None:
    """Eleven pixels and more per resolution element share their noise: from one to the next it looks ten times less."""
    spectrum = read_spectrum(shared / "spectra" / "benchmark" / f"{star}.fits").with_resolution(47_000)
    (arm,) = spectrum.arms
    assert arm.ivar is not None
    stated, found = (np.median(ivar[arm.good]) ** -0.5 for ivar in (arm.ivar, estimated_ivar(replace(arm, ivar=None))))
    assert 0.8 < found / stated < 1.5
