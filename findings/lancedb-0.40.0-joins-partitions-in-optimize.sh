#!/bin/sh
# LanceDB 0.40.0: optimize() makes four partitions of a vector index's hundred, and searches miss more.
#
# Behaviour: an IVF index (RaBitQ, PQ, SQ and flat alike) is made with num_partitions=100 over 50,000 rows.
# `table.optimize()`, with every row indexed already and none deleted, joins the partitions down to a
# handful, since each is small beside a size that cannot be set: `target_partition_size` at creation
# does not change it. The same search, with nprobes=1 and the same refine_factor, found 99 percent
# of the ten nearest before and well below 95 percent afterwards, and reads 25 times as many rows.
# Compaction of files alone (pylance's `optimize.compact_files`) leaves the partitions as they are.
#
# Why it surprises: optimize() is what the documentation says to run regularly, so that new rows join the
# index and small files go. num_partitions was chosen explicitly, and nprobes was measured against it.
# Nothing is returned or logged that tells of the change; recall falls silently on a table that nobody has
# written to.
#
# Needs Python 3.11 or newer and the package index; uses uv where it is installed. Exits 0 while
# the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
set -- lancedb==0.40.0 pylance==14.0.2 numpy==2.4.6 pyarrow==25.0.0
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$python" "$@"
else
    "$python" -m pip install --quiet --disable-pip-version-check "$@"
fi
cd "$folder"
cat > recall.py <<'PY'
import lance
import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import IvfRq

DIM, ROWS, PARTITIONS, K = 64, 50_000, 100, 10
rng = np.random.default_rng(0)
centres = rng.standard_normal((500, DIM))


def unit_vectors(n):
    vectors = centres[rng.integers(0, 500, n)] + 0.35 * rng.standard_normal((n, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("float32")


rows, queries = unit_vectors(ROWS), unit_vectors(100)
nearest = np.argsort(-(queries @ rows.T), axis=1)[:, :K]
column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), DIM)
database = lancedb.connect("rows")
table = database.create_table("rows", pa.table({"n": np.arange(ROWS), "vector": column}))
index = IvfRq(distance_type="dot", num_partitions=PARTITIONS, target_partition_size=500)
table.create_index("vector", config=index)


def look(when):
    table = database.open_table("rows")
    found = 0
    for query, wanted in zip(queries, nearest):
        search = table.search(query, "vector").distance_type("dot").nprobes(1).refine_factor(10)
        hits = search.select(["n", "_distance"]).limit(K).to_arrow()
        found += len(set(hits["n"].to_pylist()) & set(wanted.tolist()))
    told = lance.dataset("rows/rows.lance").stats.index_stats("vector_idx")["indices"][0]
    recall, partitions = found / nearest.size, len(told["partitions"])
    unindexed = table.index_stats("vector_idx").num_unindexed_rows
    print(f"{when}: {partitions} partitions, {unindexed} rows unindexed, recall@{K} {recall:.3f}")
    return recall, partitions, unindexed


before = look("before")
table.optimize()
after = look("after")
as_described = (
    before[0] >= 0.97 and before[1:] == (PARTITIONS, 0) and after[1] < 20 and after[0] < 0.95
)
raise SystemExit(0 if as_described else "LanceDB keeps the partitions now, or finds as much")
PY
"$python" recall.py
