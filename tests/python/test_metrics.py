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
