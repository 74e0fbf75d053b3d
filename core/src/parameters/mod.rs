//! What `name=value` on a command line means.
//!
//! [`arguments`] finds what is given, [`literal`] reads it as the type of the default in the code.

mod arguments;
pub(crate) mod literal;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Result;
use crate::value;
use arguments::Given;

/// Bytes of a parameter's name at most.
pub const LONGEST_NAME: usize = 256;

/// A parameter as the script declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Any name: not only what can be an attribute.
    pub name: String,
    /// The default in the code; none where the script gave a name alone.
    pub default: Option<Value>,
    /// Words that stand for values, such as the names of an enumeration's members.
    pub words: Vec<(String, Value)>,
}

/// What a parser of the script's own has made of the command line, such as Python's `argparse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The names that it reads: the default of such a parameter is what it has made of the command line.
    pub names: Vec<String>,
    /// Those of them that it knows to be given.
    pub given: Vec<String>,
    /// The arguments that it left unread.
    pub rest: Vec<String>,
}

impl Parsed {
    /// Whether it has read the argument, whatever that is to it.
    fn has_read(&self, argument: &str) -> bool {
        !self.rest.iter().any(|left| left == argument)
    }

    /// Whether it has made the parameter's default of the command line.
    fn reads(&self, parameter: &Declared) -> bool {
        parameter.default.is_some() && self.names.contains(&parameter.name)
    }

    /// Whether it knows the parameter to be given.
    fn was_given(&self, parameter: &Declared) -> bool {
        self.reads(parameter) && self.given.contains(&parameter.name)
    }
}

/// Who gave a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The default in the code.
    Code,
    /// The command line.
    CommandLine,
}

/// A parameter with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// As declared.
    pub name: String,
    /// Null where there is neither a default nor a value.
    pub value: Value,
    /// Who gave it.
    pub source: Source,
}

/// What a script's parameters are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolution {
    /// As declared, then those taken from the command line alone by name; each name once.
    pub parameters: Vec<Parameter>,
    /// Names that can't be read as attributes, and why.
    pub warnings: Vec<String>,
}

/// What a script's parameters are, given its command line without the program's name.
///
/// `name=value` is split at its first `=`; `-a 1`, `-a=1`, `--a 1` and `--a=1` are accepted for declared names, and a
/// flag alone switches a bool on. Other flags are the script's own. Without any declared name all bare `name=value` are
/// taken. `lenient` lets undeclared names pass.
///
/// Where the script has a parser of its own, the parameters that this reads are what it made of them, and `name=value` that it has read
/// need not be declared.
///
/// # Errors
/// `UnknownParameter` for undeclared names, `InvalidValue` for what can't be read as the type of its default and for
/// what can't be a name.
pub fn resolve(
    declared: &[Declared],
    arguments: &[String],
    parsed: Option<&Parsed>,
    lenient: bool,
    reserved: &[String],
) -> Result<Resolution> {
    for parameter in declared {
        arguments::check_name(&parameter.name)?;
        if let Some(default) = &parameter.default {
            value::check(default, &parameter.name)?;
        }
    }
    let declared = &distinct(declared);
    let givings = arguments::read(declared, arguments, parsed, lenient)?;
    if !(declared.is_empty() || lenient || givings.others.is_empty()) {
        return Err(arguments::unknown(declared, givings.others.keys().copied()));
    }

    let mut resolution = Resolution::default();
    for parameter in declared {
        let name = parameter.name.clone();
        if reserved.contains(&name) {
            resolution
                .warnings
                .push(format!("`{name}` is also a function of aurum: read the parameter as `au.params[\"{name}\"]`"));
        }
        let default = parameter.default.as_ref();
        let (value, source) = match givings.declared.get(name.as_str()) {
            Some(Given::Text(text)) => (arguments::read_value(parameter, text)?, Source::CommandLine),
            Some(Given::Parsed) => (default.map_or(Value::Null, value::normal), Source::CommandLine),
            Some(Given::Flag(flag)) => (arguments::alone(parameter, flag)?, Source::CommandLine),
            None => (default.map_or(Value::Null, value::normal), Source::Code),
        };
        resolution.parameters.push(Parameter { name, value, source });
    }
    if declared.is_empty() {
        for (name, text) in givings.others {
            arguments::check_name(name)?;
            let value = literal::convert(name, None, text)?;
            resolution.parameters.push(Parameter { name: name.to_owned(), value, source: Source::CommandLine });
        }
    }
    Ok(resolution)
}

/// Each name once, where it first stands, with the default that was declared last.
fn distinct(declared: &[Declared]) -> Vec<Declared> {
    let mut distinct: Vec<Declared> = Vec::with_capacity(declared.len());
    for parameter in declared {
        match distinct.iter_mut().find(|earlier| earlier.name == parameter.name) {
            Some(earlier) => earlier.clone_from(parameter),
            None => distinct.push(parameter.clone()),
        }
    }
    distinct
}

#[cfg(test)]
mod tests;
