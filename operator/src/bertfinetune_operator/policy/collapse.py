"""What a run that learned nothing leads to: another trial, failure, or (None) a success like any other."""

from bertfinetune_operator.recipe import training_of
from bertfinetune_operator.record import rooted
from bertfinetune_operator.run import Run, Stage, Verdict


def verdict(run: Run) -> Verdict | None:
    """Another trial while `quality.maxRetries` allows it; the collapsed trial's result is kept whatever follows."""
    result, quality = run.result, run.obj.spec.quality
    if result is None or not result.collapsed or quality.on_collapse == "Accept":
        return None
    trials = run.status.trials or []
    if quality.on_collapse == "Fail" or len(trials) >= quality.max_retries:
        tried = f"all {len(trials) + 1} trials collapsed, the last one" if trials else "collapsed"
        message = f"{tried}: {result.collapse_reason}; see docs/stability.md of the trainer for what helps"
        return Verdict(Stage("Failed", "Collapsed", message))
    trial = len(trials) + 1
    seed = training_of(run.obj.spec.training, trial).seed
    message = f"{result.collapse_reason}; trial {trial + 1} of {quality.max_retries + 1} takes seed {seed} and AdamW"
    return Verdict(
        Stage("Retrying", "Collapsed", message),
        {"trials": [*trials, rooted(run, result)], "result": None, "progress": None, "next_attempt_time": run.now},
    )
