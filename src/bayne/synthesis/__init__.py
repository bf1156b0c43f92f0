"""What spectra are made of: line lists, model atmospheres, the physics between them, and grids of spectra."""
