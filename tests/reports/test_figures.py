"""Pictures of the posterior."""

from __future__ import annotations

import numpy as np

from bayne.reports.figures import (
    bounds_figure,
    ccf_figure,
    corner_figure,
    corner_names,
    decimals,
    moving,
    trace_figure,
)
from fakes import fake_result


def test_corner_takes_parameters_and_velocities_first() -> None:
    assert corner_names(fake_result()) == ["teff", "logg", "fe_h", "vmic", "rv", "vsini"]
    few = fake_result(("teff", "logg", "fe_h", "mg_fe", "si_fe", "ca_fe"))
    assert corner_names(few) == ["teff", "logg", "fe_h", "mg_fe", "si_fe"]


def test_labels_that_do_not_move_are_not_drawn() -> None:
    result = fake_result(("teff", "logg", "fe_h"))
    result.idata.posterior["logg"].values[:] = 4.4
    assert moving(result) == ["teff", "fe_h"]


def test_corner_shows_the_ellipse_of_the_bound() -> None:
    result = fake_result(("teff", "logg", "fe_h"))
    figure = corner_figure(result)
    assert figure is not None
    panels = np.array(figure.axes).reshape(3, 3)
    ellipse = next(line for line in panels[1, 0].lines if len(line.get_xdata()) == 181)
    x, y = ellipse.get_data()
    sigma = np.sqrt(np.diag(result.fisher_covariance))
    assert np.isclose(np.ptp(x) / 2, sigma[0], rtol=1e-3)
    assert np.isclose(np.ptp(y) / 2, sigma[1], rtol=1e-3)
    assert np.isclose(np.mean([x.min(), x.max()]), result.map[0])


def test_traces_have_a_row_per_label() -> None:
    figure = trace_figure(fake_result())
    assert figure is not None
    assert len(figure.axes) == 2 * len(moving(fake_result()))
    assert trace_figure(fake_result(method="laplace")) is None


def test_ccf_shows_both_velocities() -> None:
    figure = ccf_figure(fake_result(), -21.4)
    assert figure is not None
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["highest peak: -16.0 km/s", "fitted: -21.40 km/s"]


def test_bounds_are_grouped_by_unit() -> None:
    result = fake_result()
    figure = bounds_figure(result.table[: len(result.label_names) - 1])
    assert figure is not None
    assert [axes.get_ylabel() for axes in figure.axes] == ["1 σ (K)", "1 σ (dex)", "1 σ (km/s)"]
    assert bounds_figure(fake_result(failed=True).table[:3]) is None


def test_decimals_show_two_digits_of_an_error() -> None:
    assert [decimals(sd) for sd in (43.0, 4.3, 0.043, 0.0043, 0.0, np.nan)] == [0, 1, 3, 4, 3, 3]
