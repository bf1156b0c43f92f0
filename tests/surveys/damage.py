"""Files damaged on purpose: good ones of every format, spoilt in ways that a seed decides.

`damaged_files` writes them. Some are spoilt so little that they still read, and rightly so.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from astropy.io import fits
from astropy.table import Table

from surveys import examples
from surveys.examples import EXAMPLES, Example

Rng = np.random.Generator

#: Takes the content of a file and gives that of a damaged one.
Spoil = Callable[[bytes, Rng], bytes]

#: What may stand in a card of a header.
NONSENSE = (
    *("NaN", "", "0", "-1", "1", "2", "7", "1.5", "T", "F", "(1,2)", "1E-30", "1E308", "-1E+400", "9" * 60),
    *("1000000000000", "2000000000", "-2147483649", "''", "'nonsense'", "'kg'", "'parsec'", "'10E30'", "'A5'"),
    *("'1PE(1000000000)'", "'1QD(7)'", "'(100000,100000)'", "'BINTABLE'", "'IMAGE'", "'WAVE-LOG'", "'\xe9'", "'open"),
    *("'nm'", "'um'", "'Angstrom'", "500.0", "3.7", "-0.1", "50000.0"),
)

#: Cards that say how the data are laid out and what they mean: they are spoilt more often than the others.
LAYOUT = re.compile(
    rb"SIMPLE|XTENSION|BITPIX|NAXIS|[PG]COUNT|TFIELDS|T(FORM|TYPE|UNIT|DIM)|Z|EXTNAME|BUNIT|"
    rb"C(RVAL|DELT|RPIX|UNIT|TYPE|D1_)|DC-FLAG|COEFF|BARYEFF|B |MJD|NVISITS|VACUUM|END"
)

#: Cards that change the meaning of others.
INTRUDERS = (
    *("BSCALE", "BZERO", "BLANK", "GROUPS", "EXTNAME", "CUNIT1", "CTYPE1", "DC-FLAG", "TDIM1", "TSCAL1", "TZERO2"),
    *("TNULL1", "THEAP", "TUNIT1", "TCTYP1", "TDISP2", "ZIMAGE", "ZNAXIS", "ZNAXIS1", "ZCMPTYPE", "NAXIS2", "PCOUNT"),
)

VALUES = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1.0, 1e-30, 1e30, 1e300, -1e300)

WORDS = (
    b"nan",
    b"inf",
    b"-1",
    b"1e400",
    b"nonsense",
    b"",
    b"--",
    b"kg",
    b"10**5",
    b"\0",
    b"\xe9",
    b"0x10",
    b"[",
    b"!!x",
)


def one(choices: Sequence[Any], rng: Rng) -> Any:
    """One of several, of any type."""
    return choices[int(rng.integers(len(choices)))]


# any file


def flipped(content: bytes, rng: Rng, reach: int | None = None) -> bytes:
    """One to a hundred bits, anywhere or within the first bytes."""
    data = np.frombuffer(content, np.uint8).copy()
    places = rng.integers(0, min(reach or data.size, data.size), int(10 ** rng.uniform(0, 2)))
    data[places] ^= (1 << rng.integers(0, 8, places.size)).astype(np.uint8)
    return data.tobytes()


def flipped_at_the_head(content: bytes, rng: Rng) -> bytes:
    """Bits of the first header or superblock."""
    return flipped(content, rng, 3000)


def cut(content: bytes, rng: Rng) -> bytes:
    """The end is missing."""
    return content[: int(rng.integers(0, len(content)))]


def zeroed(content: bytes, rng: Rng) -> bytes:
    """A stretch of zeros."""
    start, stop = _stretch(content, rng)
    return content[:start] + bytes(stop - start) + content[stop:]


def scrambled(content: bytes, rng: Rng) -> bytes:
    """A stretch of random bytes."""
    start, stop = _stretch(content, rng)
    return content[:start] + rng.bytes(stop - start) + content[stop:]


def left_out(content: bytes, rng: Rng) -> bytes:
    """A stretch is missing in the middle."""
    start, stop = _stretch(content, rng)
    return content[:start] + content[stop:]


def lengthened(content: bytes, rng: Rng) -> bytes:
    """Something follows the end."""
    return content + one((content, rng.bytes(4000), bytes(2880), b"XTENSION= 'IMAGE   '"), rng)


def another(content: bytes, rng: Rng) -> bytes:
    """Another file altogether: empty, an error page, noise, or noise that begins like a known kind of file."""
    page = b"<!DOCTYPE html>\n<html><body>404 Not Found\n5000 1\n</body></html>\n"
    starts = (b"SIMPLE  =", b"\x1f\x8b\x08\0", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"# %ECSV 1.0\n", b"5000 1\n")
    return one((b"", page, rng.bytes(5000), one(starts, rng) + rng.bytes(5000)), rng)


def packed(content: bytes, rng: Rng) -> bytes:
    """Compressed, and then damaged."""
    return one((cut, flipped, zeroed, scrambled), rng)(gzip.compress(content, 1, mtime=0), rng)


def _stretch(content: bytes, rng: Rng) -> tuple[int, int]:
    start = int(rng.integers(0, len(content)))
    return start, min(len(content), start + int(10 ** rng.uniform(0, 5)))


# FITS


def card_changed(content: bytes, rng: Rng) -> bytes:
    """A value of a header that makes no sense, or not there."""
    cards = _cards(content)
    layout = [place for place in cards if LAYOUT.match(content, place)]
    place = one(layout if rng.random() < 0.8 else cards, rng)
    return _with_card(content, place, content[place : place + 8], rng)


def card_intruded(content: bytes, rng: Rng) -> bytes:
    """A card more, at the place of another."""
    return _with_card(content, one(_cards(content), rng), one(INTRUDERS, rng).encode(), rng)


def card_lost(content: bytes, rng: Rng) -> bytes:
    """A blank card at the place of another."""
    place = one(_cards(content), rng)
    return content[:place] + b" " * 80 + content[place + 80 :]


def wavelengths_exchanged(content: bytes, rng: Rng) -> bytes:
    """Wavelengths of another unit or scale, or zero or backwards: by the cards that give them."""
    keys = (b"CRVAL1", b"CDELT1", b"CD1_1", b"CRPIX1", b"COEFF0", b"COEFF1", b"CUNIT1", b"TUNIT1")
    places = [place for place in _cards(content) if content[place : place + 8].strip() in keys]
    if not places:
        return card_changed(content, rng)
    place = one(places, rng)
    return _with_card(content, place, content[place : place + 8], rng)


def hdus_exchanged(content: bytes, rng: Rng) -> bytes:
    """An HDU is missing, is there twice, or has the place of another."""
    with fits.open(io.BytesIO(content)) as hdus:
        infos = [hdu.fileinfo() for hdu in hdus]
    pieces = [content[info["hdrLoc"] : info["datLoc"] + info["datSpan"]] for info in infos]
    i, j = rng.integers(0, len(pieces), 2)
    how = int(rng.integers(3))
    if how == 0:
        del pieces[i]
    elif how == 1:
        pieces.insert(i, pieces[j])
    else:
        pieces[i], pieces[j] = pieces[j], pieces[i]
    return b"".join(pieces)


def data_changed(content: bytes, rng: Rng) -> bytes:
    """An image or column with values, shape or type of another kind."""
    with fits.open(io.BytesIO(content), memmap=False) as hdus:
        hdu = one([hdu for hdu in hdus if hdu.data is not None], rng)
        if hdu.is_image:
            hdu.data = _changed(hdu.data, rng)
        else:
            table = Table(hdu.data)
            name = one(table.colnames, rng)
            column = _changed(np.asarray(table[name]), rng)
            table[name] = column if len(column) == len(table) else np.resize(column, len(table))
            hdu.data = fits.BinTableHDU(table).data
        written = io.BytesIO()
        hdus.writeto(written, output_verify="ignore")
    return written.getvalue()


def _cards(content: bytes) -> list[int]:
    """Places of all cards of a good file."""
    with fits.open(io.BytesIO(content)) as hdus:
        infos = [hdu.fileinfo() for hdu in hdus]
    places = [place for info in infos for place in range(info["hdrLoc"], info["datLoc"], 80)]
    return [place for place in places if content[place : place + 8].strip()]


def _with_card(content: bytes, place: int, key: bytes, rng: Rng) -> bytes:
    card = key.ljust(8) + b"= " + one(NONSENSE, rng).rjust(20).encode("latin-1")
    return content[:place] + card[:80].ljust(80) + content[place + 80 :]


def _changed(data: np.ndarray, rng: Rng) -> np.ndarray:
    if data.dtype.kind not in "iuf":
        return np.full(data.shape, "?" * 8)
    how = int(rng.integers(7))
    if how == 0:
        return data[..., :: int(one((-1, 2), rng))]
    if how == 1:
        return data.reshape(-1)[: int(rng.integers(0, data.size + 1))]
    if how == 2:
        return np.stack([data] * int(rng.integers(1, 4)))
    if how == 3:
        with np.errstate(all="ignore"):
            return (data.astype(np.float64) * one((0.0, 0.1, 1e-10, 1e4, 1e300, np.nan), rng)).astype(np.float64)
    if how == 4:
        with np.errstate(all="ignore"):
            return np.nan_to_num(data).astype(one((np.uint8, np.int16, np.int64, np.float32), rng))
    some = np.array(data, dtype=np.float64)
    where = rng.random(data.shape) < (1.1 if how == 5 else 10 ** rng.uniform(-3, 0))
    some[where] = one(VALUES, rng)
    return some


# HDF5, npz, text


def arrays_changed(content: bytes, rng: Rng) -> bytes:
    """A dataset of HDF5 that is missing, of another type or shape, or claims more than the file could hold."""
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as hdf:
        name = one(sorted(hdf), rng)
        data = hdf[name][()]
        del hdf[name]
        how = int(rng.integers(6))
        if how == 0:
            hdf.create_group(name)
        elif how == 1:
            hdf.create_dataset(name, shape=(1_000_000, 10_000_000), chunks=(1, 1000), dtype="f8", compression="gzip")
        elif how == 2:
            hdf[name] = one(("text", np.array([b"a", b"b"]), h5py.Empty("f8"), np.zeros(3, "i4,f8"), 1j), rng)
        elif how > 3:
            hdf[name] = _changed(data, rng)
        hdf.attrs[one(("medium", "frame", "BCV", "name"), rng)] = one(
            (np.nan, "x", np.arange(9), h5py.Empty("f8")), rng
        )
    return file.getvalue()


def members_changed(content: bytes, rng: Rng) -> bytes:
    """An array of npz that is missing, an object, of another type or shape, or claims more than the file holds."""
    with np.load(io.BytesIO(content)) as arrays:
        held = dict(arrays)
    name = one(sorted(held), rng)
    how = int(rng.integers(4))
    if how == 0:
        del held[name]
    elif how == 1:
        held[name] = np.array([{"a": 1}, None], dtype=object)
    else:
        held[name] = _changed(held[name], rng)
    return npz(held, name if how == 3 else "")


def npz(arrays: dict[str, np.ndarray], boaster: str = "") -> bytes:
    """An archive of arrays, one of which claims a shape that it does not have."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                if name == boaster:
                    header = {"descr": "<f8", "fortran_order": False, "shape": (1_000_000_000_000,)}
                    np.lib.format.write_array_header_1_0(member, header)
                else:
                    np.lib.format.write_array(member, np.asanyarray(array))
    return written.getvalue()


