use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::capabilities::archive::Destination;
use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::{escape, size};
use crate::cli::ui::Ui;
use crate::{Omissions, Packed, Tracker};

/// Pack an experiment up, to be sent and run elsewhere
///
/// Writes a zip file with the experiment's code, data, models, metrics, log and packages, and with what it takes to run it
/// again. All of it comes from the experiment and the store: your files may be other by now. Packing the same experiment
/// once more gives the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct ExportArgs {
    /// The experiment: an id, the beginning of one (4 characters or more), a tag, a name, `@` for the latest, or `@~N` for
    /// the Nth before it
    #[arg(value_name = "SELECTOR")]
    selector: String,
    /// Leave the datasets out
    #[arg(long)]
    no_data: bool,
    /// Leave the history of the metrics out; their last values are in the record
    #[arg(long)]
    no_metrics: bool,
    /// Leave out what was printed
    #[arg(long)]
    no_logs: bool,
    /// Leave the models and artefacts out
    #[arg(long)]
    no_model: bool,
    /// Leave the code out
    #[arg(long)]
    no_code: bool,
    /// The file to write, or the folder for it; without it, a file in this folder that is named after the id
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn examples() -> String {
    format!(
        "\
Examples:
  au export acfdf6cd              All there is of an experiment
  au export acfdf6cd --no-data    Without its data
  au export @ -o latest.zip       The latest, in a file of that name

{EXIT_STATUS}"
    )
}

pub(crate) fn export(ui: &mut Ui<'_>, tracker: &mut Tracker, args: &ExportArgs, folder: &Path) -> Result<()> {
    let destination = destination(args.output.as_deref(), folder);
    let packed = tracker.pack(&args.selector, args.without(), &destination)?;
    Ok(show(ui.out, &packed, folder)?)
}

impl ExportArgs {
    fn without(&self) -> Omissions {
        Omissions {
            data: self.no_data,
            metrics: self.no_metrics,
            logs: self.no_logs,
            model: self.no_model,
            code: self.no_code,
        }
    }
}

/// What is a folder already gets the file, as with `cp`.
fn destination(output: Option<&Path>, folder: &Path) -> Destination {
    match output {
        None => Destination::Folder(folder.to_owned()),
        Some(output) if output.is_dir() => Destination::Folder(output.to_owned()),
        Some(output) => Destination::File(output.to_owned()),
    }
}

fn show(out: &mut dyn Write, packed: &Packed, folder: &Path) -> io::Result<()> {
    let path = Path::new(&packed.path);
    let path = path.strip_prefix(folder).unwrap_or(path).to_string_lossy();
    writeln!(out, "packed {}  {}", escape::text(&path), size::bytes(packed.size))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_told_as_seen_from_here() {
        let shown = |path: &str| {
            let mut out = Vec::new();
            let packed = Packed { id: "acfdf6cd".into(), path: path.into(), size: 3_974_305 };
            show(&mut out, &packed, Path::new("/home/ada")).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown("/home/ada/acfdf6cd.zip"), "packed acfdf6cd.zip  3.8 MiB\n");
        assert_eq!(shown("/tmp/a\n.zip"), "packed /tmp/a\\n.zip  3.8 MiB\n");
    }

    #[test]
    fn a_folder_gets_a_file_and_any_other_path_is_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let here = Path::new("/home/ada");
        assert_eq!(destination(None, here), Destination::Folder(here.to_owned()));
        assert_eq!(destination(Some(folder.path()), here), Destination::Folder(folder.path().to_owned()));
        let file = folder.path().join("a.zip");
        assert_eq!(destination(Some(&file), here), Destination::File(file));
    }
}
