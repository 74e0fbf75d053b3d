//! Keeping secrets out of records: of what is recorded nothing is named like a secret, and no address carries one.

use serde_json::Value;

/// What stands in a secret's place.
pub const HIDDEN: &str = "***";

/// Whether a value of this name is likely a secret. Case, dashes and underscores don't matter.
///
/// In machine learning most tokens are pieces of text: `max_tokens`, `pad_token` or `tokenizer` are no secrets, while
/// `token`, `hf_token` or `access_tokens` are.
pub fn is_secret_name(name: &str) -> bool {
    const SECRET: [&str; 9] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "credential",
        "apikey",
        "accesskey",
        "privatekey",
        "authorization",
    ];
    let compact: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if SECRET.iter().any(|word| compact.contains(word)) {
        return true;
    }
    if !compact.contains("token") {
        return false;
    }
    let words = words(name);
    words.iter().enumerate().any(|(at, word)| match word.as_str() {
        "token" | "tokens" => {
            let before = at.checked_sub(1).map_or("", |at| words[at].as_str());
            let after = words.get(at + 1).map_or("", String::as_str);
            is_secret_token(word, before, after)
        }
        _ => false,
    })
}

/// Whether the word `token` or `tokens` between these two means a secret.
fn is_secret_token(word: &str, before: &str, after: &str) -> bool {
    /// Before either word: whose token it is.
    const HOLDERS: [&str; 12] =
        ["access", "auth", "api", "bearer", "refresh", "session", "user", "oauth", "hf", "hub", "bot", "login"];
    /// Before `token`: which or how many pieces of text.
    const PIECES: [&str; 52] = [
        "n", "num", "max", "min", "new", "per", "total", "avg", "mean", "first", "last", "next", "prev", "pad",
        "padding", "eos", "bos", "unk", "oov", "mask", "masked", "sep", "cls", "class", "dist", "special", "start",
        "stop", "begin", "end", "eot", "sot", "eod", "image", "img", "video", "vision", "audio", "text", "word",
        "subword", "query", "prompt", "soft", "register", "memory", "global", "target", "source", "decoder", "dummy",
        "blank",
    ];
    /// After `token`: what is counted, measured or done with pieces of text.
    const MATTERS: [&str; 46] = [
        "count",
        "counts",
        "num",
        "number",
        "id",
        "ids",
        "idx",
        "index",
        "type",
        "types",
        "len",
        "length",
        "lengths",
        "dim",
        "dims",
        "size",
        "shape",
        "embed",
        "embedding",
        "embeddings",
        "emb",
        "dropout",
        "drop",
        "budget",
        "limit",
        "level",
        "per",
        "rate",
        "ratio",
        "merge",
        "merging",
        "mix",
        "mixing",
        "mixer",
        "mask",
        "masking",
        "weight",
        "weights",
        "loss",
        "prob",
        "probs",
        "pos",
        "position",
        "shift",
        "pruning",
        "reduction",
    ];
    if HOLDERS.contains(&before) {
        return true;
    }
    word == "token" && !PIECES.contains(&before) && !MATTERS.contains(&after)
}

/// The words of a name in lower case, split where separators stand, at `camelCase`, and round `token`, so that
/// `maxtokens` is two words. A `tokenizer` and the like are one.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || c.is_ascii_uppercase() && after_lower {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(c.to_ascii_lowercase());
        }
        after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    let mut split = Vec::new();
    for word in words {
        match word.split_once("token") {
            Some((before, after)) if !after.starts_with("iz") && !after.starts_with("is") => {
                let (token, after) = after.strip_prefix('s').map_or(("token", after), |after| ("tokens", after));
                split.extend([before, token, after].map(str::to_owned));
            }
            _ => split.push(word),
        }
    }
    split.retain(|word| !word.is_empty());
    split
}

/// The value without secrets, whatever is nested in it.
pub fn value(name: &str, value: &Value) -> Value {
    match value {
        // There is nothing to hide in these, and whether a password is used at all is worth knowing.
        Value::Null | Value::Bool(_) => value.clone(),
        _ if is_secret_name(name) => HIDDEN.into(),
        Value::String(text) => url(text).into(),
        Value::Array(items) => items.iter().map(|item| self::value("", item)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| (key.clone(), self::value(key, item)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Number(_) => value.clone(),
    }
}

/// The text with each address in it free of user and password, and of parameters that sign or open it.
pub fn url(text: &str) -> String {
    let mut anonymous = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (scheme, address) = rest.split_at(at + 3);
        anonymous.push_str(scheme);
        rest = without_user(address);
    }
    anonymous.push_str(rest);
    anonymous.split_inclusive(char::is_whitespace).map(without_signatures).collect()
}

/// An address from behind its scheme on, without user-info.
fn without_user(address: &str) -> &str {
    /// Characters that user-info is looked for in, where it does not end as it should.
    const FAR: usize = 1_000;
    let authority =
        &address[..address.find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace()).unwrap_or(address.len())];
    if let Some(at) = authority.rfind('@') {
        return &address[at + 1..];
    }
    // A password may hold a `/` that should have been written `%2F`: then what follows the colon is no port.
    if authority.split_once(':').is_some_and(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit())) {
        let near = address.char_indices().take(FAR).take_while(|(_, c)| !c.is_whitespace());
        if let Some((at, _)) = near.filter(|(_, c)| *c == '@').last() {
            return &address[at + 1..];
        }
    }
    address
}

