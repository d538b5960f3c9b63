"""First-passage mathematics: pure functions, one trial, no priors."""
