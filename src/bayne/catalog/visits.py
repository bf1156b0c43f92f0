"""Repeat visits of one star: do the errors explain how much its results differ from visit to visit?

Repeats see what changes from visit to visit: noise, continuum, sky. What is wrong in the same way every time (the
models, a prior that the visits share) they cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Column, Table
from scipy.stats import norm

from ..errors import BayneError, did_you_mean
from ..flags import Flag
from ..spectrum import FloatArray

#: Fewest independent pairs of visits that determine an inflation factor; its error is then about 14%.
MIN_PAIRS = 50

#: Share of normal pulls between -1 and 1.
INSIDE = float(norm.cdf(1) - norm.cdf(-1))


def pulls(table: Table, name: str) -> FloatArray:
    r"""Differences between visits of the same star in units of their errors.

    For two visits this is (x2 - x1) / sqrt(s1^2 + s2^2). A star with k visits has k - 1 independent pulls, not
    k (k - 1) / 2: each visit is compared with the inverse-variance weighted mean of those before it,

    .. math:: (x_j - m_{j-1}) / \sqrt{s_j^2 + \sigma^2(m_{j-1})}

    (recursive residuals: Brown, Durbin & Evans 1975, J. R. Stat. Soc. B 37, 149). They are independent and of unit
    variance where the errors are right, and their squares add up to chi-square about the star's weighted mean.

    Parameters
    ----------
    table
        One row per visit: ``star_id``, ``ok``, the label and its ``_std``.
    name
        Label. Only rows that are ok count, with a finite value and error, no upper limit; for ``rv`` only velocities
        that are barycentric.

    Returns
    -------
    FloatArray
        (n,) pulls; empty where no star was visited twice.

    Raises
    ------
    BayneError
        The table lacks a column.
    """
    x, s = _column(table, name), _column(table, f"{name}_std")
    use = np.asarray(_given(table, "ok"), dtype=bool) & np.isfinite(x) & np.isfinite(s) & (s > 0)
    if f"{name}_upper_95" in table.colnames:
        use &= ~np.isfinite(_column(table, f"{name}_upper_95"))
    if name == "rv" and "flag_warn" in table.colnames:
        use &= (np.asarray(table["flag_warn"]) & int(Flag.RV_AS_OBSERVED)) == 0
    _, star, count = np.unique(np.asarray(_given(table, "star_id"))[use], return_inverse=True, return_counts=True)
    order = np.argsort(star, kind="stable")
    x, s = x[use][order], s[use][order]
    first = np.cumsum(count) - count
    mean, weight = x[first], s[first] ** -2
    found, visit = [np.empty(0)], 1
    left = np.flatnonzero(count > visit)
    while left.size:
        here = first[left] + visit
        off = x[here] - mean[left]
        found.append(off / np.sqrt(s[here] ** 2 + 1 / weight[left]))
        weight[left] += s[here] ** -2
        mean[left] += off * s[here] ** -2 / weight[left]
        visit += 1
        left = left[count[left] > visit]
    return np.concatenate(found)


def calibration(table: Table, names: Sequence[str]) -> Table:
    """By how much errors are too small, from repeat visits.

    The inflation factor is the 68.27th percentile of the absolute pulls: 1 for normal pulls of unit variance,
    little moved by the few wild ones that binaries and bad spectra bring. Its error is half the
    distance between the order statistics one binomial standard deviation away, which needs no distribution (David &
    Nagaraja 2003, Order Statistics, section 7.1).

    Parameters
    ----------
    table
        See `pulls`.
    names
        Labels.

    Returns
    -------
    Table
        One row per label: ``label``, ``pairs`` (independent ones, a star with k visits has k - 1), ``inflation`` and
        ``inflation_error``, NaN where there are fewer than `MIN_PAIRS` pairs.

    Raises
    ------
    BayneError
        The table lacks a column.
    """
    rows = []
    for name in names:
        size = np.abs(pulls(table, name))
        inflation = error = np.nan
        if size.size >= MIN_PAIRS:
            step = np.sqrt(INSIDE * (1 - INSIDE) / size.size)
            low, inflation, high = np.quantile(size, [INSIDE - step, INSIDE, INSIDE + step])
            error = 0.5 * (high - low)
        rows.append((str(name), size.size, inflation, error))
    return Table(rows=rows, names=["label", "pairs", "inflation", "inflation_error"], dtype=[str, int, float, float])


def calibrated(table: Table, found: Table) -> Table:
    """A table with calibrated errors beside the raw ones.

    Parameters
    ----------
    table
        Some or all rows; not changed.
    found
        `calibration` of all rows, with the labels that are to be calibrated.

    Returns
    -------
    Table
        A column ``<n>_std_calibrated`` after each ``<n>_std``: that error times the inflation factor where the
        factor is determined (`MIN_PAIRS`) and above 1, else the same as the raw error. Errors are never made smaller.

    Raises
    ------
    BayneError
        The table lacks a column.
    """
    wider = table.copy(copy_data=False)
    for name, inflation in found.iterrows("label", "inflation"):
        factor = inflation if inflation > 1 else 1.0
        raw = _given(table, f"{name}_std")
        column = raw * np.asarray(factor, dtype=raw.dtype)
        why = f"times {factor:.3f} (repeat visits)" if factor > 1 else "not inflated"
        column.description = f"{raw.description or f'error of {name}'}, {why}"
        wider.add_column(column, index=wider.index_column(raw.name) + 1, name=f"{name}_std_calibrated")
    return wider


def _given(table: Table, name: str) -> Column:
    if name not in table.colnames:
        raise BayneError(f"the table has no column {name!r}. {did_you_mean(name, table.colnames)}")
    return table[name]


def _column(table: Table, name: str) -> FloatArray:
    return np.ma.filled(np.ma.asarray(_given(table, name), dtype=np.float64), np.nan)
