"""Evaluation: what is measured of a trained model."""
