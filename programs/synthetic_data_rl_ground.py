"""What the samples of Synthetic Data RL are made from: keywords, passages, and the pattern of the examples."""

from typing import Literal, Protocol

import dspy

from synthwright.errors import ParseError
from synthwright.programs.base import unparsable
from synthwright.programs.synthetic_data_rl_library import clean, find
from synthwright.programs.synthetic_data_rl_tasks import Task
from synthwright.retrieval import Retriever, neutralise
from synthwright.signatures.rows import Rejected
from synthwright.signatures.synthetic_data_rl import Ground, PassageText

__all__ = ["SHOWN", "Settings", "ground"]

SHOWN = 3
"""Examples that a prompt shows, and 50 that are summarised: section 4.1 and the released code."""

SUMMARISED = 50


class Settings(Protocol):
    """What it needs of its program; `SyntheticDataRL` says what they mean."""

    task: Task
    grounding: Literal["required", "preferred", "none"]
    synonyms: bool
    passages: int
    passage_chars: int
    seed: int
    sources: list[Retriever]
    name_keywords: dspy.Predict
    write_queries: dspy.Predict
    summarize: dspy.Predict


async def ground(program: Settings, subject: str, retrieve: bool) -> dspy.Prediction:
    """Keywords of the task, passages for them, and the pattern of its examples: steps 1 to 3.

    Args:
        program: Its predictors and arguments are used.
        subject: Subject of the task, or empty.
        retrieve: Whether to search for passages.
    """
    rejected: list[Rejected] = []
    keywords = program.task.keywords
    about = f"{program.task.description} Subject: {subject}." if subject else program.task.description
    examples = [example.text for example in program.task.examples[:SUMMARISED]]
    if retrieve and not keywords:
        try:
            text = "\n\n".join([about, *examples[:SHOWN]])
            keywords = clean((await program.name_keywords.acall(text=text)).keywords)
        except ParseError as error:
            rejected.append(unparsable("name_keywords", error, text=about))
    queries = keywords
    if retrieve and program.synonyms and keywords:
        try:
            written = (await program.write_queries.acall(query=" ".join(keywords))).queries
            queries = clean([*keywords, *written])
        except ParseError as error:
            rejected.append(unparsable("write_queries", error, keywords=list(keywords)))
    passages: tuple[PassageText, ...] = ()
    if retrieve:
        place = (program.passages, program.sources, program.passage_chars, f"{program.seed}:{subject}")
        passages = await find(queries, *place)
        if not passages and program.grounding == "preferred":  # the definition's own words, before doing without
            queries = (about,)
            passages = await find(queries, *place)
        if not passages:
            detail = f"no passage for {', '.join(queries)[:200]!r}"
            rejected.append(Rejected(stage="retrieve", reason="nothing_found", detail=detail))
    pattern = ""
    if examples:
        ask = {"task": about, "question_format": program.task.question_format, "samples": examples}
        try:
            reply = await program.summarize.acall(**ask, answer_format=program.task.answer_format)
            pattern = neutralise(reply.pattern.strip())
        except ParseError as error:
            rejected.append(unparsable("summarize", error, task=program.task.name))
        quoted = [e.question for e in program.task.examples if e.question.casefold() in pattern.casefold()]
        if quoted and pattern:
            content = {"pattern": pattern}
            rejected.append(Rejected(stage="summarize", reason="quotes_sample", detail=quoted[0], content=content))
            pattern = ""
    made = Ground(subject=subject, keywords=keywords, queries=queries, pattern=pattern, passages=passages)
    return dspy.Prediction(rows=[], rejected=rejected, artifacts=[made])
