"""Values of parameters that JSON does not have: what is recorded of them, and how the command line gives others."""

from __future__ import annotations

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
    given = ["loss=hinge", "depth=9", "day=2024-02-29", "at=2024-02-29T12:00:00", "rate=1e-3", "share=2/3", "folder=elsewhere"]
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
    env.script("au.parameters(model=object())\n")
    env.python("src/experiment.py").failed(1, "The parameter `model` can't be recorded: it is")
    assert env.rows() == []
