#!/bin/sh
# Make an environment with the package `msclap`, which cannot share ours: it wants NumPy
# below 2. Give the folder to make it in.
#
#     tests/parity/make_msclap_environment.sh /tmp/msclap
set -eu

exec "$(dirname "$0")/make_environment.sh" "${1:?give the folder to make the environment in}" \
    "msclap==1.3.4" "numpy<2" "torch==2.11.0" "torchaudio==2.11.0" "transformers>=4.34,<5" \
    setuptools
