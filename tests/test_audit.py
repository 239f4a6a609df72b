"""The gate on what earful stands on, with advisories served from here."""

import importlib.util
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def audit() -> Any:
    specification = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_everything_that_is_locked_has_a_digest(audit: Any, tmp_path: Path) -> None:
    assert audit.unpinned(ROOT / "uv.lock") == []
    (tmp_path / "uv.lock").write_text(
        """
[[package]]
name = "ours"
source = { editable = "." }
[[package]]
name = "bare"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "x" }]
[[package]]
name = "afar"
source = { git = "https://example.org/x" }
wheels = [{ url = "x", hash = "sha256:1" }]
"""
    )
    bare, afar = audit.unpinned(tmp_path / "uv.lock")
    assert bare.startswith("bare: a file of it has no sha256")
    assert afar.startswith("afar: comes from {'git'")


@pytest.mark.parametrize(
    ("licence", "passes"),
    [
        ("MIT", True),
        ("BSD-2-Clause AND Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-or-later OR MIT", True),
        ("GPL-3.0-or-later AND MIT", False),
        ("AGPL-3.0-only", False),
        ("", False),
    ],
)
def test_a_licence_passes_or_is_named(audit: Any, licence: str, passes: bool) -> None:
    faults = audit.licence_faults({"some-package": licence})
    assert faults == [] if passes else "some-package: its licence is" in faults[0]


def test_an_exception_is_for_one_licence_of_one_package(audit: Any) -> None:
    assert audit.licence_faults({"soxr": "LGPL-2.1-or-later", "nvidia-cublas": "x"}) == []
    assert len(audit.licence_faults({"soxr": "GPL-3.0-only", "other": "LGPL-2.1-or-later"})) == 2


def test_what_is_installed_has_licences_that_are_understood(audit: Any) -> None:
    wanted = {"numpy": "BSD-3-Clause", "lancedb": "Apache-2.0", "rich": "MIT", "soxr": "LGPL-2.1"}
    for name, licence in wanted.items():
        assert audit.licence_of(name).startswith(licence)


@contextmanager
def advisories(*, about: str) -> Iterator[str]:
    """Serve what OSV serves: one advisory about one package."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self, told: object) -> None:
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = [{"id": "TEST-1", "modified": "2026-01-01T00:00:00Z"}]
            results = [
                {"vulns": found} if query["package"]["name"] == about else {}
                for query in asked["queries"]
            ]
            self.answer({"results": results})

        def do_GET(self) -> None:
            self.answer(
                {
                    "id": "TEST-1",
                    "modified": "2026-01-01T00:00:00Z",
                    "summary": "a hole",
                    "affected": [{"package": {"ecosystem": "PyPI", "name": about}}],
                }
            )

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
@pytest.mark.skipif(
    not ((ROOT / ".uv" / "bin" / "uv").exists() or shutil.which("uv") or "UV" in os.environ),
    reason="uv is not here",
)
def test_a_known_vulnerability_fails_and_silence_is_told(
    audit: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with advisories(about="numpy") as url:
        (fault,) = audit.vulnerabilities(["--service-url", url])
    assert "TEST-1" in fault
    assert "numpy" in fault
    with advisories(about="no-such-package") as url:
        assert audit.vulnerabilities(["--service-url", url]) == []
    assert "no known vulnerabilities" in capfd.readouterr().out
    assert audit.vulnerabilities(["--service-url", "http://127.0.0.1:9/"]) == []
    assert "NOT VERIFIED" in capfd.readouterr().err


def test_the_security_page_names_tests_that_are_there() -> None:
    named = set(re.findall(r"\btest_\w+\.py", (ROOT / "SECURITY.md").read_text(encoding="utf-8")))
    assert len(named) > 15
    assert named <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
