#!/bin/sh
# Make an environment with the package `msclap`, which cannot share ours: it wants NumPy
# below 2. Give the folder to make it in; a finished one is left as it is.
#
#     tests/parity/make_msclap_environment.sh /tmp/msclap
set -eu

folder=${1:?give the folder to make the environment in}
[ -e "$folder/finished" ] && exit 0

set -- "msclap==1.3.4" "numpy<2" "torch==2.11.*" "torchaudio==2.11.*" "transformers>=4.34,<5" \
    setuptools

# `uv run` says where it is itself.
uv=${UV:-$(command -v uv || true)}
if [ -n "$uv" ]; then
    "$uv" venv --clear --python "${PYTHON:-3.11}" "$folder"
    "$uv" pip install --python "$folder/bin/python" "$@"
else
    "${PYTHON:-python3.11}" -m venv --clear "$folder"
    "$folder/bin/python" -m pip install "$@"
fi
touch "$folder/finished"
