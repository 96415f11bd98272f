"""Which arithmetic the numerical libraries use: the same on every x86-64 processor, or the processor's own.

Each library picks the widest instructions of the processor that it runs on, and different instructions round
differently. Portable arithmetic fixes the choice of all of them. docs/decisions/0009 says what was measured.
"""

import json
import os
import sys
import warnings
from collections.abc import MutableMapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kindred.errors import KindredError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.library import Library

Arithmetic = Literal["portable", "fast"]

PYTORCH_INSTRUCTIONS = "ATEN_CPU_CAPABILITY"
# AVX2 and FMA for all. NumPy stays at its baseline (SSE4.2): its wider loops gain nothing here but in sorting.
PORTABLE = {
    PYTORCH_INSTRUCTIONS: "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",  # with AVX2, MKL still computes differently on the processors of another maker
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+popcnt",
}
NEEDED = frozenset({"avx2", "fma"})


def settings(arithmetic: Arithmetic) -> dict[str, str]:
    """Return the environment variables of an arithmetic; none for ``fast``.

    They count from the moment at which a library is loaded, so they must be set before the first import of it.
    """
    return dict(PORTABLE) if arithmetic == "portable" else {}


def set_from_command_line(arguments: Sequence[str], environment: MutableMapping[str, str]) -> None:
    """Set the variables that the parameters of a step's command ask for, before it imports any library.

    What is wrong with the arguments or the file is left to the step, which says it better.

    Args:
        arguments: Of the command; the parameters are the file after ``--params``.
        environment: To set the variables in.
    """
    if "--params" not in arguments[:-1]:
        return
    try:
        params = json.loads(Path(arguments[arguments.index("--params") + 1]).read_bytes())
        environment.update(settings(params["arithmetic"]))
    except (OSError, ValueError, KeyError, TypeError):
        return


def refuse_unfit_processor(arithmetic: Arithmetic, flags: Sequence[str], name: str) -> None:
    """Raise KindredError if a processor cannot do the portable arithmetic.

    Args:
        arithmetic: What is asked for.
        flags: The instruction sets that the processor has, by the names of /proc/cpuinfo.
        name: Of the processor.
    """
    lacking = sorted(NEEDED - set(flags))
    if arithmetic == "portable" and lacking:
        raise KindredError(
            f"arithmetic: portable needs an x86-64 processor with AVX2 and FMA; {name} has no "
            f"{' and no '.join(lacking)}: set arithmetic to fast"
        )


def settle(arithmetic: Arithmetic) -> None:
    """Finish what the environment variables began: check them, and route the matrix products of PyTorch.

    Call it once all libraries are imported.

    Raises:
        KindredError: a library was loaded with other settings.
    """
    for name, value in settings(arithmetic).items():
        if os.environ.get(name) != value:
            raise KindredError(
                f"arithmetic: {arithmetic} needs {name}={value!r} in the environment before Python starts, "
                f"here it is {os.environ.get(name)!r}: start the step by `python -m kindred.steps.NAME --params ...`"
            )
    if arithmetic == "portable" and "torch" in sys.modules:
        capability = sys.modules["torch"].backends.cpu.get_cpu_capability()
        if capability != "AVX2":
            raise KindredError(
                f"arithmetic: portable needs AVX2, but PyTorch computes with {capability} here: set arithmetic to fast"
            )
        route_products()


@cache
def route_products() -> "Library":
    """Let oneDNN compute the float32 matrix products of PyTorch on the CPU, in this process, from now on.

    Linear layers, SAE encoders and similarities all call ``aten::mm`` or ``aten::addmm``. MKL's compatible code takes
    three times as long for them. oneDNN at AVX2 gives the same bits on every processor, at full speed. Other types and
    batched products stay with MKL.

    Returns:
        The registration. It holds as long as this object lives; the cache keeps it alive.
    """
    import torch  # noqa: PLC0415  (most of this module serves steps that do not need it)

    onednn = torch.ops.mkldnn._linear_pointwise.default

    def fits(a: "Tensor", b: "Tensor") -> bool:
        return (
            a.dtype == b.dtype == torch.float32
            and a.ndim == b.ndim == 2
            and a.shape[1] == b.shape[0]
            and a.numel() * b.numel() > 0
        )

    def product(a: "Tensor", b: "Tensor", bias: "Tensor | None") -> "Tensor":
        rows = a if a.stride(1) == 1 else a.contiguous()
        found: Tensor = onednn(rows, b.t(), bias, "none", [], "")
        return found

    def mm(a: "Tensor", b: "Tensor") -> "Tensor":
        return product(a, b, None) if fits(a, b) else torch.bmm(a[None], b[None])[0]

    def mm_out(a: "Tensor", b: "Tensor", *, out: "Tensor") -> "Tensor":
        result = mm(a, b)
        return out.resize_(result.shape).copy_(result)

    def addmm(bias: "Tensor", a: "Tensor", b: "Tensor", *, beta: float = 1, alpha: float = 1) -> "Tensor":
        if fits(a, b) and bias.dtype == torch.float32 and bias.shape == (b.shape[1],) and beta == alpha == 1:
            return product(a, b, bias.contiguous())
        addend = bias.expand(len(a), b.shape[1])
        return torch.baddbmm(addend[None], a[None], b[None], beta=beta, alpha=alpha)[0]

    registration = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that kernels are replaced, which is the purpose
        registration.impl("mm", mm, "CPU")
        registration.impl("mm.out", mm_out, "CPU")
        registration.impl("addmm", addmm, "CPU")
    return registration
