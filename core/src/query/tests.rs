#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::metrics::Number;
use crate::record::Status;
use crate::time;
use subject::Naming;

const NOW: &str = "2026-11-24T12:00:00Z";

#[derive(Clone, Debug)]
struct Run {
    id: String,
    name: Option<String>,
    status: Status,
    started: Option<u64>,
    ended: Option<u64>,
    problem: Option<String>,
    metrics: BTreeMap<String, Number>,
    parameters: BTreeMap<String, Value>,
    data: Vec<(String, String)>,
    parent: Option<String>,
    group: Option<String>,
    tags: Vec<String>,
}

fn run() -> Run {
    Run {
        id: "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6".into(),
        name: None,
        status: Status::Finished,
        started: time::parse("2026-11-23T09:30:00.250Z"),
        ended: time::parse("2026-11-23T09:32:00.250Z"),
        problem: None,
        metrics: BTreeMap::new(),
        parameters: BTreeMap::new(),
        data: Vec::new(),
        parent: None,
        group: None,
        tags: Vec::new(),
    }
}

impl Run {
    fn metric(mut self, name: &str, value: Number) -> Self {
        self.metrics.insert(name.into(), value);
        self
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.parameters.insert(name.into(), value);
        self
    }
}

impl Subject for Run {
    fn metric(&self, name: &str) -> Option<Scalar<'_>> {
        self.metrics.get(name).cloned().map(Scalar::Number)
    }

    fn parameter(&self, name: &str) -> Option<Scalar<'_>> {
        Scalar::of_json(self.parameters.get(name)?)
    }

    fn each_name(&self, visit: &mut dyn FnMut(Naming, &str)) {
        self.metrics.keys().for_each(|name| visit(Naming::Metric, name));
        self.parameters.keys().for_each(|name| visit(Naming::Parameter, name));
    }

    fn id(&self) -> Cow<'_, str> {
        (&self.id).into()
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn parent(&self) -> Option<&str> {
        self.parent.as_deref()
    }

    fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    fn each_tag(&self, visit: &mut dyn FnMut(&str)) {
        self.tags.iter().for_each(|tag| visit(tag));
    }

    fn status(&self) -> Status {
        self.status
    }

    fn started(&self) -> Option<u64> {
        self.started
    }

    fn ended(&self) -> Option<u64> {
        self.ended
    }

    fn paused(&self) -> u64 {
        0
    }

    fn script(&self) -> Option<&str> {
        Some("src/train.py")
    }

    fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn each_dataset(&self, visit: &mut dyn FnMut(&str, Option<&str>)) {
        self.data.iter().for_each(|(name, digest)| visit(name, Some(digest)));
    }

    fn each_model(&self, visit: &mut dyn FnMut(&str, Option<&str>)) {
        visit("model", None);
    }
}

fn read(text: &str) -> Expression {
    parse(text, time::parse(NOW)).unwrap_or_else(|failure| panic!("{text}: {failure}\n{:?}", failure.excerpt))
}

fn holds(text: &str, run: &Run) -> bool {
    read(text).holds(run)
}

#[track_caller]
fn all_hold(run: &Run, conditions: &[&str]) {
    for condition in conditions {
        assert!(holds(condition, run), "{condition}");
        assert!(!holds(&format!("not ({condition})"), run), "not {condition}");
    }
}

