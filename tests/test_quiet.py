"""What the package tells others of its use: nothing."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.facilities import needs

_ASK = """
import {first}
import earful
import earful.model.runtime.hub
from huggingface_hub import constants
print(constants.HF_HUB_DISABLE_TELEMETRY)
"""


def in_a_child(
    code: str, *, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> list[str]:
    """Run code in an interpreter of its own, without what the tests set; return its lines."""
    ours = (
        *("HF_HUB_DISABLE_TELEMETRY", "ORT_DISABLE_TELEMETRY", "DO_NOT_TRACK"),
        *("DISABLE_TELEMETRY", "CI", "XDG_CACHE_HOME"),  # with CI set, ONNX Runtime is quiet
    )
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    child = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | dict(environment or {}),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode >= 0, f"ended by signal {-child.returncode}"
    assert child.returncode == 0, child.stderr
    return child.stdout.splitlines()


def test_the_hubs_client_reports_nothing() -> None:
    assert in_a_child(_ASK.format(first="sys")) == ["True"]


@needs("fork")
def test_onnx_runtime_reports_nothing_and_a_forked_child_ends(tmp_path: Path) -> None:
    code = """
import os, signal, sys
import earful
earful.load_embedder("earful-small")
assert "onnxruntime" in sys.modules
child = os.fork()
if not child:
    signal.alarm(60)
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert in_a_child(code, environment={"HOME": str(tmp_path)}) == ["0"]
    # It would keep what it could not send, and by which it knows this machine again.
    assert not list(tmp_path.rglob("*onnxruntime*"))


@pytest.mark.parametrize(
    "name", ["HF_HUB_DISABLE_TELEMETRY", "ORT_DISABLE_TELEMETRY", "DO_NOT_TRACK"]
)
def test_who_has_decided_about_telemetry_is_left_alone(name: str) -> None:
    (found,) = in_a_child(
        f"import os, earful; print(os.environ['{name}'])", environment={name: "0"}
    )
    assert found == "0"


_UNCONNECTED = """
import ctypes, struct

def forbid_connections():
    '''Have the kernel end this process, or one that it starts, at its first connect().'''
    load, jump_if_equal, give = 0x20, 0x15, 0x06
    connect_call = 42  # of x86-64
    program = b"".join(
        struct.pack("HBBI", *step)
        for step in (
            (load, 0, 0, 0),
            (jump_if_equal, 0, 1, connect_call),
            (give, 0, 0, 0x80000000),  # end the process
            (give, 0, 0, 0x7FFF0000),  # allow
        )
    )
    filter = ctypes.create_string_buffer(program)
    table = struct.pack("HP", len(program) // 8, ctypes.addressof(filter))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, table, 0, 0) == 0

forbid_connections()
"""

_ANSWER = """
import sys, numpy as np, soundfile
from earful import FewShot, build_index
rng = np.random.default_rng(0)
from pathlib import Path
for label in ("a", "b"):
    Path("corpus", label).mkdir(parents=True)
    for n in range(5):
        soundfile.write(f"corpus/{label}/{n}.wav", rng.normal(size=9000) * 0.1, 22050)
build_index("corpus", "s.index")
few = FewShot.open("s.index", model="earful-small", device="cpu")
print(len(few.classify("corpus/a/0.wav").scores))
print(len(few.search(text="rain", k=3)))
"""


needs_seccomp = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="the filter of system calls is written for Linux on x86-64",
)


@needs_seccomp
@pytest.mark.slow
def test_building_and_asking_connect_to_nothing(tmp_path: Path) -> None:
    # Native code too: LanceDB and torch are watched by the kernel, not by Python.
    out = in_a_child(_UNCONNECTED + _ANSWER, folder=tmp_path)
    assert out == ["2", "3"]


@needs_seccomp
def test_a_connection_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="ended by signal 31"):
        in_a_child(_UNCONNECTED + "import socket; socket.create_connection(('127.0.0.1', 9))")
