"""`compile`: any emulator distilled into a small dense network over the wavelengths of one instrument."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..cache import cache_folder
from ..emulators import Emulator, ErrorModel, load_emulator, save_emulator
from ..emulators.coordinates import absorbance, hydrogen_matrix, sensitivity
from ..emulators.payne_large import PayneLarge
from ..errors import BayneError
from ..files import digest, remove_files, unfinished
from ..forward import plan
from ..instrument import Instrument, load_instrument
from ..lsf import GaussianLSF
from ..precision import double
from ..spectrum import FloatArray, Spectrum, make_arm
from ..wavelength import C_KMS, within
from .config import Training
from .optimisers import learning_rate, optimiser

#: Spectra of the teacher: for the basis, for training (these included), and to measure the error on.
BASIS, SAMPLES, HELD_OUT = 2000, 16_000, 500

#: Spectra that are computed at a time.
CHUNK = 250

#: Largest rank, and what the width of the layers is a multiple of.
MAX_RANK, MULTIPLE = 384, 32

#: Hidden layers, and the course of their training, in pieces after which progress is told.
DEPTH, PIECES, STEPS = 3, 40, 8000
COURSE = Training(batch=256, learning_rate=1e-2, weight_decay=0.0, clip=1.0, optimiser="muon", warm_up=0.03)

#: Weights of the first layer are this much larger than usual: labels come in [-0.5, 0.5].
GAIN = 3.0

#: A compiled emulator is this much sharper than the sharpest fibre of its instrument, or as sharp as its teacher:
#: fits may scale the width of an LSF down to 0.6.
SHARPER = 1.8

#: Pixels per FWHM of a compiled emulator that is less sharp than its teacher.
SAMPLING = 3.0

#: Wavelengths reach this far beyond the instrument's, for stars that move (km/s).
MARGIN = 600.0

log = logging.getLogger("bayne")

#: What `save_emulator` writes.
FILES = ("card.json", "weights.safetensors")

Tell = Callable[[float, str], None]


def compile(
    emulator: Emulator,
    instrument: str | Instrument,
    *,
    error: float = 5e-4,
    seed: int = 0,
    tell: Tell = lambda done, text: None,
) -> Emulator:
    """Distil an emulator for one instrument, so that a spectrum costs a product of small matrices.

    The teacher's spectra at random labels of its domain are expanded in absorbance on a low-rank basis over the
    instrument's wavelengths; dense layers (`PayneLarge`) learn the coefficients. Labels, domain and error model are
    the teacher's. The distillation error is measured at other labels, recorded on the card as ``distillation_mae``,
    ``distillation_median_star_mae`` and ``distillation_p999`` beside the teacher's own errors (``teacher_mae``, ...),
    and added to the error model's diagonal.

    The result is kept in the cache ($BAYNE_CACHE, else ~/.cache/bayne) under a hash of all inputs: a second call
    returns at once.

    Parameters
    ----------
    emulator
        The teacher, the emulator to distil.
    instrument
        Profile name or `Instrument`: gives the wavelengths and the resolution.
    error
        Largest mean absolute flux error from truncating the basis; sets the rank, and so the cost.
    seed
        Of the labels and the weights.
    tell
        Called with the fraction done and a progress message.

    Returns
    -------
    Emulator
        Named ``<teacher>-<instrument>``. While it is in memory it keeps its teacher: fits then check a few draws
        against the teacher, and report the shift in ``result.diagnostics["teacher_shift"]`` and by a flag.

    Raises
    ------
    BayneError
        The emulator does not cover the instrument's wavelengths; `error` is not positive.
    """
    profile = load_instrument(instrument) if isinstance(instrument, str) else instrument
    if not error > 0:
        raise BayneError(f"error = {error}: give a positive error in flux, such as 5e-4")
    folder = cache_folder() / "compiled" / _digest(emulator, profile, error, seed)
    found = _kept(folder)
    if found is None:
        part = save_emulator(_distil(emulator, profile, error, seed, tell), unfinished(folder))
        try:
            part.rename(folder)
        except OSError:  # another process was first
            remove_files(part, *FILES)
        found = load_emulator(folder)
    return replace(found, teacher=emulator)


def _kept(folder: Path) -> Emulator | None:
    """An emulator of the cache; None where there is none, or no more than what a killed process left of it."""
    if not folder.exists():
        return None
    try:
        return load_emulator(folder)
    except BayneError as problem:
        log.warning("%s; it is distilled again", problem)
        remove_files(folder, *FILES)
        return None


def _digest(emulator: Emulator, profile: Instrument, error: float, seed: int) -> str:
    """Hash of everything that the compiled emulator depends on."""
    course = (BASIS, SAMPLES, HELD_OUT, MAX_RANK, DEPTH, STEPS, COURSE, GAIN, SHARPER, SAMPLING, MARGIN)
    return digest({}, emulator.hash, repr((astuple(profile), error, seed, course)))


class Target(NamedTuple):
    """Wavelengths (q,) and resolution of a compiled emulator, and what takes the teacher's spectra (k, p) to (k, q).

    The last is the variance that independent errors of the teacher's pixels, of variance 1, leave, () or (q,).
    """

    wavelength: FloatArray
    resolution: float
    carry: Callable[[np.ndarray], np.ndarray]
    independent: np.ndarray


def _target(emulator: Emulator, profile: Instrument) -> Target:
    """The teacher's own pixels, or fewer where it is much sharper than the instrument."""
    sharpest = max(r for arm in profile.arms for _, r in arm.resolution)
    resolution = min(emulator.card.resolution, SHARPER * sharpest)
    stretch = MARGIN / C_KMS
    wanted = [(a * (1 - stretch), b * (1 + stretch)) for a, b in (arm.wavelength for arm in profile.arms)]
    # air or vacuum: 80 km/s, less than the margin
    inside = within(emulator.wavelength, wanted)
    if not inside.any():
        raise BayneError(f"{emulator.card.name!r} has no wavelength of {profile.name!r}")
    if resolution >= 0.98 * emulator.card.resolution:
        return Target(emulator.wavelength[inside], emulator.card.resolution, lambda flux: flux[:, inside], np.ones(()))
    arms = []
    for k in np.unique(emulator.segment[inside]):
        own = emulator.wavelength[inside & (emulator.segment == k)]
        wave = np.exp(np.arange(np.log(own[0]), np.log(own[-1]), 1 / (SAMPLING * resolution)))
        one = np.ones(wave.size)
        arms.append(make_arm(wave, one, error=one, name=str(k), lsf=GaussianLSF(wave / resolution)))
    made = plan(Spectrum(tuple(arms), frame="rest", id=profile.name), emulator, 0.0, margin=0.0)
    at_rest = [jnp.asarray(value, jnp.float64) for value in (0.0, 0.0, 0.0, 1.0, 1.0)]
    observed = jax.jit(lambda forward, flux: forward.observe(flux, *at_rest))
    wavelength = np.zeros(made.used.shape)
    for row, arm in zip(wavelength, arms, strict=True):
        row[: arm.wavelength.size] = arm.wavelength
    return Target(
        wavelength[made.used],
        resolution,
        lambda flux: np.asarray(observed(made.forward, jnp.asarray(flux)))[made.used].T,
        np.asarray(made.forward.independent)[made.used],
    )


