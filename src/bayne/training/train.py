"""Training and fine-tuning: a grid in, an emulator out."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..emulators import Emulator, load_emulator, save_emulator
from ..emulators.coordinates import absorbance, hydrogen_matrix, segments
from ..emulators.kernel import KernelPayne
from ..emulators.networks import network as network_of
from ..emulators.trainable import Trainable
from ..errors import BayneError
from ..files import digest, replacing
from ..wavelength import log_pixels
from .card import grid_card
from .config import Config, read_config
from .derivatives import check_labels, check_wavelength
from .errors import with_error_model
from .evaluate import held_out_errors
from .grid import Grid, read_grid
from .kernel import train_kernel
from .loop import CHECKPOINT, Run, Spectra, Tell, train_weights

log = logging.getLogger("bayne")

Source = str | Path | Mapping[str, Any] | None


def _quiet(done: float, text: str) -> None:
    """Tells nothing."""


def train(
    grid: Grid | str | Path | None = None,
    network: str | None = None,
    *,
    config: Source = None,
    output: str | Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    tell: Tell = _quiet,
) -> Emulator:
    """Train an emulator on a grid, or on several, one after the other.

    Parameters
    ----------
    grid
        Grid or its file; None if the configuration is a recipe whose stages name their grids.
    network
        Registered name, such as ``"payne"``; may be given in the configuration instead.
    config
        TOML file or a mapping of the same form; see `Config`. Omitted settings have defaults that suit the network.
    output
        Folder for the emulator (``card.json``, ``weights.safetensors``), the complete ``config.toml``, and
        ``log.jsonl`` with the loss at every check; checkpoints of a running training are kept there too.
    seed
        Root of the random numbers; None for the configuration's.
    resume
        Continue from the checkpoint in `output`, bit for bit, if there is one; finished stages are not repeated.
    tell
        Called with the fraction done and a progress message.

    Returns
    -------
    Emulator
        With the domain of the last grid, its errors on the test rows in ``card.held_out_error``, and an error
        model from the residuals of the validation rows, or for a kernel emulator from leave-one-out residuals.

    Raises
    ------
    BayneError
        The network is unknown, the configuration or the grid does not suit it, or the loss is no longer finite.
    ReadError
        A file is missing or wrong, or the checkpoint is of another run.
    """
    settings = read_config(config, network)
    if seed is not None:
        settings = replace(settings, seed=seed)
    folder = None if output is None else Path(output)
    if settings.stage:
        if grid is not None:
            raise BayneError("the configuration is a recipe whose stages name their grids: leave the grid out")
        return _recipe(settings, folder, resume, tell)
    if grid is None:
        raise BayneError("name the grid to train on, or give a configuration with stages")
    return _one(_grid(grid), settings, None, folder, resume, tell)


def finetune(
    emulator: Emulator | str | Path,
    grid: Grid | str | Path,
    *,
    config: Source = None,
    output: str | Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    tell: Tell = _quiet,
) -> Emulator:
    """Train an emulator further on another grid with the same labels and wavelengths.

    The label scaling and the mean spectrum stay; the domain on the card becomes that of the new grid. The card's
    excluded windows and broadening stay.

    Parameters
    ----------
    emulator
        Emulator, its folder, or the name of one that comes with the package.
    grid, config, output, seed, resume, tell
        See `train`. ``freeze = "trunk"`` trains the head alone, ``spectra`` limits the number of training spectra.

    Returns
    -------
    Emulator
        See `train`.

    Raises
    ------
    BayneError
        The emulator is not trained by gradient descent, or labels, units or wavelengths differ from the grid's;
        see also `train`.
    """
    base = emulator if isinstance(emulator, Emulator) else load_emulator(emulator)
    if not isinstance(base.network, Trainable):
        raise BayneError(f"a {base.card.network!r} emulator is not trained by gradient descent: train it anew instead")
    settings = read_config(config, base.card.network)
    if settings.stage:
        raise BayneError("the configuration is a recipe of several stages: give it to 'train'")
    settings = replace(settings, seed=settings.seed if seed is None else seed)
    return _one(_grid(grid), settings, base, None if output is None else Path(output), resume, tell)


def _grid(grid: Grid | str | Path) -> Grid:
    return grid if isinstance(grid, Grid) else read_grid(grid)


def _recipe(settings: Config, folder: Path | None, resume: bool, tell: Tell) -> Emulator:
    emulator, count = None, len(settings.stage)
    for i, stage in enumerate(settings.stage):
        one = replace(settings, training=stage.training, stage=())
        place = folder if folder is None or i == count - 1 else folder / f"stage{i + 1}"

        def told(done: float, text: str, i: int = i) -> None:
            tell((i + done) / count, f"stage {i + 1}: {text}")

        emulator = _one(read_grid(stage.grid), one, emulator, place, resume, told)
    assert emulator is not None
    return emulator


def _one(
    grid: Grid, settings: Config, base: Emulator | None, folder: Path | None, resume: bool, tell: Tell
) -> Emulator:
    """One emulator from one grid, from scratch or from `base`; written to the folder."""
    if settings.windows:
        pixels = log_pixels(settings.windows, settings.step_kms)
        grid = grid.observed(np.concatenate(pixels), settings.resolution)
    _enough(grid)
    if uneven := grid.uneven():
        log.warning(
            "the held-out rows are not distributed like the others: %s; errors on them do not represent the grid. "
            "Put the rows in random order",
            uneven,
        )
    text = f"# grid {grid.hash}" + ("" if base is None else f", from {digest(base.params)}") + "\n"
    text += settings.to_toml()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        if resume and (folder / "config.toml").exists():
            if (folder / "config.toml").read_text("utf-8") == text:
                return load_emulator(folder)
            raise BayneError(
                f"{folder} holds a finished emulator of another configuration or grid: name another folder"
            )
    if settings.network == KernelPayne.name:
        if base is not None:
            raise BayneError("a kernel emulator is solved for, not fine-tuned: a recipe for it has one stage")
        emulator = train_kernel(
            grid, name=settings.name or settings.network, tell=lambda line: tell(0.0, line), **settings.kernel
        )
    else:
        emulator = _gradient_descent(grid, settings, base, folder, resume, tell)
    if folder is not None:
        save_emulator(emulator, folder)
        with replacing(folder / "config.toml") as part:
            part.write_text(text, encoding="utf-8")
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return emulator


def _enough(grid: Grid) -> None:
    for what, rows, rule in (
        ("test", grid.test, "row % 10 == 0"),
        ("validation", grid.validation, "row % 10 == 1"),
        ("training", grid.train, "the others"),
    ):
        if rows.sum() < 2:
            raise BayneError(
                f"of the {len(rows)} spectra of the grid {rows.sum()} are {what} rows ({rule}): at least 2 are needed"
            )


def _gradient_descent(
    grid: Grid, settings: Config, base: Emulator | None, folder: Path | None, resume: bool, tell: Tell
) -> Emulator:
    training = settings.training
    rows = np.flatnonzero(grid.train)[: training.spectra or None]
    if base is None:
        network, params = _fresh(grid, rows, settings)
    else:
        network, params = _inherited(grid, base, settings)
    card = grid_card(grid, settings.name or settings.network, settings.network, asdict(network))
    if base is not None:
        old = base.card
        cited = tuple(dict.fromkeys((*card.citations, *old.citations)))
        kept = {key: getattr(old, key) for key in ("excluded", "absorbs", "includes_pixel")}
        card = replace(card, citations=cited, **kept)
    trained = [name for name in _made(network, grid) if training.freeze == "none" or network.is_head(name)]
    start = {name: np.asarray(params[name]) for name in trained}
    fixed = {name: np.asarray(value) for name, value in params.items() if name not in start}
    layout = network.layout(segments(grid.wavelength))
    if training.pixels and (len(layout) > 1 or not network.per_pixel):
        raise BayneError(f"pixels = {training.pixels}: a {network.name!r} network learns at all pixels; leave it out")
    run = Run(
        network=network,
        settings=training,
        fixed=fixed,
        train=Spectra.of(grid.labels[rows], grid.flux[rows], layout),
        validation=Spectra.of(grid.labels[grid.validation], grid.flux[grid.validation], layout),
        seed=settings.seed,
        identity=_identity(settings, network, grid, params),
        folder=folder,
    )
    weights = {name: np.asarray(value) for name, value in train_weights(run, start, resume, tell).items()}
    emulator = Emulator(network, {**params, **weights}, grid.wavelength, card)
    errors = {k: float(f"{v:.3g}") for k, v in held_out_errors(emulator, grid).items()}
    return with_error_model(replace(emulator, card=replace(card, held_out_error=errors)), grid, training.error_rank)


def _made(network: Trainable, grid: Grid) -> dict[str, Any]:
    """Shapes of the arrays of the network proper."""
    blocks, width = network.layout(segments(grid.wavelength)).shape
    return jax.eval_shape(lambda key: network.initial(key, grid.names, blocks, width), jax.random.key(0))


def _fresh(grid: Grid, rows: np.ndarray, settings: Config) -> tuple[Trainable, dict[str, np.ndarray]]:
    """Network and random parameters; scalings and mean spectrum from the training rows."""
    kind = network_of(settings.network)
    if not issubclass(kind, Trainable):
        raise BayneError(f"a {settings.network!r} network is read from published files, not trained here")
    network = kind.of(settings.architecture, "[architecture]")
    labels = grid.labels[rows]
    for name, spread in zip(grid.names, np.ptp(labels, axis=0), strict=True):
        if not spread > 0:
            raise BayneError(f"label {name!r} is the same in all {len(rows)} training spectra: use more of them")
    seen = labels @ hydrogen_matrix(grid.names).T if network.abundances == "h" else labels
    flux = grid.flux[rows].astype(np.float64)
    blocks, width = network.layout(segments(grid.wavelength)).shape
    with jax.enable_x64(False):
        made = network.initial(jax.random.key(settings.seed), grid.names, blocks, width)
    arrays = {
        "x_min": seen.min(0),
        "x_max": seen.max(0),
        "mean": (flux if network.output == "flux" else absorbance(flux)).mean(0),
        **{name: np.asarray(value) for name, value in made.items()},
    }
    return network, network.add_derived(arrays, grid.names, grid.wavelength)


def _inherited(grid: Grid, base: Emulator, settings: Config) -> tuple[Trainable, dict[str, np.ndarray]]:
    """Network and parameters of an emulator that fits the grid."""
    network, card = base.network, base.card
    assert isinstance(network, Trainable)
    if settings.network != card.network:
        raise BayneError(f"the emulator is a {card.network!r} network, the configuration is for {settings.network!r}")
    for key, value in settings.architecture.items():
        own = asdict(network).get(key)
        if own != (tuple(value) if isinstance(value, list) else value):
            raise BayneError(f"the emulator's {key} is {own}, the configuration says {value}: it cannot change")
    check_labels(base, grid.names, "grid")
    if card.units != grid.units:
        raise BayneError(f"the emulator's units are {', '.join(card.units)}; the grid's are {', '.join(grid.units)}")
    check_wavelength(base, grid.wavelength, "grid")
    return network, {name: np.asarray(value) for name, value in base.params.items()}


def _identity(settings: Config, network: Trainable, grid: Grid, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint must agree with."""
    told = {
        "network": settings.network,
        "architecture": asdict(network),
        "grid": grid.hash,
        "seed": settings.seed,
        **asdict(settings.training),
        "start": digest(params),
    }
    return dict(json.loads(json.dumps(told)))
