"""Priors, noise, continuum and emulator error: the log posterior of one star."""

from .continuum import check_order
from .marginal import factorise, log_likelihood
from .priors import Prior, described, reach
from .problem import (
    Problem,
    Static,
    best_continuum,
    broadening,
    build,
    jacobian,
    jitter_variance,
    log_like,
    log_likes,
    log_posterior,
    padded,
    predict,
    tabulated,
    with_continuum_process,
    with_emulator_error,
    with_robust_widths,
)
from .windows import MAX_VELOCITY, cut_to_windows, reachable

__all__ = [
    "MAX_VELOCITY",
    "Prior",
    "Problem",
    "Static",
    "best_continuum",
    "broadening",
    "build",
    "check_order",
    "cut_to_windows",
    "described",
    "factorise",
    "jacobian",
    "jitter_variance",
    "log_like",
    "log_likelihood",
    "log_likes",
    "log_posterior",
    "padded",
    "predict",
    "reach",
    "reachable",
    "tabulated",
    "with_continuum_process",
    "with_emulator_error",
    "with_robust_widths",
]
