#!/usr/bin/env bash
# torch 2.13.0: where a DeprecationWarning is an error, torch.compile compiles no autograd.Function, with
# gradients or without. Dynamo makes a bare torch.autograd.Function() to trace one, and torch warns that this
# should not be done.
# Expected before it ran: it compiles with gradients, and stops without.
# Seen with torch 2.13.0: "with gradients InternalTorchDynamoError, without InternalTorchDynamoError, warnings
# let be compiled". Ends with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy setuptools
"$folder/env/bin/python" - <<'PY'
import sys
import warnings

import torch


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return grad_output * (s + x * s * (1 - s))


def outcome(mode, action):
    torch.compiler.reset()
    with mode(), warnings.catch_warnings():
        warnings.simplefilter(action, DeprecationWarning)
        try:
            torch.compile(lambda x: Swish.apply(x), backend="eager")(torch.ones(3, requires_grad=True))
            return "compiled"
        except Exception as error:
            expected = "should not be instantiated" in str(error)
            return type(error).__name__ + ("" if expected else ", for another reason")


found = {
    "with gradients": outcome(torch.enable_grad, "error"),
    "without": outcome(torch.no_grad, "error"),
    "warnings let be": outcome(torch.enable_grad, "ignore"),
}
print(f"torch {torch.__version__}:", ", ".join(f"{name} {how}" for name, how in found.items()))
sys.exit([*found.values()] != [*["InternalTorchDynamoError"] * 2, "compiled"])
PY
