#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::fs::TryLockError;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::registry::{lock_patiently, registry};
use super::writer::{SYNC_AFTER_BYTES, SYNC_AFTER_MILLISECONDS};
use super::*;

const ID: &str = "0f6a1c1e-5b0e-4d6c-9a3f-0123456789ab";
const OTHER: &str = "1f6a1c1e-5b0e-4d6c-9a3f-0123456789ab";

fn journals() -> (tempfile::TempDir, Journals) {
    let folder = tempfile::tempdir().unwrap();
    let journals = Journals::new(folder.path().join("aurum/runs"));
    (folder, journals)
}

fn names(journals: &Journals) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(&journals.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn bytes_come_back_in_pieces() {
    let (folder, journals) = journals();
    assert!(journals.entries().unwrap().is_empty());
    assert!(journals.open(ID, 0).unwrap().is_none());
    assert!(journals.read(ID, 0, 0, 10).unwrap().is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "reading makes nothing");

    let writer = journals.create(ID).unwrap();
    writer.append(b"hello ").unwrap();
    writer.append(b"").unwrap();
    writer.append(b"world").unwrap();
    writer.sync().unwrap();
    assert_eq!(journals.read(ID, 0, 0, 100).unwrap(), b"hello world");
    assert_eq!(journals.read(ID, 0, 6, 3).unwrap(), b"wor");
    assert!(journals.read(ID, 0, 11, 3).unwrap().is_empty());
    assert!(journals.read(ID, 0, u64::MAX, u32::MAX).unwrap().is_empty());

    let entry = journals.entries().unwrap().pop().unwrap();
    assert_eq!((entry.id.as_str(), entry.held, entry.size), (ID, true, 11));
    assert!(entry.modified > 1_600_000_000_000);
    drop(writer);
    assert!(!journals.entries().unwrap()[0].held);
    assert_eq!(names(&journals), [ID], "no temporary is left");
}

#[test]
fn one_answer_is_at_most_4_mib() {
    let (_folder, journals) = journals();
    let writer = journals.create(ID).unwrap();
    writer.append(&vec![7; 5 << 20]).unwrap();
    assert_eq!(journals.read(ID, 0, 0, u32::MAX).unwrap().len(), 4 << 20);
}

#[test]
fn a_torn_tail_is_cut_off() {
    let (_folder, journals) = journals();
    let writer = journals.create(ID).unwrap();
    writer.append(b"whole torn").unwrap();
    drop(writer);
    let writer = journals.open(ID, 0).unwrap().unwrap();
    writer.truncate(6).unwrap();
    writer.append(b"again").unwrap();
    assert_eq!(journals.read(ID, 0, 0, 100).unwrap(), b"whole again");
    assert!(writer.truncate(12).is_err(), "never longer");
}

#[test]
fn an_id_is_taken_once() {
    let (_folder, journals) = journals();
    let _writer = journals.create(ID).unwrap();
    assert!(matches!(journals.create(ID), Err(Error::Conflict(_))));
    assert_eq!(names(&journals), [ID]);
    fs::create_dir(journals.folder.join(OTHER)).unwrap();
    journals.create(OTHER).unwrap();
}

#[test]
fn of_many_creators_one_wins() {
    let (_folder, journals) = journals();
    let wins = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| journals.create(ID))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(Result::is_ok).count()
    });
    assert_eq!(wins, 1);
    assert_eq!(names(&journals), [ID]);
}

#[test]
fn a_process_shares_what_it_holds() {
    let (_folder, journals) = journals();
    let first = journals.create(ID).unwrap();
    let second = Journals::new(journals.folder.join("../runs")).open(ID, 0).unwrap().unwrap();
    assert!(Arc::ptr_eq(&first.held, &second.held));
    first.append(b"a").unwrap();
    drop(first);
    second.append(b"b").unwrap();
    assert!(journals.entries().unwrap()[0].held);
    assert_eq!(journals.read(ID, 0, 0, 9).unwrap(), b"ab");
}

#[test]
fn after_a_fork_the_registry_is_the_parents() {
    let (_folder, journals) = journals();
    let writer = journals.create(ID).unwrap();
    let key = key(&writer.held.state().file).unwrap();
    assert!(registered(key).is_some());
    registry().unwrap().as_mut().unwrap().get_mut(&key).unwrap().0 += 1;
    assert!(registered(key).is_none());
    assert!(matches!(journals.open(ID, 0), Err(Error::Conflict(_))));
}

#[test]
fn a_lock_that_was_forked_away_is_given_up() {
    let mutex = Mutex::new(());
    let guard = mutex.lock().unwrap();
    assert!(lock_patiently(&mutex).is_none());
    drop(guard);
    assert!(lock_patiently(&mutex).is_some());
}

