"""The module is imported whenever a Snakefile is parsed, so it must not pull in the heavy libraries."""

import subprocess
import sys

HEAVY = ["torch", "transformers", "sae_lens", "numpy", "pandas", "scipy"]


def test_importing_and_checking_loads_nothing_heavy() -> None:
    code = f"""
import sys
from pathlib import Path
from kindred.params import Params, check_files, describe, load_params
from kindred.params.releases import find_release
assert find_release("gpt2-small-res-jb") is not None
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
