"""What a run that learned nothing leads to: another trial, failure, or (None) a success like any other."""

from bertfinetune_operator.decision.next_status import rooted
from bertfinetune_operator.decision.situation import Situation, Stage, Verdict
from bertfinetune_operator.manifests.recipe import training_of


def verdict(situation: Situation) -> Verdict | None:
    """Another trial while `quality.maxRetries` allows it; the collapsed trial's result is kept whatever follows."""
    result, quality = situation.result, situation.obj.spec.quality
    if result is None or not result.collapsed or quality.on_collapse == "Accept":
        return None
    trials = situation.status.trials or []
    if quality.on_collapse == "Fail" or len(trials) >= quality.max_retries:
        tried = f"all {len(trials) + 1} trials collapsed, the last one" if trials else "collapsed"
        message = f"{tried}: {result.collapse_reason}; see docs/stability.md of the trainer for what helps"
        return Verdict(Stage("Failed", "Collapsed", message))
    trial = len(trials) + 1
    seed = training_of(situation.obj.spec.training, trial).seed
    message = f"{result.collapse_reason}; trial {trial + 1} of {quality.max_retries + 1} takes seed {seed} and AdamW"
    return Verdict(
        Stage("Retrying", "Collapsed", message),
        {
            "trials": [*trials, rooted(situation, result)],
            "result": None,
            "progress": None,
            "next_attempt_time": situation.now,
        },
    )
