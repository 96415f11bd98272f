"""Portable arithmetic: what is set, what is refused, and that the routed products are right."""

import json
import os
import subprocess
import sys

import pytest

from kindred.arithmetic import (
    NEEDED,
    PORTABLE,
    refuse_unfit_processor,
    set_from_command_line,
    settings,
    settle,
)
from kindred.errors import KindredError

# Each in a process of its own: how a library computes is settled once for a process.
COMPUTE = """
import os, sys
from kindred import arithmetic
os.environ |= arithmetic.settings({arithmetic!r})
import torch
arithmetic.settle({arithmetic!r})
"""


def in_process(code, arithmetic="portable", **environment):
    inherited = {name: value for name, value in os.environ.items() if name not in PORTABLE}
    return subprocess.run(
        [sys.executable, "-c", COMPUTE.format(arithmetic=arithmetic) + code],
        env=inherited | environment,
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.fixture
def params(tmp_path):
    path = tmp_path / "params.json"
    path.write_text(json.dumps({"arithmetic": "portable"}))
    return path


def test_a_step_takes_its_arithmetic_from_the_params_of_its_command(params):
    environment = {"NUMBA_CPU_NAME": "generic"}
    set_from_command_line(["-m", "--out", "cache/tokens", "--params", str(params)], environment)
    assert environment == PORTABLE


@pytest.mark.parametrize("text", ['{"arithmetic": "fast"}', "{}", "[]", "{", None])
def test_nothing_is_set_for_fast_arithmetic_or_for_params_that_cannot_be_read(params, text):
    if text is None:
        params.unlink()
    else:
        params.write_text(text)
    environment = {}
    set_from_command_line(["-m", "--params", str(params)], environment)
    assert environment == {}


def test_a_command_without_params_sets_nothing():
    environment = {}
    for arguments in (["-m"], ["-m", "--params"], ["--help"]):
        set_from_command_line(arguments, environment)
    assert environment == {}


def test_fast_arithmetic_sets_nothing():
    assert settings("fast") == {}


def test_a_processor_without_the_instructions_is_refused_by_name():
    with pytest.raises(
        KindredError, match="AVX2 and FMA; Old One has no avx2 and no fma: set arithmetic to fast"
    ):
        refuse_unfit_processor("portable", ["sse2"], "Old One")
    refuse_unfit_processor("portable", [*NEEDED, "sse2"], "New One")
    refuse_unfit_processor("fast", ["sse2"], "Old One")


def test_a_library_that_was_loaded_with_other_settings_is_noticed(monkeypatch):
    for name, value in PORTABLE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MKL_CBWR", "AVX512")
    with pytest.raises(KindredError, match="needs MKL_CBWR='COMPATIBLE' in the environment"):
        settle("portable")


def test_every_library_computes_as_it_is_told():
    done = in_process("""
import numba, numpy, threadpoolctl
from numpy._core._multiarray_umath import __cpu_features__ as features
numpy.ones((8, 8)) @ numpy.ones((8, 8))
print(torch.backends.cpu.get_cpu_capability())
print([name for name in ("X86_V3", "X86_V4") if features[name]])
print({pool["architecture"] for pool in threadpoolctl.threadpool_info() if pool["internal_api"] == "openblas"})
print(numba.core.registry.cpu_target.target_context.codegen().magic_tuple()[1])
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["AVX2", "[]", "{'Haswell'}", "haswell"]
    assert done.stderr == ""


def test_routed_products_are_the_products():
    """Of all shapes and strides, also of empty and mismatched ones, and of types that are not routed."""
    done = in_process("""
torch.manual_seed(0)
def close(found, expected):
    assert found.shape == expected.shape and torch.allclose(found.double(), expected, rtol=1e-4, atol=1e-4)
for rows, inner, columns in ((3, 5, 7), (1, 256, 9), (100, 64, 300), (1, 1, 1), (0, 4, 5), (4, 0, 5), (4, 5, 0)):
    a, b, bias = torch.randn(rows, inner), torch.randn(inner, columns), torch.randn(columns)
    expected = torch.einsum("ik,kj->ij", a.double(), b.double())
    for left in (a, a.t().contiguous().t()):
        for right in (b, b.t().contiguous().t()):
            close(left @ right, expected)
            close(torch.addmm(bias, left, right), expected + bias)
            close(torch.addmm(bias, left, right, beta=2, alpha=0.5), 0.5 * expected + 2 * bias)
            for out in (torch.empty(0), torch.empty(columns, rows).t()):
                torch.mm(left, right, out=out)
                close(out, expected)
    close(torch.nn.functional.linear(a, b.t(), bias), expected + bias)
wide = torch.randn(10, 40)[:, ::2]
close(wide @ torch.randn(40, 60)[::2, ::3].fill_(1), wide.double().sum(1, keepdim=True).expand(10, 20))
close(torch.randn(10, 1).fill_(2).expand(10, 20) @ torch.ones(20, 3), torch.full((10, 3), 40.0).double())
for dtype in (torch.float64, torch.bfloat16, torch.int64):
    assert (torch.full((2, 3), 2, dtype=dtype) @ torch.full((3, 4), 2, dtype=dtype)).tolist() == [[12.0] * 4] * 2
x = torch.randn(4, 6, 8, requires_grad=True)
layer = torch.nn.Linear(8, 3)
layer(x).sum().backward()
close(x.grad, layer.weight.sum(0).double().expand(4, 6, 8))
try:
    torch.ones(2, 3) @ torch.ones(4, 5)
except RuntimeError as error:
    print(error)
""")
    assert done.returncode == 0, done.stderr
    assert "Expected size" in done.stdout
    assert done.stderr == ""


def test_float32_products_come_from_onednn():
    """In portable arithmetic MKL's own code would give other bits, and take three times as long."""
    done = in_process("""
a, b = torch.randn(300, 256), torch.randn(256, 512)
direct = torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
assert torch.equal(a @ b, direct)
assert not torch.equal(torch.bmm(a[None], b[None])[0], direct)
""")
    assert done.returncode == 0, done.stderr


def test_fast_arithmetic_routes_nothing():
    done = in_process(
        """
a, b = torch.randn(300, 256), torch.randn(256, 512)
assert torch.equal(a @ b, torch.bmm(a[None], b[None])[0])
""",
        arithmetic="fast",
    )
    assert done.returncode == 0, done.stderr
