"""Tables of labels: CSV files and CelebA's lists."""