@double
def _distil(emulator: Emulator, profile: Instrument, error: float, seed: int, tell: Tell) -> Emulator:
    """The compiled emulator."""
    rng = np.random.default_rng(seed)
    target = _target(emulator, profile)
    labels = random_labels(emulator, SAMPLES + HELD_OUT, rng)
    tell(0.0, "spectra of the teacher")

    def spectra(chunk: FloatArray) -> np.ndarray:
        return target.carry(emulator.evaluate(chunk)).astype(np.float32)

    chunks = np.array_split(labels, range(CHUNK, len(labels), CHUNK))
    few = BASIS // CHUNK
    first = np.concatenate([spectra(chunk) for chunk in chunks[:few]])
    mean, scale, basis = _basis(first, error)
    coefficients, held_out = [], []
    for i, chunk in enumerate(chunks):
        flux = first[i * CHUNK : (i + 1) * CHUNK] if i < few else spectra(chunk)
        coefficients.append(((absorbance(flux.astype(np.float64)) - mean) * scale) @ basis.T)
        if i * CHUNK >= SAMPLES:
            held_out.append(flux)
        tell(0.6 * i / len(chunks), f"spectra of the teacher, rank {len(basis)}")
    raw = labels @ hydrogen_matrix(emulator.label_names).T
    width = MULTIPLE * int(np.ceil(len(basis) / MULTIPLE))
    network = PayneLarge(width=width, depth=DEPTH)
    x_min, x_max = raw.min(0), raw.max(0)
    x = ((raw - x_min) / (x_max - x_min) - 0.5).astype(np.float32)
    c = np.concatenate(coefficients)
    size = float(c.std())
    weights = _learn(network, emulator.label_names, x[:SAMPLES], (c / size)[:SAMPLES].astype(np.float32), seed, tell)
    spread = size * basis / scale
    arrays = weights | {"w_out": weights["w_out"] @ spread, "b_out": weights["b_out"] @ spread}
    arrays |= {"x_min": x_min, "x_max": x_max, "mean": mean, "wavelength": target.wavelength}
    card = replace(
        emulator.card,
        name=f"{emulator.card.name}-{profile.name}",
        network=PayneLarge.name,
        architecture={"width": width, "depth": DEPTH, "abundances": "h", "output": "absorbance"},
        medium="vacuum",
        wavelength={},
        resolution=target.resolution,
    )
    known, params = PayneLarge.decode(arrays, card)
    made = Emulator(known, params, target.wavelength, card)
    residual = made.evaluate(labels[SAMPLES:]) - np.concatenate(held_out)
    each = np.abs(residual).mean(axis=1)
    measured = {
        "distillation_mae": each.mean(),
        "distillation_median_star_mae": np.median(each),
        "distillation_p999": np.percentile(np.abs(residual), 99.9),
    }
    told = {f"teacher_{k}": v for k, v in emulator.card.held_out_error.items()} | {
        k: float(f"{v:.3g}") for k, v in measured.items()
    }
    model = _error_model(emulator, target, residual, np.concatenate(held_out))
    return replace(made, card=replace(card, held_out_error=told), error=model)


