"""Priors, noise, continuum and emulator error: the log posterior of one star."""

from .marginal import factorise, log_likelihood, project
from .priors import Prior
from .problem import (
    Problem,
    Static,
    best_continuum,
    broadening,
    build,
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
    "factorise",
    "jitter_variance",
    "log_like",
    "log_likelihood",
    "log_posterior",
    "padded",
    "predict",
    "project",
    "with_emulator_error",
]
