"""The synthesiser of the package against PySME: the same atmosphere, the same lines.

    python benchmarks/synthesis.py --linelist galah_dr3_linelist.h5 --atmospheres stagger.npz --output build/synthesis

For the Sun, a K giant and a metal-poor dwarf: mean absolute difference of the continuum-normalised spectra at R =
50,000 in the four windows of HERMES, ratio of the continua, pictures, and seconds per spectrum of each, in turns. The
first spectrum of `lte`, which compiles, is told apart. ``--without`` leaves out species, TiO and ZrO unless others are
named.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from bayne.synthesis.abundances import abundances
from bayne.synthesis.grids import MARGIN
from bayne.synthesis.linelist import read_linelist
from bayne.synthesis.lte import LTE
from bayne.synthesis.models import read_models
from bayne.synthesis.pysme import PySME
from bayne.synthesis.synthesiser import at_resolution, fine_windows
from bayne.wavelength import log_pixels

WINDOWS = {"blue": (4715.0, 4900.0), "green": (5650.0, 5870.0), "red": (6480.0, 6735.0), "infrared": (7590.0, 7885.0)}
RESOLUTION = 50_000.0

#: Effective temperature (K), log g, [Fe/H], microturbulence (km/s).
STARS = {
    "Sun": (5772.0, 4.44, 0.0, 1.0),
    "K giant": (4600.0, 2.0, -0.3, 1.6),
    "metal-poor dwarf": (6000.0, 4.2, -2.0, 1.2),
}


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and what it returns."""
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def picture(spectra: dict[tuple[str, str], tuple[np.ndarray, np.ndarray, np.ndarray]], path: Path) -> None:
    """Spectra of both and their difference, a row for each star and a column for each window's middle."""
    mpl.use("agg")
    figure, axes = plt.subplots(len(STARS), len(WINDOWS), figsize=(15, 8), sharey=True, layout="constrained")
    for (star, window), (wave, ours, theirs) in spectra.items():
        axis = axes[list(STARS).index(star), list(WINDOWS).index(window)]
        middle = wave[wave.size // 2]
        shown = np.abs(wave - middle) < 12
        axis.plot(wave[shown], theirs[shown], color="0.6", lw=2.2, label="PySME")
        axis.plot(wave[shown], ours[shown], color="C0", lw=0.9, label="lte")
        axis.plot(wave[shown], 10 * (ours[shown] - theirs[shown]) - 0.12, color="C3", lw=0.8, label="10 x difference")
        axis.set_title(f"{star}, {window}", fontsize=10)
        axis.set_ylim(-0.25, 1.05)
    for axis in axes[-1]:
        axis.set_xlabel("vacuum wavelength (Å)")
    axes[0, 0].legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 0.15))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Synthesise, compare, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linelist", type=Path, required=True)
    parser.add_argument("--atmospheres", required=True)
    parser.add_argument("--without", nargs="*", default=["TiO", "ZrO"], help="species to leave out")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    models = read_models(options.atmospheres, "asplund2009")
    whole = read_linelist(options.linelist)
    whole = whole.of([species for species in whole.species if species.name not in options.without])
    rows, spectra, seconds = [], {}, {"lte": 0.0, "PySME": 0.0, "lte, first": 0.0}
    for window, (low, high) in WINDOWS.items():
        fine, wave = fine_windows([(low, high)], RESOLUTION), log_pixels([(low, high)], 2.0)
        lines = whole.between(fine[0][0] - MARGIN, fine[0][-1] + MARGIN)
        ours, theirs = LTE(lines, fine), PySME(lines, fine)
        for i, (star, (teff, logg, fe_h, vmic)) in enumerate(STARS.items()):
            given = models.at(teff, logg, fe_h), abundances({"fe_h": fe_h}, "asplund2009"), vmic
            if i == 0:
                seconds["lte, first"] += timed(lambda given=given, ours=ours: ours.synthesise(*given))[0]
            spent, (flux, continuum) = timed(lambda given=given, ours=ours: ours.synthesise(*given))
            seconds["lte"] += spent / len(STARS)
            spent, (other, level) = timed(lambda given=given, theirs=theirs: theirs.synthesise(*given))
            seconds["PySME"] += spent / len(STARS)
            a, b = (at_resolution(f / c, fine, wave, RESOLUTION) for f, c in ((flux, continuum), (other, level)))
            spectra[star, window] = wave[0], a, b
            off = np.abs(a - b)
            rows.append(f"| {star} | {window} | {off.mean():.4f} | {np.percentile(off, 99):.3f} | {off.max():.3f} | ")
            rows[-1] += f"{np.mean(1 - b):.3f} | {np.mean(continuum / level):.3f} |"
            print(rows[-1], flush=True)
    picture(spectra, options.output / "synthesis.png")
    head = ["star", "window", "MAE", "99%", "most", "mean depth of PySME's", "continuum over PySME's"]
    lines = [f"{date.today()}, " + ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax", "pysme-astro"))]
    lines[0] += f", {jax.default_backend()}"
    lines += ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head), *sorted(rows), ""]
    own, first, other = (seconds[name] for name in ("lte", "lte, first", "PySME"))
    lines.append(
        f"A spectrum of all windows: lte {own:.2f} s (the first, compiled too, {first:.0f} s), PySME {other:.1f} s: "
        f"{other / own:.1f} as much."
    )
    text = "\n".join(lines) + "\n"
    (options.output / "tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
