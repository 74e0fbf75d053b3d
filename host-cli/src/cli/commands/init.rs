use std::io::{self, Write};

use crate::cli::Result;
use crate::cli::args::EXIT_STATUS;
use crate::cli::render::{self, escape};
use crate::cli::ui::Ui;
use crate::{Created, Tracker};

/// Make a project of this folder
///
/// Makes `.au/config`, `src` and `logs`, creates `.gitignore` or appends to it, and commits exactly that; a git
/// repository too where there is none. Your own edits, staged or not, stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub(crate) struct InitArgs {}

fn examples() -> String {
    format!(
        "\
Examples:
  au init              Make a project of this folder
  au init -C ~/wines   Make a project of another, existing folder

{EXIT_STATUS}"
    )
}

pub(crate) fn init(ui: &mut Ui<'_>, tracker: &mut Tracker, _args: &InitArgs) -> Result<()> {
    let created = tracker.init()?;
    show(ui.out, &created)?;
    ui.note(
        "Next: write a script in `src` that says `import aurum as au`, and run it",
        &["Run `au metrics` to compare what the runs came to".to_owned()],
    );
    Ok(())
}

fn show(out: &mut dyn Write, created: &Created) -> io::Result<()> {
    let place = if created.repository { "a new git repository" } else { "this git repository" };
    writeln!(out, "Made an Aurum project in {place}, commit {}", render::short(&created.commit))?;
    for path in &created.paths {
        writeln!(out, "  {}", escape::text(path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_listed() {
        let created = Created {
            repository: true,
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            paths: vec![".au/config".into(), ".gitignore".into()],
        };
        let mut out = Vec::new();
        assert!(show(&mut out, &created).is_ok());
        assert_eq!(
            String::from_utf8_lossy(&out),
            "Made an Aurum project in a new git repository, commit 01234567\n  .au/config\n  .gitignore\n"
        );
    }
}
