"""Every mistake says what happened and what to do, ends as documented, and leaves nothing half-done."""

import pytest
from conftest import AuEnv


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["metrics", "beef"], 1, ["No experiment matches `beef`", "hint: Run `au metrics`"]),
        (["metrics", "be"], 1, ["at least 4 characters"]),
        (["metrics", "@~99"], 1, ["more experiments than there are"]),
        (["metrics", "@x"], 2, ["`@x` is no selector"]),
        (["metrics", ","], 2, ["empty"]),
        (["metrcs"], 2, ["metrics"]),
        (["metrics", "--jsn"], 2, ["--json"]),
        (["-C", "/nowhere", "metrics"], 1, ["/nowhere"]),
    ],
)
def test_au(env: AuEnv, arguments: list[str], code: int, words: list[str]) -> None:
    before = env.everything()
    out = env.au(*arguments).failed(code, *words)
    assert out.stdout == ""
    assert env.everything() == before


def test_outside_a_project(bare: AuEnv) -> None:
    for command in ("metrics", "recover"):
        bare.au(command).failed(1, "belongs to no Aurum project", "hint: Run `au init`")


def test_an_ambiguous_prefix_names_the_candidates(env: AuEnv) -> None:
    env.script("au.register_metric(x=1)\n")
    env.python("src/experiment.py").ok()
    [tag] = env.tags()
    other = f"au/{tag[3:7]}0000-0000-4000-8000-000000000000"
    env.git("tag", other, tag)
    env.au("metrics", tag[3:7]).failed(1, "fits 2 experiments", "hint: Give more characters")


@pytest.mark.parametrize(
    ("call", "arguments", "exception", "words"),
    [
        ("au.parameters(lr=0.1, depth=3)", ["lrr=0.5"], "UnknownParameterError", ["Unknown parameters: `lrr`", "hint: ", "`lr`"]),
        ("au.parameters(epochs=3)", ["epochs=1e3"], "InvalidValueError", ["epochs", "hint: "]),
        ("au.parameters(lr=0.1)", ["lr=fast"], "InvalidValueError", ["lr=fast", "float"]),
        ("au.parameters(thing=object())", [], "InvalidValueError", ["thing"]),
        ("au.start(name='')", [], "InvalidValueError", ["name"]),
    ],
)
def test_mistakes_before_anything_is_recorded(
    env: AuEnv, call: str, arguments: list[str], exception: str, words: list[str]
) -> None:
    env.script(f"{call}\n")
    before = env.everything()
    out = env.python("src/experiment.py", *arguments).failed(1, exception, *words)
    assert out.stdout == ""
    assert env.everything() == before
    assert env.rows() == []


@pytest.mark.parametrize(
    ("call", "exception", "words"),
    [
        ("au.register_metric(accuracy=[0.1, 0.2])", "InvalidValueError", ["accuracy"]),
        ("au.log(loss='high')", "InvalidValueError", ["loss"]),
        ("au.log({'a\\nb': 1.0})", "InvalidValueError", ["control character"]),
        ("au.load_model('none')", "NoModelError", ["none", "hint: "]),
        ("au.load_model(experiment='beef')", "UnknownExperimentError", ["No experiment matches `beef`"]),
        ("au.nonsense", "AttributeError", ["nonsense"]),
    ],
)
def test_mistakes_in_a_call_raise_and_the_run_is_failed(env: AuEnv, call: str, exception: str, words: list[str]) -> None:
    env.script(f"au.log(fine=1.0)\n{call}\n")
    env.python("src/experiment.py").failed(1, exception, *words)
    assert env.rows()[0]["status"] == "failed"
    assert env.rows()[0]["metrics"] == {"fine": 1.0}


def test_a_failure_of_ours_warns_once_and_lets_the_script_finish(env: AuEnv) -> None:
    env.script("for i in range(5):\n    au.log(loss=i)\nau.save_model(b'x')\nprint('done')\n")
    (env.project / ".git/aurum").write_text("in the way of the journals\n")
    out = env.python("src/experiment.py").ok()
    assert out.stdout == "done\n"
    assert out.stderr.count("warning: ") == 1


def commits(env: AuEnv) -> set[str]:
    listed = env.git("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
    return {name for kind, name in map(str.split, listed.splitlines()) if kind == "commit"}


def test_a_finish_that_fails_says_that_nothing_is_lost(env: AuEnv) -> None:
    env.pin()
    env.script("au.log(loss=1.0)\n")
    twin = env.python("src/experiment.py").ok()
    assert twin.stderr == ""
    [tag] = env.tags()
    commit = env.git("rev-parse", tag)
    env.git("tag", "--delete", tag)
    env.git("update-ref", "-d", f"refs/aurum/running/{tag[3:]}")
    # git can't keep a reference below another.
    env.git("update-ref", f"refs/tags/{tag}/in-the-way", commit)
    before = commits(env)
    out = env.python("src/experiment.py").ok()
    assert "au recover" in out.stderr
    # That of another run: of the disk, something else is free by now. It was made, and then the tag could not be.
    [made] = commits(env) - before or {commit}
    env.git("update-ref", "-d", f"refs/tags/{tag}/in-the-way")
    # What `au` finishes is, to the byte, what Python would have.
    env.au("recover").ok()
    assert env.git("rev-parse", tag) == made
    assert commits(env) <= before | {made}
