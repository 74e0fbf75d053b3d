//! Buckets as data remotes. What is long goes in parts, and one that was begun is gone on with: a name tells the content, so that
//! parts of another can't be among them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};
use ureq::SendBody;
use ureq::http::header::CONTENT_LENGTH;
use ureq::http::{Method, StatusCode};

use super::super::depot::{Depot, Put};
use super::super::pieces::{self, Item, Source};
use super::super::{Error, Result};
use super::answer::Parts;
use super::{Ask, Service, answer};
use crate::capabilities::store::hexadecimal;

/// How long a part is; what is no longer goes in one.
const PART: u64 = 64 << 20;
/// A server takes no more than 10,000 parts.
const MOST_PARTS: u64 = 9_000;
/// So few are asked for one by one; of more, the bucket is listed.
const FEW: usize = 100;

/// A bucket, or what lies below a prefix of it.
pub(in super::super) struct Bucket<'c> {
    service: Service<'c>,
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl<'c> Bucket<'c> {
    pub(in super::super) fn new(service: Service<'c>, key: &str) -> Self {
        let key = key.trim_matches('/');
        Self { service, prefix: if key.is_empty() { String::new() } else { format!("{key}/") } }
    }
}

impl Depot for Bucket<'_> {
    fn sizes(&self, names: &[String]) -> Result<HashMap<String, u64>> {
        let sizes = std::sync::Mutex::new(HashMap::new());
        let insert = |name: &str, size| {
            sizes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name.to_owned(), size);
        };
        if names.len() <= FEW {
            pieces::several(names, |name| {
                let found = self.service.stat(&format!("{}{name}", self.prefix))?;
                if let Some(size) = found.and_then(|found| found.size) {
                    insert(name, size);
                }
                Ok(())
            })?;
            // That the bucket is there is not told by what is not in it.
            if sizes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_empty() {
                self.service.page(&self.prefix, None)?;
            }
        } else {
            for item in self.service.list(&self.prefix)? {
                insert(&item.path, item.size.unwrap_or_default());
            }
        }
        Ok(sizes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn put(&self, put: &Put<'_>) -> Result<()> {
        let key = format!("{}{}", self.prefix, put.name);
        if put.size <= PART {
            let headers = [(CONTENT_LENGTH.as_str(), put.size.to_string())];
            let ask = Ask { headers: &headers, content: put.digits, ..Ask::new(Method::PUT, &key) };
            let response = self.service.ask_with(&ask, || slice(put.file, 0, put.size))?;
            if response.status() != StatusCode::OK {
                return Err(self.service.refusal(&key, response));
            }
            (put.tell)(put.size);
            return Ok(());
        }
        let upload = Upload { service: &self.service, key: &key, put };
        upload.carry_out()
    }

    fn source(&self) -> &dyn Source {
        &self.service
    }

    fn item(&self, name: &str, size: u64) -> Item {
        let key = format!("{}{name}", self.prefix);
        // The name tells the version.
        let modified = Some("content".to_owned());
        Item { path: name.to_owned(), key, size: Some(size), version: None, modified }
    }
}

/// A part of a file as what is sent; an end that comes too early is an error.
fn slice(file: &File, at: u64, left: u64) -> SendBody<'static> {
    match file.try_clone() {
        Ok(file) => SendBody::from_owned_reader(Slice { file, at, left }),
        Err(_) => SendBody::from_owned_reader(io::empty()),
    }
}

struct Slice {
    file: File,
    at: u64,
    left: u64,
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// A content that goes in parts.
struct Upload<'u> {
    service: &'u Service<'u>,
    key: &'u str,
    put: &'u Put<'u>,
}

struct Part {
    number: u32,
    at: u64,
    size: u64,
}

