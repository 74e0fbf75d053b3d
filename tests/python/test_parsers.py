"""Scripts with parsers of their own beside `au.parameters`: what those have read is what is recorded."""

from __future__ import annotations

import json
import sys

import pytest
from conftest import AuEnv, needs

ARGPARSE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--layers", "-l", nargs="+", type=int, default=[8])
parser.add_argument("--words", action="append", default=[])
parser.add_argument("-v", "--verbose", action="count", default=0)
parser.add_argument("--fast", action="store_true")
parser.add_argument("--size", type=lambda text: int(text.removesuffix("k")) * 1000, default=1000)
parser.add_argument("--rate", type=float, default=0.1)
parser.add_argument("files", nargs="*")
args = parser.parse_args()
given = au.parameters(**vars(args))
assert dict(given) == vars(args), (given, args)
au.register_metric(done=1)
"""


def recorded(env: AuEnv) -> dict[str, tuple[object, str]]:
    """Each parameter's value, and who gave it."""
    parameters = json.loads(env.au("show", "@", "--json").ok().stdout)["parameters"]
    return {name: (parameter["value"], parameter["source"]) for name, parameter in parameters.items()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--layers 64 32", {"layers": [64, 32]}),
        ("--layers 64", {"layers": [64]}),
        ("-l 64 --rate=1e-3", {"layers": [64], "rate": 0.001}),
        ("--lay 64", {"layers": [64]}),
        ("--words a --words b", {"words": ["a", "b"]}),
        ("-vv -v", {"verbose": 3}),
        ("--fast train.csv", {"fast": True, "files": ["train.csv"]}),
        ("--size 10k", {"size": 10_000}),
        ("x=1 y", {"files": ["x=1", "y"]}),
        ("", {}),
    ],
)
def test_what_argparse_has_read_is_recorded(env: AuEnv, line: str, expected: dict[str, object]) -> None:
    env.script(ARGPARSE)
    out = env.python("src/experiment.py", *line.split()).ok()
    assert out.stderr == ""
    values = recorded(env)
    for name, value in expected.items():
        assert values[name] == (value, "command-line"), (name, values[name])
    for name in values.keys() - expected.keys():
        assert values[name][1] == "code", (name, values[name])


def test_what_the_script_makes_of_its_arguments_afterwards_is_what_counts(env: AuEnv) -> None:
    env.script(
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--rate', type=float, default=0.1)\n"
        "args = parser.parse_args()\nargs.rate *= 2\nassert au.parameters(**vars(args)).rate == args.rate\n"
    )
    env.python("src/experiment.py", "--rate", "0.5").ok()
    assert recorded(env) == {"rate": (1.0, "command-line")}


def test_what_argparse_leaves_is_read_as_ever(env: AuEnv) -> None:
    env.script(
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--data', default='x')\n"
        "args, rest = parser.parse_known_args()\nau.parameters(data=args.data, epochs=3)\n"
    )
    env.python("src/experiment.py", "--data", "y", "epochs=5").ok()
    assert recorded(env) == {"data": ("y", "command-line"), "epochs": (5, "command-line")}
    env.python("src/experiment.py", "--epochs", "7").ok()
    assert recorded(env)["epochs"] == (7, "command-line")
    env.python("src/experiment.py", "--data", "y", "--epochs", "many").failed(1, "`epochs=many` is not an integer")
    env.python("src/experiment.py", "--data", "y", "epoch=5").failed(1, "Did you mean `epochs`?")


def test_two_parsers_and_a_sub_command(env: AuEnv) -> None:
    env.script(
        "import argparse, sys\nfirst, second = argparse.ArgumentParser(add_help=False), argparse.ArgumentParser()\n"
        "first.add_argument('--seed', type=int, default=0)\nseed, rest = first.parse_known_args()\n"
        "commands = second.add_subparsers(dest='command')\ntrain = commands.add_parser('train')\n"
        "train.add_argument('--layers', nargs='+', type=int)\nargs = second.parse_args(rest)\n"
        "au.parameters(seed=seed.seed, command=args.command, layers=args.layers)\n"
    )
    env.python("src/experiment.py", "--seed", "3", "train", "--layers", "64", "32").ok()
    assert recorded(env) == {
        "seed": (3, "command-line"), "command": ("train", "command-line"), "layers": ([64, 32], "command-line")
    }


def test_another_s_arguments_are_no_reading_of_the_command_line(env: AuEnv) -> None:
    env.script(
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--epochs', type=int, default=1)\n"
        "parser.parse_args([])\nparser.parse_args(['--epochs', '9'])\nau.parameters(epochs=3)\n"
    )
    env.python("src/experiment.py", "--epochs", "many").failed(1, "`epochs=many` is not an integer")


