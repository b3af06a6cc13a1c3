//! Bytes in, compressed bytes out.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::write::GzEncoder;

use crate::config::{Coding, Compression};

/// Compressed bytes are given on when there are this many.
const ENOUGH: usize = 16 << 10;

/// Bytes that brotli buffers of its input.
const BROTLI_BUFFER: usize = 4096;

/// The window of brotli, as a power of two: 256 KiB. Larger ones gain little on pages, and each response holds one.
const BROTLI_WINDOW: u32 = 18;

/// One body being compressed.
pub struct Encoder {
    stream: Option<Stream>,
    /// Whether something was written since the last flush.
    held: bool,
}

enum Stream {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// A stream in this coding.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(coding: Coding, config: &Compression) -> io::Result<Self> {
        let out = Vec::new();
        let stream = match coding {
            Coding::Gzip => Stream::Gzip(GzEncoder::new(out, flate2::Compression::new(config.gzip_level))),
            Coding::Brotli => Stream::Brotli(Box::new(brotli::CompressorWriter::new(
                out,
                BROTLI_BUFFER,
                config.brotli_level,
                BROTLI_WINDOW,
            ))),
            Coding::Zstd => Stream::Zstd(zstd::stream::write::Encoder::new(out, config.zstd_level)?),
        };
        Ok(Self {
            stream: Some(stream),
            held: false,
        })
    }

    /// A whole body.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn whole(coding: Coding, config: &Compression, data: &[u8]) -> io::Result<Bytes> {
        let mut encoder = Self::new(coding, config)?;
        if let Some(stream) = &mut encoder.stream {
            stream.write(data)?;
        }
        encoder.finish()
    }

    /// Takes more of the body; gives what is worth sending.
    ///
    /// # Errors
    /// When there is no memory for it, or the body was finished.
    pub fn push(&mut self, data: &[u8]) -> io::Result<Option<Bytes>> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
        stream.write(data)?;
        self.held = true;
        if stream.out().len() < ENOUGH {
            return Ok(None);
        }
        Ok(Some(std::mem::take(stream.out()).into()))
    }

    /// Everything that was pushed, in a form that can be read already: whoever sends in pieces means each of them.
    ///
    /// # Errors
    /// When there is no memory for it, or the body was finished.
    pub fn flush(&mut self) -> io::Result<Option<Bytes>> {
        if !self.held {
            return Ok(None);
        }
        self.held = false;
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
        stream.flush()?;
        let out = std::mem::take(stream.out());
        Ok((!out.is_empty()).then(|| out.into()))
    }

    /// The end of the body.
    ///
    /// # Errors
    /// When there is no memory for it, or it was finished before.
    pub fn finish(&mut self) -> io::Result<Bytes> {
        self.held = false;
        let out = match self.stream.take().ok_or(io::ErrorKind::UnexpectedEof)? {
            Stream::Gzip(stream) => stream.finish()?,
            Stream::Brotli(stream) => stream.into_inner(),
            Stream::Zstd(stream) => stream.finish()?,
        };
        Ok(out.into())
    }
}

impl Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(stream) => stream.write_all(data),
            Self::Brotli(stream) => stream.write_all(data),
            Self::Zstd(stream) => stream.write_all(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(stream) => stream.flush(),
            Self::Brotli(stream) => stream.flush(),
            Self::Zstd(stream) => stream.flush(),
        }
    }

    fn out(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Gzip(stream) => stream.get_mut(),
            Self::Brotli(stream) => stream.get_mut(),
            Self::Zstd(stream) => stream.get_mut(),
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read as _;

    use super::*;

    fn decoded(coding: Coding, data: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(data).read_to_end(&mut plain),
            Coding::Brotli => brotli::Decompressor::new(data, 4096).read_to_end(&mut plain),
            Coding::Zstd => zstd::stream::read::Decoder::new(data).unwrap().read_to_end(&mut plain),
        }
        .unwrap();
        plain
    }

    fn text(length: usize) -> Vec<u8> {
        let numbers = (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_string().into_bytes());
        numbers.take(length).collect()
    }

    #[test]
    fn what_goes_in_in_pieces_comes_out_whole() {
        let config = Compression::default();
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(coding, &config).unwrap();
            let plain = text(2_000_000);
            let mut sent = Vec::new();
            for piece in plain.chunks(7_777) {
                sent.extend(encoder.push(piece).unwrap().unwrap_or_default());
            }
            assert!(sent.len() > ENOUGH, "{coding:?}: something is sent on the way");
            sent.extend(encoder.finish().unwrap());
            assert!(sent.len() < plain.len(), "{coding:?}");
            assert_eq!(decoded(coding, &sent), plain, "{coding:?}");
            assert_eq!(
                decoded(coding, &Encoder::whole(coding, &config, &plain).unwrap()),
                plain
            );
            assert!(encoder.push(b"x").is_err() && encoder.finish().is_err());
        }
    }

    #[test]
    fn what_is_flushed_can_be_read() {
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(coding, &Compression::default()).unwrap();
            assert!(encoder.flush().unwrap().is_none());
            assert!(encoder.push(b"data: 1\n\n").unwrap().is_none());
            let sent = encoder.flush().unwrap().unwrap();
            let mut read = [0; 9];
            match coding {
                Coding::Gzip => flate2::read::GzDecoder::new(&*sent).read_exact(&mut read),
                Coding::Brotli => brotli::Decompressor::new(&*sent, 4096).read_exact(&mut read),
                Coding::Zstd => zstd::stream::read::Decoder::new(&*sent).unwrap().read_exact(&mut read),
            }
            .unwrap();
            assert_eq!(&read, b"data: 1\n\n", "{coding:?}");
            assert!(encoder.flush().unwrap().is_none());
        }
    }
}
