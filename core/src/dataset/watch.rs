//! Whether servers have another version by now of the data that a run has.
//!
//! A run waits for no server. As it begins it tells what the last look at the servers found. Where that was long ago, another
//! process looks meanwhile, which the host starts and nobody waits for; what it has found by the run's end is told then.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::usage::Usage;
use super::{each, status};
use crate::error::Result;
use crate::parameters::literal::boolean;
use crate::ports::{Ports, RemoteAttributes};
use crate::project;
use crate::suggest;

/// Where the findings are kept: derived bytes, which may vanish.
pub(crate) const CACHE: &str = "servers";
/// Git's setting that keeps runs from having servers looked at.
const SETTING: &str = "aurum.watchServers";
/// Milliseconds from one look to the next: a hundred runs in a row are no reason to ask a hundred times.
const PAUSE: u64 = 10 * 60 * 1000;

/// What the last look found.
#[derive(Default, Serialize, Deserialize)]
struct Findings {
    /// When it began, in milliseconds since 1970.
    begun: u64,
    /// When each server was last asked, whether or not it answered, by address.
    #[serde(default)]
    asked: BTreeMap<String, u64>,
    /// By address.
    found: BTreeMap<String, Finding>,
}

#[derive(Serialize, Deserialize)]
struct Finding {
    /// What had been recorded of the server: of another version of the data, this is no finding.
    recorded: RemoteAttributes,
    is_newer: bool,
}

/// What a run knows of the servers.
#[derive(Default)]
pub struct Watch {
    /// Whether somebody should look.
    due: bool,
    /// Datasets that the user was told of.
    told: BTreeSet<String>,
}

impl Watch {
    /// Tells what is known as a run begins, and whether it is time to look again.
    pub fn at_start(ports: &Ports, usages: &BTreeMap<String, Usage>) -> Self {
        let mut watch = Self::default();
        if is_left_alone(ports, usages) {
            return watch;
        }
        let mut findings = Findings::read(ports);
        watch.tell(ports, usages, &findings);
        let now = ports.clock.now();
        // One that is to come is of a clock that was set back.
        if findings.begun > now || now - findings.begun >= PAUSE {
            findings.begun = now;
            // Where that can't be kept, each run would have the servers asked.
            watch.due = findings.write(ports);
        }
        watch
    }

    /// Whether somebody should look now; true once.
    pub fn take_due(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }

    /// Tells what was found while the run was under way.
    pub fn at_end(&mut self, ports: &Ports, usages: &BTreeMap<String, Usage>) {
        if !is_left_alone(ports, usages) {
            self.tell(ports, usages, &Findings::read(ports));
        }
    }

    fn tell(&mut self, ports: &Ports, usages: &BTreeMap<String, Usage>, findings: &Findings) {
        let mut newer = Vec::new();
        for (name, usage) in usages {
            let Some(finding) = usage.source.url.as_ref().and_then(|url| findings.found.get(url)) else { continue };
            let is_same = usage.source.remote.as_ref() == Some(&finding.recorded);
            if is_same && finding.is_newer && self.told.insert(name.clone()) {
                newer.push(name.as_str());
            }
        }
        if newer.is_empty() {
            return;
        }
        let commands = newer.iter().map(|name| suggest::word(name)).collect::<Vec<_>>().join(" ");
        ports.progress.warn(
            &format!(
                "There is another version of {} on the server than the one that was added",
                suggest::enumerate(&newer)
            ),
            &[
                format!("Take up the new version: `au data update {commands}`"),
                format!("Or have servers left alone: `git config {SETTING} false`"),
            ],
        );
    }
}

/// Asks the servers that data came from whether they have another version now, and keeps what they say for the runs to come. Each
/// answer is kept at once: whoever is short of time may end this at any moment.
///
/// # Errors
/// Outside of a project. Servers that can't be asked are passed over.
pub fn look(ports: &Ports) -> Result<()> {
    project::require(ports)?;
    let mut findings = Findings::read(ports);
    let mut served: Vec<_> = each(ports)?
        .into_iter()
        .flatten()
        .filter_map(|dataset| Some((dataset.source.url?, dataset.source.remote?)))
        .collect();
    findings.begun = ports.clock.now();
    findings.found.retain(|url, _| served.iter().any(|(known, _)| known == url));
    findings.asked.retain(|url, _| served.iter().any(|(known, _)| known == url));
    // One that never answers takes the time of none but those that were asked before it.
    served.sort_by_key(|(url, _)| findings.asked.get(url).copied());
    for (url, recorded) in served {
        findings.asked.insert(url.clone(), ports.clock.now());
        if !findings.write(ports) {
            break;
        }
        if let Ok(is_newer) = status::is_newer(ports, &url, Some(&recorded)) {
            findings.found.insert(url, Finding { recorded, is_newer });
        }
    }
    findings.write(ports);
    Ok(())
}

impl Findings {
    /// None yet where there are none that can be read.
    fn read(ports: &Ports) -> Self {
        let read = ports.cache.read(CACHE);
        read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn write(&self, ports: &Ports) -> bool {
        serde_json::to_vec(self).is_ok_and(|bytes| ports.cache.write(CACHE, &bytes).is_ok())
    }
}

/// Whether there is no server to speak of, or the user wants to hear of none.
fn is_left_alone(ports: &Ports, usages: &BTreeMap<String, Usage>) -> bool {
    let is_served = |usage: &Usage| usage.source.url.is_some() && usage.source.remote.is_some();
    let is_off = || {
        let set = ports.repository.setting(SETTING).ok().flatten();
        set.is_some_and(|set| boolean(&set) == Some(false))
    };
    !usages.values().any(is_served) || is_off()
}
