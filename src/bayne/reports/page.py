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
from .html import Cells, Html, folded, header, note, number, picture, section, table, tip, write
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
    rows = result.table
    yield _header(result)
    yield picture(overview_figure(result.arms), "The whole spectrum with model and continuum")
    yield _flags(result)
    yield section(
        "Posterior of the main labels", corner_figure(result), "Corner plot of the main labels", "natural", dpi=100
    )
    yield _labels(result, rows)
    yield _spectrum(result)
    yield _posterior(result, rows)
    yield _details(result)


def _header(result: FitResult) -> str:
    facts = {
        "Method": _METHODS.get(result.method, result.method),
        "Emulator": emulator_name(result.provenance),
        "χ² of photon noise / pixels": _chi2(result),
        "S/N per pixel": signal_to_noise(result),
        "Star's velocity in the file": _with("km/s", velocity_of(result), 2),
        "Arms": _arms(result),
    }
    if result.flags.bad:
        return header(result.id, facts, ("bad", "BAD: do not use the numbers as they are"))
    return header(result.id, facts, ("warn", "OK with warnings") if result.flags else ("ok", "OK"))


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
    order = sorted((bit for bit in Flag if bit in result.flags), key=lambda bit: not bit.bad)
    rows = [("bad" if bit.bad else "warn", SENTENCES[bit]) for bit in order]
    told = {text for _, text in rows}
    rows += [("plain", text) for text in result.messages if text not in told]
    if not rows:
        return ""
    items = "\n".join(f'<li class="{kind}">{escape(text)}</li>' for kind, text in rows)
    return f'<h2>What to know about this fit</h2>\n<ul class="flags">\n{items}\n</ul>'


#: Columns of the tables of labels, and what they are.
_COLUMNS = {
    "label": "",
    "median": "posterior median; to the 16th and 84th percentiles",
    "unit": "",
    "std": "posterior standard deviation: the error to be believed",
    "photons": "what the noise of the photons alone would make of it",
    "R-hat": "rank-normalised split R-hat",
    "ESS bulk": "effective sample size of the bulk",
    "ESS tail": "effective sample size of the tails",
    "bound": "Cramér-Rao bound: the least error that these pixels allow, without priors on labels",
    "std / bound": "",
    "with priors": "the bound with what the priors tell; a uniform prior counts as a Gaussian of its spread",
    "prior sd": "standard deviation of the prior",
    "notes": "",
}


def _labels(result: FitResult, rows: Table) -> str:
    derived = set(over_hydrogen(result.label_names)) - set(result.names)
    overs = {over for over, _ in over_hydrogen(result.label_names).values()}
    nuisances = [name for name in result.names if name not in result.label_names]
    titles = ("Stellar parameters and velocities", "Abundances", "Derived [X/H]", "Nuisance parameters")
    groups: dict[str, list[Cells]] = {title: [] for title in titles}
    for row in rows:
        name = str(row["label"])
        place = 3 if name in nuisances else 2 if name in derived else 1 if name in overs else 0
        groups[titles[place]].append(_row(row, name in result.fixed))
    if result.method == "map":
        words = "Errors are those of the Cramér-Rao bound with the priors; there are no posterior draws."
    else:
        words = (
            "Median with the distances to the 16th and 84th percentiles, or the 95% upper limit; "
            "the standard deviation beside the bound."
        )
    html = f"<h2>Labels</h2>\n{note(words)}\n"
    for title, own in groups.items():
        if own:
            state = "" if title.startswith(("Derived", "Nuisance")) else " open"
            shown = table(_COLUMNS, own, _COLUMNS)
            html += f"<details{state}><summary>{title} ({len(own)})</summary>\n{shown}</details>\n"
    return html


