//! Directives that are not rules: how the engine behaves.

use std::time::Duration;

use super::plan::{Access, AuditMode, Mode};
use crate::problem::unknown;

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
    /// `SecResponseBodyMimeType`, in small letters. Default: text/plain, text/html, text/xml.
    pub response_body_types: Vec<String>,
    /// `SecArgumentsLimit`. Default: 1000.
    pub arguments_limit: usize,
    /// `SecArgumentSeparator`. Default: `&`.
    pub argument_separator: u8,
    /// `SecRequestBodyJsonDepthLimit`. Default: 64.
    pub json_depth_limit: usize,
    /// `SecComponentSignature`: the rule sets' own names and versions.
    pub signatures: Vec<String>,
    /// `SecCollectionTimeout`: for how long a collection is kept after it was changed last. Default: one hour.
    pub collection_timeout: Duration,
    /// `SecWebAppId`: whose sessions and users these are. Default: `default`.
    pub application: String,
    /// The most that the values of one transaction and their transformed forms may take, in bytes. Default: 16 MiB.
    pub memory_limit: usize,
}

/// What happens to a body that is longer than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The request is answered with 413.
    Reject,
    /// Rules look at the part within the limit.
    ProcessPartial,
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
            response_body_types: ["text/plain", "text/html", "text/xml"].map(str::to_owned).to_vec(),
            arguments_limit: 1000,
            argument_separator: b'&',
            json_depth_limit: 64,
            signatures: Vec::new(),
            collection_timeout: Duration::from_secs(3600),
            application: "default".to_owned(),
            memory_limit: 16 << 20,
        }
    }
}

/// Directives of ModSecurity that Weir does not have yet.
const NOT_YET: &[&str] = &[
    "SecAuditEngine",
    "SecAuditLog",
    "SecAuditLogDirMode",
    "SecAuditLogFileMode",
    "SecAuditLogFormat",
    "SecAuditLogParts",
    "SecAuditLogRelevantStatus",
    "SecAuditLogStorageDir",
    "SecAuditLogType",
    "SecCookieFormat",
    "SecCookieV0Separator",
    "SecDataDir",
    "SecDebugLog",
    "SecDebugLogLevel",
    "SecGeoLookupDb",
    "SecGsbLookupDb",
    "SecHttpBlKey",
    "SecPcreMatchLimit",
    "SecPcreMatchLimitRecursion",
    "SecRequestBodyInMemoryLimit",
    "SecRequestBodyNoFilesLimit",
    "SecRuleScript",
    "SecRuleUpdateActionById",
    "SecSensorId",
    "SecServerSignature",
    "SecStatusEngine",
    "SecTmpDir",
    "SecUnicodeMapFile",
    "SecUploadDir",
    "SecUploadFileLimit",
    "SecUploadFileMode",
    "SecUploadKeepFiles",
    "SecXmlExternalEntity",
];

/// What the names below are looked up by, for messages.
const KNOWN: &[&str] = &[
    "SecRule",
    "SecAction",
    "SecDefaultAction",
    "SecMarker",
    "Include",
    "SecRuleEngine",
    "SecRequestBodyAccess",
    "SecRequestBodyLimit",
    "SecRequestBodyLimitAction",
    "SecRequestBodyJsonDepthLimit",
    "SecResponseBodyAccess",
    "SecResponseBodyLimit",
    "SecResponseBodyMimeType",
    "SecResponseBodyMimeTypesClear",
    "SecArgumentsLimit",
    "SecArgumentSeparator",
    "SecCollectionTimeout",
    "SecComponentSignature",
    "SecWebAppId",
    "SecRuleRemoveById",
    "SecRuleRemoveByTag",
    "SecRuleRemoveByMsg",
    "SecRuleUpdateTargetById",
    "SecRuleUpdateTargetByTag",
    "SecRuleUpdateTargetByMsg",
];

impl Settings {
    /// Applies a directive.
    ///
    /// # Errors
    /// When there is no such directive, or its argument is not one for it.
    pub(super) fn apply(&mut self, name: &str, arguments: &[String]) -> Result<(), String> {
        let setting = name.to_ascii_lowercase();
        if NOT_YET.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(format!("the directive \"{name}\" is not supported yet"));
        }
        if !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(unknown("directive", name, KNOWN.iter().copied()));
        }
        match (setting.as_str(), arguments) {
            ("secresponsebodymimetype", types) if !types.is_empty() => {
                self.response_body_types
                    .extend(types.iter().map(|media| media.to_ascii_lowercase()));
            }
            ("secresponsebodymimetypesclear", []) => self.response_body_types.clear(),
            (_, [argument]) => return self.apply_one(name, &setting, argument),
            _ => return Err(format!("{name} takes one argument and has {}", arguments.len())),
        }
        Ok(())
    }

    fn apply_one(&mut self, name: &str, setting: &str, argument: &str) -> Result<(), String> {
        let wrong = |message: String| format!("{name}: {message}");
        match setting {
            "secruleengine" => self.mode = mode(argument).map_err(wrong)?,
            "secrequestbodyaccess" => self.request_body = access(argument).map_err(wrong)?,
            "secrequestbodylimit" => self.request_body_limit = number(argument).map_err(wrong)?,
            "secrequestbodylimitaction" => {
                self.request_body_overflow = match argument.to_ascii_lowercase().as_str() {
                    "reject" => Overflow::Reject,
                    "processpartial" => Overflow::ProcessPartial,
                    _ => return Err(wrong(format!("\"{argument}\" is not Reject or ProcessPartial"))),
                }
            }
            "secrequestbodyjsondepthlimit" => self.json_depth_limit = number(argument).map_err(wrong)? as usize,
            "secresponsebodyaccess" => self.response_body = access(argument).map_err(wrong)?,
            "secresponsebodylimit" => self.response_body_limit = number(argument).map_err(wrong)?,
            "secargumentslimit" => self.arguments_limit = number(argument).map_err(wrong)? as usize,
            "secargumentseparator" => match argument.as_bytes() {
                [separator] => self.argument_separator = *separator,
                _ => return Err(wrong(format!("\"{argument}\" is not one character"))),
            },
            "seccollectiontimeout" => self.collection_timeout = Duration::from_secs(number(argument).map_err(wrong)?),
            "secwebappid" => self.application = argument.to_owned(),
            "seccomponentsignature" => self.signatures.push(argument.to_owned()),
            _ => return Err(format!("{name} does not take these arguments")),
        }
        Ok(())
    }
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

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not a whole number"))
}
