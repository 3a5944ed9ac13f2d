//! The codec of gRPC messages: prost, with smaller buffers than tonic's default.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{self, BufferSettings};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// The size of the buffer for the next message of an open stream, in bytes. With tonic's default of
/// 8 KiB, the buffer would be half of a stream's memory.
const BUFFER: usize = 512;
/// How many bytes of messages that are ready at the same time are joined into one write. This is
/// tonic's default.
const SHARED_WRITE: usize = 32 * 1024;

/// The codec of all gRPC methods.
#[derive(Clone, Copy, Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(BUFFER, SHARED_WRITE))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::default())
    }
}
