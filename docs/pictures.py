"""Draws the figures of faces in these docs with the pretrained model.

    python docs/pictures.py DATA

DATA is the folder for the avatars, which are drawn on first use.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyro
import torch

import ccvae_pyro
from ccvae_pyro import plotting
from ccvae_pyro.data import load_avatars
from ccvae_pyro.io import facts

FOLDER = Path(__file__).parent / "pictures"
EDITED = ("Afro", "Bald", "Beard", "Blond_Hair", "Blue_Clothes", "Dark_Skin", "Long_Hair")
EDITED += ("Sunglasses", "Wearing_Blazer", "Wearing_Hat")
VARIED = ("Afro", "Beard", "Long_Hair", "Sunglasses", "Wearing_Hat")


def main(root: Path) -> None:
    """Draws all figures from test images."""
    pyro.set_rng_seed(0)
    ccvae = ccvae_pyro.load_pretrained("avatars")
    data = load_avatars(root).select(ccvae.label_names)
    x, y = data.batch(data.splits["test"][:100])
    has_hat = y[:, ccvae.label_names.index("Wearing_Hat")] == 1
    donors = torch.cat([x[has_hat][:5], x[~has_hat][5:7]])
    figures = {
        "edits": plotting.plot_edits(ccvae, x[:7], EDITED),
        "swaps": plotting.plot_swaps(ccvae, x[~has_hat][:5], donors, "Wearing_Hat"),
        "variations": plotting.plot_variations(ccvae, x[1], VARIED),
        "walk": plotting.plot_walk(ccvae, x[1], EDITED),
        "interpolations": plotting.plot_interpolations(ccvae, x[:4], x[4:8]),
        "samples": plotting.plot_samples(ccvae, y[:6]),
        "change": plotting.plot_change(ccvae.label_names, torch.tensor(facts()["change"]).numpy()),
    }
    FOLDER.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(FOLDER / f"{name}.webp", dpi=110, pil_kwargs={"quality": 80, "method": 6})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