def random_labels(emulator: Emulator, count: int, rng: np.random.Generator) -> FloatArray:
    """(count, l) labels uniform in the emulator's domain."""
    found = np.zeros((0, len(emulator.label_names)))
    while len(found) < count:
        tried = rng.uniform(emulator.lower, emulator.upper, (4 * count, len(emulator.label_names)))
        found = np.concatenate([found, tried[emulator.contains(tried)]])
    return found[:count]


def _basis(flux: np.ndarray, error: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean (p,) of the absorbance, its effect on the flux (p,), and orthonormal rows (r, p) of their product.

    The rank is the least for which the flux is right to `error` on average.
    """
    y = absorbance(flux.astype(np.float64))
    mean, scale = y.mean(0), np.sqrt(np.mean((flux * (1 - flux)) ** 2, axis=0, dtype=np.float64)) + 1e-4
    y = (y - mean) * scale
    square, left = np.linalg.eigh(y @ y.T)
    order = np.argsort(square)[::-1][: min(MAX_RANK, len(flux) // 2)]
    order = order[square[order] > 1e-12 * square.max()]  # what is left of a short basis is rounding
    basis = (left[:, order].T @ y) / np.sqrt(square[order])[:, None]
    some = slice(None, None, max(1, len(flux) // 200))

    def truncated(rank: int) -> float:
        again = (y[some] @ basis[:rank].T) @ basis[:rank] / scale + mean
        return float(np.mean(np.abs(1 / (1 + np.exp(again)) - flux[some])))

    low, high = 1, len(basis)
    while low < high:  # the error falls with the rank
        middle = (low + high) // 2
        low, high = (low, middle) if truncated(middle) <= error else (middle + 1, high)
    return mean, scale, basis[:low]


def _learn(
    network: PayneLarge, names: tuple[str, ...], x: np.ndarray, c: np.ndarray, seed: int, tell: Tell
) -> dict[str, FloatArray]:
    """Arrays of dense layers that take scaled labels (n, l) to coefficients (n, r).

    The loss is the mean over stars of each star's root mean square: in the scaled coordinates an error in flux, of
    which a few cool stars do not decide.
    """
    weights = network.initial(jax.random.key(seed), names, 1, c.shape[1])
    weights["w_0"] = GAIN * weights["w_0"]
    weights = jax.tree.map(lambda v: v.astype(jnp.float32), weights)
    steps = optimiser(COURSE, network)
    inputs, targets = jnp.asarray(x), jnp.asarray(c)

    def loss(weights: dict[str, jax.Array], chosen: jax.Array) -> jax.Array:
        off = jax.vmap(lambda v: network.body(weights, v, jnp.zeros(1))[0])(inputs[chosen]) - targets[chosen]
        return jnp.mean(jnp.sqrt(jnp.sum(off**2, axis=1) + 1e-12))

    def step(state: tuple[Any, Any], now: tuple[jax.Array, jax.Array]) -> tuple[tuple[Any, Any], jax.Array]:
        (weights, memory), (i, key) = state, now
        value, slope = jax.value_and_grad(loss)(weights, jax.random.randint(key, (COURSE.batch,), 0, len(inputs)))
        move, memory = steps.update(slope, memory, weights)
        rate = learning_rate(COURSE, i, jnp.asarray(STEPS)).astype(jnp.float32)
        return (optax.apply_updates(weights, jax.tree.map(lambda v: rate * v, move)), memory), value

    piece = jax.jit(partial(jax.lax.scan, step))
    state = (weights, steps.init(weights))
    keys = jax.random.split(jax.random.key(seed + 1), STEPS)
    count = STEPS // PIECES
    for i in range(PIECES):
        own = slice(i * count, (i + 1) * count)
        state, losses = piece(state, (jnp.arange(STEPS)[own], keys[own]))
        tell(0.6 + 0.4 * (i + 1) / PIECES, f"training, loss {float(losses.mean()):.4f}")
    return {name: np.asarray(value, np.float64) for name, value in state[0].items()}


def _error_model(emulator: Emulator, target: Target, residual: np.ndarray, flux: np.ndarray) -> ErrorModel | None:
    """The teacher's error, and the distillation's beside it; None where the teacher states none."""
    error = emulator.error
    if error is None:
        return None
    size = sensitivity(flux.astype(np.float64)) if error.labels is not None else 1.0
    # of a Gaussian with this mean absolute value: a few wild stars do not decide for the others
    own = np.sqrt(np.pi / 2) * np.mean(np.abs(residual) / size, axis=0)
    rows = target.carry(np.concatenate([error.basis, error.sigma[None] ** 2]).astype(np.float32)).astype(np.float64)
    variance = target.independent * np.maximum(rows[-1], 0)
    return ErrorModel(rows[:-1], np.sqrt(variance + own**2), error.labels, error.near, error.floor)
