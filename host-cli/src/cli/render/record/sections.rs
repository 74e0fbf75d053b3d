//! An experiment section by section, for reading.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;

use super::{
    Code, Environment, Gpu, Input, Kept, Machine, Metric, Note, Parameter, Reading, Record, Source, Stretch, Usage,
};
use crate::cli::render::facts::Facts;
use crate::cli::render::grid::{Cell, Column, Grid};
use crate::cli::render::style::{self, Palette};
use crate::cli::render::{digits, escape, short, size, value, word};
use crate::cli::ui::Screen;

const INDENT: usize = 2;
/// Files left out that are named; a record may name a thousand.
const NAMED: usize = 10;

impl Record {
    /// Section by section; those with nothing in them are left out.
    pub(crate) fn write(&self, out: &mut dyn Write, screen: &Screen) -> io::Result<()> {
        let mut page = Page { out, screen };
        self.write_head(&mut page)?;
        self.write_stretches(&mut page)?;
        self.write_code(&mut page)?;
        self.write_parameters(&mut page)?;
        self.write_metrics(&mut page)?;
        self.write_data(&mut page)?;
        self.write_reads(&mut page)?;
        self.write_models(&mut page)?;
        self.write_notes(&mut page)?;
        self.write_surroundings(&mut page)
    }

    fn write_head(&self, page: &mut Page<'_>) -> io::Result<()> {
        let mut facts = Facts::default();
        facts.add("experiment", &self.id);
        facts.add_some("name", self.name.as_ref());
        facts.add_some("part of", self.parent.as_ref());
        facts.add_some("group", self.group.as_ref());
        facts.add_some("tags", (!self.tags.is_empty()).then(|| self.tags.join(", ")));
        facts.add_styled("status", &self.status, style::status(&self.status));
        facts.add_some("problem", self.problem.as_ref());
        facts.add("started", second(&self.started));
        facts.add_some("resumed", self.resumed.as_deref().map(second));
        facts.add_some("duration", self.duration());
        facts.add_some("command", self.command_line());
        facts.add_some(
            "folder",
            self.command.directory.as_deref().map(|folder| match folder {
                "" => "the project's root",
                folder => folder,
            }),
        );
        facts.add_some("commit", self.commit.as_ref());
        // The commit of a run that is not saved yet, and so its tag, is still to come.
        facts.add_some("tag", self.tag.clone());
        facts.write(page.out, 0, page.screen.width, page.screen.palette)
    }

    fn duration(&self) -> Option<String> {
        let lasted = |started: &str, ended: &str| {
            let (started, ended) = (started.parse::<Timestamp>().ok()?, ended.parse().ok()?);
            Some(started.duration_until(ended).as_secs_f64())
        };
        let latest = lasted(self.resumed.as_ref().unwrap_or(&self.started), self.ended.as_ref()?)?;
        let earlier = self.stretches.iter().filter_map(|stretch| lasted(&stretch.started, &stretch.ended));
        Some(value::duration(latest + earlier.sum::<f64>()))
    }

    fn write_stretches(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.stretches.is_empty() {
            return Ok(());
        }
        page.title("Stretches before it was resumed")?;
        let column = |heading, text: &dyn Fn(&Stretch) -> String| {
            Column::new(heading, self.stretches.iter().map(|stretch| Some(Cell::text(text(stretch)))))
        };
        let code = |stretch: &Stretch| match stretch.same_code {
            Some(true) => "the same as after it",
            Some(false) => "changed after it",
            None => "not known",
        };
        page.grid(vec![
            column("started", &|stretch| second(&stretch.started)),
            column("ended", &|stretch| second(&stretch.ended)),
            column("status", &|stretch| stretch.status.clone()),
            column("commit", &|stretch| short(&stretch.commit).into_owned()),
            column("code", &|stretch| code(stretch).to_owned()),
        ])
    }

    fn command_line(&self) -> Option<String> {
        let script = self.code.script.as_deref()?;
        Some(word::words([script].into_iter().chain(self.command.arguments.iter().map(String::as_str))))
    }

