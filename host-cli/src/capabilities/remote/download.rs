//! Contents of any size, into a file.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use ureq::Body;
use ureq::http::header::{ACCEPT_RANGES, CONTENT_RANGE, DATE, HeaderName, IF_RANGE, RANGE};
use ureq::http::{HeaderValue, Method, Response, StatusCode};

use super::http::{Client, Opener, Question, attributes, failure, header, is_absence, unexpected};
use super::pieces::Item;
use super::staging::{Staging, Step};
use super::{Attributes, Error, Outset, Result, Stop, public_url};

/// How often a broken connection is made anew, in all.
const MAX_RESUMPTIONS: u32 = 5;
const PIECE: usize = 1 << 16;
/// After how many bytes it is noted how far it is.
const STEP: u64 = 4 << 20;

/// Brings a resource's content to the staging place, where an earlier call may have begun.
pub(super) fn fetch(client: &Client, url: &str, staging: &Staging, outset: &Outset<'_>) -> Result<Option<Attributes>> {
    staging.make("")?;
    let mut file = staging.open("")?;
    let resource = staging.last().and_then(|(item, reached)| Resource::begun(&item, reached));
    let inherited = resource.is_some();
    let mut download = Download { client, url, outset, staging, file: &mut file, resource, inherited };
    let mut resumptions = 0;
    loop {
        let broken = match download.proceed() {
            Ok(attributes) => {
                staging.sync()?;
                return Ok(attributes);
            }
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Broken(error)) => error,
        };
        let resumable = download.resource.as_ref().is_some_and(|resource| resource.validator.is_some());
        if !resumable || resumptions == MAX_RESUMPTIONS {
            return Err(broken);
        }
        std::thread::sleep(client.patience.pause * 2_u32.pow(resumptions));
        resumptions += 1;
    }
}

struct Download<'d> {
    client: &'d Client,
    url: &'d str,
    outset: &'d Outset<'d>,
    staging: &'d Staging,
    file: &'d mut File,
    /// None before the server has answered, or another call had its answer.
    resource: Option<Resource>,
    /// Whether that was another call, and the server has not answered this one.
    inherited: bool,
}

/// What is being downloaded: one version of the resource.
struct Resource {
    attributes: Attributes,
    /// In all, where the server says.
    length: Option<u64>,
    received: u64,
    /// What the server knows this very version by; none when it can't go on from the middle.
    validator: Option<HeaderValue>,
}

