"""Real stars of several surveys, fitted with the emulators of the surveys and compared with known labels.

    python benchmarks/survey_stars.py lamost --data data --emulator optical-low --output build/survey-stars
    python benchmarks/survey_stars.py benchmark rvs apogee lamost repeats miles --data data

`--data` is a folder with spectra and libraries of stars under the names below. Every survey has a usual emulator;
`--emulator` names another one, or its folder. Every star is fitted with the defaults of `fit_star` for real stars
(`fast`, robust errors) but for what its survey says, and its result is appended to ``<survey>.jsonl`` in `--output`
at once: a run that was killed goes on, so give another folder for another emulator or method. Then
`survey_stars_report.py` writes ``<survey>.md`` with the tables and ``<survey>.png``; `--report` does that alone.

Stars and known labels:

- ``benchmark``: those of `reference_stars.py` at high resolution, Aldebaran (Heiter et al. 2015, A&A 582, A49), and
  five giants of M 92 through Keck/HIRES (Kirby et al. 2025), whose Teff and log g are photometric. The Sun and Procyon
  have tuned line strengths of the wide grid (`solar_log_gf.py`), and test nothing for emulators that learned it.
- ``rvs``: Gaia DR3 mean spectra. Kepler-93: Ballard et al. 2014, ApJ 790, 12. The others have no labels here.
- ``apogee``: ASPCAP's labels before calibration and its best fit (aspcapStar), a star without labels (apStar), and
  atlases of the Sun and of Arcturus (Ramírez & Allende Prieto 2011, ApJ 743, 135) at APOGEE's resolution.
- ``lamost``: DR1 spectra with the labels of LASP (Luo et al. 2015, RAA 15, 1095).
- ``repeats``: LAMOST spectra of stars that were seen several times: what differs between them is error.
- ``miles``: FGK stars of MILES (Sánchez-Blázquez et al. 2006, MNRAS 371, 703), 2.5 Å wide (Falcón-Barroso et al. 2011,
  A&A 532, A95), with the labels of Cenarro et al. 2007 (MNRAS 374, 664); their errors: `MILES_ERRORS`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np
from astropy.io import fits
from astropy.table import Table
from reference_stars import KNOWN_ERRORS, STARS, smoothed
from survey_stars_report import read_records, report

import bayne
from bayne.lsf import GaussianLSF
from bayne.spectrum import Arm

Known = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Star:
    """A spectrum and what is known of its star.

    Parameters
    ----------
    name
        Unique in a survey.
    read
        Reads the spectrum, with its line-spread function.
    known
        Value and error (0 where none is stated) by label.
    parts
        Rows of the table in which it counts.
    group
        Spectra of one star share it.
    compare
        What else is to be measured on the fit.
    """

    name: str
    read: Callable[[], bayne.Spectrum]
    known: Known = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    group: str = ""
    compare: Callable[[bayne.FitResult], dict[str, float]] | None = None


@dataclass(frozen=True)
class Survey:
    """Stars that are fitted alike.

    Parameters
    ----------
    emulator
        Name of the usual one.
    stars
        From the folder of the data.
    options
        Of `fit_star`.
    """

    emulator: str
    stars: Callable[[Path], Iterator[Star]]
    options: dict[str, Any] = field(default_factory=dict)


def labels(values: Sequence[float], errors: Sequence[float] = (0.0, 0.0, 0.0), **more: tuple[float, float]) -> Known:
    """What is known of Teff, log g, [Fe/H] and `more`, without what is not finite."""
    three = dict(zip(("teff", "logg", "fe_h"), zip(values, errors, strict=True), strict=True))
    return {name: (float(x), float(error)) for name, (x, error) in (three | more).items() if np.isfinite(x)}


#: Resolution of the library of benchmark stars, to which sharper spectra are brought.
LIKE_LIBRARY = 47_000

#: Errors of well-known values of Teff, log g and [Fe/H].
KNOWN = tuple(KNOWN_ERRORS.values())

#: Spectra that were moved to rest should have no velocity, but for what their files were moved by wrongly (km/s).
AT_REST = (0.0, 0.5)


def benchmark(data: Path) -> Iterator[Star]:
    """High resolution: stars of `reference_stars.py` that are in the library or were observed with MIKE, and M 92."""
    stars = dict(STARS)
    stars["aldebaran"] = ("", "benchmark/HARPS.GBOG_alfTau.fits", {}, {"native": 115_000}, (3927, 1.11, -0.37))
    for name, (_, file, reading, options, values) in stars.items():
        if file.startswith("benchmark/") or options.get("instrument") == "mike":
            known = labels(values, KNOWN)
            if "Sun_HARPS" not in file and "WASP" not in file:
                known["rv"] = AT_REST
            yield Star(name, partial(sharp, data / "spectra" / file, reading, options), known, ("benchmark",))
    for path in sorted((data / "spectra" / "m92").glob("*_abund_teffphot.fits")):
        name = path.name.removesuffix("_abund_teffphot.fits")
        row = fits.getdata(path, 1)[0]
        values, errors = ([float(row[key + end]) for key in ("TEFF", "LOGG", "FEH")] for end in ("", "ERR"))
        read = partial(sharp, path.with_name(f"{name}.fits.gz"), {"medium": "air", "unit": "A"}, {"resolution": 45_000})
        yield Star(name, read, labels(values, errors, vmic=(row["VT"], row["VTERR"])), ("M 92",))


def sharp(path: Path, reading: dict[str, Any], options: dict[str, Any]) -> bayne.Spectrum:
    """A spectrum with the resolution, or the instrument, that its entry in `reference_stars.py` has; none sharper."""
    spectrum = bayne.read_spectrum(path, **reading)
    resolution = options.get("resolution")
    if "native" in options:
        resolution = LIKE_LIBRARY
        spectrum = smoothed(spectrum, options["native"], resolution)
    if resolution is not None:
        return binned(spectrum, resolution)
    return replace(spectrum, instrument=options.get("instrument", spectrum.instrument))


def binned(spectrum: bayne.Spectrum, resolution: float) -> bayne.Spectrum:
    """Averages of neighbouring pixels, two or more to a resolution element.

    Files with many more have no more information, and fits of them take longer. Pixels of a bin share their noise.
    """
    arms = []
    for arm in spectrum.arms:
        number = max(1, int(np.median(arm.wavelength[:-1] / np.diff(arm.wavelength)) / resolution / 2))
        shape = (arm.flux.size // number, number)
        whole = slice(shape[0] * number)
        good = np.all(arm.good[whole].reshape(shape), axis=1)
        wavelength, flux = (column[whole].reshape(shape).mean(axis=1) for column in (arm.wavelength, arm.flux))
        ivar = None if arm.ivar is None else arm.ivar[whole].reshape(shape).mean(axis=1)
        arms.append(Arm(wavelength, np.where(good, flux, 0.0), ivar, ~good, None, arm.name))
    return replace(spectrum, arms=tuple(arms)).with_resolution(resolution)


def rvs(data: Path) -> Iterator[Star]:
    """Gaia RVS."""
    named = {"Kepler-93": labels((5669, 4.47, -0.18), (75, 0.01, 0.1))}
    for path in sorted((data / "spectra" / "gaia_rvs").glob("*.csv.gz")):
        name = path.name.removesuffix(".csv.gz")
        yield Star(name, partial(bayne.read_spectrum, path), named.get(name, {}) | {"rv": AT_REST})


def apogee(data: Path) -> Iterator[Star]:
    """APOGEE's files, and atlases of the H band."""
    folder = data / "spectra" / "apogee"
    for path in sorted(folder.glob("aspcapStar*.fits")):
        teff, logg, _, metals, *_ = fits.getdata(path, 4)["FPARAM"][0]
        known = labels((teff, logg, metals), (70, 0.1, 0.05), rv=AT_REST)
        name = path.stem.rpartition("-2M")[2]
        yield Star(f"2M{name}", partial(bayne.read_spectrum, path), known, compare=partial(against_aspcap, path))
    for path in sorted(folder.glob("apStar*.fits")):
        yield Star(path.stem.rpartition("-")[2], partial(bayne.read_spectrum, path), {"rv": AT_REST})
    atlases = {"sun": (5772, 4.44, 0.0), "arcturus": (4286, 1.66, -0.52)}
    for name, values in atlases.items():
        path = data / "spectra" / "h_band" / f"{name}_observed.txt.gz"
        yield Star(name, partial(like_apogee, path), labels(values, KNOWN))