#[test]
fn readers_never_cost_an_open() {
    let (_folder, journals) = journals();
    drop(journals.create(ID).unwrap());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    journals.entries().unwrap();
                }
            });
        }
        for _ in 0..200 {
            let opened = journals.open(ID, 0);
            if opened.is_err() {
                done.store(true, Ordering::Relaxed);
            }
            opened.unwrap().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn removal_takes_along_what_is_known_of_children_and_no_more() {
    let (_folder, journals) = journals();
    let writer = journals.create(ID).unwrap();
    fs::write(journals.folder.join(ID).join("journal.1"), "x").unwrap();
    fs::write(journals.folder.join(ID).join("journal.23"), "xy").unwrap();
    assert!(!journals.remove(ID, &[(1, 1), (23, 1)]).unwrap(), "it is longer than that");
    assert!(!journals.remove(ID, &[(1, 1)]).unwrap(), "it is not known at all");
    let numbers: Vec<_> = journals.parts(ID).unwrap().into_iter().map(|part| (part.number, part.size)).collect();
    assert_eq!(numbers, [(0, 0), (1, 1), (23, 2)]);
    assert!(journals.remove(ID, &[(1, 1), (23, 2)]).unwrap());
    assert!(journals.remove(ID, &[]).unwrap());
    assert!(names(&journals).is_empty());
    assert!(journals.open(ID, 0).unwrap().is_none(), "though it is still held");
    writer.append(b"x").unwrap();
    writer.sync().unwrap();
    assert!(names(&journals).is_empty(), "who removed it himself does not make it anew");
    drop(journals.create(ID).unwrap());
    fs::write(journals.folder.join(ID).join("keep"), "x").unwrap();
    assert!(journals.remove(ID, &[]).unwrap());
    assert!(journals.entries().unwrap().is_empty());
}

#[test]
fn children_have_journals_of_their_own() {
    let (_folder, journals) = journals();
    assert!(journals.join(ID).unwrap().is_none(), "there is no such run");
    let parent = journals.create(ID).unwrap();
    let (one, first) = journals.join(ID).unwrap().unwrap();
    let (two, second) = journals.join(ID).unwrap().unwrap();
    assert_eq!((one, two), (1, 2));
    first.append(b"first").unwrap();
    second.append(b"second").unwrap();
    assert_eq!(journals.read(ID, 2, 0, 99).unwrap(), b"second");
    assert!(Arc::ptr_eq(&journals.open(ID, 1).unwrap().unwrap().held, &first.held));
    drop(parent);
    let entry = journals.entries().unwrap().pop().unwrap();
    assert_eq!((entry.held, entry.size), (true, 11), "a child holds the run, too");
    assert!(!journals.remove(ID, &[(1, 5), (2, 6)]).unwrap(), "they go on");
    drop((first, second));
    assert!(!journals.entries().unwrap()[0].held);
    for name in ["journal.0", "journal.01", "journal.+4", "journal.x", "journal.99999999999"] {
        fs::write(journals.folder.join(ID).join(name), "x").unwrap();
    }
    assert_eq!(journals.parts(ID).unwrap().len(), 3, "other names are no journals");
    assert_eq!(journals.join(ID).unwrap().unwrap().0, 3);
}

#[test]
fn of_many_children_each_gets_a_number_and_none_joins_what_is_gone() {
    let (_folder, journals) = journals();
    let _parent = journals.create(ID).unwrap();
    let mut numbers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| journals.join(ID).unwrap().unwrap().0)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=16).collect::<Vec<_>>());
    // Whoever joins while the run is removed either keeps it or is told that it is gone; nothing is left without its run.
    for _ in 0..200 {
        let known: Vec<_> = journals.parts(ID).unwrap().iter().map(|part| (part.number, part.size)).collect();
        std::thread::scope(|scope| {
            let joining = scope.spawn(|| {
                let joined = journals.join(ID).unwrap();
                if let Some((number, writer)) = joined {
                    writer.append(b"kept").unwrap();
                    return Some((number, writer));
                }
                None
            });
            let removed = journals.remove(ID, &known).unwrap();
            let joined = joining.join().unwrap();
            match joined {
                Some((number, _)) if removed => assert!(known.iter().any(|(known, _)| *known == number)),
                Some((number, _)) => assert_eq!(journals.read(ID, number, 0, 9).unwrap(), b"kept"),
                None => assert!(removed),
            }
        });
        let known: Vec<_> = journals.parts(ID).unwrap().iter().map(|part| (part.number, part.size)).collect();
        assert!(journals.remove(ID, &known).unwrap());
        assert!(names(&journals).is_empty(), "{:?}", names(&journals));
        drop(journals.create(ID).unwrap());
    }
}

