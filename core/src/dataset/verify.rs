//! Reading data to its end, to hold it against its digests.

use serde_json::{Value, json};

use super::{Dataset, find};
use crate::error::Result;
use crate::ports::{DataCheck, Ports};
use crate::project;

/// What is told of one dataset at most.
const MOST: u32 = 100;

/// Reads all files of these datasets, all without a name, in the store and in their places: a JSON array of rows, which
/// `docs/record-format.md` describes.
///
/// # Errors
/// `UnknownDataset`, and when data can't be read at all.
pub fn verify(ports: &Ports, names: &[String]) -> Result<String> {
    project::require(ports)?;
    let rows = find(ports, names)?.iter().map(|dataset| one(ports, dataset)).collect::<Result<Vec<_>>>()?;
    Ok(json!(rows).to_string())
}

fn one(ports: &Ports, dataset: &Dataset) -> Result<Value> {
    let mut row = dataset.row(ports)?;
    let mut told = Told::default();
    // Of data that is not kept, the store need not have anything.
    if dataset.stored || ports.store.has(&dataset.digest)? {
        told.add("store", ports.data.check_stored(dataset.kind, &dataset.digest, MOST)?);
    }
    let is_kept = dataset.stored && told.damages.is_empty();
    match dataset.place(ports)? {
        Some(place) if ports.data.measure(&place, Some(super::LOOK))?.is_some() => {
            told.add("place", ports.data.check_place(&place, dataset.kind, &dataset.digest, MOST)?);
        }
        // What can be brought back is not lost.
        _ if is_kept => {}
        _ => told.damages.push(json!({ "where": "place", "name": "", "what": "is not there" })),
    }
    row.insert("read".to_owned(), json!({ "count": told.count, "bytes": told.bytes }));
    row.insert("damages".to_owned(), told.damages.into());
    row.insert("more".to_owned(), told.more.into());
    Ok(Value::Object(row))
}

#[derive(Default)]
struct Told {
    count: u64,
    bytes: u64,
    damages: Vec<Value>,
    more: u64,
}

impl Told {
    fn add(&mut self, place: &str, check: DataCheck) {
        self.count += check.read.count;
        self.bytes += check.read.bytes;
        self.more += check.more;
        let row = |damage: crate::ports::Damage| json!({ "where": place, "name": damage.name, "what": damage.what });
        self.damages.extend(check.damages.into_iter().map(row));
    }
}
