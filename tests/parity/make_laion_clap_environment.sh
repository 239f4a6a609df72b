#!/bin/sh
# Make an environment with the package `laion-clap`, which cannot share ours: it pins
# NumPy below 2. Give the folder to make it in; a finished one is left as it is.
#
#     tests/parity/make_laion_clap_environment.sh /tmp/laion-clap
set -eu

folder=${1:?give the folder to make the environment in}
[ -e "$folder/finished" ] && exit 0

# torchvision and pillow are imported by the package but not declared.
set -- "laion-clap==1.1.7" "numpy<2" "torch==2.11.*" "torchaudio==2.11.*" \
    "torchvision==0.26.*" "transformers>=4.50,<5" pillow setuptools

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
