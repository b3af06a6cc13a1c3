//! From a target to the values that it names now.

use std::io::Write as _;

use super::rare;
use super::texts::TextId;
use super::transaction::{Datum, Item, Key, RequestHead, Transaction};
use super::tx::Value;
use super::urlencoded::{Field, Parsed};
use crate::bytes::percent_decoded;
use crate::compile::names::Slot;
use crate::compile::plan::{Plan, Selector, Subject, Target};
use crate::variables::Variable;

/// Adds the values of a target to a list.
pub(super) fn collect(plan: &Plan, tx: &mut Transaction, target: &Target, items: &mut Vec<Item>) {
    let start = items.len();
    values(plan, tx, target, items);
    if !target.excluded.is_empty() {
        let mut at = start;
        while let Some(item) = items.get(at).copied() {
            if target
                .excluded
                .iter()
                .any(|selector| selects(plan, tx, selector, item.key))
            {
                items.remove(at);
            } else {
                at += 1;
            }
        }
    }
    if target.subject == Subject::Count {
        let count = items.len().saturating_sub(start) as i64;
        items.truncate(start);
        let key = match &target.selector {
            Selector::Slot(slot) => Key::Slot(*slot),
            Selector::Name(name) => Key::Text(tx.texts.push(name)),
            Selector::Whole | Selector::Pattern(_) => Key::None,
        };
        items.push(Item {
            variable: target.variable,
            key,
            value: Datum::Number(count),
        });
    }
}

/// Whether a selector means the value of this name.
pub(super) fn selects(plan: &Plan, tx: &Transaction, selector: &Selector, key: Key) -> bool {
    let name = match key {
        Key::None => &b""[..],
        Key::Text(name) => tx.texts.get(name),
        Key::Slot(slot) => plan.names.name(slot),
    };
    match selector {
        Selector::Whole => true,
        Selector::Name(wanted) => name.eq_ignore_ascii_case(wanted),
        Selector::Slot(wanted) => key == Key::Slot(*wanted),
        Selector::Pattern(pattern) => pattern.is_match(name),
    }
}

/// The name of a value as rules and logs see it: `ARGS:q`.
pub(super) fn name(plan: &Plan, tx: &Transaction, item: Item) -> Vec<u8> {
    let mut name = item.variable.name().as_bytes().to_vec();
    let key = match item.key {
        Key::None => return name,
        Key::Text(key) => tx.texts.get(key),
        Key::Slot(slot) => plan.names.name(slot),
    };
    name.push(b':');
    name.extend_from_slice(key);
    name
}

/// A value as text; a number is written out.
pub(super) fn text(tx: &mut Transaction, value: Datum) -> TextId {
    match value {
        Datum::Text(text) => text,
        Datum::Number(number) => tx.texts.write(20, |out| {
            // Writing to a vector cannot fail.
            let _ = write!(out, "{number}");
        }),
    }
}

