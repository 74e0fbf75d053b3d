"""Reading experiments: objects to look at, compare, and take into pandas. Nothing here changes what is recorded."""

from collections import namedtuple as _namedtuple

from . import _aurum

Point = _namedtuple("Point", "step value time")
Point.__doc__ = "One value of a metric: its step, the value, and the seconds since the run began."
Point.__module__ = "aurum"

#: What a record says of an experiment that a row does not.
_ROW = ("id", "name", "group", "parent", "status", "started", "ended", "duration", "script", "problem")


def experiment(selector="@"):
    """Read one experiment.

    Args:
        selector: Which one: an id, a unique prefix of one, a tag, a name, `@` for the latest, `@~1` for the one before it.

    Returns:
        An `Experiment`, as it stands now: a run that is still going on can be read again.

    Raises:
        NotAProjectError: Outside of a project.
        UnknownExperimentError: If no experiment answers to the selector.
        AmbiguousExperimentError: If more than one does.

    Example:
        >>> aurum.experiment("@").metrics["accuracy"]
        0.953
    """
    return Experiment(record=_aurum.show(selector))


def experiments(selector=None, *, where=None, sort=None, limit=None):
    """Read the experiments of the project, oldest first, or as `sort` says.

    Args:
        selector: Which ones, as `experiment` takes it; several with commas between. All without it. A name means its newest:
            `where="name = sweep"` has all of that name.
        where: What they have to meet, as `au metrics --where` has it: `"accuracy > 0.9 and status = finished"`.
        sort: The metric, parameter or other name to sort by, with a `-` before it for the greatest first.
        limit: How many at most: the first ones if they are sorted, else the newest.

    Returns:
        `Experiments`, a sequence with `to_pandas()`, which notebooks show as a table.

    Raises:
        NotAProjectError: Outside of a project.
        UnknownExperimentError: If no experiment answers to the selector.
        AmbiguousExperimentError: If more than one does.
        AurumError: If `where` or `sort` can't be understood.

    Example:
        >>> best = aurum.experiments(where="status = finished", sort="-accuracy", limit=1)[0]
        >>> model = pickle.loads(best.model())
    """
    rows = _aurum.metrics(selector, where=where, sort=sort, limit=limit)
    return Experiments(Experiment(row=row) for row in rows)


class Experiment:
    """One experiment, as it stood when it was read.

    Attributes:
        id: A UUID.
        name: What `aurum.start` named it, else None.
        group: What it belongs to, as `aurum.group` said, else None.
        parent: The id of the experiment that it is a part of, else None.
        tags: The words that `aurum.tag` gave it, sorted.
        status: `finished`, `failed`, `interrupted`, `killed`, `running` or `lost`.
        started: When it began, a `datetime` in UTC.
        ended: When it ended; None while it runs.
        duration: Seconds; None while it runs. Of one that was resumed, those of all stretches.
        script: The script's path in the project, else None.
        problem: The exception that ended it, else None.
        parameters: Values by name.
        metrics: The last values by name.
    """

    __slots__ = (*_ROW, "tags", "parameters", "metrics", "_record")

    def __init__(self, row=None, record=None):
        self._record = record
        if row is None:
            row = _row(record)
        for name in _ROW:
            setattr(self, name, row.get(name))
        self.tags = row.get("tags", [])
        self.started, self.ended = _moment(self.started), _moment(self.ended)
        self.parameters, self.metrics = row["parameters"], row["metrics"]

    @property
    def record(self):
        """All that is recorded, as `au show --json` prints it."""
        if self._record is None:
            self._record = _aurum.show(self.id)
        return self._record

    @property
    def tag(self):
        """Its tag, `au/<id>`; None while it is not saved."""
        return self.record["tag"]

    @property
    def commit(self):
        """The id of its commit; None while it is not saved."""
        return self.record["commit"]

    @property
    def notes(self):
        """What `aurum.note` said, oldest first."""
        return [note["text"] for note in self.record.get("notes", ())]

    @property
    def stretches(self):
        """What is recorded of the stretches before it was resumed, oldest first; none of an experiment that never was."""
        return self.record.get("stretches", [])

    @property
    def datasets(self):
        """What is recorded of each dataset, by name."""
        return self.record.get("datasets", {})

    @property
    def models(self):
        """The names of the models that it saved."""
        return list(self.record.get("models", ()))

    @property
    def artifacts(self):
        """The names of what `aurum.log_artifact` kept."""
        return list(self.record.get("artifacts", ()))

    def history(self, metric=None):
        """Every value of a metric, or of all. Of an experiment that was resumed, where several stretches have a value at a step, the latest's.

        Args:
            metric: The metric's name.

        Returns:
            A list of `Point(step, value, time)` in the order of logging; without a name, a dict of such lists by name.

        Raises:
            KeyError: If the experiment has no such metric.

        Example:
            >>> [point.value for point in aurum.experiment("@").history("loss")]
            [0.69, 0.31, 0.24]
        """
        make = Point._make
        values = {name: [make(point) for point in points] for name, points in _aurum.history(self.id, metric).items()}
        if metric is None:
            return values
        if metric not in values:
            raise KeyError(f"{metric!r}: the experiment {self.id[:8]} has the metrics {', '.join(self.metrics) or 'none'}")
        return values[metric]

    def children(self):
        """The experiments that are a part of it: those that it started, in its blocks or as scripts of their own.

        Returns:
            `Experiments`, oldest first.
        """
        return experiments(where=f"parent = {self.id}")

    def log(self):
        """What it printed, both streams as they came; of a progress bar the last state.

        Returns:
            The text.
        """
        return _aurum.read_log(self.id)

    def model(self, name="model"):
        """The bytes of a model that it saved.

        Args:
            name: What `aurum.save_model` named it.

        Returns:
            The bytes given to `aurum.save_model`.

        Raises:
            KeyError: If it saved no such model.
            NoModelError: If the bytes are not on this computer.
        """
        return self._stored("models", name)

    def artifact(self, name):
        """The bytes of what `aurum.log_artifact` kept.

        Args:
            name: Its name.

        Returns:
            The bytes.

        Raises:
            KeyError: If it kept nothing of that name.
            NoModelError: If the bytes are not on this computer.
        """
        return self._stored("artifacts", name)

    def _stored(self, kind, name):
        there = self.record.get(kind, {})
        if name not in there:
            raise KeyError(f"{name!r}: the experiment {self.id[:8]} has the {kind} {', '.join(there) or 'none'}")
        return _aurum.read_stored(self.id, there[name]["digest"], there[name]["size"])

    def to_pandas(self):
        """Every value of every metric, in the order of logging within each.

        Returns:
            A `pandas.DataFrame` with the columns `metric`, `step`, `value` and `time`.

        Raises:
            ImportError: If pandas is not installed.
        """
        import pandas

        rows = [(name, *point) for name, points in _aurum.history(self.id).items() for point in points]
        return pandas.DataFrame(rows, columns=["metric", "step", "value", "time"])

    def __eq__(self, other):
        return self.id == other.id if isinstance(other, Experiment) else NotImplemented

    def __hash__(self):
        return hash(self.id)

    def __repr__(self):
        called = f" {self.name!r}" if self.name else ""
        metrics = "".join(f" {name}={_short(value)}" for name, value in list(self.metrics.items())[:4])
        return f"<Experiment {self.id[:8]}{called} {self.status}{metrics}>"

    def _repr_html_(self):
        facts = [(name, getattr(self, name)) for name in _ROW if getattr(self, name) is not None]
        facts += [(f"parameters.{name}", value) for name, value in self.parameters.items()]
        facts += [(f"metrics.{name}", value) for name, value in self.metrics.items()]
        return _table([], [[name, _short(value)] for name, value in facts])


