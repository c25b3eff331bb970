"""The measurements of one small benchmark with both peers, in round numbers."""

from lab.bench.operator.results import ControlledRun, OurRun, Process, Requests, Restart, Results, Run, Scrape

STATUS = "patch bertfinetunes/status"
PROGRAMS = {"etcd": 1.0, "kube-apiserver": 4.0}
LISTS = Requests({"list jobs": 1})
OURS = OurRun(
    *(100, 1.0, 10.0, PROGRAMS),
    Process(0.5, 70.0, 71.5, Requests({STATUS: 200, "create jobs": 100, "list pods": 2})),
    median_ms=50.0,
    p99_ms=99.0,
    scrape=Scrape(0.12, 2.3, 0.006),
    restart=Restart(1.5, 0.7, 80.0, LISTS),
)
OPERATOR = ControlledRun(100, 1.0, 40.0, PROGRAMS, Process(1.0, 40.0, 50.0, Requests({"create services": 500})))
TRAINER = ControlledRun(
    100, 1.0, 20.0, PROGRAMS, Process(1.5, 60.0, 90.0, Requests({"patch jobsets": 700, "get jobsets": 50}))
)
RESULTS = Results(Run(100, 1.0, 8.0, PROGRAMS), OURS, {"training-operator": OPERATOR, "trainer": TRAINER})
