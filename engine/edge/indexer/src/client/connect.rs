//! HTTP below the calls: one pool of connections, and bodies that end where they must.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Request, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::{Error, Settings};

/// A pool of connections, by which any number of nodes is reached. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    settings: Settings,
}

impl Dialer {
    /// With these bounds. Certificates are checked against Mozilla's list, so that a container without
    /// any of its own can speak to nodes behind TLS.
    #[must_use]
    pub fn new(settings: Settings) -> Dialer {
        let roots = rustls::RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(settings.connect_max));
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
            .pool_max_idle_per_host(settings.idle_max)
            .build(connector);
        Dialer {
            http: client,
            settings,
        }
    }

    /// The node at `url`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn node(&self, url: &str) -> Result<super::Client, Error> {
        super::Client::of(self.clone(), self.settings, url)
    }

    /// The body of the answer to a POST of JSON, which is refused as soon as it is longer than `max`.
    pub(super) async fn post(&self, url: &Uri, body: Vec<u8>, max: usize) -> Result<Bytes, Error> {
        let transport = |error: Box<dyn core::error::Error + Send + Sync>| Error::Transport(error);
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .map_err(|error| transport(error.into()))?;
        let response = self.http.request(request).await;
        let response = response.map_err(|error| transport(error.into()))?;
        if !response.status().is_success() {
            return Err(Error::Status(response.status().as_u16()));
        }
        match Limited::new(response.into_body(), max).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLong { max }),
            Err(error) => Err(Error::Transport(error)),
        }
    }
}

/// The URL of a node: HTTP, with a host, without a user.
pub(super) fn node_url(text: &str) -> Result<Uri, Error> {
    let refused = || Error::Url(text.chars().take(URL_SHOWN).collect());
    if text.len() > URL_LEN_MAX {
        return Err(refused());
    }
    let url: Uri = text.parse().map_err(|_| refused())?;
    let http = matches!(url.scheme_str(), Some("http" | "https"));
    let named = url.host().is_some_and(|host| !host.is_empty());
    let user = url
        .authority()
        .is_some_and(|host| host.as_str().contains('@'));
    match http && named && !user {
        true => Ok(url),
        false => Err(refused()),
    }
}

/// Longer than any host and path that somebody would type.
const URL_LEN_MAX: usize = 1024;
/// Characters of a bad URL that an error repeats.
const URL_SHOWN: usize = 80;
