"""The surroundings of a script, set before anything else is imported."""

from __future__ import annotations

import io
import os
import sys

# A notebook's backend draws in the notebook only, and a script that it starts inherits it.
os.environ["MPLBACKEND"] = "Agg"

# A console that cannot show a name shows its escaped form, instead of ending the run.
for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
