"""A spectrum and its derivatives as an emulator."""

import numpy as np

from bayne.emulators import Card
from bayne.emulators.linear import Linear


def test_flux_is_the_base_and_the_slopes() -> None:
    card = Card("x", "linear", ("teff", "logg"), ("K", "dex"), (4000.0, 1.0), (7000.0, 5.0), "vacuum", 3e4)
    base, slope, origin = np.array([0.9, 0.5]), np.array([[1e-4, -2e-4], [0.0, 0.1]]), np.array([5000.0, 4.0])
    network, params = Linear.decode({"base": base, "slope": slope, "origin": origin}, card)
    np.testing.assert_allclose(network(params, np.array([5500.0, 3.0])), [0.95, 0.3], atol=1e-6)
