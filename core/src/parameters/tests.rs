//! Whole command lines.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::{Failure, FailureKind};

fn declare(defaults: &Value) -> Vec<Declared> {
    let defaults = defaults.as_object().expect("an object");
    let declared = |(name, default): (&String, &Value)| Declared {
        name: name.clone(),
        default: Some(default.clone()),
        words: Vec::new(),
    };
    defaults.iter().map(declared).collect()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// The values that the command line gave, as an object.
fn given(defaults: &Value, line: &str) -> std::result::Result<Value, Failure> {
    let resolution = resolve(&declare(defaults), &words(line), None, false, &[])?;
    let given = resolution.parameters.into_iter().filter(|parameter| parameter.source == Source::CommandLine);
    Ok(given.map(|parameter| (parameter.name, parameter.value)).collect::<serde_json::Map<_, _>>().into())
}

#[test]
fn every_way_to_give_a_value() {
    for line in ["a=-1", "-a -1", "-a=-1", "--a -1", "--a=-1", "a=5 --a -1", "--other a=-1", "--other 3 -x a=-1 b.txt"]
    {
        assert_eq!(given(&json!({"a": 0}), line).expect(line), json!({"a": -1}), "{line}");
    }
    assert_eq!(given(&json!({"a": ""}), "a=b=c").expect("text"), json!({"a": "b=c"}));
    assert_eq!(given(&json!({"a": null}), "-a -inf").expect("inf"), json!({"a": {"$float": "-Infinity"}}));
    assert_eq!(given(&json!({"batch_size": 0}), "--batch-size 3").expect("dashes"), json!({"batch_size": 3}));
    assert_eq!(given(&json!({"batch_size": 0}), "batch-size=3").expect("dashes"), json!({"batch_size": 3}));
}

#[test]
fn the_last_giving_wins() {
    assert_eq!(given(&json!({"a": 0}), "a=1 --a 2 a=oops -a=3").expect("3"), json!({"a": 3}));
}

#[test]
fn a_flag_alone_switches_a_bool_on() {
    let defaults = json!({"fast": false, "lr": 0.5});
    for line in ["--fast", "--fast --lr 1", "--fast lr=1", "--fast yes", "--fast -x"] {
        assert_eq!(given(&defaults, line).expect(line)["fast"], json!(true), "{line}");
    }
    assert_eq!(given(&defaults, "--fast off").expect("off"), json!({"fast": false}));
    assert_eq!(given(&defaults, "--fast lots").expect_err("no bool").message, "`fast=lots` is not a bool");
    let failure = given(&defaults, "--lr --fast").expect_err("no value");
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::InvalidValue, "`--lr` has no value"));
    assert_eq!(failure.hints, ["Give one as `lr=VALUE`"]);
}

#[test]
fn what_is_not_ours_is_left() {
    let defaults = json!({"a": 0, "h": 0});
    for line in [
        "-h",
        "--help",
        "-h a.txt",
        "--no-tracking --verbose --unsafe-parameter-checking",
        "-- a=1 b=2",
        "data.txt",
        "--b=2",
        "-",
        "---a",
        "/tmp/x=y",
        "https://x/?b=1",
    ] {
        assert_eq!(given(&defaults, line).expect(line), json!({}), "{line}");
    }
    assert_eq!(given(&json!({"verbose": false}), "--verbose").expect("declared"), json!({"verbose": true}));
}

#[test]
fn undeclared_names_stop_the_run() {
    let failure = given(&json!({"lr": 0.1, "epochs": 3}), "lrr=1 epochs=4 zeta=2").expect_err("unknown");
    assert_eq!(failure.kind, FailureKind::UnknownParameter);
    assert_eq!(failure.message, "Unknown parameters: `lrr`, `zeta`");
    assert_eq!(
        failure.hints,
        [
            "Did you mean `lr`?",
            "The script declares `epochs`, `lr`",
            "Let undeclared names pass with `--unsafe-parameter-checking`"
        ]
    );
}

#[test]
fn without_a_declared_name_all_are_taken() {
    assert_eq!(given(&json!({}), "b=1 a-b=x --c=2 b=2").expect("all"), json!({"b": 2, "a-b": "x"}));
}

#[test]
fn a_name_without_a_value_is_null() {
    let declared = [Declared { name: "a".to_owned(), default: None, words: Vec::new() }];
    let resolution = resolve(&declared, &[], None, false, &[]).expect("resolves");
    assert_eq!(resolution.parameters, [Parameter { name: "a".to_owned(), value: Value::Null, source: Source::Code }]);
}

