"""The file of the native kernel: what is there may be broken, and building may be stopped or done twice."""

import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
import torch

from simam_edu import SimAM, cli
from simam_edu.kernels import native, select

X = torch.arange(24.0).reshape(1, 2, 3, 4)
CONTENTS = {  # what is left of a whole file
    "cut": lambda whole: whole[: len(whole) // 2],
    "one bit": lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
    "no library": lambda _: b"no library",  # as the kernel of another C++ runtime: the loader refuses it
}
BROKEN = [*CONTENTS, "a folder", "no checksum"]
MEMORIES = (native.failure, native.operator, select._warn_once)


def spoil(file, state):
    """Bring a kept kernel into a state."""
    checksum = native._checksum_file(file)
    if state in CONTENTS:
        file.write_bytes(CONTENTS[state](file.read_bytes()))
    if state == "no library":
        checksum.write_bytes(native._checksum(file))
    if state == "a folder":
        file.unlink()
        file.mkdir()
    if state == "no checksum":
        checksum.unlink()


@pytest.fixture
def kept(native_kernel, monkeypatch, tmp_path):
    """A cache with a whole kernel, in a process that has loaded none."""
    file = tmp_path / "kernels" / "simam.so"
    file.parent.mkdir()
    shutil.copy(native_kernel, file)
    native._checksum_file(file).write_bytes(native._checksum(file))
    monkeypatch.setattr(native, "library", lambda: file)
    monkeypatch.setattr(native, "_is_loaded", lambda: False)
    for memory in MEMORIES:
        memory.cache_clear()
    yield file
    for memory in MEMORIES:
        memory.cache_clear()


@pytest.fixture
def compiler(native_kernel, monkeypatch, tmp_path):
    """A compiler that takes no time: it copies the real kernel, and counts its calls."""
    script, calls = tmp_path / "compiler", tmp_path / "calls"
    copy = f'while [ "$1" != -o ]; do shift; done\ncp "{native_kernel}" "$2"\n'
    script.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\n{copy}')
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    return calls


@pytest.mark.parametrize("state", BROKEN)
def test_a_broken_file_is_reported_once_and_another_backend_runs(kept, monkeypatch, state):
    spoil(kept, state)
    if state != "no library":
        monkeypatch.setattr(torch.ops, "load_library", lambda _: pytest.fail("a broken file was mapped"))
    with pytest.warns(RuntimeWarning, match=rf"{kept} does not load: .*simam-edu kernels") as reported:
        first = SimAM()(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SimAM()(2 * X)
    assert len(reported) == 1
    torch.testing.assert_close(first, SimAM(backend="reference")(X))
    with pytest.raises(ValueError, match=rf"backend 'native' .*{kept} does not load: .*simam-edu kernels"):
        SimAM(backend="native")(X)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("state", BROKEN)
def test_the_kernels_command_builds_a_broken_file_anew(kept, monkeypatch, capsys, state):
    whole = kept.read_bytes()
    spoil(kept, state)
    monkeypatch.setattr(native, "CHECK", "")  # the next test has the real one
    assert cli.main(["kernels"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"The native kernel of SimAM is ready: {kept}\n(built anew, since ")
    assert kept.read_bytes() == whole
    assert native._checksum_file(kept).read_bytes() == native._checksum(kept)
    assert {file.name for file in kept.parent.iterdir()} == {"simam.so", "simam.so.sha256"}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            'while [ "$1" != -o ]; do shift; done; echo "no library" > "$2"',
            r"(?s)must load and run here, but ends with status 1: .*OSError",
        ),
        (
            "echo 'no space left' >&2; exit 1",
            r"must take kernel\.cpp, a C\+\+20 source, but says: no space left",
        ),
        (None, r"a C\+\+ compiler is needed .* install one, or go on without"),
    ],
)
def test_a_build_that_fails_says_why_and_leaves_nothing(kept, compiler, monkeypatch, script, message):
    kept.unlink()
    native._checksum_file(kept).unlink()
    if script is None:
        monkeypatch.setenv("CXX", "")
        monkeypatch.setenv("PATH", str(kept.parent))
    else:
        compiler.with_name("compiler").write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(OSError, match=message):
        native.build()
    assert list(kept.parent.iterdir()) == []


@pytest.mark.parametrize("state", ["no home", "no folder"])
def test_without_a_cache_that_can_be_written_a_build_says_what_to_do_and_simam_runs(
    monkeypatch, tmp_path, state
):
    monkeypatch.chdir(tmp_path)
    cache = Path("~/.cache") if state == "no home" else tmp_path / "a file"
    if state == "no folder":
        cache.touch()
    # As os.path.expanduser does for a user id without a name, where HOME is not set.
    monkeypatch.setattr(native.platformdirs, "user_cache_path", lambda name: cache / name)
    monkeypatch.setattr(native, "_is_loaded", lambda: False)
    for memory in MEMORIES:
        memory.cache_clear()
    before = set(tmp_path.iterdir())
    with pytest.raises(OSError, match=rf"needs a cache folder .*got: .*{cache}.*; set XDG_CACHE_HOME to"):
        native.build()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert native.operator() is None
        torch.testing.assert_close(SimAM()(X), SimAM(backend="reference")(X))
    assert set(tmp_path.iterdir()) == before
    for memory in MEMORIES:
        memory.cache_clear()


@pytest.mark.usefixtures("native_kernel")
def test_the_kernels_command_loads_what_is_there_and_builds_nothing(compiler, capsys):
    assert cli.main(["kernels"]) == 0
    assert "it was there, and it loads" in capsys.readouterr().out
    assert not compiler.exists()


def test_of_two_that_build_at_once_one_compiles(kept, compiler, monkeypatch):
    kept.unlink()
    monkeypatch.setattr(native, "_is_loaded", lambda: True)  # a second one would be a second operator
    made = []
    threads = [threading.Thread(target=lambda: made.append(native.build())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [kept, kept]
    assert len(compiler.read_text().splitlines()) == 2  # the source, and the library


def test_a_build_that_is_killed_leaves_nothing_in_the_way(native_kernel, monkeypatch, tmp_path, compiler):
    """It is killed in the compiler: the lock goes with the process, and no file has the kernel's name."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    script = compiler.with_name("compiler")
    text = script.read_text()
    script.write_text("#!/bin/sh\nkill -9 $PPID\n")
    command = [sys.executable, "-m", "simam_edu.cli", "kernels"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -9
    target = native.library()
    assert target.is_relative_to(tmp_path)
    assert not target.exists()
    script.write_text(text)
    assert native.build() == target
    assert native._checksum(target) == native._checksum(native_kernel)


IMPORTED_THRICE = """
import subprocess, sys, torch
def refuse(*a, **k): raise AssertionError('a compiler was called')
subprocess.run = subprocess.Popen = refuse
x = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
copies = []
for _ in range(3):
    from simam_edu import SimAM, kernels
    assert kernels.backend_for(x) == "native"
    copies.append(SimAM)
    del SimAM, kernels
    for name in [name for name in sys.modules if name.startswith("simam_edu")]:
        del sys.modules[name]
for SimAM in copies:
    assert torch.autograd.gradgradcheck(SimAM(), (x,))
    torch.testing.assert_close(SimAM()(x), SimAM(backend="reference")(x))
assert copies[0] is not copies[1]
"""


@pytest.mark.usefixtures("native_kernel")
def test_imported_three_times_in_one_process_all_copies_work_and_nothing_is_compiled():
    run = subprocess.run([sys.executable, "-c", IMPORTED_THRICE], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
