//! Bytes and time of requests. A request is read when there is room for its bytes among those that are
//! being read and answered; until then it waits in its connection, where it costs the sender's memory.

use std::{sync::Arc, time::Duration};

use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of one permit.
const UNIT: u32 = 4_096;

/// RFC 9110, 15.5.9, 15.5.14 and 15.5.12.
const TIMED_OUT: u16 = 408;
const TOO_LONG: u16 = 413;
const LENGTH_REQUIRED: u16 = 411;

/// Room for requests.
#[derive(Clone)]
pub struct Admission {
    room: Arc<Semaphore>,
    units: u32,
    len_max: u32,
    time_max: Duration,
}

impl Admission {
    /// Room for `bytes` of requests of at most `len_max` each, which take at most `time_max`.
    pub fn new(bytes: u32, len_max: u32, time_max: Duration) -> Admission {
        let units = bytes.max(len_max).div_ceil(UNIT);
        let permits = usize::try_from(units).expect("64-bit");
        Admission {
            room: Arc::new(Semaphore::new(permits)),
            units,
            len_max,
            time_max,
        }
    }

    /// Has `serve` answer a request when there is room for it.
    ///
    /// Waiting for room does not count: others take that time. From then on the sender has `time_max`
    /// to send what it announced.
    pub async fn pass<B, F>(
        &self,
        request: HttpRequest<B>,
        serve: impl FnOnce(HttpRequest<B>) -> F,
    ) -> HttpResponse
    where
        F: Future<Output = HttpResponse>,
    {
        let len = match declared(&request) {
            Ok(len) => len,
            Err(status) => return refusal(status),
        };
        if len > u64::from(self.len_max) {
            return refusal(TOO_LONG);
        }
        let _room = self.enter(len).await;
        match tokio::time::timeout(self.time_max, serve(request)).await {
            Ok(response) => response,
            Err(_) => refusal(TIMED_OUT),
        }
    }

    async fn enter(&self, len: u64) -> Option<SemaphorePermit<'_>> {
        let units = len.div_ceil(u64::from(UNIT));
        let units = u32::try_from(units)
            .unwrap_or(u32::MAX)
            .clamp(1, self.units);
        // It is never closed.
        self.room.acquire_many(units).await.ok()
    }
}

/// Bytes of the body that follows. A body of unknown length could take all the room there is.
fn declared<B>(request: &HttpRequest<B>) -> Result<u64, u16> {
    let headers = request.headers();
    if headers.contains_key("transfer-encoding") {
        return Err(LENGTH_REQUIRED);
    }
    let Some(len) = headers.get("content-length") else {
        return Ok(0);
    };
    let len = len.to_str().ok().and_then(|len| len.parse().ok());
    len.ok_or(LENGTH_REQUIRED)
}

fn refusal(status: u16) -> HttpResponse {
    let response = HttpResponse::builder().status(status);
    response
        .body(HttpBody::empty())
        .expect("a status is enough")
}
