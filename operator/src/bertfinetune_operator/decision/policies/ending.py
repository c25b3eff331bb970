"""What the end of an attempt means: success, the next trial, the next attempt or failure."""

from bertfinetune_operator.decision.policies import collapse, retry
from bertfinetune_operator.decision.situation import Situation, Stage, Verdict


def verdict(situation: Situation) -> Verdict | None:
    """A Job's end counts only once its last pod's end is seen too: the pod carries the result or the reason.

    The trainer's own end decides. A sidecar that goes on keeps the Job from its end, and one that failed spoils it.
    """
    pod = situation.pod
    if situation.next_attempt_time or (pod and pod.is_alive and not pod.is_lost(situation.now)):
        return None
    if situation.job is None:  # deleted after its pod left a result: there is nothing left to do
        return _finished(situation) if situation.result else None
    if pod and pod.decides(situation.now):
        return retry.verdict(situation, situation.job) if pod.failure else _finished(situation)
    match situation.job.state:
        case "Complete":
            return _finished(situation)
        case "Failed":
            return retry.verdict(situation, situation.job)
    return None


def _finished(situation: Situation) -> Verdict:
    return collapse.verdict(situation) or Verdict(_succeeded(situation))


def _succeeded(situation: Situation) -> Stage:
    result = situation.result
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
