"""Arenas of glibc, counted by glibc itself."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading

from earful.serve.work import share_arenas

if sys.argv[1] == "shared":
    share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(6)

def take():
    together.wait()
    libc.malloc(1000)
    together.wait()

threads = [threading.Thread(target=take) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
@pytest.mark.parametrize("is_shared", [True, False])
def test_threads_share_two_arenas(is_shared: bool) -> None:
    words = [sys.executable, "-c", PROGRAM, "shared" if is_shared else "as it is"]
    told = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    n_arenas = told.count("<heap nr=")
    assert n_arenas <= 2 if is_shared else n_arenas > 2
