"""Tables and figure of `calibration.py`."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import binom, binomtest, kstest

from bayne.labels import pretty
from bayne.reports.style import BLUE, GREY, ORANGE, PALE, STYLE

#: Share of a central interval, its ends, and the probability at which a family of tests may fail by chance.
SHARE, ENDS, LEVEL = 0.6827, (0.15866, 0.84134), 0.01

#: Stars below this have strong molecular bands (K).
COOL = 4800.0

#: Bootstrap samples of the spectra.
SAMPLES = 4000

Fits = list[dict[str, Any]]


def figure(folder: Path, origin: str) -> None:
    """Write ``tables.md`` and ``calibration.png`` from the fits in a folder, and print the tables."""
    groups: dict[str, Fits] = {}
    failed = 0
    for path in sorted(folder.glob("*-*.json")):
        told = json.loads(path.read_text())
        if np.isfinite(told["mean"]).all():
            groups.setdefault(path.stem.rpartition("-")[0], []).append(told)
        else:
            failed += 1
    lines = [f"{origin}; {failed} fits without a posterior", ""]
    physical = {name: fits for name, fits in groups.items() if name.startswith("physical-")}
    if physical:
        lines += [*coverage_table(physical), "", *recovery_lines(physical), "", *part_lines(physical)]
    lines += ["", *(path_line(name, fits) for name, fits in groups.items())]
    ranks = {name: fits for name, fits in groups.items() if name.startswith("mocks-")}
    for name, fits in ranks.items():
        lines += ["", *rank_lines(name, fits)]
    repeated = [fits for name, fits in groups.items() if name.startswith("repeats-")]
    if repeated:
        lines += ["", *repeat_lines(repeated)]
    text = "\n".join(lines) + "\n"
    (folder / "tables.md").write_text(text, encoding="utf-8")
    print(text)
    draw(physical, ranks, folder / "calibration.png")


def path_line(name: str, fits: Fits) -> str:
    """How the fits of a group went: k-hat, who went on to HMC, distance from the teacher, seconds."""
    khat, shift, seconds = (
        np.array([fit.get(key) for fit in fits], dtype=float) for key in ("khat", "teacher_shift", "seconds")
    )
    parts = [f"- {name}: {len(fits)} fits, {np.median(seconds):.1f} s"]
    if np.isfinite(khat).any():
        instead = sum("SAMPLED_INSTEAD" in fit["flags"] for fit in fits)
        parts.append(f"k-hat {np.nanmedian(khat):.2f}, {instead} went on to HMC")
    if np.isfinite(shift).any():
        parts.append(f"teacher's shift {np.nanmedian(shift):.2f} sigma, at most {np.nanmax(shift):.2f}")
    return "; ".join(parts)


def column(fits: Fits, name: str) -> np.ndarray:
    """(s, l) a number of every label of every star."""
    return np.array([fit[name] for fit in fits], dtype=float)


def covered(fits: Fits) -> np.ndarray:
    """(s, l) whether the central interval holds the truth."""
    rank = column(fits, "rank")
    return (rank > ENDS[0]) & (rank < ENDS[1])


def coverage_table(groups: dict[str, Fits]) -> list[str]:
    """Markdown: coverage pooled over labels, labels that are not consistent with it, how wide the posteriors are."""
    lines = [
        "| S/N, emulator error | spectra, ok | 68% intervals cover | 95% range (spectra resampled) | rms pull "
        "| labels off (family-wise 1%) | sigma over prior sigma |",
        "|---|---|---|---|---|---|---|",
    ]
    rng = np.random.default_rng(0)
    for name, fits in sorted(groups.items(), key=lambda item: float(item[0].split("-")[1])):
        _, snr, counted = name.split("-")
        inside = covered(fits)
        star = inside.mean(axis=1)
        again = rng.choice(star, (SAMPLES, len(star))).mean(axis=1)
        labels = fits[0]["labels"]
        p = [binomtest(int(c.sum()), len(c), SHARE).pvalue for c in inside.T]
        off = [f"{pretty(n)} {c.mean():.0%}" for n, c, v in zip(labels, inside.T, p, strict=True) if v < LEVEL / len(p)]
        pull = (column(fits, "mean") - column(fits, "truth")) / column(fits, "std")
        wide = np.median(column(fits, "std") / column(fits, "prior"), axis=0)
        low, high = np.percentile(again, [2.5, 97.5])
        lines.append(
            f"| {snr}, {counted} | {len(fits)}, {sum(fit['ok'] for fit in fits)} | {inside.mean():.1%} | {low:.1%} to "
            f"{high:.1%} | {np.sqrt(np.mean(pull**2)):.2f} | {', '.join(off) or 'none'} | {np.median(wide):.2f} (least "
            f"{wide.min():.3f}, {pretty(labels[int(wide.argmin())])}) |"
        )
    return lines


def recovery_lines(groups: dict[str, Fits]) -> list[str]:
    """Markdown: median ± 1.48 times the median absolute deviation of mean minus truth."""
    lines = ["| S/N, emulator error | Teff | log g | [Fe/H] | v mic | [X/Fe], scatter |", "|---|---|---|---|---|---|"]
    for name, fits in sorted(groups.items(), key=lambda item: float(item[0].split("-")[1])):
        _, snr, counted = name.split("-")
        labels, error = fits[0]["labels"], column(fits, "mean") - column(fits, "truth")
        bias = np.median(error, axis=0)
        spread = 1.4826 * np.median(np.abs(error - bias), axis=0)
        where = {label: labels.index(label) for label in ("teff", "logg", "fe_h", "vmic")}
        cells = [f"{bias[i]:+.{d}f} ± {spread[i]:.{d}f}" for i, d in zip(where.values(), (0, 2, 2, 2), strict=True)]
        ratios = [i for i, label in enumerate(labels) if label.endswith("_fe")]
        lines.append(f"| {snr}, {counted} | {' | '.join(cells)} | {np.median(spread[ratios]):.3f} |")
    return lines


def part_lines(groups: dict[str, Fits]) -> list[str]:
    """Coverage and pulls of parts of all fits that count the emulator's error."""
    fits = [fit for name, group in groups.items() if name.endswith("on") for fit in group]
    if not fits:
        return []
    cool = column(fits, "truth")[:, fits[0]["labels"].index("teff")] < COOL
    bad = np.array([not fit["ok"] for fit in fits])
    differs = np.array(["TEACHER_DIFFERS" in fit["flags"] for fit in fits])
    pull = (column(fits, "mean") - column(fits, "truth")) / column(fits, "std")
    parts = {f"below {COOL:.0f} K": cool, f"above {COOL:.0f} K": ~cool, "with a bad flag": bad}
    parts |= {"with TEACHER_DIFFERS": differs, "without": ~differs}
    return [
        f"{name}: {own.sum()} fits, 68% intervals cover {covered(fits)[own].mean():.1%}, rms pull "
        f"{np.sqrt(np.mean(pull[own] ** 2)):.2f}"
        for name, own in parts.items()
        if own.any()
    ]


