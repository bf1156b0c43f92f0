"""HERMES-like mock observations of a given rest-frame spectrum, for the other scripts here."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from bayne.emulators import Emulator
from bayne.forward import observe, plan
from bayne.information import expose
from bayne.spectrum import Spectrum, make_arm


def hermes_mock(
    emulator: Emulator, rest: np.ndarray, *, arms: Sequence[str], rv: float, vsini: float, snr: float, seed: int
) -> Spectrum:
    """Counts with errors on HERMES pixels at R = 28,000: velocity, rotation, a sloping continuum, noise.

    Parameters
    ----------
    emulator
        Gives the wavelengths and the resolution of `rest`.
    rest
        (p,) normalised flux on the emulator's pixels.
    arms
        Names of the arms.
    rv, vsini
        km/s.
    snr
        Per pixel.
    seed
        Of the noise.
    """
    bare = expose("hermes", 1.0, arms=arms).arms
    star = Spectrum(bare, frame="barycentric", id=f"mock-{seed}", instrument="hermes")
    with jax.enable_x64(True):
        the_plan = plan(star, emulator, rv, max_vsini=max(vsini, 1.0))
        at = (jnp.asarray(v) for v in (rv, vsini, 0.0, 1.0))
        flux = np.asarray(observe(the_plan.static, the_plan.arrays, jnp.asarray(rest)[None], *at))[..., 0]
    rng = np.random.default_rng(seed)
    made = []
    for a, arm in enumerate(bare):
        n = arm.wavelength.size
        x = np.linspace(-1, 1, n)
        level = 6400.0 * (1 + 0.15 * x - 0.2 * x**2)
        error = np.where(the_plan.used[a, :n], level / snr, 0.0)
        counts = np.where(error > 0, flux[a, :n] * level + rng.normal(0, level / snr), 0.0)
        made.append(make_arm(arm.wavelength, counts, error=error, name=arm.name, lsf=arm.lsf))
    return Spectrum(tuple(made), frame=star.frame, id=star.id, instrument=star.instrument)
