"""The call journal: every answered LM call of a run, so that no call is paid for twice."""

import hashlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson
from dspy.lm15 import Config, Message, Request, Response, TokenLogprob, TopLogprob, Usage

from synthwright.errors import StoreError
from synthwright.lms.databases import open_to_read
from synthwright.lms.scopes import config_text

__all__ = ["Journal", "RecordedCall", "call_key", "new_journal", "open_journal"]

TABLES = """
CREATE TABLE IF NOT EXISTS texts (digest TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (call INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, role TEXT NOT NULL,
    predictor TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS journal (bytes INTEGER NOT NULL);
"""

SHARED = 200
"""Length in characters from which what recurs (a system message, a demonstration, a schema) is stored only once."""


def call_key(request: Request, digest: str, model: str, endpoint: str) -> bytes:
    """The key of a call: 16 bytes of a SHA-256 of endpoint, model, request and sampling seed, which holds the draw.

    Args:
        request: The request as it is sent, with its seed.
        digest: The request by `request_digest`.
        model: Name of the model.
        endpoint: Where it is served; empty for one in this process.
    """
    text = f"{endpoint}\0{model}\0{digest}\0{request.config.seed}"
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()[:16]


_PLAIN_FIELDS = tuple(f.name for f in fields(Config) if f.name not in ("seed", "response_format"))

Record = tuple[bytes, str, str, bytes]
"""A call as it is stored: key, role, predictor, compressed body."""

Text = tuple[str, bytes]
"""A text that recurs: its hash, and itself compressed."""


@dataclass(frozen=True)
class RecordedCall:
    """One answered call.

    Attributes:
        role: LM role of the caller.
        predictor: Name of the predictor, empty outside a program.
        messages: The request's turns, OpenAI style.
        sampling: Its sampling arguments by `config_text`.
        digest: The request by `request_digest`, in hex.
        seed: Sampling seed, or None.
        response: What the LM answered.
    """

    role: str
    predictor: str
    messages: list[dict[str, str]]
    sampling: str
    digest: str
    seed: int | None
    response: Response


