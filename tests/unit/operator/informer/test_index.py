from bertfinetune_operator.decision.views import ProgressView, view_progress
from bertfinetune_operator.informer.index import Index, Key, key_of
from support import builders as make
from support.builders import RESULT, RUNNING, TAINTED, ended, report


def filled() -> Index:
    index = Index()
    for raw in (make.pod(), make.job(), make.bertfinetune()):
        index.put(raw)
    return index


def test_children_find_their_object_in_any_order() -> None:
    entry = filled().get(make.KEY)
    assert entry
    assert entry.obj
    assert [job.name for job in entry.observed().jobs] == ["minimal-11111111"]
    assert [pod.name for pod in entry.observed().pods] == ["pod-1"]


def test_an_older_version_never_replaces_a_newer_one() -> None:
    index = Index()
    for version, phase in (("9", "old"), ("10", "new"), ("9", "old")):
        index.put(make.bertfinetune({"phase": phase}, resourceVersion=version))
    assert [obj["status"]["phase"] for obj in index.objects()] == ["new"]


def test_a_job_created_again_replaces_the_deleted_one() -> None:
    index = Index()
    index.put(make.job())
    again = make.job()
    again["metadata"] |= {"uid": "another", "resourceVersion": "1"}
    index.put(again)
    index.discard(make.job())
    entry = index.get(make.KEY)
    assert entry
    assert [job.uid for job in entry.jobs.values()] == ["another"]


def test_strangers_are_not_believed() -> None:
    index = Index()
    job = make.job()
    job["metadata"]["ownerReferences"] = [{"uid": make.UID}]
    index.put(job)
    pod = make.pod()
    pod["metadata"]["namespace"] = "elsewhere"
    index.put(pod)
    entry = index.get(make.KEY)
    assert entry is None or not (entry.jobs or entry.pods)
    unlabelled = make.pod()
    del unlabelled["metadata"]["labels"]
    assert key_of(unlabelled) is None
    index.put(unlabelled)
    index.discard(unlabelled)


def progress(step: int) -> ProgressView:
    view = view_progress(report("Training", step))
    assert view
    return view


def test_nothing_is_left_of_what_was_deleted() -> None:
    index = filled()
    assert index.report(make.KEY, "pod-1", progress(1))
    for raw in (make.bertfinetune(), make.pod(), make.job(), make.job()):
        index.discard(raw)
    assert index.get(make.KEY) is None


def test_a_report_is_news_once_and_only_of_a_known_pod() -> None:
    index = filled()
    assert index.report(make.KEY, "pod-1", progress(1))
    assert not index.report(make.KEY, "pod-1", progress(1))
    assert index.report(make.KEY, "pod-1", progress(2))
    assert not index.report(make.KEY, "pod-2", progress(2))
    assert not index.report(Key("research", "unknown"), "pod-1", progress(2))


def test_only_running_pods_with_an_address_are_asked() -> None:
    index = Index()
    index.put(make.bertfinetune())
    index.put(make.pod("a", RUNNING, podIP="10.0.0.1"))
    index.put(make.pod("b", RUNNING))
    index.put(make.pod("c", ended(0), podIP="10.0.0.2"))
    assert [(key, pod.name, pod.ip) for key, pod in index.running()] == [(make.KEY, "a", "10.0.0.1")]


def test_what_nobody_reads_is_not_kept() -> None:
    index = Index()
    index.put(make.bertfinetune(managedFields=[{"manager": "kubectl"}], annotations={"a": "b"}))
    entry = index.get(make.KEY)
    assert entry
    assert entry.obj
    assert entry.obj["spec"]["task"] == "MRPC"
    assert not {"managedFields", "annotations"} & set(entry.obj["metadata"])


def test_of_a_finished_run_only_its_end_and_its_jobs_are_kept() -> None:
    index = filled()
    index.report(make.KEY, "pod-1", progress(1))
    ttl = {"ttlSecondsAfterFinished": 60}
    status = {"phase": "Succeeded", "completionTime": "2026-01-02T03:09:00Z", "result": {"accuracy": 0.8}}
    index.put(make.bertfinetune(status | {"conditions": [{}], "message": "long"}, ttl, resourceVersion="7"))
    index.put(make.pod("late"))
    entry = index.get(make.KEY)
    assert entry
    assert entry.obj
    assert (entry.pods, entry.reports) == ({}, {})
    assert list(entry.jobs) == ["minimal-11111111"]
    assert entry.obj["status"] == status
    assert entry.obj["spec"].keys() == {"task", "model", "ttlSecondsAfterFinished"}
    index.discard(make.pod())


def test_only_what_looks_different_is_news() -> None:
    index = Index()
    assert index.put(make.bertfinetune())
    assert not index.put(make.bertfinetune())
    assert index.put(make.bertfinetune({"phase": "Running"}, resourceVersion="2"))
    for raw in (make.pod(), make.job()):
        assert index.put(raw)
        raw["metadata"] |= {"resourceVersion": "9", "managedFields": [{}]}
        assert not index.put(raw)
    assert index.put(make.job(suspended=True) | {"metadata": make.job()["metadata"] | {"resourceVersion": "10"}})
    assert not index.put(make.job())  # an older one


def test_a_failed_pod_is_remembered_until_the_status_tells_of_it() -> None:
    """Pod garbage collection marks the pod of a lost node as failed and deletes it in the same moment."""
    index = filled()
    lost = make.pod(phase="Failed", conditions=[TAINTED])
    lost["metadata"]["resourceVersion"] = "5"
    index.discard(lost)
    entry = index.get(make.KEY)
    assert entry
    assert [(pod.gone, pod.failure and pod.failure.class_) for pod in entry.pods.values()] == [(True, "NodeLost")]
    recorded = {"phase": "Retrying", "lastFailure": {"pod": "pod-1"}}
    index.put(make.bertfinetune(recorded, resourceVersion="2"))
    assert entry.pods == {}
    index.put(make.pod())
    index.discard(lost)
    assert entry.pods == {}


def test_nothing_is_remembered_of_a_pod_that_did_not_fail_or_whose_object_is_gone() -> None:
    index = filled()
    index.discard(make.pod(state=ended(0, RESULT)))
    entry = index.get(make.KEY)
    assert entry
    assert entry.pods == {}
    index.discard(make.pod(state=ended(70)))
    assert list(entry.pods) == ["pod-1"]
    index.discard(make.bertfinetune())
    index.discard(make.job())
    index.discard(make.pod(state=ended(70)))
    assert index.get(make.KEY) is None
