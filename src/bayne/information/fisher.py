"""Cramér-Rao bounds from a Fisher matrix."""

from __future__ import annotations

import numpy as np

from ..spectrum import FloatArray


def cramer_rao_bounds(fisher: FloatArray, width: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cramér-Rao bounds without label priors, and the covariance behind them.

    Parameters
    ----------
    fisher
        (n, n).
    width
        (n,) width of the domain of each parameter.

    Returns
    -------
    tuple
        (n,) bounds, inf where a bound exceeds width/sqrt(12), the spread of a uniform prior: the data do
        not constrain that parameter; and (n, n) the inverse of the Fisher matrix, regularised a thousand
        widths out so that it exists.
    """
    scaled = fisher * np.outer(width, width)
    covariance = np.linalg.inv(scaled + 1e-6 * np.eye(width.size)) * np.outer(width, width)
    bound = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return np.where(bound > width / np.sqrt(12), np.inf, bound), covariance
