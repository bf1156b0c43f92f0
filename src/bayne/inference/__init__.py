"""Optimiser, samplers, diagnostics, results."""

from .batch import BatchResult, fit_batch
from .compare import Comparison, compare
from .fit import fit_star
from .result import ArmFit, FitResult, load_result

__all__ = ["ArmFit", "BatchResult", "Comparison", "FitResult", "compare", "fit_batch", "fit_star", "load_result"]
