//! Servers of FTP: `ftp://`, and `ftps://` with TLS, which is asked for on the usual port and begins at once on port 990.

mod control;
mod depot;
mod listing;

pub(super) use self::depot::Shelf;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::{ClientConfig, RootCertStore};

use self::control::{Control, Reply, Server, Tls};
use self::listing::{Entry, Kind};
use super::credentials::user_info;
use super::git_credential::{self, Question};
use super::http::Client;
use super::pieces::{Getter, Item, Source};
use super::secret::{Login, Secret};
use super::{Allowed, Error, Outset, Result, Stop, host_of, split, trust};
use crate::capabilities::percent::decode;

const PORT: u16 = 21;
/// Where TLS begins with the first byte.
const SECURE_PORT: u16 = 990;
/// Folders within folders that are looked into.
const DEEPEST: usize = 64;
/// How often a broken connection is made anew before anything was fetched.
const TRIES: u32 = 3;

/// A server, as far as one path goes.
pub(super) struct Site<'c> {
    client: &'c Client,
    allowed: Allowed<'c>,
    server: Server,
    /// Where git's helpers are asked.
    folder: &'c Path,
    /// Below the folder that one is in after logging in.
    path: String,
    is_secure: bool,
    /// As the user has it.
    given: Login,
    /// None before it is needed.
    login: Mutex<Option<Login>>,
}

/// What stands at a path.
pub(super) enum Found {
    Nothing,
    File(Item),
    Folder,
}

