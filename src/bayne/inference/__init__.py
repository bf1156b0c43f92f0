"""Optimiser, samplers, diagnostics, results."""

from .fit import fit_star
from .result import ArmFit, FitResult, load_result

__all__ = ["ArmFit", "FitResult", "fit_star", "load_result"]