def test_aurum_may_come_before_argparse_or_after_it(env: AuEnv) -> None:
    for first in ("import aurum as au\nimport argparse", "import argparse\nimport aurum as au"):
        env.write("src/own.py", first + ARGPARSE.replace("import argparse", ""))
        env.python("src/own.py", "--layers", "64", "32").ok()
        assert recorded(env)["layers"] == ([64, 32], "command-line")


UNREAD = {
    "all that follows": ("parser.add_argument('rest', nargs=argparse.REMAINDER)", "parser.parse_args()", "train --epochs 50"),
    "an abbreviation of another's": ("parser.add_argument('--epochs-more', type=int)", "parser.parse_known_args()", "--epochs 50"),
    "a flag of which the script keeps nothing": ("parser.add_argument('--epochs', type=int, default=3)", "parser.parse_args()", "--epochs 50"),
    "another name's value": ("parser.add_argument('--set', action='append')", "parser.parse_args()", "--set epochs=50"),
}


@pytest.mark.parametrize("case", UNREAD)
def test_what_a_parser_has_not_read_for_a_parameter_overrides_it(env: AuEnv, case: str) -> None:
    declare, read, line = UNREAD[case]
    env.script(f"import argparse\nparser = argparse.ArgumentParser()\n{declare}\n{read}\nau.parameters(epochs=3)\n")
    env.python("src/experiment.py", *line.split()).ok()
    assert recorded(env) == {"epochs": (50, "command-line")}


def test_a_parameter_without_a_default_is_read_beside_a_parser(env: AuEnv) -> None:
    env.script("import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--rate')\nparser.parse_args()\nau.parameters('rate')\n")
    env.python("src/experiment.py", "--rate", "0.5").ok()
    assert recorded(env) == {"rate": (0.5, "command-line")}


def test_a_later_parser_changes_no_value_that_the_script_has(env: AuEnv) -> None:
    env.script(
        "import argparse\nau.parameters(rate=0.1)\nparser = argparse.ArgumentParser()\nparser.add_argument('--rate', type=float)\n"
        "parser.parse_args()\nau.parameters(n=1)\nassert au.rate == 0.5\n"
    )
    env.python("src/experiment.py", "--rate", "0.5").ok()
    assert recorded(env) == {"rate": (0.5, "command-line"), "n": (1, "code")}


def test_another_command_line_in_its_place_is_read_anew(env: AuEnv) -> None:
    env.script(
        "import argparse, sys\nparser = argparse.ArgumentParser()\nparser.add_argument('--n', type=int, default=1)\n"
        "for line in (['--n', '2'], []):\n    sys.argv[1:] = line\n    with au.run('one'):\n"
        "        au.parameters(**vars(parser.parse_args()))\n"
    )
    env.python("src/experiment.py").ok()
    rows = [json.loads(env.au("show", tag.removeprefix("au/"), "--json").ok().stdout)["parameters"]["n"] for tag in env.tags()]
    assert sorted((row["value"], row["source"]) for row in rows) == [(1, "code"), (2, "command-line")]


def test_what_a_parser_has_made_stays_the_object_that_it_is(env: AuEnv) -> None:
    env.script(
        "import argparse, collections\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--counts', type=collections.Counter)\nargs = parser.parse_args()\n"
        "assert au.parameters(**vars(args))['counts'] is args.counts\n"
    )
    env.python("src/experiment.py", "--counts", "hello").ok()
    assert recorded(env)["counts"] == ({"e": 1, "h": 1, "l": 2, "o": 1}, "command-line")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_declares_what_its_parent_has_parsed(env: AuEnv, method: str) -> None:
    env.script(
        "import argparse, multiprocessing\n"
        "def work(args):\n    assert au.parameters(**vars(args)).layers == [64, 32]\n    au.log(loss=1)\n"
        "if __name__ == '__main__':\n    parser = argparse.ArgumentParser()\n"
        "    parser.add_argument('--layers', nargs='+', type=int)\n    args = parser.parse_args()\n    au.parameters(**vars(args))\n"
        f"    worker = multiprocessing.get_context('{method}').Process(target=work, args=(args,))\n"
        "    worker.start()\n    worker.join()\n    assert worker.exitcode == 0\n"
    )
    out = env.python("src/experiment.py", "--layers", "64", "32").ok()
    assert out.stderr == ""
    assert recorded(env) == {"layers": ([64, 32], "command-line")}


