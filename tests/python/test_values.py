"""Values of parameters that JSON does not have: what is recorded of them, and how the command line gives others."""

from __future__ import annotations

import json

from conftest import AuEnv

SCRIPT = """
import dataclasses, datetime, decimal, enum, fractions, pathlib, uuid

class Loss(enum.Enum):
    LOG = "log_loss"
    HINGE = "hinge"

class Depth(enum.IntEnum):
    FLAT = 1
    DEEP = 9

@dataclasses.dataclass
class Optimizer:
    rate: float = 0.1
    betas: tuple = (0.9, 0.999)
    kind: Loss = Loss.LOG

given = au.parameters(
    loss=Loss.LOG, depth=Depth.FLAT, day=datetime.date(2026, 11, 25), at=datetime.datetime(2026, 11, 25, 1, 2, 3),
    time=datetime.time(4, 5), rate=decimal.Decimal("0.10"), share=fractions.Fraction(1, 3), folder=pathlib.Path("data") / "x",
    key=uuid.UUID(int=1), optimizer=Optimizer(), losses=[Loss.LOG, Loss.HINGE],
)
for name in given:
    print(name, repr(given[name]))
"""

RECORDED = {
    "loss": "log_loss",
    "depth": 1,
    "day": "2026-11-25",
    "at": "2026-11-25T01:02:03",
    "time": "04:05:00",
    "rate": "0.10",
    "share": "1/3",
    "folder": "data/x",
    "key": "00000000-0000-0000-0000-000000000001",
    "optimizer": {"rate": 0.1, "betas": [0.9, 0.999], "kind": "log_loss"},
    "losses": ["log_loss", "hinge"],
}


def test_they_are_recorded_as_what_they_come_to_and_stay_what_they_are(env: AuEnv) -> None:
    env.script(SCRIPT)
    out = env.python("src/experiment.py").ok()
    assert out.stderr == "" and "loss <Loss.LOG: 'log_loss'>\n" in out.stdout and "folder PosixPath('data/x')\n" in out.stdout
    assert env.rows()[0]["parameters"] == RECORDED


def test_the_command_line_gives_values_of_the_same_kind(env: AuEnv) -> None:
    env.script(SCRIPT)
    given = ["loss=hinge", "depth=DEEP", "day=2024-02-29", "at=2024-02-29T12:00:00", "rate=1e-3", "share=2/3", "folder=elsewhere"]
    given += ["time=06:07", "key=00000000-0000-0000-0000-000000000002", 'optimizer={"rate": 0.5}']
    out = env.python("src/experiment.py", *given).ok()
    said = dict(line.split(" ", 1) for line in out.stdout.splitlines())
    assert out.stderr == ""
    assert said["loss"] == "<Loss.HINGE: 'hinge'>" and said["rate"] == "Decimal('0.001')" and said["share"] == "Fraction(2, 3)"
    assert said["day"] == "datetime.date(2024, 2, 29)" and said["at"] == "datetime.datetime(2024, 2, 29, 12, 0)"
    assert said["folder"] == "PosixPath('elsewhere')" and said["time"] == "datetime.time(6, 7)"
    assert said["key"] == "UUID('00000000-0000-0000-0000-000000000002')"
    assert said["optimizer"] == "Optimizer(rate=0.5, betas=(0.9, 0.999), kind=<Loss.LOG: 'log_loss'>)"
    parameters = env.rows()[0]["parameters"]
    assert (parameters["loss"], parameters["depth"], parameters["day"]) == ("hinge", 9, "2024-02-29")
    # A member goes by its name too.
    assert "loss <Loss.HINGE: 'hinge'>\n" in env.python("src/experiment.py", "loss=HINGE").ok().stdout
    assert env.rows()[-1]["parameters"]["loss"] == "hinge"


