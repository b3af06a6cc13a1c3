//! Variables and collections (`ARGS`, `REQUEST_HEADERS:Host`): what rules look at. This room knows their names and shapes; the
//! values are made by [`crate::evaluate`] when a rule first asks.

use serde::{Deserialize, Serialize};

use crate::problem::unknown;

/// Whether a variable is one value or many with names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value; it takes no `:key`.
    Single,
    /// Values with names.
    Collection,
}

macro_rules! variables {
    ($($(#[$doc:meta])* $variant:ident $name:literal $shape:ident),* $(,)?) => {
        /// A variable that rules can name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Variable {
            $($(#[$doc])* $variant,)*
        }

        impl Variable {
            /// Every variable.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it stands in rules.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One value or many.
            #[must_use]
            pub const fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape,)* }
            }
        }
    };
}

variables! {
    /// Arguments of query and body.
    Args "ARGS" Collection,
    /// The summed length of the names and values of all arguments.
    ArgsCombinedSize "ARGS_COMBINED_SIZE" Single,
    /// Arguments of the query.
    ArgsGet "ARGS_GET" Collection,
    /// Names of the arguments of the query.
    ArgsGetNames "ARGS_GET_NAMES" Collection,
    /// Names of all arguments.
    ArgsNames "ARGS_NAMES" Collection,
    /// Arguments of the body.
    ArgsPost "ARGS_POST" Collection,
    /// Names of the arguments of the body.
    ArgsPostNames "ARGS_POST_NAMES" Collection,
    /// The summed length of all files.
    FilesCombinedSize "FILES_COMBINED_SIZE" Single,
    /// File names, by the fields that they were sent in.
    Files "FILES" Collection,
    /// The fields that files were sent in.
    FilesNames "FILES_NAMES" Collection,
    /// Lengths of files, by the fields that they were sent in.
    FilesSizes "FILES_SIZES" Collection,
    /// The most severe (lowest) severity of the rules that matched; 255 before there is one.
    HighestSeverity "HIGHEST_SEVERITY" Single,
    /// 1 when the request body was longer than what is looked at.
    InboundDataError "INBOUND_DATA_ERROR" Single,
    /// The value that matched last.
    MatchedVar "MATCHED_VAR" Single,
    /// The name of the variable that matched last.
    MatchedVarName "MATCHED_VAR_NAME" Single,
    /// All values that matched in the rule (and its chain so far) that matched last.
    MatchedVars "MATCHED_VARS" Collection,
    /// The names of those.
    MatchedVarsNames "MATCHED_VARS_NAMES" Collection,
    /// Header lines of the parts of a multipart body, by the names of the parts.
    MultipartPartHeaders "MULTIPART_PART_HEADERS" Collection,
    /// 1 when the response body was longer than what is looked at.
    OutboundDataError "OUTBOUND_DATA_ERROR" Single,
    /// The query as received.
    QueryString "QUERY_STRING" Single,
    /// The client's address, after trusted proxies were believed.
    RemoteAddr "REMOTE_ADDR" Single,
    /// 1 when the request body could not be parsed.
    ReqbodyError "REQBODY_ERROR" Single,
    /// Why.
    ReqbodyErrorMsg "REQBODY_ERROR_MSG" Single,
    /// `URLENCODED`, `JSON`, `MULTIPART` or nothing.
    ReqbodyProcessor "REQBODY_PROCESSOR" Single,
    /// As `REQBODY_ERROR`.
    ReqbodyProcessorError "REQBODY_PROCESSOR_ERROR" Single,
    /// As `REQBODY_ERROR_MSG`.
    ReqbodyProcessorErrorMsg "REQBODY_PROCESSOR_ERROR_MSG" Single,
    /// The part of `REQUEST_FILENAME` after the last slash.
    RequestBasename "REQUEST_BASENAME" Single,
    /// The body as received: of a form, or where `ctl:forceRequestBodyVariable` asks for it.
    RequestBody "REQUEST_BODY" Single,
    /// The body's length in bytes.
    RequestBodyLength "REQUEST_BODY_LENGTH" Single,
    /// Cookies.
    RequestCookies "REQUEST_COOKIES" Collection,
    /// Names of the cookies.
    RequestCookiesNames "REQUEST_COOKIES_NAMES" Collection,
    /// The path, with its escapes resolved once.
    RequestFilename "REQUEST_FILENAME" Single,
    /// Headers of the request.
    RequestHeaders "REQUEST_HEADERS" Collection,
    /// Names of the headers of the request.
    RequestHeadersNames "REQUEST_HEADERS_NAMES" Collection,
    /// Method, target and protocol.
    RequestLine "REQUEST_LINE" Single,
    /// The method.
    RequestMethod "REQUEST_METHOD" Single,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    RequestProtocol "REQUEST_PROTOCOL" Single,
    /// Path and query as received.
    RequestUri "REQUEST_URI" Single,
    /// As `REQUEST_URI`.
    RequestUriRaw "REQUEST_URI_RAW" Single,
    /// The body of the response.
    ResponseBody "RESPONSE_BODY" Single,
    /// The length of the response's body that is looked at.
    ResponseContentLength "RESPONSE_CONTENT_LENGTH" Single,
    /// The media type of the response, without parameters.
    ResponseContentType "RESPONSE_CONTENT_TYPE" Single,
    /// Headers of the response.
    ResponseHeaders "RESPONSE_HEADERS" Collection,
    /// Names of the headers of the response.
    ResponseHeadersNames "RESPONSE_HEADERS_NAMES" Collection,
    /// The status of the response.
    ResponseStatus "RESPONSE_STATUS" Single,
    /// The host that the client asked for, without port.
    ServerName "SERVER_NAME" Single,
    /// What rules keep for the time of a transaction.
    Tx "TX" Collection,
    /// The request's identifier.
    UniqueId "UNIQUE_ID" Single,
    /// 1 when an escape of a form's body was broken.
    UrlencodedError "URLENCODED_ERROR" Single,
    /// The scheme of `Authorization`, for example `Basic`.
    AuthType "AUTH_TYPE" Single,
    /// Microseconds since the transaction started.
    Duration "DURATION" Single,
    /// What `setenv` has set.
    Env "ENV" Collection,
    /// What files hold, by the fields that they were sent in.
    FilesTmpContent "FILES_TMP_CONTENT" Collection,
    /// Nothing: files are not written to a disk.
    FilesTmpnames "FILES_TMPNAMES" Collection,
    /// Request line, headers and body.
    FullRequest "FULL_REQUEST" Single,
    /// The length of that.
    FullRequestLength "FULL_REQUEST_LENGTH" Single,
    /// Nothing: there is no database of countries.
    Geo "GEO" Collection,
    /// What is kept for everybody.
    Global "GLOBAL" Collection,
    /// What is kept for a client.
    Ip "IP" Collection,
    /// The number of the ModSecurity whose language this is.
    ModsecBuild "MODSEC_BUILD" Single,
    /// 1 when a pattern reached its limit.
    MscPcreError "MSC_PCRE_ERROR" Single,
    /// 1 when a pattern reached its limit.
    MscPcreLimitsExceeded "MSC_PCRE_LIMITS_EXCEEDED" Single,
    /// 1 when the boundary stands in quotes.
    MultipartBoundaryQuoted "MULTIPART_BOUNDARY_QUOTED" Single,
    /// 1 when there is white space in or around the boundary.
    MultipartBoundaryWhitespace "MULTIPART_BOUNDARY_WHITESPACE" Single,
    /// 1 when some lines end in CR LF and others in LF.
    MultipartCrlfLfLines "MULTIPART_CRLF_LF_LINES" Single,
    /// 1 when data follow the last boundary.
    MultipartDataAfter "MULTIPART_DATA_AFTER" Single,
    /// 1 when data precede the first boundary.
    MultipartDataBefore "MULTIPART_DATA_BEFORE" Single,
    /// 1 when there are more files than are looked at.
    MultipartFileLimitExceeded "MULTIPART_FILE_LIMIT_EXCEEDED" Single,
    /// The name of the last file.
    MultipartFilename "MULTIPART_FILENAME" Single,
    /// 1 when the header of a part is folded.
    MultipartHeaderFolding "MULTIPART_HEADER_FOLDING" Single,
    /// 1 when the header of a part is folded wrongly.
    MultipartInvalidHeaderFolding "MULTIPART_INVALID_HEADER_FOLDING" Single,
    /// 1 when a part is not one.
    MultipartInvalidPart "MULTIPART_INVALID_PART" Single,
    /// 1 when a quote in the header of a part is wrong.
    MultipartInvalidQuoting "MULTIPART_INVALID_QUOTING" Single,
    /// 1 when a line ends in LF alone.
    MultipartLfLine "MULTIPART_LF_LINE" Single,
    /// 1 when a semicolon is missing in `Content-Type`.
    MultipartMissingSemicolon "MULTIPART_MISSING_SEMICOLON" Single,
    /// The field of the last file.
    MultipartName "MULTIPART_NAME" Single,
    /// 1 when any of these is.
    MultipartStrictError "MULTIPART_STRICT_ERROR" Single,
    /// 1 when a line looks like a boundary and is none; 2 when it could be a part of one.
    MultipartUnmatchedBoundary "MULTIPART_UNMATCHED_BOUNDARY" Single,
    /// As `REQUEST_FILENAME`.
    PathInfo "PATH_INFO" Single,
    /// As `REMOTE_ADDR`: names are not looked up.
    RemoteHost "REMOTE_HOST" Single,
    /// Nothing: it is not told to plugins.
    RemotePort "REMOTE_PORT" Single,
    /// The user of `Authorization: Basic`.
    RemoteUser "REMOTE_USER" Single,
    /// What is kept for a resource.
    Resource "RESOURCE" Collection,
    /// As `REQUEST_PROTOCOL`.
    ResponseProtocol "RESPONSE_PROTOCOL" Single,
    /// The rule that runs: `id`, `rev`, `severity`, `msg`, `logdata`.
    Rule "RULE" Collection,
    /// Nothing.
    ScriptBasename "SCRIPT_BASENAME" Single,
    /// Nothing.
    ScriptFilename "SCRIPT_FILENAME" Single,
    /// Nothing.
    ScriptGid "SCRIPT_GID" Single,
    /// Nothing.
    ScriptGroupname "SCRIPT_GROUPNAME" Single,
    /// Nothing.
    ScriptMode "SCRIPT_MODE" Single,
    /// Nothing.
    ScriptUid "SCRIPT_UID" Single,
    /// Nothing.
    ScriptUsername "SCRIPT_USERNAME" Single,
    /// Nothing: it is not told to plugins.
    ServerAddr "SERVER_ADDR" Single,
    /// The port in `Host`, else 80.
    ServerPort "SERVER_PORT" Single,
    /// What is kept for a session.
    Session "SESSION" Collection,
    /// What `setsid` said.
    SessionId "SESSIONID" Single,
    /// Protocol and status of the response.
    StatusLine "STATUS_LINE" Single,
    /// `hh:mm:ss`; times are in UTC.
    Time "TIME" Single,
    /// Day of the month, 1 to 31.
    TimeDay "TIME_DAY" Single,
    /// Seconds since 1970.
    TimeEpoch "TIME_EPOCH" Single,
    /// 0 to 23.
    TimeHour "TIME_HOUR" Single,
    /// 0 to 59.
    TimeMin "TIME_MIN" Single,
    /// 0 (January) to 11.
    TimeMon "TIME_MON" Single,
    /// 0 to 59.
    TimeSec "TIME_SEC" Single,
    /// 0 (Sunday) to 6.
    TimeWday "TIME_WDAY" Single,
    /// For example 2026.
    TimeYear "TIME_YEAR" Single,
    /// What is kept for a user.
    User "USER" Collection,
    /// What `setuid` said.
    UserId "USERID" Single,
    /// As `REMOTE_ADDR`.
    UseragentIp "USERAGENT_IP" Single,
    /// What `SecWebAppId` says.
    WebappId "WEBAPPID" Single,
    /// Nothing.
    WebserverErrorLog "WEBSERVER_ERROR_LOG" Single,
    /// Text (`/*`) and attribute values (`//@*`) of an XML body.
    Xml "XML" Collection,
}

