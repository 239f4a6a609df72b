#!/bin/sh
# Make an environment with the package `laion-clap`, which cannot share ours: it pins
# NumPy below 2. Give the folder to make it in.
#
#     tests/parity/make_laion_clap_environment.sh /tmp/laion-clap
set -eu

# torchvision and pillow are imported by the package but not declared.
exec "$(dirname "$0")/make_environment.sh" "${1:?give the folder to make the environment in}" \
    "laion-clap==1.1.7" "numpy<2" "torch==2.11.0" "torchaudio==2.11.0" \
    "torchvision==0.26.*" "transformers>=4.50,<5" pillow setuptools
