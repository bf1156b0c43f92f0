"""Optimiser, samplers, diagnostics, results."""

from .batch import BatchResult, fit_batch
from .compare import Comparison, compare
from .draws import Sampler
from .fit import fit_star
from .result import ArmFit, FitResult, load_result
from .spectrum_model import Likelihood, SpectrumModel, likelihood, model

__all__ = [
    "ArmFit",
    "BatchResult",
    "Comparison",
    "FitResult",
    "Likelihood",
    "Sampler",
    "SpectrumModel",
    "compare",
    "fit_batch",
    "fit_star",
    "likelihood",
    "load_result",
    "model",
]
