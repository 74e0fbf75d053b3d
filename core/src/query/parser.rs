//! Tokens to a tree.
//!
//! ```text
//! any        = all { "or" all }
//! all        = one { "and" one }
//! one        = "not" one | "(" any ")" | "exists" name | name [ comparison ]
//! comparison = op value | [ "not" ] "in" "(" value { "," value } ")"
//! ```

use std::ops::Range;

use serde_json::Value;

use super::ast::{Expression, Field, METRIC, Meaning, Meant, Name, Operand, Operator, PARAMETER, is_keyword};
use super::fault::Fault;
use super::lexer::{self, Kind, Token};
use super::moment::{self, Moment};
use super::pattern::Pattern;
use crate::metrics::Number;
use crate::record::Status;
use crate::{suggest, value};

type Result<T, E = Fault> = std::result::Result<T, E>;

/// Parentheses and `not`s within one another at most.
const DEEPEST: usize = 64;

pub(super) fn parse(text: &str, now: Option<u64>) -> Result<Expression> {
    let mut parser = Parser { tokens: lexer::tokens(text)?, next: 0, depth: 0, now };
    let expression = parser.any()?;
    let token = parser.peek().clone();
    match token.kind {
        Kind::End => Ok(expression),
        Kind::Close => Err(Fault::new("This parenthesis closes none", token.at)),
        Kind::Comma => {
            Err(Fault::new("A comma joins nothing here", token.at).hint("Join comparisons with `and` or `or`"))
        }
        _ => Err(Fault::new("`and`, `or` or the end is due here", token.at)
            .hint("Join comparisons with `and` or `or`")
            .hint("Put names and text of several words in quotes: `\"my metric\" > 1`")),
    }
}

/// A name by itself, as `--sort` gives it: whatever it is, unless it begins with a quote, it is one name.
pub(super) fn lone_name(text: &str, start: usize) -> Result<Name> {
    let rest = &text[start..];
    let quoted =
        rest.strip_prefix(METRIC).or_else(|| rest.strip_prefix(PARAMETER)).unwrap_or(rest).starts_with(['"', '\'']);
    if !quoted {
        if rest.is_empty() {
            return Err(Fault::new("A name is due here", start..start));
        }
        return Ok(Name { meant: meant(rest), at: start..text.len() });
    }
    let mut tokens = lexer::tokens(rest)?;
    for token in &mut tokens {
        token.at = token.at.start + start..token.at.end + start;
    }
    let mut parser = Parser { tokens, next: 0, depth: 0, now: None };
    let name = parser.name()?;
    match parser.peek() {
        Token { kind: Kind::End, .. } => Ok(name),
        Token { at, .. } => Err(Fault::new("The name ends before this", at.clone())),
    }
}