fn values(plan: &Plan, tx: &mut Transaction, target: &Target, items: &mut Vec<Item>) {
    use Part::{Names, Values};
    let (fields, more, part): (&[Field], &[Field], Part) = match target.variable {
        Variable::Args => (&tx.args_get, &tx.args_post, Values),
        Variable::ArgsNames => (&tx.args_get, &tx.args_post, Names),
        Variable::ArgsGet => (&tx.args_get, &[], Values),
        Variable::ArgsGetNames => (&tx.args_get, &[], Names),
        Variable::ArgsPost => (&tx.args_post, &[], Values),
        Variable::ArgsPostNames => (&tx.args_post, &[], Names),
        Variable::RequestHeaders => (&tx.request_headers, &[], Values),
        Variable::RequestHeadersNames => (&tx.request_headers, &[], Names),
        Variable::RequestCookies => (&tx.request_cookies, &[], Values),
        Variable::RequestCookiesNames => (&tx.request_cookies, &[], Names),
        Variable::ResponseHeaders => (&tx.response_headers, &[], Values),
        Variable::ResponseHeadersNames => (&tx.response_headers, &[], Names),
        Variable::Xml => (&tx.body.xml, &[], Values),
        Variable::Files => (&tx.body.files.files, &[], Values),
        Variable::FilesNames => (&tx.body.files.files, &[], Names),
        Variable::MultipartPartHeaders => (&tx.body.files.headers, &[], Values),
        Variable::FilesSizes => {
            for (name, size) in &tx.body.files.sizes {
                let key = Key::Text(*name);
                if selects(plan, tx, &target.selector, key) {
                    items.push(Item {
                        variable: Variable::FilesSizes,
                        key,
                        value: Datum::Number(*size as i64),
                    });
                }
            }
            return;
        }
        Variable::Env
        | Variable::FilesTmpnames
        | Variable::Geo
        | Variable::Global
        | Variable::Ip
        | Variable::Resource
        | Variable::Rule
        | Variable::Session
        | Variable::User => {
            let wanted = match &target.selector {
                Selector::Name(name) => Some(name.as_ref()),
                Selector::Whole | Selector::Slot(_) | Selector::Pattern(_) => None,
            };
            for (name, value) in rare::named(plan, tx, target.variable, wanted) {
                let key = Key::Text(tx.texts.push(&name));
                if selects(plan, tx, &target.selector, key) {
                    items.push(Item {
                        variable: target.variable,
                        key,
                        value,
                    });
                }
            }
            return;
        }
        Variable::FilesTmpContent => (&tx.body.files.contents, &[], Values),
        Variable::Tx => return tx_values(plan, tx, &target.selector, items),
        Variable::MatchedVars | Variable::MatchedVarsNames => {
            for at in 0..tx.matched.len() {
                let Some(item) = tx.matched.get(at).copied() else { break };
                let name = name(plan, tx, item);
                let key = tx.texts.push(&name);
                if selects(plan, tx, &target.selector, Key::Text(key)) {
                    let value = if target.variable == Variable::MatchedVars {
                        item.value
                    } else {
                        Datum::Text(key)
                    };
                    items.push(Item {
                        variable: target.variable,
                        key: Key::Text(key),
                        value,
                    });
                }
            }
            return;
        }
        single => {
            let value = single_value(plan, tx, single);
            items.extend(value.map(|value| Item {
                variable: single,
                key: Key::None,
                value,
            }));
            return;
        }
    };
    for field in fields.iter().chain(more) {
        if selects(plan, tx, &target.selector, Key::Text(field.name)) {
            let value = match part {
                Values => field.value,
                Names => field.name,
            };
            items.push(Item {
                variable: target.variable,
                key: Key::Text(field.name),
                value: Datum::Text(value),
            });
        }
    }
}

/// Which part of a field is the value.
#[derive(Debug, Clone, Copy)]
enum Part {
    Values,
    Names,
}

fn tx_values(plan: &Plan, tx: &mut Transaction, selector: &Selector, items: &mut Vec<Item>) {
    match selector {
        Selector::Slot(wanted) => return items.extend(slot(*wanted, tx.tx.get(*wanted))),
        Selector::Pattern(pattern) => {
            let found = pattern.slots().iter();
            items.extend(found.filter_map(|found| slot(*found, tx.tx.get(*found))));
        }
        Selector::Whole | Selector::Name(_) => {
            for (index, value) in tx.tx.slots() {
                let key = Key::Slot(Slot::at(index));
                if selects(plan, tx, selector, key) {
                    items.extend(in_tx(key, value));
                }
            }
        }
    }
    for (name, value) in tx.tx.dynamic() {
        let key = Key::Text(name);
        if selects(plan, tx, selector, key) {
            items.extend(in_tx(key, value));
        }
    }
}

/// What stands in a slot of `TX`.
pub(super) fn slot(slot: Slot, value: Value) -> Option<Item> {
    in_tx(Key::Slot(slot), value)
}

fn in_tx(key: Key, value: Value) -> Option<Item> {
    Some(Item {
        variable: Variable::Tx,
        key,
        value: value.datum()?,
    })
}

