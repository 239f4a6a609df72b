#!/bin/sh
# Make an environment with lmms-eval and this package, which cannot share ours: lmms-eval declares
# some sixty packages, among them an older PyAV. So it is installed without them, and beside it what
# it imports for a task of recordings. Give the folder to make it in.
#
#     tests/parity/make_lmms_eval_environment.sh /tmp/lmms
set -eu

folder=${1:?give the folder to make the environment in}
here=$(dirname "$0")
[ -e "$folder/finished" ] && exit 0

"$here/make_environment.sh" "$folder" \
    -e "$here/../.." "torch==2.11.0" "transformers>=5.24,<6" "datasets>=4" \
    loguru evaluate sacrebleu pytablewriter jsonlines tenacity python-dotenv accelerate "filelock<3.21" zss \
    pillow tqdm-multiprocess sqlitedict more_itertools rouge-score word2number dill
rm "$folder/finished"

uv=${UV:-$(command -v uv || true)}
if [ -n "$uv" ]; then
    "$uv" pip install --python "$folder/bin/python" --no-deps "lmms-eval==0.7.3"
else
    "$folder/bin/python" -m pip install --no-deps "lmms-eval==0.7.3"
fi
touch "$folder/finished"
