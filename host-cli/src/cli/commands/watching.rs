//! Showing what takes long, where somebody looks.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::capabilities::exchange::{Event, Observer};
use crate::cli::render::size::{bytes, count};

/// Tells of git's progress and of objects that travel on a terminal; says nothing elsewhere, nor when asked to be quiet.
pub(super) fn observer(quiet: bool) -> Observer {
    let terminal = io::stderr().is_terminal();
    let attended = terminal && io::stdin().is_terminal();
    if !terminal || quiet {
        return Observer { attended, report: None };
    }
    let shown = AtomicU64::new(u64::MAX);
    let report = move |event: &Event<'_>| {
        if let Some(text) = text(event, &shown) {
            // A terminal that is gone is no reason to stop.
            _ = io::stderr().lock().write_all(text.as_bytes());
        }
    };
    Observer { attended, report: Some(Arc::new(report)) }
}

/// The line to write, if it says something new: hundredths of what is to travel.
fn text(event: &Event<'_>, shown: &AtomicU64) -> Option<String> {
    match *event {
        Event::Git(text) => Some(text.to_owned()),
        Event::Cargo { sending, objects, bytes: size, done } => {
            let percent = if size == 0 { 100 } else { (u128::from(done) * 100 / u128::from(size)) as u64 };
            if shown.swap(percent, Ordering::Relaxed) == percent {
                return None;
            }
            let doing = if sending { "Sending" } else { "Bringing" };
            let end = if done == size { '\n' } else { '\r' };
            Some(format!("{doing} {} of models and data, {}: {percent:3}%{end}", count(objects, "object"), bytes(size)))
        }
        Event::Download { done, whole } => {
            let percent =
                whole.map(|whole| if whole == 0 { 100 } else { (u128::from(done) * 100 / u128::from(whole)) as u64 });
            // Without an end in sight, each further MiB is news.
            let news = percent.unwrap_or(done >> 20);
            if shown.swap(news, Ordering::Relaxed) == news {
                return None;
            }
            Some(match (whole, percent) {
                (Some(whole), Some(percent)) => {
                    let end = if done == whole { '\n' } else { '\r' };
                    format!("Downloading {}: {percent:3}%{end}", bytes(whole))
                }
                _ => format!("Downloading: {}\r", bytes(done)),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_told_before_and_then_what_has_travelled() {
        let shown = AtomicU64::new(u64::MAX);
        let at = |done| text(&Event::Cargo { sending: true, objects: 2, bytes: 2048, done }, &shown);
        assert_eq!(at(0).as_deref(), Some("Sending 2 objects of models and data, 2.0 KiB:   0%\r"));
        assert_eq!(at(1), None);
        assert_eq!(at(1024).as_deref(), Some("Sending 2 objects of models and data, 2.0 KiB:  50%\r"));
        assert_eq!(at(2048).as_deref(), Some("Sending 2 objects of models and data, 2.0 KiB: 100%\n"));
    }
}
