//! Prost's codec behind a look at the bytes: see [`super::message`].

use core::marker::PhantomData;

use prost::{Message, bytes::Buf as _};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

use super::{message, proto};

/// A message that may be looked at before it is decoded.
pub trait Checked: Message + Default + Send + 'static {
    /// Refuses bytes that would take much more memory than they are.
    ///
    /// # Errors
    /// What the client is told.
    fn check(_bytes: &[u8]) -> Result<(), Status> {
        Ok(())
    }
}

/// These are as large as their bytes, whatever those are.
impl Checked for proto::Empty {}
impl Checked for proto::PingRequest {}
impl Checked for proto::PingReply {}

impl Checked for proto::UploadSegmentsByTxSeqRequest {
    fn check(bytes: &[u8]) -> Result<(), Status> {
        message::check(bytes).map_err(|why| Status::invalid_argument(why.to_string()))
    }
}

/// The codec.
#[derive(Clone, Copy, Debug)]
pub struct Careful<Out, In>(PhantomData<(Out, In)>);

impl<Out, In> Default for Careful<Out, In> {
    fn default() -> Self {
        Careful(PhantomData)
    }
}

impl<Out: Message + Send + 'static, In: Checked> Codec for Careful<Out, In> {
    type Encode = Out;
    type Decode = In;
    type Encoder = ProstEncoder<Out>;
    type Decoder = CarefulDecoder<In>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        CarefulDecoder(PhantomData)
    }
}

/// Its half for what comes.
#[derive(Clone, Copy, Debug)]
pub struct CarefulDecoder<In>(PhantomData<In>);

impl<In: Checked> Decoder for CarefulDecoder<In> {
    type Item = In;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<In>, Status> {
        // Without a copy: tonic's buffer is in one piece.
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        In::check(&bytes)?;
        // Fields are copied out of it: a chunk that waits for its submission must not keep the whole
        // message in memory.
        let decoded = In::decode(&bytes[..]);
        decoded
            .map(Some)
            .map_err(|error| Status::invalid_argument(error.to_string()))
    }
}