/// As on a file system without locks.
fn lockless(journals: &Journals) -> Journals {
    fn refuse(_: &File) -> std::result::Result<(), TryLockError> {
        Err(TryLockError::Error(Errno::NOLCK.into()))
    }
    let locks = Locks { exclusive: refuse, shared: refuse, ..Locks::default() };
    Journals { locks, ..journals.clone() }
}

fn age(journals: &Journals, by: Duration) {
    let file = File::options().append(true).open(journals.journal(ID, 0)).unwrap();
    file.set_modified(SystemTime::now() - by).unwrap();
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn without_locks_a_day_without_a_sign_of_life_decides() {
    let (_folder, journals) = journals();
    let journals = lockless(&journals);
    let writer = journals.create(ID).unwrap();
    assert!(journals.entries().unwrap()[0].held);
    // As another process sees it.
    registry().unwrap().as_mut().unwrap().clear();
    assert!(matches!(journals.open(ID, 0), Err(Error::Conflict(_))));
    age(&journals, DAY - Duration::from_secs(60));
    assert!(journals.entries().unwrap()[0].held);
    age(&journals, DAY + Duration::from_secs(60));
    let before = journals.entries().unwrap().pop().unwrap();
    assert!(!before.held);
    let taken = journals.open(ID, 0).unwrap().unwrap();
    assert!(!Arc::ptr_eq(&taken.held, &writer.held));
    assert_eq!(journals.entries().unwrap()[0].modified, before.modified, "when it was last alive stays known");
    assert!(lock::lacks_locks(&Errno::NOLCK.into()));
    assert!(!lock::lacks_locks(&Errno::IO.into()));
}

#[test]
fn without_locks_a_silent_run_gives_signs_of_life() {
    let (_folder, journals) = journals();
    let mut journals = lockless(&journals);
    journals.locks.beat = Duration::from_millis(5);
    let writer = journals.create(ID).unwrap();
    // As after 30 hours of silence: whoever looks then must find a sign of life that is younger.
    age(&journals, Duration::from_secs(30 * 60 * 60));
    let alive = || {
        (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            journals.entries().unwrap()[0].held
        })
    };
    assert!(alive());
    drop(writer);
    std::thread::sleep(Duration::from_millis(50));
    age(&journals, Duration::from_secs(30 * 60 * 60));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!journals.entries().unwrap()[0].held, "the signs end with the run");
}

#[test]
fn with_locks_no_thread_is_started() {
    let (_folder, journals) = journals();
    let threads = || {
        fs::read_dir("/proc/self/task").map_or(0, |tasks| {
            let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
            names.filter(|name| name.starts_with("aurum-heart")).count()
        })
    };
    let before = threads();
    let _writer = journals.create(ID).unwrap();
    assert!(threads() <= before);
}

#[test]
fn one_that_was_taken_for_dead_goes_on_and_keeps_all_it_had() {
    let (_folder, journals) = journals();
    let journals = lockless(&journals);
    let sleeper = journals.create(ID).unwrap();
    sleeper.append(b"before ").unwrap();
    registry().unwrap().as_mut().unwrap().clear();
    age(&journals, 2 * DAY);
    let other = journals.open(ID, 0).unwrap().unwrap();
    other.append(b"finished").unwrap();
    // It wakes up while the other one is at work, and does not disturb it.
    sleeper.append(b"after ").unwrap();
    assert_eq!(journals.read(ID, 0, 0, 99).unwrap(), b"before finished");
    assert!(journals.remove(ID, &[]).unwrap());
    drop(other);
    assert!(names(&journals).is_empty());
    sleeper.append(b"all").unwrap();
    sleeper.sync().unwrap();
    assert_eq!(journals.read(ID, 0, 0, 99).unwrap(), b"before after all");
    sleeper.append(b" of it").unwrap();
    assert_eq!(journals.read(ID, 0, 0, 99).unwrap(), b"before after all of it");
    assert_eq!(names(&journals), [ID]);
    assert!(Arc::ptr_eq(&journals.open(ID, 0).unwrap().unwrap().held, &sleeper.held));
    assert_eq!(fs::read_dir(journals.folder.join(ID)).unwrap().count(), 1, "no temporary is left");
}

#[test]
fn with_a_vanished_repository_nothing_is_made_anew() {
    let (folder, journals) = journals();
    let writer = journals.create(ID).unwrap();
    writer.append(b"x").unwrap();
    fs::remove_dir_all(folder.path().join("aurum")).unwrap();
    writer.append(b"y").unwrap();
    assert!(writer.sync().is_err());
    assert!(!folder.path().join("aurum").exists());
}

