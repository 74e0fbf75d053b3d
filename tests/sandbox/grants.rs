//! Each refused grant ends in a typed error and no effect.

use std::io::Cursor;

use aurum_host::grants::Grants;
use aurum_host::{FailureKind, Outcome};

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

#[test]
fn a_server_that_is_not_granted_is_not_asked() {
    let project = Project::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://127.0.0.1:{}/data.csv", listener.local_addr().unwrap().port());
    without_effect(&project, Grants::local(), |tracker| Some(tracker.examine(&url).unwrap_err().kind));
    without_effect(&project, Grants::local().allow_host("example.org"), |tracker| {
        Some(tracker.examine(&url).unwrap_err().kind)
    });
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
        assert!(request[..length].starts_with(b"HEAD /data.csv"));
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\nETag: \"v1\"\r\nConnection: close\r\n\r\n")
            .unwrap();
    });
    let attributes = project.tracker(Grants::local().allow_host("127.0.0.1")).examine(&url).unwrap();
    assert_eq!((attributes.size, attributes.entity_tag.as_deref()), (Some(42), Some("\"v1\"")));
    server.join().unwrap();
}
