"""Options that several commands share, as groups of arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ..errors import did_you_mean
from .common import number, split

if TYPE_CHECKING:
    from ..emulators import Emulator
    from ..spectrum import Spectrum


class Medium(StrEnum):
    """Medium of wavelengths."""

    vacuum = "vacuum"
    air = "air"


class Frame(StrEnum):
    """Frame of wavelengths."""

    observed = "observed"
    barycentric = "barycentric"
    rest = "rest"


class Method(StrEnum):
    """Ways to a posterior."""

    fast = "fast"
    nuts = "nuts"
    hmc = "hmc"
    smc = "smc"
    laplace = "laplace"
    map = "map"


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How files of spectra are read."""

    format: Annotated[
        str | None, typer.Option("--format", help="File format. [default: recognised from the content]")
    ] = None
    medium: Annotated[Medium | None, typer.Option("--medium", help="For files that do not state it.")] = None
    frame: Annotated[Frame | None, typer.Option("--frame", help="For files that do not state it.")] = None
    read: Annotated[
        list[str],
        typer.Option(
            "--read",
            metavar="OPTION=VALUE",
            help="Other option of the format, such as row=3 or visit=1; repeatable. 'bayne info' lists them.",
            default_factory=list,
            show_default=False,
        ),
    ]

    def arguments(self) -> dict[str, Any]:
        """Arguments of `bayne.read_spectrum` besides the path."""
        from ..surveys import read_spectrum

        known = list(inspect.signature(read_spectrum).parameters)[2:]
        given: dict[str, Any] = {} if self.format is None else {"format": self.format}
        for text in self.read:
            name, value = split(text, "--read", "row=3")
            if name not in known:
                wrong = f"no reading option {name!r}. {did_you_mean(name, known)}"
                raise typer.BadParameter(wrong, param_hint="--read")
            given[name] = {"true": True, "false": False}.get(value, int(value) if value.isdigit() else value)
        if self.medium is not None:
            given["medium"] = self.medium.value
        if self.frame is not None:
            given["frame"] = self.frame.value
        return given

    def spectrum(self, path: Path) -> Spectrum:
        """The spectrum in a file."""
        from ..surveys import read_spectrum

        return read_spectrum(path, **self.arguments())


@dataclass(frozen=True, kw_only=True)
class EmulatorOptions:
    """One emulator."""

    emulator: Annotated[
        str | None,
        typer.Option(
            "--emulator",
            "-e",
            help="Name of a packaged emulator, a folder, or a published .npz; one star can do without: the packaged "
            "emulator that suits its spectrum is taken.",
            show_default=False,
        ),
    ] = None
    card: Annotated[Path | None, typer.Option(help="Card (JSON) of a published .npz.")] = None

    def load(self) -> Emulator:
        """The emulator that is named."""
        from ..emulators import load_emulator

        if self.emulator is None:
            raise typer.BadParameter("name the emulator for the stars of a catalogue", param_hint="--emulator")
        return load_emulator(self.emulator, self.card)


@dataclass(frozen=True, kw_only=True)
class InstrumentOptions:
    """What the line-spread function is."""

    instrument: Annotated[str | None, typer.Option(help="Instrument profile that gives the line-spread function.")] = (
        None
    )
    resolution: Annotated[float | None, typer.Option(help="R = λ/FWHM; overrides the file and the instrument.")] = None

    def arguments(self) -> dict[str, Any]:
        """Arguments of `bayne.fit_star`."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What is fitted."""

    snr: Annotated[
        str | None,
        typer.Option(help="S/N per pixel of a spectrum without errors: one number, or one per arm (80,90,90,70)."),
    ] = None
    free: Annotated[str, typer.Option(help="Which of rv, vsini, vmac are free; 'none' for none.")] = "rv,vsini"
    fix: Annotated[
        list[str],
        typer.Option(metavar="LABEL=VALUE", help="Fix a label; repeatable.", default_factory=list, show_default=False),
    ]
    prior: Annotated[
        list[str],
        typer.Option(
            metavar="LABEL=MEAN,SD", help="Gaussian prior; repeatable.", default_factory=list, show_default=False
        ),
    ]
    continuum: Annotated[
        str | None,
        typer.Option(help="Chebyshev order per arm, or 'none' to keep the flux as it is. [default: the instrument's]"),
    ] = None
    no_jitter: Annotated[bool, typer.Option("--no-jitter", help="No extra scatter per arm.")] = False
    no_robust: Annotated[
        bool, typer.Option("--no-robust", help="Errors as if the model were right: for mock spectra only.")
    ] = False
    no_emulator_error: Annotated[
        bool, typer.Option("--no-emulator-error", help="Leave out the emulator's own error.")
    ] = False

    def arguments(self) -> dict[str, Any]:
        """Arguments of `bayne.fit_star`."""
        return {
            "snr": parse_snr(self.snr),
            "priors": dict(map(parse_prior, self.prior)),
            "fixed": dict(map(parse_fixed, self.fix)),
            "free": () if self.free.strip() in ("", "none") else tuple(name.strip() for name in self.free.split(",")),
            "continuum": parse_continuum(self.continuum),
            "emulator_error": not self.no_emulator_error,
            "jitter": not self.no_jitter,
            "robust": not self.no_robust,
        }


