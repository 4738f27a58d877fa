//! What every request meets first: methods that are not here are refused in geth's words, and of a
//! batch all transactions go to the threads that find senders at once, before its first one is looked
//! at.

use std::sync::Arc;

use jsonrpsee::{
    MethodCallback, MethodResponse, Methods,
    core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT},
    types::{ErrorObjectOwned, Request, error::METHOD_NOT_FOUND_CODE},
};
use tower::Layer;

use crate::{failure::Failure, origins::Plain, send, service::Service};

/// Puts a [`Front`] before what answers requests.
#[derive(Clone)]
pub struct Fronts {
    service: Arc<Service>,
    methods: Methods,
}

/// Before what answers requests.
#[derive(Clone)]
pub struct Front<S> {
    inner: S,
    shared: Fronts,
}

impl<S> Layer<S> for Fronts {
    type Service = Front<S>;

    fn layer(&self, inner: S) -> Front<S> {
        let shared = self.clone();
        Front { inner, shared }
    }
}

impl Fronts {
    /// For these methods of a service.
    pub fn new(service: Arc<Service>, methods: Methods) -> Fronts {
        Fronts { service, methods }
    }

    /// Why there is no such method here; none if there is.
    fn refusal(&self, request: &Request<'_>) -> Option<ErrorObjectOwned> {
        let name = request.method_name();
        let message = match self.methods.method(name) {
            None => format!("the method {name} does not exist/is not available"),
            Some(MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_))
                if request.extensions().get::<Plain>().is_some() =>
            {
                "notifications not supported".to_owned()
            }
            Some(_) => return None,
        };
        Some(Failure::coded(METHOD_NOT_FOUND_CODE, message).into())
    }
}

impl<S> RpcServiceT for Front<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Send + Sync + Clone + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = S::NotificationResponse;
    type BatchResponse = S::BatchResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let refusal = self.shared.refusal(&request);
        let inner = self.inner.clone();
        async move {
            match refusal {
                Some(refusal) => MethodResponse::error(request.id, refusal),
                None => inner.call(request).await,
            }
        }
    }

    fn batch<'a>(
        &self,
        mut batch: Batch<'a>,
    ) -> impl Future<Output = Self::BatchResponse> + Send + 'a {
        for entry in batch.iter_mut() {
            let Ok(BatchEntry::Call(request)) = entry else {
                continue;
            };
            match self.shared.refusal(request) {
                Some(refusal) => *entry = Err(BatchEntryErr::new(request.id.clone(), refusal)),
                None => send::begin(&self.shared.service, request),
            }
        }
        self.inner.batch(batch)
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = Self::NotificationResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}