#[test]
fn tags_groups_and_parents_are_compared_as_text() {
    let parent = "280459c5-b183-462d-b89e-e53019f81c88";
    let mut labelled = run();
    labelled.tags = vec!["baseline".into(), "paper 2".into()];
    (labelled.group, labelled.parent) = (Some("sweep".into()), Some(parent.into()));
    all_hold(
        &labelled,
        &[
            "tag = baseline",
            "tags = \"paper 2\"",
            "tag in (other, baseline)",
            "tag ~ BASE",
            "tag != other",
            "exists tags",
            "tag = au/acfdf6cd-1f1a-4929-b036-7b0a5399b0c6",
            "group = sweep",
            "group != swee",
            "group ~ sw*",
            "exists group",
            "parent = 2804",
            "parent = au/280459c5-b183-462d-b89e-e53019f81c88",
            "parent != acfd",
            "exists parent",
        ],
    );
    all_hold(&run(), &["not exists tag", "not exists group", "not exists parent", "tag != baseline", "group != sweep"]);
    assert_eq!(read("tags = x").to_string(), "tag = x");
    for (text, place) in [("tag < x", "tag < x"), ("group", "group")] {
        let fault = parse(text, None).unwrap_err();
        assert!(fault.message.contains(text.split(' ').next().unwrap()), "{place}: {fault}");
    }
}

#[test]
fn metrics_and_parameters_are_compared_by_value() {
    let run = run()
        .metric("accuracy", Number::Float(0.93))
        .metric("val/loss", Number::Float(0.25))
        .metric("big", Number::Integer((1 << 53) + 1))
        .with("lr", json!(0.01))
        .with("optimizer", json!("Adam"))
        .with("pretrained", json!(true))
        .with("frozen", json!(false))
        .with("version", json!("1.0"))
        .with("cut", json!(null))
        .with("layers", json!([64, 32.0]))
        .with("top-5", json!(5));
    all_hold(
        &run,
        &[
            "accuracy > 0.9",
            "accuracy>0.9",
            "accuracy = 0.93 and accuracy == .93 and accuracy <= 0.93 and accuracy >= 93e-2",
            "metric.accuracy < 1",
            "ACCURACY != 0.9",
            "val/loss < 0.3 AND lr<0.1",
            "\"val/loss\" < 0.3",
            "big = 9007199254740993 and big != 9007199254740992 and big > 9007199254740992",
            "lr = 1e-2 and param.lr < inf and lr > -INF",
            "optimizer = Adam and optimizer != adam",
            "optimizer ~ ada and optimizer ~ A*m and optimizer !~ sgd and optimizer !~ ad?",
            "optimizer in (sgd, Adam)",
            "optimizer not in (sgd, \"adam w\")",
            "not optimizer in (sgd)",
            "optimizer > Aaron",
            "pretrained and not frozen",
            "pretrained = true and pretrained != False and frozen = FALSE",
            "version = 1.0 and version = \"1.0\"",
            "not version > 0.5 and not version < 2",
            "cut = none and cut = null and exists cut",
            "layers = \"[64, 32.0]\" and layers ~ 64",
            "top-5 = 5",
            "exists lr and exists(lr) and exists param.lr and not exists metric.lr",
            "lr ~ 0.0?",
        ],
    );
    for condition in ["lr", "optimizer", "frozen", "nothing", "accuracy = \"0.93\"", "optimizer = 1", "pretrained = 1"]
    {
        assert!(!holds(condition, &run), "{condition}");
    }
}

#[test]
fn what_is_missing_equals_nothing_and_is_not_equal_to_everything() {
    for condition in ["x = 1", "x > 1", "x < 1", "x >= 1", "x ~ \"\"", "x in (1, 2)", "x", "exists x", "x = none"] {
        assert!(!holds(condition, &run()), "{condition}");
    }
    all_hold(&run(), &["x != 1", "x !~ a", "x not in (1, 2)", "not x > 1", "x != none"]);
    assert!(!holds("exists x and x != 1", &run()));
}

#[test]
fn nan_is_found_and_never_less_or_more() {
    let run = run().metric("loss", Number::Float(f64::NAN)).metric("top", Number::Float(f64::INFINITY));
    all_hold(&run, &["loss = nan", "loss = NaN", "loss != 1", "loss ~ nan", "top > 1e308", "top = inf", "top != nan"]);
    for condition in ["loss < 1", "loss > 1", "loss >= -inf", "loss = 1"] {
        assert!(!holds(condition, &run), "{condition}");
    }
}