fn single_value(plan: &Plan, tx: &mut Transaction, variable: Variable) -> Option<Datum> {
    let flag = |set: bool| Some(Datum::Number(i64::from(set)));
    match variable {
        Variable::ArgsCombinedSize => {
            let length = |field: &Field| tx.texts.get(field.name).len() + tx.texts.get(field.value).len();
            Some(Datum::Number(
                tx.args_get.iter().chain(&tx.args_post).map(length).sum::<usize>() as i64,
            ))
        }
        Variable::FilesCombinedSize => Some(Datum::Number(
            tx.body.files.sizes.iter().map(|(_, size)| *size).sum::<usize>() as i64,
        )),
        Variable::HighestSeverity => Some(Datum::Number(i64::from(tx.highest_severity))),
        Variable::InboundDataError => flag(tx.body.overflow == Parsed::TooMany),
        Variable::OutboundDataError => flag(tx.outbound_error == Parsed::TooMany),
        Variable::UrlencodedError => flag(tx.body.escapes == Parsed::BrokenEscape),
        Variable::ReqbodyError | Variable::ReqbodyProcessorError => flag(tx.body.error.is_some()),
        Variable::ReqbodyErrorMsg | Variable::ReqbodyProcessorErrorMsg => tx.body.error.map(Datum::Text),
        Variable::RequestBody => tx.body.text.map(Datum::Text),
        Variable::RequestBodyLength => Some(Datum::Number(tx.body.length as i64)),
        Variable::ResponseBody => tx.response_text.map(Datum::Text),
        Variable::ResponseContentLength => tx
            .response_text
            .map(|text| Datum::Number(tx.texts.get(text).len() as i64)),
        Variable::ResponseStatus => tx.response_status.map(|status| Datum::Number(i64::from(status))),
        Variable::ResponseContentType => {
            let media = tx.response_type()?.to_vec();
            Some(Datum::Text(tx.texts.push(&media)))
        }
        Variable::MatchedVar => tx.matched.last().map(|item| item.value),
        Variable::MatchedVarName => {
            let item = tx.matched.last().copied()?;
            let name = name(plan, tx, item);
            Some(Datum::Text(tx.texts.push(&name)))
        }
        Variable::ReqbodyProcessor => Some(Datum::Text(tx.texts.push(tx.body.processor.name().as_bytes()))),
        _ => rare::value(plan, tx, variable).or_else(|| made(tx, variable).map(Datum::Text)),
    }
}

/// A text made of the request's head, when it is first asked for.
fn made(tx: &mut Transaction, variable: Variable) -> Option<TextId> {
    if let Some((_, text)) = tx.made.iter().find(|(known, _)| *known == variable) {
        return Some(*text);
    }
    let head = tx.head.as_ref()?;
    let value = match variable {
        Variable::ServerPort => port(tx),
        _ => from_head(head, variable)?,
    };
    let text = tx.texts.push(&value);
    tx.made.push((variable, text));
    Some(text)
}

/// The first line of the request.
pub(super) fn request_line(tx: &Transaction) -> Option<Vec<u8>> {
    from_head(tx.head.as_ref()?, Variable::RequestLine)
}

fn from_head(head: &RequestHead, variable: Variable) -> Option<Vec<u8>> {
    Some(match variable {
        Variable::QueryString => head.query.clone().unwrap_or_default(),
        Variable::RemoteAddr | Variable::RemoteHost | Variable::UseragentIp => {
            head.client.to_canonical().to_string().into_bytes()
        }
        Variable::RequestBasename => {
            let path = percent_decoded(&head.path);
            let after = memchr::memrchr2(b'/', b'\\', &path).map_or(0, |at| at + 1);
            path.get(after..).unwrap_or_default().to_vec()
        }
        Variable::RequestFilename | Variable::PathInfo => percent_decoded(&head.path),
        Variable::RequestLine => {
            let mut line = head.method.clone().into_bytes();
            line.push(b' ');
            line.extend(raw_uri(head));
            line.push(b' ');
            line.extend_from_slice(protocol(head).as_bytes());
            line
        }
        Variable::RequestMethod => head.method.clone().into_bytes(),
        Variable::RequestProtocol | Variable::ResponseProtocol => protocol(head).into_bytes(),
        Variable::RequestUri => uri(head),
        Variable::RequestUriRaw => raw_uri(head),
        Variable::ServerName => head.host.clone().into_bytes(),
        Variable::UniqueId => head.id.clone().into_bytes(),
        _ => return None,
    })
}

/// The port that `Host` names; that of HTTP where it names none.
fn port(tx: &Transaction) -> Vec<u8> {
    let host = tx.request_header(b"host").next();
    let digits = host
        .and_then(|host| memchr::memrchr(b':', host).and_then(|at| host.get(at + 1..)))
        .filter(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
    digits.unwrap_or(b"80").to_vec()
}

fn raw_uri(head: &RequestHead) -> Vec<u8> {
    head.target.clone().unwrap_or_else(|| uri(head))
}

/// Path, query and, where one was sent, fragment; never the host.
fn uri(head: &RequestHead) -> Vec<u8> {
    let mut uri = head.path.clone();
    if let Some(query) = &head.query {
        uri.push(b'?');
        uri.extend_from_slice(query);
    }
    if let Some(target) = &head.target
        && let Some(at) = memchr::memchr(b'#', target)
    {
        uri.extend_from_slice(target.get(at..).unwrap_or_default());
    }
    uri
}

/// As ModSecurity writes it: with a minor version, also where HTTP has none.
fn protocol(head: &RequestHead) -> String {
    match head.version.as_str() {
        "2" => "HTTP/2.0".to_owned(),
        "3" => "HTTP/3.0".to_owned(),
        version => format!("HTTP/{version}"),
    }
}
