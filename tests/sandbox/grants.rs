//! Each refused grant ends in a typed error and no effect.

use std::io::Cursor;

use aurum_host::grants::Grants;
use aurum_host::{AddOptions, Collection, DataSource, FailureKind, Outcome, ShareRequest};

use crate::project::{Project, options};

/// Runs the call twice over: nothing on disk may differ afterwards.
fn without_effect(project: &Project, grants: Grants, call: impl Fn(&mut aurum_host::Tracker) -> Option<FailureKind>) {
    let before = project.everything();
    let kind = call(&mut project.tracker(grants));
    assert_eq!(kind, Some(FailureKind::Denied));
    assert_eq!(project.everything(), before);
}

#[test]
fn a_run_without_git_write_is_refused() {
    let project = Project::new();
    let grants = Grants::none().allow_workspace().allow_journal().allow_store();
    let before: Vec<_> = project.everything().into_iter().map(|(name, _)| name).collect();
    let failure = project.tracker(grants).start(&options()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.message.contains("repository-edit"), "{}", failure.message);
    let after: Vec<_> = project.everything().into_iter().map(|(name, _)| name).collect();
    assert_eq!(after, before);
}

#[test]
fn a_run_without_the_journal_is_refused() {
    let project = Project::new();
    let grants = Grants::none().allow_workspace().allow_repository_edit().allow_store();
    without_effect(&project, grants, |tracker| Some(tracker.start(&options()).unwrap_err().kind));
}

#[test]
fn init_without_files_is_refused() {
    let project = Project::repository();
    let reading = Grants::none().allow_workspace().allow_repository_edit();
    without_effect(&project, reading, |tracker| Some(tracker.init().unwrap_err().kind));
    without_effect(&project, Grants::none(), |tracker| Some(tracker.init().unwrap_err().kind));
}

#[test]
fn a_model_without_the_store_is_refused_and_the_run_goes_on() {
    let project = Project::new();
    let grants = Grants::none().allow_workspace().allow_repository_edit().allow_journal();
    let mut tracker = project.tracker(grants);
    tracker.start(&options()).unwrap();
    let failure = tracker.save_model("model", Box::new(Cursor::new(b"weights".to_vec()))).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(!project.root().join(".git/aurum/store").exists());
    let finished = tracker.finish(Outcome::Finished, None).unwrap();
    assert_eq!(project.git(&["rev-parse", &finished.tag]), finished.commit);
}

/// What adding the address says.
fn download(tracker: &mut aurum_host::Tracker, url: &str) -> Option<FailureKind> {
    let addition = tracker.add_data(&[DataSource::Address(url.into())], &AddOptions::default()).unwrap();
    addition.failures.first().map(|failure| failure.kind)
}

#[test]
fn a_server_that_is_not_granted_is_not_asked() {
    let project = Project::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://127.0.0.1:{}/data.csv", listener.local_addr().unwrap().port());
    without_effect(&project, Grants::local(), |tracker| download(tracker, &url));
    let redirects_alone = Grants::local().allow_host("example.org").follow_redirects();
    without_effect(&project, redirects_alone, |tracker| download(tracker, &url));
    assert!(listener.accept().is_err(), "the server was asked");
}

