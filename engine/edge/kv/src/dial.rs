//! Connections to other nodes: HTTP/1.1, behind TLS where a URL says so.
//!
//! A storage node speaks no TLS itself; what ends TLS in front of it is trusted as the node is. Its
//! bytes are proven either way, the order of submissions is believed (see [`crate::node_feed`]), so it
//! matters who vouches for the other end: Mozilla's authorities, which this program carries along, or
//! those that the operator names, and then only they.
//!
//! Redirects are not followed, lest a strange node sends us to a neighbour of ours. Bytes of an answer
//! are bounded by [`ANSWER_LEN_MAX`], time by whoever asks.

use core::error::Error;
use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Request, StatusCode, Uri, header, http::HeaderValue};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use percent_encoding::percent_decode_str;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};

/// Bytes of an answer: a page of submissions with long tags, or a chunk with its proof.
pub const ANSWER_LEN_MAX: usize = 16 << 20;
/// Time until a connection is there.
const CONNECT: Duration = Duration::from_secs(5);
/// Connections to one node that are kept while nobody needs them: as many as chunks are asked for at once
/// on an ordinary day.
const IDLE_MAX: usize = 8;
/// Longer than any URL that somebody would type.
const URL_LEN_MAX: usize = 1024;

/// Who may vouch for a node behind TLS.
#[derive(Clone, Debug, Default)]
pub enum Authorities {
    /// Those that the world trusts, by Mozilla's list.
    #[default]
    Public,
    /// These, and nobody else.
    Only(Vec<CertificateDer<'static>>),
}

/// A pool of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Dialer(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why there is no answer.
pub(crate) enum Undelivered {
    /// In words, without the URL, which may hold a password.
    Failed(String),
    /// It is longer than [`ANSWER_LEN_MAX`].
    Endless,
}

impl Dialer {
    /// Trusting these. Nothing is sent yet.
    pub(crate) fn new(authorities: &Authorities) -> Result<Dialer, rustls::Error> {
        let mut roots = RootCertStore::empty();
        match authorities {
            Authorities::Public => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Authorities::Only(all) => {
                for one in all {
                    roots.add(one.clone())?;
                }
            }
        }
        let provider = Arc::new(ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        // Or it would refuse https before TLS has its turn.
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Ok(Dialer(client))
    }

    /// Sends JSON, and waits for the whole answer.
    pub(crate) async fn post(
        &self,
        to: &Target,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Undelivered> {
        let mut request = Request::post(&to.url).header(header::CONTENT_TYPE, "application/json");
        if let Some(password) = &to.password {
            request = request.header(header::AUTHORIZATION, password);
        }
        let request = request.body(Full::from(body)).map_err(|e| failed(&e))?;
        let answer = self.0.request(request).await.map_err(|e| failed(&e))?;
        let status = answer.status();
        match Limited::new(answer.into_body(), ANSWER_LEN_MAX)
            .collect()
            .await
        {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(Undelivered::Endless),
            Err(error) => Err(failed(&*error)),
        }
    }
}

/// An error with its causes: the outermost alone says that something is wrong with the client.
fn failed(error: &(dyn Error + 'static)) -> Undelivered {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    Undelivered::Failed(words)
}

/// Where a node is, and what it asks for to be let in.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    url: Uri,
    /// Not shown where this is printed.
    password: Option<HeaderValue>,
}

impl Target {
    /// Reads the URL of a node: `http://` or `https://`, a host, and before it perhaps `USER:PASSWORD@`.
    pub(crate) fn read(text: &str) -> Option<Target> {
        let url: Uri = text.parse().ok().filter(|_| text.len() <= URL_LEN_MAX)?;
        let known = matches!(url.scheme_str(), Some("http" | "https"));
        let authority = url.authority().filter(|_| known)?.as_str();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host.to_owned()),
            None => (None, authority.to_owned()),
        };
        if host.is_empty() || host.starts_with(':') {
            return None;
        }
        let password = match user {
            Some(user) => Some(basic(user)?),
            None => None,
        };
        let mut parts = url.into_parts();
        parts.authority = Some(host.parse().ok()?);
        let url = Uri::from_parts(parts).ok()?;
        Some(Target { url, password })
    }
}

/// A user and a password as HTTP's basic authentication has them (RFC 7617).
fn basic(user: &str) -> Option<HeaderValue> {
    let plain = match user.split_once(':') {
        Some((user, password)) => [decoded(user), decoded(password)].join(&b':'),
        None => [&decoded(user)[..], b":"].concat(),
    };
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A password leaves the URL, and is printed nowhere.
    #[test]
    fn urls() {
        let plain = Target::read("https://node.example:1/x?y").unwrap();
        assert_eq!(plain.url, "https://node.example:1/x?y");
        assert_eq!(plain.password, None);
        let guarded = Target::read("http://us%40er:p%3Aw:d@[::1]:5678").unwrap();
        assert_eq!(guarded.url, "http://[::1]:5678/");
        let value = format!("Basic {}", STANDARD.encode("us@er:p:w:d"));
        assert_eq!(guarded.password.as_ref().unwrap(), &value);
        assert!(!format!("{guarded:?}").contains(&value[6..]));
        let nameless = Target::read("http://user@host").unwrap();
        let value = format!("Basic {}", STANDARD.encode("user:"));
        assert_eq!(nameless.password.unwrap(), value);
        let long = format!("http://host/{}", "x".repeat(URL_LEN_MAX));
        for wrong in [
            "",
            "host",
            "host:1",
            "ftp://host",
            "http://",
            "http://:1",
            "http://u@",
            &long,
        ] {
            assert!(Target::read(wrong).is_none(), "{wrong}");
        }
    }

    /// What is no certificate vouches for nobody, and says so at once.
    #[test]
    fn no_authority() {
        let wrong = Authorities::Only(vec![vec![1, 2, 3].into()]);
        assert!(Dialer::new(&wrong).is_err());
        assert!(Dialer::new(&Authorities::Public).is_ok());
    }
}
