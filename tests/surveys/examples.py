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


def apstar(
    folder: Path, edit: Edit = unchanged, visits: int = 3, mask: np.ndarray | None = None, rows: int = 0
) -> Path:
    """Row k has the level 100 (k + 1), so that rows can be told apart; one visit is one row, or as many as are said."""
    rows = rows or (1 if visits == 1 else visits + 2)
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


def lamost_header(**more: Any) -> fits.PrimaryHDU:
    """A primary HDU of LAMOST."""
    primary = fits.PrimaryHDU()
    known = {"TELESCOP": "LAMOST", "DESIG": "LAMOST J000000.00+000000.0", "OBSID": 1, "HELIO_RV": -29.3}
    primary.header.update(known | {"HELIO": True, "VACUUM": True} | more)
    return primary


def lamost_planes(edit: Edit, mask: np.ndarray | None) -> np.ndarray:
    """(5, 500) flux, inverse variance, wavelength, and-mask and or-mask; half of the pixels in each arm."""
    wave = 10 ** (3.7384 + 1e-4 * np.arange(500))
    halves = [star(part, 100.0) for part in (wave[:250], wave[250:])]
    for half in halves:
        edit(*half)
    flux, error = (np.concatenate(parts) for parts in zip(*halves, strict=True))
    bits = np.zeros(500) if mask is None else mask
    return np.array([flux, ivar(error), wave, bits, np.full(500, 1.0)]).astype("f4")


GRID = {"COEFF0": 3.7384, "COEFF1": 1e-4}


def lamost(folder: Path, edit: Edit = unchanged, mask: np.ndarray | None = None, **header: Any) -> Path:
    """A low-resolution file as since DR8: one row of arrays, all float32."""
    primary = lamost_header(**(GRID | {"CLASS": "STAR", "Z": -1e-4} | header))
    names = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK")
    planes = dict(zip(names, lamost_planes(edit, mask)[:, None], strict=True))
    path = folder / "spec-55877-B7708_sp03-110.fits"
    fits.HDUList([primary, fits.BinTableHDU(Table(planes), name="COADD")]).writeto(path, overwrite=True)
    return path


def lamost_image(folder: Path, edit: Edit = unchanged, first: bool = False, **header: Any) -> Path:
    """A low-resolution file as until DR7; in the first release the third row is no wavelength."""
    planes = lamost_planes(edit, None)
    said = "Flux Inverse Subcontinuum Andmask Ormask" if first else "Flux, Inverse, Wavelength, Andmask, Ormask"
    if first:
        planes[2] = 1.0
    primary = lamost_header(CLASS="STAR", Z=-1e-4, EXTEN0=said, **(GRID | header))
    primary.data = planes
    path = folder / "spec-55862-B6212_sp06-020.fits"
    fits.HDUList([primary]).writeto(path, overwrite=True)
    return path


def lamost_mrs(folder: Path, edit: Edit = unchanged, coadd: str = "BR") -> Path:
    """Combinations of the arms given, and two exposures of each arm; those of red run from the red to the blue."""
    hdus = [lamost_header(EXTNAME="Information")]
    for name in (*(f"COADD_{arm}" for arm in coadd), "B-83555758", "B-83555772", "R-83555758", "R-83555772"):
        loglam = (3.7 if "B" in name[-1:] + name[:1] else 3.8) + 1e-5 * np.arange(400)
        flux, error = star(10**loglam, 200.0 if name.startswith("COADD") else 50.0)
        edit(flux, error)
        table = {"FLUX": flux.astype("f4"), "IVAR": ivar(error).astype("f4"), "LOGLAM": loglam.astype("f4")}
        table |= {key: np.zeros(400, "i2") for key in (("ANDMASK", "ORMASK") if "COADD" in name else ("PIXMASK",))}
        rows = Table(table)[:: -1 if name.startswith("R-") else 1]
        hdus.append(fits.BinTableHDU(rows, name=name))
    path = folder / "med-58025-HIP9645901_sp02-051.fits"
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


#: Sources of the Gaia examples.
SOURCES = (2052747119115620352, 4268620287278693120)


