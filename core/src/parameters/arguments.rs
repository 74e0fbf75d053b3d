//! What a command line gives: `name=value` and the flags of declared names. What the text means is [`literal`]'s
//! matter.
//!
//! [`literal`]: super::literal

use std::collections::BTreeMap;

use super::literal::{self, Kind};
use super::{Declared, LONGEST_NAME, Parsed};
use crate::error::{Failure, FailureKind, Result};
use crate::suggest::{enumerate, nearest};
use crate::value;

/// How one parameter was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given<'a> {
    /// With a value.
    Text(&'a str),
    /// As a flag alone; here as it was written.
    Flag(&'a str),
    /// To the script's own parser: the declared default is what this has made of it.
    Parsed,
}

/// What a command line gives; of several givings of one name the last.
#[derive(Debug, Default)]
pub(super) struct Givings<'a> {
    /// By declared name.
    pub(super) declared: BTreeMap<&'a str, Given<'a>>,
    /// Bare `name=value` of names that are not declared.
    pub(super) others: BTreeMap<&'a str, &'a str>,
}

/// Reads a command line. Whatever is neither a bare `name=value` nor a declared name's flag is the script's own.
pub(super) fn read<'a>(
    declared: &'a [Declared],
    arguments: &'a [String],
    parsed: Option<&Parsed>,
    lenient: bool,
) -> Result<Givings<'a>> {
    let mut givings = Givings::default();
    let has_read = |argument: &str| parsed.is_some_and(|parsed| parsed.has_read(argument));
    let is_made_of = |parameter: &Declared, argument: &str| {
        has_read(argument) && parsed.is_some_and(|parsed| parsed.reads(parameter))
    };
    for parameter in declared.iter().filter(|&parameter| parsed.is_some_and(|parsed| parsed.was_given(parameter))) {
        givings.declared.insert(&parameter.name, Given::Parsed);
    }
    let mut arguments = arguments.iter().map(String::as_str).peekable();
    while let Some(argument) = arguments.next() {
        match argument {
            "--" => break,
            "-h" | "--help" => continue,
            _ => {}
        }
        if let Some((name, text)) = flag(argument) {
            let Some(parameter) = find(declared, name) else {
                // The script's, or one that the host has read, such as `--no-tracking`. A value that follows needs no
                // care: alone it means nothing.
                continue;
            };
            if is_made_of(parameter, argument) {
                givings.declared.insert(&parameter.name, Given::Parsed);
                continue;
            }
            let text = text.or_else(|| arguments.next_if(|next| is_value(declared, parameter, next)));
            givings.declared.insert(&parameter.name, text.map_or(Given::Flag(argument), Given::Text));
        } else if let Some((name, text)) = bare(argument) {
            if let Some(parameter) = find(declared, name) {
                let given = if is_made_of(parameter, argument) { Given::Parsed } else { Given::Text(text) };
                givings.declared.insert(&parameter.name, given);
            } else if has_read(argument) && !declared.is_empty() {
                // The script's own, such as one of several `--set name=value`.
            } else if is_name(name) {
                givings.others.insert(name, text);
            } else if name.is_empty() && !lenient {
                // `lr =0.1` or `lr = 0.1`: passing over it would train with another value than the one asked for.
                return Err(Failure::new(
                    FailureKind::InvalidValue,
                    "A value on the command line has no name before its `=`",
                )
                .hint("Write `name=value` without spaces"));
            }
        }
    }
    Ok(givings)
}

/// Whether the text is a name that bare tokens are taken by; other text before a `=` is a path, an address and the
/// like.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Fails for a name that no parameter can have.
pub(super) fn check_name(name: &str) -> Result<()> {
    let why = if name.is_empty() {
        "is empty".to_owned()
    } else if name.len() > LONGEST_NAME {
        format!("is longer than {LONGEST_NAME} bytes")
    } else if name.contains(char::is_control) {
        "has control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::new(FailureKind::InvalidValue, format!("The parameter name `{}` {why}", value::excerpt(name)))
        .hint("Use a name such as `learning_rate`"))
}

