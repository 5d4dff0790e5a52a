"""Distributions of this field, as PyTorch and Pyro have them."""
