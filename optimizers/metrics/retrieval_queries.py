"""Metrics of retrieval queries: do the k passages found hold the topics that answer a question? No LM is called.

The labels are ours: 61 questions in plain words, which avoid the terms of the reference, each with the topics of
Python's own language reference that answer it (field `topics` of `optimizers/data/retrieval_queries.jsonl`). A label is
a list of groups, and of a group any topic will do. A passage holds a topic by its text, not by its title: some topics
contain others, and `PythonDocs` keeps of equal passages one.
"""

from functools import cache

import dspy

from synthwright.optimizers.metrics.blocks import capped
from synthwright.retrieval import PythonDocs

__all__ = ["HELD_OUT", "METRIC", "first_rank", "relevance", "topics_of_passages"]

FEEDBACK_LINES = 6

HALF = 0.5
"""A passage holds a topic if half of its lines are the topic's, or half of the topic's lines are in it."""


def relevance(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Recall at k: share of the label's groups with a topic among the passages found, meaned over the draws.

    The feedback quotes the queries that missed, what they found instead, and what was wanted.
    """
    scores, lines = [], []
    for row in pred.rows:
        found = frozenset().union(*_topics_found(row))
        missed = [group for group in example.topics if not found & set(group)]
        scores.append(1 - len(missed) / len(example.topics))
        if missed:
            wanted = " and ".join(" or ".join(map(repr, group)) for group in missed)
            lines.append(
                f"For {row.question!r} the queries {list(row.queries)} missed the topic {wanted} and found only "
                f"{list(row.titles)}."
            )
    lines += [f"{reject.stage}: {reject.reason}: {reject.detail}" for reject in pred.get("rejected") or []]
    score = sum(scores) / len(scores) if scores else 0.0
    feedback = "\n".join(lines[:FEEDBACK_LINES]) or ("Everything wanted was found." if scores else "Nothing was made.")
    return dspy.Prediction(score=capped(score), feedback=feedback)


def first_rank(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Reciprocal rank of the first passage that holds a wanted topic, 0 if there is none, meaned over the draws."""
    wanted = {topic for group in example.topics for topic in group}
    ranks = []
    for row in pred.rows:
        ranks.append(next((rank for rank, found in enumerate(_topics_found(row), 1) if found & wanted), None))
    score = sum(1 / rank if rank else 0.0 for rank in ranks) / len(ranks) if ranks else 0.0
    return dspy.Prediction(score=capped(score), feedback=f"Rank of the first wanted passage in each draw: {ranks}.")


@cache
def topics_of_passages() -> dict[str, frozenset[str]]:
    """For each passage of `PythonDocs` by its id, the topics that it holds."""
    from pydoc_data.topics import topics

    lines = {topic: _lines(text) for topic, text in topics.items()}
    held = {}
    for passage in PythonDocs():
        own = _lines(passage.text)
        shared = {topic: len(own & wanted) for topic, wanted in lines.items()}
        held[passage.id] = frozenset(
            topic for topic, n in shared.items() if n and (n >= HALF * len(own) or n >= HALF * len(lines[topic]))
        )
    return held


def _topics_found(row) -> list[frozenset[str]]:
    held = topics_of_passages()
    return [held.get(number, frozenset()) for number in row.passage_ids]


def _lines(text: str) -> frozenset[str]:
    """The lines of a text that say something: no blank ones, rules or single words."""
    plain = (" ".join(line.split()) for line in text.splitlines())
    return frozenset(line for line in plain if len(line) > 20 and any(map(str.isalpha, line)))


METRIC = relevance
HELD_OUT = first_rank
