"""Bayne (Bayesian Payne): posteriors of stellar labels from spectra."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Public names and the modules they live in; loaded on first use, so that importing bayne is quick.
_HOMES = {
    "Flag": "flags",
    "BayneError": "errors",
    "ReadError": "errors",
    "Spectrum": "spectrum",
    "Arm": "spectrum",
    "GaussianLSF": "lsf",
    "Instrument": "instrument",
    "load_instrument": "instrument",
    "read_spectrum": "surveys",
    "Emulator": "emulators",
    "load_emulator": "emulators",
    "save_emulator": "emulators",
    "fit_star": "inference",
    "fit_batch": "inference",
    "fit_catalog": "catalog",
    "merge": "catalog",
    "validate": "catalog",
    "calibrate": "calibration",
    "compare": "inference",
    "Bounds": "information",
    "cramer_rao": "information",
    "FitResult": "inference",
    "Sampler": "inference",
    "Likelihood": "inference",
    "likelihood": "inference",
    "SpectrumModel": "inference",
    "model": "inference",
    "load_result": "inference",
    "report": "reports",
    "train": "training",
    "finetune": "training",
    "evaluate": "training",
    "compile": "training",
    "make_grid": "synthesis.grids",
    "mock": "information.mock",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:
    from .calibration import calibrate as calibrate
    from .catalog import fit_catalog as fit_catalog
    from .catalog import merge as merge
    from .catalog import validate as validate
    from .emulators import Emulator as Emulator
    from .emulators import load_emulator as load_emulator
    from .emulators import save_emulator as save_emulator
    from .errors import BayneError as BayneError
    from .errors import ReadError as ReadError
    from .flags import Flag as Flag
    from .inference import FitResult as FitResult
    from .inference import Likelihood as Likelihood
    from .inference import Sampler as Sampler
    from .inference import SpectrumModel as SpectrumModel
    from .inference import compare as compare
    from .inference import fit_batch as fit_batch
    from .inference import fit_star as fit_star
    from .inference import likelihood as likelihood
    from .inference import load_result as load_result
    from .inference import model as model
    from .information import Bounds as Bounds
    from .information import cramer_rao as cramer_rao
    from .information.mock import mock as mock
    from .instrument import Instrument as Instrument
    from .instrument import load_instrument as load_instrument
    from .lsf import GaussianLSF as GaussianLSF
    from .reports import report as report
    from .spectrum import Arm as Arm
    from .spectrum import Spectrum as Spectrum
    from .surveys import read_spectrum as read_spectrum
    from .synthesis.grids import make_grid as make_grid
    from .training import compile as compile
    from .training import evaluate as evaluate
    from .training import finetune as finetune
    from .training import train as train


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bayne' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
