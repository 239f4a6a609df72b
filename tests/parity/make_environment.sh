#!/bin/sh
# Make an environment of its own for a package that cannot share ours. Give the folder to
# make it in, and what to install; a finished one is left as it is.
set -eu

folder=${1:?give the folder to make the environment in}
shift
[ -e "$folder/finished" ] && exit 0

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
