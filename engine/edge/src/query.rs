//! Query strings: `key=value&…` in, checked values out. Unknown keys are errors, so that a typo
//! never turns into a default.

use lode_engine::{Root, store::Terms};

use crate::path::decode_root;

/// Longest query that is looked at, in bytes.
pub const QUERY_LEN_LIMIT: usize = 1024;

/// Most blobs that one page of the list shows.
pub const LIST_LIMIT: usize = 1000;

/// Blobs on a page when the client does not say.
const LIST_DEFAULT: usize = 100;

/// Why a query is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Longer than [`QUERY_LEN_LIMIT`].
    #[error("the query has {0} bytes, more than {QUERY_LEN_LIMIT}")]
    TooLong(usize),
    /// A key that this route does not know.
    #[error("unknown query key {0:?}")]
    UnknownKey(String),
    /// A key that came twice.
    #[error("query key {0:?} is given twice")]
    Twice(&'static str),
    /// A value that cannot be read.
    #[error("query key {key:?} must be {want}")]
    BadValue {
        /// Which key.
        key: &'static str,
        /// What it should be.
        want: &'static str,
    },
}

/// What a put may declare: `?root=0x…&size=N&expiry=EPOCH|none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutQuery {
    /// The bytes must have this root.
    pub root: Option<Root>,
    /// The body must have this many bytes.
    pub size: Option<u64>,
    /// Until when the blob is to stay; until it is deleted, if the client does not say.
    pub terms: Terms,
}

impl PutQuery {
    /// Reads the query of a put.
    pub fn decode(query: &str) -> Result<Self, QueryError> {
        let (mut put, mut until) = (PutQuery::default(), None);
        for pair in pairs(query)? {
            match pair {
                ("root", text) => set("root", &mut put.root, root("root", text)?)?,
                ("size", text) => set("size", &mut put.size, number("size", text)?)?,
                ("expiry", text) => set("expiry", &mut until, terms("expiry", text)?)?,
                (key, _) => return Err(QueryError::UnknownKey(key.to_owned())),
            }
        }
        put.terms = until.unwrap_or_default();
        Ok(put)
    }
}

/// What a piece of an upload may say: `?expiry=EPOCH|none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchQuery {
    /// Until when the blob is to stay; as the upload was begun, if the client does not say.
    pub terms: Option<Terms>,
}

impl PatchQuery {
    /// Reads the query of a piece of an upload.
    pub fn decode(query: &str) -> Result<Self, QueryError> {
        let mut patch = PatchQuery::default();
        for pair in pairs(query)? {
            match pair {
                ("expiry", text) => set("expiry", &mut patch.terms, terms("expiry", text)?)?,
                (key, _) => return Err(QueryError::UnknownKey(key.to_owned())),
            }
        }
        Ok(patch)
    }
}

/// Which page of the list: `?after=0x…&limit=N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Only roots after this one.
    pub after: Option<Root>,
    /// At most this many, 1 to [`LIST_LIMIT`].
    pub limit: usize,
}

impl ListQuery {
    /// Reads the query of a list.
    pub fn decode(query: &str) -> Result<Self, QueryError> {
        let (mut after, mut limit) = (None, None);
        for pair in pairs(query)? {
            match pair {
                ("after", text) => set("after", &mut after, root("after", text)?)?,
                ("limit", text) => set("limit", &mut limit, number::<usize>("limit", text)?)?,
                (key, _) => return Err(QueryError::UnknownKey(key.to_owned())),
            }
        }
        let limit = limit.unwrap_or(LIST_DEFAULT);
        if limit == 0 || limit > LIST_LIMIT {
            return Err(QueryError::BadValue {
                key: "limit",
                want: "a number from 1 to 1000",
            });
        }
        Ok(ListQuery { after, limit })
    }
}

