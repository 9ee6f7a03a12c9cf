"""Which candidates become rows, and in which order; and where their right options stand. Pure functions."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from synthwright.errors import ConfigError
from synthwright.programs.synthetic_data_rl_checks import letters_of
from synthwright.signatures.synthetic_data_rl import SyntheticRow, lettered

__all__ = ["Selection", "least_used", "paper_score", "rearranged", "select", "unfit"]

Selection = Literal["hardest", "ranked", "half", "easiest", "weighted", "all"]
"""`hardest`: 0 < p < 1, ascending (released code). `ranked`: all, ascending by the score of Eq. 7, so that rows that
are never or always solved come last (paper). `easiest`: 0 < p < 1, descending (the paper's ablation). `weighted`:
0 < p < 1, drawn with probability proportional to 1 - p (an unused option of the released code). `half`: 0 < p < 1,
those nearest to 1/2 first (ours: neither paper nor code prefers them). `all`: in the order in which they were made."""


def paper_score(rate: float) -> float:
    """The score of Eq. 7: the pass rate, or 1 if it is 0, so that impossible rows sort last beside trivial ones."""
    return rate if rate > 0 else 1.0


def unfit(row: SyntheticRow, selection: Selection) -> str | None:
    """Why a candidate cannot be selected, as `reason: detail`, or None."""
    if row.score is None or selection in ("ranked", "all") or 0 < row.score < 1:
        return None
    word = "never" if row.score == 0 else "always"
    doubt = f"; not to be trusted: {', '.join(row.flags)}" if row.flags else ""
    return f"{word}_solved: {round(row.score * row.attempts_n)} of {row.attempts_n} draws{doubt}"


def select(rows: Iterable[SyntheticRow], selection: Selection, seed: str = "") -> list[SyntheticRow]:
    """The candidates that may become rows, best first. Rows without a pass rate keep their order, after the others.

    Args:
        rows: Candidates in the order in which they were made, which breaks ties.
        selection: The rule.
        seed: Fixes the draw of `weighted`.

    Raises:
        ConfigError: There is no such rule.
    """
    fit = [row for row in rows if unfit(row, selection) is None]
    match selection:
        case "hardest" | "ranked":
            return sorted(fit, key=lambda row: 2.0 if row.score is None else paper_score(row.score))
        case "easiest":
            return sorted(fit, key=lambda row: 2.0 if row.score is None else -row.score)
        case "half":
            return sorted(fit, key=lambda row: 2.0 if row.score is None else abs(row.score - 0.5))
        case "weighted":  # Efraimidis and Spirakis, 2006: u^(1/w), descending, is sampling without replacement
            return sorted(fit, key=lambda row: _key(row, seed))
        case "all":
            return fit
    raise ConfigError(f"There is no selection {selection!r}.")


def _key(row: SyntheticRow, seed: str) -> float:
    if row.score is None:
        return 2.0
    return -(random.Random(f"{seed}:{row.id}").random() ** (1 / (1 - row.score)))


def least_used(used: Counter[str], options: int, seed: str) -> int:
    """The place of the next right option: the letter used least, ties drawn by the seed; it is counted at once.

    So the letters of rows that are put forward one after another differ by at most one in number.
    """
    letters = letters_of(options)
    fewest = min(used[letter] for letter in letters)
    letter = random.Random(seed).choice([letter for letter in letters if used[letter] == fewest])
    used[letter] += 1
    return letters.index(letter)


def rearranged(row: SyntheticRow, place: int, seed: str) -> SyntheticRow:
    """The row with its right option at a place and the others shuffled. `asked` keeps the order that was solved.

    Args:
        row: A row of the kind `choice`.
        place: Position of the right option, from 0.
        seed: Fixes the order of the others.
    """
    right = letters_of(len(row.options)).index(row.answer)
    others: Sequence[str] = [option for index, option in enumerate(row.options) if index != right]
    order = random.Random(f"{seed}:{row.id}").sample(others, len(others))
    options = (*order[:place], row.options[right], *order[place:])
    stem = row.question.removesuffix(lettered("", row.options)).rstrip("\n")
    changes = {"question": lettered(stem, options), "options": options, "answer": letters_of(len(options))[place]}
    return row.model_copy(update=changes)