def words_changed(content: bytes, rng: Rng) -> bytes:
    """Some words of a text, of its head more often than of its rows."""
    pieces = re.split(rb"([\s,]+)", content)
    for _ in range(int(rng.integers(1, 5))):
        pieces[2 * int(rng.integers(0, one((30, len(pieces)), rng) // 2))] = one(WORDS, rng)
    return b"".join(pieces)


def lines_changed(content: bytes, rng: Rng) -> bytes:
    """Lines in another order, or some missing."""
    lines = content.splitlines(keepends=True)
    chosen = one((rng.permutation(len(lines)), np.flatnonzero(rng.random(len(lines)) < rng.random())), rng)
    return b"".join(lines[i] for i in chosen)


# good files


def packed_image(folder: Path) -> Path:
    """`fits-1d` with an image that is stored as a compressed table."""
    path = examples.fits_1d(folder)
    with fits.open(path, memmap=False) as hdus:
        header = {key: hdus[0].header[key] for key in ("CRVAL1", "CDELT1", "CRPIX1")}
        image = fits.CompImageHDU(hdus[0].data, compression_type="GZIP_1", quantize_level=0.0)
        image.header.update(header)
        fits.HDUList([fits.PrimaryHDU(), image, hdus[1].copy()]).writeto(path, overwrite=True)
    return path


def fits_table(folder: Path) -> Path:
    """A FITS table with units and metadata, those of a column in astropy's own way among them."""
    wave = 5000.0 + 0.1 * np.arange(500)
    flux, error = examples.star(wave)
    table = Table({"wavelength": wave, "flux": flux, "error": error}, meta={"MEDIUM": "vacuum", "FRAME": "rest"})
    table["wavelength"].unit = "Angstrom"
    table["flux"].description = "counts"
    table.write(folder / "star.fits", overwrite=True)
    return folder / "star.fits"


def fits_row(folder: Path) -> Path:
    """A FITS table of one row whose cells are arrays."""
    wave = 5000.0 + 0.1 * np.arange(500)
    flux, error = examples.star(wave)
    table = Table({"WAVE": [wave], "FLUX": [flux], "ERR": [error]}, meta={"MEDIUM": "air"})
    table["WAVE"].unit = "Angstrom"
    table.write(folder / "phase3.fits", overwrite=True)
    return folder / "phase3.fits"


def csv(folder: Path) -> Path:
    """Numbers with the names of their columns."""
    return examples.table(folder, name="star.csv")


def numbers(folder: Path) -> Path:
    """Numbers alone."""
    wave = 5000.0 + 0.1 * np.arange(500)
    np.savetxt(folder / "star.txt", np.transpose([wave, *examples.star(wave)]))
    return folder / "star.txt"


def desi_spectra(folder: Path) -> Path:
    """A file of exposures: the fibre map has a row for each of them."""
    path = examples.desi_coadd(folder)
    with fits.open(path, memmap=False) as hdus:
        exposures = Table({"TARGETID": np.array(examples.TARGETS), "EXPID": np.arange(68028, 68032)})
        hdus[1] = fits.BinTableHDU(exposures, name="FIBERMAP")
        hdus.writeto(folder / "spectra-main-bright-10016.fits", overwrite=True)
    path.unlink()
    return folder / "spectra-main-bright-10016.fits"


def eso_two_fluxes(folder: Path) -> Path:
    """A product of ESO's archive with the flux before calibration too, which the header calls the lesser one."""
    path = examples.eso(folder)
    with fits.open(path, memmap=False) as hdus:
        table = Table(hdus[1].data)
        table["FLUX_RAW"], table["ERR_RAW"] = 1000 * table["FLUX"], 1000 * table["ERR"]
        hdu = fits.BinTableHDU(table[["WAVE", "FLUX_RAW", "ERR_RAW", "FLUX", "ERR"]], name="SPECTRUM")
        hdu.header.update(TUNIT1="nm", TUCD1="em.wl", TUTYP1="spec:Data.SpectralAxis.Value", VOCLASS="SPECTRUM V2.0")
        for first, space in ((2, "eso"), (4, "spec")):
            hdu.header[f"TUTYP{first}"] = f"{space}:Data.FluxAxis.Value"
            hdu.header[f"TUTYP{first + 1}"] = f"{space}:Data.FluxAxis.Accurancy.StatError"
        hdu.data["WAVE"] /= 10
        fits.HDUList([hdus[0], hdu]).writeto(path, overwrite=True)
    return path


GOOD = EXAMPLES | {
    "apstar, one visit": Example(lambda folder: examples.apstar(folder, visits=1)),
    "desi-coadd, spectra": Example(desi_spectra, {"row": 0}),
    "eso-phase3, two fluxes": Example(eso_two_fluxes),
    "lamost-lrs, image": Example(examples.lamost_image),
    "lamost-lrs, DR1": Example(lambda folder: examples.lamost_image(folder, first=True)),
    "gaia-rvs, raw CSV": Example(lambda folder: examples.gaia_rvs(folder, raw=True)),
    "gaia-rvs, raw FITS": Example(lambda folder: examples.gaia_rvs(folder, name="RVS-Gaia-DR3.fits", raw=True)),
    "gaia-rvs, FITS": Example(lambda folder: examples.gaia_rvs(folder, name="RVS-Gaia-DR3.fits")),
    "gaia-rvs, ECSV": Example(lambda folder: examples.gaia_rvs(folder, name="RVS-Gaia-DR3.ecsv")),
    "gaia-rvs, VOTable": Example(lambda folder: examples.gaia_rvs(folder, name="RVS-Gaia-DR3.xml")),
    "mwm, APOGEE": Example(lambda folder: examples.mwm(folder, boss=0, apogee=1)),
    "fits-1d, compressed": Example(packed_image, {"medium": "air"}),
    "table, FITS": Example(fits_table),
    "table, FITS, one row": Example(fits_row),
    "table, CSV": Example(csv, {"medium": "air", "unit": "nm"}),
    "table, text": Example(numbers, {"medium": "air", "unit": "Angstrom"}),
}

ANY: tuple[Spoil, ...] = (flipped, flipped_at_the_head, cut, zeroed, scrambled, left_out, lengthened, another, packed)
OWN: dict[str, tuple[Spoil, ...]] = {
    "fits": (card_changed, card_changed, card_intruded, card_lost, wavelengths_exchanged, hdus_exchanged, data_changed),
    "hdf5": (arrays_changed,),
    "npz": (members_changed,),
    "text": (words_changed, lines_changed),
}

#: Those of the good files that are FITS.
TEXT = {"table", "table, CSV", "table, text", "gaia-rvs", "gaia-rvs, raw CSV", "gaia-rvs, ECSV", "gaia-rvs, VOTable"}
FITS = tuple(sorted(set(GOOD) - TEXT - {"apogee-npz", "echelle-hdf5"}))


@dataclass(frozen=True)
class Damaged:
    """A damaged file: the format it had, the options to read it with, and what was done to it."""

    path: Path
    format: str
    options: dict[str, Any]
    damage: str

    @property
    def reader(self) -> str:
        """Name of the reader."""
        return self.format.split(",")[0]


def damaged_files(
    folder: Path, number: int, seed: int, formats: Sequence[str] = tuple(sorted(GOOD))
) -> Iterator[Damaged]:
    """Write damaged files one by one, each in a folder of its own; the same for the same seed and formats."""
    for i in range(number):
        rng = np.random.default_rng([seed, i])
        name = formats[i % len(formats)]
        place = folder / f"{i:05d}"
        place.mkdir()
        path = GOOD[name].write(place)
        content = path.read_bytes()
        kind = "fits" if name in FITS else {".npz": "npz", ".hdf5": "hdf5"}.get(path.suffix, "text")
        spoil = one(OWN[kind] if rng.random() < 0.6 else ANY, rng)
        path.write_bytes(spoil(content, rng))
        yield Damaged(path, name, dict(GOOD[name].options), spoil.__name__)
