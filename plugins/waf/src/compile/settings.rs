//! Directives that are not rules: how the engine behaves.

use std::sync::Arc;
use std::time::Duration;

use super::pattern::{self, Case};
use super::plan::{Access, AuditFormat, AuditMode, Mode};
use crate::problem::unknown;
use crate::transformations::unicode_map::UnicodeMap;

/// How the engine behaves. The defaults are those of ModSecurity where it has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `SecRuleEngine`. Default: on.
    pub mode: Mode,
    /// `SecRequestBodyAccess`. Default: on.
    pub request_body: Access,
    /// `SecRequestBodyLimit`, in bytes. Default: 128 KiB.
    pub request_body_limit: u64,
    /// `SecRequestBodyLimitAction`. Default: reject.
    pub request_body_overflow: Overflow,
    /// `SecResponseBodyAccess`. Default: off.
    pub response_body: Access,
    /// `SecResponseBodyLimit`, in bytes. Default: 512 KiB.
    pub response_body_limit: u64,
    /// `SecResponseBodyLimitAction`. Default: rules look at the part within the limit.
    pub response_body_overflow: Overflow,
    /// `SecRequestBodyNoFilesLimit`: the most of a request's body without files, in bytes. Default: 1 MiB.
    pub no_files_limit: usize,
    /// `SecUploadFileLimit`: the most files of one request. Default: 100.
    pub files_limit: usize,
    /// `SecResponseBodyMimeType`, in small letters. Default: text/plain, text/html, text/xml.
    pub response_body_types: Vec<String>,
    /// `SecArgumentsLimit`. Default: 1000.
    pub arguments_limit: usize,
    /// `SecArgumentSeparator`. Default: `&`.
    pub argument_separator: u8,
    /// `SecCookieV0Separator`. Default: `;`.
    pub cookie_separator: u8,
    /// `SecAuditEngine`. Default: relevant only.
    pub audit: AuditMode,
    /// How matches are written down. Default: as JSON.
    pub audit_format: AuditFormat,
    /// `SecAuditLogRelevantStatus`: statuses that make a transaction relevant. Default: none.
    pub audit_status: Option<Statuses>,
    /// `SecSensorId`: the name of this place in audit events. Default: empty.
    pub sensor: String,
    /// `SecRequestBodyJsonDepthLimit`. Default: 64.
    pub json_depth_limit: usize,
    /// `SecComponentSignature`: the rule sets' own names and versions.
    pub signatures: Vec<String>,
    /// `SecCollectionTimeout`: for how long a collection is kept after it was changed last. Default: one hour.
    pub collection_timeout: Duration,
    /// `SecWebAppId`: whose sessions and users these are. Default: `default`.
    pub application: String,
    /// `SecUnicodeMapFile`: what `t:urlDecodeUni` makes of wide characters. Default: full-width forms become ASCII, and of all others
    /// the low byte stays.
    pub unicode_map: Option<Arc<UnicodeMap>>,
    /// The most that the values of one transaction and their transformed forms may take, in bytes. Default: 16 MiB.
    pub memory_limit: usize,
}

impl Settings {
    /// Whether there may be anything to write down of a transaction that is over.
    #[must_use]
    pub fn writes_events(&self) -> bool {
        self.audit != AuditMode::Off || self.audit_format == AuditFormat::Lines
    }
}

/// What happens to a body that is longer than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The request is answered with 413.
    Reject,
    /// Rules look at the part within the limit.
    ProcessPartial,
}

/// The statuses that a pattern matches, found out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(Vec<u16>);

impl Statuses {
    fn matching(pattern: &str) -> Result<Self, String> {
        let pattern = pattern::compile(pattern, Case::AsWritten)?;
        let matches = |status: &u16| pattern.is_found(status.to_string().as_bytes());
        Ok(Self((100..=599).filter(matches).collect()))
    }

