//! Packing an experiment up, to be sent and run elsewhere: a zip file of what its commit and the store have, and nothing
//! else. `docs/record-format.md` documents what is in it.

use crate::dataset::add::check_own;
use crate::dataset::packed_name;
use crate::error::{Failure, Result};
use crate::history;
use crate::layout;
use crate::models;
use crate::ports::{ArchiveWriter, Destination, Location, Ports};
use crate::project;
use crate::record::Record;
use crate::suggest;
use crate::time;

/// What is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// The datasets.
    pub data: bool,
    /// Every value of the metrics.
    pub metrics: bool,
    /// What was printed.
    pub logs: bool,
    /// The models.
    pub model: bool,
    /// The code.
    pub code: bool,
}

/// An experiment packed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The experiment's id.
    pub id: String,
    /// The file, as people find it.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// Writes the experiment that a selector names as a zip file named after its id. Equal experiments give equal bytes.
///
/// # Errors
/// Those of selectors, and when the file can't be written: then there is none.
pub fn pack(ports: &Ports, selector: &str, without: Without, destination: Destination) -> Result<Package> {
    project::require(ports)?;
    let (record, commit) = history::one_saved(ports, selector)?;
    let id = record.id.as_str();
    let modified = time::parse(&record.ended).unwrap_or_default();
    let begun = ports.archive.begin(destination, &layout::package(id), modified);
    let mut writer =
        begun.map_err(|error| Failure::from(error).hint("Say where it is to go: `au export --output FILE`"))?;
    let archive = &mut *writer;
    let file = |path: String| Location { root: commit.clone(), path };

    archive.add_bytes(&format!("{id}/README.txt"), readme(&record, without).as_bytes())?;
    archive.add_file(&format!("{id}/record.json"), &file(layout::record(id)))?;
    archive.add_file(&format!("{id}/requirements.txt"), &file(layout::requirements(id)))?;
    if !without.metrics {
        archive.add_file(&format!("{id}/metrics.jsonl"), &file(layout::metrics(id)))?;
    }
    if !without.logs {
        archive.add_file(&format!("{id}/logs/{id}.log"), &file(layout::log(id)))?;
    }
    if !without.model {
        add_models(ports, archive, &record)?;
    }
    let packed = if without.data { Vec::new() } else { add_data(ports, archive, &record)? };
    if !without.code {
        // What stands in the package already: the files of the record, and data that git tracks besides.
        let mut leave_out = vec![layout::EXPERIMENTS.to_owned(), layout::log(id)];
        leave_out.extend(packed);
        for submodule in archive.add_tree(&format!("{id}/project"), &commit, &leave_out)? {
            ports.progress.warn(
                &format!("The submodule `{submodule}` is not in the package: its code is in a repository of its own"),
                &[],
            );
        }
    }
    let finished = writer.finish()?;
    Ok(Package { id: record.id, path: finished.path, size: finished.size })
}

/// Adds what the script saved: models and artefacts.
fn add_models(ports: &Ports, archive: &mut dyn ArchiveWriter, record: &Record) -> Result<()> {
    let models = record.models.iter().map(|(name, model)| ("models", "model", name, &model.digest));
    let artifacts = record.artifacts.iter().map(|(name, artifact)| ("artifacts", "artefact", name, &artifact.digest));
    for (folder, what, name, digest) in models.chain(artifacts) {
        let path = format!("{}/{folder}/{}", record.id, packed_name(name));
        if !archive.add_stored(&path, crate::ports::DataKind::File, digest)? {
            let hint = models::ELSEWHERE.to_owned();
            ports
                .progress
                .warn(&format!("The {what} `{name}` is not in the package: its bytes are not in this clone"), &[hint]);
        }
    }
    Ok(())
}