def rvs_table(edit: Edit, sources: int, raw: bool) -> Table:
    """A row per pixel, or (raw) a row of arrays per source without wavelengths; source k has the level k + 1."""
    wave = 846.0 + 0.01 * np.arange(2401)
    spectra = [star(wave, float(k + 1)) for k in range(sources)]
    for spectrum in spectra:
        edit(*spectrum)
    flux, error = (np.array(planes, "f4") for planes in zip(*spectra, strict=True))
    if raw:
        return Table({"source_id": np.array(SOURCES[:sources]), "flux": flux, "flux_error": error})
    table = Table({"source_id": np.repeat(SOURCES[:sources], 2401), "wavelength": np.tile(wave, sources)})
    table["flux"], table["flux_error"] = flux.ravel(), error.ravel()
    table["wavelength"].unit = "nm"
    return table


def gaia_rvs(
    folder: Path, edit: Edit = unchanged, name: str = "RVS-Gaia-DR3.csv", sources: int = 1, raw: bool = False
) -> Path:
    """CSV, ECSV, VOTable or FITS, by the ending; in CSV an array is text."""
    table = rvs_table(edit, sources, raw)
    path = folder / name
    if raw and path.suffix == ".csv":
        for column in ("flux", "flux_error"):
            table[column] = ["[" + ",".join(map(str, cell)) + "]" for cell in table[column]]
    known = {".csv": "csv", ".ecsv": "ascii.ecsv", ".xml": "votable", ".fits": "fits"}
    table.write(path, overwrite=True, format=known[path.suffix])
    return path


def mwm_table(
    name: str, rows: int, edit: Edit = unchanged, flags: int = 0, star_file: bool = False
) -> fits.BinTableHDU:
    """One table of a mwmStar or mwmVisit file; row k has the level 10 (k + 1)."""
    start, step, n = (3.5523, 1e-4, 4648) if name.startswith("BOSS") else (4.179, 6e-6, 8575)
    wave = 10 ** (start + step * np.arange(n))
    planes = [star(wave, 10.0 * (k + 1)) for k in range(rows)]
    for plane in planes:
        edit(*plane)
    flux, error = (np.array(rows, "f4").reshape(-1, n) for rows in (zip(*planes, strict=True) if planes else ([], [])))
    table = {"sdss_id": np.full(rows, 42), "flux": flux, "ivar": ivar(error).astype("f4")}
    table["pixel_flags"] = np.full((rows, n), flags)
    table |= {"wavelength": np.tile(wave, (rows, 1))} if star_file else {"mjd": 59804 + np.arange(rows)}
    hdu = fits.BinTableHDU(Table(table), name=name)
    hdu.header.update(CRVAL=start, CDELT=step, NPIXELS=n)
    return hdu


def mwm(
    folder: Path, edit: Edit = unchanged, boss: int = 1, apogee: int = 0, flags: int = 0, visits: bool = False
) -> Path:
    """A file with so many spectra of BOSS and of APOGEE; the other tables are empty."""
    held = {"BOSS/APO": boss, "BOSS/LCO": 0, "APOGEE/APO": apogee, "APOGEE/LCO": 0}
    hdus = [mwm_table(name, rows, edit, flags, not visits) for name, rows in held.items()]
    path = folder / ("mwmVisit-0.6.0-42.fits" if visits else "mwmStar-0.6.0-42.fits")
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
    return path


def weave(folder: Path, edit: Edit = unchanged, mode: str = "LOWRES", **header: Any) -> Path:
    """Three fibres of the red arm; row k has 10 (k + 1) counts, and a sensitivity of 2."""
    wave = 6000.0 + 0.5 * np.arange(400)
    rows = [star(wave, 10.0 * (k + 1)) for k in range(3)]
    flux, error = (np.array(plane) for plane in zip(*rows, strict=True))
    edit(flux, error)
    primary = fits.PrimaryHDU()
    primary.header.update(CAMERA="WEAVERED", MODE=mode, OBSMODE="MOS")
    planes = {"RED_DATA": flux, "RED_IVAR": ivar(error), "RED_SENSFUNC": np.full(flux.shape, 2.0)}
    images = [fits.ImageHDU(plane.astype("f4"), name=name) for name, plane in planes.items()]
    for image in images:
        image.header.update({"CRVAL1": 6000.0, "CD1_1": 0.5, "CRPIX1": 1.0, "CUNIT1": "Angstrom"} | header)
    names = [f"WVE_00000000+000000{k}" for k in range(3)]
    fibres = Table({"FIBREID": np.arange(101, 104), "CNAME": names, "TARGID": ["a", "b", "b"]})
    path = folder / "single_1003453.fit"
    fits.HDUList([primary, *images, fits.BinTableHDU(fibres, name="FIBTABLE")]).writeto(path, overwrite=True)
    return path


