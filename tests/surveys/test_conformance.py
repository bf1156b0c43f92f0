"""What every reader must do, whatever its format. A new reader is tested once it has an example."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from bayne import ReadError, Spectrum, load_instrument, read_spectrum
from bayne.lsf import BandedLSF, GaussianLSF
from bayne.surveys import Peek, Reader, readers
from surveys.examples import EXAMPLES, Example

READERS = {reader.name: reader for reader in readers()}

#: Formats whose examples are one row across the three detectors: one line, one value to spoil.
ONE_ROW = ("apogee-npz", "apstar", "aspcapstar")

#: Formats with a checkable length; a text file that is cut is still a text file.
BINARY = sorted(set(READERS) - {"table"})


@pytest.fixture(params=sorted(READERS))
def reader(request: pytest.FixtureRequest) -> Reader:
    return READERS[request.param]


@pytest.fixture
def example(reader: Reader) -> Example:
    assert reader.name in EXAMPLES, f"add an example of {reader.name} to tests/surveys/examples.py"
    return EXAMPLES[reader.name]


def same(one: Spectrum, two: Spectrum) -> bool:
    return (
        one.id == two.id
        and one.counts == two.counts
        and len(one.arms) == len(two.arms)
        and all(
            np.array_equal(a.wavelength, b.wavelength)
            and np.array_equal(a.flux, b.flux)
            and np.array_equal(a.mask, b.mask)
            for a, b in zip(one.arms, two.arms, strict=True)
        )
    )


def test_the_format_is_recognised_by_its_reader_alone(reader: Reader, example: Example, tmp_path: Path) -> None:
    peek = Peek(example.write(tmp_path))
    assert reader.recognise(peek)
    others = [other.name for other in readers() if other is not reader and other.recognise(peek)]
    assert [name for name in others if reader.generic or not READERS[name].generic] == []


def test_the_content_decides_not_the_name(reader: Reader, example: Example, tmp_path: Path) -> None:
    path = example.write(tmp_path)
    renamed = path.with_name("something.dat")
    path.rename(renamed)
    assert read_spectrum(renamed, **example.options).provenance["format"] == reader.name


def test_a_spectrum_comes_out(reader: Reader, example: Example, tmp_path: Path) -> None:
    path = example.write(tmp_path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    spectrum = read_spectrum(path, **example.options)
    assert isinstance(spectrum, Spectrum)
    assert spectrum.n_good > 0.5 * sum(arm.flux.size for arm in spectrum.arms)
    assert spectrum.id
    assert all(isinstance(number, int) and number > 0 for number in spectrum.counts.values())
    if spectrum.instrument:
        load_instrument(spectrum.instrument)
        assert all(arm.lsf is not None for arm in spectrum.arms)
    for arm in spectrum.arms:
        assert arm.wavelength.dtype == arm.flux.dtype == np.float64
        assert arm.ivar is None or (np.all(np.isfinite(arm.ivar)) and np.all(arm.ivar >= 0))
        assert np.all(np.isfinite(arm.flux))
        if isinstance(arm.lsf, GaussianLSF):
            assert arm.lsf.fwhm.shape == arm.flux.shape
            assert np.all(arm.lsf.fwhm > 0)
        if isinstance(arm.lsf, BandedLSF):
            assert arm.lsf.bands.shape == (arm.lsf.offsets.size, arm.flux.size)
    assert same(spectrum, read_spectrum(path, format=reader.name, **example.options))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_provenance_is_plain_and_names_no_folder(reader: Reader, example: Example, tmp_path: Path) -> None:
    spectrum = read_spectrum(example.write(tmp_path), **example.options)
    written = json.dumps(spectrum.provenance, allow_nan=False)
    assert json.loads(written) == spectrum.provenance
    assert str(tmp_path) not in written
    assert (tmp_path / spectrum.provenance["file"]).is_file()


def test_the_line_is_where_it_was_put(reader: Reader, example: Example, tmp_path: Path) -> None:
    arms = read_spectrum(example.write(tmp_path), **example.options).arms
    for arm in arms[1:2] if reader.name in ONE_ROW else arms:
        low = int(np.argmin(np.where(arm.good, arm.flux, np.inf)))
        assert arm.flux[low] == pytest.approx(0.5 * np.median(arm.flux), rel=0.05)
        if reader.name not in ONE_ROW:
            assert abs(low - arm.flux.size // 2) <= 1


def test_all_nan_is_readable_and_has_no_good_pixel(reader: Reader, example: Example, tmp_path: Path) -> None:
    def edit(flux: np.ndarray, error: np.ndarray) -> None:
        flux[...] = np.nan

    spectrum = read_spectrum(example.write(tmp_path, edit), **example.options)
    assert spectrum.n_good == 0
    assert spectrum.counts["not finite"] > 0


def test_negative_and_infinite_errors_are_masked_and_counted(reader: Reader, example: Example, tmp_path: Path) -> None:
    def edit(flux: np.ndarray, error: np.ndarray) -> None:
        # in the middle of the first detector, arm or order
        middle = 1000 if flux.shape[-1] > 5000 else flux.shape[-1] // 2
        error[..., middle + 20] *= -1
        flux[..., middle + 30] = np.inf

    spectrum = read_spectrum(example.write(tmp_path, edit), **example.options)
    clean = read_spectrum(example.write(tmp_path), **example.options)
    number = 1 if reader.name in ONE_ROW else len(spectrum.arms)
    assert spectrum.counts["negative error"] == number
    assert spectrum.counts["not finite"] == number
    assert clean.n_good - spectrum.n_good == 2 * number


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("part", [0.02, 0.4, 0.9])
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_a_cut_file_is_an_error(name: str, part: float, tmp_path: Path) -> None:
    path = EXAMPLES[name].write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    for format in (None, name):
        with pytest.raises(ReadError, match=path.stem[:10]):
            read_spectrum(path, format=format, **(EXAMPLES[name].options if format else {}))


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_damage_is_an_error_or_readable_never_something_else(reader: Reader, example: Example, tmp_path: Path) -> None:
    path = example.write(tmp_path)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    for trial in range(15):
        damaged = content.copy()
        # half of the trials hit the first header or superblock, the others anything
        reach = min(4000, content.size) if trial % 2 else content.size
        damaged[rng.integers(0, reach, 40)] = rng.integers(32, 127, 40)
        path.write_bytes(damaged.tobytes())
        try:
            assert isinstance(read_spectrum(path, format=reader.name, **example.options), Spectrum)
        except ReadError as error:
            assert path.stem in str(error)  # noqa: PT017 (either outcome is right)


@pytest.mark.parametrize("other", sorted(EXAMPLES))
def test_another_format_is_an_error_or_readable(reader: Reader, example: Example, other: str, tmp_path: Path) -> None:
    path = EXAMPLES[other].write(tmp_path)
    try:
        read_spectrum(path, format=reader.name, **example.options)
    except ReadError as error:
        assert path.stem in str(error)  # noqa: PT017 (fits-1d reads a GALAH file, and why not)
