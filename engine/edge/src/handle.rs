//! From a request to its answer: which route, which method, whose job.

use core::{convert::Infallible, net::SocketAddr};
use std::{rc::Rc, sync::Arc};

use async_channel::Sender;
use hyper::{
    Method, Request, Response,
    body::Incoming,
    header::{self, HeaderValue},
    http::request::Parts,
};
use lode_engine::store::Store;
use lode_world::World;

use crate::{
    blobs,
    credit::{Credit, Permit},
    forward::{self, Letter},
    intake::Intake,
    limits::Limits,
    meter::{Door, Meter},
    path::{Route, decode_path},
    problem::{self, Problem},
    proof,
    reply::{Answer, Finish, Reply, refusal},
    uploads,
    watch::{Guest, Phase, Verdict},
};

/// What all requests of one executor share.
pub(crate) struct Shop<W: World> {
    pub world: W,
    pub store: Store<W>,
    pub limits: Limits,
    pub meter: Arc<Meter>,
    /// Bytes of replies in flight.
    pub replies: Rc<Credit>,
    /// Bytes of bodies in flight.
    pub intakes: Rc<Credit>,
    /// To the tokio side.
    pub letters: Sender<Letter>,
}

/// One request, as its handler sees it.
pub(crate) struct Call<'a, W: World> {
    pub shop: &'a Shop<W>,
    pub guest: &'a Rc<Guest>,
    pub peer: SocketAddr,
    pub parts: &'a Parts,
    pub intake: Intake<'a, W>,
}

/// Memory that an upload may hold at the edge: what was read from the socket and one chunk.
const INTAKE_COST: u64 = 512 * 1024;

impl<W: World> Call<'_, W> {
    /// The query string.
    pub fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or("")
    }

    /// A header's text, if it is there and is text.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    /// Waits for the beginning of the body, then for credit for `size` bytes of it.
    pub async fn admit_body(&mut self, size: u64) -> Result<Permit, Problem> {
        self.intake.head_start().await?;
        self.credit(&self.shop.intakes, size.min(INTAKE_COST)).await
    }

    /// Credit for sending bytes out.
    pub async fn reply_credit(&self, cost: u64) -> Result<Permit, Problem> {
        self.credit(&self.shop.replies, cost).await
    }

    async fn credit(&self, credit: &Rc<Credit>, cost: u64) -> Result<Permit, Problem> {
        let (world, span) = (&self.shop.world, self.shop.limits.credit_time);
        let permit = credit.take_within(cost, self.guest, world, span).await;
        permit.ok_or_else(|| {
            Problem::new(
                problem::BUSY,
                "other requests hold all memory for bodies in flight",
            )
        })
    }
}

/// Answers one request. Never fails: an error is an answer too.
pub(crate) async fn handle<W: World>(
    shop: Rc<Shop<W>>,
    guest: Rc<Guest>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Answer<W>>, Infallible> {
    let (parts, body) = request.into_parts();
    let began = shop.world.now();
    guest.enter(Phase::Request, began);
    let route = decode_path(parts.uri.path());
    let door = route.map_or(Door::Other, |route| door_of(route, &parts.method));
    let mut finish = Finish {
        world: shop.world.clone(),
        guest: guest.clone(),
        meter: shop.meter.clone(),
        door,
        began,
        // What a client gets that leaves before its answer.
        status: 499,
        sent: 0,
    };
    let intake = Intake::new(&shop.world, &guest, &shop.meter, door, body);
    let mut call = Call {
        shop: &shop,
        guest: &guest,
        peer,
        parts: &parts,
        intake,
    };
    let mut response = match route {
        Ok(route) => dispatch(route, &mut call)
            .await
            .unwrap_or_else(|problem| refuse(&problem)),
        Err(error) => refuse(&error.into()),
    };
    let asked = parts.headers.contains_key(header::EXPECT);
    if !call.intake.drain(asked).await || guest.verdict() == Verdict::SlowBody {
        // hyper ends the connection then, and says so only if it is told to.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    finish.status = response.status().as_u16();
    Ok(response.map(|reply| Answer { reply, finish }))
}

/// Refusals are logged where they are turned into answers, once; those of the client are its own
/// business.
fn refuse<W: World>(problem: &Problem) -> Response<Reply<W>> {
    if problem.code.status == 500 {
        tracing::error!(
            code = problem.code.name,
            detail = problem.detail,
            "a request failed"
        );
    }
    refusal(problem)
}

/// The routes and methods that the shards serve, as OpenAPI spells them. [`dispatch`] serves
/// these and no others; the description of the API is tested against them.
pub const SHARD_ROUTES: &[(&str, &[&str])] = &[
    ("/v1/blobs", &["GET", "POST", "PUT"]),
    ("/v1/blobs/{root}", &["GET", "HEAD", "DELETE"]),
    ("/v1/blobs/{root}/proof/{chunk}", &["GET"]),
    ("/v1/blobs/{root}/anchor", &["GET"]),
    ("/v1/uploads", &["POST"]),
    ("/v1/uploads/{root}", &["GET", "HEAD", "PATCH", "DELETE"]),
];

async fn dispatch<W: World>(
    route: Route,
    call: &mut Call<'_, W>,
) -> Result<Response<Reply<W>>, Problem> {
    match (route, call.parts.method.as_str()) {
        (Route::Blobs, "GET") => blobs::list(call).await,
        (Route::Blobs, "POST" | "PUT") => blobs::put(call).await,
        (Route::Blob(root), "GET") => blobs::get(call, root).await,
        (Route::Blob(root), "HEAD") => blobs::head(call, root).await,
        (Route::Blob(root), "DELETE") => blobs::delete(call, root).await,
        (Route::Proof(root, chunk), "GET") => proof::get(call, root, chunk).await,
        (Route::Anchor(root), "GET") => {
            // Whoever settles knows of no blob that is not stored.
            blobs::find(call, root).await?;
            forward::send(call).await
        }
        (Route::Uploads, "POST") => uploads::begin(call).await,
        (Route::Upload(root), "GET") => uploads::get(call, root).await,
        (Route::Upload(root), "HEAD") => uploads::head(call, root).await,
        (Route::Upload(root), "PATCH") => uploads::patch(call, root).await,
        (Route::Upload(root), "DELETE") => uploads::delete(call, root).await,
        (Route::Other, _) => forward::send(call).await,
        (route, _) => Ok(wrong_method(route)),
    }
}

fn wrong_method<W: World>(route: Route) -> Response<Reply<W>> {
    let at = match route {
        Route::Blobs => 0,
        Route::Blob(_) => 1,
        Route::Proof(..) => 2,
        Route::Anchor(_) => 3,
        Route::Uploads => 4,
        Route::Upload(_) | Route::Other => 5,
    };
    let allow = SHARD_ROUTES[at].1.join(", ");
    let mut response = refusal(&Problem::new(
        problem::BAD_METHOD,
        format!("only {allow} here"),
    ));
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

fn door_of(route: Route, method: &Method) -> Door {
    match route {
        Route::Blobs if method == Method::GET => Door::List,
        Route::Blobs => Door::Put,
        Route::Blob(_) if method == Method::DELETE => Door::Delete,
        Route::Blob(_) => Door::Get,
        Route::Proof(..) => Door::Proof,
        Route::Uploads | Route::Upload(_) => Door::Upload,
        Route::Anchor(_) | Route::Other => Door::Other,
    }
}
