//! Variables and collections (`ARGS`, `REQUEST_HEADERS:Host`): what rules look at. This room knows their names and shapes; the
//! values are made by [`crate::evaluate`] when a rule first asks.

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
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// The part of the path after the last slash.
    RequestBasename "REQUEST_BASENAME" Single,
    /// The body as received: of a form, or where `ctl:forceRequestBodyVariable` asks for it.
    RequestBody "REQUEST_BODY" Single,
    /// The body's length in bytes.
    RequestBodyLength "REQUEST_BODY_LENGTH" Single,
    /// Cookies.
    RequestCookies "REQUEST_COOKIES" Collection,
    /// Names of the cookies.
    RequestCookiesNames "REQUEST_COOKIES_NAMES" Collection,
    /// The path as received.
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
    /// Text (`/*`) and attribute values (`//@*`) of an XML body.
    Xml "XML" Collection,
}

/// Variables of ModSecurity that Weir does not have yet.
const NOT_YET: &[&str] = &[
    "AUTH_TYPE",
    "DURATION",
    "ENV",
    "FILES_TMPNAMES",
    "FILES_TMP_CONTENT",
    "FULL_REQUEST",
    "FULL_REQUEST_LENGTH",
    "GEO",
    "GLOBAL",
    "IP",
    "MODSEC_BUILD",
    "MULTIPART_BOUNDARY_QUOTED",
    "MULTIPART_BOUNDARY_WHITESPACE",
    "MULTIPART_CRLF_LF_LINES",
    "MULTIPART_DATA_AFTER",
    "MULTIPART_DATA_BEFORE",
    "MULTIPART_FILENAME",
    "MULTIPART_FILE_LIMIT_EXCEEDED",
    "MULTIPART_HEADER_FOLDING",
    "MULTIPART_INVALID_HEADER_FOLDING",
    "MULTIPART_INVALID_PART",
    "MULTIPART_INVALID_QUOTING",
    "MULTIPART_LF_LINE",
    "MULTIPART_MISSING_SEMICOLON",
    "MULTIPART_NAME",
    "MULTIPART_STRICT_ERROR",
    "MULTIPART_UNMATCHED_BOUNDARY",
    "PATH_INFO",
    "REMOTE_HOST",
    "REMOTE_PORT",
    "REMOTE_USER",
    "RESOURCE",
    "RESPONSE_PROTOCOL",
    "RULE",
    "SCRIPT_FILENAME",
    "SCRIPT_BASENAME",
    "SERVER_ADDR",
    "SERVER_PORT",
    "SESSION",
    "SESSIONID",
    "STATUS_LINE",
    "TIME",
    "TIME_DAY",
    "TIME_EPOCH",
    "TIME_HOUR",
    "TIME_MIN",
    "TIME_MON",
    "TIME_SEC",
    "TIME_WDAY",
    "TIME_YEAR",
    "USER",
    "USERID",
    "WEBAPPID",
];

/// The variable of that name.
///
/// # Errors
/// When there is none, or Weir does not have it yet.
pub fn find(name: &str) -> Result<Variable, String> {
    match Variable::ALL
        .iter()
        .find(|variable| variable.name().eq_ignore_ascii_case(name))
    {
        Some(variable) => Ok(*variable),
        None if NOT_YET.iter().any(|known| known.eq_ignore_ascii_case(name)) => {
            Err(format!("the variable \"{name}\" is not supported yet"))
        }
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
        assert!(find("GEO").unwrap_err().contains("not supported yet"));
    }
}
