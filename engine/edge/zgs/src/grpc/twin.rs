//! The service, and the bounds around it. A message says how long it is in its first five bytes; from
//! then on it is treated as a request of JSON-RPC that says so in its head.

use std::{io, sync::Arc};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use lode_wire::text;
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status, service::Routes};
use tower::Service as _;

use super::{message, proto};
use crate::{
    body::{Fault, Opened, time_for},
    crowd::Visit,
    intake,
    meter::{Face, Meter, Reason},
    reception::Clerk,
    refusal::Refusal,
    room::Room,
};

/// Bytes before a message: whether it is compressed, and its length (gRPC over HTTP/2, "Requests").
const PREFIX_LEN: usize = 5;

/// Bytes of all questions of one reflection stream, and room that it takes while the first is read.
const REFLECTION_LEN_MAX: u64 = 64 << 10;

/// Below this path are our own methods; all others are reflection's.
const OWN: &str = "/zgs_grpc.ZgsGrpcService/";

/// Answers gRPC.
#[derive(Clone)]
pub struct Twin {
    routes: Routes,
    room: Arc<Room>,
}

impl Twin {
    /// Answers for a room.
    ///
    /// # Errors
    /// When the descriptors that reflection tells of are none.
    pub fn new(room: &Arc<Room>) -> io::Result<Twin> {
        let len_max = usize::try_from(room.config.request_len_max).expect("64-bit");
        let service = proto::zgs_grpc_service_server::ZgsGrpcServiceServer::new(Service {
            room: Arc::clone(room),
        });
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        };
        // Older clients ask for the alpha, newer ones for the first version.
        let first = builder().build_v1().map_err(io::Error::other)?;
        let alpha = builder().build_v1alpha().map_err(io::Error::other)?;
        let routes = Routes::new(service.max_decoding_message_size(len_max));
        Ok(Twin {
            routes: routes.add_service(first).add_service(alpha).prepare(),
            room: Arc::clone(room),
        })
    }

    fn meter(&self) -> &Arc<Meter> {
        &self.room.meter
    }

    async fn pass(&self, request: HttpRequest<Incoming>) -> Result<HttpResponse, Fault> {
        let config = &self.room.config;
        let (parts, body) = request.into_parts();
        let len_max = u64::from(config.request_len_max) + PREFIX;
        let head_time = config.head_time_max;
        let mut body = Opened::unread(body, len_max, head_time, (self.meter(), Face::Grpc));
        let (len, time) = if parts.uri.path().starts_with(OWN) {
            let len = PREFIX + message_len(body.look(PREFIX_LEN, head_time).await?);
            if len > len_max {
                return Err(Fault::TooLong);
            }
            (len, time_for(len, config.time_max))
        } else {
            (REFLECTION_LEN_MAX, config.time_max)
        };
        let _permit = self.room.admission.enter(len).await;
        body.allow(len, time)?;
        let fault = body.fault();
        let called = self
            .routes
            .clone()
            .call(HttpRequest::from_parts(parts, body));
        let called = timeout(config.time_max, called).await;
        if let Some(fault) = fault.get() {
            return Err(*fault);
        }
        let Ok(response) = called.map_err(|_| Fault::Late)?;
        let meter = Arc::clone(self.meter());
        Ok(response.map(|body| {
            HttpBody::new(body.map_frame(move |frame| {
                let len = frame.data_ref().map_or(0, bytes::Bytes::len);
                meter.bytes_out(Face::Grpc, len);
                frame
            }))
        }))
    }
}

const PREFIX: u64 = 5;
const _: () = assert!(PREFIX_LEN == 5);

impl Clerk for Twin {
    async fn answer(&self, request: HttpRequest<Incoming>, _visit: Arc<Visit>) -> HttpResponse {
        self.meter().request(Face::Grpc);
        match self.pass(request).await {
            Ok(response) => response,
            Err(fault) => {
                self.meter().refused(fault.reason());
                let code = match fault {
                    Fault::Late => Code::DeadlineExceeded,
                    Fault::TooLong => Code::ResourceExhausted,
                    Fault::Broken => Code::Cancelled,
                };
                let status = Status::new(code, fault.to_string());
                status.into_http::<tonic::body::Body>().map(HttpBody::new)
            }
        }
    }
}

/// Bytes of the message that begins so; of one that ends before its length, none.
fn message_len(head: &[u8]) -> u64 {
    let len = head.get(1..PREFIX_LEN);
    let len = len.and_then(|len| len.try_into().ok());
    len.map_or(0, |len| u64::from(u32::from_be_bytes(len)))
}

/// The methods.
struct Service {
    room: Arc<Room>,
}

#[tonic::async_trait]
impl proto::zgs_grpc_service_server::ZgsGrpcService for Service {
    async fn ping(
        &self,
        request: Request<proto::PingRequest>,
    ) -> Result<Response<proto::PingReply>, Status> {
        let message = format!("Echo: {}", request.into_inner().message);
        Ok(Response::new(proto::PingReply { message }))
    }

    async fn upload_segments_by_tx_seq(
        &self,
        request: Request<proto::UploadSegmentsByTxSeqRequest>,
    ) -> Result<Response<proto::Empty>, Status> {
        let upload = message::upload(request.into_inner()).map_err(|why| {
            self.room.meter.refused(Reason::Params);
            Status::invalid_argument(why.to_string())
        })?;
        let taken = intake::take_all_of(&self.room, upload.segments, upload.seq).await;
        match taken {
            Ok(()) => Ok(Response::new(proto::Empty {})),
            Err(refusal) => {
                self.room.meter.refused(refusal.reason());
                Err(Status::new(code(&refusal), refusal.to_string()))
            }
        }
    }
}

/// See the table in [`super`].
fn code(refusal: &Refusal) -> Code {
    match refusal.reason() {
        Reason::Finalized | Reason::Duplicate => Code::AlreadyExists,
        Reason::Params if is_pruned(refusal) => Code::FailedPrecondition,
        Reason::Params | Reason::Proof => Code::InvalidArgument,
        Reason::Busy => Code::ResourceExhausted,
        Reason::Internal if is_of_another(refusal) => Code::InvalidArgument,
        Reason::Internal => Code::Internal,
        _ => Code::FailedPrecondition,
    }
}

fn is_pruned(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Param { why, .. } if why == text::PRUNED)
}

/// 0G's nodes call it an internal error; it is the client's.
fn is_of_another(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Internal(why) if why == text::ANOTHER_ROOT)
}
