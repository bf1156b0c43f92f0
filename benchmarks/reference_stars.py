"""Fits of stars whose labels are known: deviations in units of the quoted errors, and what the physics misses by.

    python benchmarks/reference_stars.py --spectra spectra --output build/reference-stars [sun-hermes ...]

`--spectra` is a folder with the files named below: stars of the Gaia FGK benchmark library (Blanco-Cuaresma et al.
2014, A&A 566, A98; values: Heiter et al. 2015, A&A 582, A49; Jofré et al. 2018, RNAAS 2, 152; Hawkins et al. 2016, A&A
592, A70), reduced GALAH spectra (for giants the survey's quick values), WASP-14 (Joshi et al. 2009, MNRAS 392, 1532;
Torres et al. 2012, ApJ 757, 161), HD 122563 (Karovicova et al. 2020, A&A 640, A25) and giants of M 92 (Kirby et al.
2025).
Each star is fitted once and kept as JSON; a run that is called again goes on.

The discrepancy of a label is the standard deviation that has to be added to the errors of the fits, and of the known
labels, to explain the deviations of all stars that are ok (a Gaussian of mean zero, wider the fewer metals a star has).
Deviations of a star are judged with the discrepancy that the *other* stars give; spectra of one star count as one. The
table has errors without and with it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

import bayne
from bayne.calibration import label_discrepancy
from bayne.lsf import FWHM_PER_SIGMA
from bayne.wavelength import C_KMS

LABELS = ("teff", "logg", "fe_h")
#: Errors of the known labels.
KNOWN_ERRORS = {"teff": 40.0, "logg": 0.05, "fe_h": 0.05}
SUN = (5772, 4.44, 0.0)
LIBRARY = {"resolution": 47_000}
#: Without telluric oxygen, where the continuum of these files is wild, and without gaps between their orders (Å).
M92_WINDOWS = [(4715.0, 4900.0), (5650.0, 5870.0), (6480.0, 6540.0), (7690.0, 7815.0)]
#: Name of the star, file, options of reading and of fitting, known labels; "native" is the resolution of spectra that
#: are sharper than the emulator, which are smoothed to 47,000.
STARS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], tuple[float, float, float]]] = {
    "sun-hermes": ("Sun", "galah/2101150022012391.fits", {}, {}, SUN),
    "sun-atlas": ("Sun", "benchmark/ATLAS.Sun_47000.fits", {}, LIBRARY, SUN),
    "sun-harps": ("Sun", "benchmark/Sun_HARPS.fits", {"medium": "air"}, {"native": 115_000}, SUN),
    "eps-eri": ("eps Eri", "benchmark/UVES_epsEri-2_47000.fits", {}, LIBRARY, (5076, 4.61, -0.09)),
    "del-eri": ("del Eri", "benchmark/iraf_UVES.POP_delEri_47000.fits", {}, LIBRARY, (4954, 3.76, 0.06)),
    "hd106038": ("HD 106038", "benchmark/UVES_HD106038_47000.fits", {}, LIBRARY, (6121, 4.55, -1.25)),
    "hd175305": ("HD 175305", "benchmark/NARVAL_HD175305_47000.fits", {}, LIBRARY, (5060, 2.5, -1.4)),
    "61-cyg-b": ("61 Cyg B", "benchmark/iraf_NARVAL_61CygB_47000.fits", {}, LIBRARY, (4044, 4.67, -0.38)),
    "procyon": ("Procyon", "benchmark/HARPS.GBOG_Procyon.fits", {}, {"native": 115_000}, (6554, 4.0, 0.0)),
    "wasp-120": ("WASP-120", "benchmark/WASP-120_UVES_2017_rv.fits", {"medium": "air"}, LIBRARY, (6450, 4.3, -0.05)),
    "giant-1": ("giant 1", "galah/2101150001010011.fits", {}, {}, (4688, 2.19, -0.27)),
    "giant-2": ("giant 2", "galah/2101150001010021.fits", {}, {}, (4711, 2.40, -0.20)),
    "wasp-14-2009": ("WASP-14", "WASP14-2009-06-14.hdf5", {"medium": "air"}, {"instrument": "tres"}, (6450, 4.2, -0.1)),
    "wasp-14-2010": ("WASP-14", "WASP14-2010-03-29.hdf5", {"medium": "air"}, {"instrument": "tres"}, (6450, 4.2, -0.1)),
    "hd122563": (
        *("HD 122563", "hd122563.fits", {"medium": "air", "frame": "rest"}, {"instrument": "mike"}),
        (4620, 1.5, -2.6),
    ),
} | {
    f"m92-{i}": (
        *(f"M 92 {i}", f"m92/M92-star-{i}.fits.gz", {"medium": "air", "unit": "A"}),
        {"resolution": 45_000, "windows": M92_WINDOWS},
        (5010, np.nan, -2.39),
    )
    for i in (1, 2, 3, 4, 6)
}  # fmt: skip


def smoothed(spectrum: bayne.Spectrum, native: float, resolution: float) -> bayne.Spectrum:
    """A spectrum of lower resolution; its noise is to be estimated anew."""
    arms = []
    for arm in spectrum.arms:
        log_wave = np.log(arm.wavelength)
        grid = np.arange(log_wave[0], log_wave[-1], 0.3 / C_KMS)
        sigma = C_KMS * np.sqrt(resolution**-2 - native**-2) / FWHM_PER_SIGMA / 0.3
        flux = gaussian_filter1d(np.interp(grid, log_wave, np.where(arm.good, arm.flux, 1.0)), sigma)
        arms.append(replace(arm, flux=np.interp(log_wave, grid, flux), ivar=None))
    return replace(spectrum, arms=tuple(arms)).with_resolution(resolution)


def fit(name: str, folder: Path, emulator: bayne.Emulator, method: str, robust: bool) -> dict[str, Any]:
    """What is kept of a star's fit."""
    _, file, reading, options, _ = STARS[name]
    spectrum, options = bayne.read_spectrum(folder / file, **reading), dict(options)
    native = options.pop("native", None)
    if native is not None:
        spectrum = smoothed(spectrum, native, 47_000)
    result = bayne.fit_star(spectrum, emulator, method=method, robust=robust, id=name, **options)
    rows = {str(row["label"]): row for row in result.table}
    columns = ("median", "std", "std_photon")
    found = {label: [float(rows[label][column]) for column in columns] for label in rows if label in result.label_names}
    return {
        "labels": found, "ok": result.ok, "flags": result.flags.names, "messages": list(result.messages),
        "diagnostics": {k: v for k, v in result.diagnostics.items() if np.isfinite(v)},
    }  # fmt: skip


