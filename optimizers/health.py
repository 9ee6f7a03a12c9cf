"""What a few scored seeds tell about the LM and the metric, before a budget is spent on them."""

from collections import Counter
from collections.abc import Sequence

from synthwright.errors import ConfigError
from synthwright.optimizers.scoring import Draw, Metric, Scored, judge, metric_name

__all__ = ["check_metric", "examine"]


def check_metric(metric: Metric, scored: Sequence[Scored]) -> float:
    """See that a metric can tell draws apart.

    Args:
        metric: The metric.
        scored: A few seeds that it scored.

    Returns:
        What it gives to draws without any row.

    Raises:
        ConfigError: It raises for an empty list of rows, or gives one and the same score, not 0, to all seeds and to
            an empty list.
    """
    nothing, _ = judge(metric, scored[0].example, [Draw()])
    scores = {each.score for each in scored}
    made = any(draw.rows for each in scored for draw in each.draws)
    if made and len(scored) > 1 and scores == {nothing} and nothing > 0:
        raise ConfigError(
            f"The metric {metric_name(metric)} is constant: it gave {nothing:g} to all of the first {len(scored)} "
            "seeds, and to a list without rows as well. No search can be guided by it."
        )
    return nothing


def examine(metric: Metric, scored: Sequence[Scored], nothing: float) -> list[str]:
    """What the user should know of the LM and the metric, in sentences; empty if all is well.

    Args:
        metric: The metric.
        scored: The test seeds with the prompts as given.
        nothing: What the metric gives to draws without any row.
    """
    name, found = metric_name(metric), []
    scores = {each.score for each in scored}
    mean = sum(each.score for each in scored) / len(scored)
    all_draws = [draw for each in scored for draw in each.draws]
    if not any(draw.rows or draw.artifacts for draw in all_draws):
        reasons = Counter(f"{reject.stage}: {reject.reason}" for draw in all_draws for reject in draw.rejected)
        why = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3)) or "nothing was rejected"
        found.append(f"No draw of the {len(scored)} test seeds gave a row with the prompts as given: {why}.")
    elif len(scored) > 1 and len(scores) == 1:
        found.append(f"The metric {name} gave {mean:g} to all {len(scored)} test seeds: there is no slope to climb.")
    if nothing > 0 and nothing >= mean:
        found.append(f"The metric {name} gives {nothing:g} to a list without rows: failing is rewarded.")
    if _identical(scored):
        found.append(
            "All draws of each seed are identical: the LM samples at temperature 0, or a cache answers. Diversity is "
            "not measured."
        )
    return found


def _identical(scored: Sequence[Scored]) -> bool:
    """Whether several draws with rows were made of each seed and all gave the same."""
    several = [each.draws for each in scored if len(each.draws) > 1 and each.draws[0].rows]
    return bool(several) and all(
        [row.id for row in draw.rows] == [row.id for row in draws[0].rows] for draws in several for draw in draws
    )
