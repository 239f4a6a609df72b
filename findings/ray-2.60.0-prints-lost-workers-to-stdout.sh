#!/bin/sh
# ray 2.60.0 prints to the standard output of a program whose worker died, logs switched off or not.
#
# Behaviour: after `ray.init(log_to_driver=False, logging_level="ERROR")` an actor that ends its own
# process makes the driver print a paragraph, "(raylet) A worker died or was killed while executing a
# task by an unexpected system error …", with colour codes, to sys.stdout; sys.stderr stays empty. The
# driver has caught the ActorDiedError that tells of it.
#
# Why it surprises: `log_to_driver=False` is documented to keep the output of workers away, and a message
# of a library belongs to the standard error or a logger. A program that prints JSON or CSV on its standard
# output prints no JSON any more as soon as one worker of thousands was preempted, though it handled
# that. Where workers live long one sees it first in production.
#
# Needs Python 3.11 or newer and the package index; uses uv where it is installed. Exits 0 while
# the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$python" ray==2.60.0
else
    "$python" -m pip install --quiet --disable-pip-version-check ray==2.60.0
fi
cd "$folder"
cat > driver.py <<'PY'
import json
import os
import time

import ray

ray.init(
    num_cpus=1,
    include_dashboard=False,
    object_store_memory=80 << 20,
    log_to_driver=False,
    logging_level="ERROR",
)


@ray.remote(max_restarts=0)
class Worker:
    def end(self):
        os._exit(1)


try:
    ray.get(Worker.remote().end.remote())
except ray.exceptions.ActorDiedError:
    lost = 1
time.sleep(5)  # what is printed comes from a thread
ray.shutdown()
print(json.dumps({"lost": lost}))
PY
env -u RAY_ADDRESS RAY_USAGE_STATS_ENABLED=0 RAY_ENABLE_UV_RUN_RUNTIME_ENV=0 \
    "$python" driver.py >out.txt 2>err.txt
"$python" - <<'PY'
from importlib.metadata import version
from pathlib import Path

out, err = Path("out.txt").read_text(), Path("err.txt").read_text()
print("ray", version("ray"))
print(f"standard output, {len(out)} characters: {out[:100]!r} … {out[-16:]!r}")
print(f"standard error, {len(err)} characters")
assert "worker died" in out, "the message has gone, or goes elsewhere"
assert "worker died" not in err
PY
