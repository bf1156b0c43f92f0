"""Bounds of usual instruments, and whether an emulator's gradients give the bounds of the physical ones.

    python benchmarks/bounds.py --derivatives galah_pysme_derivatives.h5 --stars 10000 --output build/bounds

First the Cramér-Rao bounds of the default emulator for three stars and four instruments at S/N 100 per pixel, of the
photons alone and with the emulator's error. Then, for the stars whose derivatives a physical synthesis gave, the
bounds of each emulator over those of the derivatives, both without emulator error, for labels with a measurable line.
Then many stars in one call.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

import bayne
from bayne.emulators import Emulator
from bayne.information import STARS, Bounds
from bayne.labels import pretty
from bayne.training.compiling import random_labels
from bayne.training.derivatives import compare_derivatives

#: Instruments and, where a setup is a choice, the arms of one.
SETUPS: dict[str, list[str] | None] = {"hermes": None, "mike": None, "tres": None, "uves": ["580_lower", "580_upper"]}
SNR = 100.0


def one(*arguments: Any, **options: Any) -> Bounds:
    """Bounds of one star."""
    found = bayne.cramer_rao(*arguments, **options)
    assert isinstance(found, Bounds)
    return found


def text(value: float, digits: int) -> str:
    """The number, or a dash where there is none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def setups(emulator: Emulator, counted: bool) -> Iterable[str]:
    """Lines of a table: bounds of every label for three stars and four instruments."""
    found = {
        (star, setup): one(emulator, setup, star, SNR, arms=arms, emulator_error=counted)
        for star in STARS
        for setup, arms in SETUPS.items()
    }
    yield "| | " + " | ".join(f"{star}: {setup}" for star, setup in found) + " |"
    yield "|---|" + "---|" * len(found)
    for i, name in enumerate(emulator.label_names):
        digits = 0 if name == "teff" else 3
        yield f"| {pretty(name)} | " + " | ".join(text(b.std[i], digits) for b in found.values()) + " |"


def gradients(names: list[str], path: Path) -> Iterable[str]:
    """Lines about the ratio of every emulator's bounds to those of physical derivatives."""
    yield "| star | emulator | labels | ratio: median | within 10% | outside |"
    yield "|---|---|---|---|---|---|"
    for name in names:
        emulator = bayne.load_emulator(name)
        for star in compare_derivatives(emulator, path):
            labels = dict(zip(emulator.label_names, map(float, star.labels), strict=True))
            ours, true = (
                one(e, "hermes", labels, SNR, emulator_error=False).std[: len(labels)]
                for e in (emulator, star.as_emulator(emulator))
            )
            known = star.measurable & np.isfinite(true)
            ratio = ours[known] / true[known]
            which = np.array(emulator.label_names)[known]
            off = ", ".join(f"{pretty(n)} {r:.2f}" for n, r in zip(which, ratio, strict=True) if not abs(r - 1) <= 0.1)
            close = np.sum(np.abs(ratio - 1) <= 0.1)
            yield f"| {star.name} | {name} | {known.sum()} | {np.median(ratio):.2f} | {close} | {off or 'none'} |"


def many(emulator: Emulator, count: int) -> str:
    """Sentence about a call for many stars."""
    labels = random_labels(emulator, count, np.random.default_rng(2))
    columns = dict(zip(emulator.label_names, labels.T, strict=True))
    few = {name: v[:2] for name, v in columns.items()}
    bayne.cramer_rao(emulator, "hermes", few, SNR)
    start = time.perf_counter()
    found = bayne.cramer_rao(emulator, "hermes", columns, SNR)
    spent = time.perf_counter() - start
    assert isinstance(found, list)
    free = np.mean([np.isfinite(b.std[: len(emulator.label_names)]).mean() for b in found])
    return (
        f"{count} stars x {len(emulator.label_names)} labels, four arms, emulator error counted: {spent:.0f} s, "
        f"{1e3 * spent / count:.0f} ms per star; {free:.0%} of the labels are constrained."
    )


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emulator", default="galah")
    parser.add_argument("--derivatives", type=Path)
    parser.add_argument("--against", nargs="+", default=["galah", "galah-transformer", "galah-payne"])
    parser.add_argument("--stars", type=int, default=1000)
    parser.add_argument("--output", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    emulator = bayne.load_emulator(options.emulator)
    versions = ", ".join(f"{p} {version(p)}" for p in ("bayne", "jax"))
    lines = [f"{date.today()}, {versions}, {jax.default_backend()}, {options.emulator}, S/N {SNR:g} per pixel", ""]
    for counted in (False, True):
        lines += [f"Emulator error {'counted' if counted else 'not counted'}:", "", *setups(emulator, counted), ""]
    if options.derivatives is not None:
        lines += [*gradients(options.against, options.derivatives), ""]
    lines.append(many(emulator, options.stars))
    (options.output / "tables.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
