"""``GET /api/export`` and ``/api/reports``: tables to take away, and pages that lie beside."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path, PurePath
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import Response

from earful.errors import CorpusError
from earful.index.annotations import EXPORT_FORMATS, ExportOptions, export_events
from earful.serve.faults import RequestError
from earful.serve.reports import REPORT_POLICY, Reports
from earful.serve.routes.replies import PlainJson
from earful.serve.state import ServerState
from earful.wording import unknown_name

_ZIP: Final = "application/zip"
_TYPES: Final = {
    ".csv": "text/csv; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".parquet": "application/vnd.apache.parquet",
}
_Text = Annotated[str, Query(max_length=1000)]


def router(state: ServerState) -> APIRouter:
    """Return the routes of exports and reports."""
    routes = APIRouter(tags=["exports"])
    desk = state.desk
    reports = Reports(state)

    @routes.get("/api/export", response_class=Response)
    def export(
        scan: _Text = "",
        format: Annotated[str, Query(max_length=200)] = "csv",
        label: Annotated[list[str], Query(max_length=100)] = [],
        min_score: float | None = None,
        audacity_score: bool = False,
        audacity_band: bool = False,
    ) -> Response:
        """Events of a scan with their reviews, in formats with commas between.

        One file as it is; several as a ZIP.
        """
        session, events = desk.session(scan), desk.table(scan).events
        names = [name.strip() for name in format.split(",") if name.strip()]
        for name in names:
            if name not in EXPORT_FORMATS:
                raise RequestError(unknown_name("format", name, EXPORT_FORMATS), field="format")
        if not names:
            raise RequestError("format: expected one at least", field="format")
        try:
            chosen = events.select(labels=label, min_score=min_score, with_missed=True)
        except CorpusError as error:
            raise RequestError(str(error), field="label") from error
        options = ExportOptions(
            audacity_score=audacity_score, audacity_band=audacity_band, scan=events.scan
        )
        with tempfile.TemporaryDirectory(prefix="earful-export-") as folder:
            written = export_events(
                chosen,
                events.recordings,
                Path(folder),
                names,
                denied=events.select_denied(labels=label, min_score=min_score),
                options=options,
            )
            name, body = _as_one_file(written)
        stem = PurePath(session.name).stem
        return Response(
            body,
            media_type=_TYPES.get(PurePath(name).suffix, _ZIP),
            headers={"content-disposition": _attachment(f"{stem}.{name}")},
        )

    @routes.get("/api/reports", response_class=PlainJson)
    def list_reports() -> PlainJson:
        """Pages that earful wrote beside the index and the scans, the newest first."""
        return PlainJson({"reports": [report.to_dict() for report in reports.list()]})

    @routes.get("/api/reports/{id}", response_class=Response)
    def read_report(id: str) -> Response:
        """A report, whose scripts reach nothing of ours."""
        return Response(
            reports.read(id),
            media_type="text/html; charset=utf-8",
            headers={"content-security-policy": REPORT_POLICY},
        )

    return routes


def _as_one_file(written: list[Path]) -> tuple[str, bytes]:
    """Return the name and content of a file, or of a ZIP of several."""
    if len(written) == 1:
        return written[0].name, written[0].read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in written:
            # A fixed moment: equal events make equal bytes.
            about = zipfile.ZipInfo(path.name, (2020, 1, 1, 0, 0, 0))
            about.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(about, path.read_bytes())
    return "export.zip", packed.getvalue()


def _attachment(name: str) -> str:
    """Return the header that makes a browser keep a file under a name.

    >>> _attachment("night;1.csv")
    'attachment; filename="night_1.csv"'
    """
    kept = (sign.isascii() and sign.isprintable() and sign not in '"\\;%' for sign in name)
    plain = "".join(sign if keep else "_" for sign, keep in zip(name, kept, strict=True))
    header = f'attachment; filename="{plain}"'
    if not name.isascii():
        header += f"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
    return header