def main() -> None:
    """Fit, tabulate, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(STARS), help=f"which; all of {', '.join(STARS)}")
    parser.add_argument("--spectra", type=Path, required=True)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--method", default="laplace")
    parser.add_argument("--plain", action="store_true", help="without robust errors, as it was before")
    parser.add_argument("--output", type=Path, default=Path("build/reference-stars"))
    arguments = parser.parse_args()
    print(date.today(), ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax")), arguments.emulator, arguments.method)
    arguments.output.mkdir(parents=True, exist_ok=True)
    emulator = bayne.load_emulator(arguments.emulator)
    # what is added here are the other stars' discrepancies, not the card's own
    emulator = replace(emulator, card=replace(emulator.card, discrepancy={}))
    fits = {}
    for name in arguments.names:
        path = arguments.output / f"{name}.json"
        if not path.exists():
            found = fit(name, arguments.spectra, emulator, arguments.method, not arguments.plain)
            path.write_text(json.dumps(found, indent=1) + "\n")
        fits[name] = json.loads(path.read_text())
        print(name, f"{fits[name]['diagnostics']['seconds']:.0f} s", flush=True)
    judge(fits)


def judge(fits: dict[str, dict[str, Any]]) -> None:
    """Print the table of the stars, their discrepancies and how often errors hold."""
    star = np.array([STARS[name][0] for name in fits])
    ok = np.array([found["ok"] for found in fits.values()])
    iron = np.array([found["labels"]["fe_h"][0] for found in fits.values()])
    pulls, raw, errors = {}, {}, {}
    for label in LABELS:
        known = np.array([STARS[name][4][LABELS.index(label)] for name in fits])
        value, std = np.array([found["labels"][label][:2] for found in fits.values()]).T
        seen = ok & np.isfinite(known)
        total = np.hypot(std, KNOWN_ERRORS[label])
        base, slope = label_discrepancy((value - known)[seen], total[seen], iron[seen], star[seen])
        print(f"{label}: discrepancy {base:.3g}, {slope:.3g} per dex; bias {np.mean((value - known)[seen]):+.3g}")
        pulls[label], raw[label] = np.full(star.size, np.nan), (value - known) / total
        errors[label] = np.hypot(std, np.hypot(base, slope * np.maximum(-iron, 0.0)))
        for i, own in enumerate(star):
            others = seen & (star != own)
            if np.isfinite(known[i]):
                base, slope = label_discrepancy((value - known)[others], total[others], iron[others], star[others])
                left = np.hypot(base, slope * max(-iron[i], 0.0))
                pulls[label][i] = (value - known)[i] / np.hypot(total[i], left)
                errors[label][i] = np.hypot(std[i], left)
    print("\n| spectrum | Teff | log g | [Fe/H] | pulls | with discrepancy | misfit | verdict |")
    print("|---|---|---|---|---|---|---|---|")
    for i, (name, found) in enumerate(fits.items()):
        cells = [
            f"{value:.{d}f} ± {error:.{d}f}, {errors[label][i]:.{d}f} ({known:g})"
            for label, d, known in zip(LABELS, (0, 2, 2), STARS[name][4], strict=True)
            for value, error, _ in [found["labels"][label]]
        ]
        both = [", ".join(f"{kind[label][i]:+.1f}" for label in LABELS) for kind in (raw, pulls)]
        verdict = "ok" if found["ok"] else ", ".join(n for n in found["flags"] if bayne.Flag[n].bad)
        ratio = found["diagnostics"].get("misfit_ratio", np.nan)
        print(f"| {name} | {' | '.join((*cells, *both))} | {ratio:.1f} | {verdict} |")
    print("median errors of stars that are ok, discrepancy included:")
    print(", ".join(f"{label} {np.median(errors[label][ok]):.3g}" for label in LABELS))
    for what, kind in (("errors of the fit", raw), ("with discrepancy", pulls)):
        every = np.abs(np.concatenate([kind[label][ok] for label in LABELS]))
        every = every[np.isfinite(every)]
        shares = [np.mean(every < limit) for limit in (1, 2, 3)]
        print(f"{what}: within 1, 2, 3 sigma {', '.join(f'{share:.0%}' for share in shares)} of {every.size}")


if __name__ == "__main__":
    main()