def like_apogee(path: Path) -> bayne.Spectrum:
    """An atlas of the H band at the resolution of APOGEE; what velocity it was moved by is not stated."""
    atlas = bayne.read_spectrum(path, medium="air", unit="Angstrom", frame="rest", normalized=True)
    return binned(smoothed(atlas, 100_000, 22_500), 22_500)


def against_aspcap(path: Path, result: bayne.FitResult) -> dict[str, float]:
    """Robust scatter of the residuals of our fit and of ASPCAP's on the same pixels, relative to the continuum."""
    header, flux, best = fits.getheader(path, 1), fits.getdata(path, 1), fits.getdata(path, 3)
    ours, theirs = [], []
    for arm in result.arms:
        place = np.rint((np.log10(arm.wavelength[arm.used]) - header["CRVAL1"]) / header["CDELT1"]).astype(int)
        ours.append(((arm.flux - arm.model) / arm.continuum)[arm.used])
        theirs.append(np.where(best[place] > 0, flux[place] - best[place], np.nan))
    both = np.concatenate(ours), np.concatenate(theirs)
    seen = np.isfinite(both[1])
    return {
        name: float(1.4826 * np.median(np.abs(values[seen])))
        for name, values in zip(("residual", "aspcap_residual"), both, strict=True)
    }


