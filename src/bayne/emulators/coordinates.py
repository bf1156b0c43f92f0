"""Coordinates in which emulators learn: abundances per hydrogen, and the logit of a line's depth."""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from ..labels import over_hydrogen
from ..spectrum import FloatArray

Spectra = TypeVar("Spectra", FloatArray, jax.Array)

#: Floors of 1 - flux and of flux before the logit: below, a pixel holds no line or no light.
FLOOR_DEPTH, FLOOR_FLUX = 1e-5, 0.02

#: Least depth for which `sensitivity` counts a pixel: weaker lines that an emulator misses make errors of about this
#: times their relative error. Held-out residuals are as likely with half and with twice of it.
LEAST_DEPTH = 0.01

#: A step this much wider than the median step separates two windows of a wavelength grid.
GAP = 3.0


def hydrogen_matrix(labels: tuple[str, ...]) -> np.ndarray:
    """(l, l) matrix that takes labels to the same with [X/H] in place of [X/Fe].

    A line's strength follows the number of absorbers, [X/H], and the atmosphere.
    """
    matrix = np.eye(len(labels))
    for over, iron in over_hydrogen(labels).values():
        matrix[labels.index(over), labels.index(iron)] = 1.0
    return matrix


def single_abundances(labels: tuple[str, ...]) -> list[int]:
    """Positions of [X/Fe] and [X/H] of single elements: all abundances but the metallicity."""
    return [i for i, name in enumerate(labels) if name.endswith(("_fe", "_h")) and name not in ("fe_h", "m_h")]


def absorbance(flux: FloatArray) -> FloatArray:
    """y = logit(1 - flux), with flux and depth floored; flux = 1 / (1 + exp(y)).

    Close to linear in abundance for weak lines: the curve of growth.
    """
    depth = np.clip(1 - flux, FLOOR_DEPTH, 1 - FLOOR_FLUX)
    return np.log(depth) - np.log1p(-depth)


def sensitivity(flux: Spectra) -> Spectra:
    """How much flux answers to a change of absorbance, flux (1 - flux), with flux and depth floored."""
    return (1 - flux).clip(LEAST_DEPTH) * flux.clip(FLOOR_FLUX)


def unit_box(labels: jax.Array, matrix: jax.Array, x_min: jax.Array, x_max: jax.Array) -> jax.Array:
    """matrix @ labels, scaled to [-0.5, 0.5] in the precision of the labels, then float32 (The Payne's convention)."""
    return ((matrix @ labels - x_min) / (x_max - x_min) - 0.5).astype(jnp.float32)


def segments(wavelength: FloatArray) -> np.ndarray:
    """(p,) number of the contiguous window that each pixel belongs to."""
    step = np.diff(np.log(wavelength))
    return np.concatenate([[0], np.cumsum(step > GAP * np.median(step))])
