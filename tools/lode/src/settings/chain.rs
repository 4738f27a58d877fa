//! The settings of the chain: whom a node asks about it, and who pays.

use std::path::PathBuf;

use super::Texts;
use crate::failure::{Failure, Outcome};

/// The chain that a node follows, and with which account it settles on it, if it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSettings {
    /// URL of the RPC.
    pub url: String,
    /// Who pays for anchors.
    pub account: Option<AccountSettings>,
}

/// An account. The key is never a setting itself: every process of the machine could read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// The account's key, encrypted.
    pub key: PathBuf,
    /// The password, in a file.
    pub password_file: PathBuf,
}

/// The three settings of the chain: all of them, none, or the URL alone of a node that only follows.
pub(super) fn settings(texts: &Texts) -> Outcome<Option<ChainSettings>> {
    let names = ["chain", "chain_key", "chain_password_file"];
    let [url, key, password_file] = names.map(|name| texts.text(name));
    if [url, key, password_file].iter().all(|text| text.is_empty()) {
        return Ok(None);
    }
    let follows = !texts.text("zgs_listen").is_empty();
    let alone = key.is_empty() && password_file.is_empty() && follows;
    let missing = names.iter().find(|name| texts.text(name).is_empty());
    if let Some(missing) = missing.filter(|_| !alone) {
        let what = format!(
            "a node that settles needs {}, and {missing} is not set",
            names.join(", ")
        );
        let next = "set all three of them, or none; with zgs_listen, chain alone will do";
        return Err(Failure::usage(what, next));
    }
    Ok(Some(ChainSettings {
        url: texts.parse("chain", |text| {
            text.starts_with("http://").then(|| text.to_owned())
        })?,
        account: (!alone).then(|| AccountSettings {
            key: PathBuf::from(key),
            password_file: PathBuf::from(password_file),
        }),
    }))
}
