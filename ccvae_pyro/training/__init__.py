"""Training: Pyro's SVI over batches."""