#[test]
fn fields_are_compared_as_what_they_are() {
    let mut run = run();
    run.name = Some("my base".into());
    run.problem = Some("ValueError: no such file".into());
    run.data = vec![("adult".into(), format!("sha256:{}", "ab12".repeat(16))), ("iris".into(), "sha256:0".into())];
    all_hold(
        &run,
        &[
            "status = finished",
            "status != failed",
            "status in (Finished, killed)",
            "status ~ fin",
            "id = acfd and tag = au/acfdf6cd-1f1a-4929-b036-7b0a5399b0c6",
            "tag = refs/tags/au/acfdf6cd-1f1a-4929-b036-7b0a5399b0c6",
            "id != acf",
            "name = \"my base\" and name = 'my base' and name ~ BASE",
            "script = src/train.py and script ~ *.py and script != train.py",
            "problem ~ valueerror",
            "data = adult and data = iris and data != mnist and data ~ ad and exists data",
            "data = sha256:ab12ab and data != sha256:",
            "model = model",
            "started = 2026-11-23 and started = 2026-11 and started = 2026",
            "started < 2026-11-24 and started <= 2026-11-23 and started >= 2026-11-23 and started > 2026-11-22",
            "started = 2026-11-23T09:30 and started < 2026-11-23T09:31",
            "started = 2026-11-23T10:30+01:00 and ended = \"2026-11-23 09:32\"",
            "started >= 2d ago and started < 1 day ago and started = yesterday and not started >= today",
            "started in (2026-11-23, 2026-11-25)",
            "duration = 120 and duration = 2m and duration > 90s and duration < 1h and duration <= 2 minutes",
        ],
    );
    run.ended = None;
    for condition in ["ended > 2020", "duration > 0", "exists ended", "exists duration"] {
        assert!(!holds(condition, &run), "{condition}");
    }
}

#[test]
fn names_of_fields_can_be_those_of_parameters_too() {
    let run = run()
        .with("model", json!("resnet"))
        .with("and", json!(1))
        .with("my metric", json!(2))
        .with("param.x", json!(3));
    all_hold(
        &run,
        &["param.model = resnet", "\"model\" = resnet", "\"and\" = 1", "param.and = 1", "\"my metric\" = 2"],
    );
    all_hold(&run, &["param.\"my metric\" = 2", "param.param.x = 3", "\"param.x\" = 3", "model != resnet"]);
}

#[test]
fn and_binds_tighter_than_or_and_not_tightest() {
    assert_eq!(read("a or b and not c or d").to_string(), "a or (b and not c) or d");
    assert_eq!(read("a or b and not c"), read("a OR (b AND (NOT (c)))"));
    assert_ne!(read("(a or b) and c"), read("a or b and c"));
}

/// The failure as hosts show it.
fn shown(text: &str) -> String {
    let failure = parse(text, None).expect_err(text);
    let hints: String = failure.hints.iter().map(|hint| format!("\nhint: {hint}")).collect();
    format!("{}\n{}{hints}", failure.message, failure.excerpt.unwrap())
}

#[test]
fn mistakes_are_shown_where_they_are() {
    for (text, place) in [
        ("", "^"),
        ("accuracy >", "          ^"),
        ("accuracy > > 1", "           ^"),
        ("accuracy > 0.9 an lr < 1", "               ^^"),
        ("accuracy > 0.9 and", "                  ^"),
        ("(a = 1", "^"),
        ("a = 1)", "     ^"),
        ("größe & a", "      ^"),
        ("größe = \"x", "        ^^"),
        ("学習 =< 1", "     ^^"),
        ("0.5 < a", "^^^"),
        ("a = 1, b = 2", "     ^"),
        ("status = finishd", "         ^^^^^^^"),
        ("status < finished", "^^^^^^^^^^^^^^^^^"),
        ("started > 7d", "          ^^"),
        ("started > 2 days", "          ^^^^^^"),
        ("duration > long", "           ^^^^"),
        ("metric.a = high", "           ^^^^"),
        ("a < nan", "    ^^^"),
        ("a in 1", "     ^"),
        ("a in ()", "      ^"),
        ("a in (1 2)", "        ^"),
        ("a is none", "  ^^"),
        ("name", "^^^^"),
        ("param. = 1", "      ^"),
        ("my metric > 1", "   ^^^^^^"),
        ("started = today", "          ^^^^^"),
    ] {
        let shown = shown(text);
        assert_eq!(shown.lines().nth(2), Some(place), "{text}\n{shown}");
    }
}

