from bertfinetune_generators import metrics_table
from lab.cluster.layout import PROJECT


def test_the_page_of_the_metrics_is_current() -> None:
    assert (PROJECT / "operator/docs/metrics.md").read_text() == metrics_table.page()
