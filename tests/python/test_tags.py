"""`au.tag` and `au.group`: words to find experiments by."""

from __future__ import annotations

from conftest import AuEnv


def test_tags_and_groups_are_recorded_shown_and_found(env: AuEnv) -> None:
    env.script(
        """
au.start("base", tags=["baseline", "paper"], group="sweep")
au.tag("paper", "späth")
au.end_experiment()
with au.run("second", tags="one word", group="sweep"):
    au.group("other")
@au.run(tags=("a", "b"))
def third(): ...
third()
au.tag("fourth")
au.end_experiment()

one = au.experiment("base")
assert (one.tags, one.group, one.parent) == (["baseline", "paper", "späth"], "sweep", None), one.tags
assert [found.tags for found in au.experiments(where="tag = b or tag ~ 'one *'")] == [["one word"], ["a", "b"]]
assert one == au.experiments(where="group = sweep")[0] and one.children() == ()
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    rows = {row.get("name"): row for row in env.rows()}
    assert (rows["base"]["tags"], rows["base"]["group"]) == (["baseline", "paper", "späth"], "sweep")
    assert (rows["second"]["tags"], rows["second"]["group"]) == (["one word"], "other")
    assert rows["third"]["tags"] == ["a", "b"] and "group" not in rows["third"] and "tags" not in rows["second"].get("parameters")
    assert [line.split()[0] for line in env.au("metrics", "--where", "tags = paper").ok().stdout.splitlines()[1:]] == [rows["base"]["id"][:8]]
    shown = env.au("show", "base").ok().stdout.splitlines()
    assert "group       sweep" in shown and "tags        baseline, paper, späth" in shown
    record = env.record(f"au/{rows['base']['id']}")
    assert (record["tags"], record["group"]) == (["baseline", "paper", "späth"], "sweep")
    [heading, *_] = env.au("metrics").ok().stdout.splitlines()
    assert heading.split()[:4] == ["id", "name", "group", "tags"]


def test_a_run_under_way_has_them_and_so_have_its_children(env: AuEnv) -> None:
    env.script(
        """
import os
au.tag("outer")
if os.fork() == 0:
    au.tag("inner")
    au.group("child's")
    os._exit(0)
os.wait()
[row] = au.metrics(where="tag = inner and tag = outer and status = running")
assert (row["tags"], row["group"]) == (["inner", "outer"], "child's")
"""
    )
    assert env.python("src/experiment.py").ok().stderr == ""
    assert env.rows()[0]["tags"] == ["inner", "outer"]


def test_mistakes_are_raised_and_nothing_is_begun(env: AuEnv) -> None:
    env.script(
        """
for call in (
    lambda: au.start(tags=[""]),
    lambda: au.start(tags=[1]),
    lambda: au.start(group="a\\nb"),
    lambda: au.start(tags=map(str, range(101))),
):
    try:
        call()
    except au.AurumError as error:
        print(str(error).splitlines()[0])
assert au.metrics() == []
au.tag("x" * 256)
try:
    au.tag("x" * 257)
except au.InvalidValueError as error:
    print(str(error).splitlines()[0])
au.tag(*map(str, range(100)))
"""
    )
    out = env.python("src/experiment.py").ok()
    long = "x" * 40
    assert out.stdout.splitlines() == [
        "The name `` of a tag is empty",
        "A tag is text, not an object of type `int`",
        "The name `a\\nb` of a group holds a control character",
        "There is no room for more tags: 100 are the most of an experiment",
        f"The name `{long}` of a tag is longer than 256 bytes",
    ]
    # One too many in the middle of a training does not end it.
    assert out.stderr.count("There is no room for more tags: 100 are the most of an experiment") == 1
    assert env.rows()[0]["tags"] == ["x" * 256]


def test_where_nothing_is_recorded_they_do_nothing(env: AuEnv) -> None:
    env.script("au.start(tags=['x'], group='y')\nau.tag('x')\nau.group('y')\n")
    assert env.python("src/experiment.py", env={"AURUM_MODE": "disabled"}).ok().stderr == ""
    assert env.rows() == []
