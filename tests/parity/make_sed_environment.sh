#!/bin/sh
# Make an environment with the packages `sed_eval` and `sed_scores_eval`. Give the folder to
# make it in.
#
#     tests/parity/make_sed_environment.sh /tmp/sed
set -eu

# sed_scores_eval writes into what pandas 3 makes read-only; dcase_util imports pkg_resources,
# which setuptools had until 81.
exec "$(dirname "$0")/make_environment.sh" "${1:?give the folder to make the environment in}" \
    "sed_eval==0.2.1" "sed_scores_eval==0.0.4" "dcase_util==0.2.20" "numpy>=2,<3" "pandas<3" \
    "setuptools<81"
