"""One self-contained HTML page about one fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..flags import SENTENCES, Flag
from ..labels import over_hydrogen, pretty
from .figures import bounds_figure, ccf_figure, corner_figure, decimals, influence_figure, trace_figure
from .html import folded, number, picture, write
from .spectra import overview_figure, plan_rows, spectrum_figures
from .style import png

if TYPE_CHECKING:
    from astropy.table import Row, Table

    from ..inference.result import FitResult

#: Convergence that a table marks as doubtful (Vehtari et al. 2021).
MAX_RHAT, MIN_ESS = 1.01, 400.0

_METHODS = {
    "nuts": "NUTS (Hamiltonian Monte Carlo)",
    "hmc": "Hamiltonian Monte Carlo",
    "smc": "sequential Monte Carlo",
    "fast": "importance sampling",
    "laplace": "Laplace approximation at the maximum",
    "map": "maximum of the posterior",
}


def report(result: FitResult, path: str | Path, overwrite: bool = False) -> Path:
    """Write a page about a fit: verdict, labels, spectrum, posterior, provenance.

    The page is one file without references to others or to the network.

    Parameters
    ----------
    result
        From `fit_star` or `load_result`.
    path
        File to write, by rename.
    overwrite
        Replace the file if it is there.

    Returns
    -------
    Path
        Where the page is.

    Raises
    ------
    FileExistsError
        The file is there and `overwrite` is False.
    FileNotFoundError
        The folder does not exist.
    """
    return write(path, result.id, _parts(result), overwrite)


def _parts(result: FitResult) -> Iterator[str]:
    table = result.table
    yield _header(result)
    yield _flags(result)
    yield _pictures(result)
    yield _labels(result, table)
    yield _spectrum(result)
    yield _posterior(result, table)
    yield _details(result)


def _header(result: FitResult) -> str:
    if result.flags.bad:
        verdict, words = "bad", "BAD: do not use the numbers as they are"
    elif result.flags:
        verdict, words = "warn", "OK with warnings"
    else:
        verdict, words = "ok", "OK"
    facts = {
        "Method": _METHODS.get(result.method, result.method),
        "Emulator": emulator_name(result.provenance),
        "χ² of photon noise / pixels": _chi2(result),
        "S/N per pixel": signal_to_noise(result),
        "Star's velocity in the file": _with("km/s", velocity_of(result), 2),
        "Arms": _arms(result),
    }
    items = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())
    return (
        f'<header>\n<h1>{escape(result.id)}</h1><span class="verdict {verdict}">{words}</span>\n'
        f'<dl class="facts">{items}</dl>\n</header>'
    )


def emulator_name(provenance: Mapping[str, Any]) -> str:
    """Name of the emulator in the provenance of a result."""
    emulator = provenance.get("emulator", "not recorded")
    return str(emulator.get("name", "not recorded") if isinstance(emulator, Mapping) else emulator)


def velocity_of(result: FitResult) -> float:
    """Velocity of the star in the frame of the file (km/s); NaN where it is unknown."""
    return float(result.diagnostics.get("velocity_frame", np.nan))


def signal_to_noise(result: FitResult) -> str:
    """Median S/N per native pixel of every arm, or its range where there are many arms."""
    values = {}
    for arm in result.arms:
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = arm.flux / arm.sigma
        finite = ratio[np.isfinite(ratio)]
        value = result.diagnostics.get(f"snr_{arm.name}", float(np.median(finite)) if finite.size else np.nan)
        if np.isfinite(value):
            values[arm.name] = value
    if not values:
        return "unknown"
    if len(values) == 1:
        return f"{next(iter(values.values())):.0f}"
    if len(values) <= 5:
        return ", ".join(f"{value:.0f} ({name})" for name, value in values.items())
    return f"{min(values.values()):.0f} to {max(values.values()):.0f} (median {np.median(list(values.values())):.0f})"


def _chi2(result: FitResult) -> str:
    n = sum(int(arm.used.sum()) for arm in result.arms)
    chi2 = result.diagnostics.get("chi2", np.nan)
    if n == 0:
        return "no pixel used"
    if not np.isfinite(chi2):
        return f"unknown / {n}"
    return f"{chi2:.0f} / {n} = {chi2 / n:.2f}"


def _arms(result: FitResult) -> str:
    pixels = sum(arm.used.size for arm in result.arms)
    used = sum(int(arm.used.sum()) for arm in result.arms)
    return f"{len(result.arms)}; {used} of {pixels} pixels used"


def _with(unit: str, value: float, digits: int) -> str:
    return f"{number(value, digits)} {unit}" if np.isfinite(value) else "unknown"


def _flags(result: FitResult) -> str:
    order = [bit for bit in Flag if bit in result.flags]
    rows = [("bad", SENTENCES[bit]) for bit in order if bit.bad] + [
        ("warn", SENTENCES[bit]) for bit in order if not bit.bad
    ]
    told = {text for _, text in rows}
    rows += [("plain", text) for text in result.messages if text not in told]
    if not rows:
        return ""
    items = "\n".join(f'<li class="{kind}">{escape(text)}</li>' for kind, text in rows)
    return f'<h2>What to know about this fit</h2>\n<ul class="flags">\n{items}\n</ul>'


_COLUMNS = (
    ("left", "label", ""),
    ("", "median", "posterior median; to the 16th and 84th percentiles"),
    ("left", "unit", ""),
    ("", "std", "posterior standard deviation: the error to be believed"),
    ("", "photons", "what the noise of the photons alone would make of it"),
    ("", "R-hat", "rank-normalised split R-hat"),
    ("", "ESS bulk", "effective sample size of the bulk"),
    ("", "ESS tail", "effective sample size of the tails"),
    ("", "bound", "Cramér-Rao bound: the least error that these pixels allow, without priors on labels"),
    ("", "std / bound", ""),
    ("", "with priors", "the bound with what the priors tell; a uniform prior counts as a Gaussian of its spread"),
    ("", "prior sd", "standard deviation of the prior"),
    ("left", "notes", ""),
)


def _labels(result: FitResult, table: Table) -> str:
    derived = set(over_hydrogen(result.label_names)) - set(result.names)
    overs = {over for over, _ in over_hydrogen(result.label_names).values()}
    nuisances = [name for name in result.names if name not in result.label_names]
    groups: dict[str, list[Row]] = {"Stellar parameters and velocities": [], "Abundances": [], "Derived [X/H]": []}
    groups["Nuisance parameters"] = []
    for row in table:
        name = str(row["label"])
        if name in nuisances:
            groups["Nuisance parameters"].append(row)
        elif name in derived:
            groups["Derived [X/H]"].append(row)
        else:
            groups["Abundances" if name in overs else "Stellar parameters and velocities"].append(row)
    if result.method == "map":
        note = "Errors are those of the Cramér-Rao bound with the priors; there are no posterior draws."
    else:
        note = (
            "Median with the distances to the 16th and 84th percentiles, or the 95% upper limit; "
            "the standard deviation beside the bound."
        )
    html = f'<h2>Labels</h2>\n<p class="note">{note}</p>\n'
    for title, rows in groups.items():
        if rows:
            state = "" if title.startswith(("Derived", "Nuisance")) else " open"
            html += f"<details{state}><summary>{title} ({len(rows)})</summary>\n{_table(rows, result)}</details>\n"
    return html


def _table(rows: list[Row], result: FitResult) -> str:
    head = "".join(
        f'<th class="{side}">' + (f'<abbr title="{escape(tip)}">{name}</abbr>' if tip else name) + "</th>"
        for side, name, tip in _COLUMNS
    )
    body = (_row(row, str(row["label"]) in result.fixed) for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _row(row: Row, fixed: bool) -> str:
    n = decimals(float(row["std"]))
    flag = Flag(int(row["flag"]))
    rhat, least = float(row["rhat"]), min(float(row["ess_bulk"]), float(row["ess_tail"]))
    notes = [f'<abbr title="{escape(SENTENCES[bit])}">{_words(bit)}</abbr>' for bit in Flag if bit in flag]
    cells = [
        ("left", f"{escape(pretty(str(row['label'])))}"),
        ("value", _value(row, n, fixed)),
        ("left", escape(str(row["unit"]))),
        ("", "" if fixed else number(row["std"], n)),
        ("", "" if fixed else number(row["std_photon"], n)),
        ("alert" if rhat > MAX_RHAT else "", number(rhat, 3)),
        ("alert" if least < MIN_ESS else "", number(row["ess_bulk"], 0)),
        ("alert" if least < MIN_ESS else "", number(row["ess_tail"], 0)),
        ("", "none" if np.isinf(row["crb"]) else number(row["crb"], n)),
        ("", number(row["std_over_crb"], 2) if np.isfinite(row["std_over_crb"]) else ""),
        ("", "" if fixed else number(row["crb_with_prior"], n)),
        ("", number(row["prior_std"], decimals(float(row["prior_std"])))),
        ("left", "fixed" if fixed else ", ".join(notes)),
    ]
    return "<tr>" + "".join(f'<td class="{kind}">{text}</td>' for kind, text in cells) + "</tr>"


def _value(row: Row, n: int, fixed: bool) -> str:
    if fixed:
        return f"{float(row['median']):g}"
    if not np.isfinite(row["median"]):
        return "–"
    if np.isfinite(row["upper_95"]):
        limit = number(row["upper_95"], n)
        return f'<abbr title="95% upper limit: less of it would fit as well">&lt; {limit}</abbr>'
    up, down = float(row["q84"] - row["median"]), float(row["median"] - row["q16"])
    return f'{number(row["median"], n)}<span class="pm">+{up:.{n}f}<br>−{down:.{n}f}</span>'


def _words(bit: Flag) -> str:
    return (bit.name or "").lower().replace("_", " ")


def _pictures(result: FitResult) -> str:
    """The whole spectrum and the main labels at a glance."""
    parts = [picture(png(overview_figure(result.arms)), "The whole spectrum with model and continuum", "wide")]
    corner = corner_figure(result)
    if corner is not None:
        parts.append("<h2>Posterior of the main labels</h2>")
        parts.append(picture(png(corner, dpi=100), "Corner plot of the main labels", "natural"))
    return "\n".join(parts)


def _spectrum(result: FitResult) -> str:
    velocity = velocity_of(result)
    plan = plan_rows(result.arms)
    note = (
        "Black: observed; orange: model with its continuum, both divided by the continuum. Grey: pixels that were not "
        "used. Residuals in units of photon error, jitter and emulator error together; triangles lie beyond the panel. "
    )
    if np.isfinite(velocity):
        note += f"Line marks are at the star's velocity, {velocity:.1f} km/s in the frame of the file."
    else:
        note += "The velocity is unknown: line marks are at rest."
    parts = ["<h2>Spectrum</h2>", f'<p class="note">{escape(" ".join((note, *plan.left_out)))}</p>']
    for arm, figures in spectrum_figures(result.arms, velocity if np.isfinite(velocity) else 0.0, plan):
        parts.append(f"<h3>{escape(_arm_title(arm.name, arm.wavelength))}</h3>")
        alt = f"Spectrum, model and residuals of arm {arm.name}"
        rows = "".join(f'<img alt="{escape(alt)}" src="{png(figure, dpi=110)}">' for figure in figures)
        parts.append(f'<figure class="wide">{rows}</figure>')
    return "\n".join(parts)


def _arm_title(name: str, wavelength: np.ndarray) -> str:
    return f"{name}, {wavelength[0]:.0f} to {wavelength[-1]:.0f} Å"


def _posterior(result: FitResult, table: Table) -> str:
    sampled = [i for i, name in enumerate(table["label"]) if name in result.names and name in result.label_names]
    bounds, ccf = bounds_figure(table[sampled]), ccf_figure(result, velocity_of(result))
    parts = []
    if bounds is not None:
        parts.append("<h2>Errors against bounds</h2>")
        parts.append(picture(png(bounds), "Posterior error, Cramér-Rao bound and prior of every label", "natural"))
    influence = influence_figure(result)
    if influence is not None:
        parts.append("<h2>Which wavelengths decide</h2>")
        parts.append(
            '<p class="note">By how much each block of wavelength moves a label, in units of its error: without the '
            "block the label would be less by that. A block that stands out has a line that is wrong in the model or "
            "in the data.</p>"
        )
        parts.append(picture(png(influence), "Influence of blocks of wavelength on the main labels", "wide"))
    traces = trace_figure(result)
    if traces is not None:
        parts.append("<details><summary>Traces and ranks of the chains</summary>")
        parts.append(picture(png(traces, dpi=100), "Traces and ranks of the chains", "wide") + "</details>")
    if ccf is not None:
        parts.append("<h2>Radial velocity</h2>")
        parts.append(picture(png(ccf), "Cross-correlation with the best template", "natural"))
    return "\n".join(parts)


def _details(result: FitResult) -> str:
    numbers = (
        (key, "not known" if np.isnan(value) else f"{value:.6g}") for key, value in sorted(result.diagnostics.items())
    )
    return folded("Diagnostics", numbers) + folded("Provenance", flatten(result.provenance))


def flatten(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Rows (key, text) of nested mappings, keys joined by dots; lists as JSON."""
    for key, value in table.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        else:
            yield name, value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
