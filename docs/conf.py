"""Sphinx configuration."""

import ccvae_pyro

project = "ccvae_pyro"
author = "The ccvae_pyro developers"
copyright = f"2026, {author}"
version = release = ccvae_pyro.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
extensions += ["sphinx-mathjax-offline"]  # formulas without a request to any other host
myst_enable_extensions = ["amsmath", "dollarmath", "deflist"]
exclude_patterns = ["results", "_build"]
html_theme = "furo"
html_title = "ccvae_pyro"
html_static_path = ["static"]
html_css_files = ["wide.css"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