/// Adds the data, at its place in the project or, of what lay outside, under its name. Answers the former's paths.
fn add_data(ports: &Ports, archive: &mut dyn ArchiveWriter, record: &Record) -> Result<Vec<String>> {
    let mut packed = Vec::new();
    for (name, usage) in &record.datasets {
        let path = match &usage.source.path {
            Some(path) => {
                check_own(path)?;
                format!("{}/project/{path}", record.id)
            }
            // Where `use_datasets` finds it.
            None => format!("{}/project/{}", record.id, layout::packed_data(&packed_name(name))),
        };
        let added = match &usage.digest {
            Some(digest) => archive.add_stored(&path, usage.kind, digest)?,
            None => false,
        };
        if added {
            packed.extend(usage.source.path.clone());
        } else {
            let why = if usage.digest.is_some() { "it is not in the store" } else { "its content is not known" };
            ports.progress.warn(
                &format!("The data of `{name}` as the experiment had it is not in the package: {why}"),
                &["`au data add` keeps the content of data for later".to_owned()],
            );
        }
    }
    Ok(packed)
}

/// How to run it again, for who has nothing but the package.
fn readme(record: &Record, without: Without) -> String {
    let script = record.code.script.as_deref().unwrap_or("experiment");
    let mut text =
        format!("Experiment {}\n{script} {}, {} to {}\n", record.id, record.status, record.started, record.ended);
    let left_out: Vec<&str> = [
        (without.code, "the code"),
        (without.data, "the data"),
        (without.model, "the models and artefacts"),
        (without.metrics, "the history of the metrics"),
        (without.logs, "the log"),
    ]
    .into_iter()
    .filter_map(|(left_out, what)| left_out.then_some(what))
    .collect();
    text.push_str(
        "\nrecord.json       what it is and what came of it\n\
         requirements.txt  the packages that it could import\n\
         metrics.jsonl     every value of every metric\n\
         logs/             what it printed\n\
         models/           what it saved\n\
         artifacts/        files that it kept\n\
         project/          its code, with the data at its place\n\
         project/.au/data/ data that lay outside of the project\n",
    );
    if !left_out.is_empty() {
        text.push_str(&format!("\nLeft out on request: {}\n", left_out.join(", ")));
    }
    if let (Some(environment), Some(script), false) = (&record.environment, &record.code.script, without.code) {
        let arguments: String =
            record.command.arguments.iter().map(|word| format!(" {}", suggest::word(word))).collect();
        let (folder, script) = match record.command.directory.as_deref().filter(|folder| !folder.is_empty()) {
            // As it was started: relative to its folder.
            Some(folder) if script.starts_with(&format!("{folder}/")) => {
                (format!("project/{folder}"), script[folder.len() + 1..].to_owned())
            }
            _ => ("project".to_owned(), script.clone()),
        };
        text.push_str(&format!(
            "\nTo run it again, with {} {}:\n\n\
             \x20   python3 -m venv environment\n\
             \x20   . environment/bin/activate\n\
             \x20   pip install --requirement requirements.txt\n\
             \x20   au init -C project      # only to have its runs recorded\n\
             \x20   cd {}\n\
             \x20   python {}{arguments}\n",
            environment.implementation,
            environment.version,
            suggest::word(&folder),
            suggest::word(&script),
        ));
        text.push_str(
            "\nWhat pip does not find (Aurum itself, packages of your own), install from where it comes from, and take its line out.\n",
        );
        if record.command.arguments.iter().any(|argument| argument.contains("***")) {
            text.push_str("\nWhere it says ***, a secret was given that is not recorded.\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_any_name_get_a_file_of_their_own() {
        assert_eq!(packed_name("model"), "model");
        assert_eq!(packed_name("epoch 3/best.pt"), "epoch 3%2Fbest.pt");
        assert_eq!(packed_name("../x"), "%2E.%2Fx");
        assert_eq!(packed_name("a%2Fb"), "a%252Fb");
        assert_eq!(packed_name("モデル"), "モデル");
    }
}