def lamost(data: Path) -> Iterator[Star]:
    """LAMOST stars with labels of LASP; velocities are heliocentric."""
    folder = data / "libraries" / "lamost_dr1"
    for row in Table.read(folder / "labels.csv"):
        file, snr = str(row["filename"]), float(row["snrg"])
        part = "S/N < 15" if snr < 15 else "S/N 15 to 30" if snr < 30 else "S/N > 30"
        values, errors = ([row[key + end] for key in ("teff", "logg", "feh")] for end in ("", "_err"))
        known = labels(values, errors, rv=(row["rv"], row["rv_err"]))
        read = partial(bayne.read_spectrum, folder / f"{file}.gz")
        yield Star(file.removesuffix(".fits"), read, known, (part,))


def repeats(data: Path) -> Iterator[Star]:
    """LAMOST spectra of stars that have more than one."""
    folder = data / "libraries" / "lamost_repeats"
    table = Table.read(folder / "groups.csv")
    groups, number = np.unique(table["group"], return_counts=True)
    for row in table[np.isin(table["group"], groups[number > 1])]:
        file = str(row["filename"])
        part = "S/N < 40" if row["snrg"] < 40 else "S/N > 40"
        read = partial(bayne.read_spectrum, folder / file)
        yield Star(file.removesuffix(".fits.gz"), read, parts=(part,), group=str(row["group"]))


#: How well labels of FGK stars of MILES agree between two analyses (Prugniel, Vauglin & Koleva 2011, A&A 531, A165).
MILES_ERRORS = (60.0, 0.13, 0.05)


def miles(data: Path) -> Iterator[Star]:
    """FGK stars of MILES; the file has no errors."""
    with h5py.File(data / "libraries" / "miles.h5") as file:
        names = ("number", "teff", "logg", "fe_h", "flux")
        number, teff, logg, fe_h, flux = (file[name][:] for name in names)
        wavelength = file["wavelength"][:]
    for i in np.flatnonzero((teff > 3900) & (teff < 7500)):
        kind = "K" if teff[i] < 5250 else "G" if teff[i] < 6000 else "F"
        iron = "[Fe/H] < -1.5" if fe_h[i] < -1.5 else "[Fe/H] -1.5 to -0.5" if fe_h[i] < -0.5 else "[Fe/H] > -0.5"
        parts = (f"{kind} {'dwarfs' if logg[i] > 3.5 else 'giants'}", iron)
        known = labels((teff[i], logg[i], fe_h[i]), MILES_ERRORS, rv=(0.0, 10.0))
        yield Star(f"miles-{number[i]:04d}", partial(of_miles, wavelength, flux[i]), known, parts)


def of_miles(wavelength: np.ndarray, flux: np.ndarray) -> bayne.Spectrum:
    """A spectrum of MILES: in air, at rest, 2.5 Å wide at every wavelength."""
    spectrum = bayne.Spectrum.from_arrays(wavelength, flux, medium="air", frame="rest")
    (arm,) = spectrum.arms
    return replace(spectrum, arms=(replace(arm, lsf=GaussianLSF(np.full(arm.wavelength.size, 2.5))),))


#: Without telluric oxygen and water, of which the errors of these files do not know; Na D goes with them (vacuum Å).
OPTICAL = {"windows": [(4785, 5880), (5985, 6265), (6330, 6815)]}

SURVEYS = {
    "benchmark": Survey("optical-high", benchmark, OPTICAL),
    "rvs": Survey("rvs", rvs),
    "apogee": Survey("apogee", apogee),
    "lamost": Survey("optical-low", lamost),
    "repeats": Survey("optical-low", repeats),
    # the S/N is that of most stars per Å: an estimate from the pixels would take crowded lines for noise
    "miles": Survey("optical-low", miles, {"continuum": 10, "snr": 100}),
}


