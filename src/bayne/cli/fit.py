"""``bayne fit``: one star."""

from __future__ import annotations

import re
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import (
    STAR_FAILED,
    Format,
    FrameOption,
    Level,
    MediumOption,
    Overwrite,
    ReadOptions,
    Seed,
    console,
    number,
    read,
    refuse_existing,
    set_up,
    split,
)

if TYPE_CHECKING:
    from ..inference.result import FitResult


EmulatorOption = Annotated[
    str,
    typer.Option(
        "--emulator", "-e", help="Name of one that is shipped, a folder, or a published .npz.", show_default=False
    ),
]
CardOption = Annotated[Path | None, typer.Option(help="Card (JSON) of a published .npz.")]
InstrumentOption = Annotated[str | None, typer.Option(help="Profile that gives the line-spread function.")]
Resolution = Annotated[float | None, typer.Option(help="R = λ/FWHM; overrides every other.")]
Snr = Annotated[
    str | None, typer.Option(help="S/N per pixel of a spectrum without errors: one, or one per arm (80,90,90,70).")
]
Free = Annotated[str, typer.Option(help="Which of rv, vsini, vmac are free; 'none' for none.")]
Fix = Annotated[
    list[str],
    typer.Option(metavar="LABEL=VALUE", help="Hold a label; repeatable.", default_factory=list, show_default=False),
]
PriorOption = Annotated[
    list[str],
    typer.Option(metavar="LABEL=MEAN,SD", help="Gaussian prior; repeatable.", default_factory=list, show_default=False),
]
Continuum = Annotated[
    str | None,
    typer.Option(help="Chebyshev order per arm, or 'none' for a flux that stays as it is. [default: instrument's]"),
]
NoJitter = Annotated[bool, typer.Option("--no-jitter", help="No extra scatter per arm.")]
NoRobust = Annotated[
    bool, typer.Option("--no-robust", help="Errors as if the model were right: only right for mock spectra.")
]
NoEmulatorError = Annotated[bool, typer.Option("--no-emulator-error", help="Do not count the emulator's own error.")]


class Method(StrEnum):
    """Ways to a posterior."""

    nuts = "nuts"
    hmc = "hmc"
    fast = "fast"
    laplace = "laplace"
    map = "map"


def fit(
    spectrum: Annotated[Path, typer.Argument(help="File of a known format.", show_default=False)],
    emulator: EmulatorOption,
    *,
    card: CardOption = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the two files.")] = Path("."),
    method: Annotated[Method, typer.Option(help="How the posterior is explored.")] = Method.nuts,
    format: Format = None,
    medium: MediumOption = None,
    frame: FrameOption = None,
    read_options: ReadOptions,
    instrument: InstrumentOption = None,
    resolution: Resolution = None,
    snr: Snr = None,
    free: Free = "rv,vsini",
    fix: Fix,
    prior: PriorOption,
    continuum: Continuum = None,
    no_jitter: NoJitter = False,
    no_robust: NoRobust = False,
    no_emulator_error: NoEmulatorError = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    log_level: Level = None,
) -> None:
    """Fit one star.

    Writes the result as <id>.nc and a report as <id>.html.

    \b
    Examples:
      bayne fit star.fits --emulator galah --output fits
      bayne fit hd122563.fits -e my-emulator/ --medium air --frame rest --resolution 35000 --prior teff=4600,100
    """
    settings = fit_options(
        instrument, resolution, snr, free, fix, prior, continuum, no_jitter, no_robust, no_emulator_error
    )
    set_up(log_level)
    from ..emulators import load_emulator
    from ..inference import fit_star
    from ..report import report
    from .summary import show

    out = console()
    clock = time.perf_counter()
    star = read(spectrum, format, medium, frame, read_options)
    network = load_emulator(emulator, card)
    reading = time.perf_counter() - clock
    files = result_files(output, star.id)
    refuse_existing(list(files), overwrite)
    output.mkdir(parents=True, exist_ok=True)
    clock = time.perf_counter()
    result = fit_star(star, network, method=method.value, seed=seed, **settings)
    fitting = time.perf_counter() - clock
    result.save(files[0], overwrite=overwrite)
    report(result, files[1], overwrite=overwrite)
    show(result, out)
    out.print(f"read {reading:.1f} s, compiled and fitted {fitting:.1f} s")
    out.print(f"{files[0]}\n{files[1]}", soft_wrap=True)
    stop_unless_ok(result)


def fit_options(
    instrument: str | None,
    resolution: float | None,
    snr: str | None,
    free: str,
    fix: list[str],
    prior: list[str],
    continuum: str | None,
    no_jitter: bool,
    no_robust: bool,
    no_emulator_error: bool,
) -> dict[str, Any]:
    """Arguments of `bayne.fit_star` from those of a command line."""
    return {
        "instrument": instrument,
        "resolution": resolution,
        "snr": parse_snr(snr),
        "priors": dict(map(parse_prior, prior)),
        "fixed": dict(map(parse_fixed, fix)),
        "free": () if free.strip() in ("", "none") else tuple(name.strip() for name in free.split(",")),
        "continuum": parse_continuum(continuum),
        "emulator_error": not no_emulator_error,
        "jitter": not no_jitter,
        "robust": not no_robust,
    }


def stop_unless_ok(result: FitResult) -> None:
    """Leave with the exit code for a star whose numbers must not be used."""
    if not result.ok:
        raise typer.Exit(STAR_FAILED)


def result_files(folder: Path, id: str) -> tuple[Path, Path]:
    """Result and report of a star; what a file name cannot hold becomes an underscore."""
    name = re.sub(r"[^\w.+-]+", "_", id).lstrip(".") or "star"
    return folder / f"{name}.nc", folder / f"{name}.html"


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
