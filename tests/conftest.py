"""What several tests need."""

import importlib.util
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import jaxtyping
import pytest


@pytest.fixture(scope="session")
def benchmark_script():
    """Load a script of the folder benchmarks, by its name."""

    def load(name):
        path = Path(__file__).resolve().parent.parent / "benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def unchecked(monkeypatch):
    """Switch the checker of shapes off, for a test that passes what a signature forbids."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(autouse=True)
def unchecked_where_refused(request):
    """Let each test with "refuse" in its name see the message of the package."""
    if "refuse" in request.node.name:
        request.getfixturevalue("unchecked")


@pytest.fixture(scope="session")
def native_kernel():
    """The file of the native kernel, built unless it is there, and loaded by this process."""
    from simam_edu.kernels import native

    if not any(shutil.which(name) for name in native.COMPILERS):
        pytest.skip("the native kernel needs a C++ compiler, and there is none here")
    file = native.build()
    assert native.is_built()
    return file


@pytest.fixture(scope="session")
def interpreter():
    """Another process, in which Triton interprets: it is decided for a process when Triton is imported."""
    pytest.importorskip("triton", reason="triton is not installed")
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            pool.submit(os.getpid).result()  # starts it
        yield pool


@pytest.fixture
def triton_on_cpu(interpreter, monkeypatch):
    """Let the Triton kernels take tensors on the CPU, and run them in the process that interprets."""
    from simam_cases import interpret
    from simam_edu.kernels import triton_kernels

    monkeypatch.setattr(triton_kernels, "interpreted", lambda: True)
    for which in ("forward", "backward"):
        monkeypatch.setattr(triton_kernels, which, partial(interpret, interpreter, which))


@pytest.fixture(params=["native", "torch", "reference", "triton"])
def backend(request):
    """Each backend, on the CPU."""
    needed = {"native": "native_kernel", "triton": "triton_on_cpu"}
    if request.param in needed:
        request.getfixturevalue(needed[request.param])
    return request.param


@pytest.fixture
def threads_put_back():
    """Let a test set the number of torch's threads."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny(monkeypatch):
    """Register the network "tiny", which trains in milliseconds."""
    from simam_edu.networks import NETWORKS
    from toys import Tiny

    monkeypatch.setitem(NETWORKS, "tiny", Tiny)


@pytest.fixture(scope="session")
def whole():
    """What the run of toys.CONFIG gives when nothing stops it."""
    import toys
    from simam_edu.networks import NETWORKS
    from simam_edu.training import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", toys.Tiny)
        return train(toys.CONFIG, toys.TRAIN, toys.TEST)
