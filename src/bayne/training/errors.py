"""The error model of an emulator, from the residuals of spectra that it was not trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..emulators import Emulator, ErrorModel
from ..emulators.coordinates import sensitivity
from ..emulators.kernel import KernelPayne
from ..errors import BayneError
from ..spectrum import FloatArray
from .derivatives import check_labels, check_wavelength
from .grid import Grid

#: Most residual spectra that are looked at: their derivatives by 29 labels at 24,000 pixels take 0.3 GB.
MAX_SPECTRA = 120

#: Steps of expectation maximisation, and the label errors it starts with in units of the domain's width: a label
#: that no residual tells anything about keeps it.
STEPS, START = 12, 0.025

#: Degrees of freedom of Student's t for label errors: a few wild stars do not decide how large they are for the others.
FREEDOM = 6

#: A residual counts as an error of the labels as far as a spectrum of this signal-to-noise per pixel can tell.
SIGNAL_TO_NOISE = 100.0


def with_error_model(emulator: Emulator, grid: Grid, rank: int = 12) -> Emulator:
    """The emulator with an error model from the validation rows of a grid, which were not trained on.

    Raises
    ------
    BayneError
        A kernel emulator was trained on them too, and has an error model of its own; labels or wavelengths differ.
    """
    if emulator.card.network == KernelPayne.name:
        raise BayneError("a kernel emulator has the error model of its leave-one-out residuals: no row was left out")
    check_labels(emulator, grid.names, "grid")
    check_wavelength(emulator, grid.wavelength, "grid")
    rows = grid.validation
    residual = emulator.evaluate(grid.labels[rows]) - grid.flux[rows]
    return replace(emulator, error=error_model(emulator, grid.labels[rows], residual, rank))


def error_model(emulator: Emulator, labels: FloatArray, residual: np.ndarray, rank: int) -> ErrorModel:
    """Error model from held-out residuals.

    The residual of a star is taken as Σ δ_i g_i + d (b B + e): labels that are off by δ, with the derivatives g_i of
    its flux f, and errors of absorbance, which show in proportion to d = f (1 - f). The scale of δ (Student's t) and
    the variance of e (Gaussian) are found by expectation maximisation (Kent, Tyler & Vardi 1994, Commun. Stat. Simul.
    Comput. 23, 441), B are the principal components of what is left then.

    Parameters
    ----------
    emulator
        Of which the errors are; its own error model does not matter.
    labels, residual
        (n, l) and (n, p) emulated minus true flux of spectra that were not trained on.
    rank
        Number of principal components; a third of the number of spectra at most, or nothing would be left to tell
        how large the rest is.
    """
    few = np.linspace(0, len(labels) - 1, min(len(labels), MAX_SPECTRA)).astype(int)
    labels, width = labels[few], emulator.upper - emulator.lower
    size = sensitivity(emulator.evaluate(labels).astype(np.float64))
    seen = residual[few] / size
    # float32: as many derivatives as spectra, labels and pixels together
    slope = np.stack([(emulator.gradient(x) * width[:, None]).astype(np.float32) for x in labels])
    slope /= size[:, None]
    photon = (SIGNAL_TO_NOISE * size) ** -2
    shift, left = np.full(width.size, START**2), seen
    for _ in range(STEPS):
        sigma2, moments, rest = np.mean(left**2, axis=0), [], []
        for u, g, noise in zip(seen, slope, photon + sigma2, strict=True):
            weighted = g / noise
            covariance = np.linalg.inv(weighted @ g.T + np.diag(1 / shift))
            delta = covariance @ (weighted @ u)
            moments.append(delta**2 + np.diag(covariance))
            rest.append(u - delta @ g)
        trust = (FREEDOM + 1) / (FREEDOM + np.stack(moments) / shift)
        shift, left = np.average(moments, axis=0, weights=trust), np.stack(rest)
    _, singular, right = np.linalg.svd(left / np.sqrt(len(left)), full_matrices=False)
    rank = min(rank, len(left) // 3)
    basis = singular[:rank, None] * right[:rank]
    sigma2 = np.mean(left**2, axis=0) - np.sum(basis**2, axis=0)
    sigma = np.sqrt(np.maximum(sigma2, 0.0))
    return ErrorModel(basis.astype(np.float32), sigma.astype(np.float32), np.sqrt(shift) * width)