@dataclass(frozen=True, kw_only=True)
class SamplerOptions:
    """How the posterior is explored."""

    method: Annotated[Method, typer.Option(help="How the posterior is explored.")] = Method.fast
    draws: Annotated[int | None, typer.Option(help="Draws per chain. [default: 500]")] = None
    chains: Annotated[
        int | None,
        typer.Option(help="Number of chains; methods without chains return as many draws in total. [default: 4]"),
    ] = None
    warmup: Annotated[
        int | None, typer.Option(help="Warm-up transitions per chain of nuts and hmc. [default: 200]")
    ] = None
    target_accept: Annotated[
        float | None, typer.Option(help="Target acceptance probability of nuts and hmc. [default: 0.8]")
    ] = None
    max_tree_depth: Annotated[
        int | None,
        typer.Option(help="Maximum tree depth of nuts: at most 2 to this power steps per transition. [default: 8]"),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """Arguments of `bayne.fit_star`."""
        from ..inference import Sampler

        given = {name: value for name, value in asdict(self).items() if name != "method" and value is not None}
        return {"method": self.method.value, "sampler": Sampler(**given)}


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Decorator: parameters whose type is a dataclass become its fields, one option of the command each."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    flat: dict[str, inspect.Parameter] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            group = inspect.signature(groups[name]).parameters
            types = get_type_hints(groups[name], include_extras=True)
            flat |= {own: given.replace(annotation=types[own]) for own, given in group.items()}
        else:
            flat[name] = parameter.replace(annotation=hints[name])

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    with_options.__signature__ = inspect.Signature(list(flat.values()))  # type: ignore[attr-defined]
    with_options.__annotations__ = {name: parameter.annotation for name, parameter in flat.items()}
    return with_options


def parse_fixed(text: str) -> tuple[str, float]:
    """``logg=4.4`` as a pair."""
    name, value = split(text, "--fix", "logg=4.4")
    return name, number(value, "--fix", "logg=4.4")


def parse_prior(text: str) -> tuple[str, tuple[float, float]]:
    """``teff=5000,100`` as label, mean and standard deviation."""
    name, value = split(text, "--prior", "teff=5000,100")
    mean, comma, sd = value.partition(",")
    if not comma:
        raise typer.BadParameter(f"{text!r} should look like teff=5000,100 (mean, sd)", param_hint="--prior")
    width = number(sd, "--prior", "teff=5000,100")
    if width <= 0:
        raise typer.BadParameter(f"{text!r}: the standard deviation must be positive", param_hint="--prior")
    return name, (number(mean, "--prior", "teff=5000,100"), width)


def parse_continuum(text: str | None) -> int | bool | None:
    """Chebyshev order, False for ``none``, None where nothing was said."""
    if text is None:
        return None
    if text == "none":
        return False
    if not text.isdigit():
        raise typer.BadParameter(f"{text!r}: give a Chebyshev order such as 4, or none", param_hint="--continuum")
    return int(text)


def parse_snr(text: str | None) -> float | list[float] | None:
    """One number, or one per arm."""
    if text is None:
        return None
    values = [number(part, "--snr", "100 or 80,90,90,70") for part in text.split(",")]
    return values[0] if len(values) == 1 else values