def test_noting_many_arguments_looks_for_none_of_them_in_a_list(env: AuEnv) -> None:
    env.script(
        "import argparse, sys\nclass Counted(str):\n    times = 0\n    __hash__ = str.__hash__\n    def __eq__(self, other):\n"
        "        Counted.times += 1\n        return str.__eq__(self, other)\n"
        "sys.argv[1:] = map(Counted, sys.argv[1:])\nparser = argparse.ArgumentParser()\nparser.add_argument('files', nargs='*')\n"
        "args = parser.parse_args()\nprint(Counted.times / len(args.files))\n"
    )
    out = env.python("src/experiment.py", *(f"image-{number}.jpg" for number in range(2_000))).ok()
    assert float(out.stdout) < 50, "it was a thousand comparisons and more of each"


def test_who_parses_before_the_import_is_told(env: AuEnv) -> None:
    env.write(
        "src/late.py",
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--layers', nargs='+', type=int)\n"
        "args = parser.parse_args()\nimport aurum as au\nau.parameters(**vars(args))\n",
    )
    out = env.python("src/late.py", "--layers", "64", "32").failed(1, "`layers=64` is not a list")
    assert "hint: Import `aurum` before the script's own parser reads the command line" in out.stderr


def test_click(env: AuEnv) -> None:
    needs("click")
    env.script(
        "import click\n@click.command()\n@click.option('--layers', '-l', multiple=True, type=int)\n"
        "@click.option('--fast', is_flag=True)\n@click.option('--rate', default=0.1)\n@click.argument('files', nargs=-1)\n"
        "def main(**given):\n    assert dict(au.parameters(**given)) == given\nmain()\n"
    )
    env.python("src/experiment.py", "-l", "64", "--layers", "32", "--fast", "train.csv").ok()
    assert recorded(env) == {
        "layers": ([64, 32], "command-line"), "fast": (True, "command-line"), "rate": (0.1, "code"),
        "files": (["train.csv"], "command-line"),
    }


@pytest.mark.parametrize(
    "call",
    [
        "given = main(standalone_mode=False)\nau.parameters(**given)",
        "given = main(standalone_mode=False)\nimport threading\nthread = threading.Thread(target=lambda: au.parameters(**given))\n"
        "thread.start()\nthread.join()",
    ],
)
def test_click_after_its_command_and_in_a_thread(env: AuEnv, call: str) -> None:
    needs("click")
    env.script(
        "import click\n@click.command()\n@click.option('--layers', multiple=True, type=int)\n@click.option('--fast', is_flag=True)\n"
        f"@click.argument('file')\ndef main(**given):\n    return given\n{call}\nau.parameters(extra=1)\n"
    )
    env.python("src/experiment.py", "--layers", "2", "--fast", "train.csv").ok()
    assert recorded(env) == {
        "layers": ([2], "command-line"), "fast": (True, "command-line"), "file": ("train.csv", "command-line"), "extra": (1, "code"),
    }


def test_a_group_of_click_leaves_what_it_was_not_told_of(env: AuEnv) -> None:
    needs("click")
    env.script(
        "import click\n@click.group()\n@click.option('--seed', default=0)\ndef main(seed):\n    pass\n"
        "@main.command(context_settings={'ignore_unknown_options': True})\n@click.option('--layers', multiple=True, type=int)\n"
        "@click.argument('rest', nargs=-1, type=click.UNPROCESSED)\ndef train(layers, rest):\n"
        "    au.parameters(layers=layers, epochs=3, seed=click.get_current_context().parent.params['seed'])\nmain()\n"
    )
    env.python("src/experiment.py", "--seed", "4", "train", "--layers", "2", "--epochs", "50").ok()
    assert recorded(env) == {
        "layers": ([2], "command-line"), "epochs": (50, "command-line"), "seed": (4, "command-line"),
    }


def test_typer(env: AuEnv) -> None:
    needs("typer")
    env.script(
        "import typer\ndef main(layers: list[int] = [8], rate: float = 0.1, fast: bool = False):\n"
        "    au.parameters(layers=layers, rate=rate, fast=fast)\ntyper.run(main)\n"
    )
    env.python("src/experiment.py", "--layers", "64", "--layers", "32", "--fast").ok()
    assert recorded(env) == {"layers": ([64, 32], "command-line"), "rate": (0.1, "code"), "fast": (True, "command-line")}