/// How a proof is wanted: `?format=binary|json&data=true|false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofQuery {
    /// JSON, binary, or as the `Accept` header says.
    pub json: Option<bool>,
    /// Carry the chunk's bytes too.
    pub data: bool,
}

impl ProofQuery {
    /// Reads the query of a proof.
    pub fn decode(query: &str) -> Result<Self, QueryError> {
        let (mut json, mut data) = (None, None);
        for pair in pairs(query)? {
            match pair {
                ("format", "json") => set("format", &mut json, true)?,
                ("format", "binary") => set("format", &mut json, false)?,
                ("data", "true") => set("data", &mut data, true)?,
                ("data", "false") => set("data", &mut data, false)?,
                ("format", _) => {
                    return Err(QueryError::BadValue {
                        key: "format",
                        want: "binary or json",
                    });
                }
                ("data", _) => {
                    return Err(QueryError::BadValue {
                        key: "data",
                        want: "true or false",
                    });
                }
                (key, _) => return Err(QueryError::UnknownKey(key.to_owned())),
            }
        }
        Ok(ProofQuery {
            json,
            data: data.unwrap_or(false),
        })
    }
}

/// In which form an answer is wanted: `?format=binary|json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatQuery {
    /// The bytes of the evidence, not JSON.
    pub binary: bool,
}

impl FormatQuery {
    /// Reads the query; JSON if it does not say.
    pub fn decode(query: &str) -> Result<Self, QueryError> {
        let mut binary = None;
        for pair in pairs(query)? {
            match pair {
                ("format", "json") => set("format", &mut binary, false)?,
                ("format", "binary") => set("format", &mut binary, true)?,
                ("format", _) => {
                    return Err(QueryError::BadValue {
                        key: "format",
                        want: "binary or json",
                    });
                }
                (key, _) => return Err(QueryError::UnknownKey(key.to_owned())),
            }
        }
        Ok(FormatQuery {
            binary: binary.unwrap_or(false),
        })
    }
}

/// The pairs of a query, unchecked.
fn pairs(query: &str) -> Result<impl Iterator<Item = (&str, &str)>, QueryError> {
    if query.len() > QUERY_LEN_LIMIT {
        return Err(QueryError::TooLong(query.len()));
    }
    let parts = query.split('&').filter(|part| !part.is_empty());
    Ok(parts.map(|part| part.split_once('=').unwrap_or((part, ""))))
}

fn set<T>(key: &'static str, slot: &mut Option<T>, value: T) -> Result<(), QueryError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(QueryError::Twice(key)),
    }
}

fn root(key: &'static str, text: &str) -> Result<Root, QueryError> {
    decode_root(text).map_err(|_| QueryError::BadValue {
        key,
        want: "a root of 64 hexadecimal digits",
    })
}

/// Reads a term: an epoch from 1, or `none`.
fn terms(key: &'static str, text: &str) -> Result<Terms, QueryError> {
    let expiry = match text {
        "none" => None,
        // Epoch 0 is over before a store begins; the log writes it for "none".
        text => number(key, text)
            .ok()
            .filter(|epoch| *epoch != 0)
            .map(Some)
            .ok_or(QueryError::BadValue {
                key,
                want: EPOCH_FORM,
            })?,
    };
    Ok(Terms { expiry })
}

/// How a term is written.
pub(crate) const EPOCH_FORM: &str = "an epoch from 1 to 4294967295, or none";

