"""The page that Aurum is made after, block by block: what it prints is typed as printed, in its order, in one project.

Each test goes on where the one before it ended. Two things stand for what a test can't have: for the network, servers on
loopback under the true name; for a person at an editor, an `emacs` that writes what the test has drafted.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from buckets import buckets
from conftest import AuEnv, Result, left_out
from servers import Answer, Website, website
from shelves import shelves

HOST = "archive.ics.uci.edu"
PATH = "/ml/machine-learning-databases/adult/adult.data"
OUTSIDE = b"x,y\n1,2\n"
#: The page uses it and leaves its import out.
PICKLE = "import pickle\n"
MODEL = b"the model of exp_tag"


def adult(rows: int) -> bytes:
    """Looks like the census of 1994."""
    line = "{}, State-gov, {}, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, United-States, {}\n"
    return "".join(line.format(17 + n % 70, 77516 + n, ["<=50K", ">50K"][n % 4 == 0]) for n in range(rows)).encode()


ADULT = adult(500)
#: What the experiment named `exp_tag` prints.
TOLD = "Parameter a = 0.01\n500 people\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    with website(HOST, {PATH: Answer(ADULT)}, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory, site: Website) -> AuEnv:
    """Where the page is followed. It makes the project itself."""
    root = tmp_path_factory.mktemp("spec")
    env = AuEnv(root, root / "newproject")
    env.project.rmdir()
    (root / "home/.wgetrc").write_text(f"ca_certificate = {site.authority}\n")
    (root / "outside").mkdir()
    (root / "outside/dataset.csv").write_bytes(OUTSIDE)
    programs = root / "programs"
    programs.mkdir()
    (programs / "emacs").write_text('#!/bin/sh\ncat "$DRAFT" > "$1"\n')
    (programs / "emacs").chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), env.environment["PATH"]])
    env.environment |= site.environment | {"PATH": path, "DRAFT": str(root / "draft")}
    return env


def enter(env: AuEnv, block: str, cwd: str | Path = "src") -> Result:
    """Types a block into a shell, which stops at the first line that fails."""
    lines = [line.removeprefix("$ ") for line in block.strip().splitlines()]
    return env.run("sh", "-ec", "\n".join(lines), cwd=cwd)


def edit(env: AuEnv, *snippets: str) -> None:
    """What a person makes of the experiment."""
    (env.root / "draft").write_text("\n".join(snippets))
    enter(env, WORK, cwd="").ok()


def latest(env: AuEnv) -> dict[str, Any]:
    """The record of the latest run."""
    [row] = env.rows("@")
    return env.record(f"au/{row['id']}")


def files(env: AuEnv, commit: str) -> set[str]:
    return set(env.git("ls-tree", "-r", "--name-only", "--full-tree", commit).splitlines())


def commit_all(env: AuEnv, message: str) -> None:
    env.git("add", "--all")
    env.git("commit", f"--message={message}")


# Give it a try!

INSTALL = "pip install aurum"


def test_it_installs_with_pip(env: AuEnv) -> None:
    # What is to be tested is installed, and nothing is to come from elsewhere.
    enter(env, f"export PIP_NO_INDEX=1\n{INSTALL}\npython -c 'import aurum'", cwd=env.root).ok()


NEW = """\
$ mkdir newproject
$ cd newproject
$ au init
"""


def test_a_new_repository_is_created(env: AuEnv) -> None:
    enter(env, NEW, cwd=env.root).ok()
    assert env.git("rev-parse", "--show-toplevel") == str(env.project.resolve())


DIRECTORIES = """\
newproject/.au
newproject/src
newproject/logs
"""


def test_directories_are_created(env: AuEnv) -> None:
    for directory in DIRECTORIES.splitlines():
        assert (env.root / directory).is_dir(), directory


GITIGNORE = "newproject/.gitignore"


def test_the_gitignore_file_is_created(env: AuEnv) -> None:
    assert (env.root / GITIGNORE).is_file()
    assert env.git("status", "--porcelain") == "", "what was created is committed"


def added(env: AuEnv, answer: Result, url: str, *secrets: str) -> None:
    """The data is there, and its secrets are nowhere. The page shows one way or the other: it is taken out for the next."""
    assert (env.project / "dataset.csv").read_bytes() == OUTSIDE
    dataset = json.loads((env.project / ".au/datasets/dataset.csv.json").read_text())
    assert dataset["digest"] == f"sha256:{hashlib.sha256(OUTSIDE).hexdigest()}"
    assert dataset["source"]["url"] == url and dataset["source"]["remote"]["size"] == len(OUTSIDE)
    for secret in secrets:
        assert secret not in answer.stdout + answer.stderr
        files = [path for path in env.root.rglob("*") if path.is_file() and not path.is_symlink()]
        assert not [path for path in files if secret.encode() in path.read_bytes()]
    env.au("data", "rm", "--hard-delete", "dataset.csv").ok()


S3 = "$ au data add s3://bucket-name/dataset.csv --api kdljhkhsdskh --key lksjhdlkshsklh"


def test_data_in_a_bucket_is_added(env: AuEnv) -> None:
    with buckets("kdljhkhsdskh", "lksjhdlkshsklh") as server:
        server.put("bucket-name", "dataset.csv", OUTSIDE)
        # The only thing that the page leaves out is that its server is not Amazon's.
        answer = enter(env, f"export AWS_ENDPOINT_URL={server.address} NO_PROXY=127.0.0.1\n{S3}", cwd="").ok()
    added(env, answer, "s3://bucket-name/dataset.csv", "kdljhkhsdskh", "lksjhdlkshsklh")


FTP = "$ au data add ftp://dir/dataset.csv --user username --passwd password"


def test_data_at_a_server_of_ftp_is_added(env: AuEnv, tmp_path: Path) -> None:
    with shelves(tmp_path / "dir", login=("username", "password")) as server:
        (server.folder / "dataset.csv").write_bytes(OUTSIDE)
        # Nothing but the name of the server is another.
        answer = enter(env, FTP.replace("ftp://dir/", server.address()), cwd="").ok()
    assert "PASS password" in server.asked
    added(env, answer, server.address("dataset.csv"), "username")


ADD_OUTSIDE = "$ au data add /absolute/path/to/dataset.csv"


def test_data_outside_the_project_is_added(env: AuEnv) -> None:
    line = ADD_OUTSIDE.replace("/absolute/path/to", str(env.root / "outside"))
    enter(env, line, cwd="").ok()
    description = (env.project / ".au/datasets/dataset.csv.json").read_text()
    assert json.loads(description)["digest"] == f"sha256:{hashlib.sha256(OUTSIDE).hexdigest()}"
    assert str(env.root) not in description, "where it lies is this computer's affair"
    assert not (env.project / "dataset.csv").exists()


ADD_INSIDE = """\
$ wget https://archive.ics.uci.edu/ml/machine-learning-databases/adult/adult.data
$ au data add adult.data
"""


def test_data_inside_the_project_is_added(env: AuEnv) -> None:
    if shutil.which("wget") is None:
        left_out("there is no wget")
    enter(env, ADD_INSIDE, cwd="").ok()
    assert (env.project / "adult.data").read_bytes() == ADULT
    dataset = json.loads((env.project / ".au/datasets/adult.data.json").read_text())
    assert dataset["digest"] == f"sha256:{hashlib.sha256(ADULT).hexdigest()}"
    assert dataset["source"] == {"path": "adult.data", "type": "project"}
    assert "adult.data" not in env.git("status", "--porcelain", "--untracked-files=all").split(), "git is not to have it"


ADD_ADDRESS = "$ au data add https://archive.ics.uci.edu/ml/machine-learning-databases/adult/adult.data"


def test_data_at_an_address_is_added(env: AuEnv, site: Website) -> None:
    enter(env, ADD_ADDRESS, cwd="").ok()
    assert [asked.path for asked in site.asked if asked.headers["user-agent"].startswith("aurum/")] == [PATH]
    assert (env.project / "adult.data").read_bytes() == ADULT
    dataset = json.loads((env.project / ".au/datasets/adult.data.json").read_text())
    assert dataset["digest"] == f"sha256:{hashlib.sha256(ADULT).hexdigest()}"
    assert dataset["source"]["url"] == ADD_ADDRESS.split()[-1]


def test_changes_of_remote_data_are_noticed_by_its_attributes(env: AuEnv, site: Website) -> None:
    def seen() -> str:
        [row] = json.loads(env.au("data", "status", "--json", "adult.data").ok().stdout)
        assert row["state"] == "unchanged"
        remote: str = row["remote"]
        return remote

    answer = site.answers[PATH]
    dataset = json.loads((env.project / ".au/datasets/adult.data.json").read_text())
    attributes = {"entity_tag": answer.entity_tag, "last_modified": answer.last_modified, "size": len(ADULT)}
    assert dataset["source"]["remote"] == attributes
    assert seen() == "unchanged"
    site.answers[PATH] = Answer(adult(501), modified=answer.modified + 60)
    assert seen() == "changed"
    site.answers[PATH] = answer
    assert seen() == "unchanged"
    assert site.asked[-1].method == "HEAD", "its content is not downloaded for that"


WORK = """\
$ cd src
$ emacs experiment.py
"""


def test_work_starts_in_src(env: AuEnv) -> None:
    edit(env, "print('hello')\n")
    assert enter(env, RUN).ok().stdout == "hello\n"
    assert env.tags() == []


IMPORT = """\
#!/usr/bin/env python