#[test]
fn reserved_names_earn_a_warning() {
    let reserved = ["log".to_owned(), "run".to_owned()];
    let resolution =
        resolve(&declare(&json!({"log": 1, "lr": 2})), &words("log=2"), None, false, &reserved).expect("resolves");
    assert_eq!(resolution.warnings, ["`log` is also a function of aurum: read the parameter as `au.params[\"log\"]`"]);
    assert_eq!(resolution.parameters[0].value, json!(2));
}

#[test]
fn names_that_can_not_be() {
    for name in ["", "a\nb", &"x".repeat(LONGEST_NAME + 1)] {
        let failure = resolve(&declare(&json!({ name: 1 })), &[], None, false, &[]).expect_err(name);
        assert_eq!(failure.kind, FailureKind::InvalidValue);
    }
    let long = format!("{}=1", "x".repeat(LONGEST_NAME + 1));
    assert_eq!(resolve(&[], &[long], None, false, &[]).expect_err("long").kind, FailureKind::InvalidValue);
    assert_eq!(
        given(&json!({"lr": 1}), "lr =2").expect_err("spaces").message,
        "A value on the command line has no name before its `=`"
    );
    // Any other name may be declared.
    assert_eq!(given(&json!({"größe": 1}), "größe=2").expect("declared"), json!({"größe": 2}));
}

/// What is recorded, and by which source, where the script's parser has left `rest` unread.
fn parsed(defaults: &Value, line: &str, given: &str, rest: &str) -> std::result::Result<Vec<(Value, Source)>, Failure> {
    parsed_of("a", defaults, line, given, rest)
}

fn parsed_of(
    names: &str,
    defaults: &Value,
    line: &str,
    given: &str,
    rest: &str,
) -> std::result::Result<Vec<(Value, Source)>, Failure> {
    let parsed = Parsed { names: words(names), given: words(given), rest: words(rest) };
    let resolution = resolve(&declare(defaults), &words(line), Some(&parsed), false, &[])?;
    Ok(resolution.parameters.into_iter().map(|parameter| (parameter.value, parameter.source)).collect())
}

#[test]
fn flags_mean_what_the_script_s_own_parser_made_of_them() {
    let read = |default: &Value, line: &str| parsed(&json!({ "a": default }), line, "", "").expect(line);
    for (default, line) in [
        (json!([64, 32]), "--a 64 32"),
        (json!([64]), "--a 64"),
        (json!(["x", "y"]), "--a x --a y"),
        (json!(true), "--a train.csv"),
        (json!(10_000), "--a 10k"),
        (json!(0.2), "--a 0.1"),
        (json!(3), "-a -a -a"),
        (json!([1]), "--a=1"),
    ] {
        assert_eq!(read(&default, line), [(default.clone(), Source::CommandLine)], "{line}");
    }
    // By another flag, which the parser alone can tell.
    assert_eq!(parsed(&json!({"a": 3}), "-x 3", "a", "").expect("given"), [(json!(3), Source::CommandLine)]);
    assert_eq!(parsed(&json!({"a": 3}), "-x 3", "", "").expect("not given"), [(json!(3), Source::Code)]);
}

#[test]
fn what_the_script_s_own_parser_leaves_is_read_as_ever() {
    let defaults = json!({"a": 3});
    assert_eq!(parsed(&defaults, "--x 1 --a 5", "", "--a 5").expect("left"), [(json!(5), Source::CommandLine)]);
    assert_eq!(parsed(&defaults, "--x 1 a=5", "", "a=5").expect("left"), [(json!(5), Source::CommandLine)]);
    let failure = parsed(&defaults, "--x 1 --a five", "", "--a five").expect_err("no integer");
    assert_eq!(failure.message, "`a=five` is not an integer");
    assert_eq!(
        parsed(&defaults, "b=5", "", "b=5").expect_err("not declared").kind,
        FailureKind::UnknownParameter,
        "left"
    );
    assert_eq!(parsed(&defaults, "--set b=5 =", "", "").expect("the parser's"), [(json!(3), Source::Code)]);
    // What it has read as something else, such as all the arguments that follow, is a declared name's all the same.
    for line in ["a=5", "--a 5", "-a=5"] {
        assert_eq!(parsed_of("", &defaults, line, "", "").expect(line), [(json!(5), Source::CommandLine)], "{line}");
    }
    // A name of its own means what it made of it, in a language of its own.
    assert_eq!(parsed(&defaults, "a=1,2", "a", "").expect("bare"), [(json!(3), Source::CommandLine)]);
}

