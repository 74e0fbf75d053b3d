"""`au metrics`: selectors, the table, JSON."""

import json

from conftest import AuEnv


def three_runs(env: AuEnv) -> list[str]:
    env.script("au.parameters(a=1, same='x')\nau.register_metric(accuracy=au.a / 4)\nau.end_experiment()\n")
    for value in (1, 2, 3):
        env.python("src/experiment.py", f"a={value}").ok()
    return [row["id"] for row in env.rows()]


def test_selectors(env: AuEnv) -> None:
    ids = three_runs(env)

    def chosen(*selectors: str) -> list[str]:
        return [row["id"] for row in env.rows(*selectors)]

    assert chosen() == ids
    assert chosen(ids[1]) == [ids[1]]
    assert chosen(f"{ids[0]},{ids[2]}") == [ids[0], ids[2]]
    assert chosen(ids[0], ids[2]) == [ids[0], ids[2]]
    assert chosen(ids[0][:8]) == [ids[0]]
    assert chosen("@") == [ids[2]]
    assert chosen("@~1") == [ids[1]]
    assert chosen(f"au/{ids[1]}") == [ids[1]]


def test_the_table_shows_what_differs(env: AuEnv) -> None:
    ids = three_runs(env)
    table = env.au("metrics").ok().stdout
    header, *lines = table.splitlines()
    assert "accuracy" in header and "a" in header.split() and "same" not in header
    assert [line.split()[0] for line in lines if line.strip()] == [identifier[:8] for identifier in ids]
    assert "0.25" in lines[0] and "finished" in lines[0]
    assert "same" in env.au("metrics", "--all").ok().stdout
    assert "\x1b" not in table


def test_the_table_fits_the_terminal(env: AuEnv) -> None:
    names = ", ".join(f"metric_number_{n}={n}" for n in range(40))
    env.script(f"au.register_metric({names})\n")
    env.python("src/experiment.py").ok()
    out = env.au("metrics", env={"COLUMNS": "80"}).ok()
    assert all(len(line) <= 80 for line in out.stdout.splitlines())
    assert "not shown" in out.stderr


def test_json_is_exact_and_empty_is_a_list(env: AuEnv) -> None:
    assert env.au("metrics", "--json").ok().stdout.strip() == "[]"
    out = env.au("metrics").ok()
    assert out.stdout == "" and "hint: " in out.stderr
    env.script("au.register_metric(x=0.1 + 0.2, n=2**53 + 1)\n")
    env.python("src/experiment.py").ok()
    [row] = json.loads(env.au("metrics", "--json").ok().stdout)
    assert row["metrics"] == {"x": 0.1 + 0.2, "n": 2**53 + 1}


def test_a_broken_record_hides_no_other(env: AuEnv) -> None:
    [first, *_] = three_runs(env)
    env.git("tag", "au/00000000-0000-4000-8000-000000000000", "HEAD")
    out = env.au("metrics", "--json").ok()
    assert first in out.stdout and len(json.loads(out.stdout)) == 3
    assert "00000000-0000-4000-8000-000000000000" in out.stderr


def five_runs(env: AuEnv) -> list[str]:
    """Runs whose accuracy is a quarter of `a`; the fourth of them failed."""
    env.write("data.csv", "1\n")
    env.au("data", "add", "data.csv").ok()
    env.script(
        "au.parameters(a=1, opt='Adam', pretrained=False)\n"
        "au.register_metrics({'accuracy': au.a / 4, 'val/loss': 1 / au.a})\n"
        "assert au.a != 4, 'no fours'\n"
    )
    for value in (3, 1, 2, 4, 3):
        code = env.python("src/experiment.py", f"a={value}", f"opt={'sgd' if value == 2 else 'Adam'}").code
        assert code == (value == 4)
    return [row["id"] for row in env.rows()]


