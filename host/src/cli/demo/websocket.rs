//! As much of WebSocket (RFC 6455) as an echo needs.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The largest frame that is sent back, in bytes.
const FRAME: u64 = 1024 * 1024;

/// What a handshake's `Sec-WebSocket-Key` is answered with (§4.2.2).
pub(super) fn accept(key: &[u8]) -> String {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat()).as_ref())
}

/// Sends every frame back until the other end closes.
///
/// # Errors
/// When the connection breaks, or a frame is unmasked or too large.
pub(super) async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    const OPCODE: u8 = 0x0f;
    const CLOSE: u8 = 0x8;
    const PING: u8 = 0x9;
    const PONG: u8 = 0xa;
    loop {
        let (first, payload) = read_frame(&mut stream).await?;
        match first & OPCODE {
            PING => write_frame(&mut stream, (first & !OPCODE) | PONG, &payload).await?,
            PONG => {}
            CLOSE => {
                write_frame(&mut stream, first, &payload).await?;
                return stream.shutdown().await;
            }
            _ => write_frame(&mut stream, first, &payload).await?,
        }
    }
}

/// A frame's first byte (FIN and opcode) and its payload, unmasked (§5.2).
async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    const MASKED: u8 = 0x80;
    let first = stream.read_u8().await?;
    let second = stream.read_u8().await?;
    if second & MASKED == 0 {
        return Err(io::Error::other("a client has to mask its frames"));
    }
    let length = match second & !MASKED {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    if length > FRAME {
        return Err(io::Error::other(format!(
            "a frame of {length} bytes is more than an echo wants"
        )));
    }
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await?;
    let mut payload = Vec::new();
    stream.take(length).read_to_end(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok((first, payload))
}

async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), first: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..126), _) => frame.push(short),
        (_, Ok(medium)) => {
            frame.push(126);
            frame.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await
}

/// Base 64 with padding (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let padded = group
            .iter()
            .chain(&[0; 2])
            .take(3)
            .fold(0, |bits: usize, byte| (bits << 8) | usize::from(*byte));
        for place in 0..4 {
            let digit = ALPHABET[(padded >> (18 - 6 * place)) & 63];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn echoed(frames: &[u8]) -> (Vec<u8>, io::Result<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(4 * 1024 * 1024);
            client.write_all(frames).await.unwrap();
            client.shutdown().await.unwrap();
            let result = echo(server).await;
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            (answer, result)
        })
    }

    /// A frame of a client; the mask is that of RFC 6455 §5.7.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        let mut frame = vec![first, 0x80 | 127];
        frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        frame.extend_from_slice(&MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let (answer, _) = echoed(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(answer, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    }

    #[test]
    fn every_length_comes_back_in_its_own_form() {
        for (length, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload: Vec<u8> = (0..length).map(|index: u32| index.to_le_bytes()[0]).collect();
            let (answer, _) = echoed(&masked(0x82, &payload));
            assert_eq!(
                (answer.len(), &answer[head..]),
                (head + payload.len(), &payload[..]),
                "{length}"
            );
        }
    }

    #[test]
    fn a_ping_is_answered_and_a_close_ends() {
        let frames = [
            masked(0x89, b"p"),
            masked(0x8a, b"ignored"),
            masked(0x88, &[3, 232]),
            masked(0x81, b"too late"),
        ];
        let (answer, result) = echoed(&frames.concat());
        assert_eq!(answer, [0x8a, 1, b'p', 0x88, 2, 3, 232]);
        assert!(result.is_ok());
    }

    #[test]
    fn nonsense_ends_the_connection() {
        assert!(echoed(&[0x81, 0x05]).1.is_err(), "unmasked");
        assert!(
            echoed(&[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
                .1
                .is_err(),
            "too large"
        );
        assert!(echoed(&[0x81]).1.is_err(), "cut");
    }

    #[test]
    fn base64_pads() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