class Journal:
    """Answered calls by key, in an SQLite database. Thread-safe; new calls are written by `write`.

    Bodies are compressed; a system message or demonstration is stored once. When the bodies exceed the limit, the
    oldest tenth is forgotten: a run only needs the calls of seeds that are not finished.

    Args:
        database: An open connection with autocommit.
        limit: Most bytes of bodies kept.
        earlier: Journals of other runs to look into, which are not written.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        *,
        limit: int = 4 << 30,
        earlier: tuple["Journal", ...] = (),
    ) -> None:
        self._db, self.limit, self.earlier = database, limit, earlier
        self._waiting: dict[bytes, tuple[str, str, Request, str, Response]] = {}
        self._texts: dict[str, str] = {}
        self._configs: dict[Any, tuple[Any, str]] = {}
        self._lock = threading.RLock()
        self._bytes = -1  # not read yet

    def get(self, key: bytes) -> Response | None:
        """The answer to a call, or None if it was not made before."""
        with self._lock:
            if waiting := self._waiting.get(key):
                return waiting[-1]
            found = self._db.execute("SELECT body FROM calls WHERE key = ?", (key,)).fetchone()
        if found:
            return _response(orjson.loads(zlib.decompress(found[0])))
        return next((response for journal in self.earlier if (response := journal.get(key)) is not None), None)

    def put(self, key: bytes, caller: tuple[str, str], request: Request, digest: str, response: Response) -> None:
        """Take notice of an answered call; it is in the database after the next `write`."""
        with self._lock:
            self._waiting[key] = (*caller, request, digest, response)

    def write(self) -> None:
        """Write what is waiting; inside the caller's transaction, if there is one."""
        self.store(*self.take())

    def take(self) -> tuple[list[Record], list[Text]]:
        """What is waiting, packed for `store`, which may happen in another process."""
        with self._lock:
            texts: list[Text] = []
            records = [
                (key, role, name, self._pack(request, digest, response, texts))
                for key, (role, name, request, digest, response) in self._waiting.items()
            ]
            self._waiting.clear()
            return records, texts

    def store(self, records: list[Record], texts: list[Text]) -> None:
        """Write packed calls."""
        if not records:
            return
        with self._lock:
            self._db.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", texts)
            self._db.executemany(
                "INSERT OR IGNORE INTO calls (key, role, predictor, body) VALUES (?, ?, ?, ?)", records
            )
            self._grow(sum(len(body) for *_, body in records))

    def __len__(self) -> int:
        with self._lock:
            return self._db.execute("SELECT count(*) FROM calls").fetchone()[0] + len(self._waiting)

    def __iter__(self) -> Iterator[RecordedCall]:
        """All written calls, oldest first."""
        with self._lock:
            found = self._db.execute("SELECT digest, body FROM texts").fetchall()
        texts = {digest: zlib.decompress(body).decode("utf-8", "surrogatepass") for digest, body in found}

        def text(stored: str | list[str]) -> str:
            return texts[stored[0]] if isinstance(stored, list) else stored

        for role, predictor, body in self._db.execute("SELECT role, predictor, body FROM calls ORDER BY call"):
            data = json.loads(zlib.decompress(body))
            messages = [{"role": speaker, "content": text(said)} for speaker, said in data["turns"]]
            yield RecordedCall(
                role, predictor, messages, text(data["sampling"]), data["digest"], data["seed"], _response(data)
            )

    def close(self) -> None:
        """Close the database; for journals that were opened by path."""
        for journal in self.earlier:
            journal.close()
        self._db.close()

    def _pack(self, request: Request, digest: str, response: Response, texts: list[Text]) -> bytes:
        turns = [("system", _text(request.system))] if request.system else []
        turns += [(message.role, message.text or "") for message in request.messages]
        stored = [(role, self._shared(text, texts)) for role, text in turns[:-1]]
        usage = response.usage
        data = {
            "turns": [*stored, turns[-1]],
            "sampling": self._shared(self._sampling(request.config), texts),
            "digest": digest,
            "seed": request.config.seed,
            "id": response.id,
            "model": response.model,
            "text": response.message.text or "",
            "finish": response.finish_reason,
            "usage": [usage.input_tokens, usage.output_tokens],
            "data": response.provider_data,
        }
        if response.logprobs:
            data["logprobs"] = [asdict(token) for token in response.logprobs]
        return _compressed(_json(data))

    def _sampling(self, config: Config) -> str:
        """`config_text`, remembered for calls that differ in their seed alone; schemas are known by identity."""
        format_ = config.response_format
        rest = tuple(getattr(config, name) for name in _PLAIN_FIELDS)
        try:
            known = self._configs.get(key := (id(format_), rest))
        except TypeError:  # an argument that cannot be a key
            return config_text(config)
        if known is None or known[0] is not format_:
            if len(self._configs) > 1000:
                self._configs.clear()
            known = self._configs[key] = (format_, config_text(config))
        return known[1]

    def _shared(self, text: str, texts: list[Text]) -> str | list[str]:
        """A text that recurs, by its hash if it is long; the text itself is added to `texts` the first time."""
        if len(text) < SHARED:
            return text
        digest = self._texts.get(text)
        if digest is None:
            content = text.encode("utf-8", "surrogatepass")
            digest = hashlib.sha256(content).hexdigest()[:32]
            if len(self._texts) > 1000:
                self._texts.clear()
            self._texts[text] = digest
            texts.append((digest, _compressed(content)))
        return [digest]

    def _grow(self, size: int) -> None:
        if self._bytes < 0:
            found = self._db.execute("SELECT bytes FROM journal").fetchone()
            if found is None:
                self._db.execute("INSERT INTO journal VALUES (0)")
            self._bytes = found[0] if found else 0
        self._bytes += size
        if self._bytes > self.limit:
            count = max(1, self._db.execute("SELECT count(*) FROM calls").fetchone()[0] // 10)
            oldest = "SELECT call FROM calls ORDER BY call LIMIT ?"
            forgotten = self._db.execute(f"SELECT sum(length(body)) FROM calls WHERE call IN ({oldest})", (count,))
            self._bytes -= forgotten.fetchone()[0] or 0
            self._db.execute(f"DELETE FROM calls WHERE call IN ({oldest})", (count,))
        self._db.execute("UPDATE journal SET bytes = ?", (self._bytes,))


def open_journal(path: str | Path) -> Journal:
    """The journal of a run, to read.

    Args:
        path: Directory of a run or of tuned prompts, or the database file in it.

    Raises:
        StoreError: There is no run, or it has no journal.
    """
    names = [Path(path) / "run.sqlite", Path(path) / "journal.sqlite"] if Path(path).is_dir() else [Path(path)]
    file = next((name for name in names if name.is_file()), None)
    if file is None:
        raise StoreError(f"There is no record of LM calls in {str(path)!r}: a run's directory holds run.sqlite.")
    try:
        database = open_to_read(file)
        database.execute("SELECT 1 FROM calls LIMIT 1")
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"Cannot read the call journal of {str(path)!r}: {error}.") from error
    return Journal(database)


def new_journal(path: str | Path | None) -> Journal:
    """A journal of its own, to read and to write.

    Args:
        path: The file, made if it does not exist; None for one in memory.

    Raises:
        StoreError: The file cannot be used.
    """
    try:
        database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.executescript(TABLES)
    except sqlite3.Error as error:
        raise StoreError(f"Cannot use {str(path)!r} as a call journal: {error}.") from error
    return Journal(database)


def _compressed(content: bytes) -> bytes:
    """Zlib with a window of 4 KiB: the default one of 32 KiB costs seven times as long to set up, for a short text."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, 12, 5)
    return compressor.compress(content) + compressor.flush()


def _json(data: Any) -> bytes:
    try:
        return orjson.dumps(data, default=repr)
    except TypeError:  # half a character, or an integer beyond 64 bits
        return json.dumps(data, default=repr).encode()


def _text(system: Any) -> str:
    if isinstance(system, str):
        return system
    return "".join(getattr(part, "text", "") or "" for part in system)


def _response(data: Mapping[str, Any]) -> Response:
    input_tokens, output_tokens = data["usage"]
    return Response(
        id=data["id"],
        model=data["model"],
        message=Message.assistant(data["text"]),
        finish_reason=data["finish"],
        usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
        logprobs=tuple(_logprob(token) for token in data["logprobs"]) if "logprobs" in data else None,
        provider_data=data["data"],
    )


def _logprob(data: dict[str, Any]) -> TokenLogprob:
    top = tuple(TopLogprob(**_tuples(other)) for other in data.pop("top", ()))
    return TokenLogprob(**_tuples(data), top=top)


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
