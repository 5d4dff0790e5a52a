"""What ``import ccvae_pyro`` loads, and what it leaves for later."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ccvae_pyro"

# Each takes from a tenth of a second to a second to import. PyTorch and Pyro are not among them.
HEAVY = {
    "arviz",
    "joblib",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "pandas",
    "scipy",
    "sklearn",
    "torchmetrics",
    "torchvision",
    "xarray",
}


def printed(code):
    """What a new interpreter prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys, ccvae_pyro\nprint(json.dumps({code}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_importing_the_package_loads_pytorch_and_pyro_and_no_other_heavy_library():
    loaded = set(printed("list(sys.modules)"))
    assert {"torch", "pyro"} <= loaded
    assert loaded & HEAVY == set()


def test_plotting_is_loaded_where_it_is_used_and_completed_by_tab():
    listed, callable_, loaded = printed(
        "['plotting' in dir(ccvae_pyro), callable(ccvae_pyro.plotting.plot_edits),"
        " 'matplotlib' in sys.modules]"
    )
    assert listed
    assert callable_
    assert loaded


def test_each_package_is_an_attribute_of_the_package():
    packages = sorted(path.parent.name for path in PACKAGE.glob("[a-z]*/__init__.py"))
    assert printed(f"[hasattr(ccvae_pyro, each) for each in {packages}]") == [True] * len(packages)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    import ccvae_pyro

    with pytest.raises(AttributeError, match="module 'ccvae_pyro' has no attribute 'plots'"):
        ccvae_pyro.plots  # noqa: B018
    with pytest.raises(ImportError, match="plots"):
        from ccvae_pyro import plots  # noqa: F401
