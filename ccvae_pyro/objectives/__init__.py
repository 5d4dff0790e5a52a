"""Objectives: subclasses of Pyro's ELBO."""
