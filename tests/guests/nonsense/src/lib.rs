//! Misbehaves: answers what no HTTP message can say, and edits what it may not. The path says which.

use weir_sdk::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct Nonsense;

#[weir_sdk::plugin]
impl Plugin for Nonsense {
    type Config = Empty;
    type State = ();

    fn configure(_config: Empty, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        match request.path().as_slice() {
            b"/nonsense/status" => Verdict::Reply(Reply::new(9999)),
            b"/nonsense/informational" => Verdict::Reply(Reply::new(100)),
            b"/nonsense/header-name" => Verdict::Reply(Reply::new(200).header("not a name", "value")),
            b"/nonsense/header-value" => Verdict::Reply(Reply::new(200).header("x-split", "a\r\nx-smuggled: b")),
            b"/nonsense/edit" => self.edit(request),
            _ => Verdict::Continue,
        }
    }
}

impl Nonsense {
    /// Edits that have to be refused one by one; what goes upstream shows the errors.
    fn edit(&self, request: &mut Request) -> Verdict {
        let refused = [
            request.set_header("x-split", b"a\r\nx-smuggled: b"),
            request.set_header("not a name", b"value"),
            request.set_header("content-length", b"5"),
            request.append_header("transfer-encoding", b"chunked"),
            request.set_target(b"no slash"),
            request.set_target(b"/a b HTTP/1.1\r\nx-smuggled: b"),
        ];
        let count = refused.iter().filter(|edit| edit.is_err()).count();
        let _ = request.set_header("x-refused", count.to_string());
        Verdict::Continue
    }
}
