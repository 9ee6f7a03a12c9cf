"""Metrics of DebateReflect: do answers get better, is what is said honest, and are the pairs sound? No LM is called."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import dspy

from synthwright.optimizers.metrics.blocks import capped
from synthwright.programs.debate_reflect import mentions_others
from synthwright.programs.debate_reflect_questions import verifier_for
from synthwright.signatures.debate_reflect import DebateRow

__all__ = ["HELD_OUT", "METRIC", "progress", "sound_rows"]

FEEDBACK_LINES = 6
LENGTHS = (0.5, 2.0)
"""Chosen over rejected, in words: outside of this, length alone tells the better answer."""

FIELDS = ("course", "reflections", "leaks", "feedback", "quoted", "question")


@dataclass(frozen=True)
class Course:
    """How one debate went, as its rows and rejects tell it."""

    question: str
    states: dict[str, str]  # agent to one letter a round: r right, w wrong, - invalid
    reflections: int
    leaks: int
    feedback: int
    quoted: int

    def moves(self) -> Iterator[tuple[str, int, str, str]]:
        """(agent, round, state before, state after) of all answers that followed a readable one and were readable."""
        for agent, states in self.states.items():
            for number, (before, after) in enumerate(pairwise(states), 1):
                if "-" not in (before, after):
                    yield agent, number, before, after


def progress(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Readable answers, times how right they end and how they move, times what is said being honest.

    Over all debates of the draws: share of readable answers; mean of the share of agents that are right in the last
    round and of correction minus corruption (wrong then right, right then wrong, each as a share of what could move,
    scaled to [0, 1]); faithfulness: what was said quotes words that are there, and reflections do not state the known
    answer. Feedback names what failed; `pred_name` limits it to one predictor.
    """
    debates, lost = _courses(pred), _lost(pred)
    if not debates:
        lines = [line for name, line in lost if pred_name in (None, name)]
        return dspy.Prediction(score=0.0, feedback="\n".join(lines[:FEEDBACK_LINES]) or "There was no debate.")
    letters = "".join(states for debate in debates for states in debate.states.values())
    unread = sum(name in ("solve", "answer_again") for name, _ in lost)
    readable = sum(letter != "-" for letter in letters) / (len(letters) + unread)
    last = [states[-1] for debate in debates for states in debate.states.values()]
    accuracy = last.count("r") / len(last)
    quality = readable * (accuracy + _movement(debates, accuracy)) / 2 * _faithfulness(debates, lost)
    lines = [line for name, line in [*lost, *_complaints(debates)] if pred_name in (None, name)]
    return dspy.Prediction(
        score=capped(quality), feedback="\n".join(lines[:FEEDBACK_LINES]) or "All end right, and nothing is given away."
    )


def sound_rows(example, pred, trace=None, pred_name=None, pred_trace=None) -> dspy.Prediction:
    """Mean over the debates of the share of their rows that are sound; a debate without rows counts 0.

    A row is sound if the chosen text, read again as a whole, holds the known answer; a rejected text does not; neither
    speaks of a discussion; and of a pair neither text is more than twice as long as the other.
    """
    shares: dict[str, list[bool]] = {debate_id: [] for debate_id in _ids(pred)}
    lines = []
    for row in pred.rows:
        failure = _failure(row)
        shares[row.debate_id].append(failure is None)
        if failure:
            lines.append(f"{row.kind} of round {row.round}: {failure}: {row.question[:80]!r}")
    lines += [f"no row from {debate.question[:80]!r}: {debate.states}" for debate in _courses(pred) if not pred.rows]
    score = sum(sum(share) / len(share) for share in shares.values() if share) / len(shares) if shares else 0.0
    return dspy.Prediction(score=capped(score), feedback="\n".join(lines[:FEEDBACK_LINES]) or "All rows are sound.")


def _courses(pred: Any) -> list[Course]:
    """The debates of all draws, each once."""
    found: dict[str, Course] = {}
    records = [row.model_dump() for row in pred.rows] + [reject.content for reject in pred.get("rejected") or []]
    for record in records:
        if "debate_id" in record and "course" in record:
            states = dict(part.split("=") for part in record["course"].split())
            rest = {name: record[name] for name in FIELDS if name != "course"}
            found.setdefault(record["debate_id"], Course(states=states, **rest))
    return list(found.values())


