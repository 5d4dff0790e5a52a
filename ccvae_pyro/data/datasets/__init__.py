"""Data sets: avatars, CelebA, MNIST, folders of images."""
