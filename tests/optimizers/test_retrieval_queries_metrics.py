from pydoc_data.topics import topics

import dspy
import pytest

from synthwright.optimizers.metrics.retrieval_queries import HELD_OUT, METRIC, topics_of_passages
from synthwright.optimizers.seeds import shipped_seeds
from synthwright.programs.blocks.retrieval_queries import RetrievalQueries
from synthwright.retrieval import BM25, PythonDocs
from synthwright.signatures.retrieval import QueryRow
from synthwright.signatures.rows import Rejected

EXAMPLE = dspy.Example(question="early?", topics=[["break"], ["continue", "while"]]).with_inputs("question")


def passage(topic):
    """The id of a passage that holds only this topic's text."""
    return next(number for number, held in topics_of_passages().items() if held == {topic})


def row(*wanted):
    return QueryRow(question="early?", keywords=(), queries=("early?", "x"), titles=wanted, passage_ids=tuple(wanted))


def score(metric, *rows, rejected=()):
    return metric(EXAMPLE, dspy.Prediction(rows=list(rows), rejected=list(rejected)))


def test_more_of_the_wanted_topics_score_higher_and_earlier_ones_rank_higher():
    all_of_it, half, nothing = row(passage("break"), passage("continue")), row(passage("break")), row(passage("lambda"))
    assert score(METRIC, all_of_it).score == 0.99
    assert score(METRIC, half).score == 0.5
    assert score(METRIC, nothing).score == score(METRIC, row()).score == 0
    assert score(METRIC, all_of_it, nothing).score == 0.5
    late = row(passage("lambda"), passage("del"), passage("break"))
    assert score(HELD_OUT, half).score == 0.99
    assert score(HELD_OUT, late).score == pytest.approx(1 / 3)
    assert score(HELD_OUT, nothing).score == score(HELD_OUT).score == 0


def test_feedback_quotes_the_queries_what_they_found_and_what_was_wanted():
    lambda_ = passage("lambda")
    feedback = score(METRIC, row(lambda_)).feedback
    assert "the queries ['early?', 'x'] missed the topic 'break' and 'continue' or 'while'" in feedback
    assert lambda_ in feedback
    lost = Rejected(stage="name_keywords", reason="unparsable", detail="no JSON")
    assert "name_keywords: unparsable: no JSON" in score(METRIC, row(), rejected=[lost]).feedback
    assert score(METRIC).feedback == "Nothing was made."
    assert "Everything" in score(METRIC, row(passage("break"), passage("continue"))).feedback


def test_every_label_is_a_topic_of_this_python_and_has_a_passage():
    held = frozenset().union(*topics_of_passages().values())
    labels = {
        t for examples in shipped_seeds(RetrievalQueries()).values() for e in examples for g in e.topics for t in g
    }
    assert labels <= set(topics) and labels <= held


def test_plain_bm25_leaves_room_and_the_terms_of_the_reference_find_most():
    plain = RetrievalQueries(BM25(PythonDocs()), extract=False, expand=False)
    examples = [e for split in shipped_seeds(plain).values() for e in split]

    def mean(query_of):
        scores = [METRIC(e, plain(question=query_of(e))).score for e in examples]
        return sum(scores) / len(scores)

    as_asked = mean(lambda e: e.question)
    in_terms = mean(lambda e: " ".join(topics[group[0]].splitlines()[0] for group in e.topics))
    assert 0.15 < as_asked < 0.35 and in_terms > 0.7
