"""Damaged files: a spectrum or a reason, whatever was done to them, and soon."""

from __future__ import annotations

import gzip
import json
import os
import time
import warnings
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits

from bayne import ReadError, Spectrum, read_spectrum
from bayne.lsf import BandedLSF, GaussianLSF
from surveys import damage, examples

#: Files of each seed, and the seconds that none of them may take.
NUMBER, LONG = 75, 3.0


def assert_sane(spectrum: Spectrum) -> None:
    """Wavelengths in order and in range; fluxes and weights that are numbers; provenance that can be written."""
    for arm in spectrum.arms:
        wave = arm.wavelength
        assert wave.size >= 2
        assert np.all(np.isfinite(wave))
        assert np.all(np.diff(wave) > 0)
        assert wave[0] >= 100
        assert wave[-1] <= 1e6
        assert np.all(np.isfinite(arm.flux))
        assert arm.ivar is None or np.all(np.isfinite(arm.ivar) & (arm.ivar >= 0))
        if isinstance(arm.lsf, GaussianLSF):
            assert np.all((arm.lsf.fwhm > 0) & (arm.lsf.fwhm < wave))
        if isinstance(arm.lsf, BandedLSF):
            assert arm.lsf.bands.shape == (arm.lsf.offsets.size, wave.size)
            assert np.all(np.isfinite(arm.lsf.bands))
    json.dumps(spectrum.provenance, allow_nan=False)


def open_files() -> int:
    """Files that this process has open."""
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted as Linux shows them")
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_damaged_file_is_read_or_refused_by_name(seed: int, forced: bool, tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    for file in damage.damaged_files(tmp_path, NUMBER, seed):
        before, start = open_files(), time.perf_counter()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                assert_sane(read_spectrum(file.path, file.reader if forced else None, **file.options))
                outcomes["read"] += 1
            except ReadError as error:
                assert file.path.stem[:8] in str(error), file  # noqa: PT017 (either outcome is right)
                outcomes["refused"] += 1
        assert time.perf_counter() - start < LONG, file
        assert [str(warning.message) for warning in said] == [], file
        assert open_files() <= before, file
    # were all refused, or none, the damage would be of one kind
    assert outcomes["read"] > NUMBER // 8
    assert outcomes["refused"] > NUMBER // 3


def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    formats = ("apvisit", "fits-1d", "table, CSV")
    one, two = ([file.path.read_bytes() for file in damage.damaged_files(f, 9, 5, formats)] for f in folders)
    assert one == two


def with_card(path: Path, key: str, value: str, hdu: int = 0) -> Path:
    """The file with another value in a header, which astropy would not write."""
    content = path.read_bytes()
    with fits.open(path) as hdus:
        start = hdus[hdu].fileinfo()["hdrLoc"]
    place = content.index(key.ljust(8).encode() + b"=", start)
    card = f"{key:8}= {value:>20}".ljust(80).encode()
    path.write_bytes(content[:place] + card + content[place + 80 :])
    return path


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("NAXIS1", "1000000000000", r"is truncated: HDU 0 '' ends at byte 8000000003520"),
        ("NAXIS1", "-500", "HDU 0 is damaged: NAXIS1 is -500"),
        ("NAXIS", "2000000000", "HDU 0 is damaged: NAXIS is 2000000000"),
        ("NAXIS1", "'many'", "HDU 0 is damaged: NAXIS1 is 'many'"),
        ("BITPIX", "-63", "HDU 0 is damaged: BITPIX is -63"),
        ("CRVAL1", "NaN", "CRVAL1"),
        ("CDELT1", "0.0", "CRVAL1 and CDELT1 or CD1_1 are expected"),
        ("CDELT1", "1E300", "not those of a stellar spectrum"),
        ("CRPIX1", "1E6", "not those of a stellar spectrum"),
    ],
)
def test_claims_of_a_header(key: str, value: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=message):
        read_spectrum(with_card(examples.fits_1d(tmp_path), key, value), format="fits-1d", medium="vacuum")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("TFIELDS", "2000000000", "HDU 1 is damaged: TFIELDS is 2000000000"),
        ("TFORM2", "'1E'", "columns of extension 1 have 20 bytes, its rows 24"),
        ("TFORM2", "'8A'", r"column 'flux' holds no real numbers but \|S8"),
        ("TFORM2", "'1C'", "column 'flux' holds no real numbers but >c8"),
        ("TTYPE3", "7", "AssertionError: Column name must be a string"),
        ("TUNIT1", "'parsec'", "not those of a stellar spectrum"),
        ("TUNIT1", "'kg'", "no unit of wavelength"),
        ("XTENSION", "7", "HDU 1 is damaged: XTENSION is 7"),
    ],
)
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
def test_claims_of_a_table(key: str, value: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=message):
        read_spectrum(with_card(damage.fits_table(tmp_path), key, value, hdu=1))


def test_a_header_without_an_end(tmp_path: Path) -> None:
    path = examples.fits_1d(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"END     ", b"ENE     ", 1))
    with pytest.raises(ReadError, match=r"hd1.fits is damaged: the header of HDU 0 has no end"):
        read_spectrum(path, medium="air")
    path.write_bytes(content + np.random.default_rng(0).bytes(2880))
    with pytest.raises(ReadError, match=r"hd1.fits is damaged: what follows HDU 1"):
        read_spectrum(path, medium="air")
    path.write_bytes(content + bytes(2880))
    assert read_spectrum(path, medium="air").n_good == 500


def test_a_packed_file_that_claims_too_much(tmp_path: Path) -> None:
    path = with_card(examples.fits_1d(tmp_path), "NAXIS1", "50000000000")
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ReadError, match="is truncated: HDU 0"):
        read_spectrum(path, medium="air")


def test_arrays_that_were_never_written(tmp_path: Path) -> None:
    path = examples.echelle_hdf5(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["fls"]
        file.create_dataset("fls", shape=(1_000_000, 10_000_000), chunks=(1, 1000), dtype="f8")
    with pytest.raises(ReadError, match=r"'fls' claims the shape \(1000000, 10000000\)"):
        read_spectrum(path, medium="air")
    path = examples.apogee_npz(tmp_path)
    path.write_bytes(damage.npz({"spectrum": np.ones(7214), "spec_err": np.ones(7214)}, boaster="spectrum"))
    with pytest.raises(ReadError, match=r"'spectrum' claims the shape \(1000000000000,\)"):
        read_spectrum(path)


@pytest.mark.parametrize("pixels", [1e30, 1e-30])
def test_widths_that_no_instrument_has(pixels: float, tmp_path: Path) -> None:
    path = examples.sdss_spec(tmp_path)
    with fits.open(path, mode="update") as hdus:
        hdus[1].data["wdisp"][7] = pixels
    with pytest.raises(ReadError, match=r"spec-0266.*line-spread function of .* to .* Å"):
        read_spectrum(path)


def test_a_correction_faster_than_the_earth(tmp_path: Path) -> None:
    path = with_card(examples.apvisit(tmp_path), "BC", "3.0E5")
    with pytest.raises(ReadError, match=r"apVisit.*a barycentric correction of 300000 km/s cannot be"):
        read_spectrum(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.fits")
    with pytest.raises(ReadError, match=r"pipe.fits is no file but a pipe"):
        read_spectrum(tmp_path / "pipe.fits")
