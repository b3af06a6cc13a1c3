//! Header blocks decode or end the connection, and what they decode to reads the same after it was encoded again.
#![no_main]

use bytes::BytesMut;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use weir::http2::hpack::decode::{Decoder, Field, Pseudo};
use weir::http2::hpack::encode;

fuzz_target!(|data: (u16, &[u8])| {
    let (cut, blocks) = data;
    let (first, second) = blocks.split_at(usize::from(cut).min(blocks.len()));
    let mut decoder = Decoder::default();
    let mut fields = Vec::new();
    for block in [first, second] {
        if decoder.decode(block, |field, size| fields.push((field, size))).is_err() {
            break;
        }
    }
    let mut again = BytesMut::new();
    for (field, _) in &fields {
        match field {
            Field::Regular(name, value) => encode::field(&mut again, name, value),
            Field::Pseudo(pseudo, value) => write(&mut again, *pseudo, value),
            Field::Malformed => {}
        }
    }
    let mut expected = fields.iter().filter(|(field, _)| !matches!(field, Field::Malformed));
    let decoded = Decoder::default().decode(&again, |field, size| {
        let (before, before_size) = expected.next().expect("no more fields than were written");
        match (before, &field) {
            (Field::Regular(name, value), Field::Regular(other_name, other)) => {
                assert_eq!((name, value, before_size), (other_name, other, &size));
                assert_eq!(value.is_sensitive(), other.is_sensitive(), "{name}");
            }
            (Field::Pseudo(pseudo, value), Field::Pseudo(other_pseudo, other)) => {
                assert_eq!((pseudo, value), (other_pseudo, other));
            }
            _ => panic!("{before:?} became {field:?}"),
        }
    });
    assert!(decoded.is_ok() && expected.next().is_none());
});

fn write(out: &mut BytesMut, pseudo: Pseudo, value: &[u8]) {
    match pseudo {
        Pseudo::Authority => encode::authority(out, value),
        Pseudo::Method => encode::method(out, value),
        Pseudo::Path => encode::path(out, value),
        Pseudo::Protocol => encode::literal(out, b":protocol", value),
        Pseudo::Scheme => encode::literal(out, b":scheme", value),
        Pseudo::Status => match StatusCode::from_bytes(value) {
            Ok(status) => encode::status(out, status),
            Err(_) => encode::literal(out, b":status", value),
        },
    }
}
