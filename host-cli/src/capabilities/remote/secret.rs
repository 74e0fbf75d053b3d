//! What nobody may read.

use std::fmt;

/// A key or a password. It is shown as stars, whoever prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Something that nobody else is to know.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For the server that it is meant for.
    #[cfg(feature = "network")]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A user and a password, or a key and its secret, that the user has given for the addresses at hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// The user's name, or the key's.
    pub user: Option<Secret>,
    /// The password, or the secret.
    pub password: Option<Secret>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_as_stars() {
        let login = Login { user: Some(Secret::new("me")), password: Some(Secret::new("hunter2")) };
        assert_eq!(format!("{login:?}"), "Login { user: Some(***), password: Some(***) }");
    }
}
