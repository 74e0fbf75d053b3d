//! Up to some thousand summaries in one piece of bytes, column by column: a query looks at the columns that it names and at
//! no other.
//!
//! All integers are little-endian. After the magic: rows, bytes of an object's name, columns, bytes of texts (each u32), then the rows' ids
//! (16 bytes each) and commits, then each column: length of its key, cells (u32 each), the key (kind and name), the rows
//! that have a cell (u16 each, ascending; none where all have), a type a cell, 8 bytes a cell. Texts stand at the end; their
//! 8 bytes are the offset there and the length.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::cell::Cell;
use crate::id::{self, Key};

const MAGIC: [u8; 4] = *b"AuS1";
/// Rows of one segment. Reading and writing one is then a matter of a millisecond. Tests are to have many of them.
pub const MOST_ROWS: u32 = if cfg!(test) { 8 } else { 4096 };
/// Bytes of texts after which a segment takes no more rows.
const MOST_TEXT: usize = 2 << 20;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const JSON: u8 = 6;

/// Summaries to read.
pub struct Segment {
    bytes: Vec<u8>,
    rows: u32,
    /// Bytes of an object's name.
    hash: usize,
    ids: usize,
    /// By key.
    columns: Vec<Column>,
    texts: usize,
}

struct Column {
    key: (usize, usize),
    cells: u32,
    /// Where the rows stand; none where every row has a cell.
    rows: Option<usize>,
    kinds: usize,
    values: usize,
}

impl Segment {
    /// Takes bytes as they were written by this version; none for any others.
    pub fn parse(bytes: Vec<u8>) -> Option<Self> {
        let mut at = MAGIC.len();
        if bytes.get(..at)? != MAGIC {
            return None;
        }
        let number = |at: &mut usize| {
            *at += 4;
            Some(u32::from_le_bytes(bytes.get(*at - 4..*at)?.try_into().ok()?))
        };
        let (rows, hash, count) = (number(&mut at)?, number(&mut at)? as usize, number(&mut at)?);
        let texts = number(&mut at)? as usize;
        if rows > MOST_ROWS || !matches!(hash, 20 | 32) {
            return None;
        }
        let ids = at;
        at += rows as usize * (id::BYTES + hash);
        let mut columns = Vec::new();
        for _ in 0..count {
            let (length, cells) = (number(&mut at)? as usize, number(&mut at)?);
            if cells > rows {
                return None;
            }
            let key = (at, at.checked_add(length)?);
            std::str::from_utf8(bytes.get(key.0..key.1)?).ok()?.chars().next()?;
            at = key.1;
            let listed = (cells < rows).then_some(at);
            at += if listed.is_some() { cells as usize * 2 } else { 0 };
            let kinds = at;
            let values = kinds + cells as usize;
            at = values + cells as usize * 8;
            columns.push(Column { key, cells, rows: listed, kinds, values });
        }
        (at.checked_add(texts)? == bytes.len()).then_some(Self { bytes, rows, hash, ids, columns, texts: at })
    }

    /// How many there are.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Whether [`Builder`] would take no more rows.
    pub fn is_full(&self) -> bool {
        self.rows >= MOST_ROWS || self.bytes.len() - self.texts >= MOST_TEXT
    }

    /// Bytes in memory.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// A row's experiment.
    pub fn id(&self, row: u32) -> Key {
        let at = self.ids + row as usize * id::BYTES;
        let bytes = self.bytes.get(at..at + id::BYTES).and_then(|bytes| bytes.try_into().ok());
        Key(bytes.unwrap_or_default())
    }

    /// A row's commit, as the bytes of its name.
    pub fn commit(&self, row: u32) -> &[u8] {
        let at = self.ids + self.rows as usize * id::BYTES + row as usize * self.hash;
        self.bytes.get(at..at + self.hash).unwrap_or_default()
    }

    /// A cell; none where the row has none.
    pub fn cell(&self, kind: char, name: &str, row: u32) -> Option<Cell<'_>> {
        let wanted = |column: &Column| {
            let (of, named) = self.key(column);
            (of, named).cmp(&(kind, name))
        };
        let column = self.columns.binary_search_by(wanted).ok()?;
        self.value(&self.columns[column], row)
    }

    /// All cells of a row, by key.
    pub fn cells(&self, row: u32) -> impl Iterator<Item = (char, &str, Cell<'_>)> {
        self.columns.iter().filter_map(move |column| {
            let (kind, name) = self.key(column);
            Some((kind, name, self.value(column, row)?))
        })
    }

    /// The names of the columns of a kind, sorted.
    pub fn names(&self, kind: char) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| self.key(column)).filter_map(move |(of, name)| (of == kind).then_some(name))
    }

    fn key(&self, column: &Column) -> (char, &str) {
        let key = std::str::from_utf8(&self.bytes[column.key.0..column.key.1]).unwrap_or_default();
        let mut characters = key.chars();
        (characters.next().unwrap_or_default(), characters.as_str())
    }

    fn value(&self, column: &Column, row: u32) -> Option<Cell<'_>> {
        let at = match column.rows {
            None => row as usize,
            Some(start) => {
                let (rows, []) = self.bytes[start..start + column.cells as usize * 2].as_chunks::<2>() else {
                    return None;
                };
                rows.binary_search_by_key(&row, |row| u32::from(u16::from_le_bytes(*row))).ok()?
            }
        };
        if at >= column.cells as usize {
            return None;
        }
        let from = column.values + at * 8;
        let value: [u8; 8] = self.bytes[from..from + 8].try_into().ok()?;
        let text = || {
            let [o0, o1, o2, o3, l0, l1, l2, l3] = value;
            let start = self.texts + u32::from_le_bytes([o0, o1, o2, o3]) as usize;
            let text = self.bytes.get(start..start + u32::from_le_bytes([l0, l1, l2, l3]) as usize)?;
            std::str::from_utf8(text).ok().map(Cow::Borrowed)
        };
        Some(match self.bytes[column.kinds + at] {
            NULL => Cell::Null,
            FALSE => Cell::Bool(false),
            TRUE => Cell::Bool(true),
            INTEGER => Cell::Integer(i64::from_le_bytes(value)),
            FLOAT => Cell::Float(f64::from_le_bytes(value)),
            TEXT => Cell::Text(text()?),
            JSON => Cell::Json(text()?),
            _ => return None,
        })
    }
}