impl<'c> Site<'c> {
    pub(super) fn new(client: &'c Client, login: &Login, outset: &Outset<'c>, url: &str) -> Result<Self> {
        let host = host_of(url)?;
        let wrong = || Error::Other(format!("`{}` is no address of FTP", super::public_url(url)));
        let (scheme, authority, path) = split(url).ok_or_else(wrong)?;
        let is_secure = scheme.eq_ignore_ascii_case("ftps");
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let port = place.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.is_empty() && !port.contains(']'));
        let port = port.map_or(Ok(PORT), str::parse).map_err(|_| wrong())?;
        let tls = match (is_secure, port) {
            (false, _) => Tls::None,
            (true, SECURE_PORT) => Tls::Implicit(config(client)?),
            (true, _) => Tls::Explicit(config(client)?),
        };
        let text = |escaped: &str| String::from_utf8(decode(escaped)).map_err(|_| wrong());
        let mut login = login.clone();
        if let (Some((user, password)), None) = (user_info(url), &login.user) {
            login.user = Some(Secret::new(text(user)?));
            login.password = password.map(text).transpose()?.map(Secret::new).or(login.password);
        }
        let path = text(path.strip_prefix('/').unwrap_or(path))?;
        if path.chars().any(char::is_control) {
            return Err(wrong());
        }
        let silence = client.patience.silence;
        let secrets = login.user.iter().chain(&login.password).cloned().collect();
        let server = Server { host, port, tls, silence, secrets };
        let (allowed, folder, given) = (outset.allowed, outset.folder, login);
        Ok(Self { client, allowed, server, folder, path, is_secure, given, login: Mutex::default() })
    }

    /// Which folder of whose it is.
    pub(super) fn place(&self) -> Result<String> {
        let user = self.login()?.user;
        let user = user.as_ref().map_or("", Secret::reveal);
        Ok(format!("ftp\n{}:{}\n{user}\n{}", self.server.host, self.server.port, self.path))
    }

    /// A connection that is logged in.
    fn open(&self) -> Result<Control, Stop> {
        if !(self.allowed)(&self.server.host) {
            return Err(Error::Denied(self.server.host.clone()).into());
        }
        let login = self.login()?;
        let mut server = self.server.clone();
        server.secrets.extend(login.user.iter().chain(&login.password).cloned());
        let mut control = Control::open(&server)?;
        let text = |secret: &Option<Secret>, otherwise| secret.as_ref().map_or(otherwise, Secret::reveal).to_owned();
        let is_anybody = login.user.is_none();
        let password = text(&login.password, if is_anybody { "anonymous@" } else { "" });
        if control.log_in(&text(&login.user, "anonymous"), &password)? {
            return Ok(control);
        }
        // A password is not forgotten for that: servers answer the same when too many are there.
        let what = if is_anybody {
            "it wants a user and a password that it knows, and none were given"
        } else {
            "it does not take this user with this password"
        };
        Err(self.server.failure(what).into())
    }

    /// Whom to log in as: where no password was given, git may know one.
    fn login(&self) -> Result<Login> {
        let mut known = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(login) = &*known {
            return Ok(login.clone());
        }
        let found = match &self.given.password {
            Some(_) => None,
            None => git_credential::fill(self.folder, &self.question())?,
        };
        Ok(known.insert(found.unwrap_or_else(|| self.given.clone())).clone())
    }

    /// What git's credential helpers are asked.
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            protocol: if self.is_secure { "ftps" } else { "ftp" },
            host: &self.server.host,
            port: (self.server.port != PORT).then_some(self.server.port),
            path: None,
            user: self.given.user.as_ref().map(Secret::reveal),
            helpers: true,
        }
    }

    /// A connection, made again where it broke.
    fn connected(&self) -> Result<Control> {
        let mut tries = 0;
        loop {
            match self.open() {
                Ok(control) => return Ok(control),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Broken(error)) if tries == TRIES => return Err(error),
                Err(Stop::Broken(error)) => {
                    // Nobody is there: waiting helps less than knowing.
                    if error.to_string().contains("refused") {
                        return Err(error);
                    }
                    std::thread::sleep(self.client.patience.pause * 2_u32.pow(tries));
                    tries += 1;
                }
            }
        }
    }

    /// Whether the server takes the user.
    pub(super) fn try_login(&self) -> Result<()> {
        self.connected().map(drop)
    }

    /// What stands at the path.
    pub(super) fn look(&self) -> Result<Found> {
        let mut control = self.connected()?;
        let path = self.path.trim_end_matches('/');
        if path.is_empty() {
            return Ok(Found::Folder);
        }
        if !self.path.ends_with('/') {
            let item = Item { path: String::new(), key: path.to_owned(), size: None, version: None, modified: None };
            if let Some(item) = Self::describe(&mut control, item).map_err(Stop::into_error)? {
                return Ok(Found::File(item));
            }
        }
        let entered = control.ask(format!("CWD {path}").as_bytes()).map_err(Stop::into_error)?;
        if entered.is_good() {
            return Ok(Found::Folder);
        }
        // Where sizes are not told, only the attempt to get it tells whether there is one.
        if control.ask(format!("SIZE {path}").as_bytes()).map_err(Stop::into_error)?.is_unknown() {
            let item = Item { path: String::new(), key: path.to_owned(), size: None, version: None, modified: None };
            return Ok(Found::File(item));
        }
        Ok(Found::Nothing)
    }

    /// With the size and the time that the server tells of a file; none where it tells neither.
    fn describe(control: &mut Control, mut item: Item) -> Result<Option<Item>, Stop> {
        let size = control.ask(format!("SIZE {}", item.key).as_bytes())?;
        if size.code == 213 {
            item.size = size.text.trim().parse().ok();
        }
        let time = control.ask(format!("MDTM {}", item.key).as_bytes())?;
        if time.code == 213 {
            item.modified = Some(time.text.trim().to_owned())
                .filter(|time| time.len() <= 40 && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
        }
        // Some tell a folder's time, and none its size.
        Ok((item.size.is_some() || time.code == 213 && size.is_unknown()).then_some(item))
    }

    /// All files below the path.
    pub(super) fn list(&self) -> Result<Vec<Item>> {
        let mut control = self.connected()?;
        let top = self.path.trim_end_matches('/');
        let mut items = Vec::new();
        let mut folders = vec![(String::new(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let at = [top, folder.trim_end_matches('/')].join("/");
            let at = if top.is_empty() { folder.trim_end_matches('/') } else { at.trim_end_matches('/') };
            for entry in self.entries(&mut control, at).map_err(Stop::into_error)? {
                let path = format!("{folder}{}", entry.name);
                let key = if at.is_empty() { entry.name.clone() } else { format!("{at}/{}", entry.name) };
                let item = Item { path: path.clone(), key, size: entry.size, version: None, modified: entry.modified };
                match entry.kind {
                    Kind::Folder if depth == DEEPEST => {
                        return Err(control.failure(format_args!("`{}` lies too deep", path.escape_debug())));
                    }
                    Kind::Folder => {
                        let path = format!("{path}/");
                        folders.push((path.clone(), depth + 1));
                        items.push(Item { path, size: Some(0), modified: None, ..item });
                    }
                    Kind::File if item.size.is_some() && item.modified.is_some() => items.push(item),
                    Kind::File => {
                        let described = Self::describe(&mut control, item.clone()).map_err(Stop::into_error)?;
                        items.push(described.unwrap_or(item));
                    }
                    Kind::Other => {
                        let what = format!("`{}` is a link or a device, and can't be added", path.escape_debug());
                        return Err(control.failure(what));
                    }
                }
            }
        }
        Ok(items)
    }

    fn entries(&self, control: &mut Control, folder: &str) -> Result<Vec<Entry>, Stop> {
        let entries = self.entries_if_there(control, folder)?;
        entries.ok_or_else(|| control.failure(format_args!("`{}` can't be listed", folder.escape_debug())).into())
    }

    /// None where the server does not list it.
    fn entries_if_there(&self, control: &mut Control, folder: &str) -> Result<Option<Vec<Entry>>, Stop> {
        type Read = fn(&str) -> Result<Option<Entry>, ()>;
        let ways: [(&str, Read); 2] = [("MLSD", listing::facts), ("LIST", listing::line)];
        for (command, read) in ways {
            let command = if folder.is_empty() { command.to_owned() } else { format!("{command} {folder}") };
            let mut data = match control.transfer(command.as_bytes(), 0)? {
                Ok(data) => data,
                Err(answer) if answer.is_unknown() => continue,
                Err(answer) if matches!(answer.code, 450 | 501 | 550) => return Ok(None),
                Err(answer) => return Err(control.refused("it does not list what it has", &answer).into()),
            };
            let mut bytes = Vec::new();
            let mut piece = vec![0; 1 << 16];
            loop {
                match data.read(&mut piece) {
                    Ok(0) => break,
                    Ok(count) => bytes.extend(&piece[..count]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(control.broken(&error)),
                }
            }
            drop(data);
            complete(control)?;
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| control.failure("a name there is not UTF-8, and can't be added"))?;
            let mut entries = Vec::new();
            for line in text.lines() {
                let unread = |()| control.failure(format_args!("`{}` in its list can't be read", line.escape_debug()));
                entries.extend(read(line).map_err(unread)?);
            }
            return Ok(Some(entries));
        }
        Err(control.failure("it lists nothing").into())
    }
}

/// The answer behind content.
fn complete(control: &mut Control) -> Result<(), Stop> {
    let answer = control.reply()?;
    if answer.is_good() { Ok(()) } else { Err(Stop::Broken(control.refused("it broke off", &answer))) }
}

impl Source for Site<'_> {
    fn connect(&self) -> Result<Box<dyn Getter + '_>, Stop> {
        Ok(Box::new(Connection { control: self.open()?, site: self }))
    }

    fn is_seekable(&self) -> bool {
        false
    }
}

