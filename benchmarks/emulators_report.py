"""Tables and figures of ``emulators.py``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from bayne.reports.answers import GOOD
from bayne.reports.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY, STYLE

COLOURS = {
    "payne": GREY,
    "payne-large": BLUE,
    "convolutional": SKY,
    "transformer": PURPLE,
    "patch-transformer": ORANGE,
    "kernel-payne": GREEN,
    "species": RED,
}

Results = dict[str, dict[str, Any]]


def tables(results: Results) -> list[str]:
    """Markdown tables: accuracy by number of spectra; cost and derivatives."""
    return [_accuracy(results), _cost_table(complete(results))]


def figures(results: Results) -> dict[str, Figure]:
    """Figures by name."""
    return {"learning": _learning(results), "cost": _cost(complete(results))}


def complete(results: Results) -> Results:
    """What was trained on all spectra and measured, by variant, the most accurate first."""
    found = {k.removesuffix("-all"): v for k, v in results.items() if k.endswith("-all") and "cost" in v}
    return dict(sorted(found.items(), key=lambda item: item[1]["errors"]["mae"]))


def curves(results: Results) -> dict[str, list[dict[str, Any]]]:
    """Results of each variant by number of spectra; the variant that ends lowest comes first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, result in sorted(results.items(), key=lambda item: item[1]["spectra"]):
        found.setdefault(name.rpartition("-")[0], []).append(result)
    return dict(sorted(found.items(), key=lambda item: (-item[1][-1]["spectra"], item[1][-1]["errors"]["mae"])))


def _accuracy(results: Results) -> str:
    sizes = sorted({result["spectra"] for result in results.values()})
    head = ["emulator", *(f"MAE, {n} spectra" for n in sizes), "median star", "worst star", "mean / MAE"]
    rows = []
    for name, found in curves(results).items():
        by_size = {result["spectra"]: result["errors"] for result in found}
        last = found[-1]
        row = [name, *(f"{by_size[n]['mae']:.5f}" if n in by_size else "" for n in sizes)]
        row += [f"{last['errors'][key]:.5f}" for key in ("median_star_mae", "worst_star_mae")]
        row += [f"{last['errors']['mae_of_mean'] / last['errors']['mae']:.1f}", str(last["steps"] or "")]
        row += [f"{last['seconds']:.0f}" if last["seconds"] else "", f"{last['parameters'] / 1e6:.2f} M"]
        rows.append(row)
    return _table([*head, "steps", "seconds", "parameters"], rows)


def _cost_table(results: Results) -> str:
    head = ["emulator", "flux, ms", "gradient, ms", "flux, Mop", "gradient, Mop", "gradient, MB"]
    rows = []
    for name, result in results.items():
        flux, gradient = result["cost"]["forward"], result["cost"]["gradient"]
        row = [name, f"{flux['ms']:.1f}", f"{gradient['ms']:.1f}"]
        row += [f"{c['operations'] / 1e6:.0f}" for c in (flux, gradient)]
        known = [r for star in result.get("derivatives", {}).values() for r in star.values()]
        told = [f"{np.median(known):.4f}", f"{np.mean(np.array(known) > GOOD):.2f}"] if known else ["", ""]
        rows.append([*row, f"{gradient['bytes'] / 1e6:.0f}", *told])
    return _table([*head, "correlation of derivatives, median", f"share above {GOOD:g}"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def _look(name: str, result: dict[str, Any]) -> dict[str, Any]:
    """Colour of the network, line and marker of the variant; a star for an emulator that was trained elsewhere."""
    color = COLOURS[result["network"]]
    if "minutes" not in result:
        return {"color": color, "ls": "none", "marker": "*", "ms": 10, "mew": 0}
    variants = {"published": ("--", "s"), "mixed": (":", "D"), "shared": ("--", "v"), "adamw": ("-.", "^")}
    style, marker = variants.get(name.rpartition("-")[2], ("-", "o"))
    return {"color": color, "ls": style, "marker": marker, "ms": 4.5}


def _learning(results: Results) -> Figure:
    """MAE on the test rows against the number of training spectra."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.4))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.11, right=0.72, top=0.97, bottom=0.12)
        for name, found in reversed(curves(results).items()):
            x, y = [r["spectra"] for r in found], [r["errors"]["mae"] for r in found]
            axes.loglog(x, y, lw=1.3, label=name, **_look(name, found[0]))
        _ticks(axes.xaxis, sorted({r["spectra"] for r in results.values()}))
        _ticks(axes.yaxis, [0.001, 0.0015, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03], axes.get_ylim())
        axes.set_xlabel("training spectra")
        axes.set_ylabel("mean |residual| on test spectra")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _cost(results: Results) -> Figure:
    """MAE against the operations of a gradient: unlike times, the same on every machine."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.0))
        axes = figure.subplots()
        figure.subplots_adjust(left=0.11, right=0.97, top=0.97, bottom=0.13)
        places: list[np.ndarray] = []
        for name, result in results.items():
            x, y = result["cost"]["gradient"]["operations"] / 1e6, result["errors"]["mae"]
            axes.loglog(x, y, **_look(name, result) | {"ms": 8, "ls": "none"})
            place = np.log([x, y])
            # results come by error: a name whose neighbour has just been written goes to the other side of its point
            close = any(np.all(np.abs(place - other) < (0.5, 0.05)) for other in places)
            away: dict[str, Any] = {"xytext": (-7, 4), "ha": "right"} if close else {"xytext": (7, 4)}
            axes.annotate(name, (x, y), textcoords="offset points", color=INK, fontsize=8, **away)
            places.append(place)
        axes.margins(0.4, 0.1)
        _ticks(axes.xaxis, [10, 30, 100, 300, 1000, 3000, 10000, 30000], axes.get_xlim())
        _ticks(axes.yaxis, [0.001, 0.0015, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03], axes.get_ylim())
        axes.set_xlabel("gradient of one spectrum (million operations)")
        axes.set_ylabel("mean |residual| on test spectra")
    return figure


def _ticks(axis: Any, values: Iterable[float], limits: tuple[float, float] = (0.0, np.inf)) -> None:
    """Plain numbers inside the limits on a logarithmic axis."""
    kept = [v for v in values if limits[0] <= v <= limits[1]]
    axis.set_ticks(kept, [f"{v:g}" for v in kept], minor=False)
    axis.set_ticks([], minor=True)
