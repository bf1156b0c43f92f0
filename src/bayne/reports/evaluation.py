"""One self-contained HTML page about how good an emulator is."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ..labels import pretty
from ..training.attention import PASS
from .answers import GOOD, correlation_figure, derivative_figure, matrix_figure, profile_figure
from .html import Row, header, note, number, picture, table, write
from .residuals import calibration_figure, labels_figure, star_figure, stars_figure, wavelength_figure

if TYPE_CHECKING:
    from ..training.derivatives import StarDerivatives
    from ..training.evaluate import Errors, Evaluation

_TITLES = {
    "gradient": "Gradient by element (rows) at named lines (columns), in units of the largest in each column",
    "attention": "Attention to tokens (rows) at named lines (columns), over the token's mean in the whole spectrum",
}

_ERRORS = ("MAE", "median star", "worst star", "RMSE", "99.9% within", "worst pixel")


def evaluation_page(evaluation: Evaluation, path: str | Path, overwrite: bool = False) -> Path:
    """Write a page about an emulator: errors, residuals, derivatives, error model, lines.

    Parameters
    ----------
    evaluation
        From `evaluate`.
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
    parts = (_header, _residuals, _derivatives, _error_model, _lines)
    return write(path, f"{evaluation.card.name}: evaluation", (part(evaluation) for part in parts), overwrite)


def _header(evaluation: Evaluation) -> str:
    errors = evaluation.errors
    facts = {
        "Network": evaluation.card.network,
        "Mean absolute error (MAE)": f"{errors.mae:.5f}",
        "MAE of the median star": f"{errors.median_star_mae:.5f}",
        "MAE of the mean spectrum": f"{evaluation.mae_of_mean:.4f}, {evaluation.ratio:.1f} × that",
        "Test spectra": f"{errors.stars}, {evaluation.wavelength.size} pixels each",
        "Grid": evaluation.grid_hash,
    }
    return header(evaluation.card.name, facts)


def _residuals(evaluation: Evaluation) -> str:
    worst = f"row {evaluation.rows[evaluation.worst]} of the grid"
    median = f"row {evaluation.rows[evaluation.median]}"
    groups = {"": {"all": evaluation.errors}, "Windows": evaluation.windows, "Label space": evaluation.regions}
    return "\n".join(
        (
            "<h2>Errors in flux</h2>",
            note(
                "Emulator minus grid on test rows (row % 10 = 0), in normalised flux. A star's error is the mean "
                "absolute residual of its pixels."
            ),
            table(["", "stars", *_ERRORS], groups_of(groups)),
            "<h2>Where the errors are</h2>",
            picture(labels_figure(evaluation), "Error of every star against its labels"),
            picture(stars_figure(evaluation), "Absolute residuals of all stars"),
            picture(wavelength_figure(evaluation), "Mean absolute residual of every pixel"),
            f"<h3>Worst spectrum: {worst}</h3>",
            note(_told(evaluation, evaluation.worst)),
            picture(star_figure(evaluation, evaluation.worst), "The worst spectrum where it is worst"),
            f"<details><summary>Median spectrum: {median}</summary>",
            note(_told(evaluation, evaluation.median)),
            picture(star_figure(evaluation, evaluation.median), "The median spectrum where it is worst"),
            "</details>",
        )
    )


def groups_of(groups: dict[str, dict[str, Errors]]) -> Iterable[Row]:
    """Titles and rows of the table of errors."""
    for title, group in groups.items():
        if title and group:
            yield title
        for name, e in group.items():
            shown = (e.mae, e.median_star_mae, e.worst_star_mae, e.rmse, e.p999, e.worst_pixel)
            yield [("left", name), e.stars, *(f"{value:.5f}" for value in shown)]


def _told(evaluation: Evaluation, star: int) -> str:
    labels = ", ".join(
        f"{pretty(name)} {number(value, 0 if name == 'teff' else 2)}"
        for name, value in zip(evaluation.card.labels, evaluation.labels[star], strict=True)
    )
    return f"MAE {evaluation.star_mae[star]:.5f}; {labels}. Shown: the worst stretch of each window."