#[test]
fn mistakes_come_with_what_to_do() {
    assert_eq!(
        shown("accuracy > 0.9 and status = finishd"),
        "`finishd` is no status\n\
         accuracy > 0.9 and status = finishd\n\
         \u{20}                           ^^^^^^^\n\
         hint: Did you mean `finished`?"
    );
    for (text, hint) in [
        ("a && b", "Write `and`"),
        ("a || b", "Write `or`"),
        ("!a", "Write `not`: `not pretrained`"),
        ("a <> 1", "Write `!=`"),
        ("a =~ 1", "Write `~`: `name ~ base`"),
        ("a like b", "Write `~`: `name ~ base` or `name ~ \"run-*\"`"),
        ("started > 7d", "Write `7d ago`, as in `started >= 7d ago`"),
        ("status = done", "There are `running`, `finished`, `failed`, `interrupted`, `killed`, `lost`"),
        ("a b", "Put names and text of several words in quotes: `\"my metric\" > 1`"),
    ] {
        let shown = shown(text);
        assert!(shown.lines().any(|line| line == format!("hint: {hint}")), "{shown}");
    }
    assert!(shown(&"(".repeat(10_000)).starts_with("The condition is nested more than 64 levels deep\n"));
    assert!(shown(&"not ".repeat(10_000)).starts_with("The condition is nested more than 64 levels deep\n"));
}

fn query(condition: Option<&str>, sort: Option<&str>, limit: Option<u32>) -> Query {
    let request =
        Request { condition: condition.map(str::to_owned), sort: sort.map(str::to_owned), limit, ..Request::default() };
    Query::parse(&request, time::parse(NOW)).unwrap()
}

fn warnings(condition: Option<&str>, sort: Option<&str>, runs: &[Run]) -> Vec<String> {
    let mut said = Vec::new();
    query(condition, sort, None)
        .select(runs, &mut |message, hints| said.push(format!("{message}: {}", hints.join("; "))))
        .unwrap();
    said
}

#[test]
fn names_that_nobody_has_are_told_of() {
    let runs = [run().metric("accuracy", Number::Float(0.5)).with("lr", json!(1)), run().with("batch", json!(1))];
    let warned = |condition| warnings(Some(condition), None, &runs);
    assert_eq!(warned("accuracy > 0.9 and batch = 1 and status = failed"), [] as [&str; 0]);
    assert_eq!(
        warned("acuracy > 0.9 or acuracy < 0.1"),
        ["No experiment has the metric or parameter `acuracy`: Did you mean `accuracy`?"]
    );
    assert_eq!(
        warned("stauts = finished"),
        ["No experiment has the metric or parameter `stauts`: Did you mean `status`?"]
    );
    assert_eq!(warned("metric.lr > 1"), ["No experiment has the metric `lr`: Write `param.lr`"]);
    assert_eq!(warned("param.zzzzz > 1"), ["No experiment has the parameter `zzzzz`: There are `batch`, `lr`"]);
    assert_eq!(warnings(None, Some("-acc_uracy"), &runs).len(), 1);
    assert_eq!(warnings(Some("acuracy > 1"), None, &[]), [] as [&str; 0]);
}

#[test]
fn names_that_may_mean_something_else_are_told_of() {
    let runs = [run().metric("lr", Number::Float(0.5)).with("lr", json!(1)).with("model", json!("resnet"))];
    let warned = |condition| warnings(Some(condition), None, &runs);
    assert_eq!(warned("lr < 1").len(), 1);
    assert!(warned("lr < 1")[0].ends_with("Write `metric.lr` or `param.lr`"));
    assert!(warned("model = resnet")[0].ends_with("Write `param.model` for what the script gave that name"));
    assert_eq!(warned("param.model = resnet and metric.lr < 1"), [] as [&str; 0]);
}

