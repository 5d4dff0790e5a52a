"""Sphinx configuration."""

import runpy
from pathlib import Path
from typing import Any

import ccvae_pyro

project = "ccvae_pyro"
author = "The ccvae_pyro developers"
copyright = f"2026, {author}"
version = release = ccvae_pyro.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
extensions += ["sphinx.ext.autosummary", "sphinx_copybutton", "sphinx_design"]
extensions += ["sphinx-mathjax-offline"]  # formulas without a request to any other host
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # every notebook, at every build
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars
copybutton_exclude = ".linenos, .gp, .go"
exclude_patterns = ["results", "explorer/*", "_build"]
nitpicky = True  # a reference to what is not there is a warning, if it is of this package
others = "argparse|arviz|collections|matplotlib|numpy|pathlib|pyro|torch|xarray"
nitpick_ignore_regex = [("py:.*", rf"({others})\..*")]
nitpick_ignore_regex += [("py:class", "nn.Module|Tensor|TorchDistribution|Normal|Label|Network")]
nitpick_ignore_regex += [("py:class", r".*\.Item")]  # a type that stands for any
html_theme = "furo"
html_title = "ccvae_pyro"
pygments_style, pygments_dark_style = "friendly", "native"  # in which a diff is red and green
html_static_path = ["static"]
html_css_files = ["wide.css"]
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"


def build_explorer(app: Any, error: Exception | None) -> None:
    """Puts the explorer, which is no page of Sphinx's, beside its page."""
    if error is None and app.builder.format == "html":
        page = runpy.run_path(str(Path(__file__).parent / "explorer" / "build.py"))
        faces = page["avatar_faces"](Path(app.doctreedir) / "data")
        page["build"](ccvae_pyro.load_pretrained("avatars"), Path(app.outdir) / "explorer", faces)


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("build-finished", build_explorer)