def _ids(pred: Any) -> list[str]:
    dropped = [r.content["debate_id"] for r in pred.get("rejected") or [] if "debate_id" in r.content]
    return list(dict.fromkeys([*(row.debate_id for row in pred.rows), *dropped]))


def _lost(pred: Any) -> list[tuple[str, str]]:
    """(predictor, complaint) of every reply that could not be used."""
    found = []
    for reject in pred.get("rejected") or []:
        if reject.stage in ("solve", "answer_again", "reflect", "critique"):
            shown = (
                reject.content.get("reply") or reject.content.get("explanation") or reject.content.get("final_answer")
            )
            about = str(reject.content.get("question", ""))[:80]
            found.append((reject.stage, f"{reject.stage} of {about!r}: {reject.reason}: {str(shown or '')[:160]!r}"))
    return found


def _movement(debates: list[Course], accuracy: float) -> float:
    """Correction minus corruption in [0, 1]; where nothing could move, the share that is right."""
    moves = [(before, after) for debate in debates for _, _, before, after in debate.moves()]
    if not moves:
        return accuracy
    shares = []
    for before, after in (("w", "r"), ("r", "w")):
        able = [move for move in moves if move[0] == before]
        shares.append(sum(move[1] == after for move in able) / len(able) if able else 0.0)
    return (1 + shares[0] - shares[1]) / 2


def _faithfulness(debates: list[Course], lost: list[tuple[str, str]]) -> float:
    """Half for quoting what is there, half for not giving the answer away; 1 if nothing was said."""
    said = sum(debate.feedback for debate in debates) + sum(name in ("reflect", "critique") for name, _ in lost)
    reflected = sum(debate.reflections for debate in debates) + sum(name == "reflect" for name, _ in lost)
    leaks = sum(debate.leaks for debate in debates) + sum(name == "reflect" for name, _ in lost)
    quoted = sum(debate.quoted for debate in debates) / said if said else 1.0
    return 0.5 + 0.25 * quoted + 0.25 * (1 - leaks / reflected if reflected else 1.0)


def _complaints(debates: list[Course]) -> Iterator[tuple[str, str]]:
    for debate in debates:
        about = f"{debate.question[:80]!r}"
        if debate.leaks:
            yield "reflect", f"{debate.leaks} of {debate.reflections} reflections state the correct answer: {about}"
        if debate.quoted < debate.feedback:
            line = f"only {debate.quoted} of {debate.feedback} quote words that stand in the answer: {about}"
            yield "reflect", f"reflections and critiques: {line}"
            yield "critique", f"reflections and critiques: {line}"
        for agent, number, before, after in debate.moves():
            if (before, after) == ("r", "w"):
                yield "answer_again", f"{agent} was right and is wrong in round {number}: {about}"
            elif (before, after) == ("w", "w"):
                for name in ("answer_again", "reflect", "critique"):
                    yield name, f"{agent} stays wrong in round {number} in spite of what was said: {about}"
        for agent, states in debate.states.items():
            if states.startswith("w"):
                yield "solve", f"{agent} starts with a wrong answer: {about}"


def _failure(row: DebateRow) -> str | None:
    """What is wrong with a row, or None."""
    found = verifier_for(row.question, row.gold, row.answer_kind)
    if found is not None and not found[1](row.chosen, row.gold).ok:
        return f"the chosen text does not give {row.gold!r}: {row.chosen[-80:]!r}"
    for text in (row.chosen, row.rejected):
        if words := mentions_others(text, row.question):
            return f"speaks of {words!r}"
    if row.kind == "pair":
        if found is not None and found[1](row.rejected, row.gold).ok:
            return f"the rejected text gives {row.gold!r}: {row.rejected[-80:]!r}"
        ratio = len(row.chosen.split()) / max(1, len(row.rejected.split()))
        if not LENGTHS[0] <= ratio <= LENGTHS[1]:
            return f"the chosen text is {ratio:.1f} times as long as the rejected one"
    return None


METRIC = progress
HELD_OUT = sound_rows
