#!/bin/sh
# Make an environment with the packages that read our annotations as their users do: crowsetta
# (Raven, Audacity) and praatio (TextGrids). Give the folder to make it in.
#
#     tests/parity/make_crowsetta_environment.sh /tmp/crowsetta
set -eu

exec "$(dirname "$0")/make_environment.sh" "${1:?give the folder to make the environment in}" \
    "crowsetta==5.1.2" "praatio==6.2.0" "setuptools<81"
