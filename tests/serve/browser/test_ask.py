"""The screen Ask: sounds from everywhere, answers, what they stand on, examples that are kept."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earful.serve import ServeSettings
from tests.serve.browser.conftest import Visit
from tests.serve.browser.screens import PAINTED, ask, give, go, said
from tests.support.asked_page import LABELS, queries
from tests.support.served_page import NASTY, NIGHT

pytestmark = pytest.mark.slow


def wait_for_picture(page: Any, where: str) -> None:
    page.wait_for_function(f"() => ({PAINTED})('{where} canvas') > 20")


def wait_for_play(page: Any) -> None:
    page.get_by_role("button").filter(has_text="Pause").first.wait_for()


def test_a_file_is_named_and_what_it_stands_on_is_heard(visit: Visit) -> None:
    with visit() as page:
        go(page, "ask")
        give(page, queries("laughter")[0])
        wait_for_picture(page, ".sound")
        assert ask(page) in LABELS
        assert "confidence" in page.locator(".result .badge").inner_text()
        assert page.locator(".scores meter").count() > 1
        wait_for_picture(page, ".evidence li")
        page.keyboard.press("2")
        wait_for_play(page)
        second = page.locator(".evidence li").nth(1)
        assert second.get_by_role("button").first.inner_text() == "Pause"
        page.keyboard.press("Space")
        playing = page.get_by_role("button").filter(has_text="Pause")
        page.locator(".sound").get_by_text("Pause").wait_for()
        assert playing.count() == 1  # one sound at a time
        # Nothing is lost on reload: the sound is in the address.
        page.reload()
        page.locator(".sound b", has_text=queries("laughter")[0].name).wait_for()


def test_labels_that_somebody_writes_and_more_options(visit: Visit) -> None:
    with visit() as page:
        go(page, "ask")
        give(page, queries("thunder")[0])
        page.get_by_label("Among").select_option("labels")
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Ask", exact=True).click()
        said(page, "Write some labels")
        page.get_by_label("Labels, separated").fill("thunder, saxophone; thunder")
        page.get_by_text("More options").click()
        page.get_by_label("Exemplars").select_option("2")
        with page.expect_request("**/api/classify") as asked:
            assert ask(page) in ("thunder", "saxophone")
        body = asked.value.post_data_json
        assert (body["labels"], body["shots"]) == (["thunder", "saxophone"], 2)
        assert page.locator(".scores tbody tr").count() == 2
        page.reload()
        assert page.get_by_label("Labels, separated").input_value() == "thunder, saxophone; thunder"
        assert page.get_by_label("Exemplars").input_value() == "2"


def test_questions_in_words_follow_each_other_about_a_stretch(visit: Visit) -> None:
    with visit() as page:
        go(page, "ask", way="ask")
        give(page, queries("laughter")[0])
        page.get_by_label("From", exact=True).fill("0.2")
        page.get_by_label("To", exact=True).fill("0.9")
        page.keyboard.press("Enter")
        field = page.get_by_role("textbox", name="Question")
        field.fill("Is there laughter?")
        with page.expect_request("**/api/ask") as asked:
            page.keyboard.press("Enter")
        assert asked.value.post_data_json["audio"]["start_s"] == 0.2
        assert asked.value.post_data_json["audio"]["end_s"] == 0.9
        page.locator(".result .evidence li").first.wait_for()
        assert page.locator(".result .answer").inner_text().lower() in ("yes", "no")
        # The next question is typed over the last one.
        page.keyboard.type("What is heard?")
        page.keyboard.press("Enter")
        before = page.locator("details.card", has_text="Is there laughter?")
        before.wait_for()
        page.locator(".result .evidence li").first.wait_for()
        before.locator("summary").click()
        assert before.locator(".evidence li").count() > 0
        page.get_by_label("From", exact=True).fill("5")
        page.get_by_label("To", exact=True).fill("1")
        page.keyboard.press("Enter")
        page.locator(".told.bad", has_text="the first before the second").wait_for()


def test_the_words_of_a_model_are_shown_as_they_come(visit: Visit) -> None:
    events = (
        'event: text\ndata: {"text": "a door"}\n\nevent: text\ndata: {"text": " <b>slams</b>"}\n\n'
    )
    fault = (
        'event: error\ndata: {"error": {"code": "model", "message": "too tired", "field": ""}}\n\n'
    )
    with visit() as page:
        page.evaluate(
            """([first, last]) => {
              const real = fetch;
              window.fetch = (...given) => !String(given[0]).startsWith("/api/ask") ? real(...given)
                : Promise.resolve(new Response(new ReadableStream({ start(to) {
                  const write = text => to.enqueue(new TextEncoder().encode(text));
                  write(first);
                  window.finish = () => { write(last); to.close(); };
                } }), { headers: { "content-type": "text/event-stream" } }));
            }""",
            [events, fault],
        )
        go(page, "ask", way="describe")
        give(page, queries("door")[0])
        page.get_by_role("button", name="Ask", exact=True).click()
        page.locator(".answer", has_text="a door <b>slams</b>").wait_for()
        assert page.locator(".answer b").count() == 0
        page.evaluate("window.finish()")
        page.locator(".result .bad", has_text="too tired").wait_for()


def test_a_question_is_cancelled(visit: Visit) -> None:
    with visit() as page:
        go(page, "ask")
        give(page, queries("door")[0])
        page.evaluate(
            """() => {
              const real = fetch, slow = path => path.startsWith("/api/classify");
              const never = signal => new Promise((_, reject) => signal.addEventListener(
                "abort", () => reject(new DOMException("", "AbortError"))));
              window.fetch = (path, more) => slow(path) ? never(more.signal) : real(path, more);
            }"""
        )
        page.get_by_role("button", name="Ask", exact=True).click()
        page.get_by_role("button", name="Cancel").wait_for()
        page.locator("h1").click()
        page.keyboard.press("Escape")
        page.get_by_text("Cancelled.").wait_for()
        assert page.get_by_role("button", name="Ask", exact=True).is_enabled()


def test_a_folder_of_sounds_is_answered_one_after_another(visit: Visit, tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFFnothing of the sort")
    notes = tmp_path / "notes.txt"
    notes.write_text("no sound")
    given = [*queries("saxophone")[:2], broken, notes]
    with visit(expected="415") as page:
        go(page, "ask")
        give(page, *given)
        page.get_by_text("1 file left out").wait_for()
        page.get_by_role("button", name="Ask", exact=True).click()
        page.get_by_text("3 of 3 sounds answered").wait_for()
        rows = page.locator(".batch tbody tr")
        assert rows.nth(0).locator("td").nth(1).inner_text() in LABELS
        assert "libsndfile" in rows.nth(2).inner_text()
        with page.expect_download() as kept:
            page.get_by_role("button", name="Save as CSV").click()
        text = Path(kept.value.path()).read_text("utf-8")
        assert text.splitlines()[0] == '"sound","answer","confidence","abstained","fault"'
        assert len(text.splitlines()) == 4
        page.get_by_role("button", name=f"Open {given[1].name}").click()
        page.locator(".sound b", has_text=given[1].name).wait_for()
        assert rows.count() == 3


def test_the_microphone_is_recorded(visit: Visit) -> None:
    with visit(permissions=["microphone"]) as page:
        go(page, "ask")
        page.get_by_role("button", name="Record").click()
        page.get_by_text("s left").wait_for()
        page.wait_for_timeout(1200)
        page.get_by_role("button", name="Stop").click()
        page.locator(".sound b", has_text="microphone.wav").wait_for()
        wait_for_picture(page, ".sound")
        assert ask(page)


def test_what_cannot_be_heard_is_said_in_place(visit: Visit, tmp_path: Path) -> None:
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros(8000), 8000, format="WAV")
    files = {"mute.wav": silence.getvalue(), "words.wav": b"no sound at all"}
    with visit(expected="server responded with a status of 4") as page:
        go(page, "ask")
        for name, reason in (
            ("mute.wav", "mute.wav: is silent"),
            ("words.wav", "words.wav: is text"),
        ):
            path = tmp_path / name
            path.write_bytes(files[name])
            page.locator("input[type=file]").set_input_files(path)
            page.locator(".told.bad[role=alert]", has_text=reason).wait_for()
            assert page.locator(".told").inner_text().count(name) == 1
        most = ServeSettings().max_upload_bytes
        page.evaluate(
            """size => { const given = new DataTransfer();
            given.items.add(new File([new Uint8Array(size)], "long.wav", { type: "audio/wav" }));
            const drop = new DragEvent("drop", { dataTransfer: given, bubbles: true });
            document.querySelector(".drop").dispatchEvent(drop); }""",
            most + 1,
        )
        page.locator(".told.bad", has_text="long.wav has 64.0 MiB").wait_for()
        go(page, "ask", source="u-0000000000000000")
        page.locator(".told.bad", has_text="no longer kept").wait_for()


def test_an_example_is_saved_and_found_with_its_nasty_label(visit: Visit) -> None:
    with visit() as page:
        go(page, "ask")
        sound = queries("vinyl-scratch")[0]
        give(page, sound)
        ask(page)
        page.locator("h1").click()
        page.keyboard.press("b")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_role("alert").filter(has_text="Choose a label").wait_for()
        page.keyboard.type(NASTY)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Add: not there").click()
        page.keyboard.type("saxophone")
        page.keyboard.press("Enter")
        page.get_by_label("Licence").fill("CC0-1.0")
        page.get_by_role("button", name="Save", exact=True).click()
        said(page, "not of saxophone")
        go(page, "search", source=parameter(page, "source"))
        first = page.locator(".evidence li").first
        first.filter(has_text="<img").wait_for()
        assert NASTY in first.inner_text()
        assert "not saxophone" in first.inner_text()
        assert "CC0-1.0" in first.inner_text()
        first.get_by_role("link", name="Row").click()
        page.locator("article", has_text="<img").wait_for()
        assert page.locator("img").count() == 0
        assert page.title() != "owned"
        page.get_by_role("button", name="Undo the last change").click()
        said(page, "removed")
        page.locator("[data-id]", has_text="<img").wait_for(state="detached")
        assert page.locator("article").count() == 0


def test_a_stretch_of_a_scan_becomes_an_example_that_leads_back(visit: Visit) -> None:
    with visit() as page:
        go(page, "ask")
        page.get_by_role("button", name="Sounds here").click()
        page.get_by_role("combobox", name="Sounds here").wait_for()
        page.keyboard.type("SITE7")
        page.keyboard.press("Enter")
        page.get_by_label("From", exact=True).fill("12")
        page.get_by_label("To", exact=True).fill("14")
        page.keyboard.press("Enter")
        ask(page)
        page.locator("h1").click()
        page.keyboard.press("b")
        page.keyboard.type("beep")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Save", exact=True).click()
        said(page, "example of beep")
        go(page, "search", source=parameter(page, "source"), start="12", end="14")
        first = page.locator(".evidence li").first
        first.filter(has_text="beep").wait_for()
        first.get_by_role("link", name="In its recording").click()
        page.locator(".screen.recordings .big canvas").wait_for()
        assert "from=12" in page.url


def test_a_recording_that_is_gone_is_said(visit: Visit, made: Path) -> None:
    path, away = made / "night" / NIGHT, made / "away.wav"
    with visit(expected="server responded with a status of 4") as page:
        found = page.evaluate("fetch('/api/recordings?scan=night.scan').then(one => one.json())")
        source = next(one["source"] for one in found["recordings"] if NIGHT in one["recording"])
        path.rename(away)
        try:
            go(page, "ask", source=source, start="20", end="25")
            page.locator(".sound b", has_text=NIGHT).wait_for()
            page.locator(".sound .over").get_by_text("there").wait_for()
            page.get_by_role("button", name="Ask", exact=True).click()
            page.locator(".result .bad", has_text="not there any more").wait_for()
        finally:
            away.rename(path)


def parameter(page: Any, name: str) -> str:
    return str(
        page.evaluate("name => new URLSearchParams(location.hash.split('?')[1]).get(name)", name)
    )