    /// Whether a status is one of them.
    #[must_use]
    pub fn contain(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::On,
            request_body: Access::On,
            request_body_limit: 128 << 10,
            request_body_overflow: Overflow::Reject,
            response_body: Access::Off,
            response_body_limit: 512 << 10,
            response_body_overflow: Overflow::ProcessPartial,
            no_files_limit: 1 << 20,
            files_limit: 100,
            response_body_types: ["text/plain", "text/html", "text/xml"].map(str::to_owned).to_vec(),
            arguments_limit: 1000,
            argument_separator: b'&',
            cookie_separator: b';',
            audit: AuditMode::RelevantOnly,
            audit_format: AuditFormat::Json,
            audit_status: None,
            sensor: String::new(),
            json_depth_limit: 64,
            signatures: Vec::new(),
            collection_timeout: Duration::from_secs(3600),
            application: "default".to_owned(),
            unicode_map: None,
            memory_limit: 16 << 20,
        }
    }
}

/// Directives that Weir reads and cannot follow, and what that means.
const INERT: &[(&str, &str)] = &[
    ("SecAuditLog", AUDIT_STREAM),
    ("SecAuditLog2", AUDIT_STREAM),
    ("SecAuditLogDirMode", AUDIT_STREAM),
    ("SecAuditLogFileMode", AUDIT_STREAM),
    ("SecAuditLogStorageDir", AUDIT_STREAM),
    ("SecAuditLogType", AUDIT_STREAM),
    ("SecCacheTransformations", "each value is transformed once, always"),
    ("SecChrootDir", NO_FILES),
    ("SecConnEngine", CONNECTIONS),
    ("SecConnReadStateLimit", CONNECTIONS),
    ("SecConnWriteStateLimit", CONNECTIONS),
    ("SecReadStateLimit", CONNECTIONS),
    ("SecWriteStateLimit", CONNECTIONS),
    (
        "SecContentInjection",
        "responses are not changed; append and prepend do nothing",
    ),
    ("SecDataDir", "collections are kept in the proxy's own store"),
    (
        "SecDebugLog",
        "there is no debug log; weir waf explain shows how a request is judged",
    ),
    (
        "SecDebugLogLevel",
        "there is no debug log; weir waf explain shows how a request is judged",
    ),
    ("SecDisableBackendCompression", "compressed responses are not looked at"),
    ("SecGeoLookupDb", "there is no database of countries; GEO is empty"),
    (
        "SecGsbLookupDb",
        "there is no database of malware; @gsbLookup answers no",
    ),
    ("SecGuardianLog", AUDIT_STREAM),
    ("SecHashEngine", HASHES),
    ("SecHashKey", HASHES),
    ("SecHashMethodPm", HASHES),
    ("SecHashMethodRx", HASHES),
    ("SecHashParam", HASHES),
    ("SecHttpBlKey", "names are not looked up; @rbl answers no"),
    ("SecInterceptOnError", "a rule that fails is one that does not match"),
    ("SecPcreMatchLimit", PATTERNS),
    ("SecPcreMatchLimitRecursion", PATTERNS),
    (
        "SecRequestBodyInMemoryLimit",
        "bodies are held in memory up to SecRequestBodyLimit",
    ),
    ("SecRemoteRulesFailAction", "rules come from the bundle only"),
    ("SecRuleInheritance", "every plugin has a rule set of its own"),
    ("SecRulePerfTime", "weir waf bench shows what rules cost"),
    ("SecServerSignature", "the Server header is the origin's"),
    ("SecStatusEngine", "nothing is reported to anybody"),
    (
        "SecStreamInBodyInspection",
        "STREAM_INPUT_BODY does not exist; use REQUEST_BODY",
    ),
    (
        "SecStreamOutBodyInspection",
        "STREAM_OUTPUT_BODY does not exist; use RESPONSE_BODY",
    ),
    ("SecTmpDir", NO_FILES),
    ("SecTmpSaveUploadedFiles", NO_FILES),
    ("SecUploadDir", NO_FILES),
    ("SecUploadFileMode", NO_FILES),
    ("SecUploadKeepFiles", NO_FILES),
];