    fn write_code(&self, page: &mut Page<'_>) -> io::Result<()> {
        let Code { head, branch, dirty, reproducible, left_out, left_out_more, .. } = &self.code;
        page.title("Code")?;
        let mut facts = Facts::default();
        facts.add("head", head.as_deref().unwrap_or("no commit yet"));
        facts.add("branch", branch.as_deref().unwrap_or("none, HEAD was detached"));
        facts.add("dirty", if *dirty { "yes, and the changes are in the experiment" } else { "no" });
        facts.add("reproducible", if *reproducible { "yes" } else { "no, the experiment lacks what is left out" });
        page.facts(&facts)?;
        if left_out.is_empty() {
            return Ok(());
        }
        page.title("Left out of the code")?;
        let named = &left_out[..left_out.len().min(NAMED)];
        page.grid(vec![
            Column::new("path", named.iter().map(|file| Some(Cell::text(&file.path)))),
            Column::new("size", named.iter().map(|file| Some(Cell::number(size::bytes(file.size))))),
            Column::new("reason", named.iter().map(|file| Some(Cell::text(reason(&file.reason))))),
        ])?;
        match left_out.len() - named.len() + left_out_more {
            0 => Ok(()),
            more => writeln!(page.out, "{:INDENT$}and {more} more", ""),
        }
    }

    fn write_parameters(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.parameters.is_empty() {
            return Ok(());
        }
        page.title("Parameters")?;
        let parameters = || self.parameters.values();
        let from = |parameter: &Parameter| match parameter.source.as_str() {
            "code" => String::new(),
            source => source.replace('-', " "),
        };
        page.grid_without_headings(vec![
            Column::new("", self.parameters.keys().map(|name| Some(Cell::text(name)))),
            Column::new("", parameters().map(|parameter| Some(value::parameter(&parameter.value).into()))),
            Column::new("", parameters().map(|parameter| Some(Cell::text(from(parameter))))),
        ])
    }

    fn write_metrics(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.metrics.is_empty() {
            return Ok(());
        }
        page.title("Metrics")?;
        let column = |heading, cell: &dyn Fn(&Metric) -> Cell| {
            Column::new(heading, self.metrics.values().map(|metric| Some(cell(metric))))
        };
        page.grid(vec![
            Column::new("name", self.metrics.keys().map(|name| Some(Cell::text(name)))),
            column("last", &|metric| value::metric(&metric.last).into()),
            column("min", &|metric| value::metric(&metric.min).into()),
            column("max", &|metric| value::metric(&metric.max).into()),
            column("count", &|metric| Cell::number(metric.count.to_string())),
            column("step", &|metric| Cell::number(metric.step.to_string())),
        ])
    }

    fn write_data(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.datasets.is_empty() {
            return Ok(());
        }
        page.title("Data")?;
        let column =
            |heading, cell: &dyn Fn(&Usage) -> Option<Cell>| Column::new(heading, self.datasets.values().map(cell));
        page.grid(vec![
            Column::new("name", self.datasets.keys().map(|name| Some(Cell::text(name)))),
            column("size", &|usage| Some(Cell::number(size::bytes(usage.size)))),
            column("digest", &|usage| usage.digest.as_deref().map(|digest| Cell::text(digits(digest)))),
            column("used", &|usage| Some(Cell::text(if usage.used { "yes" } else { "no" }))),
            column("state", &|usage| Some(Cell::text(state(usage)))),
        ])
    }

    fn write_reads(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.reads.is_empty() {
            return Ok(());
        }
        page.title("Read from storages")?;
        let named = &self.reads[..self.reads.len().min(NAMED)];
        let column = |heading, cell: &dyn Fn(&Reading) -> Option<Cell>| Column::new(heading, named.iter().map(cell));
        page.grid(vec![
            column("path", &|read| Some(Cell::text(&read.path))),
            column("storage", &|read| Some(Cell::text(read.storage.as_deref().unwrap_or("-")))),
            column("size", &|read| read.size.map(|size| Cell::number(size::bytes(size)))),
            column("digest", &|read| Some(Cell::text(read.digest.as_deref().map_or("read in part".into(), digits)))),
            column("through", &|read| Some(Cell::text(&read.through))),
        ])?;
        match self.reads.len() - named.len() {
            0 if self.reads_cut => writeln!(page.out, "{:INDENT$}and more", ""),
            0 => Ok(()),
            more if self.reads_cut => {
                writeln!(page.out, "{:INDENT$}and {more} more that are listed by `--json`, and others", "")
            }
            more => writeln!(page.out, "{:INDENT$}and {more} more", ""),
        }
    }

