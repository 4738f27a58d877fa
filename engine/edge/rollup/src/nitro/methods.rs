//! The methods. See the tables of [`super`].

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use jsonrpsee::{
    Extensions, Methods, RpcModule,
    types::{ErrorObjectOwned, Params},
};
use lode_proofs::Hash32;
use serde::Serialize;
use sha3::{Digest as _, Keccak256};

use super::{
    NAME, Nitro,
    certificate::{self, HEADER, Invalid, Valid},
    stream::{Plan, StreamError},
    wire::{Data, GoBytes, Quantity},
};
use crate::{
    availability::{Availability, GetError, PostError},
    post::{self, NotPosted},
    read,
    server::turn::Turn,
};

/// Texts that Nitro looks for, to the letter (nitro, `daprovider/reader.go` and `writer.go`).
pub const TOO_LARGE: &str = "message too large for current DA backend";
const FALLBACK: &str = "DA provider requests fallback to next writer";
const INVALID: &str = "certificate validation failed";

/// Bytes of a sequencer's message before the certificate.
const MESSAGE_HEAD_LEN: usize = 40;
/// Bytes of a preimage that are proven at once.
const PREIMAGE_CHUNK_LEN: u64 = 32;
/// `arbutil.DACertificatePreimageType`.
const PREIMAGE_TYPE: &str = "3";
/// What is behind a verdict: the layout.
const PROOF_VERSION: u8 = 1;
/// Bytes of memory for each byte of a blob that goes out: itself, as base64, and in the answer; the
/// last two twice, as payload and preimage.
const ANSWER_ROOM: u64 = 7;
/// The code of all failures that have none of their own, as with go-ethereum's servers.
const SERVER: i32 = -32000;

#[derive(Serialize)]
struct HeaderBytes {
    #[serde(rename = "headerBytes")]
    header_bytes: Data,
}

#[derive(Serialize)]
struct MaxSize {
    #[serde(rename = "maxSize")]
    max_size: u64,
}

#[derive(Clone, Serialize)]
struct Stored {
    #[serde(rename = "serialized-da-cert")]
    certificate: Data,
}

#[derive(Clone, Serialize)]
struct Begun {
    #[serde(rename = "BatchId")]
    id: Quantity,
}

#[derive(Clone, Serialize)]
struct Proof {
    #[serde(skip_serializing_if = "is_empty")]
    proof: Data,
}

fn is_empty(data: &Data) -> bool {
    data.0.is_empty()
}

type Preimages = BTreeMap<&'static str, BTreeMap<Hash32, GoBytes<Bytes>>>;

/// What of a blob is asked for.
#[derive(Clone, Serialize)]
struct Recovered {
    #[serde(rename = "Payload", skip_serializing_if = "Option::is_none")]
    payload: Option<GoBytes<Bytes>>,
    #[serde(rename = "Preimages", skip_serializing_if = "Option::is_none")]
    preimages: Option<Preimages>,
}

type Answer<T> = Result<T, ErrorObjectOwned>;

/// Registers a method by what its name is behind `daprovider_`.
macro_rules! method {
    ($module:ident, $name:literal, $run:expr) => {
        $module
            .register_async_method(concat!("daprovider_", $name), $run)
            .expect("each name is registered once")
    };
}

/// All of them.
pub fn module<A: Availability>(nitro: &Arc<Nitro<A>>) -> Methods {
    let mut module = RpcModule::from_arc(Arc::clone(nitro));
    method!(module, "getSupportedHeaderBytes", |_, _, _| async {
        Ok::<_, ErrorObjectOwned>(serde_json::json!(HeaderBytes {
            header_bytes: Data(vec![HEADER])
        }))
    });
    method!(module, "getMaxMessageSize", |_, nitro, _| async move {
        let max_size = nitro.config.message_len_max;
        Ok::<_, ErrorObjectOwned>(serde_json::json!(MaxSize { max_size }))
    });
    method!(module, "store", |params, nitro, _| async move {
        let mut params = params.sequence();
        let (message, timeout): (Data, Quantity) = (params.next()?, params.next()?);
        nitro.store(message.0, timeout.0).await
    });
    method!(module, "startChunkedStore", |params, nitro, _| async move {
        nitro.begin(&params)
    });
    method!(module, "sendChunk", |params, nitro, _| async move {
        nitro.take(&params)
    });
    method!(
        module,
        "commitChunkedStore",
        |params, nitro, _| async move {
            let mut params = params.sequence();
            let (id, signature): (Quantity, Data) = (params.next()?, params.next()?);
            let finished = nitro.streams.finish(id.0, &signature.0);
            let (message, timeout) = finished.map_err(failed)?;
            nitro.store(message, timeout).await
        }
    );
    read_methods(&mut module);
    module.into()
}

/// Those that read and prove.
fn read_methods<A: Availability>(module: &mut RpcModule<Nitro<A>>) {
    method!(
        module,
        "recoverPayload",
        |params, nitro, extensions| async move {
            nitro.recover(&params, &extensions, (true, false)).await
        }
    );
    method!(
        module,
        "collectPreimages",
        |params, nitro, extensions| async move {
            nitro.recover(&params, &extensions, (false, true)).await
        }
    );
    method!(
        module,
        "recoverPayloadAndPreimages",
        |params, nitro, extensions| async move {
            nitro.recover(&params, &extensions, (true, true)).await
        }
    );
    method!(
        module,
        "generateReadPreimageProof",
        |params, nitro, _| async move {
            let mut params = params.sequence();
            let (offset, bytes): (Quantity, Data) = (params.next()?, params.next()?);
            nitro.preimage_proof(offset.0, &bytes.0).await
        }
    );
    method!(
        module,
        "generateCertificateValidityProof",
        |params, nitro, _| async move {
            let bytes: Data = params.sequence().next()?;
            nitro.validity_proof(&bytes.0).await
        }
    );
}

