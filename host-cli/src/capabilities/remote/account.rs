//! Having it kept what opens a server.

use super::credentials::{self, origin, user_info};
use super::git_credential::{self, Keeper, Question};
use super::http::failure;
use super::{Error, Login, Outset, Remote, Result, check_host, ftp, public_url, s3, scheme_of};
use crate::capabilities::percent::decode;

impl Remote {
    /// Asks the server at an address whether it takes this user.
    ///
    /// # Errors
    /// When it does not, or can't be asked.
    pub fn try_login(&self, url: &str, login: &Login, outset: &Outset<'_>) -> Result<()> {
        check_host(&self.host_of(url, outset.setting)?, outset)?;
        match scheme_of(url).as_str() {
            "s3" => {
                let address = s3::Address::parse(url)?;
                s3::Service::new(&self.client, login, outset, &address.bucket)?.try_keys(&address.key)
            }
            "ftp" | "ftps" => ftp::Site::new(&self.client, login, outset, url)?.try_login(),
            _ => match self.client.takes(url, login, outset.allowed)? {
                Some(true) => Ok(()),
                Some(false) => Err(failure(url, "the server does not take this user with this password")),
                None => Err(failure(url, "the server lets anybody in there, so that it can't be tried")),
            },
        }
    }

    /// Has git's credential helpers keep what opens the server at an address, or a file of Aurum's own where there are none.
    ///
    /// # Errors
    /// For what is no address of a server, and when it can't be written.
    pub fn keep_login(&self, url: &str, login: &Login, outset: &Outset<'_>) -> Result<Keeper> {
        self.with_question(url, outset, |question| git_credential::keep(outset.folder, question, login))
    }

    /// Has that forgotten; false where nothing was known.
    ///
    /// # Errors
    /// For what is no address of a server, and when it can't be forgotten.
    pub fn forget_login(&self, url: &str, outset: &Outset<'_>) -> Result<bool> {
        self.with_question(url, outset, |question| git_credential::forget(outset.folder, question))
    }

    fn with_question<T>(
        &self,
        url: &str,
        outset: &Outset<'_>,
        ask: impl FnOnce(&Question<'_>) -> Result<T>,
    ) -> Result<T> {
        match scheme_of(url).as_str() {
            "s3" => ask(&s3::Lock::of(&self.login, outset.setting, &s3::Address::parse(url)?)?.question()),
            "ftp" | "ftps" => {
                let site = ftp::Site::new(&self.client, &Login::default(), outset, url)?;
                ask(&site.question())
            }
            "http" | "https" => {
                let origin = origin(url).ok_or_else(|| none(url))?;
                ask(&credentials::question(&origin))
            }
            _ => Err(none(url)),
        }
    }
}

/// Whether an address is one of a server that may want to know who asks.
pub fn is_of_server(url: &str) -> bool {
    matches!(scheme_of(url).as_str(), "s3" | "ftp" | "ftps" | "http" | "https")
}

/// Whether an address is one of a bucket.
pub fn is_of_bucket(url: &str) -> bool {
    scheme_of(url) == "s3"
}

/// The user that an address names.
pub fn user_in(url: &str) -> Option<String> {
    let user = String::from_utf8(decode(user_info(url)?.0)).ok()?;
    Some(user).filter(|user| !user.is_empty())
}

/// Whether an address holds a password.
pub fn has_password(url: &str) -> bool {
    user_info(url).is_some_and(|(_, password)| password.is_some())
}

fn none(url: &str) -> Error {
    Error::Other(format!("`{}` is no address of a server", public_url(url)))
}
