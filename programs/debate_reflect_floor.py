"""Holding one debate: rounds of answers, and what is said between them."""

import asyncio
import itertools
import random
from typing import TYPE_CHECKING, Any, Literal

from synthwright.errors import ParseError
from synthwright.programs.base import unparsable
from synthwright.programs.debate_reflect_leaks import redacted
from synthwright.programs.debate_reflect_trees import Limits, blocks_of, discussion, shortened
from synthwright.signatures.debate_reflect import Debate, Edge, Feedback, Node
from synthwright.signatures.rows import Rejected
from synthwright.verify import Verifier

if TYPE_CHECKING:
    from synthwright.programs.debate_reflect import DebateReflect

__all__ = ["Floor"]

_State = Literal["right", "wrong", "invalid"]


class Floor:
    """One debate on one question.

    Args:
        method: The generator with its agents, prompts and rules.
        topic: `question`, `gold`, `kind` and `answer_format` of the debate.
        verifier: Compares answers with the known one.
        draw: Number of the pass over the questions.

    Attributes:
        rejected: Replies that could not be used, and reflections that were dropped.
    """

    def __init__(self, method: "DebateReflect", topic: dict[str, Any], verifier: Verifier[Any], draw: int) -> None:
        self.method, self.topic, self.verifier, self.draw = method, topic, verifier, draw
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.rejected: list[Rejected] = []

    async def hold(self) -> Debate:
        """All rounds until the stopping rule or the last one."""
        method = self.method
        for number in range(method.rounds + 1):
            before = [node for node in self._at(number - 1) if node.state != "invalid"]
            now = await self._answers(number)
            self.edges += [Edge(kind="context", source=b.key, target=node.key) for node in now for b in before]
            self.nodes += now
            if stop := self._ended(now):
                return self._record(stop)
            if number < method.rounds:  # what would be said after the last round is read by nobody
                self.edges += await self._said(now)
        return self._record("rounds")

    def _at(self, number: int) -> list[Node]:
        return [node for node in self.nodes if node.round == number]

    def _record(self, stop: Literal["all_right", "students_right", "rounds"]) -> Debate:
        """The graph as it is now."""
        agents = tuple(self.method.agents)
        return Debate(
            **self.topic,
            students=tuple(agent for agent in agents if self.method.is_student(agent)),
            teachers=tuple(agent for agent in agents if not self.method.is_student(agent)),
            draw=self.draw,
            stop=stop,
            nodes=tuple(self.nodes),
            edges=tuple(self.edges),
        )

    def _ended(self, now: list[Node]) -> Literal["all_right", "students_right"] | None:
        rule = self.method.stop
        if rule == "never":
            return None
        judged = [node for node in now if rule == "all_right" or self.method.is_student(node.agent)]
        return rule if judged and all(node.state == "right" for node in judged) else None

    async def _answers(self, number: int) -> list[Node]:
        """The answers of all agents in one round.

        Agents whose reply cannot be read try again together, so that the samples are the same in every run.
        """
        method, stage = self.method, "answer_again" if number else "solve"
        inputs = {name: self.topic[name] for name in ("question", "answer_format")}
        prompts = dict.fromkeys(method.agents, inputs)
        if number:
            prompts = {agent: {**inputs, "discussion": self._discussion(number, agent)} for agent in method.agents}
        found: dict[str, Node] = {}
        for attempt in range(max(method.student_tries, method.teacher_tries)):
            waiting = [agent for agent in method.agents if agent not in found and attempt < method.tries_of(agent)]
            replies = await asyncio.gather(*(self._ask(stage, agent, prompts[agent]) for agent in waiting))
            for agent, reply in zip(waiting, replies, strict=True):
                content = {"question": self.topic["question"], "agent": agent, "round": number}
                if isinstance(reply, Exception):
                    self.rejected.append(unparsable(stage, reply, **content))
                    continue
                reasoning, given = reply.reasoning.strip(), reply.final_answer.strip()
                if not reasoning or not given:
                    content.update(reasoning=reasoning, final_answer=given)
                    self.rejected.append(Rejected(stage=stage, reason="empty_answer", content=content))
                    continue
                found[agent] = await self._judged(agent, number, reasoning, given)
        return [
            found.get(agent) or Node(agent=agent, round=number, state="invalid", verdict="no_reply")
            for agent in method.agents
        ]

    async def _judged(self, agent: str, number: int, reasoning: str, given: str) -> Node:
        verdict = await asyncio.to_thread(self.verifier, given, self.topic["gold"])  # formulas go to another process
        state: _State = "right" if verdict.ok else "invalid" if verdict.reason == "timeout" else "wrong"
        return Node(agent=agent, round=number, reasoning=reasoning, answer=given, state=state, verdict=verdict.reason)

    def _discussion(self, number: int, agent: str) -> str:
        """What one agent reads: all usable answers of the round before, shuffled, within the limit."""
        method = self.method
        blocks = blocks_of(self._record("rounds"), number - 1)
        random.Random(f"{method.seed}:{self.draw}:{number}:{agent}:{self.topic['question']}").shuffle(blocks)
        if method.discussion_tokens is not None and blocks:
            share = max(2, method.discussion_tokens // len(blocks))
            blocks = [shortened(block, method.count_tokens, Limits(share, share // 2, share)) for block in blocks]
        return discussion(blocks) or "None"

    async def _said(self, now: list[Node]) -> list[Edge]:
        """Reflections of the wrong, then critiques by each right agent of each wrong one: w + c * w calls."""
        right = [node for node in now if node.state == "right"]
        wrong = [node for node in now if node.state == "wrong"]
        asked: list[tuple[Literal["reflection", "feedback"], Node, Node, dict[str, str]]] = []
        for node in wrong if self.method.reflections else ():
            inputs = {"your_reasoning": node.reasoning, "your_answer": node.answer}
            asked.append(("reflection", node, node, {**inputs, "correct_answer": self.topic["gold"]}))
        for node, by in itertools.product(wrong, right) if self.method.critiques else ():
            inputs = {"your_reasoning": by.reasoning, "your_answer": by.answer}
            other = {"their_reasoning": node.reasoning, "their_answer": node.answer}
            asked.append(("feedback", by, node, {**inputs, **other}))
        replies = await asyncio.gather(
            *(
                self._ask("reflect" if kind == "reflection" else "critique", by.agent, inputs)
                for kind, by, _, inputs in asked
            )
        )
        edges = (self._edge(kind, by, node, reply) for (kind, by, node, _), reply in zip(asked, replies, strict=True))
        return [edge for edge in edges if edge is not None]

    def _edge(self, kind: Literal["reflection", "feedback"], by: Node, node: Node, reply: Any) -> Edge | None:
        """What was said as an edge; None if it was rejected."""
        stage, topic = "reflect" if kind == "reflection" else "critique", self.topic
        content = {"question": topic["question"], "by": by.key, "about": node.key}
        if isinstance(reply, Exception):
            self.rejected.append(unparsable(stage, reply, **content))
            return None
        said = Feedback(**{name: reply[name] for name in ("error_type", "wrong_part", "explanation", "advice")})
        content.update(said.model_dump())
        if not said.explanation.strip() and not said.advice.strip():
            self.rejected.append(Rejected(stage=stage, reason="empty_feedback", content=content))
            return None
        leaked = False
        if kind == "reflection":  # a critic is not told the answer: what it says is its own
            clean, leaked = redacted(said, topic["gold"], topic["question"], topic["kind"])
            if leaked and self.method.leaks == "drop":
                self.rejected.append(Rejected(stage=stage, reason="states_answer", content=content))
                return None
            said = clean if self.method.leaks == "redact" else said
        return Edge(kind=kind, source=by.key, target=node.key, feedback=said, leaked=leaked)

    async def _ask(self, predictor: str, agent: str, inputs: dict[str, str]) -> Any:
        """The reply of an agent's LM, or the error if it cannot be read."""
        lm = self.method.voice_of(agent).lm
        inputs = {"question": self.topic["question"], **inputs}
        try:
            return await getattr(self.method, predictor).acall(**inputs, **({"lm": lm} if lm is not None else {}))
        except ParseError as error:
            return error
