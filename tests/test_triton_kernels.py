"""The Triton kernels: how often their code touches memory, and what they support.

Their numbers are tested in test_kernels.py, in a process that interprets. This one compiles.
"""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simam_cases import DTYPES
from simam_edu.kernels import inspect, tiling, triton_kernels

HAS_TRITON = importlib.util.find_spec("triton") is not None
needs_triton = pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed")
needs_compiler = pytest.mark.skipif(
    not HAS_TRITON or os.environ.get("TRITON_INTERPRET") == "1", reason="needs triton, not interpreting"
)
SHORT_AND_LONG = {
    "short": ((4, 8, 14, 14), False),
    "at the limit": ((1, 4, 64, 64), False),
    "short, channels last": ((4, 32, 14, 14), True),
    "at the limit, channels last": ((2, 16, 32, 32), True),
    "long": ((1, 2, 91, 93), False),
    "long, channels last": ((1, 16, 56, 56), True),
}
READS = {"forward": (1, 3), "backward": (2, 5)}  # of map-sized tensors, on chip and beyond


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """Compile anew, and leave no trace among the kernels of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        yield


def meta_tensor(where, dtype):
    shape, last = SHORT_AND_LONG[where]
    x = torch.empty(shape, dtype=dtype, device="meta")
    return x.to(memory_format=torch.channels_last) if last else x


@needs_compiler
@pytest.mark.parametrize("which", READS)
@pytest.mark.parametrize(
    ("where", "dtype", "leave_one_out"),
    [(where, torch.float32, False) for where in SHORT_AND_LONG]
    + [(where, torch.float16, True) for where in ("at the limit", "at the limit, channels last", "long")]
    + [(where, torch.float64, False) for where in ("at the limit", "long, channels last")],
)
def test_the_code_touches_memory_as_often_as_promised(which, where, dtype, leave_one_out):
    code = inspect.generate(which, meta_tensor(where, dtype), leave_one_out=leave_one_out)
    cut, found, size = code.plan, inspect.accesses(code), 8 if dtype == torch.float64 else 4
    assert cut.looped == where.startswith("long")
    maps = [access for access in found if access.elements == cut.block_c * cut.block_m]
    tile = cut.block_c * cut.block_m * dtype.itemsize
    assert {access.size for access in maps} == {tile}
    reads, writes = (sum(access.kind == kind for access in maps) for kind in ("load", "store"))
    assert (reads, writes) == (READS[which][cut.looped], 1)
    # The rest is the mean and the scale of each channel.
    rest = [access for access in found if access not in maps]
    assert rest == [("store" if which == "forward" else "load", cut.block_c, cut.block_c * size)] * 2
    # In the assembly language: what one thread moves, times the threads, is the tile, so none is moved twice.
    kind, times = ("load", reads) if which == "forward" else ("store", 1)
    assert inspect.thread_bytes(code, kind) * 32 * cut.warps == times * tile
    assert ".local" not in code.ptx


@needs_compiler
@pytest.mark.parametrize(
    ("dtype", "capability"), [(torch.float16, 70), (torch.float16, 90), (torch.bfloat16, 80)]
)
def test_older_and_newer_cards_and_bfloat16_are_compiled_for(dtype, capability):
    code = inspect.generate("backward", meta_tensor("short", dtype), capability=capability)
    assert f".target sm_{capability}" in code.ptx
    maps = [access for access in inspect.accesses(code) if access.elements > code.plan.block_c]
    assert maps[0].size == code.plan.block_c * code.plan.block_m * 2


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 40), st.integers(1, 300), st.integers(2, 40000), st.booleans(), st.sampled_from(DTYPES))
def test_the_tiles_cover_the_tensor_and_fit(n, c, positions, last, dtype):
    x = torch.empty(n, positions, c, dtype=dtype, device="meta").movedim(-1, 1)
    x = x if last else x.contiguous()
    cut = tiling.plan(x)
    assert cut.images * cut.channels == n * c
    assert cut.programs * cut.block_c >= n * c
    assert (x.stride(1), x.stride(2)) == (1, c) if cut.last else x.is_contiguous()
    assert cut.looped or cut.block_m >= positions
    size = cut.block_c * cut.block_m * (8 if dtype == torch.float64 else 4)
    assert size <= tiling.TILE_BYTES
    assert {side.bit_count() for side in (cut.block_c, cut.block_m)} == {1}, "Triton wants powers of two"
    assert 1 <= cut.warps <= 32
    limit = 1024 if last and c >= 8 and not x.is_contiguous() else (4096 if dtype == torch.float64 else 8192)
    assert cut.looped == (positions > limit) or (last and c < 8), "the limit of the documentation"


@needs_triton
@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(2, 3),
        torch.zeros(2, 3, 4, 4, dtype=torch.int64),
        torch.zeros(2, 3, 1, 1),
        torch.zeros(2, 3, 0, 4),
        torch.empty(1, 1, 2**16, 2**15, device="meta"),
    ],
    ids=str,
)
def test_what_has_no_dtype_or_map_for_the_kernels_is_not_supported(x, monkeypatch):
    monkeypatch.setattr(triton_kernels, "interpreted", lambda: True)
    assert triton_kernels.supports(torch.zeros(2, 3, 4, 4))
    assert not triton_kernels.supports(x)


def test_without_triton_or_a_card_nothing_is_supported(monkeypatch):
    x = torch.zeros(2, 3, 4, 4)
    if os.environ.get("TRITON_INTERPRET") != "1":
        assert not triton_kernels.supports(x)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert not triton_kernels.supports(x)


LOADED = """
import sys
from simam_edu import SimAM
from simam_edu.kernels import inspect
assert "triton" not in sys.modules, "nothing of ours may load it before a kernel runs"
import torch
inspect.generate("forward", torch.empty(1, 1, 4, 4, device="meta"))
"""


@needs_triton
def test_triton_is_loaded_late_and_generates_no_code_while_it_interprets():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    run = subprocess.run(
        [sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=False
    )
    assert "RuntimeError: Triton must compile" in run.stderr
