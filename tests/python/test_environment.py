"""What a record says of the packages and the machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from conftest import AuEnv

#: Reads a file of requirements as `pip install -r` does, without fetching anything.
AS_PIP_DOES = """
import sys
from pip._internal.network.session import PipSession
from pip._internal.req.constructors import install_req_from_parsed_requirement
from pip._internal.req.req_file import parse_requirements
for parsed in parse_requirements(sys.argv[1], PipSession()):
    requirement = install_req_from_parsed_requirement(parsed)
    print(requirement.name, requirement.link or requirement.specifier)
"""


def installed(env: AuEnv, name: str, version: str = "1.0", direct_url: Any = None) -> None:
    """What an installer leaves of a package."""
    folder = env.root / "site" / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if direct_url is not None:
        (folder / "direct_url.json").write_text(direct_url if isinstance(direct_url, str) else json.dumps(direct_url))


def repository(env: AuEnv, name: str, remote: str | None, subfolder: str = "") -> Path:
    folder = env.root / name
    (folder / subfolder).mkdir(parents=True)
    (folder / subfolder / "code.py").write_text("x = 1\n")
    for command in ["init -qb work", "add -A", "commit -qm one", f"remote add origin {remote}"]:
        if remote is not None or "remote" not in command:
            env.run("git", "-C", folder, *command.split()).ok()
    return folder


def run(env: AuEnv, **variables: str) -> tuple[dict[str, Any], list[str]]:
    env.script("au.log(a=1)\n")
    out = env.python("src/experiment.py", env={"PYTHONPATH": str(env.root / "site")} | variables).ok()
    assert out.stderr == ""
    [tag] = env.tags()
    text = env.git("show", f"{tag}:.au/experiments/{tag.removeprefix('au/')}/requirements.txt")
    return env.record(tag), text.splitlines()


def test_packages_from_elsewhere_are_named_by_where_they_are_from(env: AuEnv) -> None:
    clean = repository(env, "clean", "https://ada:hush@example.org/clean.git")
    dirty = repository(env, "dirty", "git@example.org:group/dirty.git", "python/lib")
    (dirty / "python/lib/code.py").write_text("x = 2\n")
    unshared = repository(env, "unshared", None)
    (env.root / "plain").mkdir()
    commit = {folder: env.run("git", "-C", folder, "rev-parse", "HEAD").ok().stdout.strip() for folder in (clean, dirty, unshared)}
    editable = {"dir_info": {"editable": True}}
    installed(env, "released", "2.1.0+cu118")
    installed(env, "clean", direct_url={"url": clean.as_uri()} | editable)
    installed(env, "dirty", direct_url={"url": (dirty / "python/lib").as_uri()} | editable)
    installed(env, "unshared", direct_url={"url": unshared.as_uri(), "dir_info": {}})
    installed(env, "plain", direct_url={"url": (env.root / "plain").as_uri(), "dir_info": {}})
    installed(env, "gone", direct_url={"url": "file:///nowhere/gone", "dir_info": {"editable": True}})
    installed(env, "own", direct_url={"url": env.project.as_uri()} | editable)
    installed(env, "torn", direct_url='{"url": ')
    installed(
        env,
        "vcs",
        direct_url={
            "url": "https://tok:hush@example.org/vcs.git",
            "subdirectory": "py",
            "vcs_info": {"vcs": "git", "requested_revision": "v1", "commit_id": "c" * 40},
        },
    )
    digest = "d" * 64
    archive = {"url": "https://example.org/arch-1.0-py3-none-any.whl?token=hush", "archive_info": {"hashes": {"sha256": digest}}}
    installed(env, "arch", direct_url=archive)

    record, lines = run(env)
    text = "\n".join(lines)
    for name, expected in {
        "released": "released==2.1.0+cu118",
        "clean": f"# clean==1.0: editable, branch work\nclean @ git+https://example.org/clean.git@{commit[clean]}",
        "dirty": "# dirty==1.0: editable, branch work, with changes that are in no commit\n"
        f"dirty @ git+ssh://git@example.org/group/dirty.git@{commit[dirty]}#subdirectory=python/lib",
        "unshared": "# unshared==1.0: a copy of a folder, branch work",
        "plain": "# plain==1.0: a copy of a folder, in no commit",
        "gone": "# gone==1.0: editable, in no commit",
        "own": "# own==1.0: this project itself",
        "torn": "torn==1.0",
        "vcs": f"vcs @ git+https://example.org/vcs.git@{'c' * 40}#subdirectory=py",
        "arch": f"arch @ https://example.org/arch-1.0-py3-none-any.whl?token=***#sha256={digest}",
    }.items():
        assert f"\n{expected}\n" in f"\n{text}\n", name
    sources = record["environment"]["sources"]
    assert sources["dirty"] == {
        "kind": "editable",
        "url": "ssh://git@example.org/group/dirty.git",
        "system": "git",
        "commit": commit[dirty],
        "branch": "work",
        "dirty": True,
        "subdirectory": "python/lib",
    }
    assert sources["clean"]["dirty"] is False and sources["own"] == {"kind": "editable", "own": True}
    assert "released" not in sources and str(env.root) not in json.dumps(record) and "hush" not in json.dumps(record) + text
    shown = env.au("show", "@").ok().stdout.split("Packages from elsewhere than an index\n")[1].split("\n\n")[0]
    assert ["dirty", "editable", commit[dirty][:8], "work", "yes", "ssh://git@example.org/group/dirty.git"] in [
        line.split() for line in shown.splitlines()
    ]

    (env.root / "requirements.txt").write_text(text + "\n")
    read = env.python("-c", AS_PIP_DOES, env.root / "requirements.txt").ok().stdout.splitlines()
    assert len(read) == sum(not line.startswith("#") for line in lines)
    assert f"arch https://example.org/arch-1.0-py3-none-any.whl?token=***#sha256={digest}" in read


def test_pip_reads_what_is_installed_here(env: AuEnv) -> None:
    _, lines = run(env)
    (env.root / "requirements.txt").write_text("\n".join(lines) + "\n")
    read = env.python("-c", AS_PIP_DOES, env.root / "requirements.txt").ok().stdout.splitlines()
    assert len(read) == len([line for line in lines if not line.startswith("#")]) > 20
    # All that was installed from an index is there.
    assert not [line for line in lines if "no such name or version" in line]


def test_a_package_that_setuptools_develops_is_editable(env: AuEnv) -> None:
    folder = repository(env, "legacy", "https://example.org/legacy.git")
    (folder / "legacy.egg-info").mkdir()
    (folder / "legacy.egg-info/PKG-INFO").write_text("Metadata-Version: 2.1\nName: legacy\nVersion: 0.3\n")
    record, _ = run(env, PYTHONPATH=str(folder))
    assert record["environment"]["sources"]["legacy"]["kind"] == "editable"


def test_the_machine_is_described(env: AuEnv) -> None:
    record, _ = run(env)
    machine = record["machine"]
    disk = shutil.disk_usage(env.project)
    assert machine["disk"]["total"] == disk.total and abs(machine["disk"]["free"] - disk.free) < 1 << 30
    assert machine["memory"] > 0 and machine["processors"] > 0
    if machine["architecture"] == "x86_64":
        assert machine["processor"]
    assert " free of " in env.au("show", "@").ok().stdout


def test_gpus_are_those_that_the_driver_names(env: AuEnv, nvml: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    record, _ = run(env, LD_LIBRARY_PATH=str(nvml), FAKE_NVML_CALLS=str(calls))
    assert record["machine"]["gpus"] == [
        {"name": "NVIDIA A100-SXM4-40GB", "memory": 42949672960},
        {"name": "NVIDIA T4", "memory": 16106127360},
    ]
    assert record["machine"]["gpu_driver"] == "550.54.14"
    assert calls.read_text().split() == ["init", "shutdown"]
    shown = env.au("show", "@").ok().stdout
    assert "NVIDIA A100-SXM4-40GB, 40.0 GiB of memory, driver 550.54.14\n" in shown


def test_a_driver_that_does_not_work_is_none(env: AuEnv, nvml: Path) -> None:
    record, _ = run(env, LD_LIBRARY_PATH=str(nvml), FAKE_NVML_BROKEN="1")
    assert "gpus" not in record["machine"] and "gpu_driver" not in record["machine"]
