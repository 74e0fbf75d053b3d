//! What servers of S3 say in XML.

use std::collections::HashMap;

use roxmltree::{Document, Node};

/// Of a whole page of a listing, whose names may be long.
pub(super) const MOST: u64 = 16 << 20;

/// What went wrong, by its name, such as `NoSuchBucket`. What servers say beside it may name the key.
pub(super) fn code(body: &str) -> Option<String> {
    let document = Document::parse(body).ok()?;
    let code = text(document.root_element(), "Code")?;
    let plain = !code.is_empty() && code.len() < 100 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then_some(code)
}

/// One page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) objects: Vec<Listed>,
    /// What to ask for the next with; none at the end.
    pub(super) next: Option<String>,
}

/// An object of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) entity_tag: Option<String>,
    pub(super) modified: Option<String>,
}

/// The answer to `list-type=2`. None also where a name holds what XML can't, such as control characters.
pub(super) fn page(body: &str) -> Option<Page> {
    let document = Document::parse(body).ok()?;
    let root = document.root_element();
    let is_escaped = text(root, "EncodingType").as_deref() == Some("url");
    let mut page = Page::default();
    for object in children(root, "Contents") {
        let key = text(object, "Key")?;
        page.objects.push(Listed {
            key: if is_escaped { unescape(&key)? } else { key },
            size: text(object, "Size")?.parse().ok()?,
            entity_tag: text(object, "ETag"),
            modified: text(object, "LastModified"),
        });
    }
    if text(root, "IsTruncated").as_deref() == Some("true") {
        page.next = Some(text(root, "NextContinuationToken")?);
    }
    Some(page)
}

/// What a server calls an upload in parts that it has begun.
pub(super) fn upload(body: &str) -> Option<String> {
    text(Document::parse(body).ok()?.root_element(), "UploadId")
}

/// Uploads of one key that were begun and not completed, the newest last.
pub(super) fn uploads(body: &str, key: &str) -> Vec<String> {
    let Ok(document) = Document::parse(body) else { return Vec::new() };
    let all = children(document.root_element(), "Upload");
    let own = all.filter(|upload| text(*upload, "Key").as_deref() == Some(key));
    let mut own: Vec<_> = own
        .filter_map(|upload| Some((text(upload, "Initiated").unwrap_or_default(), text(upload, "UploadId")?)))
        .collect();
    own.sort();
    own.into_iter().map(|(_, id)| id).collect()
}

/// Parts that arrived: entity tag and size by their number.
pub(super) type Parts = HashMap<u32, (String, u64)>;

/// A page of the parts that arrived, and after which number there are more.
pub(super) fn parts(body: &str) -> Option<(Parts, Option<String>)> {
    let document = Document::parse(body).ok()?;
    let root = document.root_element();
    let mut parts = Parts::new();
    for part in children(root, "Part") {
        let number = text(part, "PartNumber")?.parse().ok()?;
        parts.insert(number, (text(part, "ETag")?, text(part, "Size")?.parse().ok()?));
    }
    let more = (text(root, "IsTruncated").as_deref() == Some("true")).then(|| text(root, "NextPartNumberMarker"));
    Some((parts, more.flatten()))
}

fn children<'d, 'i: 'd>(node: Node<'d, 'i>, name: &'static str) -> impl Iterator<Item = Node<'d, 'i>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

fn text(node: Node<'_, '_>, name: &'static str) -> Option<String> {
    children(node, name).next().map(|child| child.text().unwrap_or_default().to_owned())
}

/// As in forms: some servers write a space as `+`.
fn unescape(text: &str) -> Option<String> {
    String::from_utf8(crate::capabilities::percent::decode(&text.replace('+', "%20"))).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn listings_are_read() {
        let body = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <IsTruncated>true</IsTruncated>\
            <NextContinuationToken>t=</NextContinuationToken><Contents><Key> a+b/é%2B&amp;&lt;</Key><Size>3</Size>\
            <ETag>&quot;x&quot;</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>\
            </ListBucketResult>";
        let page = page(body).unwrap();
        assert_eq!(page.next.as_deref(), Some("t="));
        assert_eq!(page.objects.len(), 1);
        assert_eq!((page.objects[0].key.as_str(), page.objects[0].size), (" a+b/é%2B&<", 3));
        assert_eq!(page.objects[0].entity_tag.as_deref(), Some("\"x\""));
        assert_eq!(super::page(&body.replace("é", "&#x1;")), None);
        let escaped =
            body.replace("<IsTruncated>", "<EncodingType>url</EncodingType><IsTruncated>").replace("é", "%01");
        assert_eq!(super::page(&escaped).unwrap().objects[0].key, " a b/\u{1}+&<");
    }

    #[test]
    fn only_plain_names_of_faults_are_told() {
        let body = |code: &str| format!("<Error><Code>{code}</Code><Message>The key AKIA is unknown</Message></Error>");
        assert_eq!(code(&body("NoSuchKey")).as_deref(), Some("NoSuchKey"));
        for odd in ["", "a b", "&lt;x&gt;", "\u{1b}[31m"] {
            assert_eq!(code(&body(odd)), None, "{odd:?}");
        }
        assert_eq!(code("<html>"), None);
        // What would grow without end is not even read.
        assert_eq!(code("<!DOCTYPE x [<!ENTITY a \"b\">]><Error><Code>&a;</Code></Error>"), None);
    }
}