class Experiments(tuple):
    """Experiments in the order that they were asked for."""

    __slots__ = ()

    def to_pandas(self):
        """A table with a row for each experiment.

        Returns:
            A `pandas.DataFrame` indexed by id, with the columns `name`, `group`, `parent`, `status`, `started`, `ended`, `duration`, `script`, `problem`, `tags`, then
            `parameters.<name>` and `metrics.<name>` for each name.

        Raises:
            ImportError: If pandas is not installed.
        """
        import pandas

        names = self._names()
        rows = [
            [*(getattr(one, name) for name in _ROW), one.tags] + [getattr(one, kind).get(name) for kind, name in names] for one in self
        ]
        columns = [*_ROW, "tags", *(f"{kind}.{name}" for kind, name in names)]
        return pandas.DataFrame(rows, columns=columns).set_index("id")

    def _names(self):
        names = {}
        for kind in ("parameters", "metrics"):
            for one in self:
                names.update(dict.fromkeys((kind, name) for name in getattr(one, kind)))
        return list(names)

    def __getitem__(self, at):
        found = super().__getitem__(at)
        return Experiments(found) if isinstance(at, slice) else found

    def __repr__(self):
        return f"[{', '.join(map(repr, self))}]"

    def _repr_html_(self):
        names = self._names()
        shown = ("id", "name", "status", "started", "duration")
        body = [
            [_short(getattr(one, name)) if name != "id" else one.id[:8] for name in shown]
            + [_short(getattr(one, kind).get(name)) for kind, name in names]
            for one in self
        ]
        return _table([*shown, *(name for _, name in names)], body)


def _row(record):
    row = dict(record)
    row["parameters"] = {name: given["value"] for name, given in record["parameters"].items()}
    row["metrics"] = {name: statistics["last"] for name, statistics in record["metrics"].items()}
    row["script"] = record["code"].get("script")
    # Of one that was resumed, the pauses are no part of it.
    latest = {"started": record.get("resumed") or record["started"], "ended": record["ended"]}
    stretches = [(_moment(one["started"]), _moment(one["ended"])) for one in [*record.get("stretches", ()), latest]]
    ended = record["ended"] is not None
    row["duration"] = sum((end - start).total_seconds() for start, end in stretches) if ended else None
    return row


def _moment(text):
    if text is None:
        return None
    # Where somebody only compares metrics, it is not needed.
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _short(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    # A moment, to the minute.
    text = value.strftime("%Y-%m-%d %H:%M") if hasattr(value, "strftime") else str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _table(head, body):
    from html import escape

    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    lines = [f"<thead>{line(head, 'th')}</thead>"] if head else []
    return "<table>" + "".join(lines) + "<tbody>" + "".join(line(cells, "td") for cells in body) + "</tbody></table>"


for _public in (Experiment, Experiments, experiment, experiments):
    # The name that people know them by.
    _public.__module__ = "aurum"