impl Upload<'_> {
    fn carry_out(&self) -> Result<()> {
        let size = PART.max(self.put.size.div_ceil(MOST_PARTS));
        let parts: Vec<Part> = (0..self.put.size.div_ceil(size))
            .map(|index| {
                let at = index * size;
                Part { number: index as u32 + 1, at, size: size.min(self.put.size - at) }
            })
            .collect();
        let (id, known) = match self.begun()? {
            Some(begun) => begun,
            None => (self.begin()?, Parts::new()),
        };
        let tags = std::sync::Mutex::new(HashMap::new());
        let arrived = |part: &Part, tag: String| {
            tags.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(part.number, tag);
            (self.put.tell)(part.size);
        };
        pieces::several(&parts, |part| {
            if let Some((tag, _)) = known.get(&part.number).filter(|(_, size)| *size == part.size) {
                arrived(part, tag.clone());
                return Ok(());
            }
            arrived(part, self.send(&id, part)?);
            Ok(())
        })?;
        self.complete(&id, &parts, &tags.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn begin(&self) -> Result<String> {
        // Servers want to be told that nothing follows.
        let headers = [(CONTENT_LENGTH.as_str(), "0".to_owned())];
        let ask = Ask { query: &[("uploads", "")], headers: &headers, ..Ask::new(Method::POST, self.key) };
        let response = self.service.ask(&ask)?;
        if response.status() != StatusCode::OK {
            return Err(self.service.refusal(self.key, response));
        }
        let body = self.service.read_text(self.key, response)?;
        answer::upload(&body).ok_or_else(|| self.service.failure(self.key, "the server begins no upload"))
    }

    /// One that was cut short, and what of it arrived.
    fn begun(&self) -> Result<Option<(String, Parts)>> {
        let ask = Ask { query: &[("uploads", ""), ("prefix", self.key)], ..Ask::new(Method::GET, "") };
        let response = self.service.ask(&ask)?;
        // Who may write need not be allowed to list.
        if response.status() != StatusCode::OK {
            return Ok(None);
        }
        let body = self.service.read_text(self.key, response)?;
        let Some(id) = answer::uploads(&body, self.key).pop() else { return Ok(None) };
        let mut parts = Parts::new();
        let mut after = "0".to_owned();
        loop {
            let query = [("uploadId", id.as_str()), ("part-number-marker", after.as_str())];
            let response = self.service.ask(&Ask { query: &query, ..Ask::new(Method::GET, self.key) })?;
            if response.status() != StatusCode::OK {
                return Ok(None);
            }
            let body = self.service.read_text(self.key, response)?;
            let Some((page, more)) = answer::parts(&body) else { return Ok(None) };
            parts.extend(page);
            match more {
                Some(more) if more != after => after = more,
                _ => return Ok(Some((id, parts))),
            }
        }
    }

    fn send(&self, id: &str, part: &Part) -> Result<String> {
        let digits = digits(self.put.file, part)
            .map_err(|error| Error::io(format_args!("reading what goes to `{}`", self.key), &error))?;
        let number = part.number.to_string();
        let headers = [(CONTENT_LENGTH.as_str(), part.size.to_string())];
        let query = [("partNumber", number.as_str()), ("uploadId", id)];
        let ask = Ask { query: &query, headers: &headers, content: &digits, ..Ask::new(Method::PUT, self.key) };
        let response = self.service.ask_with(&ask, || slice(self.put.file, part.at, part.size))?;
        if response.status() != StatusCode::OK {
            return Err(self.service.refusal(self.key, response));
        }
        super::attributes(&response)
            .entity_tag
            .ok_or_else(|| self.service.failure(self.key, "the server tells nothing of a part that it took"))
    }

    fn complete(&self, id: &str, parts: &[Part], tags: &HashMap<u32, String>) -> Result<()> {
        let mut body = "<CompleteMultipartUpload>".to_owned();
        for Part { number, .. } in parts {
            let tag = tags.get(number).map(String::as_str).unwrap_or_default();
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            body.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"));
        }
        body.push_str("</CompleteMultipartUpload>");
        let digits = hexadecimal(&Sha256::digest(&body));
        let ask = Ask { query: &[("uploadId", id)], content: &digits, ..Ask::new(Method::POST, self.key) };
        let response = self.service.ask_with(&ask, || body.as_str())?;
        if response.status() != StatusCode::OK {
            return Err(self.service.refusal(self.key, response));
        }
        // It begins to answer before it is done.
        let said = self.service.read_text(self.key, response)?;
        match answer::code(&said) {
            Some(code) => Err(self.service.failure(self.key, format_args!("the server lost what was sent ({code})"))),
            None => Ok(()),
        }
    }
}

fn digits(file: &File, part: &Part) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut slice = Slice { file: file.try_clone()?, at: part.at, left: part.size };
    let mut piece = vec![0; 1 << 18];
    loop {
        match slice.read(&mut piece)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            count => hash.update(&piece[..count]),
        }
    }
}
