//! What to do about data that is not as it was recorded.

use super::seen_from;
use crate::cli::render::dataset::Dataset;
use crate::cli::render::word::words;

/// Datasets that a command names; with more of them, people choose.
const NAMED: usize = 5;

type Kind = fn(&Dataset) -> bool;

/// How many of the datasets are not as they were; nothing when all are.
pub(super) fn summary(rows: &[Dataset]) -> Option<String> {
    let kinds: [(Kind, &str, &str); 3] = [
        (has_changed, "has changed", "have changed"),
        (is_missing, "is missing", "are missing"),
        (has_newer, "has another version on its server", "have another version on their servers"),
    ];
    let mut parts: Vec<String> = Vec::new();
    for (is, one, many) in kinds {
        let count = rows.iter().filter(|row| is(row)).count();
        if count > 0 {
            let verb = if count == 1 { one } else { many };
            let what = match (parts.is_empty(), count) {
                (false, _) => "",
                (true, 1) => "dataset ",
                (true, _) => "datasets ",
            };
            parts.push(format!("{count} {what}{verb}"));
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn has_changed(row: &Dataset) -> bool {
    row.state == "changed"
}

fn is_missing(row: &Dataset) -> bool {
    row.state == "missing"
}

/// Whether there is something new to get, and nothing of the user's that it would replace.
fn has_newer(row: &Dataset) -> bool {
    row.state == "unchanged" && row.remote.as_deref() == Some("changed")
}

/// What to do about it, most useful first, by commands that can be copied into a shell in this folder below the root.
pub(super) fn hints(rows: &[Dataset], here: &str) -> Vec<String> {
    let can_go_back = |row: &&Dataset| row.is_inside() && row.in_store != Some(false);
    let mut hints = Vec::new();
    let changed: Vec<_> = rows.iter().filter(|row| has_changed(row)).collect();
    if !changed.is_empty() {
        let paths: Vec<_> = changed.iter().filter_map(|row| path(row, here)).collect();
        hints.push(format!("Keep what is there now: `au data add {}`", arguments(paths.iter(), "PATH...")));
    }
    let back: Vec<_> = changed.into_iter().filter(can_go_back).map(|row| &row.name).collect();
    if !back.is_empty() {
        let names = arguments(back.into_iter(), "NAME...");
        hints.push(format!(
            "Or go back to what was recorded: `au data restore {names}`; move away first what is kept nowhere else"
        ));
    }
    let (restorable, lost): (Vec<_>, Vec<_>) = rows.iter().filter(|row| is_missing(row)).partition(can_go_back);
    if !restorable.is_empty() {
        let names = arguments(restorable.into_iter().map(|row| &row.name), "NAME...");
        hints.push(format!("Bring back what is missing: `au data restore {names}`"));
    }
    hints.extend(lost.into_iter().map(|row| how_to_get(row, here)).take(NAMED));
    let newer = rows.iter().filter(|row| has_newer(row)).filter_map(|row| Some((row, download(row, here)?)));
    hints.extend(newer.map(|(row, command)| format!("Get the new version of `{}`: `{command}`", row.name)).take(NAMED));
    hints
}

/// How to get what the store can't give.
fn how_to_get(row: &Dataset, here: &str) -> String {
    match (download(row, here), path(row, here)) {
        (Some(command), _) => format!("Download `{}` again: `{command}`", row.name),
        (None, Some(path)) if row.is_inside() => {
            format!("Put `{}` back at `{path}`, or copy `.git/aurum/store` from the machine that added it", row.name)
        }
        (None, _) => {
            let name = words([row.name.as_str()]);
            format!("Say where `{}` is on this computer: `au data add --name {name} /PATH`", row.name)
        }
    }
}

/// The command that downloads it to where it is, for downloads go to the working folder.
fn download(row: &Dataset, here: &str) -> Option<String> {
    let (url, path) = (row.source.url.as_deref()?, row.source.path.as_deref()?);
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    if folder == here {
        return Some(format!("au data add {}", words([url])));
    }
    let folder = seen_from(here, folder);
    Some(format!("au -C {} data add {}", words([folder.as_str()]), words([url])))
}

/// Where it is, as seen from the working folder.
fn path(row: &Dataset, here: &str) -> Option<String> {
    let place = row.place.as_ref()?;
    Some(if row.is_inside() { seen_from(here, place) } else { place.clone() })
}

fn arguments<'a>(names: impl ExactSizeIterator<Item = &'a String>, many: &str) -> String {
    if names.len() > NAMED { many.to_owned() } else { words(names.map(String::as_str)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::render::dataset::tests::row;

    #[test]
    fn the_summary_counts_what_is_not_as_it_was() {
        let of = |states: &[&str]| {
            summary(&states.iter().map(|state| row("a", json!({ "state": state }))).collect::<Vec<_>>())
        };
        assert_eq!(of(&["unchanged"]), None);
        assert_eq!(of(&["unchanged", "changed"]).as_deref(), Some("1 dataset has changed"));
        assert_eq!(of(&["missing", "missing"]).as_deref(), Some("2 datasets are missing"));
        let both = of(&["changed", "changed", "missing"]);
        assert_eq!(both.as_deref(), Some("2 datasets have changed, 1 is missing"));
        let newer = row("a", json!({ "state": "unchanged", "remote": "changed" }));
        assert_eq!(summary(&[newer]).as_deref(), Some("1 dataset has another version on its server"));
    }

    #[test]
    fn the_hints_name_what_can_be_done_from_here() {
        let source = json!({ "type": "outside" });
        let outside = |state: &str| json!({ "state": state, "in_store": true, "source": &source, "place": "/mnt/f" });
        let rows = [
            row("a b", json!({ "state": "changed", "in_store": true, "place": "data/a b" })),
            row("far", outside("changed")),
            row("b", json!({ "state": "missing", "in_store": true })),
            row("c", json!({ "state": "unchanged", "in_store": true })),
        ];
        assert_eq!(
            hints(&rows, "src"),
            [
                "Keep what is there now: `au data add '../data/a b' /mnt/f`",
                "Or go back to what was recorded: `au data restore 'a b'`; move away first what is kept nowhere else",
                "Bring back what is missing: `au data restore b`",
            ]
        );
        let lost = |keys| hints(&[row("a", keys)], "");
        let url = json!({ "type": "address", "path": "a", "url": "https://example.org/a" });
        assert_eq!(
            lost(json!({ "state": "missing", "in_store": false, "source": url })),
            ["Download `a` again: `au data add https://example.org/a`"]
        );
        let source = json!({ "type": "address", "path": "data/a", "url": "https://example.org/a?b" });
        let newer = [row("a", json!({ "state": "unchanged", "remote": "changed", "source": source }))];
        let expected = |command| [format!("Get the new version of `a`: `{command}`")];
        assert_eq!(hints(&newer, "data"), expected("au data add 'https://example.org/a?b'"));
        assert_eq!(hints(&newer, "src"), expected("au -C ../data data add 'https://example.org/a?b'"));
        assert_eq!(hints(&newer, "data/b"), expected("au -C .. data add 'https://example.org/a?b'"));
        assert_eq!(
            lost(json!({ "state": "missing", "in_store": false })),
            ["Put `a` back at `a`, or copy `.git/aurum/store` from the machine that added it"]
        );
        assert_eq!(lost(outside("missing")), ["Say where `a` is on this computer: `au data add --name a /PATH`"]);
        let no_way_back = json!({ "state": "changed", "in_store": false, "place": "-a" });
        assert_eq!(lost(no_way_back), ["Keep what is there now: `au data add ./-a`"]);
    }

    #[test]
    fn of_many_none_is_named() {
        let rows: Vec<_> = (0..9).map(|n| row(&format!("d{n}"), json!({ "state": "missing" }))).collect();
        assert_eq!(hints(&rows, ""), ["Bring back what is missing: `au data restore NAME...`"]);
    }
}