def _derivatives(evaluation: Evaluation) -> str:
    if not evaluation.derivatives:
        return ""
    parts = [
        "<h2>Derivatives</h2>",
        note(
            "Against symmetric differences of the physical synthesis. Over the pixels that hold 90% of the physical "
            "derivative's squared sum: Pearson's correlation, marked where it is below "
            f"{GOOD:g} for a measurable label; the same without subtracting means (cosine); slope of emulated on "
            "physical through the origin. Over all pixels: RMS error relative to the physical derivative. "
            "Significance: how many sigma a change of 0.3 dex, 0.3 km/s or 100 K makes at S/N 100 per pixel with all "
            "other labels known; below 3 the label has no measurable line in the star, and its circle is hollow."
        ),
        picture(correlation_figure(evaluation), "Correlation with the physical derivative", "natural"),
    ]
    for star in evaluation.derivatives:
        parts += [
            f"<h3>{escape(star.name)}: MAE of the spectrum itself {star.base_mae:.5f}</h3>",
            picture(derivative_figure(evaluation, star), f"Derivatives of {star.name}"),
            f"<details><summary>Numbers for {escape(star.name)}</summary>",
            table(
                ["label", "correlation", "cosine", "slope", "RMS error", "significance"],
                _derivative_rows(evaluation, star),
            ),
            "</details>",
        ]
    return "\n".join(parts)


def _derivative_rows(evaluation: Evaluation, star: StarDerivatives) -> Iterable[Row]:
    for i, name in enumerate(evaluation.card.labels):
        short = star.measurable[i] and not star.correlation[i] > GOOD
        measures = ((star.cosine, 4), (star.slope, 3), (star.relative_rms, 3), (star.significance, 1))
        correlation = ("alert" if short else "", number(star.correlation[i], 4))
        yield [("left", pretty(name)), correlation, *(number(values[i], digits) for values, digits in measures)]


def _error_model(evaluation: Evaluation) -> str:
    found, chi = evaluation.calibration, evaluation.chi
    if found is None or chi is None:
        return "<h2>Error model</h2>\n" + note("The emulator states no error of its own.")
    inside = ", ".join(f"{share:.1%}" for share in found.inside)
    quantiles = ", ".join(number(q, 2) for q in found.quantiles)
    return "\n".join(
        (
            "<h2>Error model</h2>",
            note(
                f"Root mean square of all residuals over that predicted: {found.ratio:.2f}. Within 1, 2 and 3 "
                f"predicted sigma: {inside} (a Gaussian has 68.3%, 95.4%, 99.7%). Residuals in units of the predicted "
                f"sigma at the probabilities of −2, −1, 0, 1 and 2 sigma: {quantiles}."
            ),
            picture(calibration_figure(found, chi), "Predicted against actual error", "natural"),
        )
    )


def _lines(evaluation: Evaluation) -> str:
    if not evaluation.line_tests:
        return ""
    passed = sum(test.passed for test in evaluation.line_tests)
    wrong = sum(test.control < PASS for test in evaluation.line_tests)
    parts = [
        "<h2>Which lines answer to which label</h2>",
        note(
            "At the Sun, or the nearest labels of the domain. Gradient: |d flux / d [X/H]|, iron alone for Fe. "
            "Attention: weight of an element's token, mean over layers and heads. Each panel is around that line of "
            "the element at which the flux answers most to it; full marks: its own lines, dotted: lines of others."
        ),
        picture(profile_figure(evaluation), "Gradient and attention around named lines"),
    ]
    for line_map in evaluation.maps:
        parts.append(f"<h3>{_TITLES[line_map.kind]}</h3>")
        parts.append(picture(matrix_figure(evaluation, line_map), f"{line_map.kind} at named lines", "natural"))
    parts += [
        "<h3>Permutation test</h3>",
        note(
            "k cells of the spectrum (pixels, or patches that share a query) lie within 0.2 Å of an element's lines in "
            "a table of laboratory wavelengths. Share: how many of the k strongest cells of the element's map are among"
            " them. p: share of 9,999 random shifts of the map inside its windows that do as well; "
            f"{passed} of {len(evaluation.line_tests)} pass (p < 0.01). Control p: the same with the map of a wrong "
            f"element: {wrong} pass. Such a pass means that the two blend there, or that the emulator confuses them."
        ),
        table(["element", "map", "lines", "k", "share", "by chance", "p", "control p"], _test_rows(evaluation)),
    ]
    return "\n".join(parts)


def _test_rows(evaluation: Evaluation) -> Iterable[Row]:
    for test in evaluation.line_tests:
        shares = (number(test.share, 2), number(test.expected, 3))
        p = ("" if test.passed else "alert", number(test.p, 4))
        yield [("left", test.element), ("left", test.kind), test.lines, test.cells, *shares, p, number(test.control, 4)]