class Compilation:
    """Seconds that JAX has compiled for."""

    def __init__(self) -> None:
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._add)

    def _add(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            self.seconds += duration_secs


def peak_memory() -> float:
    """Most memory (MB) of this process since the last call; Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def inside(star: Star, emulator: bayne.Emulator) -> bool:
    """Whether the known labels are in the domain, as far as they are known."""
    middle = (emulator.lower + emulator.upper) / 2
    own = [star.known.get(name, (value, 0.0))[0] for name, value in zip(emulator.label_names, middle, strict=True)]
    return bool(emulator.contains(np.array(own)))


def told(star: Star, found: bayne.FitResult | str, emulator: bayne.Emulator) -> dict[str, Any]:
    """What is kept of a fit; a sentence is why there is none."""
    record: dict[str, Any] = {
        "name": star.name, "known": star.known, "parts": star.parts, "group": star.group,
        "inside": inside(star, emulator), "emulator": [emulator.card.name, emulator.card.grid_hash],
    }  # fmt: skip
    if isinstance(found, str):
        return record | {"ok": False, "flags": ["FAILED"], "messages": [found], "labels": {}, "diagnostics": {}}
    rows = {str(row["label"]): row for row in found.table}
    values = {
        name: [float(rows[name][column]) for column in ("median", "std", "std_photon")] for name in found.label_names
    }
    iron = values.get("fe_h", [0.0])[0]
    common = emulator.card.discrepancies(iron) if np.isfinite(iron) else {}
    # at the maximum: the domain cuts draws off, so that their variance is no sum
    variance = dict(zip(found.names, np.diag(found.fisher_covariance), strict=True))
    own = {name: float(np.sqrt(max(variance[name] - common.get(name, 0.0) ** 2, 0.0))) for name in found.label_names}
    return record | {
        "ok": found.ok, "flags": found.flags.names, "messages": list(found.messages), "labels": values,
        "discrepancy": common, "own": own,
        "diagnostics": {key: value for key, value in found.diagnostics.items() if np.isfinite(value)},
        "compared": star.compare(found) if star.compare is not None and found.ok else {},
    }  # fmt: skip


def fit(name: str, emulator: bayne.Emulator, arguments: argparse.Namespace) -> None:
    """Fit the stars of a survey that are not in its file yet, and append them to it."""
    survey, path, compiled = SURVEYS[name], arguments.output / f"{name}.jsonl", Compilation()
    done = {record["name"] for record in read_records(path)}
    stars = [star for star in survey.stars(arguments.data) if star.name not in done]
    if name == "miles":
        stars = [star for star in stars if inside(star, emulator)]
    for i in range(0, min(len(stars), arguments.number), arguments.together):
        some = stars[i : i + arguments.together]
        peak_memory()
        start, before = time.perf_counter(), compiled.seconds
        spectra = [replace(star.read(), id=star.name) for star in some]
        batch = bayne.fit_batch(spectra, emulator, method=arguments.method, **survey.options)
        seconds = (time.perf_counter() - start) / len(some)
        cost = {"seconds": seconds, "compiling": (compiled.seconds - before) / len(some), "memory": peak_memory()}
        with path.open("a", encoding="utf-8") as file:
            for star, found in zip(some, batch.results, strict=True):
                record = told(star, found, emulator) | cost
                file.write("\n" + json.dumps(record))  # a line that a kill cut short stays alone
                print(f"{star.name}: {seconds:.1f} s, {', '.join(record['flags'])}", flush=True)
        if arguments.save:
            for found in batch.results:
                if not isinstance(found, str):
                    found.save(arguments.output / f"{name}-{found.id}.nc", overwrite=True)


def main() -> None:
    """Fit, tabulate, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("surveys", nargs="+", choices=list(SURVEYS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--emulator", help="name or folder, instead of the usual one")
    parser.add_argument("--method", default="fast")
    parser.add_argument("--number", type=int, default=100_000, help="of stars to fit now")
    parser.add_argument("--together", type=int, default=1, help="stars in one call of fit_batch; 128 for a GPU")
    parser.add_argument("--save", action="store_true", help="keep the whole results too")
    parser.add_argument("--report", action="store_true", help="fit nothing")
    parser.add_argument("--output", type=Path, default=Path("build/survey-stars"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.surveys:
        if not arguments.report:
            fit(name, bayne.load_emulator(arguments.emulator or SURVEYS[name].emulator), arguments)
        report(name, arguments.output)


if __name__ == "__main__":
    main()