    fn write_models(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.kept("Models", &self.models)?;
        page.kept("Artefacts", &self.artifacts)?;
        if !self.inputs.is_empty() {
            page.title("Models of other experiments that it loaded")?;
            let column = |heading, text: &dyn Fn(&Input) -> String| {
                Column::new(heading, self.inputs.iter().map(|input| Some(Cell::text(text(input)))))
            };
            page.grid(vec![
                column("name", &|input| input.model.clone()),
                column("experiment", &|input| short(&input.experiment).into_owned()),
                column("digest", &|input| digits(&input.digest).into_owned()),
            ])?;
        }
        Ok(())
    }

    fn write_notes(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.notes.is_empty() {
            return Ok(());
        }
        page.title("Notes")?;
        for Note { at, text } in &self.notes {
            // Each line by itself: what a note says is for people, and may be long.
            let mut at = escape::text(&second(at)).into_owned();
            let empty = " ".repeat(at.chars().count());
            for line in text.lines() {
                writeln!(page.out, "{:INDENT$}{at}  {}", "", escape::text(line))?;
                at.clone_from(&empty);
            }
        }
        Ok(())
    }

    fn write_surroundings(&self, page: &mut Page<'_>) -> io::Result<()> {
        let Machine { system, release, architecture, processors, memory, processor, disk, gpus, gpu_driver } =
            &self.machine;
        self.write_sources(page)?;
        page.title("Surroundings")?;
        let mut facts = Facts::default();
        if let Some(Environment { implementation, version, packages, .. }) = &self.environment {
            facts.add("python", format!("{implementation} {version}, {}", size::count(*packages, "package")));
        }
        let processors = size::count((*processors).into(), "processor");
        facts.add(
            "machine",
            format!("{system} {release}, {architecture}, {processors}, {} of memory", size::bytes(*memory)),
        );
        facts.add_some("processor", processor.as_ref());
        let disk = disk.as_ref().map(|disk| format!("{} free of {}", size::bytes(disk.free), size::bytes(disk.total)));
        facts.add_some("disk", disk);
        let mut driver = gpu_driver.as_ref().map_or_else(String::new, |driver| format!(", driver {driver}"));
        for (name, memory, count) in alike(gpus) {
            let times = if count > 1 { format!("{count} × ") } else { String::new() };
            facts
                .add("gpu", format!("{times}{name}, {} of memory{}", size::bytes(memory), std::mem::take(&mut driver)));
        }
        facts.add("aurum", &self.aurum);
        page.facts(&facts)
    }

    fn write_sources(&self, page: &mut Page<'_>) -> io::Result<()> {
        let sources = self.environment.as_ref().map(|environment| &environment.sources);
        let Some(sources) = sources.filter(|sources| !sources.is_empty()) else { return Ok(()) };
        page.title("Packages from elsewhere than an index")?;
        let column = |heading, cell: &dyn Fn(&Source) -> Option<Cell>| Column::new(heading, sources.values().map(cell));
        page.grid(vec![
            Column::new("name", sources.keys().map(|name| Some(Cell::text(name)))),
            column("installed as", &|source| Some(Cell::text(if source.own { "this project" } else { &source.kind }))),
            column("commit", &|source| source.commit.as_deref().map(|commit| Cell::text(short(commit)))),
            column("branch", &|source| source.branch.as_deref().map(Cell::text)),
            column("changed", &|source| source.dirty.map(|dirty| Cell::text(if dirty { "yes" } else { "no" }))),
            column("from", &|source| source.url.as_deref().map(Cell::text)),
        ])
    }
}

/// Of GPUs that are the same, how many there are.
fn alike(gpus: &[Gpu]) -> Vec<(&str, u64, usize)> {
    let mut kinds: Vec<(&str, u64, usize)> = Vec::new();
    for Gpu { name, memory } in gpus {
        match kinds.iter_mut().find(|kind| (kind.0, kind.1) == (name, *memory)) {
            Some(kind) => kind.2 += 1,
            None => kinds.push((name, *memory, 1)),
        }
    }
    kinds
}

