//! AWS Signature Version 4, in headers, so that no address ever opens anything
//! ([how it is made](https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html)).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::super::secret::Secret;
use crate::capabilities::store::hexadecimal;

/// Of no bytes at all.
pub(super) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a server knows somebody by.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) id: Secret,
    pub(super) secret: Secret,
    /// Of keys that hold for some hours.
    pub(super) token: Option<Secret>,
}

/// A request as far as it is signed.
pub(super) struct Signed<'r> {
    pub(super) method: &'r str,
    /// Escaped, beginning with a slash.
    pub(super) path: &'r str,
    /// Escaped, and sorted by name.
    pub(super) query: &'r str,
    /// In lower case and sorted by name; `host`, `x-amz-content-sha256` and `x-amz-date` are among them.
    pub(super) headers: &'r [(String, String)],
    pub(super) region: &'r str,
    /// `20130524T000000Z`
    pub(super) moment: &'r str,
    /// SHA-256 of the content, in hexadecimal digits.
    pub(super) content: &'r str,
}

impl Signed<'_> {
    /// The header `Authorization`.
    pub(super) fn authorization(&self, keys: &Keys) -> String {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let Self { method, path, query, region, moment, content, .. } = self;
        let request = format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{content}");
        let day = moment.get(..8).unwrap_or_default();
        let scope = format!("{day}/{region}/s3/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", hexadecimal(&Sha256::digest(request)));
        let mut key = keyed(format!("AWS4{}", keys.secret.reveal()).as_bytes(), day);
        for part in [region, "s3", "aws4_request"] {
            key = keyed(&key, part);
        }
        let id = keys.id.reveal();
        let signature = hexadecimal(&keyed(&key, &text));
        format!("AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}")
    }
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Everything but letters, digits and `-._~` as `%2F`; slashes stay where they part a path.
pub(super) fn escape(text: &str, is_path: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte.into()),
            b'/' if is_path => escaped.push('/'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples that AWS gives.
    #[test]
    fn requests_are_signed_as_documented() {
        let keys = Keys {
            id: Secret::new("AKIAIOSFODNN7EXAMPLE"),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            token: None,
        };
        let sign = |path: &str, query: &str, range: Option<&str>| {
            let headers = [
                ("host", Some("examplebucket.s3.amazonaws.com")),
                ("range", range),
                ("x-amz-content-sha256", Some(EMPTY)),
                ("x-amz-date", Some("20130524T000000Z")),
            ];
            let headers: Vec<(String, String)> =
                headers.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.to_owned()))).collect();
            let moment = "20130524T000000Z";
            Signed { method: "GET", path, query, headers: &headers, region: "us-east-1", moment, content: EMPTY }
                .authorization(&keys)
        };
        assert_eq!(
            sign("/test.txt", "", Some("bytes=0-9")),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let listing = sign("/", "max-keys=2&prefix=J", None);
        assert!(listing.ends_with("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"), "{listing}");
    }

    #[test]
    fn what_is_not_plain_is_escaped() {
        assert_eq!(escape("a b/é?+~%", true), "a%20b/%C3%A9%3F%2B~%25");
        assert_eq!(escape("a/b", false), "a%2Fb");
    }
}
