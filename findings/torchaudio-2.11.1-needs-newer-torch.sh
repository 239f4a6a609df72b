#!/bin/sh
# torchaudio 2.11.1 (on PyPI since autumn 2026) beside torch 2.11.0.
#
# Behaviour: torchaudio 2.11.1 declares `torch>=2.11` and is one wheel for all Pythons, built on
# torch's stable ABI. Installed beside torch 2.11.0, which its own metadata admits, `import
# torchaudio` raises OSError: its library needs the symbol
# `torch_exception_get_what_without_backtrace`, which torch 2.11.0 does not have (torch 2.13.0
# has it). torchaudio 2.11.0 imports beside the same torch.
#
# Why it surprises: a patch release is taken for compatible with its own minor version of torch
# (the two have moved in step for years), the resolver is content, a stable ABI is meant to
# prevent just this, and the same requirement file worked before the release. `torch==2.11.*`
# with `torchaudio==2.11.*` no longer gives an environment that works.
#
# Needs Python 3.10 to 3.13 on Linux x86-64, the package index, and some gigabytes on the disk;
# uses uv where it is installed. Exits 0 while the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
install() {
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python "$python" "$@"
    else
        "$python" -m pip install --quiet --disable-pip-version-check "$@"
    fi
}
try() { "$python" -c 'import torch, torchaudio; print("imported", torchaudio.__version__)' 2>&1 | tail -n 1; }

install torch==2.11.0 torchaudio==2.11.1 numpy
"$python" - <<'PY'
from importlib.metadata import requires

print("torchaudio 2.11.1 declares:", ", ".join(requires("torchaudio") or ["nothing"]))
PY
found=$(try)
echo "torchaudio 2.11.1 beside torch 2.11.0: $found"

install torchaudio==2.11.0
before=$(try)
echo "torchaudio 2.11.0 beside torch 2.11.0: $before"

case $found in
    *torchaudio*libtorchaudio*) ;;
    *) echo "changed: expected an OSError about libtorchaudio" >&2; exit 1 ;;
esac
case $before in
    "imported 2.11.0"*) ;;
    *) echo "changed: expected torchaudio 2.11.0 to be imported" >&2; exit 1 ;;
esac
"$python" -c 'import torch' # torch itself is whole
echo "as described"
