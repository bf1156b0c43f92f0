"""Priors, noise, continuum and emulator error: the log posterior of one star."""

from .continuum import check_order
from .gram import tabulate
from .marginal import factorise, log_likelihood
from .priors import Prior, reach
from .problem import (
    Problem,
    Static,
    best_continuum,
    broadening,
    build,
    compared,
    jacobian,
    jitter_variance,
    log_like,
    log_posterior,
    padded,
    predict,
    with_emulator_error,
)

__all__ = [
    "Prior",
    "Problem",
    "Static",
    "best_continuum",
    "broadening",
    "build",
    "check_order",
    "compared",
    "factorise",
    "jacobian",
    "jitter_variance",
    "log_like",
    "log_likelihood",
    "log_posterior",
    "padded",
    "predict",
    "reach",
    "tabulate",
    "with_emulator_error",
]