fn find<'a>(declared: &'a [Declared], name: &str) -> Option<&'a Declared> {
    let named = |name: &str| declared.iter().find(|parameter| parameter.name == name);
    named(name).or_else(|| name.contains('-').then(|| named(&name.replace('-', "_"))).flatten())
}

/// Name and value of `-a`, `--a`, `-a=1` and `--a=1`.
fn flag(argument: &str) -> Option<(&str, Option<&str>)> {
    let body = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    let (name, text) = body.split_once('=').map_or((body, None), |(name, text)| (name, Some(text)));
    // `---` and `-` are no flags; `-1` is one only for a script that declares a parameter `1`.
    (!name.is_empty() && !name.starts_with('-')).then_some((name, text))
}

fn bare(argument: &str) -> Option<(&str, &str)> {
    argument.split_once('=').filter(|_| !argument.starts_with('-'))
}

/// Whether a declared flag's next token is its value.
fn is_value(declared: &[Declared], parameter: &Declared, next: &str) -> bool {
    if Kind::of(parameter.default.as_ref()) == Kind::Bool {
        // `--augment lr=0.1` and `--augment --lr 0.1` switch it on; `--augment lots` is a mistake to be told of.
        return !next.starts_with('-') && !bare(next).is_some_and(|(name, _)| is_name(name));
    }
    if !next.starts_with('-') || next == "-" {
        return true;
    }
    literal::is_negative_number(next) && flag(next).is_none_or(|(name, _)| find(declared, name).is_none())
}

/// What a parameter's text means: one of its words, or else a value of its default's type.
pub(super) fn read_value(parameter: &Declared, text: &str) -> Result<serde_json::Value> {
    let names: Vec<&str> = parameter.words.iter().map(|(name, _)| name.as_str()).collect();
    // Of another type than the default's it may be a value all the same.
    let other = || parameter.words.iter().map(|(_, value)| value).find(|value| value.as_str() == Some(text.trim()));
    let converted = literal::convert(&parameter.name, parameter.default.as_ref(), text)
        .or_else(|failure| other().cloned().ok_or(failure));
    let is_value = |value| parameter.words.iter().any(|(_, known)| known == value);
    match parameter.words.iter().find(|(name, _)| name == text.trim()) {
        // A value counts before a name, where one member has the name that is another's value.
        Some((_, value)) if !converted.as_ref().is_ok_and(is_value) => Ok(value.clone()),
        _ if names.is_empty() => converted,
        _ => converted.map_err(|failure| failure.hint(format!("Or give one of {}", enumerate(&names)))),
    }
}

/// What a flag without a value means.
pub(super) fn alone(parameter: &Declared, flag: &str) -> Result<serde_json::Value> {
    if Kind::of(parameter.default.as_ref()) == Kind::Bool {
        return Ok(true.into());
    }
    Err(Failure::new(FailureKind::InvalidValue, format!("`{}` has no value", value::excerpt(flag)))
        .hint(format!("Give one as `{}=VALUE`", parameter.name)))
}

/// The failure for names that are not declared.
pub(super) fn unknown<'a>(declared: &[Declared], names: impl Iterator<Item = &'a str>) -> Failure {
    let names: Vec<&str> = names.collect();
    let known: Vec<&str> = declared.iter().map(|parameter| parameter.name.as_str()).collect();
    let mut failure = Failure::new(FailureKind::UnknownParameter, format!("Unknown parameters: {}", enumerate(&names)));
    let mut told = Vec::new();
    for near in names.iter().filter_map(|name| nearest(name, &known)).take(3) {
        if !told.contains(&near) {
            told.push(near);
            failure = failure.hint(format!("Did you mean `{near}`?"));
        }
    }
    failure
        .hint(format!("The script declares {}", enumerate(&known)))
        .hint("Let undeclared names pass with `--unsafe-parameter-checking`")
}
