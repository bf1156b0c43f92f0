"""The likelihood of one spectrum, and its NumPyro model, for use in your own models."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from ..emulators import Emulator
from ..errors import BayneError
from ..labels import check_known, over_hydrogen
from ..likelihoods import MarginalNormal, Prior, RobustWidths, StarModel, padded
from ..precision import double
from .batch import bound_settings
from .discrepancy import Discrepancy
from .maximum import find_maximum
from .prepare import check_arguments

log = logging.getLogger("bayne")

#: Sites of a model that are no parameters: the observed flux, and what keeps labels inside the emulator's hull.
FLUX, HULL = "flux", "hull"

#: What the name of a label ends with that is meant in the emulator's physics.
EMULATOR = "_emulator"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Likelihood:
    """Likelihood of a spectrum as a function of the parameters of its star; a pytree.

    Parameters are given by name, in the units of the labels, velocities in km/s. Their shapes broadcast; the broadcast
    shape, "..." below, leads the shape of every returned array. An ``excess_<arm>`` is ln(1 + jitter²/s²), with s the
    arm's median photon error; it is optional and defaults to its best value.

    Parameters
    ----------
    names
        Free parameters.
    fixed
        Labels that are fixed.
    model, prior
        The star's model and prior, as in a fit: see `bayne.likelihoods`.
    theta
        (n,) parameters at the posterior maximum.
    discrepancy
        Standard deviation by label of the error that the emulator's physics makes in it, which no likelihood knows of.
        Labels of the likelihood are those in the emulator's physics: add the error in your model, once for all spectra
        of a star.
    wavelength
        (p,) vacuum Å of the fitted pixels, arm after arm, in the frame of the spectrum.
    index
        (p,) their positions among the pixels of all arms.
    """

    names: tuple[str, ...] = field(metadata={"static": True})
    fixed: dict[str, float]
    model: StarModel
    prior: Prior
    theta: jax.Array
    discrepancy: dict[str, float]
    wavelength: jax.Array
    index: jax.Array

    @property
    def data(self) -> jax.Array:
        """(p,) observed flux over the pilot continuum."""
        return self.model.pixels.data.ravel()[self.index]

    @property
    def best(self) -> dict[str, jax.Array]:
        """Parameters at the posterior maximum, where samplers should start."""
        return dict(zip(self.names, self.theta, strict=True))

    def log_prob(self, params: Mapping[str, Any]) -> jax.Array:
        """Log likelihood (...) of the data.

        Raises
        ------
        BayneError
            Missing or unknown parameters, shapes that do not broadcast, or JAX without 64 bits.
        """
        return self._each(self.model.log_like, "(m)->()", params)

    def predict(self, params: Mapping[str, Any]) -> jax.Array:
        """(..., p) spectrum of the star at the parameters, over the pilot continuum; raises as `log_prob` does."""
        plain = replace(self.model, robust=RobustWidths.unchanged(self.model.n_mean))
        return self._each(lambda theta: plain.predict(theta).ravel()[self.index], "(m)->(p)", params)

    def distribution(self, params: Mapping[str, Any]) -> MarginalNormal:
        """NumPyro distribution of `data` at the parameters: of batch shape (...) and event shape (p,).

        It is a multivariate normal whose covariance includes photon noise, jitter, continuum and emulator error. With
        robust widths it changes more slowly with the parameters than `predict` does, so that posteriors are as wide as
        the misfit requires.

        Raises
        ------
        BayneError
            As `log_prob` does.
        """
        model = self._each(self.model.predict, "(m)->(a,n)", params)

        def extra(theta: jax.Array) -> jax.Array:
            found = self.model.jitter_variance(theta)
            return jnp.zeros(len(self.model.pixels.data)) if found is None else found

        return MarginalNormal(self.model.pixels, model, self._each(extra, "(m)->(a)", params), self.index)

    def log_hull(self, params: Mapping[str, Any]) -> jax.Array:
        """(...) penalty for leaving the hull of the emulator's training labels: 0 inside; raises as `log_prob` does."""
        return self._each(self.prior.log_hull, "(m)->()", params)

    def _each(self, function: Any, signature: str, params: Mapping[str, Any]) -> Any:
        return jnp.vectorize(function, signature=signature)(self._vector(params))

    def _vector(self, params: Mapping[str, Any]) -> jax.Array:
        """(..., n) parameters in order."""
        if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
            raise BayneError("sums over pixels need 64-bit floats: call numpyro.enable_x64() first")
        check_known(params, self.names, "params")
        given = {name: value for name, value in self.best.items() if name.startswith("excess_")} | dict(params)
        missing = [name for name in self.names if name not in given]
        if missing:
            raise BayneError(f"params: {', '.join(missing)} missing; give all of {', '.join(self.names)}")
        shapes = {name: jnp.shape(value) for name, value in given.items()}
        try:
            shape = np.broadcast_shapes(*shapes.values())
        except ValueError:
            told = ", ".join(f"{name} {shape}" for name, shape in shapes.items() if shape)
            raise BayneError(f"params: shapes that do not broadcast: {told}") from None
        return jnp.stack([jnp.broadcast_to(jnp.asarray(given[name], float), shape) for name in self.names], axis=-1)


