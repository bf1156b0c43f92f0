"""Golden files for the readers of TransformerPayne: small random networks, saved and called by the reference packages.

Run it in environments of their own (see README.md here):

    python make_transformer_payne.py released     # transformer-payne==0.10: released_*.pkl, released.npz
    python make_transformer_payne.py toolkit      # astro-emulators-toolkit==0.1.0: toolkit_*/, toolkit.npz
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)  # the packages need it for the codes of wavelengths

import numpy as np  # noqa: E402

HERE = Path(__file__).parent
WAVELENGTH = np.concatenate([np.linspace(4700.0, 4702.0, 12), np.linspace(15000.0, 15003.0, 8)])

#: Small, so that the files are; the wide range of settings is what the test is about.
RELEASED = {
    "plain": {"dim": 64, "no_layers": 1, "no_tokens": 3},
    "biases": {"dim": 32, "no_layers": 3, "no_tokens": 4, "bias_dense": True, "bias_attention": True, "alpha_emb": 0.3},
    "deep": {"dim": 32, "no_layers": 5, "no_tokens": 2, "reference_depth": 2, "alpha_att": 2.5, "max_period": 1.0},
    "narrow": {"dim": 32, "no_layers": 2, "no_tokens": 16, "dim_ff_multiplier": 2, "bias_attention": True},
}
NAMES = ["logteff", "logg", "vmic", "He", "Mg", "Fe", "mu"]
LOWER = np.array([np.log10(4000.0), 2.0, 0.0, 10.0, 4.0, 4.0, 0.0])
UPPER = np.array([np.log10(8000.0), 5.0, 5.0, 11.5, 9.0, 8.5, 1.0])
SOLAR = np.array([np.log10(5777.0), 4.44, 1.0, 10.91, 7.55, 7.46, 1.0])
#: teff (K), logg, vmic (km/s), fe_h, mg_fe
LABELS = np.array([[5777.0, 4.44, 1.0, 0.0, 0.0], [4321.0, 2.3, 1.7, -0.75, 0.31]])


def rounded(tree: object, rng: np.random.Generator) -> object:
    """The same tree of arrays, biases made random, all with few digits so that the files compress."""
    if isinstance(tree, dict):
        return {
            key: np.round(rng.normal(0, 0.3, value.shape) * 64).astype(np.float32) / 64
            if str(key).startswith("b") and not isinstance(value, dict)
            else rounded(value, rng)
            for key, value in tree.items()
        }
    return np.round(np.asarray(tree) * 64).astype(np.float32) / 64


def released() -> None:
    """Intensities and continua at two angles, and the normalised flux of the disc."""
    from transformer_payne import TransformerPayne
    from transformer_payne.architecture_definition import ArchitectureDefinition

    nodes, weights = np.polynomial.legendre.leggauss(10)
    nodes = (nodes + 1) / 2
    found: dict[str, np.ndarray] = {"labels": LABELS, "wavelength": WAVELENGTH, "mu": np.array([0.25, 0.9])}
    for case, (name, settings) in enumerate(RELEASED.items()):
        parameters = {"input_dim": len(NAMES), "out_dim": 2, **settings}
        empty = {"architecture": "TransformerPayneIntensities", "architecture_parameters": parameters, "tag": "golden"}
        definition = ArchitectureDefinition(
            emulator_weights={},
            spectral_parameters=NAMES,
            min_spectral_parameters=LOWER,
            max_spectral_parameters=UPPER,
            solar_parameters=SOLAR,
            abundance_parameters=[False, False, False, True, True, True, False],
            **empty,
        )
        model = TransformerPayne(definition).model
        start = model.init(jax.random.key(case), (np.log10(WAVELENGTH), np.full(len(NAMES), 0.5)), train=False)
        definition.emulator_weights = rounded(jax.device_get(start["params"]), np.random.default_rng(case))
        path = HERE / f"released_{name}.pkl"
        if name == "plain":
            definition.serialize(str(path))
        else:
            import joblib

            joblib.dump(vars(definition), path, compress=("xz" if name == "deep" else "zlib", 9))
        emulator = TransformerPayne.from_file(str(path))
        assert emulator is not None

        def disc(row: np.ndarray, mu: float, emulator: TransformerPayne = emulator) -> np.ndarray:
            teff, logg, vmic, iron, magnesium = row
            absolute = np.array([np.log10(teff), logg, vmic, SOLAR[3], SOLAR[4] + iron + magnesium, SOLAR[5] + iron])
            return np.asarray(emulator(np.log10(WAVELENGTH), mu, absolute), dtype=np.float64)

        found[f"{name}_intensity"] = np.array([[disc(row, mu) for mu in found["mu"]] for row in LABELS])
        over = np.array([[disc(row, mu) for mu in nodes] for row in LABELS])
        summed = np.einsum("k,rkpc->rpc", nodes * weights, over)
        found[f"{name}_flux"] = summed[..., 0] / summed[..., 1]
    np.savez_compressed(HERE / "released.npz", **found)


def toolkit() -> None:
    """Physical outputs of a flux and of an intensity bundle, scaled by the toolkit's own functions."""
    from astro_emulators_toolkit import Emulator, denormalize_tree, normalize_tree
    from astro_emulators_toolkit.presets import transformer_payne_flux, transformer_payne_intensity

    lower, upper = np.array([4000.0, 1.0, -2.0]), np.array([7000.0, 5.0, 0.5])
    labels = np.array([[5777.0, 4.44, 0.0], [4321.0, 2.3, -0.75]])
    wavelength = np.linspace(4700.0, 4703.0, 40)
    found = {"labels": labels, "wavelength": wavelength, "mu": np.array([0.25, 0.9])}
    common = {"dim": 32, "no_tokens": 3, "min_period": 1e-6, "max_period": 10.0}
    cases = {
        "flux": {"bias_dense": True, "bias_attention": True, "no_layers": 3, "reference_depth": 2, "alpha_att": 2.0},
        "intensity": {"no_layers": 1, "dim_ff_multiplier": 2, "bias_output_head": True, "alpha_emb": 0.5},
    }
    for case, (name, settings) in enumerate(cases.items()):
        make = transformer_payne_flux if name == "flux" else transformer_payne_intensity
        config = make()
        config = config.with_updates(
            model=type(config.model)(config.model.name, {**config.model.params, **common, **settings})
        )
        if name == "flux":  # log10 wavelengths as they are
            low, high = {"parameters": lower, "wavelengths": 0.0}, {"parameters": upper, "wavelengths": 1.0}
            bottom, top = {"flux": -0.5}, {"flux": 1.5}
        else:  # wavelengths in Å, scaled; mu is the last parameter
            low = {"parameters": np.append(lower, 0.0), "wavelengths": 4000.0}
            high = {"parameters": np.append(upper, 1.0), "wavelengths": 9000.0}
            bottom, top = {"flux": np.array([0.0, 12.0])}, {"flux": np.array([1.0, 15.0])}
        rows = low["parameters"].size
        emulator = Emulator.from_config(config)
        emulator.initialize(inputs={"parameters": np.zeros((1, rows)), "wavelengths": np.zeros((1, 2))})
        emulator.params = jax.tree.map(jax.numpy.asarray, rounded(emulator.params, np.random.default_rng(case)))
        scaling = {"kind": "affine_minmax_v1", "min_tree": low, "max_tree": high, "applies_to": "inputs"}
        spaces = {"source_space": "physical_input_dict_tree_v1", "target_space": "canonical_input_dict_tree_v1"}
        back = {"kind": "affine_minmax_v1", "min_tree": bottom, "max_tree": top, "applies_to": "outputs"}
        returned = {"source_space": "canonical_output_dict_tree_v1", "target_space": "physical_output_dict_tree_v1"}
        folder = HERE / f"toolkit_{name}"
        emulator.save_bundle(
            folder,
            spec={"reference_scaling_inputs": {**scaling, **spaces}, "reference_scaling_outputs": {**back, **returned}},
            extras={"wavelength_angstrom": wavelength} if name == "flux" else None,
        )
        again = Emulator.from_bundle(folder)
        position = np.log10(wavelength) if name == "flux" else wavelength

        def predict(row: np.ndarray, again: Emulator = again, position: np.ndarray = position) -> np.ndarray:
            physical = {"parameters": row[None], "wavelengths": position[None]}
            out = again.predict(normalize_tree(physical, low, high))  # noqa: B023
            return np.asarray(denormalize_tree(out, bottom, top)["flux"])[0]  # noqa: B023

        if name == "flux":
            found["flux"] = np.array([predict(row) for row in labels])
        else:
            found["intensity"] = np.array([[predict(np.append(row, mu)) for mu in found["mu"]] for row in labels])
        _trim(folder)
    np.savez_compressed(HERE / "toolkit.npz", **found)


def _trim(folder: Path) -> None:
    """Leave what a reader needs; the rest tells of the machine it was made on."""
    path = folder / "metadata.json"
    metadata = json.loads(path.read_text())
    for key in ("provenance", "bundle_id"):
        metadata.pop(key, None)
    path.write_text(json.dumps(metadata, indent=1, sort_keys=True) + "\n")
    for unused in ("README.txt", "bundle_integrity.json", "reference_scaling_inputs.safetensors"):
        (folder / unused).unlink(missing_ok=True)
    (folder / "reference_scaling_outputs.safetensors").unlink(missing_ok=True)


if __name__ == "__main__":
    {"released": released, "toolkit": toolkit}[sys.argv[1]]()
