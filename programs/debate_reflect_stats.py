"""What debates show: accuracy by round, corrections and corruptions, the worth of feedback, leaks, lengths."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from synthwright.signatures.debate_reflect import Debate, Node, answer_text

__all__ = ["DebateStats", "summary"]


@dataclass(frozen=True)
class DebateStats:
    """Rates in [0, 1] over a set of debates; None where there was nothing to count.

    Attributes:
        debates: Number of debates.
        accuracy: By agent, the share of right answers in each round, among the debates that had it.
        correction: Share of wrong answers that are right in the next round.
        corruption: Share of right answers that are wrong in the next round.
        with_pair: Share of debates with a pair or more.
        pairs: Mean number of pairs of a debate, before chunks.
        usefulness: Share of wrong answers that are right next if somebody else criticised them, minus that of the ones
            that nobody criticised; in [-1, 1].
        leaks: Share of reflections that stated the known answer.
        invalid: Share of answers that could not be read or compared.
        length_ratio: Median of the words of the chosen text over those of the rejected one.
    """

    debates: int
    accuracy: dict[str, tuple[float, ...]]
    correction: float | None
    corruption: float | None
    with_pair: float | None
    pairs: float | None
    usefulness: float | None
    leaks: float | None
    invalid: float | None
    length_ratio: float | None


def summary(debates: Sequence[Debate]) -> DebateStats:
    """The rates of some debates, such as the artifacts of a run."""
    nodes = [node for debate in debates for node in debate.nodes]
    moves = [move for debate in debates for move in _moves(debate)]
    reflections = [edge for debate in debates for edge in debate.edges if edge.kind == "reflection"]
    pairs = [_pairs(debate) for debate in debates]
    helped = _share(after for before, after, criticised in moves if before == "wrong" and criticised)
    alone = _share(after for before, after, criticised in moves if before == "wrong" and not criticised)
    ratios = [_words(chosen) / max(1, _words(rejected)) for each in pairs for chosen, rejected in each]
    return DebateStats(
        debates=len(debates),
        accuracy=_accuracy(nodes),
        correction=_share(after for before, after, _ in moves if before == "wrong"),
        corruption=_share(not after for before, after, _ in moves if before == "right"),
        with_pair=_share(bool(each) for each in pairs),
        pairs=sum(map(len, pairs)) / len(pairs) if pairs else None,
        usefulness=None if helped is None or alone is None else helped - alone,
        leaks=_share(edge.leaked for edge in reflections),
        invalid=_share(node.state == "invalid" for node in nodes),
        length_ratio=median(ratios) if ratios else None,
    )


def _moves(debate: Debate) -> Iterator[tuple[str, bool, bool]]:
    """(state, right in the next round, criticised by somebody) of answers that are followed by a usable one."""
    after = {(node.agent, node.round - 1): node for node in debate.nodes}
    criticised = {edge.target for edge in debate.edges if edge.kind == "feedback"}
    for node in debate.nodes:
        following = after.get((node.agent, node.round))
        if following is not None and "invalid" not in (node.state, following.state):
            yield node.state, following.state == "right", node.key in criticised


def _pairs(debate: Debate) -> list[tuple[Node, Node]]:
    rounds = [debate.at(number) for number in range(debate.rounds)]
    return [(a, b) for now in rounds for a in now if a.state == "right" for b in now if b.state == "wrong"]


def _accuracy(nodes: Sequence[Node]) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[list[bool]]] = {}
    for node in nodes:
        rounds = found.setdefault(node.agent, [])
        rounds += [[] for _ in range(node.round + 1 - len(rounds))]
        rounds[node.round].append(node.state == "right")
    return {agent: tuple(_share(states) or 0.0 for states in rounds) for agent, rounds in found.items()}


def _words(node: Node) -> int:
    return len(answer_text(node).split())


def _share(flags: Iterable[bool]) -> float | None:
    counted = list(flags)
    return sum(counted) / len(counted) if counted else None
