//! Colours, where there are any.

use clap::ColorChoice;
use clap::builder::styling::{AnsiColor, Style};

/// The headings of a table.
pub(crate) const HEADING: Style = Style::new().bold();
/// The word `error`.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// The word `warning`.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// The word `hint`.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();

/// How a run's status is shown; most are not marked.
pub(crate) fn status(status: &str) -> Option<Style> {
    match status {
        "failed" => Some(AnsiColor::Red.on_default()),
        "running" => Some(AnsiColor::Yellow.on_default()),
        "lost" | "killed" => Some(AnsiColor::Magenta.on_default()),
        _ => None,
    }
}

/// How the state of a dataset is shown; what is as it was is not marked.
pub(crate) fn state(state: &str) -> Option<Style> {
    match state {
        "changed" => Some(AnsiColor::Yellow.on_default()),
        "missing" => Some(AnsiColor::Red.on_default()),
        _ => None,
    }
}

/// Whether there are colours at all. None by default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Palette {
    coloured: bool,
}

impl Palette {
    /// What the user asked for; else colours on a terminal that has them, unless `NO_COLOR` is set (no-color.org).
    pub(crate) fn choose(asked: ColorChoice, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let coloured = match asked {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                terminal
                    && variable("NO_COLOR").is_none_or(|value| value.is_empty())
                    && variable("TERM").is_none_or(|value| value != "dumb")
            }
        };
        Self { coloured }
    }

    /// The text in the style, or as it is.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.coloured { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// What clap has to say.
    pub(crate) fn of_clap(self, answer: &clap::Error) -> String {
        let text = answer.render();
        if self.coloured { text.ansi().to_string() } else { text.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coloured(asked: ColorChoice, terminal: bool, set: &str) -> bool {
        Palette::choose(asked, terminal, |name| set.strip_prefix(name)?.strip_prefix('=').map(str::to_owned)).coloured
    }

    #[test]
    fn colours_are_for_terminals_unless_asked_for() {
        assert!(coloured(ColorChoice::Auto, true, ""));
        assert!(!coloured(ColorChoice::Auto, false, ""));
        assert!(!coloured(ColorChoice::Auto, true, "NO_COLOR=1"));
        assert!(coloured(ColorChoice::Auto, true, "NO_COLOR="));
        assert!(!coloured(ColorChoice::Auto, true, "TERM=dumb"));
        assert!(coloured(ColorChoice::Always, false, "NO_COLOR=1"));
        assert!(!coloured(ColorChoice::Never, true, ""));
    }
}
