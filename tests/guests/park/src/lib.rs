//! Keeps a header of the request and writes it on the response; in between it can be parked. The word `stay` cannot, the word
//! `trap` traps there, and what is parked of the word `lose` cannot be read.

use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct Park;

/// What is kept of an exchange.
#[derive(Debug, Default)]
pub struct Kept {
    word: Vec<u8>,
}

#[weir_sdk::plugin]
impl Plugin for Park {
    type Config = Empty;
    type State = Kept;

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }

    fn park(&self, kept: &Kept) -> Option<Vec<u8>> {
        match kept.word.as_slice() {
            b"stay" => None,
            b"trap" => std::process::abort(),
            word => Some(word.to_vec()),
        }
    }

    fn resume(&self, kept: &mut Kept, parked: &[u8]) -> Result<(), Error> {
        assert!(kept.word.is_empty(), "another exchange left {:?}", kept.word);
        if parked == b"lose" {
            return Err(Error::new("as I was told"));
        }
        kept.word = parked.to_vec();
        Ok(())
    }

    fn on_request(&self, kept: &mut Kept, request: &mut Request) -> Verdict {
        kept.word = request.header("x-word").unwrap_or_default();
        Verdict::Continue
    }

    fn on_response(&self, kept: &mut Kept, _request: &Request, response: &mut Response) -> Verdict {
        let _ = response.append_header("x-word", &kept.word);
        Verdict::Continue
    }

    fn on_finish(&self, kept: &mut Kept, request: &Request, _summary: &Summary) {
        request.note("word", &String::from_utf8_lossy(&kept.word));
    }
}
