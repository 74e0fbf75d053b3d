//! Servers as data remotes: contents by their digest, `sha256/ab/cdef…`, as in the store.

use std::collections::HashMap;
use std::fs::File;
use std::time::Duration;

use super::pieces::{Item, Source};
use super::{Outset, Remote, Result, check_host, ftp, s3, scheme_of};

/// A content that goes there.
pub(in crate::capabilities) struct Put<'p> {
    /// `sha256/ab/cdef…`
    pub(in crate::capabilities) name: &'p str,
    /// The digest's.
    pub(in crate::capabilities) digits: &'p str,
    pub(in crate::capabilities) file: &'p File,
    pub(in crate::capabilities) size: u64,
    /// Hears of bytes that have arrived.
    pub(in crate::capabilities) tell: &'p (dyn Fn(u64) + Sync),
}

/// A server with contents.
pub(in crate::capabilities) trait Depot: Sync {
    /// The sizes of those of these that it has; others that it has may be among them.
    fn sizes(&self, names: &[String]) -> Result<HashMap<String, u64>>;
    /// Adds one: it is there whole or not at all.
    fn put(&self, put: &Put<'_>) -> Result<()>;
    /// Where contents come from.
    fn source(&self) -> &dyn Source;
    /// What that knows one by.
    fn item(&self, name: &str, size: u64) -> Item;
}

/// Whether an address is one of a server.
pub(in crate::capabilities) fn is_server(url: &str) -> bool {
    matches!(scheme_of(url).as_str(), "s3" | "ftp" | "ftps")
}

impl Remote {
    /// The data remote at an address.
    pub(in crate::capabilities) fn depot<'d>(&'d self, url: &str, outset: &Outset<'d>) -> Result<Box<dyn Depot + 'd>> {
        check_host(&self.host_of(url, outset.setting)?, outset)?;
        if scheme_of(url) == "s3" {
            let address = s3::Address::parse(url)?;
            let service = s3::Service::new(&self.client, &self.login, outset, &address.bucket)?;
            return Ok(Box::new(s3::Bucket::new(service, &address.key)));
        }
        let site = ftp::Site::new(&self.client, &self.login, outset, url)?;
        Ok(Box::new(ftp::Shelf::new(site)?))
    }

    /// Before a broken connection is made anew.
    pub(in crate::capabilities) fn pause(&self) -> Duration {
        self.client.patience.pause
    }
}