/// Where sections are written.
struct Page<'a> {
    out: &'a mut dyn Write,
    screen: &'a Screen,
}

impl Page<'_> {
    fn title(&mut self, title: &str) -> io::Result<()> {
        writeln!(self.out, "\n{}", self.screen.palette.paint(style::HEADING, title))
    }

    /// What is in the store under a name.
    fn kept(&mut self, title: &str, kept: &BTreeMap<String, Kept>) -> io::Result<()> {
        if kept.is_empty() {
            return Ok(());
        }
        self.title(title)?;
        self.grid(vec![
            Column::new("name", kept.keys().map(|name| Some(Cell::text(name)))),
            Column::new("size", kept.values().map(|kept| Some(Cell::number(size::bytes(kept.size))))),
            Column::new("digest", kept.values().map(|kept| Some(Cell::text(digits(&kept.digest))))),
        ])
    }

    fn facts(&mut self, facts: &Facts) -> io::Result<()> {
        facts.write(self.out, INDENT, self.screen.width, self.screen.palette)
    }

    fn grid(&mut self, columns: Vec<Column>) -> io::Result<()> {
        // The titles are marked already, and those of columns would drown them.
        self.fitted(columns, Palette::default()).write(self.out)
    }

    fn grid_without_headings(&mut self, columns: Vec<Column>) -> io::Result<()> {
        self.fitted(columns, self.screen.palette).write_rows(self.out)
    }

    fn fitted(&self, columns: Vec<Column>, palette: Palette) -> Grid {
        Grid::new(columns, palette).indented(INDENT).squeezed(self.screen.width)
    }
}

/// `2026-11-23T22:29:01.000Z` to the second.
fn second(time: &str) -> String {
    match time.get(..19) {
        Some(second) => format!("{} UTC", second.replacen('T', " ", 1)),
        None => time.to_owned(),
    }
}

/// Why a file is not in the experiment.
fn reason(reason: &str) -> &str {
    match reason {
        "secret" => "looks like a secret",
        "too-big" => "too big",
        "too-many" => "too many before it",
        "environment" => "a tool can make it again",
        "repository" => "a repository of its own, with changes",
        "unreadable" => "can't be read",
        other => other,
    }
}

