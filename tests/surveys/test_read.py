"""`read_spectrum`: options, unknown and missing files, the registry."""

from __future__ import annotations

import gzip
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from astropy.io import fits

import bayne
from bayne import ReadError, read_spectrum
from bayne.surveys import Peek, format_names, register, registry
from surveys import examples


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"no such file: .*nothing\.fits"):
        read_spectrum(tmp_path / "nothing.fits")
    for name in format_names():
        options = examples.EXAMPLES[name].options
        with pytest.raises(ReadError, match=r"no such file: .*nothing\.fits|nothing\.fits"):
            read_spectrum(tmp_path / "nothing.fits", format=name, **options)
    with pytest.raises(ReadError, match="is a directory"):
        read_spectrum(tmp_path)


def test_formats_are_listed_and_a_wrong_name_is_helped(tmp_path: Path) -> None:
    path = examples.apvisit(tmp_path)
    with pytest.raises(
        ReadError, match=r"unknown format 'apvist'. Did you mean 'apvisit'\? Known: .*apogee-npz, apstar"
    ):
        read_spectrum(path, format="apvist")


@pytest.mark.parametrize("content", [b"", b"\0\1\2\3" * 100, b"PK\x03\x04 not an archive", b"SIMPLE  = nonsense"])
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
def test_what_is_no_spectrum(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "what.bin"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=r"what\.bin"):
        read_spectrum(path)


def test_an_unknown_fits_file_is_described(tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((5, 5)), name="SCI")]).writeto(path)
    with pytest.raises(ReadError, match=r"HDUs \['', 'SCI'\].*Known formats: .*apogee-npz, .*format="):
        read_spectrum(path)


def test_an_option_of_another_format_is_refused(tmp_path: Path) -> None:
    path = examples.apvisit(tmp_path)
    with pytest.raises(ReadError, match="format 'apvisit' has no option 'medium'; it takes none"):
        read_spectrum(path, medium="air")
    with pytest.raises(ReadError, match="has no option 'row'; it takes medium, frame, instrument, normalized, unit"):
        read_spectrum(examples.table(tmp_path), row=1)


def test_a_compressed_file_is_read_and_a_cut_one_is_not(tmp_path: Path) -> None:
    path = examples.apstar(tmp_path)
    packed = tmp_path / "apStar.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(read_spectrum(packed).arms[0].flux, read_spectrum(path).arms[0].flux)
    packed.write_bytes(packed.read_bytes()[:-5000])
    with pytest.raises(ReadError, match="apStar"):
        read_spectrum(packed)


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_truncation_is_named(tmp_path: Path) -> None:
    path = examples.apvisit(tmp_path)
    path.write_bytes(path.read_bytes()[:-10000])
    with pytest.raises(ReadError, match=r"is truncated: HDU 4 .* ends at byte"):
        read_spectrum(path)


def test_paths_may_be_text(tmp_path: Path) -> None:
    assert read_spectrum(str(examples.apvisit(tmp_path))).instrument == "apogee"


@patch.dict(registry._READERS)
def test_a_new_format_is_one_function(tmp_path: Path) -> None:
    def recognise(peek: Peek) -> bool:
        return peek.path.suffix == ".mine"

    @register("mine", "a format of mine", recognise)
    def read(path: Path, row: int = 0) -> bayne.Spectrum:
        return read_spectrum(examples.desi_coadd(tmp_path), row=row)

    path = tmp_path / "star.mine"
    path.write_text("anything")
    assert read_spectrum(path, row=2).star_id == str(examples.TARGETS[2])
    with pytest.raises(ValueError, match="registered already"):
        register("mine", "again", recognise)(read)


@patch.dict(registry._READERS)
def test_a_defect_of_a_reader_is_not_called_damage(tmp_path: Path) -> None:
    @register("broken", "a reader with a defect", lambda peek: False)
    def read(path: Path) -> bayne.Spectrum:
        return path.no_such_attribute  # type: ignore[attr-defined, no-any-return]

    with pytest.raises(AttributeError):
        read_spectrum(examples.apvisit(tmp_path), format="broken")