impl Download<'_> {
    /// Starts, or goes on, and reads to the end.
    fn proceed(&mut self) -> Result<Option<Attributes>, Stop> {
        let headers = self.resource.as_ref().map(Resource::range).unwrap_or_default();
        let question = Question {
            method: Method::GET,
            url: self.url,
            headers: &headers,
            deadline: None,
            opener: Opener::Git(self.outset.folder),
        };
        let answer = self.client.follow(&question, self.outset.allowed);
        let (url, response) = match answer {
            Ok(answer) => answer,
            Err(Error::Other(text)) => return Err(Stop::Broken(Error::Other(text))),
            Err(error) => return Err(Stop::Failed(error)),
        };
        let inherited = std::mem::take(&mut self.inherited);
        match (response.status(), self.resource.take()) {
            (status, known) if is_absence(status) && (inherited || known.is_none()) => return Ok(None),
            // Whatever was received before is of another version, or is sent again.
            (StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION, _) => {
                self.staging.note(&Step::new(&Item::of("", Attributes::default()), 0, 0), self.file)?;
                self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|error| self.unwritten(&error))?;
                self.resource = Some(Resource::new(&response));
            }
            (StatusCode::PARTIAL_CONTENT, Some(mut resource)) if !headers.is_empty() => {
                resource.check_continuation(&response).map_err(|what| failure(&url, what))?;
                let position = io::SeekFrom::Start(resource.received);
                self.file.seek(position).map_err(|error| self.unwritten(&error))?;
                self.resource = Some(resource);
            }
            (status, _) => return Err(unexpected(&url, status).into()),
        }
        self.receive(&url, response.into_body())
    }

    fn receive(&mut self, url: &str, body: Body) -> Result<Option<Attributes>, Stop> {
        let Some(mut resource) = self.resource.take() else { return Ok(None) };
        let mut body = body.into_reader();
        let mut piece = vec![0; PIECE];
        let mut noted = resource.received;
        let broken = loop {
            match body.read(&mut piece) {
                Ok(0) => break None,
                Ok(count) => {
                    resource.received += count as u64;
                    if resource.length.is_some_and(|length| resource.received > length) {
                        return Err(failure(url, format_args!("the server sent more than {resource}")).into());
                    }
                    self.file.write_all(&piece[..count]).map_err(|error| self.unwritten(&error))?;
                    if resource.received - noted >= STEP {
                        self.note(&resource)?;
                        noted = resource.received;
                    }
                    (self.outset.tell)(resource.received, resource.length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => match ureq::Error::from(error) {
                    ureq::Error::Io(error) => break Some(error.to_string()),
                    error => {
                        self.note(&resource)?;
                        return Err(self.client.explain(url, &error).into());
                    }
                },
            }
        };
        self.note(&resource)?;
        let received = resource.received;
        if broken.is_none() && resource.length.is_none_or(|length| received == length) {
            return Ok(Some(Attributes { size: Some(received), ..resource.attributes }));
        }
        let why = broken.unwrap_or_else(|| "the server closed it".to_owned());
        let what = format!("the connection broke off after {received} of {resource}: {why}");
        self.resource = Some(resource);
        Err(Stop::Broken(failure(url, what)))
    }

    /// For the next call, where it could go on from there.
    fn note(&self, resource: &Resource) -> Result<()> {
        if resource.validator.is_none() {
            return Ok(());
        }
        let known = Attributes { size: resource.length, ..resource.attributes.clone() };
        self.staging.note(&Step::new(&Item::of("", known), 0, resource.received), self.file)
    }

    fn unwritten(&self, error: &io::Error) -> Error {
        Error::io(format_args!("writing what came from `{}`", public_url(self.url)), error)
    }
}

impl Resource {
    fn new(response: &Response<Body>) -> Self {
        let attributes = attributes(response);
        Self { length: attributes.size, received: 0, validator: validator(response, &attributes), attributes }
    }

    /// What an earlier call had of it. The last byte is asked for in any case: nothing more can't be.
    fn begun(item: &Item, reached: u64) -> Option<Self> {
        let attributes = item.attributes();
        let received = attributes.size.map_or(reached, |size| reached.min(size.saturating_sub(1)));
        let validator = attributes.entity_tag.as_ref().or(attributes.last_modified.as_ref())?;
        let validator = HeaderValue::from_str(validator).ok()?;
        (received > 0).then(|| Self { length: attributes.size, received, validator: Some(validator), attributes })
    }

    /// Asks for the rest: of this version, or else for all of the present one.
    fn range(&self) -> Vec<(HeaderName, HeaderValue)> {
        let from = HeaderValue::from_str(&format!("bytes={}-", self.received)).ok();
        match (from, &self.validator) {
            (Some(from), Some(validator)) if self.received > 0 => vec![(RANGE, from), (IF_RANGE, validator.clone())],
            _ => Vec::new(),
        }
    }

    /// Refuses an answer that is not the rest of what was received.
    fn check_continuation(&mut self, response: &Response<Body>) -> Result<(), String> {
        let range = header(response, &CONTENT_RANGE).unwrap_or_default();
        let wrong = || format!("`{}` is not the rest of {self}", range.escape_debug());
        let (first, last, length) = parse_range(&range).ok_or_else(wrong)?;
        let known = self.length.or(length);
        let fits = first == self.received
            && known.is_none_or(|known| last.checked_add(1) == Some(known))
            && length.is_none_or(|length| known == Some(length));
        let told = attributes(response);
        let counted = told.size.is_none_or(|size| last.checked_sub(first) == size.checked_sub(1));
        if !fits || !counted {
            return Err(wrong());
        }
        if told.entity_tag.is_some() && told.entity_tag != self.attributes.entity_tag {
            return Err("it changed while it was downloaded".to_owned());
        }
        self.length = known.or(last.checked_add(1));
        Ok(())
    }
}

/// How much it is.
impl std::fmt::Display for Resource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.length {
            Some(length) => write!(formatter, "{length} bytes"),
            None => formatter.write_str("an unknown number of bytes"),
        }
    }
}