def _row(row: Row, fixed: bool) -> Cells:
    n = decimals(float(row["std"]))
    flag = Flag(int(row["flag"]))
    rhat, least = float(row["rhat"]), min(float(row["ess_bulk"]), float(row["ess_tail"]))
    notes = Html(", ".join(tip(words_of(bit), SENTENCES[bit]) for bit in Flag if bit in flag))
    return [
        ("left", pretty(str(row["label"]))),
        ("value", _value(row, n, fixed)),
        ("left", row["unit"]),
        "" if fixed else number(row["std"], n),
        "" if fixed else number(row["std_photon"], n),
        ("alert" if rhat > MAX_RHAT else "", number(rhat, 3)),
        ("alert" if least < MIN_ESS else "", number(row["ess_bulk"], 0)),
        ("alert" if least < MIN_ESS else "", number(row["ess_tail"], 0)),
        "none" if np.isinf(row["crb"]) else number(row["crb"], n),
        number(row["std_over_crb"], 2) if np.isfinite(row["std_over_crb"]) else "",
        "" if fixed else number(row["crb_with_prior"], n),
        number(row["prior_std"], decimals(float(row["prior_std"]))),
        ("left", "fixed" if fixed else notes),
    ]


def _value(row: Row, n: int, fixed: bool) -> str:
    if fixed:
        return f"{float(row['median']):g}"
    if not np.isfinite(row["median"]):
        return "–"
    if np.isfinite(row["upper_95"]):
        limit = number(row["upper_95"], n)
        return tip(f"< {limit}", "95% upper limit: less of it would fit as well")
    up, down = float(row["q84"] - row["median"]), float(row["median"] - row["q16"])
    return Html(f'{number(row["median"], n)}<span class="pm">+{up:.{n}f}<br>−{down:.{n}f}</span>')


def words_of(bit: Flag) -> str:
    """A flag in words."""
    return (bit.name or "").lower().replace("_", " ")


def _spectrum(result: FitResult) -> str:
    velocity = velocity_of(result)
    plan = plan_rows(result.arms)
    words = (
        "Black: observed; orange: model with its continuum, both divided by the continuum. Grey: pixels that were not "
        "used. Residuals in units of photon error, jitter and emulator error together; triangles lie beyond the panel. "
    )
    if np.isfinite(velocity):
        words += f"Line marks are at the star's velocity, {velocity:.1f} km/s in the frame of the file."
    else:
        words += "The velocity is unknown: line marks are at rest."
    parts = ["<h2>Spectrum</h2>", note(" ".join((words, *plan.left_out)))]
    for arm, figures in spectrum_figures(result.arms, velocity if np.isfinite(velocity) else 0.0, plan):
        parts.append(f"<h3>{escape(_arm_title(arm.name, arm.wavelength))}</h3>")
        alt = f"Spectrum, model and residuals of arm {arm.name}"
        rows = "".join(f'<img alt="{escape(alt)}" src="{png(figure, dpi=110)}">' for figure in figures)
        parts.append(f'<figure class="wide">{rows}</figure>')
    return "\n".join(parts)


def _arm_title(name: str, wavelength: np.ndarray) -> str:
    return f"{name}, {wavelength[0]:.0f} to {wavelength[-1]:.0f} Å"


def _posterior(result: FitResult, rows: Table) -> str:
    sampled = [i for i, name in enumerate(rows["label"]) if name in result.names and name in result.label_names]
    parts = [
        section(
            "Errors against bounds",
            bounds_figure(rows[sampled]),
            "Posterior error, Cramér-Rao bound and prior of every label",
            "natural",
        ),
        section(
            "Which wavelengths decide",
            influence_figure(result),
            "Influence of blocks of wavelength on the main labels",
            "wide",
            "By how much each block of wavelength moves a label, in units of its error: without the block the label "
            "would be less by that. A block that stands out has a line that is wrong in the model or in the data.",
        ),
    ]
    traces = trace_figure(result)
    if traces is not None:
        parts.append("<details><summary>Traces and ranks of the chains</summary>")
        parts.append(picture(traces, "Traces and ranks of the chains", dpi=100) + "</details>")
    ccf = ccf_figure(result, velocity_of(result))
    return "\n".join((*parts, section("Radial velocity", ccf, "Cross-correlation with the best template", "natural")))


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
