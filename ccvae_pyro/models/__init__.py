"""Models: the CCVAE, its presets and the baselines."""
