"""`au.experiment` and `au.experiments`: what was recorded, as objects."""

from __future__ import annotations

import sys

import pytest
from conftest import AuEnv

RUNS = """
for number, rate in enumerate([0.1, 0.01, float("inf")]):
    au.start(f"run {number}")
    au.parameters(rate=rate, layers=[1, 2])
    for step in range(3):
        au.log(loss=1 / (1 + step + number), step=step * 10)
    au.log(accuracy=float("nan") if number == 0 else number, huge=2**70)
    au.save_model(b"weights %d" % number)
    au.log_artifact(b"a,b", "table.csv")
    au.note("said")
    print("printed", number)
    au.end_experiment()
"""


@pytest.fixture
def ran(env: AuEnv) -> AuEnv:
    env.script(RUNS)
    env.python("src/experiment.py").ok()
    return env


def ask(env: AuEnv, program: str) -> None:
    """Has the program's assertions hold, with nothing said on the way."""
    out = env.python("-c", "import aurum as au, math\n" + program).ok()
    assert out.stderr == ""


def test_one_experiment_is_all_that_was_recorded(ran: AuEnv) -> None:
    ask(
        ran,
        """
one = au.experiment("run 1")
assert (one.name, one.status, one.script, one.problem) == ("run 1", "finished", "src/experiment.py", None)
assert one.parameters == {"rate": 0.01, "layers": [1, 2]}
assert one.metrics["accuracy"] == 1 and one.metrics["huge"] == 2**70 and one.metrics["loss"] == 0.25
assert one.started.tzinfo is not None and one.started <= one.ended
assert one.duration == (one.ended - one.started).total_seconds()
assert (one.tag, one.notes, one.models, one.artifacts) == (f"au/{one.id}", ["said"], ["model"], ["table.csv"])
assert len(one.commit) == 40 and one.record["metrics"]["loss"]["count"] == 3
assert (one.model(), one.artifact("table.csv")) == (b"weights 1", b"a,b")
assert one.log() == "printed 0\\n"[:0] + "printed 1\\n"
points = one.history("loss")
assert [(point.step, point.value) for point in points] == [(0, 0.5), (10, 1 / 3), (20, 0.25)]
assert points == one.history()["loss"] and list(one.history()) == ["loss", "accuracy", "huge"]
assert points[0].time <= points[-1].time
assert au.experiment().name == "run 2" and au.experiment("@~2").name == "run 0"
assert math.isnan(au.experiment("run 0").metrics["accuracy"]) and math.isnan(au.experiment("run 0").history("accuracy")[0].value)
assert au.experiment("run 2").parameters["rate"] == float("inf")
assert repr(one).startswith(f"<Experiment {one.id[:8]} 'run 1' finished accuracy=1 huge=")
assert au.experiment(one.id) == one and hash(au.experiment(one.tag)) == hash(one) and one != au.experiment()
""",
    )


def test_what_is_asked_for_wrongly_is_told(ran: AuEnv) -> None:
    ask(
        ran,
        """
def refused(kind, call, *words):
    try:
        call()
    except kind as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError("not refused")

one = au.experiment()
refused(KeyError, lambda: one.history("los"), "has the metrics accuracy, huge, loss")
refused(KeyError, lambda: one.model("other"), "has the models model")
refused(KeyError, lambda: one.artifact("x"), "has the artifacts table.csv")
refused(au.UnknownExperimentError, lambda: au.experiment("nobody"))
refused(au.UnknownExperimentError, lambda: au.experiments("loss > 0"), "No experiment matches `loss > 0`", "`where=`")
refused(au.AmbiguousExperimentError, lambda: au.experiment("@,@~1"))
refused(au.AurumError, lambda: au.experiments(where="loss >"))
""",
    )
    ran.run(sys.executable, "-c", "import aurum as au\ntry: au.experiment()\nexcept au.NotAProjectError: print('none')", cwd="..").ok()


def test_many_experiments_are_a_sequence_and_a_table(ran: AuEnv) -> None:
    ask(
        ran,
        """
every = au.experiments()
assert [one.name for one in every] == ["run 0", "run 1", "run 2"] and every[1] == au.experiment("run 1")
assert isinstance(every[:2], au.Experiments) and len(every[:2]) == 2
assert [one.name for one in au.experiments(where="accuracy > 0", sort="-accuracy")] == ["run 2", "run 1"]
assert [one.name for one in au.experiments("@~1,@", limit=1)] == ["run 2"]
html = every._repr_html_()
assert html.count("<tr>") == 4 and "run 1" in html and "<th>loss</th>" in html
assert au.experiments(where="loss > 100")._repr_html_().count("<tr>") == 1
""",
    )
    ran.script('au.start("<b>&")\nau.parameters(path="<script>")\n')
    ran.python("src/experiment.py").ok()
    ask(ran, "page = au.experiment()._repr_html_()\nassert '&lt;b&gt;&amp;' in page and '<script>' not in page")


def test_a_run_under_way_can_be_read_by_itself(env: AuEnv) -> None:
    env.script(
        """
import sys
au.start("mine")
au.log(loss=1.0)
print("half")
au.flush()
one = au.experiment("mine")
assert (one.status, one.ended, one.duration, one.tag, one.commit) == ("running", None, None, None, None)
assert one.metrics == {"loss": 1.0} and len(one.history("loss")) == 1 and one.log() == "half\\n"
assert [other.status for other in au.experiments()] == ["running"]
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""


def test_pandas_has_them_as_tables(ran: AuEnv) -> None:
    ask(
        ran,
        """
table = au.experiments().to_pandas()
assert list(table["parameters.rate"]) == [0.1, 0.01, float("inf")] and table.index.name == "id"
assert list(table["metrics.loss"]) == [1 / 3, 0.25, 0.2] and str(table["started"].dtype).startswith("datetime64")
values = au.experiment("run 0").to_pandas()
assert list(values.columns) == ["metric", "step", "value", "time"] and len(values) == 5
assert list(values[values.metric == "loss"].step) == [0, 10, 20]
""",
    )


def test_importing_costs_nothing_that_is_not_needed(env: AuEnv) -> None:
    out = env.python("-c", "import sys, aurum; print(sorted({'numpy', 'pandas', 'json', 'datetime', 'subprocess'} & {*sys.modules}))")
    assert out.ok().stdout == "[]\n"
