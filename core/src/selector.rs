//! Naming experiments: an id, a unique prefix of it, a tag, a name, `@` for the latest, `@~N` for the Nth before it, or
//! several of these with commas between.

use std::collections::BTreeSet;

use crate::error::{Failure, FailureKind, Result};
use crate::id::{self, SHORT, SHORTEST_PREFIX};
use crate::layout;

/// What a selector is held against, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The experiment's id.
    pub id: &'a str,
    /// Its name.
    pub name: Option<&'a str>,
}

/// The ids that the selector names by ids and prefixes alone; none when a part of it is something else, which takes the
/// records to answer.
///
/// # Errors
/// `AmbiguousExperiment` for a prefix that fits several, `Usage` for an empty selector.
pub fn by_id<'a>(selector: &str, ids: impl Iterator<Item = &'a str>) -> Result<Option<BTreeSet<String>>> {
    let terms = terms(selector)?;
    if !terms.iter().all(|term| id::is_prefix(term)) {
        return Ok(None);
    }
    let ids: Vec<&str> = ids.collect();
    let mut chosen = BTreeSet::new();
    for term in terms {
        match fitting(term, &ids)? {
            Some(id) => chosen.insert(id.to_owned()),
            None => return Ok(None),
        };
    }
    Ok(Some(chosen))
}

/// The ids that the selector names among all candidates. A prefix wins over a name; of several with one name the newest
/// is meant, and `note` is told so.
///
/// # Errors
/// `UnknownExperiment`, `AmbiguousExperiment`, `Usage`.
pub fn choose(selector: &str, candidates: &[Candidate<'_>], note: &mut dyn FnMut(String)) -> Result<BTreeSet<String>> {
    let ids: Vec<&str> = candidates.iter().map(|candidate| candidate.id).collect();
    let mut chosen = BTreeSet::new();
    for term in terms(selector)? {
        let id = if let Some(back) = latest(term)? {
            let at = ids.len().checked_sub(back + 1).ok_or_else(|| {
                let there = if ids.is_empty() { "none".to_owned() } else { ids.len().to_string() };
                Failure::new(
                    FailureKind::UnknownExperiment,
                    format!("`{term}` asks for more experiments than there are: {there}"),
                )
                .hint("Run `au metrics` to list the recorded experiments")
            })?;
            ids[at]
        } else if let Some(id) = if id::is_prefix(term) { fitting(term, &ids)? } else { None } {
            id
        } else {
            let named: Vec<_> = candidates.iter().filter(|candidate| candidate.name == Some(term)).collect();
            let newest = named.last().ok_or_else(|| unknown(term))?;
            if named.len() > 1 {
                note(format!(
                    "{} experiments are named `{term}`: the newest is meant, `{}`",
                    named.len(),
                    short(newest.id)
                ));
            }
            newest.id
        };
        chosen.insert(id.to_owned());
    }
    Ok(chosen)
}

/// Says that nothing answers to the term.
pub fn unknown(term: &str) -> Failure {
    let failure = Failure::new(FailureKind::UnknownExperiment, format!("No experiment matches `{term}`"))
        .hint("Run `au metrics` to list the recorded experiments");
    if term.contains(['<', '>', '=']) {
        return failure.hint("A condition is given by `--where`, in Python by `where=`");
    }
    let hexadecimal = !term.is_empty() && term.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal && term.len() < SHORTEST_PREFIX {
        return failure.hint(format!("Give at least {SHORTEST_PREFIX} characters of an id"));
    }
    failure
}

fn terms(selector: &str) -> Result<Vec<&str>> {
    let terms: Vec<_> = selector.split(',').map(str::trim).filter(|term| !term.is_empty()).map(bare).collect();
    if terms.is_empty() {
        return Err(Failure::new(FailureKind::Usage, "The selector is empty")
            .hint("Give an id, the beginning of one, a name, or `@` for the latest experiment"));
    }
    Ok(terms)
}

/// A tag stands for the id in it.
fn bare(term: &str) -> &str {
    let short =
        term.strip_prefix(layout::TAGS).or_else(|| term.strip_prefix("tags/au/")).or_else(|| term.strip_prefix("au/"));
    short.unwrap_or(term)
}

fn latest(term: &str) -> Result<Option<usize>> {
    let Some(rest) = term.strip_prefix('@') else { return Ok(None) };
    if rest.is_empty() {
        return Ok(Some(0));
    }
    let back = rest.strip_prefix('~').map(|count| if count.is_empty() { Ok(1) } else { count.parse() });
    match back {
        Some(Ok(back)) if back < usize::MAX => Ok(Some(back)),
        _ => Err(Failure::new(FailureKind::Usage, format!("`{term}` is no selector"))
            .hint("`@` is the latest experiment, `@~1` the one before it")),
    }
}

fn fitting<'a>(prefix: &str, ids: &[&'a str]) -> Result<Option<&'a str>> {
    let fitting: Vec<_> = ids.iter().copied().filter(|id| id.starts_with(prefix)).collect();
    match fitting[..] {
        [] => Ok(None),
        [id] => Ok(Some(id)),
        _ => {
            let shown: Vec<_> = fitting
                .iter()
                .take(5)
                .map(|id| format!("`{}`", &id[..(prefix.len() + 4).clamp(SHORT, id.len())]))
                .collect();
            Err(Failure::new(
                FailureKind::AmbiguousExperiment,
                format!("`{prefix}` fits {} experiments", fitting.len()),
            )
            .hint(format!("Give more characters: {}", shown.join(", "))))
        }
    }
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const A: &str = "acfdf6cd-1f1a-4929-b036-7b0a5399b0c6";
    const B: &str = "acfd0000-1f1a-4929-b036-7b0a5399b0c6";
    const C: &str = "280459c5-b183-462d-b89e-e53019f81c88";

    fn chosen(selector: &str) -> Result<Vec<String>> {
        let candidates = [
            Candidate { id: A, name: Some("base") },
            Candidate { id: B, name: None },
            Candidate { id: C, name: Some("base") },
        ];
        choose(selector, &candidates, &mut |_| {}).map(|ids| ids.into_iter().collect())
    }

    #[test]
    fn selects_by_id_prefix_tag_name_and_age() {
        for (selector, id) in [
            (A, A),
            ("acfdf", A),
            ("au/acfdf6cd-1f1a-4929-b036-7b0a5399b0c6", A),
            ("refs/tags/au/2804", C),
            ("2804", C),
            ("base", C),
            ("@", C),
            ("@~1", B),
            ("@~2", A),
        ] {
            assert_eq!(chosen(selector).unwrap(), [id], "{selector}");
        }
        assert_eq!(chosen(&format!("{A},{C}, {A}")).unwrap(), [C, A]);
    }

    #[test]
    fn says_what_to_do_about_selectors_that_name_nothing_or_too_much() {
        let ambiguous = chosen("acfd").unwrap_err();
        assert_eq!(ambiguous.kind, FailureKind::AmbiguousExperiment);
        assert_eq!(ambiguous.hints, ["Give more characters: `acfdf6cd`, `acfd0000`"]);
        assert_eq!(chosen("beef").unwrap_err().kind, FailureKind::UnknownExperiment);
        assert_eq!(chosen("be").unwrap_err().hints.len(), 2);
        assert_eq!(chosen("@~3").unwrap_err().kind, FailureKind::UnknownExperiment);
        assert_eq!(chosen("@x").unwrap_err().kind, FailureKind::Usage);
        assert_eq!(chosen(" ,").unwrap_err().kind, FailureKind::Usage);
    }
}