/// A word of text; if it is an address, without the values of parameters that open it.
fn without_signatures(word: &str) -> String {
    let parameters = word.find("://").and_then(|scheme| Some(scheme + word[scheme..].find(['?', '#'])? + 1));
    let Some(parameters) = parameters else { return word.to_owned() };
    let (address, parameters) = word.split_at(parameters);
    let end = parameters.trim_end().len();
    let (parameters, space) = parameters.split_at(end);
    let mut clean = address.to_owned();
    for segment in parameters.split_inclusive(['&', '#', '"', '<', '>', '`']) {
        let (segment, delimiter) = match segment.strip_suffix(['&', '#', '"', '<', '>', '`']) {
            Some(bare) => (bare, &segment[bare.len()..]),
            None => (segment, ""),
        };
        // Some separate by `;`, and a parameter may be an address with parameters of its own. What follows a secret
        // within its segment may be a part of it.
        for piece in segment.split_inclusive([';', '?']) {
            match piece.split_once('=') {
                Some((name, _)) if opens(name) => {
                    clean.extend([name, "=", HIDDEN]);
                    break;
                }
                _ => clean.push_str(piece),
            }
        }
        clean.push_str(delimiter);
    }
    clean + space
}

/// Whether a parameter of this name signs an address, or opens it in another way.
fn opens(name: &str) -> bool {
    const NAMES: [&str; 19] = [
        "signature",
        "sig",
        "token",
        "key",
        "auth",
        "policy",
        "awsaccesskeyid",
        "googleaccessid",
        "key-pair-id",
        "hmac",
        "pw",
        "pwd",
        "pass",
        "jwt",
        "code",
        "st",
        "rlkey",
        "hdnea",
        "hdnts",
    ];
    let name = decoded(name).to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || name.starts_with("x-amz-") || name.starts_with("x-goog-") || is_secret_name(&name)
}

/// The name with `%73` and the like read; bytes beyond ASCII don't matter here.
fn decoded(name: &str) -> String {
    let mut decoded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        decoded.push_str(before);
        let byte = escape.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii);
        decoded.push(byte.map_or('%', char::from));
        rest = &escape[if byte.is_some() { 3 } else { 1 }..];
    }
    decoded + rest
}

/// A command line without secrets.
pub fn arguments(arguments: &[String]) -> Vec<String> {
    let mut follows = false;
    let hide = |argument: &String| {
        let secret = std::mem::take(&mut follows);
        let flag = argument.starts_with('-').then(|| argument.trim_start_matches('-'));
        // A secret may begin with a dash; another flag is told by its two, or by its one letter.
        let other_flag = argument.starts_with("--") || flag.is_some_and(|flag| flag.len() <= 1);
        if secret && !other_flag {
            return HIDDEN.to_owned();
        }
        // What stands before the `=` of an address or of a sentence is no name.
        match argument.split_once('=').filter(|(name, _)| !name.contains("://") && !name.contains(char::is_whitespace))
        {
            Some((name, _)) if is_secret_name(name) => format!("{name}={HIDDEN}"),
            Some((name, text)) => format!("{name}={}", self::argument(text)),
            None => {
                follows = flag.is_some_and(is_secret_name);
                self::argument(argument)
            }
        }
    };
    arguments.iter().map(hide).collect()
}

