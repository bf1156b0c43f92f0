"""The training loop: one for every `Trainable`, on whatever device JAX has."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..emulators.trainable import Trainable
from ..errors import BayneError
from ..files import replacing
from .checkpoint import load_checkpoint, save_checkpoint
from .config import Training
from .optimisers import learning_rate, optimiser

#: Called with the fraction done and a line that says where the run is.
Tell = Callable[[float, str], None]

#: Trained arrays by name.
Weights = dict[str, jax.Array]

#: A long run is written down this often (s).
CHECKPOINT_SECONDS = 60.0

#: File name of the checkpoint in the folder of a run.
CHECKPOINT = "checkpoint.safetensors"

#: Where a run is given minutes, so many seconds of steps are timed.
TRIAL = 0.6

#: Residual in flux at which the Huber loss turns from a parabola to a line.
HUBER = 0.01


@dataclass(frozen=True)
class Spectra:
    """Training or validation spectra, arranged in the network's blocks.

    Parameters
    ----------
    labels
        (n, l) float32.
    flux
        (n, b, w) float32.
    weight
        (b, w): 0 for outputs that predict no pixel.
    """

    labels: jax.Array
    flux: jax.Array
    weight: jax.Array

    @classmethod
    def of(cls, labels: np.ndarray, flux: np.ndarray, layout: np.ndarray) -> Spectra:
        """From labels (n, l), flux (n, p) and the network's `layout` (b, w)."""
        weight = (layout >= 0).astype(np.float32)
        return cls(jnp.asarray(labels, jnp.float32), jnp.asarray(flux[:, np.maximum(layout, 0)]), jnp.asarray(weight))

    def of_rows(self, rows: jax.Array) -> Spectra:
        """Some of them."""
        return Spectra(self.labels[rows], self.flux[rows], self.weight)


jax.tree_util.register_dataclass(Spectra)


@dataclass(frozen=True)
class Run:
    """What one training run works with.

    Parameters
    ----------
    network, settings
        See `Trainable` and `Training`.
    fixed
        Parameters that are not trained: scalings, wavelengths, a frozen trunk.
    train, validation
        See `Spectra`.
    seed
        Root of the random numbers.
    identity
        What a checkpoint must agree with, by name.
    folder
        Where the checkpoint and the log go; None for nowhere.
    """

    network: Trainable
    settings: Training
    fixed: Mapping[str, Any]
    train: Spectra
    validation: Spectra
    seed: int
    identity: dict[str, Any]
    folder: Path | None


def train_weights(run: Run, start: Mapping[str, Any], resume: bool, tell: Tell) -> Weights:
    """Train from the weights `start`: the running average of the weights at its best check on the validation rows.

    Randomness is a function of seed and step alone, so that an interrupted run goes on bit for bit.

    Raises
    ------
    BayneError
        The loss is no longer finite.
    ReadError
        The checkpoint belongs to another run.
    """
    clock, settings = time.perf_counter(), run.settings
    with jax.enable_x64(False):
        weights = jax.tree.map(jnp.asarray, dict(start))
        fixed = jax.tree.map(jnp.asarray, dict(run.fixed))
        key = jax.random.key(run.seed)
        arrays = (fixed, run.train, _unit(run.network, settings, fixed, run.train), key)
        advance = partial(_advance, run.network, settings, arrays)
        check = partial(_check, run.network, settings, (fixed, run.validation, key))
        state = {
            "moving": {
                "weights": weights,
                "average": weights,
                "optimiser": optimiser(settings, run.network).init(weights),
            },
            "best": weights,
        }
        notes: dict[str, Any] = {"step": 0, "steps": settings.steps, "best": float("inf"), "bad": 0, "log": []}
        if resume and run.folder and (run.folder / CHECKPOINT).exists():
            state, notes = load_checkpoint(run.folder / CHECKPOINT, state, run.identity)
        if not notes["steps"]:
            notes["steps"] = _steps_in_minutes(settings, clock, state["moving"], advance, check)
        written = time.perf_counter()
        try:
            while notes["step"] < notes["steps"] and not (settings.patience and notes["bad"] >= settings.patience):
                state, notes = _next(settings, state, notes, advance, check)
                line = notes["log"][-1]
                if run.folder:
                    write_log(run.folder, notes["log"])
                    if time.perf_counter() - written > CHECKPOINT_SECONDS:
                        save_checkpoint(run.folder / CHECKPOINT, state, run.identity, notes)
                        written = time.perf_counter()
                tell(
                    line["step"] / notes["steps"],
                    f"step {line['step']} of {notes['steps']}: loss {line['loss']:.2e}, "
                    f"validation MAE {line['validation_mae']:.5f}",
                )
        except KeyboardInterrupt:
            if run.folder:
                save_checkpoint(run.folder / CHECKPOINT, state, run.identity, notes)
            raise
        return state["best"]