struct Connection<'s> {
    control: Control,
    site: &'s Site<'s>,
}

impl Getter for Connection<'_> {
    fn get(&mut self, item: &Item, range: &Range<u64>, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<(), Stop> {
        let control = &mut self.control;
        if range.start > 0 {
            self.site.check(control, item)?;
        }
        if range.is_empty() {
            return Ok(());
        }
        let mut data = match control.transfer(format!("RETR {}", item.key).as_bytes(), range.start)? {
            Ok(data) => data,
            Err(answer) => return Err(self.site.unavailable(control, item, &answer).into()),
        };
        let mut piece = vec![0; 1 << 16];
        let mut received = 0;
        loop {
            match data.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    sink(&piece[..count])?;
                    received += count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(control.broken(&error)),
            }
        }
        drop(data);
        complete(control)?;
        // It says that this was all: then trying again brings no more.
        if let Some(size) = item.size.filter(|size| range.start + received < *size) {
            let (key, all) = (item.key.escape_debug(), range.start + received);
            return Err(control.failure(format_args!("`{key}` ended after {all} of {size} bytes")).into());
        }
        // What was written meanwhile may be half of one version and half of another.
        self.site.check(control, item)
    }
}

impl Site<'_> {
    /// Refuses what is another version by now.
    fn check(&self, control: &mut Control, item: &Item) -> Result<(), Stop> {
        let now = Self::describe(control, Item { size: None, modified: None, ..item.clone() })?;
        let differs = |then: Option<&str>, now: Option<&str>| then.zip(now).is_some_and(|(then, now)| then != now);
        let Some(now) = now else { return Ok(()) };
        let size = item.size.zip(now.size).is_some_and(|(then, now)| then != now);
        if size || differs(item.modified.as_deref(), now.modified.as_deref()) {
            let what = format!("`{}` changed while it was downloaded", item.key.escape_debug());
            return Err(control.failure(what).into());
        }
        Ok(())
    }

    fn unavailable(&self, control: &Control, item: &Item, answer: &Reply) -> Error {
        control.refused(&format!("`{}` can't be had", item.key.escape_debug()), answer)
    }
}

/// One for all connections of a download, so that those for content take up the session of the one for commands, as some servers
/// want it.
fn config(client: &Client) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trust::certificates(client.certificates.as_deref())?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| Error::other(&error))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
