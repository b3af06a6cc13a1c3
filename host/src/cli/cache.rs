//! `weir cache`: look at what is stored, and take it out.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Body, Target};
use super::{count, fail};

/// Look at what the cache stores, and take it out.
#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    Purge(Purge),
    Ban(Ban),
    Bans(Bans),
    Inspect(Inspect),
}

/// Remove stored responses: by URL, prefix, host or tag.
///
/// It counts at once for all workers. `http://` and `https://` name the same URL here, and all its variants go.
#[derive(Debug, Args)]
pub(super) struct Purge {
    #[command(flatten)]
    selection: Selection,
    /// Leave them in the cache as stale: the origin is asked when somebody wants them, and they are served when it is down
    #[arg(long)]
    soft: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Selection {
    /// URLs, such as http://example.org/covers/1.jpg
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Every URL that begins like this, such as http://example.org/covers/
    #[arg(long, value_name = "URL")]
    prefix: Option<String>,
    /// Every URL of a host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Everything with this tag (`Surrogate-Key`, `Cache-Tag`); several times for any of several
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Everything
    #[arg(long)]
    all: bool,
}

/// Ban stored responses that fit an expression.
///
/// Terms joined with `&&`: req.url, req.http.NAME, obj.http.NAME and obj.tag with ==, !=, ~ and !~ (a regular expression);
/// obj.status, obj.age and obj.ttl also with <, <=, > and >=. For example:
///
///   weir cache ban 'obj.http.content-type ~ ^image/ && req.url ~ ^/covers/ && obj.age > 2h'
///
/// What is stored later is not banned. Values with spaces stand in double quotes.
#[derive(Debug, Args)]
pub(super) struct Ban {
    expression: String,
    /// Leave them in the cache as stale
    #[arg(long)]
    soft: bool,
    #[command(flatten)]
    target: Target,
}

/// List the bans that are kept, the purges among them that Weir made into bans.
#[derive(Debug, Args)]
pub(super) struct Bans {
    /// Print what the admin API answers, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Show what is stored for a URL, how its freshness is worked out, and whether it would be served.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// Such as http://example.org/covers/1.jpg
    url: String,
    /// A field of the request that would ask for it, `Name: value`; may be given several times
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// Print what the admin API answers, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(command: &CacheCommand) -> ExitCode {
    let done = match command {
        CacheCommand::Purge(command) => command.run(),
        CacheCommand::Ban(command) => command.run(),
        CacheCommand::Bans(command) => command.run(),
        CacheCommand::Inspect(command) => command.run(),
    };
    match done {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(error),
    }
}

impl Purge {
    fn run(&self) -> Result<String, String> {
        let client = self.target.client()?;
        let mut purged = 0;
        for mut body in self.selection.bodies() {
            body["soft"] = json!(self.soft);
            let answer = client.ask("POST", "/v1/cache/purge", Body::Json(&body))?;
            purged += number(&answer, "purged");
        }
        Ok(format!("{}\n", responses(purged, self.soft)))
    }
}

impl Selection {
    /// One purge a URL, or the one that is asked for.
    fn bodies(&self) -> Vec<Value> {
        if let Some(prefix) = &self.prefix {
            return vec![json!({ "prefix": prefix })];
        }
        if let Some(host) = &self.host {
            return vec![json!({ "host": host })];
        }
        if !self.tags.is_empty() {
            return vec![json!({ "tags": self.tags })];
        }
        if self.all {
            return vec![json!({ "all": true })];
        }
        self.urls.iter().map(|url| json!({ "url": url })).collect()
    }
}

impl Ban {
    fn run(&self) -> Result<String, String> {
        let body = json!({ "expression": self.expression, "soft": self.soft });
        let answer = self.target.client()?.ask("POST", "/v1/cache/ban", Body::Json(&body))?;
        Ok(format!(
            "ban {}: {}\n",
            number(&answer, "ban"),
            responses(number(&answer, "purged"), self.soft)
        ))
    }
}

impl Bans {
    fn run(&self) -> Result<String, String> {
        let answer = self.target.client()?.ask("GET", "/v1/cache/bans", Body::Empty)?;
        if self.json {
            return Ok(format!("{answer:#}\n"));
        }
        let bans = answer.get("bans").and_then(Value::as_array);
        let lines = bans.into_iter().flatten().map(|ban| {
            let text = |key: &str| ban.get(key).and_then(Value::as_str).unwrap_or("-");
            let flag = |key: &str| ban.get(key).and_then(Value::as_bool).unwrap_or_default();
            format!(
                "{:>6}  {}  {:<4}  {:<7}  {:>8}  {}\n",
                number(ban, "number"),
                text("made"),
                if flag("soft") { "soft" } else { "hard" },
                if flag("done") { "done" } else { "pending" },
                number(ban, "purged"),
                text("expression")
            )
        });
        Ok(lines.collect())
    }
}

impl Inspect {
    fn run(&self) -> Result<String, String> {
        let mut headers = serde_json::Map::new();
        for field in &self.headers {
            let (name, value) = field
                .split_once(':')
                .ok_or_else(|| format!("`{field}` is not written `Name: value`"))?;
            headers.insert(name.trim().to_owned(), json!(value.trim()));
        }
        let body = json!({ "url": self.url, "headers": headers });
        let answer = self
            .target
            .client()?
            .ask("POST", "/v1/cache/inspect", Body::Json(&body))?;
        if self.json {
            return Ok(format!("{answer:#}\n"));
        }
        let stored = answer
            .get("stored")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if stored.is_empty() {
            return Ok("nothing is stored for it\n".to_owned());
        }
        Ok(stored.iter().map(described).collect::<Vec<_>>().join("\n"))
    }
}

/// One stored response, a line a fact.
fn described(stored: &Value) -> String {
    let text = |path: &str| match stored.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let slices = stored.get("slices").map_or(String::new(), |slices| {
        let number = |key: &str| number(slices, key);
        format!(
            "  slices     {} of {} in memory, {} bytes each\n",
            number("in_memory"),
            number("count"),
            number("size")
        )
    });
    format!(
        "{}\n  status     {}, {} bytes of body, {} in the cache ({}), served {} times\n{slices}  route      {}\n  vary       {}\n  \
         tags       {}\n  lifetime   {} s, from {}\n  age        {} s = {} s when it came + {} s here\n  ttl        {} s\n  \
         verdict    {}: {}\n",
        text("/key"),
        text("/status"),
        text("/body"),
        text("/size"),
        text("/tier"),
        text("/served"),
        text("/route"),
        text("/vary"),
        text("/tags"),
        text("/freshness/lifetime"),
        text("/freshness/lifetime_from"),
        text("/freshness/age"),
        text("/freshness/initial_age"),
        text("/freshness/resident"),
        text("/freshness/ttl"),
        text("/verdict"),
        text("/why"),
    )
}

fn responses(number: u64, soft: bool) -> String {
    let done = if soft { "made stale" } else { "removed" };
    format!(
        "{} {done}",
        count(usize::try_from(number).unwrap_or(usize::MAX), "response")
    )
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}
