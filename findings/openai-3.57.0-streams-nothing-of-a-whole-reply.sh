#!/bin/sh
# openai 3.57.0 (the Python client), with stream=True, of a server that answers 200 and no stream.
#
# Behaviour: a server or proxy that passes over "stream" and sends the whole reply as JSON, or a
# page of HTML, makes a stream of no chunk: the loop over it ends at once, without an exception, and
# the answer is empty. The same JSON without stream=True is a reply, the page a plain str.
#
# Why it surprises: the content type says what came, the client checks the type of other replies
# (_strict_response_validation), and an empty answer looks like one of the model's. Whoever
# streams through a gateway that leaves out what it does not know gets "" for every question, and pays.
#
# Needs Python 3.10 or newer and the package index; uses uv where it is installed. Exits 0 while
# the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$python" openai==3.57.0
else
    "$python" -m pip install --quiet --disable-pip-version-check openai==3.57.0
fi
cd "$folder"
"$python" - <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

MESSAGE = {"role": "assistant", "content": "a dog"}
REPLY = {
    **{"id": "1", "object": "chat.completion", "created": 1, "model": "m"},
    "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}],
}
BODIES = {
    "a whole reply": ("application/json", json.dumps(REPLY)),
    "a page": ("text/html", "<html><body>Welcome</body></html>"),
}


class Server(BaseHTTPRequestHandler):
    sent = ""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        kind, body = BODIES[Server.sent]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}/v1")
asked = {"model": "m", "messages": [{"role": "user", "content": "What is it?"}]}
for Server.sent in BODIES:
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True))
    print(f"{Server.sent}: {type(whole).__name__} without stream, {len(chunks)} chunks with it")
    assert isinstance(whole, str) == (Server.sent == "a page")
    assert chunks == []
PY