#[test]
fn sorting_puts_what_is_missing_last_and_keeps_the_order_of_equals() {
    let value = |value: Value| run().with("x", value);
    let runs = [
        value(json!(2)),
        run(),
        value(json!("b")),
        run().metric("x", Number::Float(f64::NAN)),
        value(json!(1.5)),
        value(json!("A")),
        value(json!(2.0)),
        value(json!(null)),
        run().metric("x", Number::Integer(-1)),
        value(json!(true)),
    ];
    let order = |sort| query(None, Some(sort), None).select(&runs[..], &mut |_, _| {}).unwrap();
    assert_eq!(order("x"), [8, 4, 0, 6, 3, 9, 5, 2, 1, 7]);
    assert_eq!(order("-x"), [0, 6, 4, 8, 3, 9, 2, 5, 1, 7]);
    assert_eq!(order("-param.x")[..3], [0, 6, 4]);
}

#[test]
fn fields_and_odd_names_are_sorted_by_too() {
    let mut runs = [run().with("my metric", json!(1)), run().with("my metric", json!(2)), run()];
    runs[1].started = runs[1].started.map(|started| started + 1);
    runs[2].ended = None;
    let order = |sort| query(None, Some(sort), None).select(&runs[..], &mut |_, _| {}).unwrap();
    assert_eq!(order("-started"), [1, 0, 2]);
    assert_eq!(order("duration"), [1, 0, 2]);
    for sort in ["-my metric", "-\"my metric\"", "-param.my metric", "-param.\"my metric\""] {
        assert_eq!(order(sort), [1, 0, 2], "{sort}");
    }
    for sort in ["", "-", "data", "-model", "\"a\" b", "\"a"] {
        let request = Request { sort: Some(sort.into()), ..Request::default() };
        let failure = Query::parse(&request, None).unwrap_err();
        assert!(failure.excerpt.is_some(), "{sort}");
    }
}

#[test]
fn a_limit_leaves_the_first_of_what_is_sorted_and_else_the_newest() {
    let runs: Vec<Run> = (0..5).map(|x| run().with("x", json!(x % 3))).collect();
    let chosen =
        |condition, sort, limit| query(condition, sort, Some(limit)).select(&runs[..], &mut |_, _| {}).unwrap();
    assert_eq!(chosen(None, None, 2), [3, 4]);
    assert_eq!(chosen(Some("x < 2"), None, 2), [3, 4]);
    assert_eq!(chosen(Some("x < 2"), Some("-x"), 3), [1, 4, 0]);
    assert_eq!(chosen(None, None, 9), [0, 1, 2, 3, 4]);
    assert_eq!(chosen(None, Some("x"), 0), [] as [usize; 0]);
}

/// What `docs/queries.md` shows as a condition is one.
#[test]
fn the_documented_conditions_are_understood() {
    let page = include_str!("../../../docs/queries.md");
    let commands = page.lines().filter_map(|line| line.strip_prefix("au metrics --where '")?.split('\'').next());
    let (_, sections) = page.split_once("## Comparisons").unwrap();
    let (sections, _) = sections.split_once("## Order").unwrap();
    let inline = sections.split('`').skip(1).step_by(2);
    let inline = inline.filter(|code| code.contains(' ') && !["started > 7d", "au show"].contains(code));
    let conditions: Vec<&str> = commands.chain(inline).collect();
    assert!(conditions.len() > 25, "{conditions:?}");
    conditions.into_iter().for_each(|condition| drop(read(condition)));
}

// --- properties ---------------------------------------------------------------------------------------------------------

/// A condition by its meaning, as a second opinion has it: values are halves of integers, or text.
#[derive(Clone, Debug)]
enum Node {
    Both(Vec<Node>),
    Either(Vec<Node>),
    No(Box<Node>),
    Has(usize),
    Number(usize, usize, i32),
    Text(usize, bool, usize),
    In(usize, Vec<i32>),
}

