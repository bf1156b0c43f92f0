"""Small files of every format, as the surveys write them. A reader that has no example here fails the conformance test.

Each writer takes a folder and `edit`, which may change (flux, error) before they are written, and returns the file.
`error` is a standard deviation; formats that store inverse variances get the sign of the error and its square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from astropy.io import fits
from astropy.table import Table

Edit = Callable[[np.ndarray, np.ndarray], None]

#: A line of the made-up star and its depth: one in every arm of every example.
DEPTH = 0.5


def unchanged(flux: np.ndarray, error: np.ndarray) -> None:
    """Leave the example as it is."""


def star(wave: np.ndarray, level: float = 100.0) -> tuple[np.ndarray, np.ndarray]:
    """Flux with one absorption line in the middle, and its error (S/N 50)."""
    middle = wave[wave.size // 2]
    width = 3.0 * abs(wave[1] - wave[0])
    flux = level * (1 - DEPTH * np.exp(-0.5 * ((wave - middle) / width) ** 2))
    return flux, np.full(wave.size, level / 50.0)


def ivar(error: np.ndarray) -> np.ndarray:
    """Inverse variance that keeps the sign of a negative error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sign(error) / error**2


def apvisit(folder: Path, edit: Edit = unchanged, mask: np.ndarray | None = None) -> Path:
    """Three detectors of 400 pixels, red first, wavelengths decreasing."""
    wave = np.array([np.linspace(hi, lo, 400) for lo, hi in ((16474, 16953), (15858, 16433), (15145, 15810))])
    flux, error = (np.array(rows) for rows in zip(*(star(row) for row in wave), strict=True))
    edit(flux, error)
    bits = np.zeros(wave.shape, np.int16) if mask is None else mask
    primary = fits.PrimaryHDU()
    primary.header.update(
        OBJID="2M00000000+0000000", PLATE="5095", MJD5=55844, FIBERID=128, BC=11.3, VRAD=-44.4, VHELIO=-33.1
    )
    hdus = [primary]
    for data, unit in (
        (flux.astype("f4"), "Flux (10^-17 erg/s/cm^2/Ang)"),
        (error.astype("f4"), "Flux Error (10^-17 erg/s/cm^2/Ang)"),
        (bits, "Flag Mask (bitwise)"),
        (wave, "Wavelength (Ang)"),
    ):
        hdus.append(fits.ImageHDU(data))
        hdus[-1].header["BUNIT"] = unit
    path = folder / "apVisit-x-5095-55844-128.fits"
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def apogee_grid() -> np.ndarray:
    """(8575,) the grid of apStar files."""
    return 10 ** (4.179 + 6e-6 * np.arange(8575))


def on_chips(wave: np.ndarray) -> np.ndarray:
    """Where the detectors are."""
    return np.any([(wave > lo) & (wave < hi) for lo, hi in ((15145, 15810), (15858, 16433), (16474, 16953))], axis=0)


