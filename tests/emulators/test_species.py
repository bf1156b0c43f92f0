"""The species network: what CO leaves of carbon and oxygen, and what an element's abundance changes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayne.emulators import Card
from bayne.emulators.species import SpeciesPayne, left_by_co, species

LABELS = ("teff", "logg", "fe_h", "c_fe", "n_fe", "o_fe", "mg_fe")
OXYGEN = LABELS.index("o_fe")
STAR = np.array([4500.0, 2.0, -0.2, 0.1, 0.2, 0.0, 0.1], np.float32)


@pytest.fixture(scope="module")
def built():
    """A network with random weights, and its parameters."""
    card = Card(
        name="example",
        network="species",
        architecture=dict(SpeciesPayne.small),
        labels=LABELS,
        units=("K",) + ("dex",) * 6,
        lower=(4000.0, 1.0, -2.5, -0.6, -0.6, -0.4, -0.2),
        upper=(7000.0, 5.0, 0.5, 0.6, 0.6, 0.6, 0.6),
        medium="vacuum",
        resolution=30_000.0,
    )
    return SpeciesPayne.decode(SpeciesPayne.example(card, 37, 3), card)


@pytest.mark.parametrize("c", [-7.0, -1.0, 0.6, 1.5])
@pytest.mark.parametrize("constant", [-12.0, -6.0, 0.0, 12.0])
def test_free_atoms_obey_mass_action_and_none_is_lost(c, constant):
    """n_C n_O = K n_CO, to single precision, where one element is all but gone as well as where nothing is bound."""
    o = np.linspace(-6, 2, 33)
    of_c, of_o = (
        np.asarray(x, np.longdouble)
        for x in jax.jit(left_by_co)(jnp.full(33, c, jnp.float32), jnp.asarray(o, jnp.float32), jnp.float32(constant))
    )
    total, other, k = np.exp(np.longdouble(c)), np.exp(o.astype(np.longdouble)), np.exp(np.longdouble(constant))
    sums = total + other + k
    bound = 2 * total * other / (sums + np.sqrt(sums**2 - 4 * total * other))
    np.testing.assert_allclose(of_c, np.log1p(-bound / total), atol=3e-4)
    np.testing.assert_allclose(of_o, np.log1p(-bound / other), atol=3e-4)


def test_oxygen_takes_carbon_only_where_co_forms(built):
    network, params = built
    coefficients = [
        network.coefficients(params | {"co": jnp.asarray([0.6, constant, 0, 0, 0], jnp.float32)}, jnp.asarray(x))[1]
        for constant in (10.0, -6.0)
        for x in (np.zeros(7, np.float32), np.eye(7, dtype=np.float32)[OXYGEN] * 0.2)
    ]
    names = list(species(LABELS, SpeciesPayne().molecules))
    hot, cool = coefficients[1] - coefficients[0], coefficients[3] - coefficients[2]
    assert hot[names.index("o")] > 0.2
    assert abs(hot[names.index("c")]) < 1e-3
    for name in ("c", "c2", "cn"):
        assert cool[names.index(name)] < -0.1, name
    for name in ("atmosphere", "n", "mg"):
        assert hot[names.index(name)] == cool[names.index(name)] == 0, name


def test_the_jacobian_in_one_product_is_that_of_automatic_differentiation(built):
    network, params = built
    flux, moves = jax.jit(network.jacobian)(params, jnp.asarray(STAR), jnp.eye(7, dtype=jnp.float32))
    exact = jax.jit(jax.jacfwd(network, argnums=1))(params, jnp.asarray(STAR))
    np.testing.assert_allclose(flux, network(params, jnp.asarray(STAR)), atol=2e-6)
    np.testing.assert_allclose(moves, exact.T, atol=2e-5 * np.abs(exact).max())
