//! Whose word for a server's identity is taken.

use std::ffi::OsStr;
use std::fs;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::{Error, Result};

/// The authorities that browsers trust, and those of a PEM file beside them: a company's proxy signs with its own.
pub(super) fn roots(file: Option<&OsStr>) -> Result<RootCerts> {
    let Some(path) = file.filter(|path| !path.is_empty()) else { return Ok(RootCerts::WebPki) };
    let about = format!("the certificates of `{}` (SSL_CERT_FILE)", path.display());
    let text = fs::read(path).map_err(|error| Error::io(format_args!("reading {about}"), &error))?;
    let mut certificates: Vec<_> =
        webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|known| Certificate::from_der(known.as_ref())).collect();
    let known = certificates.len();
    for item in parse_pem(&text) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(Error::Other(format!("reading {about}: {error}"))),
        }
    }
    if certificates.len() == known {
        return Err(Error::Other(format!("reading {about}: there is none in it")));
    }
    Ok(certificates.into_iter().into())
}
