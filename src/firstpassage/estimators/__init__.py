"""Estimators: networks, training and saved bundles; the only room that knows BayesFlow and Keras."""
