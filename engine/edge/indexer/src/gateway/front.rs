//! What every request meets first: its turn, its time, and the counters.

use std::sync::Arc;

use axum::{
    extract::{FromRef, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use super::{
    Gateway,
    problem::{self, Problem},
    rpc::Rpc,
};

/// What paths are answered from.
#[derive(Clone)]
pub struct Doors {
    pub gateway: Arc<Gateway>,
    pub rpc: Rpc,
}

impl FromRef<Doors> for Arc<Gateway> {
    fn from_ref(doors: &Doors) -> Self {
        Arc::clone(&doors.gateway)
    }
}

impl FromRef<Doors> for Rpc {
    fn from_ref(doors: &Doors) -> Self {
        doors.rpc.clone()
    }
}

/// Who runs the service wants to see it when it is busy, too.
const ALWAYS: [&str; 2] = ["/healthz", "/metrics"];
/// The label of what is no route; the paths themselves would be labels without end.
const NO_ROUTE: &str = "none";

/// Lets a request through when it is its turn, and ends it when its time is over. A connection has one
/// request at a time, so no more wait than there may be connections.
pub async fn front(
    State(gateway): State<Arc<Gateway>>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let answer = async {
        let _turn = match ALWAYS.contains(&route) {
            true => None,
            false => {
                let turn = timeout(gateway.config.wait_max, gateway.turns.acquire()).await;
                let Ok(Ok(turn)) = turn else {
                    gateway.meters.refused("requests");
                    return Problem::new(problem::BUSY, "too many requests at once")
                        .into_response();
                };
                Some(turn)
            }
        };
        next.run(request).await
    };
    let response = match timeout(gateway.config.request_max, answer).await {
        Ok(response) => response,
        Err(_) => {
            gateway.meters.refused("time");
            let seconds = gateway.config.request_max.as_secs();
            let detail = format!("the answer did not begin within {seconds} s");
            Problem::new(problem::SLOW, detail).into_response()
        }
    };
    gateway.meters.request(route, response.status().as_u16());
    response
}
