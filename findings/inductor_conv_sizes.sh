#!/usr/bin/env bash
# torch 2.13.0 on the CPU: torch.compile with Inductor compiles a Conv2d anew for every size of the map,
# though sizes are dynamic from the second on; the same graph under aot_eager is compiled twice in all.
# Expected before it ran: two compilations with either backend.
# Seen with torch 2.13.0: "aot_eager 2, inductor 4" for four sizes. Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy setuptools
"$folder/env/bin/python" - <<'PY'
import sys

import torch
from torch._dynamo.testing import CompileCounterWithBackend


def compilations(backend):
    torch.compiler.reset()
    counter = CompileCounterWithBackend(backend)
    conv = torch.compile(torch.nn.Conv2d(3, 8, 3, padding=1), backend=counter, fullgraph=True)
    for size in ((4, 3, 8, 8), (6, 3, 12, 10), (5, 3, 16, 14), (7, 3, 20, 18)):
        conv(torch.randn(size)).square().sum().backward()
    return counter.frame_count


found = {backend: compilations(backend) for backend in ("aot_eager", "inductor")}
print(f"torch {torch.__version__}:", ", ".join(f"{name} {count}" for name, count in found.items()))
sys.exit(found != {"aot_eager": 2, "inductor": 4})
PY