const AUDIT_STREAM: &str =
    "audit events are lines of JSON in the access log, or in the file that access_log.events names";
const CONNECTIONS: &str = "connections are limited by the proxy's own configuration";
const HASHES: &str = "links are not signed";
const NO_FILES: &str = "nothing is written to a disk";
const PATTERNS: &str = "patterns run in linear time, and the few that need to go back have a limit of their own";

/// Directives that would change what is judged, so that leaving them out is a mistake, and what to do.
const REFUSED: &[(&str, &str)] = &[
    (
        "SecRuleScript",
        "Lua is not run; write the rule in SecLang, or a plugin",
    ),
    ("SecRemoteRules", "rules are not fetched; put them into the bundle"),
];

/// What names are looked up by, for messages.
const KNOWN: &[&str] = &[
    "SecRule",
    "SecAction",
    "SecDefaultAction",
    "SecMarker",
    "Include",
    "IncludeOptional",
    "SecRuleEngine",
    "SecArgumentSeparator",
    "SecArgumentsLimit",
    "SecAuditEngine",
    "SecAuditLogFormat",
    "SecAuditLogParts",
    "SecAuditLogRelevantStatus",
    "SecCollectionTimeout",
    "SecComponentSignature",
    "SecCookieFormat",
    "SecCookieV0Separator",
    "SecParseXmlIntoArgs",
    "SecRequestBodyAccess",
    "SecRequestBodyJsonDepthLimit",
    "SecRequestBodyLimit",
    "SecRequestBodyLimitAction",
    "SecRequestBodyNoFilesLimit",
    "SecResponseBodyAccess",
    "SecResponseBodyLimit",
    "SecResponseBodyLimitAction",
    "SecResponseBodyMimeType",
    "SecResponseBodyMimeTypesClear",
    "SecRuleRemoveById",
    "SecRuleRemoveByMsg",
    "SecRuleRemoveByTag",
    "SecRuleUpdateActionById",
    "SecRuleUpdateTargetById",
    "SecRuleUpdateTargetByMsg",
    "SecRuleUpdateTargetByTag",
    "SecSensorId",
    "SecUnicodeMapFile",
    "SecUploadFileLimit",
    "SecWebAppId",
    "SecXmlExternalEntity",
];

/// What an operator should know of a directive that was read: nothing, where it is followed.
type Caveat = Option<String>;

