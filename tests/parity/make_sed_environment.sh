#!/bin/sh
# Make an environment with the packages `sed_eval` and `sed_scores_eval`. Give the folder to
# make it in.
#
#     tests/parity/make_sed_environment.sh /tmp/sed
set -eu

here=$(dirname "$0")
folder=${1:?give the folder to make the environment in}
# What both import. `sed_scores_eval` writes into what pandas 3 makes read-only; `dcase_util` declares an ancient `pathlib` besides, which hides Python's own.
"$here/make_environment.sh" "$folder" "sed_scores_eval==0.0.4" "numpy>=2,<3" scipy "pandas<3" \
    future librosa matplotlib python-magic pyyaml requests six soundfile tqdm validators
[ -e "$folder/whole" ] && exit 0
uv=${UV:-$(command -v uv || true)}
if [ -n "$uv" ]; then
    "$uv" pip install --python "$folder/bin/python" --no-deps "sed_eval==0.2.1" "dcase_util==0.2.20"
else
    "$folder/bin/python" -m pip install --no-deps "sed_eval==0.2.1" "dcase_util==0.2.20"
fi
touch "$folder/whole"
