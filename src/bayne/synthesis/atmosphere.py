"""One model atmosphere, the table of readers of model files, and the integral over depth that they share."""

from __future__ import annotations

import dataclasses
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

from ..errors import BayneError, ReadError, did_you_mean
from ..precision import double
from ..registry import Registry
from ..spectrum import FloatArray

Scale = Literal["5000", "rosseland"]

#: Fields of an atmosphere with one positive number per depth.
QUANTITIES = ("temperature", "pressure", "electron_pressure", "density", "column")


def _unknown() -> FloatArray:
    return np.array(np.nan)


@dataclass(frozen=True, eq=False, kw_only=True)
class Atmosphere:
    """A plane-parallel model atmosphere in d layers, from the top inwards.

    Parameters
    ----------
    log_tau
        (d,) log10 of the optical depth on `scale`, increasing.
    temperature
        (d,) K.
    pressure
        (d,) dyn cm^-2, of the gas with its electrons, without turbulence and radiation.
    teff, logg, fe_h
        K; log10 of cm s^-2; dex relative to the solar composition of the model.
    electron_pressure
        (d,) dyn cm^-2 as in the file; NaN where there is none.
    density
        (d,) g cm^-3; NaN where there is none.
    column
        (d,) g cm^-2 of matter above the layer; NaN where it is not known.
    name
        For people.
    scale
        ``"5000"``: `log_tau` is at 5000 Å. ``"rosseland"``: it is of the Rosseland mean opacity, `column` is given,
        and who needs the optical depth at 5000 Å integrates it over `column`.

    Raises
    ------
    BayneError
        A field of the wrong shape, a number that is not finite or not positive, layers that do not go inwards.
    """

    log_tau: FloatArray
    temperature: FloatArray
    pressure: FloatArray
    teff: float
    logg: float
    fe_h: float
    electron_pressure: FloatArray = field(default_factory=_unknown)
    density: FloatArray = field(default_factory=_unknown)
    column: FloatArray = field(default_factory=_unknown)
    name: str = "atmosphere"
    scale: Scale = "5000"

    def __post_init__(self) -> None:
        log_tau = np.array(self.log_tau, dtype=np.float64)
        if log_tau.ndim != 1 or log_tau.size < 3:
            raise BayneError(f"{self.name}: log_tau has shape {log_tau.shape}; it needs one row of at least 3 layers")
        object.__setattr__(self, "log_tau", log_tau)
        for name in QUANTITIES:
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape not in ((), log_tau.shape):
                raise BayneError(f"{self.name}: {name} has shape {values.shape}, log_tau has {log_tau.shape}")
            object.__setattr__(self, name, np.broadcast_to(values, log_tau.shape).copy())
        self._check()

    def _check(self) -> None:
        if self.scale not in get_args(Scale):
            raise BayneError(f"{self.name}: unknown scale {self.scale!r}. {did_you_mean(self.scale, get_args(Scale))}")
        for name in ("teff", "logg", "fe_h"):
            if not np.isfinite(getattr(self, name)):
                raise BayneError(f"{self.name}: {name} is {getattr(self, name)}")
        if self.teff <= 0:
            raise BayneError(f"{self.name}: teff is {self.teff:g} K; it must be positive")
        self._increasing("log_tau", self.log_tau)
        for name in ("temperature", "pressure"):
            self._positive(name, getattr(self, name))
        for name in ("electron_pressure", "density"):
            values = getattr(self, name)
            if not np.all(np.isnan(values)):
                self._positive(name, values)
        if not np.all(np.isnan(self.column)):
            self._positive("column", self.column)
            self._increasing("column", self.column)
        elif self.scale == "rosseland":
            raise BayneError(f"{self.name}: with scale='rosseland' the column mass is needed, and there is none")

    def _positive(self, name: str, values: FloatArray) -> None:
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if bad.size:
            raise BayneError(
                f"{self.name}: {name} is {values[bad[0]]:g} in layer {bad[0] + 1} of {values.size}; "
                "it must be finite and positive"
            )

    def _increasing(self, name: str, values: FloatArray) -> None:
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise BayneError(f"{self.name}: {name} is {values[bad[0]]:g} in layer {bad[0] + 1} of {values.size}")
        bad = np.flatnonzero(np.diff(values) <= 0)
        if bad.size:
            i = int(bad[0])
            raise BayneError(
                f"{self.name}: {name} goes from {values[i]:g} in layer {i + 1} to {values[i + 1]:g} in layer {i + 2}; "
                "layers must be given from the top inwards"
            )

    def resampled(self, log_tau: FloatArray) -> Atmosphere:
        """The same atmosphere on other depths: logarithms, interpolated monotonically in `log_tau` (PCHIP).

        Raises
        ------
        BayneError
            Depths outside the model, which are not made up.
        """
        log_tau = np.asarray(log_tau, dtype=np.float64)
        low, high = self.log_tau[0], self.log_tau[-1]
        if log_tau.size and (np.min(log_tau) < low - 1e-9 or np.max(log_tau) > high + 1e-9):
            raise BayneError(
                f"{self.name}: log_tau {np.min(log_tau):g} to {np.max(log_tau):g} was asked for, "
                f"and the model has {low:g} to {high:g}"
            )
        inside = np.clip(log_tau, low, high)
        known = [name for name in QUANTITIES if np.all(np.isfinite(getattr(self, name)))]
        logs = np.log(np.stack([getattr(self, name) for name in known], axis=1))
        made = np.exp(PchipInterpolator(self.log_tau, logs)(inside)).T
        values: dict[str, Any] = {name: _unknown() for name in QUANTITIES} | dict(zip(known, made, strict=True))
        return dataclasses.replace(self, log_tau=log_tau, **values)