impl Settings {
    /// Applies a directive.
    ///
    /// # Errors
    /// When there is no such directive, or its argument is not one for it.
    pub(super) fn apply(&mut self, name: &str, arguments: &[String]) -> Result<Caveat, String> {
        let named = |(known, _): &&(&str, &str)| known.eq_ignore_ascii_case(name);
        if let Some((_, meaning)) = INERT.iter().find(named) {
            return Ok(Some(format!("{name} has no effect: {meaning}")));
        }
        if let Some((_, advice)) = REFUSED.iter().find(named) {
            return Err(format!("{name}: {advice}"));
        }
        if !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            let all = KNOWN.iter().copied().chain(INERT.iter().map(|(known, _)| *known));
            return Err(unknown("directive", name, all));
        }
        let setting = name.to_ascii_lowercase();
        match (setting.as_str(), arguments) {
            ("secresponsebodymimetype", types) if !types.is_empty() => {
                self.response_body_types
                    .extend(types.iter().map(|media| media.to_ascii_lowercase()));
            }
            ("secresponsebodymimetypesclear", []) => self.response_body_types.clear(),
            (_, [argument]) => {
                return self
                    .apply_one(&setting, argument)
                    .map_err(|message| format!("{name}: {message}"));
            }
            _ => return Err(format!("{name} takes one argument and has {}", arguments.len())),
        }
        Ok(None)
    }

    fn apply_one(&mut self, setting: &str, argument: &str) -> Result<Caveat, String> {
        let caveat = |said: &str| Ok(Some(said.to_owned()));
        match setting {
            "secruleengine" => self.mode = mode(argument)?,
            "secrequestbodyaccess" => self.request_body = access(argument)?,
            "secrequestbodylimit" => self.request_body_limit = number(argument)?,
            "secrequestbodynofileslimit" => self.no_files_limit = size(argument)?,
            "secrequestbodylimitaction" => self.request_body_overflow = overflow(argument)?,
            "secrequestbodyjsondepthlimit" => self.json_depth_limit = size(argument)?,
            "secresponsebodyaccess" => self.response_body = access(argument)?,
            "secresponsebodylimit" => self.response_body_limit = number(argument)?,
            "secresponsebodylimitaction" => self.response_body_overflow = overflow(argument)?,
            "secargumentslimit" => self.arguments_limit = size(argument)?,
            "secuploadfilelimit" => self.files_limit = size(argument)?,
            "secargumentseparator" => self.argument_separator = byte(argument)?,
            "seccookiev0separator" => self.cookie_separator = byte(argument)?,
            "seccookieformat" => match argument {
                "0" => {}
                "1" => return caveat("SecCookieFormat 1 has no effect: cookies are read as browsers send them"),
                _ => return Err(format!("\"{argument}\" is not 0 or 1")),
            },
            "secauditengine" => self.audit = audit_mode(argument)?,
            "secauditlogparts" => {
                audit_parts(argument)?;
                if argument.contains(['C', 'E', 'I', 'J']) {
                    return caveat("SecAuditLogParts: bodies (C, E, I, J) are never in audit events");
                }
            }
            "secauditlogrelevantstatus" => {
                self.audit_status = Some(Statuses::matching(argument)?);
            }
            "secauditlogformat" if argument.eq_ignore_ascii_case("json") => {}
            "secauditlogformat" => return caveat("SecAuditLogFormat has no effect: audit events are JSON"),
            "seccollectiontimeout" => self.collection_timeout = Duration::from_secs(number(argument)?),
            "secwebappid" => self.application = argument.to_owned(),
            "secsensorid" => self.sensor = argument.to_owned(),
            "seccomponentsignature" => self.signatures.push(argument.to_owned()),
            "secxmlexternalentity" if access(argument)? == Access::On => {
                return Err("nothing outside of a document is ever read; write Off".to_owned());
            }
            "secxmlexternalentity" => {}
            "secparsexmlintoargs" if argument.eq_ignore_ascii_case("off") => {}
            "secparsexmlintoargs" => {
                return Err("XML does not become arguments; look at XML:/* and XML://@*, and write Off".to_owned());
            }
            _ => return Err("this does not take these arguments".to_owned()),
        }
        Ok(None)
    }
}

fn overflow(text: &str) -> Result<Overflow, String> {
    match text.to_ascii_lowercase().as_str() {
        "reject" => Ok(Overflow::Reject),
        "processpartial" => Ok(Overflow::ProcessPartial),
        _ => Err(format!("\"{text}\" is not Reject or ProcessPartial")),
    }
}

fn byte(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(format!("\"{text}\" is not one character")),
    }
}

fn size(text: &str) -> Result<usize, String> {
    number(text).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// `On`, `Off` or `DetectionOnly`.
pub(crate) fn mode(text: &str) -> Result<Mode, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(Mode::On),
        "off" => Ok(Mode::Off),
        "detectiononly" => Ok(Mode::DetectionOnly),
        _ => Err(format!("\"{text}\" is not On, Off or DetectionOnly")),
    }
}

/// `On` or `Off`.
pub(crate) fn access(text: &str) -> Result<Access, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(Access::On),
        "off" => Ok(Access::Off),
        _ => Err(format!("\"{text}\" is not On or Off")),
    }
}

