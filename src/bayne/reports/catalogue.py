"""One self-contained HTML page about a run over many spectra."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..catalog.visits import MIN_PAIRS, pulls
from ..flags import SENTENCES, Flag
from ..labels import pretty, unit
from ..spectrum import FloatArray
from .catalogue_figures import SHOWN, Stars, errors_figure, kiel_figure, planes_figure, visits_figure
from .figures import decimals
from .html import Cells, Html, Row, breaking, header, note, number, picture, section, table, write
from .listed import Listed, listed, write_star_pages
from .page import emulator_name, words_of
from .run import Run, read_run
from .stack import MIN_STARS, WINDOW, Window, close_figure, read_stack, stack_figure, worst_windows
from .style import ORANGE, RED

#: Fewest pulls between visits that make a histogram.
LEAST_PULLS = 10


def write_catalogue_page(
    folder: str | Path,
    output: str | Path,
    overwrite: bool = False,
    seed: int = 0,
    tell: Callable[[float, str], None] = lambda done, text: None,
) -> Path:
    """Write a page about a run over many spectra: counts, stars, errors, flags, residuals, repeat visits.

    Parameters
    ----------
    folder
        Folder of a run that `fit_catalog` wrote; it may still be unfinished.
    output
        File to write, by rename. It refers to ``pages/<spectrum_id>.html`` in the folder where there are such pages;
        of a run that keeps spectra, those of the stars that it lists are written, too.
    overwrite
        Replace the file if it is there.
    tell
        Told the share of the stars' pages that is done, and the star.

    Returns
    -------
    Path
        Where the page is.

    Raises
    ------
    ReadError
        The folder is no run, or a file in it is damaged.
    FileExistsError
        The file is there and `overwrite` is False.
    FileNotFoundError
        The folder of the page does not exist.
    """
    folder, output = Path(folder), Path(output)
    run = read_run(folder, output.parent)

    def stars(run: Run) -> str:
        found = Listed.of(run, seed)
        write_star_pages(run, found, tell)
        return listed(run, found)

    parts = (_header, _kiel, _planes, _errors, _labels, _flags, _residuals, _visits, stars)
    return write(output, f"{folder.resolve().name}: run", (part(run) for part in parts), overwrite)


def _header(run: Run) -> str:
    stars, total = run.stars, len(run.stars)
    wanted = int(run.store.manifest["number"])
    verdict = ("ok", "finished") if total >= wanted else ("warn", f"{_count(total)} of {_count(wanted)} done")
    seconds, several = stars.column("seconds"), _several(stars)
    facts = {
        "Spectra": _count(total),
        "Ok": _share(stars.ok, total),
        "Ok, with warnings": _share(run.warned, total),
        "Flagged bad": _share(run.doubtful, total),
        "Failed": _share(run.failed, total),
        "Stars with several spectra": _count(several),
        "S/N per pixel": _range(stars.snr, 0),
        "Spectra per hour": f"{3600 * run.rate:,.0f}" if np.isfinite(run.rate) else "unknown",
        "Seconds per spectrum": _range(seconds, 2),
        "Emulator": emulator_name(run.store.manifest),
        "Method": _methods(run),
    }
    return header(run.folder.resolve().name, facts, verdict)


def _count(number: int) -> str:
    return f"{number:,}"


def _share(which: np.ndarray, total: int) -> str:
    count = int(which.sum())
    return f"{_count(count)} ({100 * count / total:.1f}%)" if total else "0"


def _range(values: FloatArray, digits: int) -> str:
    known = values[np.isfinite(values)]
    if not known.size:
        return "unknown"
    low, middle, high = np.percentile(known, [5, 50, 95])
    return f"{middle:.{digits}f} (90% within {low:.{digits}f} to {high:.{digits}f})"


def _several(stars: Stars) -> int:
    _, count = np.unique(np.asarray(stars.table["star_id"], dtype=str), return_counts=True)
    return int((count > 1).sum())


def _methods(run: Run) -> str:
    taken = np.asarray(run.stars.table["method"], dtype=str)[~run.failed]
    found = [f"{name} {_count(int(n))}" for name, n in zip(*np.unique(taken, return_counts=True), strict=True)]
    return ", ".join(found) or "none"


def _kiel(run: Run) -> str:
    return section(
        "Kiel diagram",
        kiel_figure(run.stars),
        "Kiel diagram",
        "natural",
        "Spectra that are ok, coloured by [Fe/H].",
        "No spectrum that is ok has both Teff and log g.",
    )


def _planes(run: Run) -> str:
    return section(
        "Abundances",
        planes_figure(run.stars),
        "Abundances",
        "natural",
        "Spectra that are ok. Blue: the spectrum tells more than the prior; grey: it does not; grey triangles: 95% "
        "upper limits. The cross shows the median errors.",
        "No spectrum that is ok has an abundance [X/Fe].",
    )


def _errors(run: Run) -> str:
    return section(
        "Errors against S/N",
        errors_figure(run.stars),
        "Errors against S/N",
        "natural",
        "Spectra that are ok. An error below the bound owes it to the prior or to the edge of the emulator's domain; "
        "one far above it, to a posterior that is not Gaussian. Lines: medians of bins with equal numbers of spectra.",
        "No spectrum that is ok has both an S/N and an error.",
    )


def _labels(run: Run) -> str:
    if not run.stars.ok.any():
        return f"<h2>Labels</h2>\n{note('No spectrum is ok.')}"
    head = ["label", "spectra", "median error", "median bound", "error / bound", "upper limits", "pairs", "inflation"]
    words = (
        "Spectra that are ok and whose label is free. Error / bound: median of the ratio. Pairs: independent pairs of "
        "visits of the same star (k visits count as k − 1). Inflation: by how much the errors are too small, the "
        "68.27th percentile of the absolute pulls between visits, from at least "
        f"{MIN_PAIRS} pairs; calibrated errors are multiplied by it where it is above 1."
    )
    body = table(head, (_label_row(run, name) for name in run.stars.labels))
    return f"<h2>Labels</h2>\n{note(words)}\n{body}"


def _label_row(run: Run, name: str) -> Cells:
    stars, found = run.stars, run.calibration[run.stars.labels.index(name)]
    std, bound = stars.column(f"{name}_std"), stars.column(f"{name}_bound")
    use = stars.ok & (std > 0)
    error, least, ratio = (_median(x[use]) for x in (std, np.where(np.isfinite(bound), bound, np.nan), std / bound))
    inflation = ""
    if np.isfinite(found["inflation"]):
        inflation = f"{number(found['inflation'], 2)} ± {number(found['inflation_error'], 2)}"
    return [
        ("left", f"{pretty(name)} ({unit(name)})" if unit(name) else pretty(name)),
        _count(int(use.sum())),
        number(error, decimals(error)),
        number(least, decimals(least)),
        number(ratio, 2),
        _count(int((use & np.isfinite(stars.limit(name))).sum())),
        _count(int(found["pairs"])),
        ("alert" if found["inflation"] - 3 * found["inflation_error"] > 1 else "", inflation),
    ]


def _median(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan


def _flags(run: Run) -> str:
    rows = list(_flag_rows(run))
    return "<h2>Flags</h2>\n" + (
        table(["flag", "spectra", "share", "", "meaning"], rows) if rows else note("No flag is set.")
    )


def _flag_rows(run: Run) -> Iterator[Row]:
    counts = {bit: int(run.stars.flagged(bit).sum()) for bit in Flag}
    groups = (("Bad: the numbers must not be used as they are", True, RED), ("Warnings", False, ORANGE))
    for title, bad, colour in groups:
        own = sorted((bit for bit in Flag if bool(bit.bad) == bad and counts[bit]), key=lambda bit: -counts[bit])
        yield from [title] * bool(own)
        for bit in own:
            width = max(2.0, 220 * counts[bit] / max(counts.values()))
            yield [
                ("left", words_of(bit)),
                _count(counts[bit]),
                f"{100 * counts[bit] / len(run.stars):.1f}%",
                ("left", Html(f'<div style="height:11px;width:{width:.0f}px;background:{colour}"></div>')),
                breaking(SENTENCES[bit]),
            ]


def _residuals(run: Run) -> str:
    title, stack = "<h2>Residuals of all stars</h2>", read_stack(run.folder)
    if stack is None:
        return f"{title}\n{note('The run has no residuals of spectra that are ok.')}"
    windows, most = worst_windows(stack), int(stack.number.max())
    words = (
        f"Mean (blue) and scatter (grey) of (flux − model) / continuum over {_count(most)} spectra that are ok, in the "
        "rest frame. Where the mean is above zero, stars are brighter than the model: its line is too strong. "
    )
    if windows:
        words += "Orange: the worst windows, by number."
    elif most < MIN_STARS:
        words += f"Fewer than {MIN_STARS} spectra: what is wrong for everyone cannot be told from noise."
    else:
        words += "No window has a mean residual beyond noise."
    parts = [title, note(words), picture(stack_figure(stack, windows), "Mean residual by wavelength")]
    if windows:
        words = (
            f"Windows of {WINDOW:.0f} km/s in which the mean residual exceeds the noise. Size: root mean square of the "
            "mean residual, noise taken off; largest: at one pixel; scatter: of single spectra, median. Bands in the "
            "close-ups: the error of the mean."
        )
        parts += ["<h3>Wavelengths that are wrong for everyone</h3>", note(words)]
        parts += [table(_WINDOWS, _window_rows(windows))]
        parts += [picture(close_figure(stack, windows), "Close-ups of the worst windows", "natural")]
    return "\n".join(parts)


_WINDOWS = ("", "from (Å)", "to (Å)", "size (%)", "largest (%)", "scatter (%)", "spectra", "lines there (vacuum Å)")


def _window_rows(windows: Sequence[Window]) -> Iterator[Cells]:
    for rank, w in enumerate(windows, 1):
        numbers = [number(w.low, 2), number(w.high, 2), *(number(100 * x, 2) for x in (w.size, w.mean, w.scatter))]
        yield [("left", rank), *numbers, _count(w.stars), breaking(w.lines)]


def _visits(run: Run) -> str:
    found = {name: pulls(run.stars.table, name) for name in run.stars.labels}
    shown = {name: values for name, values in found.items() if values.size >= LEAST_PULLS}
    if not shown:
        most = max((values.size for values in found.values()), default=0)
        words = f"{most} independent pairs of visits: too few for a picture." if most else "No star was visited twice."
        return f"<h2>Repeat visits</h2>\n{note(words)}"
    words = (
        "Differences between visits of the same star over their errors: narrower than the Gaussian where errors are "
        "too large, or where visits share a prior or an error of the model; wider where errors are too small. The "
        f"last bins hold all beyond ±{SHOWN:g}. Numbers are in the table of labels."
    )
    return section("Repeat visits", visits_figure(shown), "Pulls between visits", "natural", words)
