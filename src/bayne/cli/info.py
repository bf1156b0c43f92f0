"""``bayne info``: what is installed, and what is in a file."""

from __future__ import annotations

import difflib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..cache import cache_folder
from ..errors import BayneError
from ..instrument import Instrument, instrument_names, load_instrument
from .common import Level, console, set_up
from .options import ReadOptions, grouped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..emulators import Emulator
    from ..spectrum import Arm, Spectrum

_PACKAGES = ("jax", "flax", "numpyro", "arviz", "astropy", "specutils", "numpy")


@grouped
def info(
    what: Annotated[
        str | None,
        typer.Argument(help="Emulator, instrument, spectrum or result; nothing for the installation."),
    ] = None,
    *,
    reading: ReadOptions,
    log_level: Level = None,
) -> None:
    """Describe the installation or a file.

    The file is a spectrum, a result or an emulator; emulators and instruments also go by name.

    \b
    Examples:
      bayne info
      bayne info hermes
      bayne info star.fits
      bayne info fits/star.nc
    """
    set_up(log_level)
    from ..emulators import load_emulator, shipped

    out = console()
    if what is None:
        _installation(out)
    elif what in shipped() or Path(what).is_dir():
        _emulator(load_emulator(what), out)
    elif what in instrument_names():
        _instrument(load_instrument(what), out)
    elif Path(what).suffix == ".nc":
        from ..inference import load_result
        from .summary import show

        show(load_result(what), out)
    else:
        _refuse_typo(what, [*shipped(), *instrument_names()])
        _spectrum(reading.spectrum(Path(what)), out)


def _refuse_typo(what: str, names: list[str]) -> None:
    close = difflib.get_close_matches(what.lower(), names, n=1, cutoff=0.6)
    if close and not Path(what).exists():
        raise BayneError(f"{what}: no such file, emulator or instrument. Did you mean {close[0]!r}?")


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _facts(facts: dict[str, str], out: Console) -> None:
    width = max(map(len, facts))
    for name, value in facts.items():
        out.print(f"{name:<{width}}  {value}", soft_wrap=True)


def _installation(out: Console) -> None:
    import jax

    from .. import __version__
    from ..emulators import shipped
    from ..surveys import readers

    _facts(
        {
            "bayne": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
            "devices": ", ".join(f"{device.device_kind} ({device.platform})" for device in jax.devices()),
            "cache": str(cache_folder()),
            "emulators": ", ".join(shipped()) or "none shipped",
            "instruments": ", ".join(instrument_names()),
        },
        out,
    )
    out.print("\nformats", style="bold")
    for reader in readers():
        options = f" (options: {', '.join(reader.options)})" if reader.options else ""
        out.print(f"{reader.name}: {reader.description}{options}", soft_wrap=True)


def _emulator(emulator: Emulator, out: Console) -> None:
    card = emulator.card
    windows = ", ".join(f"{low:.1f}-{high:.1f}" for low, high in emulator.windows())
    _facts(
        {
            "emulator": card.name,
            "network": card.network,
            "resolution": f"{card.resolution:g}",
            "wavelengths": f"{windows} vacuum Å, {emulator.wavelength.size} pixels",
            "solar scale": card.solar_scale,
            "domain": "hull in teff, logg, fe_h and box" if card.hull else "box",
            "own error": "modelled" if emulator.error is not None else "not stated",
            "held out": ", ".join(f"{name} {value:g}" for name, value in card.held_out_error.items()) or "not stated",
            "license": card.license or "not stated",
            "cite": "; ".join(card.citations) or "not stated",
        },
        out,
    )
    table = _table("label", "from", "to", "unit")
    for name, unit, low, high in zip(card.labels, card.units, card.lower, card.upper, strict=True):
        table.add_row(name, f"{low:g}", f"{high:g}", unit)
    out.print(table)


def _instrument(instrument: Instrument, out: Console) -> None:
    _facts(
        {
            "instrument": instrument.name,
            "description": instrument.description,
            "source": instrument.source,
            "medium": instrument.medium,
            "continuum": f"Chebyshev order {instrument.continuum} per arm",
            "LSF scale": f"free, prior 1 ± {instrument.lsf_scale_sigma:g}" if instrument.lsf_scale_sigma else "trusted",
        },
        out,
    )
    table = _table("arm", "from Å", "to Å", "R")
    for arm in instrument.arms:
        values = [r for _, r in arm.resolution]
        span = f"{min(values):.0f}" if len(set(values)) == 1 else f"{min(values):.0f}-{max(values):.0f}"
        table.add_row(arm.name, f"{arm.wavelength[0]:g}", f"{arm.wavelength[1]:g}", span)
    out.print(table)


def _spectrum(spectrum: Spectrum, out: Console) -> None:
    bary = "unknown" if spectrum.bary_kms is None else f"{spectrum.bary_kms:+.3f} km/s"
    _facts(
        {
            "spectrum": spectrum.id,
            "star": spectrum.star_id or "not stated",
            "instrument": spectrum.instrument or "unknown",
            "frame": spectrum.frame + (f", barycentric correction {bary}" if spectrum.frame == "observed" else ""),
            "flux": "normalised" if spectrum.normalized else "not normalised",
            "masked": ", ".join(f"{n} {why}" for why, n in spectrum.counts.items() if n) or "nothing",
        },
        out,
    )
    table = _table("arm", "from Å", "to Å", "pixels", "good", "S/N", "R")
    for arm in spectrum.arms:
        low, high = (f"{w:.2f}" for w in arm.wavelength[[0, -1]])
        table.add_row(arm.name, low, high, str(arm.flux.size), str(arm.good.sum()), _snr(arm), _resolution(arm))
    out.print(table)


def _snr(arm: Arm) -> str:
    import numpy as np

    if arm.ivar is None:
        return "no errors"
    return f"{np.median((arm.flux * np.sqrt(arm.ivar))[arm.good]):.0f}" if arm.good.any() else "-"


def _resolution(arm: Arm) -> str:
    import numpy as np

    from ..lsf import GaussianLSF

    if arm.lsf is None:
        return "unknown"
    if isinstance(arm.lsf, GaussianLSF):
        return f"{np.median(arm.wavelength / arm.lsf.fwhm):.0f}"
    return "matrix"
