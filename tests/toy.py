"""Small emulators and mock stars that the tests share: fast to compile, with lines that mean something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from bayne.emulators import Card, Emulator, ErrorModel, Network
from bayne.emulators.payne import PixelPayne
from bayne.instrument import Instrument, InstrumentArm
from bayne.lsf import GaussianLSF
from bayne.spectrum import Arm, Spectrum, make_arm
from bayne.wavelength import C_KMS

LABELS = ("teff", "logg", "fe_h", "mg_fe")
LOWER = np.array([4500.0, 3.0, -1.0, -0.5])
UPPER = np.array([6500.0, 5.0, 0.5, 0.5])
RESOLUTION = 30_000.0
LABEL_ERRORS = np.array([40.0, 0.05, 0.03, 0.04])


def card(**changes: object) -> Card:
    """Card of the toy emulator."""
    base = Card(
        "toy", "pixel-payne", LABELS, ("K", "dex", "dex", "dex"), tuple(LOWER), tuple(UPPER), "vacuum", RESOLUTION
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def atmosphere_card(network: str, **changes: object) -> Card:
    """Card of a network with three labels and a wide domain, for tests of networks with random weights."""
    base = Card(
        name="small",
        network=network,
        labels=("teff", "logg", "fe_h"),
        units=("K", "dex", "dex"),
        lower=(4000.0, 1.0, -2.0),
        upper=(7000.0, 5.0, 0.5),
        medium="vacuum",
        resolution=RESOLUTION,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def log_grid(low: float, high: float, step_kms: float = 4.0) -> np.ndarray:
    """Wavelengths uniform in ln λ."""
    return np.exp(np.arange(np.log(low), np.log(high), step_kms / C_KMS))


def toy_wavelength(span: float = 35.0) -> np.ndarray:
    """Two windows of `span` Å."""
    return np.concatenate([log_grid(5000, 5000 + span), log_grid(5100, 5100 + span)])


def toy_flux(labels: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
    """Gaussian lines at the emulator's resolution whose depths and wings answer to the labels (n, 4)."""
    teff, logg, iron, magnesium = ((labels - LOWER) / (UPPER - LOWER) - 0.5).T
    rng = np.random.default_rng(5)
    flux = np.ones((len(labels), wavelength.size))
    for centre in np.concatenate([rng.uniform(5001, 5034, 24), rng.uniform(5101, 5134, 24)]):
        a, b, c, d = rng.uniform(-1.5, 1.5), rng.uniform(-0.8, 0.8), rng.uniform(0.8, 2.0), 0.0
        if rng.random() < 0.25:
            c, d = 0.4, 2.5
        strength = np.exp(rng.normal(-1.2, 0.5) + a * teff + b * logg + c * iron + d * magnesium)
        sigma = 5079.0 / RESOLUTION / 2.3548 * rng.uniform(1.2, 2.0)
        profile = np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2)
        flux -= (strength / (1 + strength))[:, None] * profile
    return np.clip(flux, 0.02, None)


def toy_emulator(span: float = 35.0) -> Emulator:
    """A smooth network: random sigmoid features, the same for all pixels, and a last layer that is solved for."""
    rng = np.random.default_rng(7)
    wavelength = toy_wavelength(span)
    hidden, pixels = 40, wavelength.size
    weight, bias = rng.normal(0, 2.0, (hidden, 4)), rng.normal(0, 1.0, hidden)
    x = rng.uniform(-0.5, 0.5, (1500, 4))
    design = np.concatenate([1 / (1 + np.exp(-(x @ weight.T + bias))), np.ones((len(x), 1))], 1)
    target = toy_flux(LOWER + (x + 0.5) * (UPPER - LOWER), wavelength)
    solution = np.linalg.solve(design.T @ design + 1e-5 * np.eye(hidden + 1), design.T @ target)
    arrays = {
        "w_array_0": np.broadcast_to(weight, (pixels, hidden, 4)),
        "b_array_0": np.broadcast_to(bias, (pixels, hidden)),
        "w_array_1": solution[:-1].T,
        "b_array_1": solution[-1],
        "x_min": LOWER,
        "x_max": UPPER,
    }
    network, params = PixelPayne.decode(arrays, card())
    return Emulator(network, {k: jnp.asarray(v) for k, v in params.items()}, wavelength, card())


