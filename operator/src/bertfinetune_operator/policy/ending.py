"""What the end of an attempt means: success, the next trial, the next attempt or failure."""

from bertfinetune_operator.policy import collapse, retry
from bertfinetune_operator.run import Run, Stage, Verdict


def verdict(run: Run) -> Verdict | None:
    """A Job's end counts only once its last pod's end is seen too: the pod carries the result or the reason.

    The trainer's own end decides. A sidecar that goes on keeps the Job from its end, and one that failed spoils it.
    """
    pod = run.pod
    if run.next_attempt_time or (pod and pod.is_alive and not pod.is_lost(run.now)):
        return None
    if run.job is None:  # deleted after its pod left a result: there is nothing left to do
        return _finished(run) if run.result else None
    if pod and pod.decides(run.now):
        return retry.verdict(run, run.job) if pod.failure else _finished(run)
    match run.job.state:
        case "Complete":
            return _finished(run)
        case "Failed":
            return retry.verdict(run, run.job)
    return None


def _finished(run: Run) -> Verdict:
    return collapse.verdict(run) or Verdict(_succeeded(run))


def _succeeded(run: Run) -> Stage:
    result = run.result
    if result is None:
        return Stage(
            "Succeeded", "ResultMissing", "no readable result was left behind: see result.json in the output folder"
        )
    scores = {
        "accuracy": result.accuracy,
        "mismatched": result.accuracy_mismatched,
        "F1": result.f1,
        "Matthews": result.matthews,
        "Pearson": result.pearson,
        "Spearman": result.spearman,
    }
    parts = [f"{name} {score:.4f}" for name, score in scores.items() if score is not None]
    collapsed = [f"collapsed: {result.collapse_reason}"] if result.collapsed else []
    return Stage("Succeeded", "Succeeded", ", ".join(parts + collapsed))
