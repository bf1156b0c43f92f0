"""Priors, noise, continuum and emulator error: the log posterior of one star."""

from .continuum import check_order
from .correlation import Correlation
from .distribution import MarginalNormal
from .marginal import Pixels, factorise, log_likelihood
from .model import PixelModel
from .priors import Prior, described, prior_range
from .problem import (
    Problem,
    best_continuum,
    broadening,
    build,
    log_posterior,
    padded,
    with_continuum_process,
    with_emulator_error,
    with_robust_widths,
)
from .star import RobustWidths, StarModel
from .windows import MAX_VELOCITY, cut_to_windows, reachable

__all__ = [
    "MAX_VELOCITY",
    "Correlation",
    "MarginalNormal",
    "PixelModel",
    "Pixels",
    "Prior",
    "Problem",
    "RobustWidths",
    "StarModel",
    "best_continuum",
    "broadening",
    "build",
    "check_order",
    "cut_to_windows",
    "described",
    "factorise",
    "log_likelihood",
    "log_posterior",
    "padded",
    "prior_range",
    "reachable",
    "with_continuum_process",
    "with_emulator_error",
    "with_robust_widths",
]
