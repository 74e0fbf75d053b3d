//! Warnings about names: those that no experiment has, and those that may mean something else than what was thought of.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::ast::{Expression, Field, Meant, Name};
use super::sort::Sort;
use super::subject::{Naming, Subjects};
use crate::error::Result;
use crate::{suggest, value};

/// # Errors
/// When the experiments can't be read.
pub(super) fn give(
    condition: Option<&Expression>,
    sort: Option<&Sort>,
    subjects: &(impl Subjects + ?Sized),
    warn: &mut dyn FnMut(&str, &[String]),
) -> Result<()> {
    let mut all: Vec<&Name> = sort.map(|sort| &sort.name).into_iter().collect();
    if let Some(condition) = condition {
        condition.each_name(&mut |name| all.push(name));
    }
    let names: BTreeMap<&Meant, &Name> = all.into_iter().map(|name| (&name.meant, name)).collect();
    let borne = Borne::find(names.keys().copied(), subjects)?;
    if !borne.any_experiment {
        return Ok(());
    }
    let any = |naming, name: &str| borne.names.contains(&(naming, name));
    for (meant, name) in names {
        match meant {
            Meant::Field(field) => {
                let word = field.word();
                let others: Vec<_> = [(Naming::Metric, "metric"), (Naming::Parameter, "param")]
                    .into_iter()
                    .filter(|(naming, _)| any(*naming, word))
                    .map(|(_, prefix)| format!("`{prefix}.{word}`"))
                    .collect();
                if !others.is_empty() {
                    let hint = format!("Write {} for what the script gave that name", others.join(" or "));
                    warn(&format!("`{word}` stands for what Aurum itself knows of an experiment"), &[hint]);
                }
            }
            Meant::Either(plain) => match (any(Naming::Metric, plain), any(Naming::Parameter, plain)) {
                (false, false) => unknown(name, &[Naming::Metric, Naming::Parameter], plain, subjects, warn)?,
                (true, true) => {
                    let name = value::excerpt(plain);
                    let hint = format!("Write `metric.{name}` or `param.{name}`");
                    warn(
                        &format!("`{name}` is a metric and a parameter: the metric counts wherever there is one"),
                        &[hint],
                    );
                }
                _ => {}
            },
            Meant::Metric(plain) if !any(Naming::Metric, plain) => {
                unknown(name, &[Naming::Metric], plain, subjects, warn)?;
            }
            Meant::Parameter(plain) if !any(Naming::Parameter, plain) => {
                unknown(name, &[Naming::Parameter], plain, subjects, warn)?;
            }
            Meant::Metric(_) | Meant::Parameter(_) => {}
        }
    }
    Ok(())
}

/// Which of the names that are asked for some experiment bears.
struct Borne<'q> {
    names: BTreeSet<(Naming, &'q str)>,
    any_experiment: bool,
}

impl<'q> Borne<'q> {
    fn find(asked: impl Iterator<Item = &'q Meant>, subjects: &(impl Subjects + ?Sized)) -> Result<Self> {
        let mut sought: Vec<(Naming, &str)> = asked
            .flat_map(|meant| {
                let (metric, parameter) = match meant {
                    Meant::Field(field) => (Some(field.word()), Some(field.word())),
                    Meant::Either(name) => (Some(&**name), Some(&**name)),
                    Meant::Metric(name) => (Some(&**name), None),
                    Meant::Parameter(name) => (None, Some(&**name)),
                };
                let metric = metric.map(|name| (Naming::Metric, name));
                metric.into_iter().chain(parameter.map(|name| (Naming::Parameter, name)))
            })
            .collect();
        let mut found = Self { names: BTreeSet::new(), any_experiment: false };
        subjects.each(&mut |_, subject| {
            found.any_experiment = true;
            sought.retain(|(naming, name)| {
                let there = match naming {
                    Naming::Metric => subject.metric(name).is_some(),
                    Naming::Parameter => subject.parameter(name).is_some(),
                };
                if there {
                    found.names.insert((*naming, *name));
                }
                !there
            });
            if sought.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }
}

fn unknown(
    name: &Name,
    sought: &[Naming],
    plain: &str,
    subjects: &(impl Subjects + ?Sized),
    warn: &mut dyn FnMut(&str, &[String]),
) -> Result<()> {
    let mut known: BTreeSet<(Naming, String)> = BTreeSet::new();
    subjects.each(&mut |_, subject| {
        subject.each_name(&mut |naming, name| {
            known.insert((naming, name.to_owned()));
        });
        ControlFlow::Continue(())
    })?;
    let known = &known;
    let of = |naming: Naming| known.iter().filter(move |(other, _)| *other == naming).map(|(_, name)| name.as_str());
    let what = match sought {
        [Naming::Metric] => "metric",
        [Naming::Parameter] => "parameter",
        _ => "metric or parameter",
    };
    let message = format!("No experiment has the {what} `{}`", value::excerpt(plain));
    let scripts: Vec<&str> = sought.iter().flat_map(|naming| of(*naming)).collect();
    let mut all = scripts.clone();
    if sought.len() > 1 {
        // A field could stand there too.
        Field::ALL.iter().for_each(|field| all.push(field.word()));
    }
    let elsewhere =
        [Naming::Metric, Naming::Parameter].into_iter().find(|naming| of(*naming).any(|name| name == plain));
    let hint = if let Some(naming) = elsewhere {
        let mut other = name.clone();
        other.meant = match naming {
            Naming::Metric => Meant::Metric(plain.to_owned()),
            Naming::Parameter => Meant::Parameter(plain.to_owned()),
        };
        Some(format!("Write `{other}`"))
    } else if let Some(near) = suggest::nearest(plain, &all) {
        Some(format!("Did you mean `{}`?", value::excerpt(near)))
    } else if scripts.is_empty() {
        None
    } else {
        Some(format!("There are {}", suggest::enumerate(&scripts)))
    };
    warn(&message, hint.as_slice());
    Ok(())
}