/// Variables of ModSecurity that Weir does not have.
const ABSENT: &[&str] = &[
    "PERF_ALL",
    "PERF_COMBINED",
    "PERF_GC",
    "PERF_LOGGING",
    "PERF_PHASE1",
    "PERF_PHASE2",
    "PERF_PHASE3",
    "PERF_PHASE4",
    "PERF_PHASE5",
    "PERF_RULES",
    "PERF_SREAD",
    "PERF_SWRITE",
    "SDBM_DELETE_ERROR",
    "STREAM_INPUT_BODY",
    "STREAM_OUTPUT_BODY",
];

impl Variable {
    /// What a rule set should know that looks at it: why it is always empty. Nothing for all others.
    #[must_use]
    pub const fn caveat(self) -> Option<&'static str> {
        Some(match self {
            Self::Geo => "GEO is always empty: there is no database of countries",
            Self::FilesTmpnames => {
                "FILES_TMPNAMES is always empty: files are not written to a disk; FILES_TMP_CONTENT has them"
            }
            Self::RemotePort => "REMOTE_PORT is always empty: it is not told to plugins",
            Self::ServerAddr => "SERVER_ADDR is always empty: it is not told to plugins",
            Self::ScriptBasename
            | Self::ScriptFilename
            | Self::ScriptGid
            | Self::ScriptGroupname
            | Self::ScriptMode
            | Self::ScriptUid
            | Self::ScriptUsername => "SCRIPT_* are always empty: a proxy runs no scripts",
            Self::WebserverErrorLog => {
                "WEBSERVER_ERROR_LOG is always empty: the proxy's own messages are not told to rules"
            }
            _ => return None,
        })
    }
}

/// The variable of that name.
///
/// # Errors
/// When there is none, or Weir does not have it.
pub fn find(name: &str) -> Result<Variable, String> {
    match Variable::ALL
        .iter()
        .find(|variable| variable.name().eq_ignore_ascii_case(name))
    {
        Some(variable) => Ok(*variable),
        None if ABSENT.iter().any(|known| known.eq_ignore_ascii_case(name)) => Err(format!(
            "the variable \"{name}\" tells about the insides of ModSecurity, which Weir does not have; remove the rule"
        )),
        None => Err(unknown(
            "variable",
            name,
            Variable::ALL.iter().map(|variable| variable.name()),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn variables_are_found_by_name() {
        assert_eq!(find("args").unwrap(), Variable::Args);
        assert!(find("REQUEST_HEADER").unwrap_err().contains("\"REQUEST_HEADERS\""));
        assert!(find("PERF_ALL").unwrap_err().contains("insides"));
    }
}
