"""The counts of what torch.compile's code reads and writes, on code written by hand and on the record."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

RECORD = Path(__file__).resolve().parent.parent / "book" / "results" / "compiled_traffic.jsonl"
RECORDS = [json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()]
CODE = """
triton_red_a_0 = async_compile.triton('triton_red_a_0', '''
@triton.jit
def triton_red_a_0(in_out_ptr0, in_ptr0, xnumel, XBLOCK : tl.constexpr):
    for r0_offset in tl.range(0, r0_numel, R0_BLOCK):
        tmp0 = tl.load(in_ptr0 + (r0_1 + 3136*x0), r0_mask, other=0.0)
    for r0_offset in tl.range(0, r0_numel, R0_BLOCK):
        tmp1 = tl.load(in_ptr0 + (r0_1 + 3136*x0), r0_mask, other=0.0)
    tl.store(in_out_ptr0 + (x0), tmp1, None)
''', device_str='cuda')
triton_poi_b_1 = async_compile.triton('triton_poi_b_1', '''
@triton.jit
def triton_poi_b_1(in_ptr0, in_ptr1, out_ptr0, xnumel, XBLOCK : tl.constexpr):
    tmp0 = tl.load(in_ptr0 + (x0), None)
    tmp1 = tl.load(in_ptr1 + (x1), None)
    tl.store(out_ptr0 + (x0), tmp0 * tmp1, None)
''', device_str='cuda')
    def call(self, args):
        assert_size_stride(primals_1, (2, 3, 4, 5), (60, 20, 5, 1), 'input')
        buf0 = empty_strided_cuda((2, 3, 1, 1), (3, 1, 6, 6), torch.float32)
        buf1 = reinterpret_tensor(buf0, (2, 3, 1, 1), (3, 1, 1, 1), 0); del buf0  # reuse
        triton_red_a_0.run(buf1, primals_1, 6, stream=stream0)
        buf2 = empty_strided_cuda((2, 3, 4, 5), (60, 20, 5, 1), torch.float32)
        triton_poi_b_1.run(primals_1, buf1, buf2, 120, stream=stream0)
"""


def test_reads_and_writes_of_the_map_are_counted_and_those_of_its_statistics_are_not(benchmark_script):
    counts = benchmark_script("compiled_traffic").counts(CODE, 120)
    assert counts == {"kernels": 2, "reads": 3, "writes": 1}


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
@pytest.mark.skipif(torch.__version__ != RECORDS[0]["torch"], reason="the record is of another torch")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")  # torch's own
@pytest.mark.parametrize("wanted", [RECORDS[2], RECORDS[3]], ids=["contiguous", "channels last"])
def test_the_record_is_what_is_counted(benchmark_script, wanted):
    found = benchmark_script("compiled_traffic").record(tuple(wanted["shape"]), wanted["layout"])
    assert json.loads(json.dumps(found)).items() <= wanted.items()
