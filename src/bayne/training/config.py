"""Configuration of a training run: read from TOML, checked, written back beside the result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..emulators.networks import network as network_of
from ..errors import BayneError, ReadError, did_you_mean
from ..settings import table_of, typed
from ..wavelength import as_windows

#: Settings of a kernel emulator, and the least of each.
KERNEL = {"rank": 1, "steps": 1, "error_rank": 0, "spectra": 0}

LOSSES, OPTIMISERS, FREEZE = ("mse", "l1", "huber"), ("adamw", "muon"), ("none", "trunk")


@dataclass(frozen=True)
class Training:
    """Settings of gradient descent; the table ``[training]``.

    Parameters
    ----------
    minutes
        Length of the run, compilation and checks included; the first steps are timed and the number of steps follows.
    steps
        Number of steps; 0 for as many as `minutes` allow.
    batch
        Spectra per step.
    blocks
        Blocks of pixels per spectrum and step, drawn at random; a network with fewer uses all of them.
    pixels
        Pixels per step, drawn at random, the same for all its spectra, for a network whose last layer is all that
        knows pixels; 0 for all of them. Steps cost less, and can have more spectra.
    loss
        On the flux: ``"mse"``, ``"l1"`` or ``"huber"``.
    optimiser
        ``"adamw"``, or ``"muon"`` for the matrices before the head with AdamW for the rest.
    learning_rate
        Peak: reached linearly after the fraction `warm_up` of the steps, then a cosine down to zero.
    weight_decay
        Of matrices, times the learning rate.
    clip
        Largest norm of the gradient of the loss, where a loss of 1 is that of the mean spectrum.
    ema
        Decay per step of the running average of the weights, which is what is judged and saved.
    checks
        How often in the run the validation rows are looked at; the best weights are kept.
    patience
        Checks without a better one after which training stops; 0: never.
    spectra
        Train on the first so many training rows only; 0: on all.
    freeze
        ``"trunk"``: train the head alone; ``"none"``: train everything.
    error_rank
        Rank of the correlated part of the error model.
    """

    minutes: float = 2.0
    steps: int = 0
    batch: int = 64
    blocks: int = 64
    pixels: int = 0
    loss: str = "mse"
    optimiser: str = "adamw"
    learning_rate: float = 2e-3
    warm_up: float = 0.05
    weight_decay: float = 1e-3
    clip: float = 1.0
    ema: float = 0.995
    checks: int = 50
    patience: int = 15
    spectra: int = 0
    freeze: str = "none"
    error_rank: int = 12

    def __post_init__(self) -> None:
        for what, known in (("loss", LOSSES), ("optimiser", OPTIMISERS), ("freeze", FREEZE)):
            if getattr(self, what) not in known:
                raise BayneError(f"{what} = {getattr(self, what)!r}. {did_you_mean(getattr(self, what), known)}")
        for what in ("batch", "blocks", "learning_rate", "clip", "checks"):
            if not getattr(self, what) > 0:
                raise BayneError(f"{what} = {getattr(self, what)}; give a positive number")
        for what in ("minutes", "steps", "pixels", "weight_decay", "patience", "spectra", "error_rank"):
            if not getattr(self, what) >= 0:
                raise BayneError(f"{what} = {getattr(self, what)}; give zero or more")
        for what in ("warm_up", "ema"):
            if not 0 <= getattr(self, what) < 1:
                raise BayneError(f"{what} = {getattr(self, what)}; give a number from 0 to below 1")
        if not (self.steps or self.minutes):
            raise BayneError("say how long to train: steps, or minutes")


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe; a table ``[[stage]]``: a grid, and what differs from ``[training]``."""

    grid: str
    training: Training


