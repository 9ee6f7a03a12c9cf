"""Stack Exchange's data dump: `Posts.xml`, plain or in a 7z archive, read as a stream."""

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from xml.etree import ElementTree

from synthwright.errors import ConfigError, RetrievalError
from synthwright.retrieval.base import Corpus
from synthwright.retrieval.passages import Passage
from synthwright.retrieval.seven_zip import unpacked
from synthwright.retrieval.stack_posts import Post, post_passage

__all__ = ["StackExchangeDump"]

CHUNK = 2**18
MOST_ROW = 4 * 2**20
"""Bytes of one post; longer ones are left out. Stack Exchange allows 30,000 characters."""

QUESTION, ANSWER = "1", "2"
_SITE = re.compile(r"(?:[a-z0-9-]+\.)+(?:com|net|org)")


class StackExchangeDump(Corpus):
    """Questions with their accepted answers, from the data dump of a site.

    One pass over the file in bounded memory: a question waits for its answer in a temporary SQLite database on disk.
    Passages come in the order in which their pairs are complete. Rows that are not well-formed are left out, counted
    in `skipped`, and do not end the reading; a file that declares entities is refused.

    Args:
        path: `Posts.xml`, or a 7z archive that holds one (extra `stackexchange`).
        site: Address of the site, such as `math.stackexchange.com`, for links; empty takes it from the file's name or
            its folder's.
        least_score: Least score of a question.
        least_answer_score: Least score of an accepted answer.
        tags: Take only questions with one of these tags; empty takes all.

    Raises:
        ConfigError: There is no such file.
    """

    name = "stack_exchange"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        site: str = "",
        least_score: int = 0,
        least_answer_score: int = 0,
        tags: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.path = Path(path)
        if not self.path.is_file():
            raise ConfigError(f"There is no file {str(self.path)!r}: pass a Posts.xml or a 7z archive of one.")
        self.site = site or _site_of(self.path)
        self.least_score, self.least_answer_score = least_score, least_answer_score
        self.tags = frozenset(tags)

    def hash(self) -> str:
        """From the file's size and time of change (reading all of it would take hours) and the arguments."""
        stat = self.path.stat()
        choice = [self.site, self.least_score, self.least_answer_score, sorted(self.tags)]
        text = json.dumps([self.path.name, stat.st_size, stat.st_mtime_ns, choice])
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def __iter__(self) -> Iterator[Passage]:
        """The passages.

        Raises:
            RetrievalError: The file cannot be read or is no dump.
            MissingExtraError: The extra `stackexchange` is not installed.
        """
        self.skipped.restart()
        with closing(_Waiting()) as waiting, _opened(self.path) as stream:
            for row in self._rows(stream):
                pair = self._pair(row, waiting)
                passage = post_passage(*pair, self.site) if pair else None
                if passage is not None:
                    yield passage
                elif pair:
                    self.skipped.add("no_text", f"question {pair[0].id}")
            for question in waiting.unanswered():
                self.skipped.add("answer_deleted", f"question {question}")

    def _pair(self, row: dict[str, str], waiting: "_Waiting") -> tuple[Post, Post] | None:
        """The question and the answer that a row completes."""
        try:
            kind, number, score = row.get("PostTypeId"), int(row["Id"]), int(row.get("Score", 0))
            partner = int(row.get("AcceptedAnswerId" if kind == QUESTION else "ParentId", 0))
            post = Post(number, row.get("Body", ""), row.get("ContentLicense", ""), row.get("Title", ""))
            if kind == QUESTION:
                reason = self._unwanted(row, score, partner)
                if reason:
                    self.skipped.add(reason, f"question {number}")
                answer = waiting.ask(post, None if reason else partner)
                return self._checked(post, answer, waiting) if answer else None
            question = waiting.answer(post, score, partner) if kind == ANSWER else None
            return self._checked(question, (post, score), waiting) if question else None
        except (KeyError, ValueError, OverflowError):
            self.skipped.add("malformed", f"row {row.get('Id', '?')}"[:80])
            return None

    def _unwanted(self, row: dict[str, str], score: int, accepted: int) -> str:
        if not accepted:
            return "no_accepted_answer"
        if score < self.least_score:
            return "low_score"
        # older dumps write "<a><b>", newer ones "|a|b|"
        return "other_tags" if self.tags and not self.tags & set(re.findall(r"[^<>|]+", row.get("Tags", ""))) else ""

    def _checked(self, question: Post, answer: tuple[Post, int], waiting: "_Waiting") -> tuple[Post, Post] | None:
        if answer[1] >= self.least_answer_score:
            return question, answer[0]
        self.skipped.add("low_answer_score", f"question {question.id}")
        return None

    def _rows(self, stream: BinaryIO) -> Iterator[dict[str, str]]:
        """The attributes of each `<row .../>`.

        In well-formed XML the character "<" begins markup and stands nowhere else, so the stream falls into elements
        there, each of which the XML parser reads by itself: damage ends with the element that has it, and there is no
        document in which an entity could be declared.
        """
        found, ended = False, False
        for piece in self._pieces(stream):
            if piece[:1] == b"!" and not piece.startswith(b"!--"):
                raise RetrievalError(f"{self.path} declares a document type or entities; no dump does that. Refused.")
            ended = piece.startswith(b"/posts>")
            if not piece.startswith(b"row"):
                continue
            found = True
            try:
                yield dict(ElementTree.fromstring(b"<" + piece).attrib)
            except (ElementTree.ParseError, ValueError) as error:
                self.skipped.add("malformed", f"{error}: {piece[:60]!r}")
        if not found:
            raise RetrievalError(f"{self.path} holds no posts: expected elements like <row Id=... Body=... />.")
        if not ended:
            self.skipped.add("truncated", str(self.path))

    def _pieces(self, stream: BinaryIO) -> Iterator[bytes]:
        rest, first, too_long = b"", True, False
        while chunk := stream.read(CHUNK):
            if first and chunk[:2] in (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<"):
                raise RetrievalError(f"{self.path} is UTF-16; dumps are UTF-8. Convert it first.")
            first = False
            *pieces, rest = (rest + chunk).split(b"<")
            for piece in pieces:
                if not too_long:
                    yield piece
                too_long = False
            if len(rest) > MOST_ROW:
                if not too_long:
                    self.skipped.add("too_long", repr(rest[:60]))
                rest, too_long = b"", True
        if not too_long:
            yield rest


class _Waiting:
    """Questions that wait for their accepted answer, and answers that came before their question, on disk."""

    def __init__(self) -> None:
        # "" is a temporary database: SQLite keeps a small cache, writes the rest to a file, and removes that at the end
        self.db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.db.executescript(
            """PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000;
            CREATE TABLE questions (id INTEGER PRIMARY KEY);
            CREATE TABLE waiting (answer INTEGER PRIMARY KEY, question INTEGER, post TEXT);
            CREATE TABLE early (answer INTEGER PRIMARY KEY, score INTEGER, post TEXT);"""
        )

    def close(self) -> None:
        self.db.close()

    def ask(self, question: Post, accepted: int | None) -> tuple[Post, int] | None:
        """Take a question in; its answer and that one's score if they came before. None for `accepted`: not wanted."""
        self.db.execute("INSERT OR IGNORE INTO questions VALUES (?)", (question.id,))
        if accepted is None:
            return None
        row = self.db.execute("SELECT post, score FROM early WHERE answer = ?", (accepted,)).fetchone()
        if row is not None:
            return _loaded(row[0]), row[1]
        self.db.execute("INSERT OR REPLACE INTO waiting VALUES (?, ?, ?)", (accepted, question.id, _dumped(question)))
        return None

    def answer(self, answer: Post, score: int, parent: int) -> Post | None:
        """The question that waits for this answer. An answer is kept only while its question has not come."""
        row = self.db.execute("SELECT post FROM waiting WHERE answer = ?", (answer.id,)).fetchone()
        if row is not None:
            self.db.execute("DELETE FROM waiting WHERE answer = ?", (answer.id,))
            return _loaded(row[0])
        if self.db.execute("SELECT 1 FROM questions WHERE id = ?", (parent,)).fetchone() is None:
            self.db.execute("INSERT OR REPLACE INTO early VALUES (?, ?, ?)", (answer.id, score, _dumped(answer)))
        return None

    def unanswered(self) -> Iterator[int]:
        """Numbers of the questions that still wait."""
        return (number for (number,) in self.db.execute("SELECT question FROM waiting ORDER BY question"))


def _dumped(post: Post) -> str:
    return json.dumps([post.id, post.body, post.licence, post.title])


def _loaded(text: str) -> Post:
    return Post(*json.loads(text))


def _site_of(path: Path) -> str:
    """Stack Exchange names archives `SITE.7z` or `SITE-Posts.7z`; people unpack them into a folder `SITE`."""
    for name in (path.name.removesuffix(".7z").removesuffix("-Posts"), path.resolve().parent.name):
        if _SITE.fullmatch(name):
            return name
    return ""


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with unpacked(path, "Posts.xml") if path.suffix == ".7z" else path.open("rb") as stream:
            yield cast(BinaryIO, stream)
    except OSError as error:
        raise RetrievalError(f"Cannot read {path}: {error}") from error
