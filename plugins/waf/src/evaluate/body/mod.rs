//! Request bodies: which processor reads them, and what became of it.

mod json;
pub(super) mod multipart;
pub(super) mod xml;

use serde::{Deserialize, Serialize};

use super::audit;
use super::texts::{TextId, Texts};
use super::urlencoded::{self, Field, Parsed};
use crate::compile::plan::BodyProcessor;
use crate::compile::settings::Settings;

/// Whether a body is all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// It is.
    Complete,
    /// It is longer than this.
    Cut,
}

/// What a request's head says about its body.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// `Content-Type`
    pub(super) media: Option<Vec<u8>>,
    /// The coding of a body that is not sent as it is (RFC 9110 §8.4.1).
    pub(super) coding: Option<Vec<u8>>,
}

/// How a body becomes arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Processor {
    /// It does not.
    #[default]
    None,
    /// `a=b&c=d`
    UrlEncoded,
    /// JSON.
    Json,
    /// `multipart/form-data`
    Multipart,
    /// XML.
    Xml,
    /// It does not, and rules see it as received.
    Raw,
}

/// What is known of the request's body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReqBody {
    pub(super) processor: Processor,
    forced: Forced,
    /// As received, where rules may see it.
    pub(super) text: Option<TextId>,
    pub(super) length: usize,
    /// Why it could not be read.
    pub(super) error: Option<TextId>,
    pub(super) escapes: Parsed,
    pub(super) overflow: Parsed,
    pub(super) files: multipart::Files,
    contents: multipart::Contents,
    /// Text and attributes of an XML body.
    pub(super) xml: Vec<Field>,
}

/// Whether rules see the body as received, whatever its processor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Forced {
    Yes,
    No,
}

impl Default for ReqBody {
    fn default() -> Self {
        Self {
            processor: Processor::None,
            forced: Forced::No,
            text: None,
            length: 0,
            error: None,
            escapes: Parsed::Clean,
            overflow: Parsed::Clean,
            files: multipart::Files::default(),
            contents: multipart::Contents::Unwanted,
            xml: Vec::new(),
        }
    }
}

impl From<BodyProcessor> for Processor {
    fn from(processor: BodyProcessor) -> Self {
        match processor {
            BodyProcessor::UrlEncoded => Self::UrlEncoded,
            BodyProcessor::Json => Self::Json,
            BodyProcessor::Multipart => Self::Multipart,
            BodyProcessor::Xml => Self::Xml,
            BodyProcessor::Raw => Self::Raw,
        }
    }
}

impl Processor {
    /// The one that a media type calls for by itself. JSON and XML are read where a rule says so, as with ModSecurity.
    pub(super) fn of(content_type: &[u8]) -> Self {
        let media = content_type
            .split(|&b| b == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        if media.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            Self::UrlEncoded
        } else if media.eq_ignore_ascii_case(b"multipart/form-data") {
            Self::Multipart
        } else {
            Self::None
        }
    }

    /// Whether it takes a body apart.
    fn parses(self) -> bool {
        !matches!(self, Self::None | Self::Raw)
    }

    /// As `REQBODY_PROCESSOR` shows it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::UrlEncoded => "URLENCODED",
            Self::Json => "JSON",
            Self::Multipart => "MULTIPART",
            Self::Xml => "XML",
            Self::Raw => "RAW",
        }
    }
}

impl ReqBody {
    /// Rules see the body as received.
    pub(super) fn force(&mut self) {
        self.forced = Forced::Yes;
    }

    /// Rules see what files hold.
    pub(super) fn keep_contents(&mut self) {
        self.contents = multipart::Contents::Wanted;
    }

    /// The body, or something that counts as it, could not be read. The first reason stays.
    pub(super) fn fail(&mut self, texts: &mut Texts, reason: &str) {
        if self.error.is_none() {
            self.error = Some(texts.push(reason.as_bytes()));
        }
    }

    /// Takes the body and adds its arguments to a list, beside so many that there are already.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of a transaction that a body changes, each borrowed by itself"
    )]
    pub(super) fn take(
        &mut self,
        settings: &Settings,
        body: &[u8],
        completeness: Completeness,
        declared: &Declared,
        arguments: usize,
        texts: &mut Texts,
        fields: &mut Vec<Field>,
    ) {
        self.length = body.len();
        if completeness == Completeness::Cut {
            self.overflow = Parsed::TooMany;
        }
        let looked_at = self.processor != Processor::None || self.forced == Forced::Yes;
        if body.is_empty() || !looked_at {
            return;
        }
        if let Some(coding) = declared.coding.as_deref().filter(|_| self.processor.parses()) {
            let coding = audit::excerpt(coding, 32);
            return self.fail(
                texts,
                &format!("The body is coded ({coding}), and rules cannot read it"),
            );
        }
        let mut body = body;
        if self.processor != Processor::Multipart
            && let Some(start) = body.get(..settings.no_files_limit)
            && start.len() < body.len()
        {
            self.fail(texts, &format!("More than {} bytes are not in files", start.len()));
            body = start;
        }
        if matches!(self.processor, Processor::UrlEncoded | Processor::Raw) || self.forced == Forced::Yes {
            self.text = Some(texts.push(body));
        }
        let most = settings.arguments_limit.saturating_sub(arguments);
        let result = match self.processor {
            Processor::None | Processor::Raw => Ok(()),
            Processor::UrlEncoded => match urlencoded::parse(body, settings.argument_separator, most, texts, fields) {
                Parsed::TooMany => return self.fail(texts, &too_many(settings.arguments_limit)),
                parsed => {
                    self.escapes = parsed;
                    Ok(())
                }
            },
            Processor::Json => {
                let limits = json::Limits {
                    depth: settings.json_depth_limit,
                    fields: most,
                };
                json::parse(body, limits, texts, fields)
            }
            Processor::Xml => xml::parse(body, settings.arguments_limit, texts, &mut self.xml),
            Processor::Multipart => {
                let limits = multipart::Limits {
                    parts: most,
                    files: settings.files_limit,
                    no_files: settings.no_files_limit,
                    contents: self.contents,
                };
                let content_type = declared.media.as_deref().unwrap_or_default();
                multipart::parse(content_type, body, limits, texts, fields, &mut self.files)
            }
        };
        // Of a body that is cut nobody can say whether it is well formed; INBOUND_DATA_ERROR tells rules that it is cut.
        if let (Err(reason), Completeness::Complete) = (result, completeness) {
            self.fail(texts, &reason);
        }
    }
}

/// What is said about more arguments than are looked at.
pub(super) fn too_many(most: usize) -> String {
    format!("More than {most} arguments")
}
