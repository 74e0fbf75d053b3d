"""One question, four hosts: the command line, Python, the ES module, and the component in Node through jco, a host that
Aurum does not come with. The same records give the same rows, and the same mistake the same words."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import AuEnv, Result, left_out

ROOT = Path(__file__).parents[2]
NODE = ROOT / "tests/node"

Ask = Callable[..., Result]

# As JSON again, with the words of `docs/record-format.md` for floats that JSON lacks.
ASK_PYTHON = """
import json, math, sys
import aurum
try:
    selector, where, sort, limit = [word or None for word in [*sys.argv[1:], "", "", "", ""][:4]]
    rows = aurum.metrics(selector, where=where, sort=sort, limit=limit and int(limit))
except aurum.AurumError as error:
    sys.exit(f"error: {error}")
def word(value):
    return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
def lacking(values):
    return [name for name, value in values.items() if isinstance(value, float) and not math.isfinite(value)]
for row in rows:
    row["metrics"] |= {name: word(row["metrics"][name]) for name in lacking(row["metrics"])}
    row["parameters"] |= {name: {"$float": word(row["parameters"][name])} for name in lacking(row["parameters"])}
print(json.dumps(rows))
"""


def build(*command: str | Path, cwd: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=1800)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session")
def node() -> str:
    """Node 20 or newer."""
    program = shutil.which("node")
    if program is None:
        left_out("there is no Node")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < 20:
        left_out(f"Node is older than 20: {version}")
    return program


@pytest.fixture(scope="session")
def ask_module(node: str) -> Ask:
    """Asks the ES module, which gets nothing but the records."""
    build("make", "js")

    def ask(env: AuEnv, *selector: str) -> Result:
        records = "".join(env.git("show", f"{tag}:.au/experiments/{tag.removeprefix('au/')}/record.json") for tag in env.tags())
        command = [node, str(NODE / "viewer.mjs"), str(ROOT / "target/js"), *selector]
        done = subprocess.run(command, input=records, env=env.environment, capture_output=True, text=True, timeout=120)
        return Result(done.returncode, done.stdout, done.stderr)

    return ask


@pytest.fixture(scope="session")
def component(node: str) -> Callable[..., Result]:
    """Runs a program of `tests/node`, which holds the component."""
    if shutil.which("npm") is None:
        left_out("there is no npm")
    locked, installed = NODE / "package-lock.json", NODE / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        build("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=NODE)
    build(node, "transpile.mjs", cwd=NODE)
    return lambda env, program, *arguments: env.run(node, NODE / program, *arguments)


@pytest.fixture(scope="session")
def ask_component(component: Callable[..., Result]) -> Ask:
    return lambda env, *selector: component(env, "query.mjs", env.project, *selector)


@pytest.fixture(scope="session")
def ask_python() -> Ask:
    return lambda env, *selector: env.python("-c", ASK_PYTHON, *selector)


@pytest.fixture(params=["python", "module", "component"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Each host beside the command line."""
    host: Ask = request.getfixturevalue(f"ask_{request.param}")
    return host


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> AuEnv:
    """A project with three runs, one of them failed."""
    root = tmp_path_factory.mktemp("parity")
    env = AuEnv(root, root / "project")
    env.au("init").ok()
    env.script(
        "au.start(name='déjà vu')\n"
        "au.parameters(rate=0.1, seed=2**53 + 1, limit=float('inf'), optimizer='naïve \"Adam\"')\n"
        "au.register_metrics({'précision ☃ 🚀': 0.1 + 0.2, 'a b': -0.0})\n"
        "au.register_metric(odd=2**53 + 1, huge=-10**39, one=1.0, tiny=5e-324, big=1e300)\n"
    )
    env.python("src/experiment.py", "rate=1e-7").ok()
    env.script(
        "for step in range(3):\n    au.log(loss=1 / (step + 1))\n"
        "au.register_metric(nothing=float('nan'), most=float('inf'), least=float('-inf'))\n"
        "raise ValueError('ça ne va pas 💥')\n"
    )
    assert env.python("src/experiment.py").code == 1
    env.script("au.parameters('layers')\n", "src/déjà/deux.py")
    env.python("src/déjà/deux.py", "layers=[1, 18446744073709551617]").ok()
    return env


def exact(text: str) -> str:
    """The JSON without its layout: an integer is not a float here, nor rounded to one."""
    return json.dumps(json.loads(text), sort_keys=True)


def test_every_host_gives_the_same_rows(recorded: AuEnv, ask: Ask) -> None:
    ids = [row["id"] for row in recorded.rows()]
    selectors = [ids[1], ids[1][:8], f"{ids[0]},{ids[2]}", f"au/{ids[0]}, {ids[1][:13]}", "@", "@~1", "déjà vu"]
    for selector in [(), *((selector,) for selector in selectors)]:
        expected = recorded.au("metrics", "--json", *selector).ok().stdout
        assert exact(ask(recorded, *selector).ok().stdout) == exact(expected), selector