/// How the run's data stood towards what was recorded of it.
fn state(usage: &Usage) -> String {
    let recorded = usage.recorded.as_deref().map(digits).unwrap_or_default();
    let state = match usage.state.as_str() {
        "unchanged" => "as it was added".to_owned(),
        "changed" => format!("changed since it was added as {recorded}"),
        "unhashed" => format!("may have changed since it was added as {recorded}"),
        "unchecked" => format!("not looked at; added as {recorded}"),
        "missing" => "was not there".to_owned(),
        other => escape::text(other).into_owned(),
    };
    if usage.source.path.is_none() { format!("{state}, outside of the project") } else { state }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use clap::ColorChoice;
    use serde_json::{Value, json};
    use unicode_width::UnicodeWidthStr;

    use super::*;

    const DIGEST: &str = "sha256:5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d";

    fn record() -> Value {
        let usage = |state: &str, keys: Value| {
            let mut usage = json!({
                "kind": "file", "digest": DIGEST, "size": 3_974_305, "files": 1, "state": state, "used": true,
                "source": { "type": "project", "path": "a" },
            });
            usage.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
            usage
        };
        json!({
            "schema": "aurum.record/1", "id": "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6", "name": "base",
            "status": "failed", "problem": "ValueError: rate is negative",
            "started": "2026-11-23T22:29:01.000Z", "ended": "2026-11-23T22:29:02.250Z",
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "tag": "au/acfdf6cd-1f1a-4929-b036-7b0a5399b0c6",
            "code": {
                "head": "89abcdef0123456789abcdef0123456789abcdef", "branch": "main", "dirty": true,
                "reproducible": false, "script": "src/train.py",
                "left_out": [{ "path": "big.bin", "size": 9_000_000, "modified": 1, "reason": "too-big" }],
                "left_out_more": 2,
            },
            "command": { "arguments": ["rate=-1", "two words"], "directory": "" },
            "parameters": {
                "rate": { "value": -1.0, "source": "command-line" },
                "kind": { "value": "rbf", "source": "code" },
            },
            "metrics": { "loss": { "last": 0.25, "min": "-Infinity", "max": 1, "count": 20, "step": 19 } },
            "datasets": {
                "adult.data": usage("unchanged", json!({})),
                "far.csv": usage("changed", json!({ "recorded": "sha256:0123456789abcdef", "source": {}, "used": false })),
                "gone.csv": usage("missing", json!({ "digest": null })),
            },
            "models": { "model": { "digest": DIGEST, "size": 1024 } },
            "reads": [
                { "through": "catalysis", "storage": "lab", "path": "sets/a.pkl", "size": 2048, "digest": DIGEST },
                { "through": "fsspec", "storage": "http", "path": "http://example.org/b", "partial": true },
            ],
            "inputs": [{ "experiment": "280459c5-b183-462d-b89e-e53019f81c88", "model": "best", "digest": DIGEST }],
            "environment": {
                "implementation": "CPython", "version": "3.11.7", "packages": 42, "requirements": DIGEST,
                "sources": {
                    "dev": {
                        "kind": "editable", "url": "https://example.org/dev.git", "commit": "0123456789abcdef", "branch": "main",
                        "dirty": true,
                    },
                    "here": { "kind": "editable", "own": true },
                },
            },
            "machine": {
                "system": "Linux", "release": "6.1", "architecture": "x86_64", "processors": 8, "memory": 17_179_869_184_u64,
                "processor": "AMD EPYC", "disk": { "free": 1_073_741_824, "total": 2_147_483_648_u64 }, "gpu_driver": "550.1",
                "gpus": [
                    { "name": "A100", "memory": 1_073_741_824 }, { "name": "A100", "memory": 1_073_741_824 },
                    { "name": "T4", "memory": 1_073_741_824 },
                ],
            },
            "aurum": "0.1.0",
        })
    }

    fn shown(record: &Value, screen: &Screen) -> String {
        let mut out = Vec::new();
        Record::parse(&record.to_string()).unwrap().write(&mut out, screen).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_experiment_is_told_section_by_section() {
        let expected = "\
experiment  acfdf6cd-1f1a-4929-b036-7b0a5399b0c6
name        base
status      failed
problem     ValueError: rate is negative
started     2026-11-23 22:29:01 UTC
duration    1.2 s
command     src/train.py rate=-1 'two words'
folder      the project's root
commit      0123456789abcdef0123456789abcdef01234567
tag         au/acfdf6cd-1f1a-4929-b036-7b0a5399b0c6

Code
  head          89abcdef0123456789abcdef0123456789abcdef
  branch        main
  dirty         yes, and the changes are in the experiment
  reproducible  no, the experiment lacks what is left out

Left out of the code
  path        size  reason
  big.bin  8.6 MiB  too big
  and 2 more

Parameters
  kind  rbf
  rate  -1.0  command line

Metrics
  name  last   min  max  count  step
  loss  0.25  -inf    1     20    19

Data
  name           size  digest        used  state
  adult.data  3.8 MiB  5b00264637db  yes   as it was added
  far.csv     3.8 MiB  5b00264637db  no    changed since it was added as 0123456789ab, outside of the project
  gone.csv    3.8 MiB  -             yes   was not there

Read from storages
  path                  storage     size  digest        through
  sets/a.pkl            lab      2.0 KiB  5b00264637db  catalysis
  http://example.org/b  http           -  read in part  fsspec

Models
  name      size  digest
  model  1.0 KiB  5b00264637db

Models of other experiments that it loaded
  name  experiment  digest
  best  280459c5    5b00264637db

Packages from elsewhere than an index
  name  installed as  commit    branch  changed  from
  dev   editable      01234567  main    yes      https://example.org/dev.git
  here  this project  -         -       -        -

Surroundings
  python     CPython 3.11.7, 42 packages
  machine    Linux 6.1, x86_64, 8 processors, 16.0 GiB of memory
  processor  AMD EPYC
  disk       1.0 GiB free of 2.0 GiB
  gpu        2 × A100, 1.0 GiB of memory, driver 550.1
  gpu        T4, 1.0 GiB of memory
  aurum      0.1.0
";
        assert_eq!(shown(&record(), &Screen::default()), expected);
    }

    #[test]
    fn stretches_are_told_and_pauses_are_no_part_of_the_duration() {
        let mut record = record();
        record["resumed"] = "2026-11-23T23:00:00.000Z".into();
        record["ended"] = "2026-11-23T23:00:03.000Z".into();
        record["stretches"] = json!([{
            "commit": "fedcba9876543210fedcba9876543210fedcba98", "started": "2026-11-23T22:29:01.000Z",
            "ended": "2026-11-23T22:29:02.000Z", "status": "killed", "same_code": false,
        }]);
        let text = shown(&record, &Screen::default());
        assert!(text.contains("\nresumed     2026-11-23 23:00:00 UTC\nduration    4.0 s\n"), "{text}");
        let expected = "
Stretches before it was resumed
  started                  ended                    status  commit    code
  2026-11-23 22:29:01 UTC  2026-11-23 22:29:02 UTC  killed  fedcba98  changed after it
";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_run_that_goes_on_has_no_commit_and_no_end() {
        let mut record = record();
        for key in ["ended", "commit", "tag", "name", "problem", "environment"] {
            record[key] = Value::Null;
        }
        for key in ["parameters", "metrics", "datasets", "models"] {
            record[key] = json!({});
        }
        record["inputs"] = json!([]);
        record["reads"] = json!([]);
        record["code"]["left_out"] = json!([]);
        record["status"] = "running".into();
        let text = shown(&record, &Screen::default());
        let titles: Vec<_> = text.split("\n\n").skip(1).filter_map(|section| section.lines().next()).collect();
        assert_eq!(titles, ["Code", "Surroundings"]);
        for label in ["commit ", "tag ", "duration ", "problem ", "python "] {
            assert!(!text.lines().any(|line| line.trim_start().starts_with(label)), "{label}: {text}");
        }
    }

    #[test]
    fn lines_fit_the_terminal() {
        let mut record = record();
        record["problem"] = "word ".repeat(100).into();
        record["parameters"]["rate"]["value"] = "x".repeat(500).into();
        record["metrics"]["m".repeat(100)] = record["metrics"]["loss"].clone();
        let text = shown(&record, &Screen { width: Some(72), ..Screen::default() });
        assert!(text.lines().all(|line| line.width() <= 72), "{text}");
    }

    #[test]
    fn nothing_in_a_record_reaches_the_terminal_unescaped() {
        /// The value with something that deceives in each of its texts and keys.
        fn poisoned(value: Value) -> Value {
            match value {
                Value::String(text) => format!("\x1b\u{202e}\n{text}").into(),
                Value::Array(values) => values.into_iter().map(poisoned).collect(),
                Value::Object(members) => members.into_iter().map(|(key, value)| (key, poisoned(value))).collect(),
                other => other,
            }
        }
        let mut record = poisoned(record());
        for section in ["parameters", "metrics", "datasets", "models"] {
            let members = record[section].as_object().unwrap().clone();
            record[section] =
                members.into_iter().map(|(key, value)| (format!("{key}\x1b[2J\u{200b}"), value)).collect();
        }
        let text = shown(&record, &Screen::default());
        let plain =
            |character: char| character == '\n' || escape::text(&character.to_string()).len() == character.len_utf8();
        assert!(text.chars().all(plain), "{text:?}");
        assert_eq!(text.lines().count(), shown(&self::record(), &Screen::default()).lines().count() - 1, "no duration");
    }

    #[test]
    fn titles_and_the_status_are_marked() {
        let palette = Palette::choose(ColorChoice::Always, false, |_| None);
        let text = shown(&record(), &Screen { palette, ..Screen::default() });
        assert!(text.contains("\x1b[31mfailed\x1b[0m\n") && text.contains("\x1b[1mMetrics\x1b[0m\n"), "{text:?}");
    }
}