def eso(folder: Path, edit: Edit = unchanged, column: dict[str, str] | None = None, **header: Any) -> Path:
    """A product of ESO's archive: one row of arrays, the sky before the flux; `column` replaces cards of the table."""
    wave = 5000.0 + 0.05 * np.arange(500)
    flux, error = star(wave)
    edit(flux, error)
    quality = np.zeros(500, "i4")
    table = Table({"WAVE": [wave], "BG": [np.zeros(500)], "FLUX": [flux], "ERR": [error], "QUAL": [quality]})
    hdu = fits.BinTableHDU(table, name="SPECTRUM")
    hdu.header.update({"TUNIT1": "angstrom", "TUCD1": "em.wl;obs.atmos", "VOCLASS": "SPECTRUM V1.0"} | (column or {}))
    roles = ("SpectralAxis.Value", "BackgroundModel.Value", "FluxAxis.Value")
    roles += ("FluxAxis.Accuracy.StatError", "FluxAxis.Accuracy.QualityStatus")
    hdu.header.update({f"TUTYP{i + 1}": f"Spectrum.Data.{role}" for i, role in enumerate(roles)})
    primary = fits.PrimaryHDU()
    known = {"INSTRUME": "UVES", "SPECSYS": "BARYCENT", "SPEC_RES": 42_310.0, "OBJECT": "HD 1", "CONTNORM": False}
    primary.header.update(known | header)
    path = folder / "ADP.2016-07-18T09.fits"
    fits.HDUList([primary, hdu]).writeto(path, overwrite=True)
    return path


def fourmost(folder: Path, edit: Edit = unchanged, step: float = 0.25, kind: str = "em.wl") -> Path:
    """An L1 spectrum of 4MOST."""
    wave = 5200.0 + step * np.arange(500)
    flux, error = star(wave, 1.0)
    edit(flux, error)
    columns = {"WAVE": wave, "FLUX": flux, "ERR_FLUX": error, "QUAL": np.zeros(500, "i4"), "FLUX_NOSS": flux + 1}
    hdu = fits.BinTableHDU(Table({name: [column] for name, column in columns.items()}), name="PHASE3SPECTRUM")
    hdu.header.update({"TUNIT1": "Angstrom", **({"TUCD1": kind} if kind else {})})
    primary = fits.PrimaryHDU()
    primary.header.update(INSTRUME="QMOST", SPECSYS="BARYCENT", CNAME="00000000+0000000", SPEC_RES=5000.0)
    path = folder / "qmost_20221010_100101_LJ1.fits"
    fits.HDUList([primary, hdu]).writeto(path, overwrite=True)
    return path


def benchmark(folder: Path, edit: Edit = unchanged, name: str = "UVES_epsEri_47000.fits", unit: str = "NM") -> Path:
    """A spectrum of the library of benchmark stars."""
    wave = 4800.0 + 0.01 * np.arange(200_000)
    flux, error = star(wave, 1.0)
    edit(flux, error)
    scale = 10.0 if unit == "NM" else 1.0
    hdus = [fits.PrimaryHDU(flux.astype("f4")), fits.ImageHDU(error.astype("f4"), name="SIGMA")]
    for hdu in hdus:
        hdu.header.update(
            ORIGIN="iSpec", CUNIT1=unit, CTYPE1="AWAV", CRVAL1=4800.0 / scale, CDELT1=0.01 / scale, CRPIX1=1
        )
    path = folder / name
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


@dataclass(frozen=True)
class Example:
    """How to write a file of a format, and the options to read it with."""

    write: Callable[..., Path]
    options: dict[str, Any] = field(default_factory=dict)


EXAMPLES = {
    "4most-l1": Example(fourmost),
    "apogee-npz": Example(apogee_npz),
    "apstar": Example(apstar),
    "apvisit": Example(apvisit),
    "aspcapstar": Example(aspcapstar),
    "desi-coadd": Example(desi_coadd, {"row": 0}),
    "eso-phase3": Example(eso),
    "gaia-benchmark": Example(benchmark),
    "gaia-rvs": Example(gaia_rvs),
    "lamost-lrs": Example(lamost),
    "lamost-mrs": Example(lamost_mrs),
    "mwm": Example(mwm),
    "weave-l1": Example(weave, {"row": 0}),
    "echelle-hdf5": Example(echelle_hdf5, {"medium": "air", "instrument": "tres"}),
    "fits-1d": Example(fits_1d, {"medium": "air"}),
    "galah": Example(galah),
    "sdss-spec": Example(sdss_spec),
    "table": Example(table),
}
