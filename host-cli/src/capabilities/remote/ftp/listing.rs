//! What servers of FTP say is in a folder.

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) size: Option<u64>,
    /// As `MDTM` tells it, where the listing does.
    pub(super) modified: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// A link, or what else there may be.
    Other,
}

/// A line of `MLSD` ([RFC 3659](https://www.rfc-editor.org/rfc/rfc3659)): `type=file;size=3;modify=20260101000000; name`. None of
/// the folder itself and the one above; `Err` of what can't be read.
pub(super) fn facts(line: &str) -> Result<Option<Entry>, ()> {
    let (facts, name) = line.split_once(' ').ok_or(())?;
    let fact = |wanted: &str| {
        let mut facts = facts.split(';').filter_map(|fact| fact.split_once('='));
        facts.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_ascii_lowercase())
    };
    let kind = match fact("type").as_deref() {
        Some("file") => Kind::File,
        Some("dir") => Kind::Folder,
        Some("cdir" | "pdir") => return Ok(None),
        Some(_) => Kind::Other,
        None => return Err(()),
    };
    let size = fact("size").map(|size| size.parse().map_err(|_| ())).transpose()?;
    let size = if kind == Kind::File { size } else { None };
    Ok(Some(Entry { name: name.to_owned(), kind, size, modified: fact("modify") }))
}

/// A line of `LIST`, which every server writes as it likes: as `ls -l`, or as DOS did. Times there tell no year or no second.
pub(super) fn line(line: &str) -> Result<Option<Entry>, ()> {
    if line.is_empty() || line.starts_with("total ") {
        return Ok(None);
    }
    let entry = if line.starts_with(|first: char| first.is_ascii_digit()) { dos(line) } else { unix(line) };
    let entry = entry.ok_or(())?;
    Ok(Some(entry).filter(|entry| entry.name != "." && entry.name != ".."))
}

/// `-rw-r--r--   1 owner    group        1234 Jan 02 03:04 name`
fn unix(line: &str) -> Option<Entry> {
    let mut rest = line;
    let mut fields = Vec::new();
    for _ in 0..8 {
        let (field, more) = rest.split_once(' ')?;
        fields.push(field);
        rest = if fields.len() == 8 { more } else { more.trim_start() };
    }
    let kind = match fields[0].chars().next()? {
        '-' => Kind::File,
        'd' => Kind::Folder,
        'l' | 'b' | 'c' | 'p' | 's' => Kind::Other,
        _ => return None,
    };
    let size = if kind == Kind::File { Some(fields[4].parse().ok()?) } else { None };
    Some(Entry { name: rest.to_owned(), kind, size, modified: None })
}

/// `01-02-26  03:04AM       <DIR>          name`
fn dos(line: &str) -> Option<Entry> {
    let (_, rest) = line.split_once(' ')?;
    let (_, rest) = rest.trim_start().split_once(' ')?;
    let (size, name) = rest.trim_start().split_once(' ')?;
    let (kind, size) =
        if size.eq_ignore_ascii_case("<DIR>") { (Kind::Folder, None) } else { (Kind::File, Some(size.parse().ok()?)) };
    // Names are in a column of their own; a size is followed by one space.
    let name = if kind == Kind::Folder { name.trim_start() } else { name };
    Some(Entry { name: name.to_owned(), kind, size, modified: None })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn lines_of_facts_are_read() {
        let entry = facts("Type=file;Size=12;Modify=20260102030405;perm=r; a b;c").unwrap().unwrap();
        assert_eq!((entry.name.as_str(), entry.kind, entry.size), ("a b;c", Kind::File, Some(12)));
        assert_eq!(entry.modified.as_deref(), Some("20260102030405"));
        assert_eq!(facts("type=dir;size=4096; x").unwrap().unwrap().size, None);
        assert_eq!(facts("type=OS.unix=slink:/etc; x").unwrap().unwrap().kind, Kind::Other);
        assert_eq!(facts("type=cdir; ."), Ok(None));
        for odd in ["", "x", "size=1; x", "type=file;size=x; y"] {
            assert_eq!(facts(odd), Err(()), "{odd}");
        }
    }

    #[test]
    fn lists_for_people_are_read() {
        let is = |name: &str, kind, size| Ok(Some(Entry { name: name.into(), kind, size, modified: None }));
        assert_eq!(line("-rw-r--r--   1 a  b   1234 Jan 02 03:04 c  d"), is("c  d", Kind::File, Some(1234)));
        assert_eq!(line("drwxr-xr-x   1 a  b   4096 Jan 02  2025 e"), is("e", Kind::Folder, None));
        assert_eq!(line("lrwxrwxrwx   1 a  b      1 Jan 02  2025 f -> g").unwrap().unwrap().kind, Kind::Other);
        assert_eq!(line("01-02-26  03:04AM       <DIR>          h i"), is("h i", Kind::Folder, None));
        assert_eq!(line("01-02-26  03:04AM                 17 j k"), is("j k", Kind::File, Some(17)));
        assert_eq!(line("total 3"), Ok(None));
        for odd in ["nonsense", "drwx", "-rw-r--r-- 1 a b x Jan 02 03:04 c"] {
            assert_eq!(line(odd), Err(()), "{odd}");
        }
    }
}