/// Text of a command line without addresses' secrets, and without those nested in JSON.
fn argument(text: &str) -> String {
    if text.starts_with(['{', '['])
        && let Ok(json) = serde_json::from_str::<Value>(text)
    {
        let clean = value("", &json);
        // What had nothing to hide stays as it was written.
        return if clean == json { text.to_owned() } else { clean.to_string() };
    }
    url(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn names_of_secrets() {
        for name in [
            "password",
            "db_password",
            "PASSWD",
            "DB.Passwd",
            "client-secret",
            "aws_secret_access_key",
            "token",
            "TOKEN",
            "hf_token",
            "hfToken",
            "access_tokens",
            "auth-token",
            "authtoken",
            "github_token",
            "wandb_token",
            "id_token",
            "api_key",
            "apikey",
            "OPENAI_API_KEY",
            "x-api-key",
            "accessKey",
            "private-key",
            "credentials",
            "google_credential",
            "use_auth_token",
            "tokenizer_auth_token",
            "token_secret",
            "user_token",
            "Authorization",
            "ssh_passphrase",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn names_of_hyper_parameters() {
        for name in [
            "",
            "lr",
            "key",
            "num_key_value_heads",
            "key_dim",
            "author",
            "tokenizer",
            "tokenizer_name",
            "tokenization",
            "tokenise",
            "tokens",
            "num_tokens",
            "max_tokens",
            "maxTokens",
            "maxtokens",
            "max_new_tokens",
            "max_num_batched_tokens",
            "n_tokens",
            "tokens_per_batch",
            "token_count",
            "token_dim",
            "tokenDropout",
            "pad_token",
            "pad_token_id",
            "padtoken",
            "eos_token",
            "bos_token_id",
            "mask_token",
            "cls_token",
            "class_token",
            "add_special_tokens",
            "stop_tokens",
            "token_type_ids",
            "image_token_index",
            "decoder_start_token_id",
            "max_token_length",
            "token_embedding_dim",
            "token_weights",
            "per_token_loss",
            "train_tokens",
            "monkey",
            "random_key",
            "pass",
            "passes",
            "n_passes",
            "secondary",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn values_are_walked() {
        let clean = value(
            "config",
            &json!({"db": {"password": "x", "pin_token": 5}, "urls": ["https://u:p@h/"], "max_tokens": 5, "use_token": true}),
        );
        assert_eq!(
            clean,
            json!({"db": {"password": "***", "pin_token": "***"}, "urls": ["https://h/"], "max_tokens": 5, "use_token": true})
        );
        assert_eq!(value("password", &json!(null)), json!(null));
        assert_eq!(value("tokens", &json!([1, 2])), json!([1, 2]));
        assert_eq!(value("passwords", &json!(["a"])), json!("***"));
    }

    #[test]
    fn addresses_lose_what_opens_them() {
        for (text, clean) in [
            ("https://user:pass@host:80/a?b=1", "https://host:80/a?b=1"),
            ("https://token@github.com/a.git", "https://github.com/a.git"),
            ("postgres://u:p/w@h/db", "postgres://h/db"),
            ("postgres://u:p@w@h/db", "postgres://h/db"),
            (
                "https://b.s3.amazonaws.com/k?X-Amz-Signature=ab&versionId=2&X-Amz-Date=3",
                "https://b.s3.amazonaws.com/k?X-Amz-Signature=***&versionId=2&X-Amz-Date=***",
            ),
            (
                "https://h/?AWSAccessKeyId=A&Signature=b%2F&Expires=1",
                "https://h/?AWSAccessKeyId=***&Signature=***&Expires=1",
            ),
            (
                "https://a.blob.core.windows.net/c?sv=2020&%73ig=x",
                "https://a.blob.core.windows.net/c?sv=2020&%73ig=***",
            ),
            ("https://h/?a=1;token=x;y#access_token=z", "https://h/?a=1;token=***#access_token=***"),
            ("https://h/?next=https://u:p@g/?key=x&b=2", "https://h/?next=https://g/?key=***&b=2"),
            (r#"see "https://h/?sig=x" or ftp://u@g now"#, r#"see "https://h/?sig=***" or ftp://g now"#),
            ("https://esm.sh/react@18?dev=1", "https://esm.sh/react@18?dev=1"),
            ("http://localhost:8080/@user", "http://localhost:8080/@user"),
            ("git@github.com:a/b.git", "git@github.com:a/b.git"),
            ("token=x", "token=x"),
            ("é://ü:ö@ä?key=ß\n", "é://ä?key=***\n"),
        ] {
            assert_eq!(url(text), clean);
        }
    }

    #[test]
    fn command_lines() {
        let line =
            |words: &[&str]| arguments(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).join(" ");
        assert_eq!(line(&["--password", "x", "lr=1"]), "--password *** lr=1");
        assert_eq!(
            line(&["--password", "-x9", "--token=x", "password=a=b"]),
            "--password *** --token=*** password=***"
        );
        assert_eq!(line(&["--use-auth-token", "--lr", "1"]), "--use-auth-token --lr 1");
        assert_eq!(line(&["--max_tokens", "5", "+db.password=x"]), "--max_tokens 5 +db.password=***");
        assert_eq!(line(&["url=https://u:p@h/?a=1", "https://h/?token=x"]), "url=https://h/?a=1 https://h/?token=***");
        assert_eq!(line(&[r#"c={"password": "x"}"#, r#"d={"a":  1}"#]), r#"c={"password":"***"} d={"a":  1}"#);
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing(
            text in any::<String>(),
            odd in "(https?://|[a:/@?&#;=% ]|token|sig=|[0-9]){0,24}",
        ) {
            for text in [text, odd] {
                let once = url(&text);
                prop_assert_eq!(url(&once), once);
                is_secret_name(&text);
                arguments(&[text.clone(), format!("--token={text}"), text]);
            }
        }

        #[test]
        fn no_password_comes_through(password in "[A-Z][A-Za-z0-9!$~:/_]{0,12}", host in "[a-z.]{1,9}") {
            let text = format!("see https://me:{password}@{host}/a?sig={password}&b=1#x");
            prop_assert_eq!(url(&text), format!("see https://{host}/a?sig=***&b=1#x"));
        }
    }
}
