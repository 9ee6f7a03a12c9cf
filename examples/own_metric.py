"""Your own metric: a function that scores the list of rows drawn for one seed, and says what was wrong.

Score what can be checked first, keep it below 1, divide by what was asked for, and quote failures: optimizers
learn from that. Here: a riddle must not name its word, must be short, and two draws must not be the same.
"""

import dspy
from riddles import Riddles

import synthwright as sw

WORDS = ("candle", "snow", "river")


def fair_riddle(
    example: dspy.Example,
    pred: dspy.Prediction,
    trace: object = None,
    pred_name: str | None = None,
    pred_trace: object = None,
) -> dspy.Prediction:
    """Mean over the draws of: hides the word, at most 40 words; times the share of different riddles."""
    asked = max(1, len(pred.rows) + len(pred.rejected))
    scores, complaints = [], []
    for row in pred.rows:
        hidden = row.word.lower() not in row.riddle.lower()
        short = len(row.riddle.split()) <= 40
        scores.append((hidden + short) / 2)
        if not hidden:
            complaints.append(f"It names {row.word!r}: {row.riddle[:80]!r}")
        if not short:
            complaints.append(f"It has more than 40 words: {row.riddle[:80]!r}")
    different = len({row.riddle for row in pred.rows}) / asked
    return dspy.Prediction(
        score=0.99 * sum(scores) / asked * different, feedback="\n".join(complaints) or "All riddles are fair."
    )


if __name__ == "__main__":
    seeds = [{"word": word} for word in WORDS]
    print(sw.evaluate(Riddles(), fair_riddle, seeds, k=2, out="runs/own-metric").report())