const NAMES: [&str; 4] = ["a", "val/b", "my c", "and"];
const WRITTEN: [&str; 4] = ["a", "val/b", "'my c'", "\"and\""];
const WORDS: [&str; 3] = ["adam", "sgd", "in"];
type Compare = fn(i32, i32) -> bool;
const OPERATORS: [(&str, Compare); 6] = [
    ("=", |a, b| a == b),
    ("!=", |a, b| a != b),
    ("<", |a, b| a < b),
    ("<=", |a, b| a <= b),
    (">", |a, b| a > b),
    (">=", |a, b| a >= b),
];

#[derive(Clone, Debug)]
enum Held {
    Half(i32),
    Word(usize),
    Nothing,
}

fn nodes() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        (0..4usize).prop_map(Node::Has),
        (0..4usize, 0..6usize, -4..4i32).prop_map(|(name, operator, half)| Node::Number(name, operator, half)),
        (0..4usize, any::<bool>(), 0..3usize).prop_map(|(name, equal, word)| Node::Text(name, equal, word)),
        (0..4usize, prop::collection::vec(-4..4i32, 1..4)).prop_map(|(name, halves)| Node::In(name, halves)),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Node::Both),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Node::Either),
            inner.prop_map(|node| Node::No(Box::new(node))),
        ]
    })
}

fn half(half: i32) -> String {
    if half % 2 == 0 { (half / 2).to_string() } else { format!("{:.1}", f64::from(half) / 2.0) }
}

impl Node {
    fn text(&self) -> String {
        let joined = |nodes: &[Self], word: &str| {
            let parts: Vec<_> = nodes.iter().map(|node| format!("({})", node.text())).collect();
            parts.join(word)
        };
        match self {
            Self::Both(nodes) => joined(nodes, " and "),
            Self::Either(nodes) => joined(nodes, "OR"),
            Self::No(node) => format!("not({})", node.text()),
            Self::Has(name) => format!("exists {}", WRITTEN[*name]),
            Self::Number(name, operator, value) => {
                format!("{}{}{}", WRITTEN[*name], OPERATORS[*operator].0, half(*value))
            }
            Self::Text(name, equal, word) => {
                format!("{} {} \"{}\"", WRITTEN[*name], if *equal { "=" } else { "!=" }, WORDS[*word])
            }
            Self::In(name, halves) => {
                let halves: Vec<_> = halves.iter().map(|value| half(*value)).collect();
                format!("{} in({})", WRITTEN[*name], halves.join(","))
            }
        }
    }

    /// Which of the experiments, by sets.
    fn of(&self, runs: &[Vec<Held>]) -> BTreeSet<usize> {
        let all = || 0..runs.len();
        let number = |at: usize, name: usize| match runs[at][name] {
            Held::Half(half) => Some(half),
            _ => None,
        };
        match self {
            Self::Both(nodes) => {
                nodes.iter().map(|node| node.of(runs)).reduce(|a, b| a.intersection(&b).copied().collect()).unwrap()
            }
            Self::Either(nodes) => nodes.iter().flat_map(|node| node.of(runs)).collect(),
            Self::No(node) => {
                let held = node.of(runs);
                all().filter(|at| !held.contains(at)).collect()
            }
            Self::Has(name) => all().filter(|&at| !matches!(runs[at][*name], Held::Nothing)).collect(),
            Self::Number(name, operator, value) => {
                let (text, compare) = OPERATORS[*operator];
                all().filter(|&at| number(at, *name).map_or(text == "!=", |held| compare(held, *value))).collect()
            }
            Self::Text(name, equal, word) => {
                all().filter(|&at| matches!(runs[at][*name], Held::Word(held) if held == *word) == *equal).collect()
            }
            Self::In(name, halves) => {
                all().filter(|&at| number(at, *name).is_some_and(|held| halves.contains(&held))).collect()
            }
        }
    }
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![(-4..4i32).prop_map(Held::Half), (0..3usize).prop_map(Held::Word), Just(Held::Nothing)]
}