def test_what_can_not_be_one_is_told(env: AuEnv) -> None:
    env.script(SCRIPT)
    for given, kind in (("loss=nonsense", "Loss"), ("day=tomorrow", "date"), ("rate=much", "Decimal"), ("share=1/0", "Fraction")):
        out = env.python("src/experiment.py", given).failed(1)
        assert f"InvalidValueError: `{given}` can't be read as `{kind}`" in out.stderr, out.stderr
    env.python("src/experiment.py", "depth=2").failed(1, "`depth=2` can't be read as `Depth`: 2 is not a valid Depth")
    env.python("src/experiment.py", "depth=deep").failed(1, "`depth=deep` is not an integer", "Or give one of `FLAT`, `DEEP`")
    env.script("au.parameters(model=object())\n")
    env.python("src/experiment.py").failed(1, "The parameter `model` can't be recorded: it is")
    assert env.rows() == []


NESTED = """
import dataclasses, enum, pathlib, typing

class Mode(str, enum.Enum):
    FAST = "fast"
    SLOW = "slow"

class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2

class Window(typing.NamedTuple):
    size: int = 3
    step: float = 1.0

@dataclasses.dataclass
class Schedule:
    warmup: int = 5
    factor: float = 0.5

@dataclasses.dataclass
class Optimizer:
    rate: float = 0.1
    nesterov: bool = False
    name: str = "sgd"
    betas: tuple = (0.9, 0.999)
    mode: Mode = Mode.FAST
    schedule: Schedule = dataclasses.field(default_factory=Schedule)
    window: Window = Window()

given = au.parameters(
    mode=Mode.FAST, rights=Rights.READ | Rights.WRITE, window=Window(), optimizer=Optimizer(), paths=[pathlib.Path("a")],
    folders={"data": pathlib.Path("data"), "n": 1}, modes=(Mode.FAST,),
)
for name in given:
    print(name, repr(given[name]))
"""


def test_what_is_within_is_of_the_same_kind_too(env: AuEnv) -> None:
    env.script(NESTED)
    fields = '{"rate": 1, "mode": "slow", "schedule": {"warmup": 7}, "window": [5, 2], "betas": [0.5, 0.6]}'
    given = ["mode=slow", "rights=1", "window=[9, 2]", f"optimizer={fields}", "paths=[b, c/d]", 'folders={"data": "x", "m": 2}']
    out = env.python("src/experiment.py", *given, "modes=[slow, FAST]").ok()
    said = dict(line.split(" ", 1) for line in out.stdout.splitlines())
    assert said["mode"] == "<Mode.SLOW: 'slow'>" and said["window"] == "Window(size=9, step=2.0)"
    assert said["rights"] == "<Rights.READ: 1>" and said["modes"] == "(<Mode.SLOW: 'slow'>, <Mode.FAST: 'fast'>)"
    assert said["optimizer"] == (
        "Optimizer(rate=1.0, nesterov=False, name='sgd', betas=(0.5, 0.6), mode=<Mode.SLOW: 'slow'>, "
        "schedule=Schedule(warmup=7, factor=0.5), window=Window(size=5, step=2.0))"
    )
    assert said["paths"] == "[PosixPath('b'), PosixPath('c/d')]" and said["folders"] == "{'data': PosixPath('x'), 'm': 2}"
    recorded = env.rows()[0]["parameters"]
    assert recorded["optimizer"]["schedule"] == {"warmup": 7, "factor": 0.5} and recorded["optimizer"]["rate"] == 1.0
    assert recorded["window"] == [9, 2.0] and recorded["mode"] == "slow"
    # A member by its name, and the flag of the same name.
    assert "mode <Mode.SLOW" in env.python("src/experiment.py", "--mode", "SLOW").ok().stdout