def likelihood(spectrum: Any, emulator: Emulator, *, id: str | None = None, **options: Any) -> Likelihood:
    """The likelihood of one spectrum, for your own models.

    The spectrum is prepared as in `fit_star`: this determines velocity and pilot continuum, chooses the pixels,
    excludes outliers, and finds the posterior maximum, about which the errors are widened for the model's misfit. What
    the emulator's card states as discrepancy is left to your model: see `Likelihood`.

    Parameters
    ----------
    spectrum, emulator, id
        See `fit_star`.
    options
        Those of `fit_star` that define what is fitted: ``instrument``, ``resolution``, ``snr``, ``priors``, ``fixed``,
        ``start``, ``free``, ``continuum``, ``windows``, ``emulator_error``, ``jitter``, ``robust``. ``robust=False``
        switches off robust widths and the continuum's Gaussian process, ``jitter=False`` the extra scatter and the
        rejection of outliers.

    Returns
    -------
    Likelihood
        It uses the emulator as given: first compile a network that evaluates every wavelength separately for the
        instrument (`bayne.compile`).

    Raises
    ------
    BayneError
        Wrong arguments, or a spectrum that cannot be fitted, with the reason.
    """
    return _likelihood(spectrum, emulator, id, options)[0]


@double
def _likelihood(
    spectrum: Any, emulator: Emulator, id: str | None, options: Mapping[str, Any]
) -> tuple[Likelihood, Discrepancy]:
    settings = bound_settings("map", options)
    check_arguments(settings, emulator)
    found = find_maximum(spectrum, emulator, settings, id)
    problem, verdict, discrepancy = found.problem, found.verdict, found.discrepancy
    if problem is None or discrepancy is None:
        raise BayneError(" ".join(("the spectrum cannot be fitted:", *verdict.flags.sentences(), *verdict.messages)))
    if verdict.flags.bad:
        log.warning("%s: %s", found.ready.spectrum.id, " ".join((*verdict.flags.sentences(), *verdict.messages)))
    index = np.flatnonzero(np.asarray(problem.model.pixels.used))
    spectrum = found.ready.spectrum
    wavelength = padded(spectrum, [arm.wavelength for arm in spectrum.arms], 0.0)
    fixed = {name: value for name, value in settings.fixed.items() if name in settings.reported(found.emulator)}
    known = {problem.model.names[i]: float(discrepancy.sigma[i]) for i in discrepancy.index}
    like = Likelihood(
        problem.model.names, fixed, problem.model, problem.prior, jnp.asarray(found.theta), known,
        jnp.asarray(wavelength.ravel()[index]), jnp.asarray(index),
    )  # fmt: skip
    return like, discrepancy


@dataclass(frozen=True, eq=False)
class SpectrumModel:
    """A NumPyro model; calling it declares its sites.

    The sites are one per parameter, [X/H] as deterministics, ``hull`` and ``flux``. A label for which the emulator's
    card states a discrepancy has a second site, ``<label>_emulator``: what the spectrum says in the emulator's physics.
    `numpyro.handlers.scope` gives the sites a prefix, so that one model can hold several stars.

    Parameters
    ----------
    likelihood
        Of the spectrum.
    priors
        Of the parameters, by name.
    best
        Values of the sites at the posterior maximum, where samplers should start.
    """

    likelihood: Likelihood
    priors: dict[str, dist.Distribution]
    best: dict[str, jax.Array]

    def __call__(self, observed: bool = True) -> None:
        """Declare the sites.

        Parameters
        ----------
        observed
            True conditions on the flux of the spectrum; False predicts it.
        """
        like = self.likelihood
        params = {name: numpyro.sample(name, prior) for name, prior in self.priors.items()}
        values = like.fixed | params
        for name, (one, other) in over_hydrogen(tuple(values)).items():
            numpyro.deterministic(name, values[one] + values[other])
        for name, sigma in like.discrepancy.items():
            i = like.names.index(name)
            error = dist.TruncatedNormal(params[name], sigma, low=like.prior.lower[i], high=like.prior.upper[i])
            params[name] = numpyro.sample(name + EMULATOR, error)
        numpyro.factor(HULL, like.log_hull(params))
        numpyro.sample(FLUX, like.distribution(params), obs=like.data if observed else None)


def model(spectrum: Any, emulator: Emulator, *, id: str | None = None, **options: Any) -> SpectrumModel:
    """The NumPyro model of one spectrum, with one named site per label; `fit_star` samples the same density.

    At the edges of the domain they differ, if the emulator's card states a discrepancy: there it is cut off here before
    the fit and in `fit_star` after it.

    Parameters
    ----------
    spectrum, emulator, id, options
        See `likelihood`.

    Returns
    -------
    SpectrumModel
        For `numpyro.infer`: ``NUTS(model, init_strategy=init_to_value(values=model.best))``.

    Raises
    ------
    BayneError
        As `likelihood` does; or a label has the name of another site.
    """
    like, discrepancy = _likelihood(spectrum, emulator, id, options)
    seconds = [name + EMULATOR for name in like.discrepancy]
    sites = (*like.names, *seconds, *over_hydrogen((*like.names, *like.fixed)), FLUX, HULL)
    twice = sorted({name for name in sites if sites.count(name) > 1})
    if twice:
        raise BayneError(f"labels {', '.join(twice)}: another site of the model has that name; rename the label")
    priors = {name: discrepancy.prior.one(i) for i, name in enumerate(like.names)}
    best = dict(zip(like.names, jnp.asarray(discrepancy.best(np.asarray(like.theta))), strict=True))
    return SpectrumModel(like, priors, best | {name + EMULATOR: like.best[name] for name in like.discrepancy})