/// Numbers are metrics or parameters, by chance of their name and value.
fn run_of(values: &[Held]) -> Run {
    values.iter().zip(NAMES).fold(run(), |run, (held, name)| match held {
        Held::Half(value) if value % 2 == 0 => run.metric(name, Number::Integer((value / 2).into())),
        Held::Half(value) => run.with(name, json!(f64::from(*value) / 2.0)),
        Held::Word(word) => run.with(name, json!(WORDS[*word])),
        Held::Nothing => run,
    })
}

/// Pieces of conditions, and what is none.
fn soup() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "and",
        "or",
        "not",
        "in",
        "exists",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        ">=",
        "~",
        "!~",
        "a",
        "val/loss",
        "param.",
        "metric.x",
        "\"my metric\"",
        "'",
        "\"",
        "status",
        "finished",
        "started",
        "2026-11-24",
        "7d",
        "ago",
        "duration",
        "90s",
        "2",
        "days",
        "data",
        "sha256:ab",
        "0.5",
        "nan",
        "true",
        "none",
        "*",
        "é",
        "\\",
        "学",
        "id",
        "\u{202e}",
        "[1, 2]",
    ]);
    prop::collection::vec((pieces, prop::sample::select(vec!["", " ", "  ", "\n"])), 0..16)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, space)| format!("{piece}{space}")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), soup in soup(), limit in any::<Option<u32>>()) {
        let runs = [run().metric("a", Number::Float(f64::NAN)).with("val/loss", json!([1]))];
        for text in [text, soup] {
            for now in [None, Some(u64::MAX), time::parse(NOW)] {
                let request = |condition, sort| Request { selector: None, condition, sort, limit };
                let requests = [request(Some(text.clone()), None), request(None, Some(text.clone()))];
                for query in requests.iter().filter_map(|request| Query::parse(request, now).ok()) {
                    query.select(&runs[..], &mut |_, _| {}).unwrap();
                }
            }
        }
    }

    #[test]
    fn what_is_printed_reads_as_the_same(text in soup()) {
        if let Ok(expression) = parse(&text, time::parse(NOW)) {
            let printed = expression.to_string();
            let again = parse(&printed, time::parse(NOW));
            // NaN is not itself.
            prop_assert!(again.is_ok_and(|again| again == expression || format!("{again:?}").contains("NaN")), "{}", printed);
        }
    }

    #[test]
    fn a_second_opinion_agrees(node in nodes(), runs in prop::collection::vec(prop::collection::vec(held(), 4), 1..12)) {
        let text = node.text();
        let expression = parse(&text, None).unwrap();
        prop_assert_eq!(&parse(&expression.to_string(), None).unwrap(), &expression);
        let subjects: Vec<Run> = runs.iter().map(|values| run_of(values)).collect();
        let chosen = query(Some(&text), None, None).select(&subjects[..], &mut |_, _| {}).unwrap();
        prop_assert_eq!(chosen, node.of(&runs).into_iter().collect::<Vec<_>>(), "{}", text);
    }

    #[test]
    fn sorting_agrees_with_the_definition(halves in prop::collection::vec(prop::option::of(-3..4i32), 0..20), descending: bool) {
        let values: Vec<_> = halves.iter().map(|half| half.map_or(Held::Nothing, Held::Half)).collect();
        let subjects: Vec<Run> = values.iter().map(|held| run_of(std::slice::from_ref(held))).collect();
        let mut expected: Vec<usize> = (0..halves.len()).collect();
        expected.sort_by_key(|&at| match halves[at] {
            Some(half) => (0, if descending { -half } else { half }, at),
            None => (1, 0, at),
        });
        let sort = if descending { "-a" } else { "a" };
        prop_assert_eq!(query(None, Some(sort), None).select(&subjects[..], &mut |_, _| {}).unwrap(), expected);
    }
}