def toy_instrument() -> Instrument:
    """Two arms inside the toy emulator's windows."""
    blue, red = (
        InstrumentArm(name, (low, low + 27.0), 0.06, ((low, 20_000.0),))
        for name, low in (("blue", 5004.0), ("red", 5104.0))
    )
    return Instrument("toy", "two arms", "made up", "vacuum", "linear", (blue, red), 2)


def erring_emulator(factor: float = 1.0) -> Emulator:
    """The toy emulator with an error model whose standard deviations are `factor` times some."""
    emulator = toy_emulator()
    pixels = emulator.wavelength.size
    basis = np.random.default_rng(2).normal(0, 0.02, (2, pixels))
    return replace(emulator, error=ErrorModel(factor * basis, np.full(pixels, factor * 0.03), factor * LABEL_ERRORS))


def mock_star(
    emulator: Emulator,
    labels: np.ndarray,
    *,
    velocity: float = 0.0,
    snr: float = 100.0,
    resolution: float = 20_000.0,
    seed: int = 0,
    vsini: float = 0.0,
    span: float = 35.0,
    error: np.ndarray | float = 0.0,
    **changes: object,
) -> Spectrum:
    """Observed-looking spectrum of the emulator itself, in two arms of linear pixels, counts as flux.

    `error` (p,) is what is wrong with the emulator's flux at its own wavelengths.
    """
    from bayne.forward import plan

    rng = np.random.default_rng(seed)
    arms: list[Arm] = []
    for name, low, high in (("blue", 5004.0, 4996.0 + span), ("red", 5104.0, 5096.0 + span)):
        wave = np.arange(low, high, 0.06) * (1 + velocity / C_KMS)
        arms.append(
            make_arm(wave, np.ones(wave.size), error=np.ones(wave.size), lsf=GaussianLSF(wave / resolution), name=name)
        )
    spectrum = Spectrum(tuple(arms), frame="barycentric", id=f"mock-{seed}")
    with jax.enable_x64(True):
        the_plan = plan(spectrum, emulator, velocity, max_vsini=max(vsini, 1.0))
        rest = emulator.network(emulator.params, jnp.asarray(labels)) + error
        zero, one = jnp.asarray(0.0), jnp.asarray(1.0)
        flux = np.asarray(
            the_plan.forward.observe(rest[None], jnp.asarray(velocity), jnp.asarray(vsini), zero, one, one)
        )[..., 0].astype(float)
    observed = []
    for a, arm in enumerate(arms):
        n = arm.wavelength.size
        shape = 1000.0 * (1 + 0.2 * np.linspace(-1, 1, n) - 0.1 * np.linspace(-1, 1, n) ** 2)
        noise = shape / snr
        used = the_plan.used[a, :n]
        counts = np.where(used, flux[a, :n], 1.0) * shape + rng.normal(0, noise)
        observed.append(make_arm(arm.wavelength, counts, error=noise, mask=~used, lsf=arm.lsf, name=arm.name))
    return replace(spectrum, arms=tuple(observed), **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Table(Network):
    """A network that ignores its labels: the spectrum is one of its parameters. For tests of the forward model."""

    name = "table"

    def __call__(self, params: Mapping[str, jax.Array], labels: jax.Array) -> jax.Array:
        return params["flux"]

    @classmethod
    def decode(cls, arrays: Mapping[str, np.ndarray], card: Card) -> tuple[Table, dict[str, np.ndarray]]:
        return cls(), dict(arrays)

    @classmethod
    def example(cls, card: Card, pixels: int, seed: int) -> dict[str, np.ndarray]:
        return {"flux": np.ones(pixels)}


def table_emulator(wavelength: np.ndarray, flux: np.ndarray, resolution: float, **changes: object) -> Emulator:
    """Emulator of one given rest-frame spectrum."""
    the_card = card(resolution=resolution, network="table", **changes)
    return Emulator(Table(), {"flux": jnp.asarray(flux, jnp.float32)}, wavelength, the_card)