def write_log(folder: Path, log: list[dict[str, float]]) -> None:
    """One JSON object a line, by rename."""
    with replacing(folder / "log.jsonl") as part:
        part.write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")


def _next(
    settings: Training,
    state: dict[str, Any],
    notes: dict[str, Any],
    advance: Callable[..., Any],
    check: Callable[..., Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """State and notes after the steps up to the next check."""
    steps, begun, clock = notes["steps"], notes["step"], time.perf_counter()
    stop = min(begun + -(-steps // settings.checks), steps)
    moving, loss = advance(state["moving"], begun, stop, steps)
    if not np.isfinite(loss):
        raise BayneError(
            f"the loss became {float(loss)} between steps {begun} and {stop}: "
            f"try a learning_rate below {settings.learning_rate:g}, or a smaller clip"
        )
    error = float(check(moving["average"]))
    better = error < notes["best"]
    line = {"step": stop, "loss": float(loss), "validation_mae": error, "seconds": time.perf_counter() - clock}
    return {"moving": moving, "best": moving["average"] if better else state["best"]}, {
        "step": stop,
        "steps": steps,
        "best": min(error, notes["best"]),
        "bad": 0 if better else notes["bad"] + 1,
        "log": [*notes["log"], line],
    }


def _steps_in_minutes(
    settings: Training, clock: float, moving: dict[str, Any], advance: Callable[..., Any], check: Callable[..., Any]
) -> int:
    """Number of steps in what is left of the minutes, from the time of a few steps that are thrown away."""

    def timed(count: int) -> tuple[float, float]:
        """Seconds that `count` steps take, and a check."""
        begun = time.perf_counter()
        float(advance(moving, 0, count, count)[1])
        between = time.perf_counter()
        float(check(moving["average"]))
        return between - begun, time.perf_counter() - between

    timed(1)  # compiles
    count = 1
    while (seconds := timed(count))[0] < TRIAL:
        count *= 2
    spent = time.perf_counter() - clock
    steps = int((60 * settings.minutes - spent - settings.checks * seconds[1]) / seconds[0] * count)
    if steps < 1:
        raise BayneError(
            f"minutes = {settings.minutes:g} leave no time to train: compilation took {spent:.0f} s, and "
            f"{settings.checks} checks of {seconds[1]:.1f} s are to come; give more minutes, fewer checks, or steps"
        )
    return steps


def _mean_loss(settings: Training, residual: jax.Array, spectra: Spectra, blocks: jax.Array) -> jax.Array:
    """Mean of the loss over the outputs that predict a pixel: residuals (n, m, w) of blocks (m,) or (n, m)."""
    losses: dict[str, Callable[[jax.Array], jax.Array]] = {
        "mse": jnp.square,
        "l1": jnp.abs,
        "huber": partial(optax.losses.huber_loss, delta=HUBER),
    }
    return jnp.sum(losses[settings.loss](residual)) / _count(residual, spectra, blocks)


def _count(residual: jax.Array, spectra: Spectra, blocks: jax.Array) -> jax.Array:
    """Number of residuals (n, m, w) that belong to a pixel."""
    weight = spectra.weight[blocks]
    # not the sum of a broadcast array: on a busy CPU, XLA (jax 0.10.2) counts some of that twice now and then
    return jnp.sum(weight) * (residual.size // weight.size)


def _blocks(settings: Training, spectra: Spectra, key: jax.Array, rows: int) -> jax.Array:
    """Blocks that spectra are compared in: (b,) all of them for every one, or (rows, m) random ones for each."""
    count = len(spectra.weight)
    if count <= settings.blocks:
        return jnp.arange(count)
    return jax.random.randint(key, (rows, settings.blocks), 0, count)


def _residual(network: Trainable, params: Mapping[str, Any], spectra: Spectra, blocks: jax.Array) -> jax.Array:
    """(n, m, w) predicted minus given flux, zero where an output predicts no pixel.

    The blocks are (m,), the same for all, or (n, m).
    """
    labels, flux = spectra.labels, spectra.flux
    if blocks.ndim == 1:
        return spectra.weight[blocks] * (network.each(params, labels, blocks) - flux[:, blocks])
    found = jax.vmap(partial(network.at, params))(labels, blocks)
    return spectra.weight[blocks] * (found - flux[jnp.arange(len(labels))[:, None], blocks])


def _at_some(
    network: Trainable, params: Mapping[str, Any], spectra: Spectra, pixels: jax.Array
) -> tuple[dict[str, Any], Spectra]:
    """A network of one block, and spectra, that have these pixels (m,) only."""
    few = {k: v[..., pixels] if k in network.per_pixel else v for k, v in params.items()}
    few["pixels"] = jnp.arange(len(pixels))[None]
    return few, Spectra(spectra.labels, spectra.flux[..., pixels], spectra.weight[..., pixels])


@partial(jax.jit, static_argnums=(0, 1))
def _unit(network: Trainable, settings: Training, fixed: Mapping[str, Any], train: Spectra) -> jax.Array:
    """Loss of the mean spectrum: the unit in which the loss is given, so that clipping means the same everywhere."""
    mean = fixed["mean"][fixed["pixels"]]
    flux = mean if network.output == "flux" else jax.nn.sigmoid(-mean)
    residual = train.weight * (flux - train.flux[:1000])
    return _mean_loss(settings, residual, train, jnp.arange(len(mean)))


@partial(jax.jit, static_argnums=(0, 1))
def _advance(
    network: Trainable,
    settings: Training,
    arrays: tuple[Mapping[str, Any], Spectra, jax.Array, jax.Array],
    moving: dict[str, Any],
    begin: jax.Array,
    stop: jax.Array,
    steps: jax.Array,
) -> tuple[dict[str, Any], jax.Array]:
    """The steps from `begin` to `stop` out of `steps`, and the mean loss over them."""
    fixed, train, unit, key = arrays
    rule = optimiser(settings, network)
    count = len(train.labels)
    batch = min(settings.batch, count)

    def step(i: jax.Array, carry: tuple[dict[str, Any], jax.Array]) -> tuple[dict[str, Any], jax.Array]:
        moving, total = carry
        epoch, place = i // (count // batch), i % (count // batch)
        for_rows, for_blocks = jax.random.split(key)
        order = jax.random.permutation(jax.random.fold_in(for_rows, epoch), count)
        rows = jax.lax.dynamic_slice(order, (place * batch,), (batch,))
        own = jax.random.fold_in(for_blocks, i)
        blocks = _blocks(settings, train, own, batch)
        pixels = jax.random.randint(own, (settings.pixels,), 0, train.flux.shape[-1])

        def objective(weights: Weights) -> jax.Array:
            params, some = {**fixed, **weights}, train.of_rows(rows)
            if settings.pixels:
                params, some = _at_some(network, params, some, pixels)
            return _mean_loss(settings, _residual(network, params, some, blocks), some, blocks) / unit

        loss, gradient = jax.value_and_grad(objective)(moving["weights"])
        change, state = rule.update(gradient, moving["optimiser"], moving["weights"])
        rate = learning_rate(settings, i, steps)
        weights = jax.tree.map(lambda w, c: w + rate * c, moving["weights"], change)
        # a short memory at first, so that the start is forgotten
        keep = jnp.minimum(settings.ema, (1 + i) / (10 + i))
        average = jax.tree.map(lambda a, w: keep * a + (1 - keep) * w, moving["average"], weights)
        return {"weights": weights, "average": average, "optimiser": state}, total + loss

    moving, total = jax.lax.fori_loop(begin, stop, step, (moving, jnp.zeros(())))
    return moving, total / (stop - begin)


@partial(jax.jit, static_argnums=(0, 1))
def _check(
    network: Trainable,
    settings: Training,
    arrays: tuple[Mapping[str, Any], Spectra, jax.Array],
    weights: Weights,
) -> jax.Array:
    """Mean absolute error in flux on the validation rows, in blocks that are the same at every check."""
    fixed, validation, key = arrays
    count = len(validation.labels)
    blocks = _blocks(settings, validation, key, count)

    def one(row: jax.Array) -> jax.Array:
        own = blocks if blocks.ndim == 1 else blocks[row][None]
        return _residual(network, {**fixed, **weights}, validation.of_rows(row[None]), own)[0]

    residual = jax.lax.map(one, jnp.arange(count), batch_size=16)
    return jnp.sum(jnp.abs(residual)) / _count(residual, validation, blocks)
