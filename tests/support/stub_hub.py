"""A stub of the hub on this machine: what its client asks for to push and to pull data sets."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

_LARGE = 4096
_PAGE = 5


@dataclass
class DataSet:
    """A data set: its commits from the first to the last, each with all of its files."""

    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def commit(self, files: dict[str, bytes]) -> str:
        text = json.dumps([len(self.commits), sorted((k, v.hex()) for k, v in files.items())])
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.commits.append((sha, files))
        return sha

    @property
    def head(self) -> str:
        return self.commits[-1][0]

    def files(self, revision: str = "main") -> dict[str, bytes]:
        if revision in ("main", ""):
            return self.commits[-1][1]
        return dict(self.commits)[revision]

    def put(self, **changes: bytes | None) -> str:
        """Commit changed files behind the client's back; ``None`` removes one."""
        return self.change(changes)

    def change(self, changes: dict[str, Any]) -> str:
        files = {**self.files(), **changes}
        return self.commit(
            {name: content for name, content in files.items() if content is not None}
        )


@dataclass
class StubHub:
    """What the hub holds, what it was asked, and how it fails.

    Attributes:
        sets: Data sets by name.
        large: Content of large files that were sent, by digest.
        asked: Methods and paths of all requests.
        bodies: Bodies of all requests.
        faults: Status to answer with where a path contains a text.
        before_commit: Called once before the next commit is looked at.
        token: The token that may write.
        address: Where it is.
    """

    sets: dict[str, DataSet] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    before_commit: Any = None
    token: str = "hf_stubsecret"
    address: str = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StubHub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(
        self, status: int, body: bytes | Any = b"", headers: dict[str, str] | None = None
    ) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _lost(self, code: str) -> None:
        self._answer(404, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code})

    def _begin(self) -> tuple[list[str], dict[str, list[str]], bytes] | None:
        body = self._body()
        split = urlsplit(self.path)
        path = split.path
        self.hub.asked.append(f"{self.command} {path}")
        self.hub.bodies.append(body)
        for part, status in self.hub.faults.items():
            if part in path:
                self._answer(status, {"error": f"fault of {part}"})
                return None
        parts = [unquote(part) for part in path.strip("/").split("/")]
        return parts, parse_qs(split.query), body

    def _writes(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {self.hub.token}":
            return True
        self._answer(401, {"error": "Invalid username or password."})
        return False

    def do_HEAD(self) -> None:
        self._get()

    def do_GET(self) -> None:
        self._get()

    def _get(self) -> None:
        if (begun := self._begin()) is None:
            return
        parts, query, _ = begun
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[1:3])
        found = self.hub.sets.get(name)
        if found is None or (found.private and not self.headers.get("Authorization")):
            self._lost("RepoNotFound")
            return
        rest = parts[4:] if parts[0] == "api" else parts[3:]
        if rest[:1] == ["resolve"]:
            self._resolve(found, rest[1], "/".join(rest[2:]))
        elif rest[:1] == ["tree"]:
            self._tree(found, rest[1], query)
        else:
            revision = rest[1] if rest[:1] == ["revision"] else "main"
            shas = dict(found.commits)
            if revision != "main" and revision not in shas:
                self._lost("RevisionNotFound")
                return
            sha = found.head if revision == "main" else revision
            self._answer(200, {"id": name, "sha": sha, "private": found.private, "siblings": []})

    def _tree(self, found: DataSet, revision: str, query: dict[str, list[str]]) -> None:
        rows: list[dict[str, Any]] = []
        for path, content in sorted(found.files(revision).items()):
            row: dict[str, Any] = {
                "type": "file", "path": path, "size": len(content), "oid": _git(content)
            }  # fmt: skip
            if _is_large(path, content):
                digest = hashlib.sha256(content).hexdigest()
                row["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
            rows.append(row)
        start = int(query.get("cursor", ["0"])[0])
        headers = {}
        if start + _PAGE < len(rows):
            place = f"{self.hub.address}{urlsplit(self.path).path}"
            headers["Link"] = f'<{place}?recursive=True&cursor={start + _PAGE}>; rel="next"'
        self._answer(200, rows[start : start + _PAGE], headers)

    def _resolve(self, found: DataSet, revision: str, path: str) -> None:
        files = found.files(revision)
        if path not in files:
            self._lost("EntryNotFound")
            return
        content = files[path]
        digest = hashlib.sha256(content).hexdigest()
        etag = digest if _is_large(path, content) else _git(content)
        sha = found.head if revision == "main" else revision
        headers = {"X-Repo-Commit": sha, "ETag": f'"{etag}"', "Content-Length": str(len(content))}
        self._answer(200, content, headers)

    def do_PUT(self) -> None:
        if (begun := self._begin()) is None:
            return
        parts, _, body = begun
        self.hub.large[parts[1]] = body
        self._answer(200)

    def do_POST(self) -> None:
        if (begun := self._begin()) is None or not self._writes():
            return
        parts, _, body = begun
        values: Any = None if parts[-2:-1] == ["commit"] else json.loads(body)
        if parts[:2] == ["api", "validate-yaml"]:
            self._validate(values["content"])
        elif parts[:3] == ["api", "repos", "create"]:
            self._create(values)
        elif parts[-1] == "batch":
            self._batch(values)
        elif parts[4] == "preupload":
            self._preupload("/".join(parts[2:4]), values)
        else:
            self._commit("/".join(parts[2:4]), body)

    def _validate(self, content: str) -> None:
        _, _, rest = content.partition("---\n")
        front, dashes, _ = rest.partition("\n---")
        try:
            data = yaml.safe_load(front) if dashes else None
        except yaml.YAMLError as error:
            self._answer(400, {"errors": [{"message": str(error)}], "warnings": []})
            return
        if not isinstance(data, dict) or "license" not in data:
            self._answer(400, {"errors": [{"message": '"license" is required'}], "warnings": []})
            return
        self._answer(200, {"errors": [], "warnings": []})

    def _create(self, values: dict[str, Any]) -> None:
        name = f"{values['organization']}/{values['name']}"
        url = {"url": f"{self.hub.address}/datasets/{name}"}
        if name in self.hub.sets:
            self._answer(409, {"error": "You already created this dataset repo", **url})
            return
        made = DataSet(private=values.get("visibility") == "private" or bool(values.get("private")))
        made.commit({".gitattributes": b"*.lance filter=lfs diff=lfs merge=lfs -text\n"})
        self.hub.sets[name] = made
        self._answer(200, url)

    def _preupload(self, name: str, values: dict[str, Any]) -> None:
        there = self.hub.sets[name].files()
        told = [
            {
                "path": file["path"],
                "uploadMode": "lfs"
                if file["path"].endswith(".lance") or file["size"] > _LARGE
                else "regular",
                "shouldIgnore": False,
                "oid": _git(there[file["path"]]) if file["path"] in there else None,
            }
            for file in values["files"]
        ]
        self._answer(200, {"files": told})

    def _batch(self, values: dict[str, Any]) -> None:
        objects = [
            {
                **one,
                **(
                    {}
                    if one["oid"] in self.hub.large
                    else {"actions": {"upload": {"href": f"{self.hub.address}/lfs/{one['oid']}"}}}
                ),
            }
            for one in values["objects"]
        ]
        self._answer(200, {"transfer": "basic", "objects": objects})

    def _commit(self, name: str, body: bytes) -> None:
        if self.hub.before_commit is not None:
            call, self.hub.before_commit = self.hub.before_commit, None
            call()
        found = self.hub.sets[name]
        files = dict(found.files())
        for line in body.splitlines():
            one = json.loads(line)
            value = one["value"]
            if one["key"] == "header":
                if value.get("parentCommit") not in (None, found.head):
                    self._answer(412, {"error": "A commit has happened since. Please refresh."})
                    return
            elif one["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif one["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif one["key"] == "deletedFile":
                del files[value["path"]]
        sha = found.commit(files)
        url = f"{self.hub.address}/datasets/{name}/commit/{sha}"
        self._answer(200, {"commitUrl": url, "commitOid": sha, "success": True})


@contextmanager
def stub_hub() -> Iterator[StubHub]:
    """Serve a stub until the block ends."""
    hub = StubHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _is_large(path: str, content: bytes) -> bool:
    return path.endswith(".lance") or len(content) > _LARGE


def _git(content: bytes) -> str:
    head = f"blob {len(content)}\0".encode()
    return hashlib.sha1(head + content, usedforsecurity=False).hexdigest()
