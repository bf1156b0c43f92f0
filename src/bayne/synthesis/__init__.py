"""What spectra are made of."""
