//! Reading records.

use crate::catalogue::Saved;
use crate::error::{Failure, FailureKind, PortError, Result};
use crate::layout;
use crate::ports::{Location, Ports};
use crate::record::Record;

/// Records asked for at once.
pub const AT_ONCE: usize = 256;

/// Reads the records of saved experiments, in order. One that can't be read is no reason not to read the others.
///
/// # Errors
/// When this host lets no record be read.
pub fn read(ports: &Ports, wanted: &[Saved], visit: &mut dyn FnMut(&Saved, Result<Record>)) -> Result<()> {
    for batch in wanted.chunks(AT_ONCE) {
        let locations: Vec<_> = batch
            .iter()
            .map(|saved| Location { root: saved.commit.clone(), path: layout::record(&saved.id) })
            .collect();
        let mut next = 0;
        while next < batch.len() {
            let files = match ports.repository.read_files(&locations[next..]) {
                Err(PortError::Denied(what)) => return Err(PortError::Denied(what).into()),
                // It is asked for alone, so that it alone is told about.
                Err(_) => vec![alone(ports, &locations[next])],
                Ok(files) => files.into_iter().map(|file| file.ok_or_else(missing)).collect(),
            };
            if files.is_empty() {
                let message = "The records can't be read: the host answered nothing";
                return Err(Failure::new(FailureKind::Unavailable, message));
            }
            for (file, saved) in files.into_iter().zip(&batch[next..]) {
                next += 1;
                visit(saved, file.and_then(|bytes| parse(&bytes, &saved.id)));
            }
        }
    }
    Ok(())
}

/// One record.
///
/// # Errors
/// When it can't be read.
pub fn read_one(ports: &Ports, saved: &Saved) -> Result<Record> {
    let mut found = None;
    read(ports, std::slice::from_ref(saved), &mut |_, record| found = Some(record))?;
    found.unwrap_or_else(|| Err(missing()))
}

fn parse(bytes: &[u8], id: &str) -> Result<Record> {
    let record = Record::parse(bytes)?;
    if record.id == id {
        Ok(record)
    } else {
        Err(Failure::new(FailureKind::Unreadable, format!("Its record is that of `{}`", record.id)))
    }
}

fn alone(ports: &Ports, location: &Location) -> Result<Vec<u8>> {
    ports.repository.read_files(std::slice::from_ref(location))?.pop().flatten().ok_or_else(missing)
}

fn missing() -> Failure {
    Failure::new(FailureKind::Unreadable, "There is no record in its commit")
}