#[test]
fn a_server_that_is_granted_is_asked() {
    let project = Project::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}/data.csv", listener.local_addr().unwrap().port());
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        assert!(request[..length].starts_with(b"GET /data.csv"));
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: \"v1\"\r\nConnection: close\r\n\r\n1,2\n";
        stream.write_all(answer).unwrap();
    });
    assert_eq!(download(&mut project.tracker(Grants::local().allow_host("127.0.0.1")), &url), None);
    server.join().unwrap();
    assert_eq!(std::fs::read(project.root().join("data.csv")).unwrap(), b"1,2\n");
    let described = std::fs::read_to_string(project.root().join(".au/datasets/data.csv.json")).unwrap();
    assert!(described.contains(r#""entity_tag": "\"v1\"""#), "{described}");
}

#[test]
fn data_outside_is_read_only_where_it_is_named() {
    let project = Project::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().canonicalize().unwrap().join("far.csv");
    std::fs::write(&path, "far\n").unwrap();
    let source = DataSource::Path(path.clone());
    let rows = project.tracker(Grants::local()).add_data(&[source], &AddOptions::default()).unwrap().rows;
    assert!(rows.contains(r#""outcome":"added""#), "{rows}");
    // Named once, it is remembered by this clone, and no other path is.
    let used = || project.tracker(Grants::local()).use_datasets(&["far.csv".into()]);
    assert_eq!(used().unwrap(), [path]);
    project.git(&["config", "--local", "aurum.data.far.csv.path", "/etc/hostname"]);
    assert!(used().is_ok(), "the user's own configuration is the user's word");
    project.git(&["config", "--local", "--unset", "aurum.data.far.csv.path"]);
    assert_eq!(used().unwrap_err().kind, FailureKind::MissingData);
}

#[test]
fn data_without_the_store_or_the_files_is_refused() {
    let project = Project::new();
    std::fs::write(project.root().join("a.csv"), "1\n").unwrap();
    let source = [DataSource::Path(project.root().join("a.csv"))];
    let add = |tracker: &mut aurum_host::Tracker| match tracker.add_data(&source, &AddOptions::default()) {
        Ok(addition) => addition.failures.first().map(|failure| failure.kind),
        Err(failure) => Some(failure.kind),
    };
    let all = Grants::none().allow_repository_edit().allow_journal();
    without_effect(&project, all.clone().allow_workspace().allow_workspace_edit(), add);
    without_effect(&project, all.clone().allow_store().allow_workspace_edit(), add);
    // The content is kept by then, which nobody sees; the project is as it was.
    let mut tracker = project.tracker(all.allow_store().allow_workspace());
    assert_eq!(add(&mut tracker), Some(FailureKind::Denied));
    assert!(!project.root().join(".au/datasets").exists());
    assert!(project.git(&["status", "--short"]).ends_with("a.csv"));
}

#[test]
fn switching_needs_the_files_and_git() {
    let project = Project::new();
    let mut tracker = project.tracker(Grants::local());
    tracker.start(&options()).unwrap();
    let id = tracker.finish(Outcome::Finished, None).unwrap().id;
    drop(tracker);
    let all = Grants::none().allow_workspace().allow_journal().allow_store();
    for grants in [all.clone().allow_repository_edit(), all.allow_workspace_edit()] {
        without_effect(&project, grants, |tracker| Some(tracker.load(&id).unwrap_err().kind));
    }
    assert_eq!(project.git(&["symbolic-ref", "--short", "HEAD"]), "main");
}

#[test]
fn removing_and_clearing_need_git_and_the_store() {
    let project = Project::new();
    let mut tracker = project.tracker(Grants::local());
    tracker.start(&options()).unwrap();
    tracker.save_model("model", Box::new(Cursor::new(b"weights".to_vec()))).unwrap();
    let id = tracker.finish(Outcome::Finished, None).unwrap().id;
    drop(tracker);
    let kind = |result: Result<(), aurum_host::Failure>| result.err().map(|failure| failure.kind);
    let reading = Grants::none().allow_workspace().allow_workspace_edit().allow_journal();
    without_effect(&project, reading.clone().allow_store(), |tracker| {
        kind(tracker.remove(std::slice::from_ref(&id)).map(drop))
    });
    without_effect(&project, reading.clone().allow_store(), |tracker| kind(tracker.archive(None, None).map(drop)));
    let what =
        Collection { keep_last: None, older_than: None, statuses: vec![], condition: None, grace: Some("0".into()) };
    without_effect(&project, reading.clone().allow_repository_edit(), |tracker| {
        kind(tracker.collect(&what, true).map(drop))
    });
    without_effect(&project, reading.allow_repository_edit(), |tracker| {
        kind(tracker.verify(None, false).map(|steps| drop(steps.collect::<Vec<_>>())))
    });
}

/// What pushing to, and pulling from, a remote says.
fn exchange(tracker: &mut aurum_host::Tracker, remote: &str) -> [Option<FailureKind>; 2] {
    let request = ShareRequest { remote: Some(remote.to_owned()), words: vec![], condition: None, data: true };
    [tracker.push(&request).err().map(|failure| failure.kind), tracker.pull(&request).err().map(|failure| failure.kind)]
}

#[test]
fn a_remote_that_is_not_granted_is_not_asked() {
    let project = Project::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("git://127.0.0.1:{}/a", listener.local_addr().unwrap().port());
    project.git(&["remote", "add", "origin", &url]);
    let before = project.everything();
    for grants in [Grants::local(), Grants::local().allow_exchange("lab"), Grants::local().allow_host("127.0.0.1")] {
        for remote in ["origin", url.as_str()] {
            assert_eq!(exchange(&mut project.tracker(grants.clone()), remote), [Some(FailureKind::Denied); 2]);
        }
    }
    assert!(listener.accept().is_err(), "the remote was asked");
    assert_eq!(project.everything(), before);
}

#[test]
fn pulling_needs_git_to_be_written() {
    let hub = tempfile::tempdir().unwrap();
    let project = Project::new();
    project.git(&["init", "--quiet", "--bare", hub.path().to_str().unwrap()]);
    let mut tracker = project.tracker(Grants::local().allow_exchange(hub.path().to_str().unwrap()));
    tracker.start(&options()).unwrap();
    tracker.finish(Outcome::Finished, None).unwrap();
    assert_eq!(exchange(&mut tracker, hub.path().to_str().unwrap()), [None, None]);
    let other = Project::new();
    let grants = Grants::none().allow_workspace().allow_journal().allow_exchange(hub.path().to_str().unwrap());
    let before = other.everything();
    let request = ShareRequest {
        remote: Some(hub.path().to_str().unwrap().to_owned()),
        words: vec![],
        condition: None,
        data: true,
    };
    assert_eq!(other.tracker(grants).pull(&request).unwrap_err().kind, FailureKind::Denied);
    assert_eq!(other.everything(), before);
}

#[test]
fn a_data_remote_is_one_that_the_repository_or_the_host_names() {
    let (share, hub) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let project = Project::new();
    project.git(&["init", "--quiet", "--bare", hub.path().to_str().unwrap()]);
    let grants = Grants::local().allow_exchange(hub.path().to_str().unwrap());
    let mut tracker = project.tracker(grants);
    tracker.start(&options()).unwrap();
    tracker.save_model("model", Box::new(Cursor::new(b"weights".to_vec()))).unwrap();
    tracker.finish(Outcome::Finished, None).unwrap();
    // What comes with a clone can't name one: only the repository's own configuration does.
    std::fs::write(
        project.root().join(".au/config"),
        format!("[aurum]\n\tformat = 1\n[aurum \"remote.evil\"]\n\turl = file://{}\n", share.path().display()),
    )
    .unwrap();
    let request = ShareRequest {
        remote: Some(hub.path().to_str().unwrap().to_owned()),
        words: vec![],
        condition: None,
        data: true,
    };
    let pushed = tracker.push(&request).unwrap();
    assert!(matches!(pushed.data, aurum_host::DataOutcome::LeftBehind(_)), "{:?}", pushed.data);
    assert_eq!(std::fs::read_dir(share.path()).unwrap().count(), 0);
}
