"""What the tests of `fit_star` share: one emulator, one star, and quick calls on them."""

import numpy as np
import pytest

import bayne
from toy import mock_star, toy_emulator

TRUTH = {"teff": 5400.0, "logg": 4.3, "fe_h": -0.2, "mg_fe": 0.15}
VELOCITY, VSINI = 12.3, 14.0


@pytest.fixture(scope="session")
def emulator():
    return toy_emulator()


@pytest.fixture(scope="session")
def truth():
    return TRUTH | {"rv": VELOCITY, "vsini": VSINI}


@pytest.fixture(scope="session")
def mock(emulator):
    """Mock of the true star; arguments replace those of `mock_star`, labels by name replace the true ones."""

    def make(*, velocity=VELOCITY, vsini=VSINI, seed=1, snr=100.0, labels=None, **changes):
        values = np.array(list((TRUTH | (labels or {})).values()))
        return mock_star(emulator, values, velocity=velocity, vsini=vsini, seed=seed, snr=snr, **changes)

    return make


@pytest.fixture(scope="session")
def star(mock):
    return mock()


@pytest.fixture(scope="session")
def fit(emulator):
    """`fit_star` on the shared emulator, by default only the maximum, and with errors of a model that is right."""

    def call(spectrum, method="map", robust=False, **options):
        return bayne.fit_star(spectrum, emulator, method=method, robust=robust, **options)

    return call


@pytest.fixture(scope="session")
def maximum(star, fit):
    return fit(star)


@pytest.fixture(scope="session")
def gaussian(star, fit):
    return fit(star, "laplace")


@pytest.fixture(scope="session")
def sampled(star, fit):
    return fit(star, "nuts")