def rank_lines(name: str, fits: Fits) -> list[str]:
    """Are the ranks uniform? The least p over labels of a Kolmogorov-Smirnov test, against the family-wise level."""
    rank, labels = column(fits, "rank"), fits[0]["labels"]
    p = np.array([kstest(own, "uniform").pvalue for own in rank.T])
    worst = int(p.argmin())
    instead = sum("SAMPLED_INSTEAD" in fit["flags"] for fit in fits)
    return [
        f"{name}: {len(fits)} stars ({instead} sampled by HMC instead); ranks of the truths: least p {p[worst]:.4f} "
        f"({pretty(labels[worst])}) of {len(p)}, family-wise limit {LEVEL / len(p):.5f}; 68% intervals cover "
        f"{covered(fits).mean():.1%}; rms pull "
        f"{np.sqrt(np.mean(((column(fits, 'mean') - column(fits, 'truth')) / column(fits, 'std')) ** 2)):.2f}"
    ]


def repeat_lines(groups: list[Fits]) -> list[str]:
    """Pulls between epochs of one star."""
    pulls = []
    for fits in groups:
        for one, other in combinations(fits, 2):
            off = np.subtract(one["mean"], other["mean"])
            pulls.append(off / np.hypot(one["std"], other["std"]))
    size = np.abs(pulls)
    return [
        f"repeats: {len(groups)} stars, {len(pulls)} pairs of epochs; rms pull {np.sqrt(np.mean(size**2)):.2f}, "
        f"within 1: {np.mean(size < 1):.1%}, within 2: {np.mean(size < 2):.1%}"
    ]