CONDITIONS = [
    ("odd = 9007199254740993 and seed != 9007199254740992", "", ""),
    ("'précision ☃ 🚀' > 0.3 or nothing = nan", "-duration", ""),
    ("started >= 1h ago and script ~ *deux.py", "", ""),
    ("not status = failed", "-started", "1"),
    ("", "loss", "2"),
]


@pytest.mark.parametrize(("condition", "sort", "limit"), CONDITIONS)
def test_every_host_finds_the_same(recorded: AuEnv, ask: Ask, condition: str, sort: str, limit: str) -> None:
    options = {"--where": condition, "--sort": sort, "--limit": limit}
    given = [word for option, value in options.items() if value for word in (option, value)]
    expected = json.loads(recorded.au("metrics", "--json", *given).ok().stdout)
    assert 0 < len(expected) < 3
    assert json.loads(ask(recorded, "", condition, sort, limit).ok().stdout) == expected


@pytest.mark.parametrize("condition", ["précision & x", "status = finishd", "started > 7d", "'☃ 🚀"])
def test_a_mistake_is_shown_at_the_same_place(recorded: AuEnv, ask: Ask, condition: str) -> None:
    expected = recorded.au("metrics", "--where", condition).failed(2, "error: ", condition, "^", "hint: ")
    answer = ask(recorded, "", condition)
    assert (answer.code, answer.stdout, answer.stderr) == (1, "", expected.stderr)


def test_the_rows_are_worth_comparing(recorded: AuEnv) -> None:
    first, second, third = recorded.rows()
    assert first["name"] == "déjà vu"
    parameters = {"rate": 1e-7, "seed": 2**53 + 1, "limit": {"$float": "Infinity"}, "optimizer": 'naïve "Adam"'}
    assert first["parameters"] == parameters
    odd = {"odd": 2**53 + 1, "huge": -(10**39), "one": 1.0, "tiny": 5e-324, "big": 1e300}
    assert first["metrics"] == odd | {"précision ☃ 🚀": 0.1 + 0.2, "a b": 0.0}
    assert second["status"] == "failed" and "ça ne va pas 💥" in second["problem"]
    assert second["metrics"] == {"loss": 1 / 3, "nothing": "NaN", "most": "Infinity", "least": "-Infinity"}
    assert third["script"] == "src/déjà/deux.py" and third["parameters"]["layers"] == [1, 2**64 + 1]


@pytest.mark.parametrize("selector", ["nosuch", "3f", "0123456789", "@~9", "@,né"])
def test_an_unknown_selector_is_told_in_the_same_words(recorded: AuEnv, ask: Ask, selector: str) -> None:
    expected = recorded.au("metrics", "--json", selector).failed(1, "error: ", "hint: ")
    answer = ask(recorded, selector)
    assert (answer.code, answer.stdout, answer.stderr) == (1, "", expected.stderr)


def test_a_lost_run_is_read_from_its_journal(env: AuEnv, ask_python: Ask, ask_component: Ask) -> None:
    env.script("au.parameters(a=2**53 + 1)\nau.log(loss=0.5)\nprint('here', flush=True)\nimport time\ntime.sleep(600)\n")
    run = env.start(sys.executable, "src/experiment.py")
    assert run.stdout is not None and run.stdout.readline() == "here\n"
    run.kill()
    run.communicate()
    [row] = env.rows()
    assert row["status"] == "lost" and row["metrics"] == {"loss": 0.5} and row["parameters"] == {"a": 2**53 + 1}
    for ask in (ask_python, ask_component):
        assert exact(ask(env).ok().stdout) == exact(json.dumps([row]))


def test_what_a_host_refuses_ends_in_a_typed_failure(env: AuEnv, component: Callable[..., Result]) -> None:
    before = env.everything()
    refused = json.loads(component(env, "refused.mjs", env.project).ok().stdout)
    assert refused["init"]["kind"] == "already-a-project"
    assert refused["start"]["kind"] == "denied" and "`journal`" in refused["start"]["message"]
    assert refused["download"]["kind"] == "denied" and "example.org" in refused["download"]["message"]
    assert refused["load"]["kind"] == "unknown-experiment"
    assert env.everything() == before

    empty = env.root / "empty"
    empty.mkdir()
    refused = json.loads(component(env, "refused.mjs", empty).ok().stdout)
    assert refused["init"]["kind"] == "denied" and "`repository-edit`" in refused["init"]["message"]
    assert list(empty.iterdir()) == []
