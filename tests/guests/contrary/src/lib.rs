//! Notes what it is shown of requests that Weir refuses, and tries everything to have it otherwise.

use weir_sdk::prelude::*;

/// What it answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    answer: Answer,
}

/// What it answers to a request that Weir refuses; all others go on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// That it may go on.
    Allow,
    /// That it may go on once its body has been seen.
    Hold,
    /// A response of its own.
    Reply,
    /// No response.
    Close,
    /// It fails.
    Trap,
}

/// The plugin.
#[derive(Debug)]
pub struct Contrary {
    config: Config,
}

#[weir_sdk::plugin]
impl Plugin for Contrary {
    type Config = Config;
    type State = ();

    fn configure(config: Config, _setup: &mut Setup) -> Result<Self, Error> {
        Ok(Self { config })
    }

    fn on_request(&self, _state: &mut (), request: &mut Request) -> Verdict {
        let Some(word) = request.refused() else {
            return Verdict::Continue;
        };
        request.note("word", &word);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (path, query) = (text(&request.path()), text(&request.query().unwrap_or_default()));
        request.note(
            "line",
            &format!("{} {path} {query} {}", request.method(), request.version()),
        );
        let names: Vec<String> = request.headers().into_iter().map(|(name, _)| name).collect();
        request.note("names", &names.join(" "));
        request.note("x", &text(&request.header("x").unwrap_or_default()));
        request.note(
            "same",
            if request.received().head == request.head() {
                "yes"
            } else {
                "no"
            },
        );
        let edits = [request.set_header("host", "example.org"), request.set_target("/")];
        request.note("edits", &format!("{edits:?}"));
        match self.config.answer {
            Answer::Allow => Verdict::Continue,
            Answer::Hold => Verdict::Hold { limit: 1 },
            Answer::Reply => Verdict::Reply(Reply::text(200, "welcome")),
            Answer::Close => Verdict::Close,
            Answer::Trap => std::process::abort(),
        }
    }

    fn on_request_body(&self, _: &mut (), request: &mut Request, _: &[u8], _: Completeness) -> Verdict {
        if request.refused().is_some() {
            request.note("body", "seen");
        }
        Verdict::Continue
    }

    fn on_finish(&self, _: &mut (), request: &Request, summary: &Summary) {
        if request.refused().is_some() {
            request.note("status", &summary.status.to_string());
            request.event(&format!("refused {}", summary.status));
        }
    }
}