def draw(physical: dict[str, Fits], ranks: dict[str, Fits], path: Path) -> None:
    """Coverage per label of physical spectra, and the ranks of mocks: as many panels as there is something to show."""
    shown = {name: fits for name, fits in physical.items() if name.split("-")[1] == "100"}
    wanted = [bool(shown), bool(ranks)]
    if not any(wanted):
        return
    with plt.rc_context(STYLE):
        drawn, panels = plt.subplots(
            1,
            sum(wanted),
            figsize=(9.0 * wanted[0] + 4.5 * wanted[1], 4.0),
            gridspec_kw={"width_ratios": [w for w, there in zip((2, 1), wanted, strict=True) if there]},
            layout="constrained",
            squeeze=False,
        )
        if shown:
            _coverage(panels[0, 0], shown)
        if ranks:
            _ranks(panels[0, -1], ranks)
        drawn.savefig(path, dpi=130)


def _coverage(axes: Any, shown: dict[str, Fits]) -> None:
    for name, fits in shown.items():
        inside, labels, on = covered(fits), fits[0]["labels"], name.endswith("on")
        place = np.arange(len(labels)) + (0.12 if on else -0.12)
        words = f"emulator error {'counted' if on else 'not counted'}: {len(fits)} spectra"
        axes.plot(place, inside.mean(axis=0), "o", ms=5, color=BLUE if on else ORANGE, label=words)
        axes.axhline(inside.mean(), color=BLUE if on else ORANGE, lw=0.9, ls="--")
        if on:
            band = binom.ppf([LEVEL / 2 / len(labels), 1 - LEVEL / 2 / len(labels)], len(fits), SHARE) / len(fits)
            axes.axhspan(*band, color=PALE, alpha=0.3, lw=0)
        axes.set_xticks(
            range(len(labels)), [pretty(n) for n in labels], rotation=60, ha="right", rotation_mode="anchor"
        )
    axes.set_xlim(-0.7, len(labels) - 0.3)
    axes.axhline(SHARE, color=GREY, lw=0.8)
    axes.set_ylim(0, 1)
    axes.set_ylabel("68% intervals that cover the truth")
    axes.set_title("Held-out physical spectra, S/N 100; dashed: all labels; grey: family-wise 99%, counted", loc="left")
    axes.legend(loc="lower left")


def _ranks(axes: Any, ranks: dict[str, Fits]) -> None:
    for name, fits in ranks.items():
        rank = np.sort(column(fits, "rank"), axis=0)
        steps = (np.arange(len(rank)) + 1) / len(rank)
        for own in rank.T:
            axes.plot(own, steps - own, lw=0.7, color=BLUE, alpha=0.5)
        grid = np.linspace(0, 1, 200)
        band = 3.0 * np.sqrt(grid * (1 - grid) / len(rank))
        axes.fill_between(grid, -band, band, color=PALE, alpha=0.3, lw=0)
        axes.set_title(f"{len(fits)} mocks, {name.split('-')[1]}: one line per label; grey: 3 sigma", loc="left")
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set_xlabel("rank of the truth among the draws")
    axes.set_ylabel("share of stars minus rank")