/// What tells one version from any other ([RFC 9110, 13.1.5](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5)).
fn validator(response: &Response<Body>, attributes: &Attributes) -> Option<HeaderValue> {
    if header(response, &ACCEPT_RANGES).is_some_and(|ranges| ranges.trim().eq_ignore_ascii_case("none")) {
        return None;
    }
    let validator = match (&attributes.entity_tag, &attributes.last_modified) {
        (Some(tag), _) => Some(tag).filter(|tag| tag.starts_with('"')),
        // Changed within the second in which it was sent, it might change again unnoticed.
        (None, Some(modified)) => Some(modified).filter(|modified| header(response, &DATE).as_ref() != Some(modified)),
        (None, None) => None,
    };
    validator.and_then(|validator| HeaderValue::from_str(validator).ok())
}

/// First, last, and the length of the whole where it is told.
fn parse_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, length) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let length = if length == "*" { None } else { Some(length.parse().ok()?) };
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last, length))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::net::TcpStream;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::sync::mpsc::Receiver;
    use std::time::{Duration, Instant};
    use std::{fs, thread};

    use super::super::testing::serve_streams;
    use super::super::{Allowed, Login, Remote, http};
    use super::*;
    use crate::capabilities::workspace::Workspace;

    const HASTY: http::Patience = http::Patience {
        whole: Duration::from_secs(5),
        silence: Duration::from_millis(400),
        pause: Duration::from_millis(1),
    };
    const TAGGED: &str = "200 OK\r\nContent-Length: 10\r\nETag: \"v1\"\r\nAccept-Ranges: bytes";

    fn local(host: &str) -> bool {
        host == "127.0.0.1"
    }

    fn hasty(certificates: Option<PathBuf>) -> Remote {
        Remote { client: Client::new(HASTY, certificates.map(Into::into)), login: Login::default(), asks_nobody: false }
    }

    /// A project that has the file `data` already.
    struct Project {
        folder: tempfile::TempDir,
        downloads: tempfile::TempDir,
        remote: Remote,
    }

    impl Project {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("data"), "former").unwrap();
            Self { folder, downloads: tempfile::tempdir().unwrap(), remote: hasty(None) }
        }

        fn fetch(&self, url: &str, allowed: Allowed<'_>) -> Result<Option<Attributes>> {
            let workspace = Workspace::new(self.folder.path()).unwrap();
            let outset = Outset::plain(allowed, self.downloads.path());
            let fetched = self.remote.fetch(url, &workspace, "data", &outset);
            assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 1, "no temporary is left");
            fetched
        }

        fn content(&self) -> String {
            fs::read_to_string(self.folder.path().join("data")).unwrap()
        }

        /// Fetches what can't be had, and answers why.
        fn refused(&self, url: &str) -> String {
            let error = self.fetch(url, &|_| true).unwrap_err().to_string();
            assert!(!error.contains("hush"), "{error}");
            assert_eq!(self.content(), "former");
            error
        }
    }

    /// Gives these answers, one a connection, and then the last one again.
    fn script(answers: Vec<(&'static str, &'static str)>) -> (String, Receiver<String>) {
        let mut answers = answers.into_iter();
        let mut last = answers.next().unwrap();
        let mut first = true;
        let (port, asked) = serve_streams(move |_, _, stream| {
            if !std::mem::take(&mut first) {
                last = answers.next().unwrap_or(last);
            }
            say(stream, last.0, last.1.as_bytes());
        });
        (format!("http://me:hush@127.0.0.1:{port}/x?hush"), asked)
    }

    fn say(mut stream: TcpStream, head: &str, body: &[u8]) {
        let _ = write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(body);
    }

    #[test]
    fn a_file_is_downloaded_whole() {
        let project = Project::new();
        let modified = "Tue, 01 Jul 2025 10:00:00 GMT";
        let (url, asked) = script(vec![
            ("200 OK\r\nContent-Length: 5\r\nETag: W/\"v\"\r\nLast-Modified: Tue, 01 Jul 2025 10:00:00 GMT", "hello"),
            ("200 OK\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            ("200 OK", "until it ends"),
            ("200 OK\r\nContent-Length: 0", ""),
        ]);
        let told = project.fetch(&url, &local).unwrap().unwrap();
        let attributes = Attributes {
            size: Some(5),
            entity_tag: Some("W/\"v\"".to_owned()),
            last_modified: Some(modified.to_owned()),
        };
        assert_eq!(told, attributes);
        assert_eq!(project.content(), "hello");
        let request = asked.recv().unwrap().to_lowercase();
        assert!(request.starts_with("get /x?hush http/1.1"), "{request}");
        assert!(request.contains("accept-encoding: identity") && !request.contains("range"), "{request}");
        for content in ["abcde", "until it ends", ""] {
            let told = project.fetch(&url, &local).unwrap().unwrap();
            assert_eq!(told, Attributes { size: Some(content.len() as u64), ..Attributes::default() });
            assert_eq!(project.content(), content);
        }
    }

    #[test]
    fn what_is_not_there_changes_nothing() {
        let project = Project::new();
        for status in ["404 Not Found", "410 Gone"] {
            let (url, _asked) = script(vec![(status, "page")]);
            assert_eq!(project.fetch(&url, &local).unwrap(), None);
            assert_eq!(project.content(), "former");
        }
        let statuses = ["500 Internal Server Error", "403 Forbidden", "204 No Content", "206 Partial Content"];
        for status in statuses {
            let (url, asked) = script(vec![(status, "page")]);
            assert!(project.refused(&url).contains(&format!("/x`: the server answered {status}")));
            assert_eq!(asked.try_iter().count(), 1);
        }
    }

    #[test]
    fn other_hosts_are_asked_for_and_told_no_password() {
        let project = Project::new();
        let (port, asked) = serve_streams(move |request, port, stream| match request.split(' ').nth(1).unwrap() {
            "/away" => say(stream, &format!("302 Found\r\nLocation: http://localhost:{port}/file"), b""),
            "/near" => say(stream, "302 Found\r\nLocation: file", b""),
            _ => say(stream, "200 OK\r\nContent-Length: 2", b"ok"),
        });
        let fetch = |path: &str, allowed: Allowed<'_>| {
            project.fetch(&format!("http://me:hush@127.0.0.1:{port}/{path}"), allowed)
        };
        assert!(matches!(fetch("away", &local), Err(Error::Denied(host)) if host == "localhost"));
        assert_eq!(project.content(), "former");
        assert_eq!(asked.try_iter().count(), 1, "the host that was refused was not asked");
        for (path, known_twice) in [("away", false), ("near", true)] {
            fetch(path, &|_| true).unwrap().unwrap();
            let known: Vec<_> =
                asked.try_iter().map(|asked| asked.to_lowercase().contains("authorization: basic ")).collect();
            assert_eq!(known, [true, known_twice]);
        }
        assert_eq!(project.content(), "ok");
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        let project = Project::new();
        for (head, body) in [
            ("200 OK\r\nContent-Length: 10", "01234"),
            ("200 OK\r\nContent-Length: 10\r\nETag: W/\"weak\"", "01234"),
            ("200 OK\r\nContent-Length: 10\r\nETag: \"v1\"\r\nAccept-Ranges: none", "01234"),
            ("200 OK\r\nTransfer-Encoding: chunked", "5\r\n01234\r\n5\r\n567"),
        ] {
            let (url, asked) = script(vec![(head, body)]);
            let error = project.refused(&url);
            assert!(error.contains("broke off after"), "{error}");
            assert_eq!(asked.try_iter().count(), 1, "nothing tells that the rest would be of the same version");
        }
    }

    #[test]
    fn an_answer_of_two_lengths_is_an_error() {
        let project = Project::new();
        let head = "200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked";
        for (body, told) in [("5\r\nabcde\r\n0\r\n\r\n", "more than 3 bytes"), ("2\r\nab\r\n0\r\n\r\n", "after 2 of 3")]
        {
            let (url, _asked) = script(vec![(head, body)]);
            let error = project.refused(&url);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_broken_download_goes_on_where_it_broke() {
        let project = Project::new();
        let (url, asked) = script(vec![
            (TAGGED, "0123"),
            ("206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6", "45"),
            ("206 Partial Content\r\nContent-Range: bytes 6-9/*", "6789"),
        ]);
        let told = project.fetch(&url, &local).unwrap().unwrap();
        assert_eq!((told.size, told.entity_tag.as_deref()), (Some(10), Some("\"v1\"")));
        assert_eq!(project.content(), "0123456789");
        let requests: Vec<_> = asked.try_iter().map(|request| request.to_lowercase()).collect();
        assert!(!requests[0].contains("range:"), "{requests:?}");
        for (request, range) in requests[1..].iter().zip(["range: bytes=4-\r\n", "range: bytes=6-\r\n"]) {
            assert!(request.contains(range) && request.contains("if-range: \"v1\"\r\n"), "{request}");
        }

        let dated = "200 OK\r\nLast-Modified: Tue, 01 Jul 2025 10:00:00 GMT\r\nTransfer-Encoding: chunked";
        let (url, asked) =
            script(vec![(dated, "4\r\n0123\r\n"), ("206 Partial Content\r\nContent-Range: bytes 4-5/6", "45")]);
        project.fetch(&url, &local).unwrap().unwrap();
        assert_eq!(project.content(), "012345");
        let request = asked.try_iter().nth(1).unwrap().to_lowercase();
        assert!(request.contains("if-range: tue, 01 jul 2025 10:00:00 gmt"), "{request}");
    }

    #[test]
    fn a_changed_file_is_downloaded_anew() {
        let project = Project::new();
        let (url, _asked) = script(vec![
            (TAGGED, "0123"),
            ("200 OK\r\nContent-Length: 6\r\nETag: \"v2\"", "ab"),
            ("206 Partial Content\r\nETag: \"v2\"\r\nContent-Range: bytes 2-5/6\r\nContent-Length: 4", "cdef"),
        ]);
        let told = project.fetch(&url, &local).unwrap().unwrap();
        assert_eq!((told.size, told.entity_tag.as_deref()), (Some(6), Some("\"v2\"")));
        assert_eq!(project.content(), "abcdef");
    }

    #[test]
    fn the_rest_of_something_else_is_refused() {
        for head in [
            "206 Partial Content\r\nContent-Length: 6",
            "206 Partial Content\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10",
            "206 Partial Content\r\nContent-Range: bytes 4-9/11\r\nContent-Length: 6",
            "206 Partial Content\r\nContent-Range: bytes 4-8/10\r\nContent-Length: 5",
            "206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 5",
            "206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\nETag: \"v2\"",
            "206 Partial Content\r\nContent-Range: bytes 9-4/10",
            "416 Range Not Satisfiable",
            "404 Not Found",
        ] {
            let project = Project::new();
            let (url, asked) = script(vec![(TAGGED, "0123"), (head, "456789")]);
            let error = project.refused(&url);
            assert!(["not the rest", "changed", "416", "404"].iter().any(|told| error.contains(told)), "{error}");
            assert_eq!(asked.try_iter().count(), 2, "{head}");
        }
    }

    #[test]
    fn a_connection_that_breaks_time_and_again_is_given_up() {
        let project = Project::new();
        let (url, asked) = script(vec![(TAGGED, "0123456"), (TAGGED, "0")]);
        let error = project.refused(&url);
        assert!(error.contains("broke off after 1 of 10 bytes"), "{error}");
        assert_eq!(asked.try_iter().count(), 1 + MAX_RESUMPTIONS as usize);
    }

    #[test]
    fn a_server_that_falls_silent_is_given_up() {
        let project = Project::new();
        for head in [TAGGED, "200 OK\r\nContent-Length: 10", ""] {
            let mut held = Vec::new();
            let (port, asked) = serve_streams(move |_, _, mut stream| {
                held.push(stream.try_clone().unwrap());
                if !head.is_empty() {
                    write!(stream, "HTTP/1.1 {head}\r\n\r\n01").unwrap();
                    // Slow is not silent: longer in all than what may pass without a byte.
                    for _ in 0..3 {
                        thread::sleep(HASTY.silence / 2);
                        stream.write_all(b".").unwrap();
                    }
                }
            });
            let start = Instant::now();
            let error = project.refused(&format!("http://me:hush@127.0.0.1:{port}/x"));
            assert!(error.contains("sent nothing for 400ms"), "{error}");
            assert!(start.elapsed() < Duration::from_secs(5));
            assert_eq!(asked.try_iter().count(), 1);
        }
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        // Writing to it fails as on a full disk.
        let Ok(mut full) = fs::OpenOptions::new().write(true).open("/dev/full") else { return };
        let (url, _asked) = script(vec![("200 OK\r\nContent-Length: 5", "hello")]);
        let client = Client::new(HASTY, None);
        let folder = tempfile::tempdir().unwrap();
        let (staging, outset) = (Staging::begin(folder.path(), "x").unwrap(), Outset::plain(&local, folder.path()));
        let (outset, resource, inherited) = (&outset, None, false);
        let mut download =
            Download { client: &client, url: &url, outset, staging: &staging, file: &mut full, resource, inherited };
        // A device has no length to set: the second half alone.
        let answer = client.follow(
            &Question {
                method: Method::GET,
                url: &url,
                headers: &[],
                deadline: None,
                opener: Opener::Git(Path::new(".")),
            },
            &local,
        );
        let (_, response) = answer.map_err(|error| error.to_string()).unwrap();
        download.resource = Some(Resource::new(&response));
        let stopped = download.receive(&url, response.into_body());
        assert!(matches!(stopped, Err(Stop::Failed(Error::NoSpace(error))) if !error.contains("hush")));
    }

    /// A server with TLS, and the file of the authority that vouches for it; none where there is no `openssl` or
    /// Python.
    struct SecureServer {
        process: std::process::Child,
        port: u16,
    }

    impl SecureServer {
        fn start(folder: &Path) -> Option<Self> {
            let openssl = |arguments: &str| {
                let mut command = Command::new("openssl");
                command.args(arguments.split(' ')).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
                command.status().is_ok_and(|status| status.success()).then_some(())
            };
            let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
            fs::write(folder.join("leaf.ext"), "subjectAltName=DNS:localhost\n").unwrap();
            openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"))?;
            openssl(&format!("req {key} -keyout leaf.key -out leaf.csr -subj /CN=localhost"))?;
            openssl(
                "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
                 -days 2 -extfile leaf.ext -out leaf.pem",
            )?;
            fs::write(folder.join("file"), "safely").unwrap();
            let program = "import http.server, ssl
server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('leaf.pem', 'leaf.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()";
            let mut command = Command::new("python3");
            command.args(["-c", program]).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut process = command.spawn().ok()?;
            let mut line = String::new();
            io::BufRead::read_line(&mut io::BufReader::new(process.stdout.take()?), &mut line).ok()?;
            Some(Self { process, port: line.trim().parse().ok()? })
        }
    }

    impl Drop for SecureServer {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    #[test]
    fn further_certificates_are_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let Some(server) = SecureServer::start(folder.path()) else { return };
        let url = format!("https://localhost:{}/file", server.port);
        let authority = folder.path().join("ca.pem");
        let mut project = Project { remote: hasty(Some(authority.clone())), ..Project::new() };
        assert_eq!(project.fetch(&url, &|_| true).unwrap().unwrap().size, Some(6));
        assert_eq!(project.content(), "safely");
        assert_eq!(
            project.remote.stat(&url, &Outset::plain(&|_| true, Path::new("."))).unwrap().unwrap().size,
            Some(6)
        );

        fs::write(folder.path().join("data"), "former").unwrap();
        project = Project::new();
        let error = project.refused(&url);
        assert!(error.contains("UnknownIssuer"), "{error}");
        for (file, told) in [("missing.pem", "No such file"), ("file", "none in it"), ("leaf.key", "none in it")] {
            project.remote = hasty(Some(folder.path().join(file)));
            let error = project.refused(&url);
            assert!(error.contains("SSL_CERT_FILE") && error.contains(told), "{error}");
        }
    }
}