/// `On`, `Off` or `RelevantOnly`.
pub(crate) fn audit_mode(text: &str) -> Result<AuditMode, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(AuditMode::On),
        "off" => Ok(AuditMode::Off),
        "relevantonly" => Ok(AuditMode::RelevantOnly),
        _ => Err(format!("\"{text}\" is not On, Off or RelevantOnly")),
    }
}

/// `ABCDEFGHIJKZ`, with a `+` or `-` before what is added or taken away.
pub(crate) fn audit_parts(text: &str) -> Result<(), String> {
    let parts = text.strip_prefix(['+', '-']).unwrap_or(text);
    let known = |part: char| matches!(part.to_ascii_uppercase(), 'A'..='K' | 'Z');
    if parts.is_empty() || !parts.chars().all(known) {
        return Err(format!("\"{text}\" is not made of the letters A to K and Z"));
    }
    Ok(())
}

pub(crate) fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not a whole number"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn applied(directives: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (name, argument) in directives {
            assert_eq!(settings.apply(name, &[(*argument).to_owned()]), Ok(None), "{name}");
        }
        settings
    }

    #[test]
    fn directives_are_followed() {
        let settings = applied(&[
            ("SecRuleEngine", "DetectionOnly"),
            ("secargumentslimit", "7"),
            ("SecRequestBodyNoFilesLimit", "9"),
            ("SecUploadFileLimit", "3"),
            ("SecCookieV0Separator", ","),
            ("SecCookieFormat", "0"),
            ("SecResponseBodyLimitAction", "Reject"),
            ("SecAuditEngine", "On"),
            ("SecAuditLogFormat", "JSON"),
            ("SecAuditLogParts", "ABHZ"),
            ("SecAuditLogRelevantStatus", "^(?:5|4(?!04))"),
            ("SecCollectionTimeout", "60"),
            ("SecXmlExternalEntity", "Off"),
        ]);
        assert_eq!((settings.mode, settings.arguments_limit), (Mode::DetectionOnly, 7));
        assert_eq!(
            (settings.no_files_limit, settings.files_limit, settings.cookie_separator),
            (9, 3, b',')
        );
        assert_eq!(
            (settings.audit, settings.response_body_overflow),
            (AuditMode::On, Overflow::Reject)
        );
        let statuses = settings.audit_status.unwrap();
        assert!(statuses.contain(503) && statuses.contain(403) && !statuses.contain(404) && !statuses.contain(200));
        assert_eq!(settings.collection_timeout, Duration::from_secs(60));
    }

    #[test]
    fn what_has_no_effect_says_so() {
        for (name, argument, word) in [
            ("SecDataDir", "/tmp/", "store"),
            ("SecPcreMatchLimit", "1000", "linear"),
            ("SecCookieFormat", "1", "browsers"),
            ("SecAuditLogParts", "ABIJ", "bodies"),
            ("SecAuditLogFormat", "Native", "JSON"),
        ] {
            let caveat = Settings::default()
                .apply(name, &[argument.to_owned()])
                .unwrap()
                .unwrap();
            assert!(caveat.contains(word), "{caveat}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, argument, word) in [
            ("SecRuleEngin", "On", "\"SecRuleEngine\""),
            ("SecUploadDirr", "x", "\"SecUploadDir\""),
            ("SecRuleEngine", "Yes", "DetectionOnly"),
            ("SecRequestBodyLimit", "1MB", "whole number"),
            ("SecRuleScript", "x.lua", "Lua"),
            ("SecXmlExternalEntity", "On", "write Off"),
            ("SecAuditLogParts", "AXZ", "letters"),
            ("SecArgumentSeparator", "&&", "one character"),
        ] {
            let message = Settings::default().apply(name, &[argument.to_owned()]).unwrap_err();
            assert!(message.contains(word), "{message}");
        }
    }
}