fn number<T: core::str::FromStr>(key: &'static str, text: &str) -> Result<T, QueryError> {
    let bad = QueryError::BadValue {
        key,
        want: "a decimal number",
    };
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(bad);
    }
    text.parse().map_err(|_| bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT: &str = "71bfab3b00112233445566778899aabbccddeeff00112233445566778899aabb";

    /// Every key is read; an empty query means the defaults.
    #[test]
    fn keys() {
        let root = ROOT.parse().unwrap();
        assert_eq!(PutQuery::decode(""), Ok(PutQuery::default()));
        assert_eq!(
            PutQuery::decode(&format!("root=0x{ROOT}&size=7&expiry=3")),
            Ok(PutQuery {
                root: Some(root),
                size: Some(7),
                terms: Terms { expiry: Some(3) }
            })
        );
        for (query, terms) in [
            ("", None),
            ("expiry=9", Some(Terms { expiry: Some(9) })),
            ("expiry=none", Some(Terms { expiry: None })),
        ] {
            assert_eq!(
                PatchQuery::decode(query),
                Ok(PatchQuery { terms }),
                "{query}"
            );
        }
        assert_eq!(PutQuery::decode("expiry=none"), Ok(PutQuery::default()));
        assert_eq!(
            ListQuery::decode(""),
            Ok(ListQuery {
                after: None,
                limit: 100
            })
        );
        assert_eq!(
            ListQuery::decode(&format!("limit=1000&after={ROOT}")),
            Ok(ListQuery {
                after: Some(root),
                limit: 1000
            })
        );
        assert_eq!(
            ProofQuery::decode("format=json&data=true"),
            Ok(ProofQuery {
                json: Some(true),
                data: true
            })
        );
        assert_eq!(
            ProofQuery::decode(""),
            Ok(ProofQuery {
                json: None,
                data: false
            })
        );
    }

    /// Typos, doubles and values out of range are refused by name.
    #[test]
    fn refusals() {
        let unknown = |key: &str| QueryError::UnknownKey(key.to_owned());
        assert_eq!(PutQuery::decode("sized=1"), Err(unknown("sized")));
        assert_eq!(PatchQuery::decode("size=1"), Err(unknown("size")));
        assert_eq!(
            PutQuery::decode("size=1&size=1"),
            Err(QueryError::Twice("size"))
        );
        assert!(matches!(
            PutQuery::decode("size=+1"),
            Err(QueryError::BadValue { .. })
        ));
        assert!(matches!(
            PutQuery::decode("size="),
            Err(QueryError::BadValue { .. })
        ));
        for bad in ["4294967296", "0", "None", "", "-1"] {
            let query = format!("expiry={bad}");
            let refused = |key| matches!(key, Err(QueryError::BadValue { key: "expiry", .. }));
            assert!(refused(PutQuery::decode(&query).map(drop)), "{query}");
            assert!(refused(PatchQuery::decode(&query).map(drop)), "{query}");
        }
        assert!(matches!(
            PutQuery::decode("root=0x12"),
            Err(QueryError::BadValue { .. })
        ));
        assert!(matches!(
            ListQuery::decode("limit=0"),
            Err(QueryError::BadValue { .. })
        ));
        assert!(matches!(
            ListQuery::decode("limit=1001"),
            Err(QueryError::BadValue { .. })
        ));
        assert_eq!(ListQuery::decode("page=1"), Err(unknown("page")));
        assert!(matches!(
            ProofQuery::decode("format=xml"),
            Err(QueryError::BadValue { .. })
        ));
        for bad in ["format=xml", "data=true", "format=json&format=json"] {
            assert!(FormatQuery::decode(bad).is_err(), "{bad}");
        }
        assert!(matches!(
            ProofQuery::decode("data"),
            Err(QueryError::BadValue { .. })
        ));
        assert_eq!(
            PutQuery::decode(&"a".repeat(1025)),
            Err(QueryError::TooLong(1025))
        );
    }

    proptest! {
        /// Any text gets an answer, and what is accepted is within its bounds.
        #[test]
        fn any_text(query in "[ -~]{0,60}|limit=[0-9]{1,8}|size=[0-9]{1,24}") {
            let _ = PutQuery::decode(&query);
            let _ = ProofQuery::decode(&query);
            if let Ok(list) = ListQuery::decode(&query) {
                prop_assert!((1..=LIST_LIMIT).contains(&list.limit));
            }
        }
    }
}