def test_what_is_of_another_kind_within_is_told_by_its_place(env: AuEnv) -> None:
    env.script(NESTED)
    for given, message in {
        'optimizer={"rate": "fast"}': "`optimizer.rate=fast` is not a float",
        'optimizer={"nesterov": 1}': "`optimizer.nesterov=1` is not a bool",
        'optimizer={"name": 3}': "`optimizer.name=3` is not text",
        'optimizer={"betas": 0.5}': "`optimizer.betas=0.5` is not a list",
        'optimizer={"schedule": {"warmup": 1.5}}': "`optimizer.schedule.warmup=1.5` is not an integer",
        'optimizer={"mode": "odd"}': "`optimizer.mode=odd` can't be read as `Mode`",
        'optimizer={"rat": 1}': "can't be read as `Optimizer`",
        "window=[1, 2, 3]": "can't be read as `Window`",
        "window=[1.5]": "`window.size=1.5` is not an integer",
        "mode=odd": "`mode=odd` can't be read as `Mode`: 'odd' is not a valid Mode",
        "modes=[odd]": "`modes[0]=odd` can't be read as `Mode`",
    }.items():
        out = env.python("src/experiment.py", given).failed(1, f"InvalidValueError: {message}" if message[0] == "`" else message)
        assert out.stderr.count("Traceback") == 1 and "hint: " in out.stderr, out.stderr
    assert env.rows() == []


def test_a_field_takes_what_its_type_takes(env: AuEnv) -> None:
    env.script(
        """
import dataclasses, typing

class Pair(typing.NamedTuple):
    first: int = 1
    second: float = 0.5

@dataclasses.dataclass
class Options:
    scale: dataclasses.InitVar[int]
    kinds: typing.ClassVar = print
    rate: float = 1
    device: typing.Optional[str] = "cuda"
    layers: typing.Union[int, list] = 3
    pair: "Pair" = Pair(5, 6.0)
    def __post_init__(self, scale):
        self.rate *= scale

print(au.parameters(options=Options(1), pair=Pair(5, 6.0)))
"""
    )
    recorded = {"rate": 1, "device": "cuda", "layers": 3, "pair": [5, 6.0]}
    env.python("src/experiment.py").ok()
    assert env.rows()[-1]["parameters"]["options"] == recorded
    out = env.python("src/experiment.py", "pair=[9]").ok()
    assert "pair': Pair(first=9, second=6.0)" in out.stdout, "what is left out stays what the code has"


OPTIONS = """
import dataclasses, typing

@dataclasses.dataclass
class Options:
    rate: float = 1
    device: typing.Optional[str] = "cuda"
    layers: typing.Union[int, list] = 3

print(au.parameters(options=Options()).options)
"""


def test_a_field_takes_what_its_annotation_allows(env: AuEnv) -> None:
    env.script(OPTIONS)
    out = env.python("src/experiment.py", 'options={"rate": 0.5, "device": null, "layers": [1]}').ok()
    assert out.stdout == "Options(rate=0.5, device=None, layers=[1])\n"


def test_the_deepest_values_and_conditions_fit_the_sandbox(env: AuEnv) -> None:
    env.script("deep = 1\nfor _ in range(63):\n    deep = [deep]\nau.parameters(deep=deep, given=[])\n")
    env.python("src/experiment.py", "given=" + "[" * 60 + "]" * 60).ok()
    nested = "(" * 64 + "status = finished" + ")" * 64
    assert len(json.loads(env.au("metrics", "--json", "--where", nested).ok().stdout)) == 1


def test_what_can_not_be_recorded_is_named_by_its_place(env: AuEnv) -> None:
    env.script("au.parameters(cfg={'a': {'b': [1, {'c': object()}]}})\n")
    env.python("src/experiment.py").failed(1, "The parameter `cfg.a.b[1].c` can't be recorded: it is an object of type `object`")


def test_mappings_and_lists_of_any_class_are_dicts_and_lists(env: AuEnv) -> None:
    env.script(
        "import collections, types\n"
        "au.parameters(one=types.MappingProxyType({'a': collections.deque([1, 2])}), two=collections.ChainMap({'b': 1}, {'c': 2}))\n"
    )
    env.python("src/experiment.py").ok()
    assert env.rows()[0]["parameters"] == {"one": {"a": [1, 2]}, "two": {"b": 1, "c": 2}}
    for value in ("b'bytes'", "bytearray(b'bytes')", "range(10**12)", "{1, 2}"):
        env.script(f"au.parameters(x={value})\n")
        env.python("src/experiment.py").failed(1, "The parameter `x` can't be recorded")
