"""Reference stars teach what is wrong with lines, as well as they can, and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayne
from bayne.calibration import learn
from bayne.calibration.calibrate import KINDS, STEPS, Calibration
from bayne.calibration.linear import FLOOR, SCATTER
from bayne.calibration.stars import prepare_stars
from bayne.errors import BayneError
from bayne.precision import double
from species_toy import LABELS, drawn_strengths, species_emulator, with_strengths
from toy import mock_star, toy_emulator

ERRORS = (40.0, 0.05, 0.05, 0.1)
SIGMA = 0.35
STARS = np.array(
    [
        [5770, 4.4, 0.0, 0.0],
        [5050, 4.5, -0.1, 0.05],
        [6250, 4.1, 0.05, -0.1],
        [5200, 3.5, -0.3, 0.1],
        [5900, 3.8, -0.6, 0.2],
    ]
)


@pytest.fixture(scope="module")
def emulator():
    """Lines of two elements."""
    return species_emulator()


def known(values):
    """Labels of stars with their errors."""
    return [
        {name: (float(value), error) for name, value, error in zip(LABELS, row, ERRORS, strict=True)} for row in values
    ]


@double
def begun(emulator, spectra, labels):
    """A calibration without a step."""
    stars = prepare_stars(emulator, spectra, known(labels), {"free": ("rv",)})
    return Calibration.begun(emulator, stars, np.full(emulator.wavelength.size, SIGMA), True)


def star(truth, labels, seed):
    """A mock of R = 20,000 whose noise is that of the floor."""
    return mock_star(truth, labels, velocity=3.0, snr=1 / FLOOR, seed=seed, star_id=f"star {seed}")


@pytest.fixture(scope="module")
def nodes(emulator):
    """A calibration of which the nodes and the prior are wanted."""
    return begun(emulator, [star(emulator, STARS[0], 0)], STARS[:1])


def mocks(emulator, nodes, seed, sigma, scatter=SCATTER):
    """True line strengths (q,), and spectra of stars each of which differs from them by its own scatter."""
    rng = np.random.default_rng(seed)
    strength = drawn_strengths(nodes, rng, sigma, offset=sigma)
    own = [strength + drawn_strengths(nodes, rng, scatter, offset=0.0) for _ in STARS]
    spectra = [
        star(with_strengths(emulator, nodes, one), labels, 10 * seed + i)
        for i, (one, labels) in enumerate(zip(own, STARS, strict=True))
    ]
    return strength, spectra


@double
def recovered(emulator, nodes, seed, sigma=SIGMA):
    """True and learnt strengths, and errors, at nodes that the stars say something of."""
    strength, spectra = mocks(emulator, nodes, seed, sigma)
    found = begun(emulator, spectra, STARS)
    for _ in range(STEPS):
        found = found.climbed()
    error = found.errors()
    seen = error < 0.8 * SIGMA
    return strength[seen], found.present[seen, 0], error[seen]


def test_wrong_strengths_are_recovered_within_their_errors(emulator, nodes):
    """Truths are draws of the prior, so that their ranks are uniform; with half of the errors they are not."""
    pulls = []
    for seed in range(1, 4):
        truth, learnt, error = recovered(emulator, nodes, seed)
        assert np.corrcoef(truth, learnt)[0, 1] > 0.8
        pulls.append((learnt - truth) / error)
    size = np.sqrt(np.mean(np.concatenate(pulls) ** 2))
    assert 0.75 < size < 1.3
    assert not 0.75 < 2 * size < 1.3


def test_where_nothing_is_wrong_nothing_changes_beyond_its_error(emulator, nodes):
    truth, learnt, error = recovered(emulator, nodes, 5, sigma=1e-6)
    assert np.sqrt(np.mean(((learnt - truth) / error) ** 2)) < 1.2
    assert np.sqrt(np.mean(learnt**2)) < 0.5 * SIGMA


@pytest.fixture(scope="module")
def taught(emulator, nodes):
    """What stars teach, of which one has a Teff that is wrong by 300 K."""
    _, spectra = mocks(emulator, nodes, 7, SIGMA, 0.03)
    wrong = STARS.copy()
    wrong[2, 0] -= 300
    return spectra, learn(emulator, spectra, known(wrong), free=("rv",))


def test_leaving_one_out_names_the_star_with_wrong_labels(taught):
    _, made = taught
    assert made.doubtful == ["star 72"]


def test_a_star_that_taught_nothing_is_measured_better(emulator, nodes):
    """Labels through corrections that the four others taught, against those through the emulator as it was."""
    _, spectra = mocks(emulator, nodes, 8, SIGMA, 0.03)
    made = learn(emulator, spectra, known(STARS), free=("rv",))
    for label in ("teff", "fe_h"):
        before, after = (
            np.sqrt(np.mean((made.stars[f"{label}_{when}"] - made.stars[label]) ** 2)) for when in ("before", "after")
        )
        assert after < 0.7 * before
    assert set(made.emulator.card.reference_stars) == {f"star {80 + i}" for i in range(5)}
    assert np.isfinite(made.lines["scatter"]).all()
    assert np.all((made.lines["error"] > 0) & (made.lines["error"] < 3 * SIGMA))
    near = made.emulator.error_at(STARS[0])
    assert near is not None
    assert (near.total > 0).any()


def test_one_star_teaches_too(emulator, nodes, caplog):
    _, spectra = mocks(emulator, nodes, 9, SIGMA)
    better = bayne.calibrate(emulator, spectra[:1], known(STARS[:1]), free=("rv",))
    assert "only others can say" in caplog.text

    def chi_square(one):
        result = bayne.fit_star(
            spectra[0], one, method="map", fixed=dict(zip(LABELS, STARS[0], strict=True)), free=("rv",), jitter=False
        )
        return sum(float(np.sum((((arm.flux - arm.model) / arm.sigma) ** 2)[arm.used])) for arm in result.arms)

    assert chi_square(better) < 0.3 * chi_square(emulator)


def test_two_stars_do_not_say_how_wrong_labels_are(emulator, nodes):
    """The card keeps what it said before."""
    card = replace(emulator.card, discrepancy={"teff": (150.0, 80.0)})
    _, spectra = mocks(emulator, nodes, 11, SIGMA)
    made = learn(replace(emulator, card=card), spectra[:2], known(STARS[:2]), free=("rv",))
    assert made.emulator.card.discrepancy == card.discrepancy


def test_without_labels_corrections_do_nothing_that_labels_could(emulator, nodes):
    """All lines of iron 0.2 dex too weak look like stars of low [Fe/H]: no correction. A single line is one."""
    weak = np.full(nodes.nodes.log_wave.size, -0.2 * np.log(10)) * (nodes.prior.member.toarray()[::KINDS, 0] > 0)
    inside = (emulator.wavelength > 5010) & (emulator.wavelength < 5024)
    deepest = np.argmin(np.where(inside, emulator.evaluate(STARS[0]), 1.0))
    line = np.argmin(np.abs(nodes.nodes.log_wave - np.log(emulator.wavelength[deepest])))
    weak[line - 1 : line + 2] += 1.0
    physics = with_strengths(emulator, nodes, weak)
    spectra = [star(physics, labels, 100 + i) for i, labels in enumerate(STARS)]
    made = learn(emulator, spectra, free=("rv",))
    strength = np.asarray(made.lines["strength"])
    assert abs(np.median(strength)) < 0.25 * 0.2 * np.log(10)
    assert strength[line] > 0.5
    assert len(made.stars) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda spectra, labels: ([], []), "no star"),
        (lambda spectra, labels: (spectra, labels[:1]), "2 spectra but labels of 1"),
        (lambda spectra, labels: (spectra, [labels[0], {"teff": (5000.0, 40.0)}]), "logg, fe_h must be known"),
        (lambda spectra, labels: (spectra, [labels[0], labels[1] | {"teff": (9000.0, 40.0)}]), "outside the domain"),
        (lambda spectra, labels: (spectra, [labels[0], labels[1] | {"tefff": (5000.0, 40.0)}]), "teff"),
        (lambda spectra, labels: (spectra, [labels[0], labels[1] | {"logg": (4.0, 0.0)}]), "positive error"),
        (
            lambda spectra, labels: ([spectra[0], spectra[1].with_resolution(90_000)], labels),
            "mock-1 teaches nothing.*sharper",
        ),
        (
            lambda spectra, labels: (
                [
                    spectra[0],
                    replace(
                        spectra[1],
                        arms=tuple(replace(arm, wavelength=arm.wavelength + 1000) for arm in spectra[1].arms),
                    ),
                ],
                labels,
            ),
            "mock-1 teaches nothing.*does not overlap",
        ),
    ],
)
def test_bad_input(emulator, change, words):
    spectra = [star(emulator, labels, i) for i, labels in enumerate(STARS[:2])]
    spectra, labels = change(spectra, known(STARS[:2]))
    with pytest.raises(BayneError, match=words):
        bayne.calibrate(emulator, spectra, labels, free=("rv",))


def test_only_species_networks_can_be_corrected():
    toy = toy_emulator()
    with pytest.raises(BayneError, match="no opacity by species"):
        bayne.calibrate(toy, [mock_star(toy, np.array([5500.0, 4.0, 0.0, 0.0]))], known([[5500.0, 4.0, 0.0, 0.0]]))