#[test]
fn a_parser_s_name_without_a_default_is_read_from_the_text() {
    let declared = [Declared { name: "a".to_owned(), default: None, words: Vec::new() }];
    let parsed = Parsed { names: words("a"), given: words("a"), rest: Vec::new() };
    let resolution = resolve(&declared, &words("--a 0.5"), Some(&parsed), false, &[]).expect("resolves");
    assert_eq!(resolution.parameters[0].value, json!(0.5));
}

#[test]
fn a_word_stands_for_its_value() {
    let word = |name: &str, value: Value| (name.to_owned(), value);
    let read = |default: Value, words: &[(String, Value)], text: &str| {
        let declared = [Declared { name: "a".to_owned(), default: Some(default), words: words.to_vec() }];
        let resolution = resolve(&declared, &[format!("a={text}")], None, false, &[])?;
        Ok::<_, Failure>(resolution.parameters[0].value.clone())
    };
    let losses = [word("LOG", json!("log_loss")), word("HINGE", json!("hinge")), word("hinge", json!("other"))];
    assert_eq!(read(json!("log_loss"), &losses, "HINGE").expect("a name"), json!("hinge"));
    assert_eq!(read(json!("log_loss"), &losses, "hinge").expect("a value, before a name"), json!("hinge"));
    let depths = [word("FLAT", json!(1)), word("DEEP", json!(9))];
    assert_eq!(read(json!(1), &depths, "DEEP").expect("a name"), json!(9));
    assert_eq!(read(json!(1), &depths, "9").expect("a value"), json!(9));
    let mixed = [word("ONE", json!(1)), word("MANY", json!("many"))];
    assert_eq!(read(json!(1), &mixed, "many").expect("a value of another type"), json!("many"));
    let failure = read(json!(1), &depths, "deep").expect_err("neither");
    assert_eq!(failure.hints.last().expect("a hint"), "Or give one of `FLAT`, `DEEP`");
}

#[test]
fn sources_are_written_in_words() {
    assert_eq!(json!([Source::Code, Source::CommandLine]), json!(["code", "command-line"]));
}

proptest! {
    #[test]
    fn no_command_line_is_too_odd(
        arguments in proptest::collection::vec(any::<String>(), 0..6),
        odd in proptest::collection::vec("-{0,3}[abc_.=é \n-]{0,5}=?[-0-9a]{0,3}", 0..6),
        lenient: bool,
    ) {
        for declared in [json!({}), json!({"a": 1, "b": true, "a_b": "x", "-": null})] {
            for arguments in [&arguments, &odd] {
                let _ = resolve(&declare(&declared), arguments, None, lenient, &[]);
            }
        }
    }

    #[test]
    fn the_order_of_distinct_names_does_not_matter(
        values in proptest::collection::btree_map("[a-e]", "[a-z0-9.]{0,4}", 0..5).prop_shuffle_pairs(),
        declare_none: bool,
    ) {
        let defaults = json!({"a": null, "b": "x", "c": null, "d": "", "e": null});
        let declared = if declare_none { vec![] } else { declare(&defaults) };
        let (sorted, shuffled) = values;
        prop_assert_eq!(resolve(&declared, &sorted, None, false, &[]), resolve(&declared, &shuffled, None, false, &[]));
    }

    #[test]
    fn undeclared_never_appear_and_lenient_never_fails_for_them(
        arguments in proptest::collection::vec("[a-d-]{0,3}=?[0-9]{0,2}", 0..8),
    ) {
        let declared = declare(&json!({"a": null}));
        let resolution = resolve(&declared, &arguments, None, true, &[]);
        match &resolution {
            Ok(Resolution { parameters, .. }) => {
                prop_assert!(parameters.iter().map(|parameter| parameter.name.as_str()).eq(["a"]));
            }
            Err(failure) => prop_assert!(failure.kind == FailureKind::InvalidValue),
        }
        if let Ok(strict) = resolve(&declared, &arguments, None, false, &[]) {
            prop_assert_eq!(Ok(strict), resolution);
        }
    }
}

/// The same arguments in two orders.
trait Shuffle: Strategy<Value = std::collections::BTreeMap<String, String>> + Sized {
    fn prop_shuffle_pairs(self) -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
        self.prop_flat_map(|values| {
            let sorted: Vec<String> = values.into_iter().map(|(name, text)| format!("{name}={text}")).collect();
            (Just(sorted.clone()), Just(sorted).prop_shuffle())
        })
    }
}

impl<S: Strategy<Value = std::collections::BTreeMap<String, String>>> Shuffle for S {}