def test_conditions_choose(env: AuEnv) -> None:
    ids = five_runs(env)
    digest = json.loads(env.au("data", "ls", "--json").ok().stdout)[0]["digest"]

    def where(condition: str, *more: str) -> list[int]:
        return [ids.index(row["id"]) for row in env.rows("--where", condition, *more)]

    assert where("accuracy > 0.5") == [0, 3, 4]
    assert where("accuracy >= 0.5 and a < 4 AND status = finished") == [0, 2, 4]
    assert where("accuracy > 0.5", "@,@~1,@~2") == [3, 4]
    assert where("val/loss < 0.4 and not (a = 4 or opt in (sgd))") == [0, 4]
    assert where("opt ~ ADA and problem ~ fours") == [3]
    assert where("data = data.csv") == where(f"data = {digest[:16]}") == [0, 1, 2, 3, 4]
    assert where("data != data.csv or pretrained or exists nonsense") == []
    assert where("started >= 1h ago and started >= yesterday and duration < 1h and script ~ *.py") == [0, 1, 2, 3, 4]
    assert where("started < 2020-01-01") == []
    assert where(f"id = {ids[1][:8]} or tag = au/{ids[2]}") == [1, 2]


def test_sorting_and_limits(env: AuEnv) -> None:
    ids = five_runs(env)

    def chosen(*arguments: str) -> list[int]:
        return [ids.index(row["id"]) for row in env.rows(*arguments)]

    assert chosen("--sort", "accuracy") == [1, 2, 0, 4, 3]
    assert chosen("--sort", "-accuracy") == chosen("--sort=-accuracy") == chosen("--sort", "val/loss") == [3, 0, 4, 2, 1]
    assert chosen("--sort", "-accuracy", "--limit", "2") == [3, 0]
    assert chosen("--limit", "2") == [3, 4]
    assert chosen("--sort", "-started", "--limit", "2", "--where", "a = 3") == [4, 0]
    assert chosen("--sort", "problem", "--limit", "1") == [3]
    table = env.au("metrics", "--sort", "-accuracy", "--limit", "2").ok().stdout.splitlines()
    assert [line.split()[0] for line in table[1:]] == [ids[3][:8], ids[0][:8]]
    env.au("metrics", "--limit", "0").failed(2, "--limit")


def test_mistakes_in_conditions_are_shown_where_they_are(env: AuEnv) -> None:
    three_runs(env)
    out = env.au("metrics", "--where", "größe > 1 && accuracy > 0.5").failed(2)
    assert out.stdout == ""
    assert out.stderr == "error: `&&` has no meaning here\n  größe > 1 && accuracy > 0.5\n            ^^\nhint: Write `and`\n"
    env.au("metrics", "--sort", "data").failed(2, "\n  data\n  ^^^^\n")
    # A condition that can't be understood is told wherever it is.
    env.au("metrics", "--where", "accuracy >", "nosuch").failed(2, "The condition ends where a value is due")
    hostile = env.au("metrics", "--where", "a = \x1b[2J\u202e").failed(2)
    assert "\x1b" not in hostile.stderr and "\u202e" not in hostile.stderr


def test_names_that_no_experiment_has_are_warned_of(env: AuEnv) -> None:
    three_runs(env)
    out = env.au("metrics", "--where", "acuracy > 0.5").ok()
    assert out.stdout == "" and "No experiment meets the condition" in out.stderr
    assert "No experiment has the metric or parameter `acuracy`\nhint: Did you mean `accuracy`?" in out.stderr
    assert env.au("metrics", "--where", "acuracy > 0.5", "--json").ok().stdout.strip() == "[]"
    out = env.au("metrics", "--sort", "metric.a").ok()
    assert "No experiment has the metric `a`\nhint: Write `param.a`" in out.stderr and out.stdout
    assert env.au("metrics", "--where", "accuracy > 0.5").ok().stderr == ""


def test_python_has_conditions_too(env: AuEnv) -> None:
    ids = five_runs(env)
    env.script(
        "rows = au.metrics(where='accuracy > 0.5', sort='-accuracy', limit=2)\n"
        "print(*(row['id'] for row in rows))\n"
        "try:\n    au.metrics(where='a = ')\nexcept au.AurumError as error:\n    print(error)\n",
        "src/read.py",
    )
    out = env.python("src/read.py").ok().stdout
    assert out == f"{ids[3]} {ids[0]}\nThe condition ends where a value is due\n  a =\n      ^\n"
