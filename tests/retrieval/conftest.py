"""A web server of our own on loopback that answers as a test says."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest


@dataclass
class Answer:
    """What the server says; `wait` is an event that it stands still for before it speaks."""

    body: object = field(default_factory=dict)
    status: int = 200
    headers: dict = field(default_factory=dict)
    wait: threading.Event | None = None


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.asked, self.agents = answer, [], []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.busy, self.most_busy, self.lock = 0, 0, threading.Lock()

    def handle_error(self, request, client_address):
        """A client that hung up is no news."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server: Any = self.server
        parts = urlsplit(self.path)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
        with server.lock:
            server.asked.append((parts.path, parameters))
            server.agents.append(self.headers["User-Agent"])
            server.busy += 1
            server.most_busy = max(server.busy, server.most_busy)
        try:
            answer = server.answer(parts.path, parameters)
            answer = answer if isinstance(answer, Answer) else Answer(answer)
            if answer.wait is not None:
                answer.wait.wait(5)
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        finally:
            with server.lock:
                server.busy -= 1
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """No log on the terminal."""


class Serve:
    """Starts servers: call it with a function of (path, parameters) that returns JSON or an Answer."""

    Answer = Answer

    def __init__(self):
        self.servers = []

    def __call__(self, answer):
        server = Server(answer)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.servers.append(server)
        return server


@pytest.fixture
def serve():
    start = Serve()
    yield start
    for server in start.servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def no_waiting(monkeypatch):
    """Retries follow one another at once."""
    monkeypatch.setattr("synthwright.retrieval.web.FIRST_WAIT", 0.01)