impl<A: Availability> Nitro<A> {
    async fn store(&self, message: Vec<u8>, timeout: u64) -> Answer<Stored> {
        if u64::try_from(message.len()).expect("64-bit") > self.config.message_len_max {
            return Err(failed(TOO_LARGE));
        }
        let terms = &self.config.terms;
        let counted = (&self.meter, NAME);
        let posted = post::post(&self.availability, terms, message.into(), counted).await;
        let posted = posted.map_err(|error| not_posted(&error))?;
        if posted.expiry < timeout {
            let until = posted.expiry;
            let why = format!("the message is kept until {until}, and was to be until {timeout}");
            return Err(failed(why));
        }
        let members = self.availability.members(posted.quorum).await;
        let members = members.map_err(failed)?;
        let members = members.ok_or_else(|| failed("the certificate is of no quorum"))?;
        let certificate = certificate::of(&posted, &members).map_err(failed)?;
        Ok(Stored {
            certificate: Data(certificate),
        })
    }

    fn begin(&self, params: &Params<'_>) -> Answer<Begun> {
        let mut params = params.sequence();
        let mut number = || params.next::<Quantity>().map(|number| number.0);
        let plan = Plan {
            timestamp: number()?,
            chunks: number()?,
            chunk_len: number()?,
            len: number()?,
            timeout: number()?,
        };
        let signature: Data = params.next()?;
        let id = self.streams.begin(&plan, &signature.0).map_err(failed)?;
        Ok(Begun { id: Quantity(id) })
    }

    fn take(&self, params: &Params<'_>) -> Answer<()> {
        let mut params = params.sequence();
        let (id, number): (Quantity, Quantity) = (params.next()?, params.next()?);
        let (chunk, signature): (Data, Data) = (params.next()?, params.next()?);
        let taken: Result<(), StreamError> =
            self.streams.take(id.0, number.0, chunk.0, &signature.0);
        taken.map_err(failed)
    }

    /// Parameters: number of the batch, hash of its block, message. The first two say where Nitro found
    /// it; the certificate says all that is needed.
    async fn recover(
        &self,
        params: &Params<'_>,
        extensions: &Extensions,
        (payload, preimages): (bool, bool),
    ) -> Answer<Recovered> {
        let mut params = params.sequence();
        let (_, block): (Quantity, Data) = (params.next()?, params.next()?);
        if block.0.len() != 32 {
            return Err(failed("a block's hash has 32 bytes"));
        }
        let message: Data = params.next()?;
        let bytes = message
            .0
            .get(MESSAGE_HEAD_LEN..)
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| failed("sequencer message too small"))?;
        let valid = self.valid(bytes).await?;
        if let Some(turn) = extensions.get::<Turn>() {
            turn.grow(ANSWER_ROOM * valid.len).await.map_err(failed)?;
        }
        let read = read::whole_of(&self.availability, valid.handle, valid.root, valid.len);
        let blob = read.await.map_err(failed)?;
        let name = Hash32(Keccak256::digest(bytes).into());
        let preimage = || BTreeMap::from([(name, GoBytes(blob.clone()))]);
        Ok(Recovered {
            preimages: preimages.then(|| BTreeMap::from([(PREIMAGE_TYPE, preimage())])),
            payload: payload.then(|| GoBytes(blob)),
        })
    }

    async fn preimage_proof(&self, offset: u64, bytes: &[u8]) -> Answer<Proof> {
        let Valid { handle, root, len } = self.valid(bytes).await?;
        if offset >= len {
            return Ok(Proof {
                proof: Data::default(),
            });
        }
        let end = offset.saturating_add(PREIMAGE_CHUNK_LEN).min(len);
        let proof = read::range_proof(&self.availability, handle, (root, len), offset..end);
        let proof = proof.await.map_err(failed)?;
        Ok(Proof {
            proof: Data(proof.into()),
        })
    }

    async fn validity_proof(&self, bytes: &[u8]) -> Answer<Proof> {
        let verdict = self.judge(bytes).await?;
        Ok(Proof {
            proof: Data(vec![u8::from(verdict.is_ok()), PROOF_VERSION]),
        })
    }

    async fn valid(&self, bytes: &[u8]) -> Answer<Valid> {
        let verdict = self.judge(bytes).await?;
        verdict.map_err(|invalid| failed(format!("{INVALID}: {invalid}")))
    }

    /// The verdict; an error is none.
    async fn judge(&self, bytes: &[u8]) -> Answer<Result<Valid, Invalid>> {
        let judged = certificate::judge(&self.availability, bytes);
        judged.await.map_err(|error: GetError| failed(error))
    }
}

fn failed(why: impl ToString) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(SERVER, why.to_string(), None::<()>)
}

fn not_posted(error: &NotPosted) -> ErrorObjectOwned {
    match error {
        NotPosted::Refused(PostError::TooLong { .. }) => failed(TOO_LARGE),
        error if error.asks_for_fallback() => failed(format!("{FALLBACK}: {error}")),
        error => failed(error),
    }
}
