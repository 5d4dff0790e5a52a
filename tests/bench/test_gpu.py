"""`make gpu` on a CPU, and that it finds the tests that need a GPU."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from bench.gpu import test_files as files_with_tests_of_a_gpu

SCRIPT = Path(__file__).parent / "gpu.py"


def test_a_small_run_on_a_cpu_measures_everything(tmp_path):
    out = tmp_path / "gpu.json"
    paths = os.pathsep.join(map(str, [SCRIPT.parents[2], SCRIPT.parents[1]]))
    finished = subprocess.run(
        [sys.executable, SCRIPT, "--small", "--out", out],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    report = json.loads(out.read_text())
    assert report["published"] == {"skipped": "no checkout was given: --published DIR"}
    assert {"ms", "kernels", "ratio"} <= report["steps"]["rows"][0].keys()
    assert len(report["steps"]["rows"]) == 8
    assert len(report["epochs"]["rows"]) == 5
    assert 0 <= report["avatars"]["metrics"]["accuracy"] <= 1
    assert "| float32 | 4 | ExactCCVAE_ELBO | eager |" in finished.stdout


def test_tests_that_need_a_gpu_say_so_in_their_names():
    files = files_with_tests_of_a_gpu()
    assert {"test_step.py", "test_prefetch.py", "test_waiting.py"} <= {f.name for f in files}
    mark = r"^@(?:needs_gpu|pytest.mark.skipif\(not torch.cuda)"
    for file in files:
        names = re.findall(rf"{mark}.*?^def (test_\w+)", file.read_text(), re.S | re.M)
        assert names
        assert all("gpu" in name or "cuda" in name for name in names), names
