//! The journals that this process holds.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};
use std::time::Duration;

use super::writer::Held;

/// Device and inode: whatever path leads to it.
pub(super) type Key = (u64, u64);

/// Each with the process that registered it: after a fork they are the parent's.
pub(super) type Registry = HashMap<Key, (u32, Weak<Held>)>;

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// The registry, unless it was locked at the time of the fork that made this process, for good. Without it a journal of our
/// own looks like anybody's, which costs a conflict and no more.
pub(super) fn registry() -> Option<MutexGuard<'static, Option<Registry>>> {
    lock_patiently(&REGISTRY)
}

pub(super) fn lock_patiently<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    for _ in 0..50 {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(guard)) => return Some(guard.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

/// The journal that this process holds in this file.
pub(super) fn registered(key: Key) -> Option<Arc<Held>> {
    let registry = registry()?;
    let (process, held) = registry.as_ref()?.get(&key)?;
    if *process == std::process::id() { held.upgrade() } else { None }
}

/// Ends the threads that look after this process's journals, once what was appended is on stable storage. The next append starts one
/// again where it is needed.
///
/// To be called before a fork: Python warns of forks of a process with several threads, and nobody asked for ours.
pub fn quiet() {
    let held: Vec<Arc<Held>> = match registry() {
        Some(registry) => {
            let all = registry.iter().flatten();
            let own = all.filter(|(_, (process, _))| *process == std::process::id());
            own.filter_map(|(_, (_, held))| held.upgrade()).collect()
        }
        None => return,
    };
    held.iter().for_each(|held| held.quiet());
}

pub(super) fn register(key: Key, held: &Arc<Held>) {
    if let Some(mut registry) = registry() {
        let registry = registry.get_or_insert_default();
        registry.retain(|_, (_, held)| held.strong_count() > 0);
        registry.insert(key, (std::process::id(), Arc::downgrade(held)));
    }
}

pub(super) fn key(file: &File) -> io::Result<Key> {
    let found = file.metadata()?;
    Ok((found.dev(), found.ino()))
}