/// What a word stands for that is a name.
fn meant(word: &str) -> Meant {
    if let Some(field) = Field::of_word(word) {
        return Meant::Field(field);
    }
    let of = |prefix| word.strip_prefix(prefix).filter(|name| !name.is_empty()).map(str::to_owned);
    if let Some(name) = of(METRIC) {
        Meant::Metric(name)
    } else if let Some(name) = of(PARAMETER) {
        Meant::Parameter(name)
    } else {
        Meant::Either(word.to_owned())
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    now: Option<u64>,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next]
    }

    /// The next token. The last one stays.
    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn word(&self) -> Option<&str> {
        match &self.peek().kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    fn is_word(&self, word: &str) -> bool {
        self.word().is_some_and(|next| next.eq_ignore_ascii_case(word))
    }

    fn skip_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.take();
        }
        found
    }

    fn any(&mut self) -> Result<Expression> {
        let mut parts = vec![self.all()?];
        while self.skip_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all(&mut self) -> Result<Expression> {
        let mut parts = vec![self.one()?];
        while self.skip_word("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn one(&mut self) -> Result<Expression> {
        let token = self.peek().clone();
        if self.skip_word("not") {
            return self.deeper(&token, |parser| Ok(Expression::Not(Box::new(parser.one()?))));
        }
        if token.kind == Kind::Open {
            self.take();
            return self.deeper(&token, |parser| {
                let inner = parser.any()?;
                parser.close(&token.at)?;
                Ok(inner)
            });
        }
        if self.skip_word("exists") {
            let open = self.peek().clone();
            if open.kind != Kind::Open {
                return Ok(Expression::Exists(self.name()?));
            }
            self.take();
            let name = self.name()?;
            self.close(&open.at)?;
            return Ok(Expression::Exists(name));
        }
        let name = self.name()?;
        self.comparison(name)
    }

    fn deeper(&mut self, token: &Token, inner: impl FnOnce(&mut Self) -> Result<Expression>) -> Result<Expression> {
        if self.depth == DEEPEST {
            return Err(Fault::new(
                format!("The condition is nested more than {DEEPEST} levels deep"),
                token.at.clone(),
            )
            .hint("Leave out parentheses that change nothing"));
        }
        self.depth += 1;
        let expression = inner(self)?;
        self.depth -= 1;
        Ok(expression)
    }

    fn close(&mut self, open: &Range<usize>) -> Result<()> {
        let token = self.peek().clone();
        match token.kind {
            Kind::Close => {
                self.take();
                Ok(())
            }
            Kind::End => Err(Fault::new("This parenthesis is never closed", open.clone())),
            _ => Err(Fault::new("`and`, `or` or `)` is due here", token.at)
                .hint("Put names and text of several words in quotes: `\"my metric\" > 1`")),
        }
    }

    fn name(&mut self) -> Result<Name> {
        let Token { kind, at } = self.peek().clone();
        let meant = match kind {
            Kind::Quoted(name) => Meant::Either(name),
            Kind::Word(word) if word == METRIC || word == PARAMETER => match &self.tokens[self.next + 1] {
                Token { kind: Kind::Quoted(name), at: after } if after.start == at.end => {
                    let (name, end) = (name.clone(), after.end);
                    self.take();
                    self.take();
                    let meant = if word == METRIC { Meant::Metric(name) } else { Meant::Parameter(name) };
                    return Ok(Name { meant, at: at.start..end });
                }
                _ => return Err(Fault::new(format!("A name is due right after `{word}`"), at.end..at.end)),
            },
            Kind::Word(word) if is_keyword(&word) => {
                return Err(Fault::new(format!("A comparison is due here, and not `{word}`"), at)
                    .hint(format!("Put a name that is also a word of the language in quotes: `\"{word}\" = 1`")));
            }
            Kind::Word(word) if number(&word).is_some() || boolean(&word).is_some() => {
                return Err(Fault::new(format!("A comparison begins with a name, and `{word}` is a value"), at)
                    .hint("Write the name first: `accuracy > 0.9`, and for two bounds `lr > 0.01 and lr < 0.1`"));
            }
            Kind::Word(word) => meant(&word),
            Kind::End if self.next == 0 => {
                return Err(Fault::new("The condition is empty", at).hint("Compare something: `accuracy > 0.9`"));
            }
            Kind::End => {
                return Err(Fault::new("The condition ends where a comparison is due", at)
                    .hint("Compare something: `accuracy > 0.9`"));
            }
            Kind::Operator(operator) => {
                return Err(Fault::new(format!("A name is due before `{operator}`"), at)
                    .hint("Write the name first: `accuracy > 0.9`"));
            }
            Kind::Open | Kind::Close | Kind::Comma => return Err(Fault::new("A name is due here", at)),
        };
        self.take();
        Ok(Name { meant, at })
    }

    fn comparison(&mut self, name: Name) -> Result<Expression> {
        let token = self.peek().clone();
        if let Kind::Operator(operator) = token.kind {
            self.take();
            let operand = self.operand(&name, operator)?;
            return Ok(Expression::Compare(name, operator, operand));
        }
        if self.skip_word("in") {
            return Ok(Expression::Among(name.clone(), self.operands(&name)?));
        }
        if self.is_word("not") {
            self.take();
            if !self.skip_word("in") {
                return Err(Fault::new("`in` is due after `not` here", self.peek().at.clone())
                    .hint("Put `not` before the comparison: `not accuracy > 0.9`"));
            }
            return Ok(Expression::Not(Box::new(Expression::Among(name.clone(), self.operands(&name)?))));
        }
        let foreign = self.word().and_then(|word| match word.to_ascii_lowercase().as_str() {
            "is" | "equals" => Some("Write `=` or `!=`; what is missing, `not exists NAME` finds"),
            "like" | "ilike" | "contains" | "matches" => Some("Write `~`: `name ~ base` or `name ~ \"run-*\"`"),
            "between" => Some("Write two comparisons: `lr >= 0.01 and lr <= 0.1`"),
            _ => None,
        });
        if let (Some(hint), Some(word)) = (foreign, self.word()) {
            return Err(Fault::new(format!("`{word}` compares nothing"), token.at).hint(hint));
        }
        match &name.meant {
            Meant::Field(field) => {
                let word = field.word();
                let example = match field {
                    Field::Status => "status = finished",
                    Field::Started | Field::Ended => "started >= 7d ago",
                    Field::Duration => "duration > 90s",
                    Field::Id
                    | Field::Name
                    | Field::Script
                    | Field::Problem
                    | Field::Data
                    | Field::Model
                    | Field::Tag
                    | Field::Group
                    | Field::Parent => "name = base",
                };
                Err(Fault::new(format!("`{word}` by itself is neither true nor false"), name.at)
                    .hint(format!("Compare it, as in `{example}`, or ask whether there is one: `exists {word}`")))
            }
            Meant::Metric(_) => {
                Err(Fault::new(format!("`{name}` is a number, and so neither true nor false"), name.at.clone())
                    .hint(format!("Compare it, as in `{name} > 0.9`, or ask whether there is one: `exists {name}`")))
            }
            Meant::Either(_) | Meant::Parameter(_) => Ok(Expression::True(name)),
        }
    }

    fn operands(&mut self, name: &Name) -> Result<Vec<Operand>> {
        let open = self.take();
        if open.kind != Kind::Open {
            return Err(Fault::new("A list is due after `in`", open.at)
                .hint("Write the values in parentheses: `optimizer in (adam, sgd)`"));
        }
        let mut operands = Vec::new();
        loop {
            operands.push(self.operand(name, Operator::Equal)?);
            match self.peek().kind {
                Kind::Comma => drop(self.take()),
                Kind::Close => {
                    self.take();
                    return Ok(operands);
                }
                Kind::End => return Err(Fault::new("This parenthesis is never closed", open.at)),
                _ => {
                    return Err(Fault::new("`,` or `)` is due here", self.peek().at.clone())
                        .hint("Put text of several words in quotes: `name in (\"my run\", base)`"));
                }
            }
        }
    }

    fn operand(&mut self, name: &Name, operator: Operator) -> Result<Operand> {
        let Token { kind, mut at } = self.peek().clone();
        let (mut text, quoted) = match kind {
            Kind::Word(word) if !is_keyword(&word) => (word, false),
            Kind::Quoted(text) => (text, true),
            Kind::Word(word) => {
                return Err(Fault::new(format!("A value is due here, and not `{word}`"), at)
                    .hint(format!("Put text that is also a word of the language in quotes: `\"{word}\"`")));
            }
            Kind::End => return Err(Fault::new("The condition ends where a value is due", at)),
            Kind::Open | Kind::Close => return Err(Fault::new("A value is due here", at)),
            Kind::Operator(_) | Kind::Comma => {
                return Err(Fault::new("A value is due here", at).hint("Put text with such characters in quotes"));
            }
        };
        self.take();
        if !quoted && matches!(name.meant, Meant::Field(Field::Started | Field::Ended | Field::Duration)) {
            // Times have spaces in them: `2 days ago`.
            let more = |parser: &Self, text: &str| {
                let word = parser.word()?;
                let count = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                (word.eq_ignore_ascii_case("ago") || count && moment::unit(word).is_some()).then(|| word.to_owned())
            };
            while let Some(word) = more(self, &text) {
                at.end = self.take().at.end;
                text = format!("{text} {word}");
            }
        }
        let meaning = self.meaning(name, operator, &text, quoted, at)?;
        Ok(Operand { text, quoted, meaning })
    }

    fn meaning(&self, name: &Name, operator: Operator, text: &str, quoted: bool, at: Range<usize>) -> Result<Meaning> {
        let Meant::Field(field) = name.meant else {
            return if operator.is_match() {
                Ok(Meaning::Pattern(Pattern::new(text)))
            } else {
                plain(name, operator, text, quoted, at)
            };
        };
        let excerpt = value::excerpt(text);
        match field {
            Field::Duration if operator.is_match() => {
                Err(Fault::new("A duration is no text to match", at).hint("Compare it: `duration > 90s`"))
            }
            _ if operator.is_match() => Ok(Meaning::Pattern(Pattern::new(text))),
            Field::Started | Field::Ended => self.moment(text, at),
            Field::Duration => {
                let seconds = number(text).map(|number| number.as_f64() * 1000.0).filter(|ms| ms.is_finite());
                let duration = seconds.or_else(|| moment::duration(text));
                let duration = duration.ok_or_else(|| Fault::new(format!("`{excerpt}` is no duration"), at));
                duration.map(Meaning::Duration).map_err(|fault| fault.hint("Write it as `90s`, `5m`, `1h30m` or `2d`"))
            }
            Field::Id
            | Field::Name
            | Field::Status
            | Field::Script
            | Field::Problem
            | Field::Data
            | Field::Model
            | Field::Tag
            | Field::Group
            | Field::Parent
                if operator.is_order() =>
            {
                Err(Fault::new(format!("`{name}` is neither less nor more than anything"), name.at.start..at.end)
                    .hint("Use `=`, `!=`, `~`, `!~` or `in`"))
            }
            Field::Status => {
                let known = STATUSES.map(|status| status.to_string());
                let found = STATUSES.into_iter().find(|status| status.to_string().eq_ignore_ascii_case(text));
                found.map(Meaning::Status).ok_or_else(|| {
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    let hint = suggest::nearest(text, &known).map_or_else(
                        || format!("There are {}", suggest::enumerate(&known)),
                        |near| format!("Did you mean `{near}`?"),
                    );
                    Fault::new(format!("`{excerpt}` is no status"), at).hint(hint)
                })
            }
            Field::Id
            | Field::Name
            | Field::Script
            | Field::Problem
            | Field::Data
            | Field::Model
            | Field::Tag
            | Field::Group
            | Field::Parent => plain(name, operator, text, quoted, at),
        }
    }

    fn moment(&self, text: &str, at: Range<usize>) -> Result<Meaning> {
        if let Some(moment) = Moment::of_date(text) {
            return Ok(Meaning::Moment(moment));
        }
        let excerpt = value::excerpt(text);
        if Moment::of_age(text, 0).is_some() {
            let moment = self.now.and_then(|now| Moment::of_age(text, now));
            return moment.map(Meaning::Moment).ok_or_else(|| {
                Fault::new(format!("What `{excerpt}` is depends on the time, which is not known here"), at)
                    .hint("Give a date: `2026-11-24`")
            });
        }
        let fault = Fault::new(format!("`{excerpt}` is no time"), at);
        Err(match moment::duration(text) {
            Some(_) => fault.hint(format!("Write `{excerpt} ago`, as in `started >= {excerpt} ago`")),
            None => fault.hint("Write a date (`2026-11-24`), a time (`2026-11-24T10:00+01:00`), or an age (`7d ago`)"),
        })
    }
}

const STATUSES: [Status; 6] =
    [Status::Running, Status::Finished, Status::Failed, Status::Interrupted, Status::Killed, Status::Lost];

fn plain(name: &Name, operator: Operator, text: &str, quoted: bool, at: Range<usize>) -> Result<Meaning> {
    if quoted && !matches!(name.meant, Meant::Metric(_)) {
        let json = compound(text);
        return Ok(Meaning::Plain { number: None, boolean: None, null: false, json });
    }
    let number = if quoted { None } else { number(text) };
    if number.is_none() && matches!(name.meant, Meant::Metric(_)) {
        return Err(Fault::new(format!("`{}` is no number, and metrics are numbers", value::excerpt(text)), at)
            .hint(format!("Compare it with a number: `{name} > 0.9`")));
    }
    if operator.is_order() && number.as_ref().is_some_and(|number| number.as_f64().is_nan()) {
        return Err(Fault::new("Nothing is less or more than NaN", at).hint(format!("Find NaN with `{name} = nan`")));
    }
    let null = ["none", "null"].iter().any(|word| text.eq_ignore_ascii_case(word));
    Ok(Meaning::Plain { number, boolean: boolean(text), null, json: compound(text) })
}

/// A list or an object in its normal form.
fn compound(text: &str) -> Option<String> {
    if !text.starts_with(['[', '{']) {
        return None;
    }
    serde_json::from_str::<Value>(text).ok().map(|json| value::normal(&json).to_string())
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The number that a word is: digits with `_` between them where it helps, decimals, exponents, `nan`, `inf`.
pub(super) fn number(word: &str) -> Option<Number> {
    let (negative, unsigned) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    if ["inf", "infinity"].iter().any(|name| unsigned.eq_ignore_ascii_case(name)) {
        return Some(Number::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    if word.eq_ignore_ascii_case("nan") {
        return Some(Number::Float(f64::NAN));
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || unsigned.contains("__")
        || unsigned.ends_with('_')
        || !unsigned.bytes().all(|byte| byte.is_ascii_digit() || b"._eE+-".contains(&byte))
    {
        return None;
    }
    let digits = unsigned.replace('_', "");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let value: f64 = digits.parse().ok()?;
        return Some(Number::Float(if negative { -value } else { value }));
    }
    let digits = digits.trim_start_matches('0');
    let sign = if negative && !digits.is_empty() { "-" } else { "" };
    let digits = format!("{sign}{}", if digits.is_empty() { "0" } else { digits });
    Some(digits.parse().map_or(Number::Digits(digits), Number::Integer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        for (word, expected) in [
            ("0", Number::Integer(0)),
            ("-0", Number::Integer(0)),
            ("+7", Number::Integer(7)),
            ("1_000", Number::Integer(1000)),
            ("9007199254740993", Number::Integer((1 << 53) + 1)),
            ("0018446744073709551616", Number::Digits("18446744073709551616".into())),
            ("-18446744073709551616", Number::Digits("-18446744073709551616".into())),
            ("0.5", Number::Float(0.5)),
            (".5", Number::Float(0.5)),
            ("-5.", Number::Float(-5.0)),
            ("1e-3", Number::Float(0.001)),
            ("-Inf", Number::Float(f64::NEG_INFINITY)),
        ] {
            assert_eq!(number(word), Some(expected), "{word}");
        }
        assert!(number("NaN").is_some_and(|number| number.as_f64().is_nan()));
        for word in ["", "-", ".", "1e", "1__0", "1_", "0x10", "1.2.3", "2026-11-24", "e5", "٣"] {
            assert_eq!(number(word), None, "{word}");
        }
    }
}
