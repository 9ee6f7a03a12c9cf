"""How much a set of texts repeats itself: by compression, and by the templates that it is built on."""

import re
import zlib
from collections import defaultdict
from collections.abc import Sequence

from synthwright.optimizers.metrics.blocks import STOP_WORDS

__all__ = ["compression_ratio", "repeated_templates", "template_rate", "variety_by_compression"]

_TOKEN = re.compile(r"[a-z']+|\d+|[^\w\s]")
GAP = "_"
RUN = 6
"""Tokens of a template. Shaib et al. look at 4 to 8 part-of-speech tags."""


def compression_ratio(texts: Sequence[str]) -> float:
    """Bytes of the texts over bytes when they are compressed together; the higher, the more they repeat.

    Source: Shaib et al., 2024, arXiv:2403.00553, with zlib at level 9. It grows with the amount of text: compare sets
    of about the same size only.

    Returns:
        The ratio; 1 without any text.
    """
    raw = "\n".join(texts).encode("utf-8", "surrogatepass")
    if not raw:
        return 1.0
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return len(raw) / len(compressor.compress(raw) + compressor.flush())


def variety_by_compression(texts: Sequence[str]) -> float:
    """What the texts, compressed together, take of what they take one by one, in [0, 1]: less, the more they share.

    Short sentences about different things, which share letters and function words, give about 0.75; equal ones about
    one over their number.

    Returns:
        The share; 1 for fewer than two texts.
    """
    texts = [text for text in texts if text.strip()]
    if len(texts) < 2:
        return 1.0
    alone = sum(_size(text) for text in texts)
    return min(1.0, _size("\n".join(texts)) / alone)


def template_rate(texts: Sequence[str], length: int = RUN) -> float:
    """Share of the texts that are built on a template which another text is built on too, in [0, 1].

    A template is a run of function words and punctuation with gaps where content words stand, such as
    `write a _ about the _`; see `repeated_templates`.

    Args:
        texts: The texts.
        length: Tokens of a run, 2 or more, gaps included.
    """
    if len(texts) < 2:
        return 0.0
    found = repeated_templates(texts, length)
    built = {index for places in found.values() for index in places}
    return len(built) / len(texts)


def repeated_templates(texts: Sequence[str], length: int = RUN) -> dict[str, list[int]]:
    """The templates that occur in more than one text, each with the texts, most common first.

    After Shaib et al., 2024, arXiv:2407.00211, who take part-of-speech tags; here content words are gaps and the other
    words stay, which needs no tagger. Half of a run must be words or punctuation.

    Args:
        texts: The texts.
        length: Tokens of a run, 2 or more.
    """
    if length < 2:
        raise ValueError(f"`length` must be at least 2, got {length!r}.")
    places: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        tokens = [_masked(token) for token in _TOKEN.findall(text.lower())]
        runs = {tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}
        for run in runs:
            if 2 * run.count(GAP) <= length:
                places[" ".join(run)].append(index)
    repeated = {run: found for run, found in places.items() if len(found) > 1}
    return dict(sorted(repeated.items(), key=lambda item: (-len(item[1]), item[0])))


def _masked(token: str) -> str:
    return token if token in STOP_WORDS or not token[0].isalnum() else GAP


def _size(text: str) -> int:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return len(compressor.compress(text.encode("utf-8", "surrogatepass")) + compressor.flush())