def integrate(log_x: jax.Array, y: jax.Array, first: jax.Array) -> jax.Array:
    """∫ y dx from the top to every layer, y taken as a power of x between layers; pure JAX, differentiable.

    With s = ln x, the integral over ds of x y = g, which is exponential in s between two layers, is
    Δs (g₂ - g₁) / ln(g₂ / g₁): exact for a power law, of second order otherwise.

    Parameters
    ----------
    log_x
        (d,) natural logarithm of x, increasing.
    y
        (d,) positive.
    first
        The integral from the surface, x = 0, to the first layer.

    Returns
    -------
    jax.Array
        (d,), beginning with `first`.
    """
    log_g = log_x + jnp.log(y)
    ratio = jnp.diff(log_g)
    near = jnp.abs(ratio) < 1e-4
    safe = jnp.where(near, 1.0, ratio)
    mean = jnp.where(near, 1 + ratio / 2 + ratio**2 / 6, jnp.expm1(safe) / safe)
    steps = jnp.diff(log_x) * jnp.exp(log_g[:-1]) * mean
    return first + jnp.concatenate([jnp.zeros_like(steps[:1]), jnp.cumsum(steps)])


_integrate = jax.jit(integrate)


@double
def rosseland_depth(column: ArrayLike, kappa: ArrayLike) -> FloatArray:
    """(d,) Rosseland optical depth of column mass (g/cm²) and mean opacity (cm²/g), from the top inwards.

    Above the first layer the opacity is constant, as in ATLAS9's own scale.
    """
    mass, opacity = jnp.asarray(column), jnp.asarray(kappa)
    return np.asarray(_integrate(jnp.log(mass), opacity, mass[0] * opacity[0]))


@dataclass(frozen=True)
class Format:
    """How files of one kind of model are recognised and read.

    Parameters
    ----------
    name
        What ``format=`` calls it.
    description
        One line for people.
    recognise
        Whether a text has this format.
    parse
        ``parse(text, name)``: the models in a text, each named after `name`; it raises `BayneError`, to which the
        file's name is added.
    """

    name: str
    description: str
    recognise: Callable[[str], bool]
    parse: Callable[[str, str], list[Atmosphere]]


_FORMATS = Registry[Format]("format of model atmospheres {!r}", ReadError)


def register(
    name: str, description: str, recognise: Callable[[str], bool]
) -> Callable[[Callable[[str, str], list[Atmosphere]]], Callable[[str, str], list[Atmosphere]]]:
    """Decorate the function that reads a new format of model atmospheres; see `Format`.

    Raises
    ------
    BayneError
        The name is taken.
    """

    def decorate(parse: Callable[[str, str], list[Atmosphere]]) -> Callable[[str, str], list[Atmosphere]]:
        _FORMATS.add(name, Format(name, description, recognise, parse))
        return parse

    return decorate


def formats() -> Registry[Format]:
    """The formats of single models that can be read, by name."""
    from . import atlas9, marcs  # noqa: F401  (importing a reader registers it)

    return _FORMATS


def _text(path: Path) -> str:
    """Of a file that may be packed with gzip."""
    if not path.is_file():
        raise ReadError(f"{path}: there is no such file")
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode("latin-1")
    except (OSError, EOFError, zlib.error) as error:
        raise ReadError(f"{path.name}: {getattr(error, 'strerror', None) or error}") from error


def is_atmosphere(path: str | Path) -> bool:
    """Whether a file looks like one of model atmospheres in a format that is known; raises ReadError as below."""
    text = _text(Path(path))
    return any(candidate.recognise(text) for candidate in formats().values())


def read_atmospheres(path: str | Path, format: str | None = None) -> list[Atmosphere]:
    """All models of a text file.

    Parameters
    ----------
    path
        The file; it may be packed with gzip.
    format
        ``"marcs"`` or ``"atlas9"``; None to recognise it by the content.

    Raises
    ------
    ReadError
        No such file or format, or a file that is damaged, with what is wrong in it.
    """
    path = Path(path)
    known = list(formats().values()) if format is None else [formats().named(format)]
    text = _text(path)
    found = next((candidate for candidate in known if candidate.recognise(text)), None)
    if found is None and format is not None:
        raise ReadError(f"{path.name} is not what format={format!r} reads: {known[0].description}")
    if found is None:
        kinds = "; ".join(f"{candidate.name}: {candidate.description}" for candidate in known)
        extra = " A .npz file of <3D> models is a grid: see read_stagger." if text.startswith("PK\x03\x04") else ""
        raise ReadError(f"{path.name} is no model atmosphere that is known ({kinds}).{extra}")
    try:
        return found.parse(text, path.stem)
    except BayneError as error:
        raise ReadError(f"{path.name}: {error}") from error


def read_atmosphere(path: str | Path, format: str | None = None) -> Atmosphere:
    """The model atmosphere in a file, see `read_atmospheres`.

    Raises
    ------
    ReadError
        As there; or the file holds several models.
    """
    models = read_atmospheres(path, format)
    if len(models) > 1:
        raise ReadError(f"{Path(path).name} holds {len(models)} models; read_atmospheres gives all of them")
    return models[0]
