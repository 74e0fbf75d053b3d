//! Whose word for a server's identity is taken.

use std::ffi::OsStr;
use std::fs;

use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::{Error, Result};

/// The authorities that browsers trust, and those of a PEM file beside them: a company's proxy signs with its own.
pub(super) fn roots(file: Option<&OsStr>) -> Result<RootCerts> {
    if file.is_none_or(OsStr::is_empty) {
        return Ok(RootCerts::WebPki);
    }
    let certificates = certificates(file)?.into_iter();
    Ok(certificates
        .map(|certificate| Certificate::from_der(&certificate).to_owned())
        .collect::<Vec<_>>()
        .into_iter()
        .into())
}

/// The same for what speaks no HTTP.
pub(super) fn certificates(file: Option<&OsStr>) -> Result<Vec<CertificateDer<'static>>> {
    let mut certificates = webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec();
    let Some(path) = file.filter(|path| !path.is_empty()) else { return Ok(certificates) };
    let about = format!("the certificates of `{}` (SSL_CERT_FILE)", path.display());
    let text = fs::read(path).map_err(|error| Error::io(format_args!("reading {about}"), &error))?;
    let known = certificates.len();
    for item in parse_pem(&text) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate.der().to_vec().into()),
            Ok(_) => {}
            Err(error) => return Err(Error::Other(format!("reading {about}: {error}"))),
        }
    }
    if certificates.len() == known {
        return Err(Error::Other(format!("reading {about}: there is none in it")));
    }
    Ok(certificates)
}