/// A row, a type and a value.
type Entry = (u16, u8, [u8; 8]);

/// Makes a segment, row by row.
pub struct Builder {
    hash: usize,
    ids: Vec<u8>,
    commits: Vec<u8>,
    rows: u16,
    /// By kind and name.
    columns: BTreeMap<char, BTreeMap<String, Vec<Entry>>>,
    texts: Vec<u8>,
    /// Where each text stands: most are the same in many rows.
    known: HashMap<Box<str>, u32>,
}

impl Builder {
    /// For a repository whose objects have names of so many bytes.
    pub fn new(hash: usize) -> Self {
        Self {
            hash,
            ids: Vec::new(),
            commits: Vec::new(),
            rows: 0,
            columns: BTreeMap::new(),
            texts: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// One without rows, for the same repository.
    pub fn another(&self) -> Self {
        Self::new(self.hash)
    }

    /// Whether there is no room for another row.
    pub fn is_full(&self) -> bool {
        u32::from(self.rows) >= MOST_ROWS || self.texts.len() >= MOST_TEXT
    }

    /// Whether there is no row yet.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row. Not to be called when it is full.
    pub fn push<'a>(&mut self, id: Key, commit: &[u8], cells: impl IntoIterator<Item = (char, &'a str, Cell<'a>)>) {
        debug_assert_eq!(commit.len(), self.hash, "commits of one repository");
        for (kind, name, cell) in cells {
            let (of, value) = match &cell {
                Cell::Null => (NULL, [0; 8]),
                Cell::Bool(value) => (if *value { TRUE } else { FALSE }, [0; 8]),
                Cell::Integer(value) => (INTEGER, value.to_le_bytes()),
                Cell::Float(value) => (FLOAT, value.to_le_bytes()),
                Cell::Text(text) => (TEXT, self.text(text)),
                Cell::Json(text) => (JSON, self.text(text)),
            };
            let (columns, entry) = (self.columns.entry(kind).or_default(), (self.rows, of, value));
            match columns.get_mut(name) {
                Some(column) => column.push(entry),
                None => drop(columns.insert(name.to_owned(), vec![entry])),
            }
        }
        self.ids.extend_from_slice(&id.0);
        self.commits.extend_from_slice(commit);
        self.rows += 1;
    }

    fn text(&mut self, text: &str) -> [u8; 8] {
        let offset = self.known.get(text).copied().unwrap_or_else(|| {
            let offset = self.texts.len() as u32;
            self.texts.extend_from_slice(text.as_bytes());
            self.known.insert(text.into(), offset);
            offset
        });
        let mut value = [0; 8];
        value[..4].copy_from_slice(&offset.to_le_bytes());
        value[4..].copy_from_slice(&(text.len() as u32).to_le_bytes());
        value
    }

    /// The bytes, for [`Segment::parse`].
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let numbers = |bytes: &mut Vec<u8>, numbers: &[usize]| {
            bytes.extend(numbers.iter().flat_map(|number| (*number as u32).to_le_bytes()));
        };
        let count = self.columns.values().map(BTreeMap::len).sum();
        numbers(&mut bytes, &[self.rows.into(), self.hash, count, self.texts.len()]);
        bytes.extend_from_slice(&self.ids);
        bytes.extend_from_slice(&self.commits);
        let columns = self.columns.iter().flat_map(|(kind, columns)| columns.iter().map(move |column| (kind, column)));
        for (kind, (name, cells)) in columns {
            numbers(&mut bytes, &[kind.len_utf8() + name.len(), cells.len()]);
            bytes.extend_from_slice(kind.encode_utf8(&mut [0; 4]).as_bytes());
            bytes.extend_from_slice(name.as_bytes());
            if cells.len() < usize::from(self.rows) {
                bytes.extend(cells.iter().flat_map(|(row, ..)| row.to_le_bytes()));
            }
            bytes.extend(cells.iter().map(|(_, kind, _)| kind));
            bytes.extend(cells.iter().flat_map(|(_, _, value)| value));
        }
        bytes.extend_from_slice(&self.texts);
        bytes
    }
}
