"""Models: parameters, prior, simulator and exact likelihood, one file each."""
