"""Pushing to the hub, against a small server here that speaks the part of the hub's protocol that a push needs."""

import base64
import io
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow.parquet as pq
import pytest
import yaml

import synthwright as sw
from synthwright.programs.evol_instruct import EvolInstruct
from synthwright.testing import ScriptedLM

SHA = "1" * 40


class Hub(BaseHTTPRequestHandler):
    """Keeps what is committed. Parquet files come first, by their hash, as large files do."""

    server: "HubServer"  # pyright: ignore[reportIncompatibleVariableOverride]  it is never another server

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != "Bearer hf_writer":
            return self.answer({"error": "no token that may write"}, 401)
        if self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            return self.answer({"url": f"{self.server.url}/datasets/me/animals", "name": "me/animals"})
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = {name: "lfs" if name.endswith(".parquet") else "regular" for name in names}
            return self.answer(
                {"files": [{"path": n, "uploadMode": mode, "shouldIgnore": False} for n, mode in modes.items()]}
            )
        if self.path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            for found in objects:
                found["actions"] = {"upload": {"href": f"{self.server.url}/lfs/{found['oid']}"}}
            return self.answer({"transfer": "basic", "objects": objects})
        if "/commit/" in self.path:
            for entry in map(json.loads, body.splitlines()):
                value = entry["value"]
                if entry["key"] == "file":
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    self.server.files[value["path"]] = self.server.objects[value["oid"]]
            return self.answer({"commitUrl": f"{self.server.url}/datasets/me/animals/commit/{SHA}", "commitOid": SHA})
        return self.answer({"errors": [], "warnings": []})

    def do_PUT(self):
        size = int(self.headers["Content-Length"])
        self.server.objects[self.path.rpartition("/")[2]] = self.rfile.read(size)
        self.answer({})

    def do_GET(self):
        path = self.path.partition("?")[0]
        if "/resolve/" in path:
            name = path.rpartition(f"{SHA}/")[2] if SHA in path else path.rpartition("main/")[2]
            if name not in self.server.files:
                return self.missing()
            content = self.server.files[name]
            return self.answer(content, headers={"ETag": f'"{SHA}"', "X-Repo-Commit": SHA})
        if "/tree/" in path:
            folder = path.rpartition(SHA)[2].strip("/")
            found = [self.about(name) for name in self.server.files if name.startswith(folder)]
            return self.answer(found) if found else self.missing()
        return self.answer({"id": "me/animals", "sha": SHA, "siblings": [], "private": True, "tags": []})

    do_HEAD = do_GET

    def missing(self):
        self.answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})

    def about(self, path):
        return {"type": "file", "path": path, "size": len(self.server.files[path]), "oid": SHA}

    def answer(self, data, status=200, headers=None):
        content = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format, *args):
        self.server.log.append(format % args)


class HubServer(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Hub)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.created, self.files, self.objects, self.log = [], {}, {}, []


@pytest.fixture
def hub():
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(tmp_path):
    lm = ScriptedLM(
        {
            "add_constraints": lambda call: {"evolved_instruction": f"{call['instruction']} Use exactly seven words."},
            "respond": {"response": "It has four legs and likes to sleep all day."},
        }
    )
    seeds = [{"instruction": f"Describe the animal number {i}."} for i in range(4)]
    generator = EvolInstruct(operators=("add_constraints",), rounds=1, judge=False)
    return sw.generate(generator, seeds=seeds, out=tmp_path / "run", lms=lm)


def push(run, tmp_path, *arguments, endpoint, token="hf_writer"):
    """A real process: the hub's client reads its address when it is imported."""
    command = [sys.executable, "-c", "from synthwright.cli import main; main()", "export", str(run.out), "--format"]
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_TOKEN": token, "HF_HOME": str(tmp_path / "hf")}
    environment |= {"HF_HUB_DISABLE_XET": "1", "COLUMNS": "200"}
    return subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, timeout=120)


def private(request):
    """Whether a request to make a dataset asks for a private one, in the words of any version of the client."""
    return request.get("visibility") == "private" or request.get("private") is True


def test_data_and_card_reach_the_hub(run, tmp_path, hub):
    done = push(run, tmp_path, "messages", "--to", "hub:me/animals", "--test", "0.25", endpoint=hub.url)
    assert done.returncode == 0, done.stderr + "\n".join(hub.log)
    assert private(hub.created[0]) and hub.created[0]["type"] == "dataset"
    data = {name: pq.read_table(io.BytesIO(content)) for name, content in hub.files.items() if "parquet" in name}
    assert {name.partition("-")[0]: len(table) for name, table in data.items()} == {"data/train": 3, "data/test": 1}
    asked = [talk[0]["content"] for table in data.values() for talk in table["messages"].to_pylist()]
    assert sorted(asked) == [f"Describe the animal number {i}. Use exactly seven words." for i in range(4)]
    _, header, body = hub.files["README.md"].decode().split("---\n", 2)
    header = yaml.safe_load(header)
    assert header["license"] == "unknown" and "evol-instruct" in header["tags"]  # ours
    assert [split["name"] for split in header["dataset_info"]["splits"]] == ["train", "test"]  # push_to_hub's
    assert header["configs"][0]["data_files"][0]["path"] == "data/train-*"
    assert "## How it was made" in body and "No person has checked the records" in body


def test_public_is_asked_for(run, tmp_path, hub):
    done = push(run, tmp_path, "text", "--to", "hub:me/animals", "--public", endpoint=hub.url)
    assert done.returncode == 0, done.stderr
    assert not private(hub.created[0]) and "me/animals" in done.stdout


def test_a_token_that_may_not_write_says_how_to_log_in(run, tmp_path, hub):
    done = push(run, tmp_path, "messages", "--to", "hub:me/animals", endpoint=hub.url, token="hf_other")
    assert done.returncode == 4 and "hf auth login" in done.stderr and "Traceback" not in done.stderr
    assert not hub.files


def test_a_hub_that_does_not_answer_is_one_clear_line(run, tmp_path):
    done = push(run, tmp_path, "messages", "--to", "hub:me/animals", endpoint="http://127.0.0.1:9")
    assert done.returncode == 4 and "cannot be reached" in done.stderr and "Traceback" not in done.stderr


def test_a_name_that_is_none_is_refused(run, tmp_path, hub):
    done = push(run, tmp_path, "messages", "--to", "hub:me/a/b c", endpoint=hub.url)
    assert done.returncode == 2 and "is not a name of the hub" in done.stderr