import aurum as au
"""


def test_aurum_is_imported_inside_the_experiment(env: AuEnv) -> None:
    edit(env, IMPORT)
    (env.project / "src/experiment.py").chmod(0o755)
    answer = enter(env, "./experiment.py").ok()
    assert (answer.stdout, answer.stderr) == ("", "")


PARAMETERS = "au.parameters(a=0.01, b=1000, c=46, epochs=100, batch_size=200)\n"
VALUES = {"a": 0.01, "b": 1000, "c": 46, "epochs": 100, "batch_size": 200}


def test_parameters_are_saved_with_the_version(env: AuEnv) -> None:
    edit(env, IMPORT, PARAMETERS)
    enter(env, RUN).ok()
    assert latest(env)["parameters"] == {name: {"value": value, "source": "code"} for name, value in VALUES.items()}


PRINT, PRINTED = """\
print(f"Parameter a = {au.a}")
>>> Parameter a = 0.01
""".split(">>> ")


def test_parameters_are_used_inside_the_code(env: AuEnv) -> None:
    edit(env, IMPORT, PARAMETERS, PRINT)
    assert enter(env, RUN).ok().stdout == PRINTED


RUN_WITH_PARAMETERS = "python experiment.py a=0.01 b=1000 c=46 epochs=100 batch_size=200"


def test_parameters_are_passed_via_the_command_line(env: AuEnv) -> None:
    assert enter(env, RUN_WITH_PARAMETERS).ok().stdout == PRINTED
    parameters = latest(env)["parameters"]
    assert parameters == {name: {"value": value, "source": "command-line"} for name, value in VALUES.items()}


def test_the_command_line_takes_precedence(env: AuEnv) -> None:
    assert enter(env, RUN_WITH_PARAMETERS.replace("a=0.01", "a=0.5")).ok().stdout == "Parameter a = 0.5\n"
    assert latest(env)["parameters"]["a"] == {"value": 0.5, "source": "command-line"}


SAVE = """\
myTrainedModel = ... # train your model
au.save_model(pickle.dumps(myTrainedModel))
"""


def test_the_model_is_saved(env: AuEnv) -> None:
    edit(env, IMPORT, PICKLE, PARAMETERS, PRINT, SAVE)
    enter(env, RUN).ok()
    model = pickle.dumps(...)
    assert latest(env)["models"]["model"] == {"digest": f"sha256:{hashlib.sha256(model).hexdigest()}", "size": len(model)}


LOAD_MODEL = "myLastTrainedModel = pickle.loads(au.load_model())\n"


def test_the_last_trained_model_is_loaded_in_the_next_iteration(env: AuEnv) -> None:
    former = latest(env)["id"]
    edit(env, IMPORT, PICKLE, PARAMETERS, PRINT, LOAD_MODEL, "print(myLastTrainedModel)\n")
    assert enter(env, RUN).ok().stdout == f"{PRINTED}Ellipsis\n"
    [source] = latest(env)["inputs"]
    assert (source["experiment"], source["model"]) == (former, "model")


def test_pickle_is_not_mandatory(env: AuEnv) -> None:
    edit(env, IMPORT, "au.save_model(bytes(range(256)))\n")
    enter(env, RUN).ok()
    edit(env, IMPORT, "print(au.load_model() == bytes(range(256)))\n")
    assert enter(env, RUN).ok().stdout == "True\n"


# Without the `...`, which stands for more metrics and is no Python there.
END = """\
au.register_metric(error=0.01, accuracy=0.99, ...)
au.end_experiment()
""".replace(", ...", "")


def test_metrics_are_registered_and_the_experiment_ends_there(env: AuEnv) -> None:
    edit(env, IMPORT, PARAMETERS, PRINT, END, "print('after it')\n")
    assert enter(env, RUN).ok().stdout == f"{PRINTED}after it\n"
    record = latest(env)
    assert record["status"] == "finished"
    assert {name: metric["last"] for name, metric in record["metrics"].items()} == {"error": 0.01, "accuracy": 0.99}
    assert env.log(f"au/{record['id']}") == PRINTED.strip()


def test_strippings_cache_stays_out_of_the_repository(env: AuEnv) -> None:
    caches = ["src/.stripping/step.pkl", "src/stripping_cache/step.pkl"]
    for cache in caches:
        env.write(cache, "cached")
    assert "stripping" not in env.git("status", "--porcelain", "--untracked-files=all")
    enter(env, RUN).ok()
    assert not files(env, f"au/{latest(env)['id']}").intersection(caches)


def test_all_data_used_in_the_project_is_kept_track_of(env: AuEnv) -> None:
    datasets = latest(env)["datasets"]
    digests = {name: dataset["digest"].removeprefix("sha256:") for name, dataset in datasets.items()}
    contents = {"adult.data": ADULT, "dataset.csv": OUTSIDE}
    assert digests == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


RUN = "$ python experiment.py"


def test_it_is_run(env: AuEnv) -> None:
    edit(env, IMPORT, PICKLE, PARAMETERS, PRINT, SAVE, LOAD_MODEL, END)
    before = env.tags()
    answer = enter(env, RUN).ok()
    assert (answer.stdout, answer.stderr) == (PRINTED, "")
    record = latest(env)
    [tag] = set(env.tags()) - set(before)
    assert tag == f"au/{record['id']}"
    assert {name: parameter["value"] for name, parameter in record["parameters"].items()} == VALUES
    assert {name: metric["last"] for name, metric in record["metrics"].items()} == {"error": 0.01, "accuracy": 0.99}
    assert record["models"].keys() == {"model"}
    assert record["datasets"].keys() == {"adult.data", "dataset.csv"}
    assert env.git("show", f"{tag}:src/experiment.py") == (env.project / "src/experiment.py").read_text().rstrip("\n")


COMMIT = """\
$ git commit -m "Staged x, y, and z. Changes related to a, b, and c."
$ git push
"""


def test_git_commit_and_git_push_work_as_usual(env: AuEnv) -> None:
    env.git("init", "--bare", "../remote.git")
    env.git("remote", "add", "origin", "../remote.git")
    env.git("push", "--set-upstream", "origin", "main")
    env.git("add", ".")
    enter(env, COMMIT).ok()
    assert env.git("status", "--porcelain") == ""
    assert env.git("log", "-1", "--format=%s", "main", cwd="../remote.git") == COMMIT.split('"')[1]
    assert "src/experiment.py" in files(env, "HEAD") and "adult.data" not in files(env, "HEAD")


METRICS = """\
$ au metrics # display metrics from all experiments
$ au metrics acfdf6cd-1f1a-4929-b036-7b0a5399b0c6 # display metrics of the experiment with id acfdf6cd-1f1a-4929-b036-7b0a5399b0c6
$ au metrics acfdf6cd-1f1a-4929-b036-7b0a5399b0c6,280459c5-b183-462d-b89e-e53019f81c88 # display metrics of the experiments with id acfdf6cd-1f1a-4929-b036-7b0 and 280459c5-b183-462d-b89e-e53019f81c88
"""
ONE, TWO = "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6", "280459c5-b183-462d-b89e-e53019f81c88"
# The experiment $old once more, as $new with $accuracy, by nothing but git and sed.
WRITE_AN_EXPERIMENT = """
export GIT_INDEX_FILE=../another-index
git ls-tree -r --full-tree au/$old | sed s/$old/$new/ | git update-index --index-info
record=$(git show au/$old:.au/experiments/$old/record.json | sed "s/$old/$new/; s/0\\.99/$accuracy/" | git hash-object -w --stdin)
git update-index --cacheinfo 100644,$record,.au/experiments/$new/record.json
git tag au/$new $(git commit-tree -p au/$old^ -m "Written by git" $(git write-tree))
rm $GIT_INDEX_FILE
"""


def test_metrics_are_displayed(env: AuEnv) -> None:
    old = latest(env)["id"]
    for new, accuracy in ((ONE, "0.875"), (TWO, "0.9375")):
        env.run("sh", "-ec", WRITE_AN_EXPERIMENT, env={"old": old, "new": new, "accuracy": accuracy}).ok()

    def shown(line: str) -> list[list[str]]:
        head, *rows = enter(env, line).ok().stdout.splitlines()
        assert head.startswith("id ") and " accuracy " in head
        return [row.split() for row in rows]

    every, one, two = METRICS.splitlines()
    assert {row[0] for row in shown(every)} == {tag[3:11] for tag in env.tags()}
    [row] = shown(one)
    assert row[0] == ONE[:8] and "0.875" in row
    rows = shown(two)
    assert {row[0] for row in rows} == {ONE[:8], TWO[:8]} and len(rows) == 2
    assert any("0.9375" in row for row in rows)


LOAD = "$ au load exp_tag"


def test_one_goes_back_to_a_specific_experiment(env: AuEnv) -> None:
    data = env.project / "adult.data"
    use = "[path] = au.use_datasets('adult.data')\nprint(len(open(path).readlines()), 'people')\n"
    edit(env, IMPORT, 'au.start("exp_tag")\n', PARAMETERS, PRINT, use, f"au.save_model({MODEL!r})\n", END)
    commit_all(env, "The code of exp_tag")
    assert enter(env, RUN).ok().stdout == TOLD
    code = (env.project / "src/experiment.py").read_text()
    experiment = f"au/{latest(env)['id']}"

    edit(env, IMPORT, "au.save_model(b'a later model')\n", END)
    data.write_bytes(adult(300))
    env.au("data", "add", "adult.data").ok()
    commit_all(env, "Other code, other data")
    enter(env, RUN).ok()
    later = (env.project / "src/experiment.py").read_text()
    assert later != code

    enter(env, LOAD).ok()
    assert env.git("rev-parse", "HEAD") == env.git("rev-parse", experiment)
    assert env.git("status", "--porcelain") == ""
    assert (env.project / "src/experiment.py").read_text() == code
    assert data.read_bytes() == ADULT
    assert env.python("-c", "import aurum as au; print(au.load_model())", cwd="src").ok().stdout == f"{MODEL!r}\n"

    enter(env, "git switch -").ok()
    assert env.git("branch", "--show-current") == "main"
    assert env.git("status", "--porcelain") == ""
    assert (env.project / "src/experiment.py").read_text() == later
    env.au("data", "restore").ok()
    assert data.read_bytes() == adult(300)


EXPORT = "$ au export exp_tag"
EXPORT_WITHOUT_DATA = "$ au export exp_tag --no-data"


def exported(env: AuEnv, line: str) -> dict[str, bytes]:
    """What is in the package, without the folder around it, which is named after the experiment."""
    enter(env, line).ok()
    [package] = (env.project / "src").glob("*.zip")
    [row] = env.rows(line.split()[3])
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        assert {name.split("/")[0] for name in archive.namelist()} == {row["id"]}
        contents = {name.removeprefix(f"{row['id']}/"): archive.read(name) for name in archive.namelist()}
    package.unlink()
    return contents


def unpack(contents: dict[str, bytes], folder: Path) -> Path:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_package_has_all_that_is_specific_to_the_experiment(env: AuEnv) -> None:
    contents = exported(env, EXPORT)
    record = json.loads(contents["record.json"])
    tag = f"au/{record['id']}"
    assert record == env.record(tag)
    requirements = env.git("show", f"{tag}:.au/experiments/{record['id']}/requirements.txt")
    assert contents["requirements.txt"].decode() == f"{requirements}\n"
    assert contents["project/adult.data"] == ADULT
    assert contents["project/.au/data/dataset.csv"] == OUTSIDE
    metrics = [json.loads(line) for line in contents["metrics.jsonl"].splitlines()]
    assert {metric["metric"]: metric["value"] for metric in metrics} == {"error": 0.01, "accuracy": 0.99}
    assert contents[f"logs/{record['id']}.log"].decode() == TOLD
    assert contents["models/model"] == MODEL
    assert contents["project/src/experiment.py"].decode().rstrip("\n") == env.git("show", f"{tag}:src/experiment.py")


def test_a_package_runs_somewhere_else(env: AuEnv) -> None:
    folder = unpack(exported(env, EXPORT), env.root / "elsewhere")
    assert enter(env, RUN, cwd=folder / "project/src").ok().stdout == TOLD


def test_a_package_runs_somewhere_else_with_data_that_lay_outside_of_the_project(env: AuEnv) -> None:
    edit(env, IMPORT, 'au.start("outside")\n', "print(open(au.dataset('dataset.csv')).read())\n")
    told = enter(env, RUN).ok().stdout
    assert told == f"{OUTSIDE.decode()}\n"
    folder = unpack(exported(env, EXPORT.replace("exp_tag", "outside")), env.root / "elsewhere-too")
    assert enter(env, RUN, cwd=folder / "project/src").ok().stdout == told


def test_artifacts_are_left_out_of_a_package_by_arguments(env: AuEnv) -> None:
    whole = exported(env, EXPORT).keys()
    log = next(name for name in whole if name.startswith("logs/"))
    code = {name for name in whole if name.startswith("project/")} - {"project/adult.data", "project/.au/data/dataset.csv"}
    parts = {"--no-metrics": {"metrics.jsonl"}, "--no-logs": {log}, "--no-model": {"models/model"}, "--no-code": code}
    for argument, part in parts.items():
        assert part and whole - exported(env, f"{EXPORT} {argument}").keys() == part, argument
    rest = {"README.txt", "record.json", "requirements.txt", "project/adult.data", "project/.au/data/dataset.csv"}
    assert exported(env, " ".join([EXPORT, *parts])).keys() == rest


def test_the_dataset_is_left_out_of_a_package(env: AuEnv) -> None:
    whole, without = exported(env, EXPORT), exported(env, EXPORT_WITHOUT_DATA)
    assert whole.keys() - without.keys() == {"project/adult.data", "project/.au/data/dataset.csv"}
    assert not without.keys() - whole.keys()
    assert {name for name in without if without[name] != whole[name]} <= {"README.txt"}


# How does Aurum keep track of my experiments?


def test_runs_change_no_file_and_each_is_one_commit_under_one_tag(env: AuEnv) -> None:
    def standing() -> dict[str, bytes]:
        """All files, and of git's own those that say what is checked out, staged and where branches are."""
        git = ("HEAD", "index", "config", "refs/heads/main", "logs/HEAD", "logs/refs/heads/main")
        kept = {f".git/{path}" for path in git}
        return {path: content for path, content in env.everything().items() if path in kept or not path.startswith(".git/")}

    edit(env, IMPORT, PICKLE, PARAMETERS, PRINT, SAVE, END)
    before, tags = standing(), set(env.tags())
    values = [0.1, 0.2, 0.3, 0.4]
    runs = [env.start("python", "experiment.py", f"a={value}", cwd="src") for value in values]
    for run, value in zip(runs, values, strict=True):
        stdout, stderr = run.communicate(timeout=120)
        assert (run.returncode, stdout) == (0, f"Parameter a = {value}\n"), stderr
    assert standing() == before
    made = set(env.tags()) - tags
    assert len(made) == len(values)
    assert sorted(env.record(tag)["parameters"]["a"]["value"] for tag in made) == values
    for tag in made:
        assert env.git("rev-list", f"HEAD..{tag}") == env.git("rev-parse", tag), "one commit, on what was checked out"
        assert files(env, tag) == files(env, "HEAD") | of_experiment(tag), "files of its own, and no other's"
        assert env.git("diff", "--name-only", "--diff-filter=a", "HEAD", tag) == "src/experiment.py"
    env.git("fsck", "--strict")


def of_experiment(tag: str) -> set[str]:
    experiment = tag.removeprefix("au/")
    record = {f".au/experiments/{experiment}/{name}" for name in ("metrics.jsonl", "record.json", "requirements.txt")}
    return record | {f"logs/{experiment}.log"}


def test_files_of_other_experiments_are_dropped(env: AuEnv) -> None:
    commit_all(env, "Before going back")
    enter(env, LOAD).ok()
    [loaded] = env.rows("exp_tag")
    loaded_tag = f"au/{loaded['id']}"
    assert of_experiment(loaded_tag) <= files(env, "HEAD")
    enter(env, RUN).ok()
    tag = f"au/{latest(env)['id']}"
    assert tag != loaded_tag
    assert files(env, tag) == files(env, "HEAD") - of_experiment(loaded_tag) | of_experiment(tag)
    assert env.git("status", "--porcelain") == ""
