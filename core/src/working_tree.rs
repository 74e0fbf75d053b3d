//! Writing the working tree as it stands, by the rules of [`snapshot`](crate::snapshot).

use crate::error::Result;
use crate::ports::{Change, Head, Ports};
use crate::snapshot::{LeftOut, Limits, MARKERS, Reason, Selection, Selector};

const PAGE: u32 = 1_000;

/// Writes HEAD's tree with the changes of the working tree as a tree object, and says what is not in it. Touches neither
/// a file nor the index.
///
/// # Errors
/// When git can't be read or written.
pub fn take(ports: &Ports, head: &Head) -> Result<(String, Selection)> {
    let changes = ports.repository.changes(MARKERS)?;
    let mut selector = Selector::new(Limits::default());
    for offset in (0..changes.length()).step_by(PAGE as usize) {
        selector.feed(offset, &changes.page(offset, PAGE));
    }
    let mut selection = selector.finish();
    let mut tree = ports.repository_edit.begin_tree(head.tree.as_deref())?;
    for position in tree.take(&*changes, &selection.take)? {
        if let Some(Change { path, size, modified, .. }) = changes.page(position, 1).pop() {
            selection.leave(LeftOut { path, size, modified, reason: Reason::Unreadable });
        }
    }
    Ok((tree.write()?, selection))
}