#[test]
fn only_ids_are_ids() {
    let (_folder, journals) = journals();
    for id in ["", "..", "../../config", &ID.to_uppercase(), &ID[1..], &ID.replace('-', "0"), &format!("{ID}/")] {
        assert!(matches!(journals.create(id), Err(Error::Other(_))), "{id}");
        assert!(
            journals.open(id, 0).is_err() && journals.read(id, 0, 0, 1).is_err() && journals.remove(id, &[]).is_err()
        );
    }
    drop(journals.create(ID).unwrap());
    fs::create_dir(journals.folder.join("new-something")).unwrap();
    fs::create_dir(journals.folder.join(OTHER)).unwrap();
    fs::write(journals.folder.join("file"), "").unwrap();
    assert_eq!(journals.entries().unwrap().len(), 1);
}

#[test]
fn the_end_of_a_burst_is_synced_though_no_call_comes() {
    let (_folder, journals) = journals();
    let writer = journals.create(ID).unwrap();
    for _ in 0..3 {
        writer.append(b"x").unwrap();
    }
    assert_eq!(writer.held.state().unsynced, 3);
    let patience = std::time::Instant::now();
    while writer.held.state().watcher.is_some() {
        assert!(patience.elapsed() < std::time::Duration::from_secs(30));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(writer.held.state().unsynced, 0);
    // The first call after a pause syncs by itself.
    writer.append(b"x").unwrap();
    writer.append(b"x").unwrap();
    assert!(writer.held.state().watcher.is_some(), "the next burst is waited for as well");
}

#[test]
fn the_thread_can_be_ended_at_any_time() {
    let (_folder, journals) = journals();
    let writer = journals.create(ID).unwrap();
    for _ in 0..3 {
        writer.append(b"x").unwrap();
        assert!(writer.held.state().watcher.is_some());
        // All journals' would be those of other tests as well.
        writer.held.quiet();
        assert!(writer.held.state().watcher.is_none() && writer.held.state().unsynced == 0);
    }
}

#[test]
fn time_and_bytes_bring_a_sync() {
    let (_folder, journals) = journals();
    let writer = journals.create(ID).unwrap();
    writer.append(&[0; 1000]).unwrap();
    assert_eq!(writer.held.state().unsynced, 1000);
    writer.held.state().synced_at -= SYNC_AFTER_MILLISECONDS;
    writer.append(b"x").unwrap();
    assert_eq!(writer.held.state().unsynced, 0);
    assert!(writer.held.state().name_synced);
    writer.append(&[0; SYNC_AFTER_BYTES as usize]).unwrap();
    assert_eq!(writer.held.state().unsynced, 0);
    writer.held.state().sync_failure = Some(io::ErrorKind::Other.into());
    assert!(writer.sync().is_err(), "a failed sync behind an append is told");
    writer.sync().unwrap();
}

/// Runs `child` of this module in a process of its own.
fn spawn(journals: &Journals, shell: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!("{shell} exec \"$0\" --ignored --exact --nocapture \"$1\"")])
        .arg(env::current_exe().unwrap())
        .arg(format!("{}::child", module_path!().split_once("::").unwrap().1))
        .env("AURUM_TEST_JOURNALS", &journals.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn wait_for(output: &mut BufReader<std::process::ChildStdout>, word: &str) -> String {
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child says `{word}`");
    }
    line
}

#[test]
#[ignore = "run in a process of its own by the tests below"]
#[allow(clippy::print_stdout, reason = "how it tells its parent")]
fn child() {
    let Some(folder) = env::var_os("AURUM_TEST_JOURNALS") else { return };
    let journals = Journals::new(folder.into());
    let writer = journals.create(OTHER).unwrap();
    writer.append(&[b'a'; 600]).unwrap();
    println!("\nfirst");
    let second = writer.append(&[b'b'; 2000]);
    println!("\nsecond {second:?}");
    let _ = io::stdin().read_line(&mut String::new());
}

#[test]
fn another_process_holds_its_journal_until_it_dies() {
    let (_folder, journals) = journals();
    let (mut child, mut output) = spawn(&journals, "");
    wait_for(&mut output, "second Ok");
    let entry = journals.entries().unwrap().pop().unwrap();
    assert!(entry.held);
    assert!(matches!(journals.open(OTHER, 0), Err(Error::Conflict(_))));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!journals.entries().unwrap()[0].held);
    assert_eq!(journals.read(OTHER, 0, 0, 9999).unwrap().len(), 2600, "what was appended survives");
    assert!(journals.open(OTHER, 0).unwrap().is_some());
}

#[test]
fn a_short_write_leaves_nothing_behind() {
    let (_folder, journals) = journals();
    // 1024 or 2048 bytes, whatever the shell counts in.
    let (mut child, mut output) = spawn(&journals, "trap '' XFSZ; ulimit -f 2;");
    let told = wait_for(&mut output, "second");
    assert!(told.contains("Err(NoSpace("), "{told}");
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(journals.read(OTHER, 0, 0, 9999).unwrap(), [b'a'; 600]);
}