@dataclass(frozen=True)
class Config:
    """Everything that a training run depends on, besides the grid.

    Parameters
    ----------
    network
        Registered name, such as ``"payne"``.
    name
        Name on the card; empty for the name of the network.
    seed
        Root of the random numbers.
    architecture
        Settings of the network.
    training
        See `Training`.
    kernel
        For ``network = "kernel-payne"``, which takes nothing but these: whole numbers that `train_kernel` explains.
    windows, resolution, step_kms
        Part of the grid that the emulator is of, vacuum Å, its R = λ/FWHM and its pixels (km/s); all three, or none for
        the grid as it is.
    stage
        Recipe: the first stage trains, each later one fine-tunes on its own grid what the one before left.
    """

    network: str
    name: str = ""
    seed: int = 0
    architecture: dict[str, Any] = field(default_factory=dict)
    training: Training = field(default_factory=Training)
    kernel: dict[str, Any] = field(default_factory=dict)
    windows: tuple[tuple[float, float], ...] = ()
    resolution: float = 0.0
    step_kms: float = 0.0
    stage: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "windows", as_windows(self.windows) if len(self.windows) else ())
        if len({bool(self.windows), self.resolution > 0, self.step_kms > 0}) > 1:
            raise BayneError("windows, resolution and step_kms go together: give all three, or none")
        for key, value in self.kernel.items():
            if key not in KERNEL:
                raise BayneError(f"[kernel]: unknown key {key!r}. {did_you_mean(key, KERNEL)}")
            if type(value) is not int or value < KERNEL[key]:
                raise BayneError(f"[kernel]: {key} = {value!r}; give a whole number from {KERNEL[key]}")
        if self.network == "kernel-payne" and (self.architecture or self.training != Training()):
            raise BayneError("a kernel emulator has no [architecture] and no [training]: its settings go into [kernel]")
        if self.network != "kernel-payne" and self.kernel:
            raise BayneError(f"[kernel] is for 'kernel-payne', the network is {self.network!r}")

    def to_toml(self) -> str:
        """The configuration as TOML text that `read_config` reads back."""
        table = asdict(self)
        stages = [{"grid": s.grid, **asdict(s.training)} for s in self.stage]
        tables = {k: v for k, v in table.items() if isinstance(v, dict) and v}
        lines = [f"{k} = {_toml(v)}" for k, v in table.items() if k not in tables and k != "stage" and v != {}]
        for name, values in [*((f"[{k}]", v) for k, v in tables.items()), *(("[[stage]]", s) for s in stages)]:
            lines += ["", name, *(f"{_key(k)} = {_toml(v)}" for k, v in values.items())]
        return "\n".join(lines) + "\n"


def read_config(source: str | Path | Mapping[str, Any] | None, network: str | None = None) -> Config:
    """Configuration from a TOML file or a mapping of the same form.

    What it leaves out comes from the network's own `defaults`, then from `Training`. Paths of grids are relative
    to the file.

    Raises
    ------
    ReadError
        The file is missing or is not TOML; a key is unknown or its value is wrong.
    BayneError
        No network is named, two are, or it is unknown.
    """
    table, folder, where = table_of(source or {}, "config")
    named = table.pop("network", network)
    if not isinstance(named, str):
        raise BayneError(f'{where}: name the network to train: network = "payne", say')
    if network not in (None, named):
        raise BayneError(f"{where}: the configuration is for a {named!r} network, not for {network!r}")
    defaults = getattr(network_of(named), "defaults", {})
    for key in ("architecture", "training", "kernel"):
        if not isinstance(table.get(key, {}), Mapping):
            raise ReadError(f"{where}: {key!r} must be a table [{key}]")
    base = {**defaults, **table.pop("training", {})}
    stages = []
    if not isinstance(table.get("stage", []), list):
        raise ReadError(f"{where}: stages are tables [[stage]], with two brackets")
    for number, entry in enumerate(table.pop("stage", []), start=1):
        own = dict(entry) if isinstance(entry, Mapping) else {}
        if not isinstance(own.get("grid"), str):
            raise ReadError(f'{where}: stage {number} needs a grid: grid = "a.h5"')
        grid = folder / own.pop("grid")
        stages.append(Stage(str(grid.resolve()), typed(Training, {**base, **own}, f"{where}, stage {number}")))
    training = typed(Training, base, f"{where}, [training]")
    rest = {k: dict(v) if isinstance(v, Mapping) else v for k, v in table.items()}
    return typed(Config, {"network": named, **rest, "training": training, "stage": tuple(stages)}, where)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _toml(key)


def _toml(value: Any) -> str:
    """A value as TOML; strings of JSON are strings of TOML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)
