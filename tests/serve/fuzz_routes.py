"""Fuzzing of every route by schemathesis, from our own OpenAPI, in this process.

Needs schemathesis, which the suite does not: ``test_fuzz.py`` runs this in an environment of its
own.

    EARFUL_PARITY=1 ./dev run pytest -n 0 -s tests/serve/test_fuzz.py

Most of what is sent names things that the server has: a request that misses all of them reaches
nothing but the refusals.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from earful.html import PAGE_MARK
from earful.serve import ServerState, create_app
from tests.support.page_servers import wav_bytes
from tests.support.serve_client import InProcess
from tests.support.served_page import make_night, open_night

PORT = 8737
ENDLESS = {"/api/changes"}
ODD = ("nan", "inf", "-inf", "-1", "0", "9" * 25, "a,b", "%00", "1e308", "", " ", "..", "*")
N_EXAMPLES = 40
Known = dict[str, list[Any]]


def main(n_examples: int = N_EXAMPLES) -> int:
    """Fuzz all routes, print what was asked and what is wrong, and return how much that is."""
    with tempfile.TemporaryDirectory(prefix="fuzzed-night-") as scratch:
        make_night(Path(scratch))
        state = open_night(Path(scratch), labels_per_s=1e9, max_waiting=10_000)
        object.__setattr__(state.settings, "port", PORT)
        try:
            return fuzz(create_app(state), state, Path(scratch), n_examples)
        finally:
            state.close()


def fuzz(app: FastAPI, state: ServerState, folder: Path, n_examples: int) -> int:
    """Send each operation so many requests; return the number of operations at fault."""
    import schemathesis
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi import checks as openapi

    own = {"authorization": f"Bearer {state.settings.token}", "host": f"127.0.0.1:{PORT}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=own)
    checks = [
        schemathesis.checks.not_a_server_error,
        openapi.status_code_conformance,
        openapi.content_type_conformance,
        openapi.response_headers_conformance,
        openapi.response_schema_conformance,
    ]
    known = what_is_there(InProcess(app, state))
    own_places = [str(folder), str(state.uploads.folder), str(Path(__file__).parents[2])]
    n_faults, seen = 0, Counter[str]()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in ENDLESS:
            continue
        name = f"{operation.method.upper()} {operation.path}"
        statuses = Counter[int]()

        ask = one_request(known, own, statuses, checks, own_places)
        positive, negative = (
            operation.as_strategy(generation_mode=mode) for mode in GenerationMode
        )
        test = settings(
            max_examples=n_examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )(given(case=positive | positive | negative, data=st.data())(ask))
        try:
            test()
        except BaseException as error:
            n_faults += 1
            print(f"FAULT {name}: {type(error).__name__}")
            for one in flat(error):
                print(f"    {one}")
        told = ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))
        print(f"{name:<44} {told}", flush=True)
        seen.update({str(status): n for status, n in statuses.items()})
    print(f"{sum(seen.values())} requests: {dict(sorted(seen.items()))}; {n_faults} at fault")
    return n_faults


def one_request(
    known: Known,
    headers: dict[str, str],
    statuses: Counter[int],
    checks: list[Any],
    places: list[str],
) -> Callable[[Any, Any], None]:
    """Return what sends a request, counts its status and checks its answer."""

    def ask(case: Any, data: Any) -> None:
        name_what_is_there(case, data, known)
        response = case.call(headers=headers)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=checks)
        say_nothing_private(response, places)

    return ask


def what_is_there(client: InProcess) -> Known:
    """Return names and ids that the server knows, by the parameters that take them."""
    client.request(
        "PUT", "/api/uploads/a.wav", content=wav_bytes(), headers={"content-type": "audio/wav"}
    )
    recordings = client.get("/api/recordings").json()["recordings"]
    sources = [row["source"] for row in recordings if row["source"]]
    report = b"<!doctype html>" + PAGE_MARK + b"<title>health</title>"
    client.state.index_path.with_name("health.html").write_bytes(report)
    reports = client.get("/api/reports").json()["reports"]
    rows = client.get("/api/index/rows").json()["rows"]
    items = client.get("/api/queue", n=5).json()["items"]
    sources += [rows[0]["source"], client.get("/api/uploads").json()["uploads"][0]["id"]]
    labels = ["wren", "fox", rows[0]["labels"][0]]
    return {
        "source": sources,
        "source_id": sources,
        "audio": [{"source": one} for one in sources],
        "id": [rows[1]["source"], sources[-1], reports[0]["id"]],
        "item": [item["item"] for item in items],
        "scan": ["night.scan", ""],
        "label": labels,
        "labels": [labels],
        "seq": [1, 2],
        "task": ["", "animals"],
        "strategy": ["mix", "top", "margin", "random", "diverse"],
        "format": ["csv", "raven,audacity", "json", "parquet"],
        "recordings": [["night"]],
        "shots": [1, 4],
    }


def name_what_is_there(case: Any, data: Any, known: Known) -> None:
    """Put something that the server has in place of some parameters of a request."""
    for parameters in (case.path_parameters, case.query, case.body):
        if not isinstance(parameters, dict):
            continue
        for name in sorted(parameters):
            chance = data.draw(st.integers(0, 9))
            if name in known and chance < 8:
                parameters[name] = data.draw(st.sampled_from(known[name]))
            elif parameters is not case.body and chance == 9:
                parameters[name] = data.draw(st.sampled_from(ODD))
    for header in ("X-Earful-Client", "X-Earful-Reviewer", "If-None-Match", "Last-Event-ID"):
        if not data.draw(st.integers(0, 9)):
            case.headers = {**(case.headers or {}), header: data.draw(st.sampled_from(ODD[:8]))}


def say_nothing_private(response: Any, places: list[str]) -> None:
    """Require that an answer tells no place of this machine, and no code."""
    text = response.content.decode("utf-8", "replace")
    for place in places:
        assert place not in text, f"tells where {place} is"
    assert "Traceback" not in text
    assert not re.search(r"File \\?\"[^\"]+\.py", text)
    if response.status_code >= 400:
        found = json.loads(text)
        assert set(found) == {"error"}, found
        assert set(found["error"]) == {"code", "message", "field", "help"}, found


def flat(error: BaseException) -> list[str]:
    """Return the lines of an error, or of each in a group."""
    if isinstance(error, BaseExceptionGroup):
        return [line for one in error.exceptions for line in flat(one)]
    return [*str(error).splitlines()[:40], *getattr(error, "__notes__", [])]


if __name__ == "__main__":
    sys.exit(1 if main(*map(int, sys.argv[1:])) else 0)
