"""Write docs/api.md from the routes of ``earful serve``; ``--check`` only compares.

Run it with ``./dev docs``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs.written import write_or_check

from earful.index import Index
from earful.model import Fingerprint
from earful.serve import ServerState, ServeSettings, create_app

TARGET = Path(__file__).with_name("api.md")

_HEAD = """\
# The page's routes

Written by `./dev docs` from the routes themselves. `earful serve` prints an address with a token;
programs send the token in a header:

<!-- not run: it talks to a running server -->
```console
$ earful serve --index sounds.index --token-file token --no-open &
$ auth="Authorization: Bearer $(cat token)"
$ curl -sX PUT -H "$auth" -H 'Content-Type: audio/wav' --data-binary @street.wav \\
    http://127.0.0.1:8737/api/uploads/street.wav
{"id":"u-4c34e49434451837","source":"u-4c34e49434451837","name":"street.wav",...}
$ curl -s -H "$auth" --json '{"audio": {"source": "u-4c34e49434451837"}}' \\
    http://127.0.0.1:8737/api/classify
```

Audio is named by its *source*, never by a path: `r-...` is a recording of a scan, `x-...` an
exemplar of the index, whose time 0 is where its stretch begins, and `u-...` an upload. Every
refusal is `{"error": {"code", "message", "field", "help"}}`, with a status that fits, and `help`
names its section of [troubleshooting](troubleshooting.md). `X-Earful-Client` names a page or
program (clients take turns with questions), `X-Earful-Reviewer` who labels, percent-encoded. Routes
that stream send server-sent events; `classify`, `ask` and `search` do with
`Accept: text/event-stream`.
"""


def sections(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the page as Markdown, a section for each subject and route."""
    yield _HEAD
    subject = ""
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            (own,) = route["tags"]
            if own != subject:
                subject = own
                yield f"## {own.capitalize()}\n"
            yield "\n".join(_route(method, path, route, document))


def _route(
    method: str, path: str, route: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[str]:
    yield f"### {method.upper()} {path}\n"
    yield f"{route.get('description', '').strip()}\n"
    rows = []
    for one in route.get("parameters", ()):
        place = "" if one["in"] == "query" else f" ({one['in']})"
        schema = one["schema"]
        rows.append((f"{one['name']}{place}", kind_of(schema, document), _default(one, schema)))
    body = route.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        schema = resolved(body["schema"], document)
        needed = schema.get("required", ())
        rows += [
            (name, kind_of(own, document), "needed" if name in needed else default_of(own))
            for name, own in schema["properties"].items()
        ]
    if rows:
        yield "| field | is | default |"
        yield "|---|---|---|"
        yield from (f"| `{name}` | {kind} | {default} |" for name, kind, default in rows)
        yield ""


def _default(parameter: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    return "needed" if parameter.get("required") else default_of(schema)


def default_of(schema: Mapping[str, Any]) -> str:
    """Return the default of a value as Markdown; empty for none."""
    value = schema.get("default")
    return "" if value in (None, "", [], {}) else f"`{value}`"


def resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference within a document refers to."""
    while "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][name]
    return schema


def kind_of(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """Return what a value may be, in a few words."""
    schema = resolved(schema, document)
    if several := schema.get("anyOf"):
        return " or ".join(kind_of(one, document) for one in several if one.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "properties" in schema:
        return "{" + ", ".join(f"`{name}`" for name in schema["properties"]) + "}"
    kind = str(schema.get("type", "value"))
    if kind == "array":
        most = schema.get("maxItems")
        kind = f"list of {kind_of(schema.get('items', {}), document)}"
        return f"{kind}, at most {most}" if most else kind
    limits = []
    if "minimum" in schema or "maximum" in schema:
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and high is not None:
            limits.append(f"{low:g} to {high:g}")
        else:
            limits.append(f"at most {high:g}" if low is None else f"{low:g} or more")
    if "maxLength" in schema:
        limits.append(f"at most {schema['maxLength']} characters")
    return f"{kind} ({'; '.join(limits)})" if limits else kind


def document() -> Mapping[str, Any]:
    """Return the OpenAPI document of a server of an empty index."""
    made_by = Fingerprint(
        name="toy", revision="", weights_sha256="", dim=2, sample_rate=8000, windowing="whole"
    )
    with tempfile.TemporaryDirectory() as folder:
        index = Index.create(f"{folder}/sounds.index", made_by)
        state = ServerState(index, ServeSettings(reviewer="reviewer"))
        try:
            return create_app(state).openapi()
        finally:
            state.close()


def main() -> None:
    """Write the page, or with ``--check`` fail when it is not current."""
    write_or_check({TARGET: "\n".join(sections(document())).rstrip() + "\n"})


if __name__ == "__main__":
    main()
