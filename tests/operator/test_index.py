from bertfinetune_operator.index import Index, Key, key_of
from golden import builders as make


def filled() -> Index:
    index = Index()
    for raw in (make.pod(), make.job(), make.bertfinetune()):
        index.put(raw)
    return index


def test_children_find_their_object_in_any_order() -> None:
    entry = filled().get(make.KEY)
    assert entry
    assert entry.obj
    assert entry.observed().job
    assert [pod.name for pod in entry.observed().pods] == ["pod-1"]


def test_an_older_version_never_replaces_a_newer_one() -> None:
    index = Index()
    for version, phase in (("9", "old"), ("10", "new"), ("9", "old")):
        index.put(make.bertfinetune({"phase": phase}, resourceVersion=version))
    assert [obj["status"]["phase"] for obj in index.objects()] == ["new"]


def test_a_job_created_again_replaces_the_deleted_one() -> None:
    index = Index()
    index.put(make.job())
    again = make.job(active=1)
    again["metadata"] |= {"uid": "another", "resourceVersion": "1"}
    index.put(again)
    index.discard(make.job())
    entry = index.get(make.KEY)
    assert entry
    assert entry.job
    assert entry.job["metadata"]["uid"] == "another"


def test_strangers_are_not_believed() -> None:
    index = Index()
    job = make.job()
    job["metadata"]["ownerReferences"] = [{"uid": make.UID}]
    index.put(job)
    pod = make.pod()
    pod["metadata"]["namespace"] = "elsewhere"
    index.put(pod)
    entry = index.get(make.KEY)
    assert entry is None or (entry.job is None and not entry.pods)
    unlabelled = make.pod()
    del unlabelled["metadata"]["labels"]
    assert key_of(unlabelled) is None
    index.put(unlabelled)
    index.discard(unlabelled)


def test_nothing_is_left_of_what_was_deleted() -> None:
    index = filled()
    assert index.report(make.KEY, "pod-1", {"step": 1})
    for raw in (make.bertfinetune(), make.pod(), make.job(), make.job()):
        index.discard(raw)
    assert index.get(make.KEY) is None


def test_a_report_is_news_once_and_only_of_a_known_pod() -> None:
    index = filled()
    assert index.report(make.KEY, "pod-1", {"step": 1})
    assert not index.report(make.KEY, "pod-1", {"step": 1})
    assert index.report(make.KEY, "pod-1", {"step": 2})
    assert not index.report(make.KEY, "pod-2", {"step": 2})
    assert not index.report(Key("research", "unknown"), "pod-1", {"step": 2})


def test_only_running_pods_with_an_address_are_asked() -> None:
    index = Index()
    index.put(make.bertfinetune())
    index.put(make.pod("a", phase="Running", podIP="10.0.0.1"))
    index.put(make.pod("b", phase="Running"))
    index.put(make.pod("c", phase="Succeeded", podIP="10.0.0.2"))
    assert [(key, pod["metadata"]["name"]) for key, pod in index.running()] == [(make.KEY, "a")]


def test_what_nobody_reads_is_not_kept() -> None:
    index = Index()
    index.put(make.bertfinetune(managedFields=[{"manager": "kubectl"}], annotations={"a": "b"}))
    index.put(make.pod() | {"spec": {"nodeName": "node-a", "containers": []}})
    entry = index.get(make.KEY)
    assert entry
    assert entry.obj
    assert entry.obj["spec"]["task"] == "MRPC"
    assert not {"managedFields", "annotations"} & set(entry.obj["metadata"])
    assert entry.pods["pod-1"]["spec"] == {"nodeName": "node-a"}