def test_absl(env: AuEnv) -> None:
    needs("absl")
    env.script(
        "from absl import app, flags\nflags.DEFINE_multi_integer('layers', [8], '')\nflags.DEFINE_bool('fast', False, '')\n"
        "def main(rest):\n    au.parameters(layers=flags.FLAGS.layers, fast=flags.FLAGS.fast, epochs=3)\napp.run(main)\n"
    )
    env.python("src/experiment.py", "--layers", "64", "--layers=32", "epochs=4").ok()
    assert recorded(env) == {
        "layers": ([64, 32], "command-line"), "fast": (False, "code"), "epochs": (4, "command-line")
    }


def test_absl_that_has_not_read_the_command_line(env: AuEnv) -> None:
    needs("absl")
    env.script(
        "from absl import flags\nflags.DEFINE_integer('n', 1, '')\nflags.FLAGS.mark_as_parsed()\nau.parameters(n=1, rate=0.1)\n"
    )
    env.python("src/experiment.py", "--rate", "0.5", "--n", "7").ok()
    assert recorded(env) == {"n": (7, "command-line"), "rate": (0.5, "command-line")}
    env.python("src/experiment.py", "--rate", "fast").failed(1, "`rate=fast` is not a float")


def test_hydra_s_groups_sweeps_and_quotes(env: AuEnv) -> None:
    needs("hydra")
    env.script(
        "import hydra\nfrom omegaconf import OmegaConf\n@hydra.main(version_base=None, config_path='.', config_name='config')\n"
        "def main(config):\n    plain = OmegaConf.to_container(config)\n    with au.run('job'):\n"
        "        assert dict(au.parameters(**plain)) == plain\nmain()\n"
    )
    env.write("src/config.yaml", "defaults: [{model: small}]\nrate: 0.1\nname: base\n")
    env.write("src/model/small.yaml", "layers: [8]\n")
    env.write("src/model/large.yaml", "layers: [8, 8]\n")
    env.python("src/experiment.py", "model=large", "name='a b'").ok()
    assert recorded(env) == {
        "model": ({"layers": [8, 8]}, "command-line"), "rate": (0.1, "code"), "name": ("a b", "command-line")
    }
    env.python("src/experiment.py", "-m", "rate=0.1,0.2", "name=a,b").ok()
    jobs = [(row["parameters"]["rate"], row["parameters"]["name"]) for row in env.rows()[1:]]
    assert sorted(jobs) == [(0.1, "a"), (0.1, "b"), (0.2, "a"), (0.2, "b")]


def test_hydra(env: AuEnv) -> None:
    needs("hydra")
    env.script(
        "import hydra\nfrom omegaconf import OmegaConf\n@hydra.main(version_base=None, config_path='.', config_name='config')\n"
        "def main(config):\n    au.parameters(**OmegaConf.to_container(config))\nmain()\n"
    )
    env.write("src/config.yaml", "rate: 0.1\nmodel: {layers: [8], name: small}\n")
    env.python("src/experiment.py", "rate=0.5", "model.layers=[64,32]", "+extra=yes").ok()
    assert recorded(env) == {
        "rate": (0.5, "command-line"), "model": ({"layers": [64, 32], "name": "small"}, "command-line"),
        "extra": ("yes", "command-line"),
    }


@pytest.mark.parametrize("how", ["-c", "-"])
def test_a_script_that_is_given_as_text_has_a_command_line_too(env: AuEnv, how: str) -> None:
    text = "import aurum as au\nprint(au.parameters(a=1).a)\n"
    script = env.write("text", text)
    command = ["sh", "-c", f'exec "$@" < {script}', "sh", sys.executable, *(("-c", text) if how == "-c" else ("-",))]
    assert env.run(*command, "a=7").ok().stdout == "7\n"
    assert recorded(env) == {"a": (7, "command-line")}
    env.run(*command, "b=7").failed(1, "Unknown parameters: `b`")


def test_the_arguments_of_tests_are_none_of_the_script_s(env: AuEnv) -> None:
    env.write(
        "tests/test_u.py",
        "import unittest\nimport aurum as au\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        self.assertEqual(au.parameters(k=1, cov='x').cov, 'x')\n",
    )
    env.write("tests/__init__.py", "")
    env.python("-m", "unittest", "-k", "test", "-v", "tests.test_u").ok()
    env.write("run_tests.py", "import sys, pytest\nsys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'tests']))\n")
    env.python("run_tests.py", "--cov=src").ok()


def test_a_profiled_script_is_recorded_by_its_name(env: AuEnv) -> None:
    env.script("au.parameters(q=1)\n")
    env.python("-m", "cProfile", "-o", env.root / "profile", "src/experiment.py", "q=7").ok()
    [row] = env.rows()
    assert (row["script"], row["parameters"]) == ("src/experiment.py", {"q": 7})
