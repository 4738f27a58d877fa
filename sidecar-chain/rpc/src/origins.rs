//! Which web pages may ask. For HTTP the browser sees to it (CORS); for WebSocket no browser does, so
//! the server refuses pages that it does not know, lest any page a developer opens talks to his node.
//! Programs that are no pages name no origin, and are let through.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use jsonrpsee::server::{HttpRequest, HttpResponse};
use tower::{Layer, Service};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

/// RFC 9110, 15.5.4.
const FORBIDDEN: u16 = 403;

/// Pages that may ask.
#[derive(Clone, Debug)]
pub struct Origins(Arc<Vec<String>>);

impl Origins {
    /// These; `*` stands for all.
    pub fn new(wanted: Vec<String>) -> Origins {
        Origins(Arc::new(wanted))
    }

    fn all(&self) -> bool {
        self.0.iter().any(|origin| origin == "*")
    }

    /// What browsers are told.
    ///
    /// # Errors
    /// When an origin is none.
    pub fn cors(&self) -> io::Result<CorsLayer> {
        let layer = CorsLayer::new().allow_methods(Any).allow_headers(Any);
        if self.all() {
            return Ok(layer.allow_origin(Any));
        }
        let parsed = self.0.iter().map(|origin| origin.parse());
        let parsed: Result<Vec<_>, _> = parsed.collect();
        let list = parsed.map_err(|_| {
            let message = "an origin that may ask is not one, such as https://example.org";
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        Ok(layer.allow_origin(AllowOrigin::list(list)))
    }

    fn refuses<B>(&self, request: &HttpRequest<B>) -> bool {
        let headers = request.headers();
        let Some(origin) = headers.get("origin") else {
            return false;
        };
        let known = self.0.iter().any(|one| one.as_bytes() == origin.as_bytes());
        upgrades(request) && !known && !self.all()
    }
}

/// Whether a request opens a WebSocket.
fn upgrades<B>(request: &HttpRequest<B>) -> bool {
    request.headers().contains_key("upgrade")
}

/// Marks requests that come without a WebSocket, by which no news can be sent.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl<S> Layer<S> for Origins {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            origins: self.clone(),
        }
    }
}

/// Lets requests through to `inner`, but for those of strange pages.
#[derive(Clone, Debug)]
pub struct Guard<S> {
    inner: S,
    origins: Origins,
}

type Answering<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

impl<S, B, R> Service<HttpRequest<B>> for Guard<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse<R>>,
    S::Future: Send + 'static,
    R: Default + Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answering<S::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: HttpRequest<B>) -> Self::Future {
        if self.origins.refuses(&request) {
            let refused = HttpResponse::<()>::builder().status(FORBIDDEN);
            let refused = refused.body(R::default()).expect("a status is enough");
            return Box::pin(std::future::ready(Ok(refused)));
        }
        if !upgrades(&request) {
            request.extensions_mut().insert(Plain);
        }
        Box::pin(self.inner.call(request))
    }
}