def apogee_row(edit: Edit, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Flux and error on the grid, the gaps as the pipeline writes them."""
    wave = apogee_grid()
    flux, error = star(wave, level)
    edit(flux, error)
    gap = ~on_chips(wave)
    flux[gap], error[gap] = 0.0, 1e10
    return flux.astype("f4"), error.astype("f4")


def logarithmic(data: np.ndarray) -> fits.ImageHDU:
    """An image on the apStar grid."""
    hdu = fits.ImageHDU(data)
    hdu.header.update(CRVAL1=4.179, CDELT1=6e-6, CRPIX1=1, CTYPE1="LOG-LINEAR", **{"DC-FLAG": 1})
    return hdu


def apstar(folder: Path, edit: Edit = unchanged, visits: int = 3, mask: np.ndarray | None = None) -> Path:
    """Row k has the level 100 (k + 1), so that rows can be told apart; one visit is one row."""
    rows = 1 if visits == 1 else visits + 2
    flux, error = (
        np.array(planes) for planes in zip(*(apogee_row(edit, 100.0 * (k + 1)) for k in range(rows)), strict=True)
    )
    bits = np.where(on_chips(apogee_grid()), 0, 1).astype(np.int16) * np.ones((rows, 1), np.int16)
    if mask is not None:
        bits |= mask
    primary = fits.PrimaryHDU()
    primary.header.update(OBJID="2M00000000+0000000", NVISITS=visits, VHELIO=12.0)
    for k in range(visits):
        primary.header.update({f"VHELIO{k + 1}": 12.0 + k, f"BC{k + 1}": 3.0, f"VRAD{k + 1}": 9.0 + k})
    planes = [np.squeeze(plane) for plane in (flux, error, bits)]
    path = folder / "apStar-dr17-2M00000000+0000000.fits"
    fits.HDUList([primary, *(logarithmic(plane) for plane in planes)]).writeto(path, overwrite=True)
    return path


def aspcapstar(folder: Path, edit: Edit = unchanged) -> Path:
    """Spectrum, error, best fit and a table."""
    flux, error = apogee_row(edit, 1.0)
    primary = fits.PrimaryHDU()
    primary.header["OBJID"] = "2M00000000+0000000"
    table = fits.BinTableHDU.from_columns([fits.Column("APOGEE_ID", "18A", array=["2M00000000+0000000"])])
    path = folder / "aspcapStar-dr17-2M00000000+0000000.fits"
    fits.HDUList([primary, logarithmic(flux), logarithmic(error), logarithmic(flux), table]).writeto(
        path, overwrite=True
    )
    return path


def apogee_npz(folder: Path, edit: Edit = unchanged) -> Path:
    """Spectrum on the pixels of the detectors, wavelengths in a file beside it."""
    wave = apogee_grid()[on_chips(apogee_grid())]
    flux, error = star(wave, 1.0)
    edit(flux, error)
    np.savez(folder / "binspec_apogee_wavelength.npz", wavelength=wave)
    path = folder / "apogee_star.npz"
    np.savez(path, spectrum=flux.astype("f4"), spec_err=error.astype("f4"))
    return path


def sdss_spec(
    folder: Path, edit: Edit = unchanged, instrument: str = "SDSS", and_mask: np.ndarray | None = None
) -> Path:
    """A spec file of 500 pixels; loglam is float32, and `or_mask` is set everywhere."""
    loglam = 3.7 + 1e-4 * np.arange(500)
    flux, error = star(10**loglam, 20.0)
    edit(flux, error)
    columns = {
        "flux": flux.astype("f4"),
        "loglam": loglam.astype("f4"),
        "ivar": ivar(error).astype("f4"),
        "and_mask": np.zeros(500, "i4") if and_mask is None else and_mask,
        "or_mask": np.full(500, 1 << 23, "i4"),
        "wdisp": np.full(500, 1.1, "f4"),
    }
    primary = fits.PrimaryHDU()
    primary.header.update(PLATEID=266, MJD=51602, FIBERID=31, COEFF0=3.6, COEFF1=1e-4, VACUUM=True)
    results = Table({"INSTRUMENT": [instrument], "BESTOBJID": ["1237648721216405598"], "CLASS": ["STAR"], "Z": [0.0]})
    path = folder / "spec-0266-51602-0031.fits"
    fits.HDUList(
        [primary, fits.BinTableHDU(Table(columns), name="COADD"), fits.BinTableHDU(results, name="SPECOBJ")]
    ).writeto(path, overwrite=True)
    return path


#: First wavelength (air Å) and step of the HERMES CCDs.
CCDS = ((4714.06, 0.04595), (5648.73, 0.05469), (6476.26, 0.06316), (7584.11, 0.07358))


def galah(
    folder: Path,
    edit: Edit = unchanged,
    ccds: str = "1234",
    bary: float | str = -13.36,
    boxiness: float = 2.8,
    telluric: float = 1.0,
) -> Path:
    """The CCDs of one star, 4096 pixels each; pixels 100 to 199 have the telluric transmission given."""
    path = folder / "none"
    for ccd in ccds:
        start, step = CCDS[int(ccd) - 1]
        flux, error = star(start + step * np.arange(4096), 1000.0)
        edit(flux, error)
        transmission = np.ones(4096)
        transmission[100:200] = telluric
        with np.errstate(divide="ignore", invalid="ignore"):
            planes = {
                "": flux,
                "normalized": flux / 1000.0,
                "relative_error": error / flux,
                "teluric": transmission,
                "resolution_profile": np.full(4096, 0.25),
            }
        hdus = [fits.PrimaryHDU(data) if not name else fits.ImageHDU(data, name=name) for name, data in planes.items()]
        for hdu in hdus:
            hdu.header.update(CRVAL1=start, CDELT1=step, CRPIX1=1.0, CTYPE1="LINEAR", CUNIT1="angstroms")
        hdus[0].header.update(
            BARYEFF=bary, B=boxiness, GAIA_ID="3335074476514836608", RVCOM=-18.7, TEFF_R=4688.4, LOGG_R="None"
        )
        path = folder / f"21011500010100{1}{ccd}.fits"
        fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


#: TARGETIDs of the DESI example; the third is there twice.
TARGETS = (39627000000000001, 39627000000000002, 39627000000000003, 39627000000000003)


def desi_coadd(folder: Path, edit: Edit = unchanged, mask: np.ndarray | None = None) -> Path:
    """Four rows, arms of 300 pixels, resolution matrices of 11 diagonals; the level of row k is 10 (k + 1)."""
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(Table({"TARGETID": np.array(TARGETS)}), name="FIBERMAP")]
    for band, start in (("B", 3600.0), ("R", 5760.0), ("Z", 7520.0)):
        wave = start + 0.8 * np.arange(300)
        rows = [star(wave, 10.0 * (k + 1)) for k in range(len(TARGETS))]
        flux, error = (np.array(plane) for plane in zip(*rows, strict=True))
        edit(flux, error)
        offsets = np.arange(5, -6, -1)
        bands = np.exp(-0.5 * (offsets / 1.2) ** 2)
        # a kernel that leans: matrices read in the wrong order would show
        bands = bands * (1 + 0.05 * offsets)
        bands = np.tile((bands / bands.sum())[:, None], (len(TARGETS), 1, 300))
        hdus += [
            fits.ImageHDU(wave, name=f"{band}_WAVELENGTH"),
            fits.ImageHDU(flux.astype("f4"), name=f"{band}_FLUX"),
            fits.ImageHDU(ivar(error).astype("f4"), name=f"{band}_IVAR"),
            fits.ImageHDU(np.zeros(flux.shape, "i4") if mask is None else mask, name=f"{band}_MASK"),
            fits.ImageHDU(bands.astype("f4"), name=f"{band}_RESOLUTION"),
        ]
    path = folder / "coadd-main-bright-10016.fits"
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def fits_1d(folder: Path, edit: Edit = unchanged, header: dict[str, Any] | None = None) -> Path:
    """500 pixels of 0.1 Å from 5000 Å, with an extension of errors; `header` replaces the wavelengths' cards."""
    flux, error = star(5000.0 + 0.1 * np.arange(500))
    edit(flux, error)
    primary = fits.PrimaryHDU(flux)
    primary.header.update(header if header is not None else {"CRVAL1": 5000.0, "CDELT1": 0.1, "CRPIX1": 1.0})
    path = folder / "hd1.fits"
    fits.HDUList([primary, fits.ImageHDU(error, name="ERROR")]).writeto(path, overwrite=True)
    return path


def table(folder: Path, edit: Edit = unchanged, name: str = "star.ecsv", **meta: Any) -> Path:
    """ECSV with units and metadata."""
    wave = 500.0 + 0.01 * np.arange(500)
    flux, error = star(10 * wave)
    edit(flux, error)
    columns = Table({"wavelength": wave, "flux": flux, "error": error}, meta=meta or {"medium": "vacuum"})
    columns["wavelength"].unit = "nm"
    path = folder / name
    columns.write(path, overwrite=True)
    return path


def echelle_hdf5(folder: Path, edit: Edit = unchanged, **attributes: Any) -> Path:
    """Three orders of 400 pixels that overlap."""
    wave = np.array([start + 0.05 * np.arange(400) for start in (5000.0, 5015.0, 5030.0)])
    flux, error = (np.array(rows) for rows in zip(*(star(row) for row in wave), strict=True))
    edit(flux, error)
    path = folder / "echelle.hdf5"
    with h5py.File(path, "w") as file:
        file.update({"wls": wave, "fls": flux.astype("f4"), "sigmas": error.astype("f4")})
        file.attrs.update(attributes or {"BCV": -19.99})
    return path


@dataclass(frozen=True)
class Example:
    """How to write a file of a format, and the options to read it with."""

    write: Callable[..., Path]
    options: dict[str, Any] = field(default_factory=dict)


EXAMPLES = {
    "apogee-npz": Example(apogee_npz),
    "apstar": Example(apstar),
    "apvisit": Example(apvisit),
    "aspcapstar": Example(aspcapstar),
    "desi-coadd": Example(desi_coadd, {"row": 0}),
    "echelle-hdf5": Example(echelle_hdf5, {"medium": "air", "instrument": "tres"}),
    "fits-1d": Example(fits_1d, {"medium": "air"}),
    "galah": Example(galah),
    "sdss-spec": Example(sdss_spec),
    "table": Example(table),
}
