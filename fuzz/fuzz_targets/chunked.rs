//! The same bytes give the same content, however they are cut into reads.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use weir::http1::decode::{Decoder, Piece};
use weir::http1::framing::Framing;

fuzz_target!(|data: (usize, &[u8])| {
    let (cut, data) = data;
    let whole = decode(&[data]);
    let (first, second) = data.split_at(cut.checked_rem(data.len()).unwrap_or(0));
    let parts = decode(&[first, second]);
    // An error may show before everything has been read; content never differs.
    if let (Ok(whole), Ok(parts)) = (whole, parts) {
        assert_eq!(whole, parts);
    }
});

fn decode(reads: &[&[u8]]) -> Result<(Vec<u8>, bool), ()> {
    let mut decoder = Decoder::new(Framing::Chunked);
    let mut input = BytesMut::new();
    let mut content = Vec::new();
    for read in reads {
        input.extend_from_slice(read);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(Piece::Data(data))) => content.extend_from_slice(&data),
                Ok(Some(Piece::Trailers(_))) => {}
                Ok(Some(Piece::End)) => return Ok((content, true)),
                Ok(None) => break,
                Err(_) => return Err(()),
            }
        }
    }
    Ok((content, false))
}
