"""Training of `KernelPayne`: kernel scales by leave-one-out cross-validation, weights by a linear solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..emulators import Emulator
from ..emulators.coordinates import absorbance, hydrogen_matrix
from ..emulators.kernel import KernelPayne, kernel
from ..precision import double
from .card import grid_card
from .errors import error_model
from .evaluate import held_out_errors
from .grid import Grid

#: First guesses of inverse length scales, for labels scaled to [-1, 1].
START = {"teff": 1.0, "logg": 0.5, "fe_h": 0.3, "vmic": 0.15}

Log = dict[str, jax.Array]


@double
def train_kernel(
    grid: Grid,
    *,
    rank: int = 120,
    steps: int = 300,
    error_rank: int = 12,
    spectra: int = 0,
    name: str = "kernel",
    tell: Callable[[str], None] = lambda text: None,
) -> Emulator:
    """Train a kernel emulator on all but the test rows of a grid.

    Parameters
    ----------
    grid
        See `Grid`.
    rank
        Number of basis spectra.
    steps
        Steps of Adam on the kernel's parameters; the objective is the leave-one-out error, in closed form
        (Rasmussen & Williams 2006, eq. 5.12).
    error_rank
        Rank of the correlated part of the error model.
    spectra
        Train on the first so many training rows only; 0: on all but the test rows.
    name
        Name on the card.
    tell
        Called with a line of progress.

    Returns
    -------
    Emulator
        With its errors on the test rows on the card, and the error model of its leave-one-out residuals.
    """
    train = np.flatnonzero(grid.train)[:spectra] if spectra else np.flatnonzero(~grid.test)
    matrix = hydrogen_matrix(grid.names)
    raw = grid.labels @ matrix.T
    low, high = raw[train].min(0), raw[train].max(0)
    x = jnp.asarray((2 * (raw - low) / (high - low) - 1)[train])
    flux = grid.flux[train].astype(np.float64)
    y = absorbance(flux)
    mean, sensitivity = y.mean(0), np.sqrt(np.mean((flux * (1 - flux)) ** 2, axis=0)) + 1e-4
    # scaled by its effect on the flux, so that least squares in y is least squares in flux
    left, singular, right = np.linalg.svd((y - mean) * sensitivity, full_matrices=False)
    target = jnp.asarray(left[:, :rank] * singular[:rank])
    basis = right[:rank] / sensitivity

    log = _tune(x, target, grid.names, steps, tell)
    weights, residual = _solve(log, x, target)
    arrays = {
        "x_min": low,
        "x_max": high,
        "centres": np.asarray(x),
        "scale": np.exp(log["scale"]),
        "linear": np.exp(log["linear"]),
        "power": np.exp(log["power"]),
        "weights": np.asarray(weights),
        "basis": basis,
        "mean": mean,
    }
    card = grid_card(grid, name, KernelPayne.name)
    network, params = KernelPayne.decode(arrays, card)
    emulator = Emulator(network, params, grid.wavelength, card)
    left_out = 1 / (1 + np.exp((np.asarray(target) - np.asarray(residual)) @ basis + mean)) - flux
    errors = {k: float(f"{v:.3g}") for k, v in held_out_errors(emulator, grid).items()}
    error = error_model(emulator, grid.labels[train], left_out, error_rank)
    return replace(emulator, card=replace(card, held_out_error=errors), error=error)


def _tune(x: jax.Array, target: jax.Array, names: tuple[str, ...], steps: int, tell: Callable[[str], None]) -> Log:
    """Logarithms of the kernel's parameters that minimise the leave-one-out error."""
    log = {
        "scale": jnp.log(jnp.asarray([START.get(name, 0.07) for name in names])),
        "linear": jnp.full(len(names), jnp.log(0.1)),
        "power": jnp.log(jnp.asarray(1.0)),
        "ridge": jnp.log(jnp.asarray(1e-4)),
    }
    optimiser = optax.adam(optax.cosine_decay_schedule(0.1, steps))
    state = optimiser.init(log)

    def loss(log: Log) -> jax.Array:
        # the mean over stars of each star's root mean square: a few wild stars do not decide
        return jnp.mean(jnp.sqrt(jnp.sum(_solve(log, x, target)[1] ** 2, axis=1)))

    @jax.jit
    def step(log: Log, state: optax.OptState) -> tuple[Log, optax.OptState, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(log)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(log, updates), state, value

    for i in range(steps):
        log, state, value = step(log, state)
        if i % 50 == 0:
            tell(f"step {i}: leave-one-out error {float(value):.4f}")
    return log


def _solve(log: Log, x: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Weights (n, r) of kernel ridge regression, and leave-one-out residuals (n, r)."""
    k = kernel(x, x, jnp.exp(log["scale"]), jnp.exp(log["linear"]), jnp.exp(log["power"]))
    inverse = jnp.linalg.inv(k + jnp.exp(log["ridge"]) * jnp.eye(len(x)))
    weights = inverse @ target
    return weights, weights / jnp.diagonal(inverse)[:, None]
