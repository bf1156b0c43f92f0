"""Widths of LAMOST's low-resolution line-spread function, against spectra of the Gaia FGK benchmark library.

    python benchmarks/lamost_widths.py --templates spectra/benchmark --spectra libraries/lamost_repeats/*.gz

Each window of a bright FGK star is fitted with every template, broadened and shifted, times a polynomial; the best
width counts. Templates have a resolving power of 47,000, which is taken off.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

import bayne
from bayne import Spectrum
from bayne.lsf import FWHM_PER_SIGMA
from bayne.wavelength import C_KMS

#: Benchmark stars (parts of file names), their resolving power, and pixels that they are brought to (km/s).
TEMPLATES, SHARP, STEP = ("ATLAS.Sun", "Procyon", "epsEri", "delEri", "HD106038"), 47_000.0, 4.0

#: vacuum Å, without the bands of telluric oxygen and sodium.
WINDOWS = ((4840, 5150), (5150, 5500), (5500, 5750), (6050, 6270), (6330, 6780))
WIDTHS, VELOCITIES, ORDER, BRIGHT = np.arange(1.6, 5.6, 0.2), np.arange(-300, 301, 20.0), 5, 60.0


def templates(folder: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """(n,) ln λ and fluxes there."""
    paths = [path for path in sorted(folder.glob("*.fits")) if any(name in path.name for name in TEMPLATES)]
    library = [bayne.read_spectrum(path, format="gaia-benchmark") for path in paths]
    log_wave = np.arange(np.log(4802), np.log(6800), STEP / C_KMS)
    return log_wave, [
        np.interp(log_wave, np.log(arm.wavelength[arm.good]), arm.flux[arm.good])
        for arm in (one.arms[0] for one in library)
    ]


def width(star: Spectrum, window: tuple[float, float], log_wave: np.ndarray, fluxes: list[np.ndarray]) -> float:
    """FWHM (Å) of the best fit."""
    wave, flux, ivar = (
        np.concatenate([getattr(a, n)[a.good] for a in star.arms]) for n in ("wavelength", "flux", "ivar")
    )
    some = (wave > window[0]) & (wave < window[1])
    x, y, root = np.log(wave[some]), flux[some], np.sqrt(ivar[some])
    shape = np.polynomial.chebyshev.chebvander((x - x.mean()) / (np.ptp(x) / 2), ORDER)
    best = (np.inf, np.nan)
    for fwhm in WIDTHS:
        sigma = np.sqrt(max((fwhm / np.mean(window)) ** 2 - SHARP**-2, 0.0)) * C_KMS / FWHM_PER_SIGMA / STEP
        for wide in (gaussian_filter1d(each, sigma) for each in fluxes):
            for velocity in VELOCITIES:
                design = shape * (np.interp(x - velocity / C_KMS, log_wave, wide) * root)[:, None]
                left = y * root - design @ np.linalg.lstsq(design, y * root, rcond=None)[0]
                best = min(best, (float(left @ left), float(fwhm)))
    return best[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", type=Path, required=True, help="folder of the benchmark library")
    parser.add_argument("--spectra", type=Path, nargs="+", required=True)
    parser.add_argument("--number", type=int, default=26)
    options = parser.parse_args()
    log_wave, fluxes = templates(options.templates)
    found: list[list[float]] = []
    for path in sorted(options.spectra):
        star = bayne.read_spectrum(path)
        said = star.provenance["header"]
        if float(said.get("SNRG", said.get("SN_G", 0))) > BRIGHT and str(said.get("SUBCLASS", ""))[:1] in "FGK":
            found.append([width(star, window, log_wave, fluxes) for window in WINDOWS])
        if len(found) == options.number:
            break
    for window, widths in zip(WINDOWS, np.array(found).T, strict=True):
        spread = 1.48 * np.median(np.abs(widths - np.median(widths)))
        print(f"{window[0]}-{window[1]} Å, {widths.size} stars: FWHM {np.median(widths):.2f} ± {spread:.2f} Å")


if __name__ == "__main__":
    main()
