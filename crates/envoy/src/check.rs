//! What Envoy tells, as a question; the answer, as what Envoy does.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, StatusCode};
use tonic::Code;
use trousseau_web::gateway::{Asked, CREDENTIALS, IDENTITY};

use crate::proto::{
    CheckRequest, CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValue, HeaderValueOption, HttpResponse,
    HttpStatus, OkHttpResponse, Status,
};

/// The names of what a caller sent under our names, in small letters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SentAsOurs(BTreeSet<String>);

/// The question that Envoy asks, and what its caller sent under our names; nothing if it is not about HTTP.
pub fn asked(request: CheckRequest) -> Option<(Asked, SentAsOurs)> {
    let attributes = request.attributes?;
    let http = attributes.request?.http?;
    // Not both are there, as Envoy does it. If they were, a credential in both would be ambiguous, and refused.
    let mut headers = Vec::with_capacity(http.headers.len());
    for header in http.headers {
        put_joined(&mut headers, &header);
    }
    for header in http.header_map.map(|map| map.headers).unwrap_or_default() {
        let value = if header.raw_value.is_empty() { header.value } else { header.raw_value };
        headers.push((header.key.to_vec(), value.to_vec()));
    }
    // Envoy adds the head of HTTP/2 (`:path` and the like), which is told of elsewhere too.
    headers.retain(|(name, _)| !name.starts_with(b":"));
    let sent = headers.iter().filter_map(|(name, _)| ours(name)).collect();
    let mut target = String::from_utf8_lossy(&http.path).into_owned();
    if !http.query.is_empty() {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(&String::from_utf8_lossy(&http.query));
    }
    let source = attributes.source.and_then(|peer| peer.address?.socket_address).map(|socket| socket.address);
    let configured = attributes.context_extensions.into_iter().collect();
    let (method, scheme) = (http.method, http.scheme);
    let asked = Asked { method, target, headers, source, scheme, configured, traceparent: None };
    Some((asked, SentAsOurs(sent)))
}

/// A header whose values Envoy has joined by commas. Of a credential each part is one of its own: whether the comma was
/// sent or put there, nobody can tell, and two keys must not pass as one. A key with a comma in it needs
/// `encode_raw_headers`.
fn put_joined(headers: &mut Vec<(Vec<u8>, Vec<u8>)>, header: &HeaderValue) {
    let name = header.key.to_vec();
    if CREDENTIALS.iter().any(|credential| credential.as_bytes().eq_ignore_ascii_case(&name)) {
        for part in header.value.split(|byte| *byte == b',') {
            headers.push((name.clone(), part.trim_ascii().to_vec()));
        }
    } else {
        headers.push((name, header.value.to_vec()));
    }
}

/// The name in small letters, if an upstream might take it for one of ours: some read underscores as dashes.
fn ours(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    name.replace('_', "-").starts_with("x-trousseau-").then_some(name)
}

/// What Envoy does with the request.
pub fn answered(answer: http::Response<Bytes>, sent: &SentAsOurs) -> CheckResponse {
    let (head, body) = answer.into_parts();
    if head.status == StatusCode::OK {
        return CheckResponse {
            status: Some(Status { code: Code::Ok.into() }),
            http_response: Some(HttpResponse::Ok(handed_on(&head.headers, sent))),
        };
    }
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: head.status.as_u16().into() }),
        headers: told(&head.headers),
        body,
    };
    CheckResponse {
        status: Some(Status { code: code(head.status).into() }),
        http_response: Some(HttpResponse::Denied(denied)),
    }
}

/// Who calls goes to the upstream; the key stays behind, and so does what a caller said under our names.
fn handed_on(headers: &HeaderMap, sent: &SentAsOurs) -> OkHttpResponse {
    let identity = headers.iter().filter(|(name, _)| name.as_str().starts_with("x-trousseau-"));
    let told = identity.map(|(name, value)| option(name.as_str(), value.as_bytes())).collect();
    // Envoy need not have told of all headers, so that those which we could have set go whether or not they were sent.
    let names = IDENTITY.iter().copied().chain(sent.0.iter().map(String::as_str));
    let unset: BTreeSet<&str> = names.filter(|name| !headers.contains_key(*name)).collect();
    let removed = CREDENTIALS.into_iter().chain(unset).map(str::to_owned).collect();
    OkHttpResponse { headers: told, headers_to_remove: removed }
}

/// The headers that the caller is told.
fn told(headers: &HeaderMap) -> Vec<HeaderValueOption> {
    // Its length is Envoy's to say, and whether the gateway's name is for HTTPS alone is its operator's.
    let others = headers.iter().filter(|(name, _)| ![CONTENT_LENGTH, STRICT_TRANSPORT_SECURITY].contains(name));
    others.map(|(name, value)| option(name.as_str(), value.as_bytes())).collect()
}

/// A header in place of those of its name that Envoy has.
fn option(name: &str, value: &[u8]) -> HeaderValueOption {
    let header = HeaderValue {
        key: Bytes::copy_from_slice(name.as_bytes()),
        value: Bytes::copy_from_slice(value),
        raw_value: Bytes::new(),
    };
    HeaderValueOption { header: Some(header), append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into() }
}

/// The code of gRPC that says most of what a status of HTTP does. Envoy asks only whether it is 0.
const fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        429 => Code::ResourceExhausted,
        400..=499 => Code::InvalidArgument,
        _ => Code::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Address, AttributeContext, HttpRequest, Peer, Request, SocketAddress};

    fn header(name: &str, value: &[u8], raw: &[u8]) -> HeaderValue {
        HeaderValue {
            key: Bytes::copy_from_slice(name.as_bytes()),
            value: Bytes::copy_from_slice(value),
            raw_value: Bytes::copy_from_slice(raw),
        }
    }

    fn request(http: HttpRequest) -> CheckRequest {
        let address = Address { socket_address: Some(SocketAddress { address: "203.0.113.7".to_owned() }) };
        let attributes = AttributeContext {
            source: Some(Peer { address: Some(address) }),
            request: Some(Request { http: Some(http) }),
            context_extensions: [("scope".to_owned(), "a:b".to_owned())].into(),
        };
        CheckRequest { attributes: Some(attributes) }
    }

    fn pairs(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&str, &[u8])> {
        headers.iter().map(|(name, value)| (std::str::from_utf8(name).expect("text"), value.as_slice())).collect()
    }

    #[test]
    fn joined_credentials_come_apart_and_nothing_else_does() {
        let headers = vec![
            header(":path", b"/secret", b""),
            header("apikey", b"one,two", b""),
            header("Authorization", b"Bearer x, Bearer y", b""),
            header("accept", b"a, b", b""),
        ];
        let (asked, _) = asked(request(HttpRequest { headers, ..HttpRequest::default() })).expect("HTTP");
        let parts: Vec<(&str, &[u8])> = vec![
            ("apikey", b"one"),
            ("apikey", b"two"),
            ("Authorization", b"Bearer x"),
            ("Authorization", b"Bearer y"),
            ("accept", b"a, b"),
        ];
        assert_eq!(pairs(&asked.headers), parts);
        assert_eq!(asked.source.as_deref(), Some("203.0.113.7"));
        assert_eq!(asked.configured, [("scope".to_owned(), "a:b".to_owned())]);
    }

    #[test]
    fn raw_headers_are_taken_as_they_are() {
        let headers = vec![
            header("apikey", b"", b"one, two"),
            header("apikey", b"three", b""),
            header("x", b"", b"\xff"),
            header("X_Trousseau-Key", b"", b"forged"),
        ];
        let header_map = Some(crate::proto::HeaderMap { headers });
        let (asked, sent) = asked(request(HttpRequest {
            header_map,
            path: Bytes::from_static(b"/a?b=\xff"),
            query: Bytes::from_static(b"c=1"),
            ..HttpRequest::default()
        }))
        .expect("HTTP");
        let whole: Vec<(&str, &[u8])> =
            vec![("apikey", b"one, two"), ("apikey", b"three"), ("x", b"\xff"), ("X_Trousseau-Key", b"forged")];
        assert_eq!(pairs(&asked.headers), whole);
        assert_eq!(asked.target, "/a?b=\u{fffd}&c=1");
        assert_eq!(sent.0, ["x_trousseau-key".to_owned()].into());
    }

    #[test]
    fn what_is_not_http_is_no_question() {
        for attributes in [
            None,
            Some(AttributeContext::default()),
            Some(AttributeContext { request: Some(Request { http: None }), ..AttributeContext::default() }),
        ] {
            assert!(asked(CheckRequest { attributes }).is_none());
        }
    }

    #[test]
    fn the_key_and_what_was_forged_stay_behind() {
        let answer = http::Response::builder()
            .header("x-trousseau-key", "key_1")
            .header("x-request-id", "ab")
            .body(Bytes::new())
            .expect("an answer");
        let sent = ["x-trousseau-key", "x_trousseau_key", "x-trousseau-require-scope", "x-trousseau-assertion"];
        let sent = SentAsOurs(sent.map(str::to_owned).into());
        let response = answered(answer, &sent);
        assert_eq!(response.status, Some(Status { code: 0 }));
        let Some(HttpResponse::Ok(ok)) = response.http_response else { unreachable!("it was let in") };
        assert_eq!(ok.headers.len(), 1);
        assert_eq!(ok.headers[0].append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
        let removed: BTreeSet<&str> = ok.headers_to_remove.iter().map(String::as_str).collect();
        for name in CREDENTIALS.iter().chain(&["x_trousseau_key", "x-trousseau-require-scope"]) {
            assert!(removed.contains(name), "{name}");
        }
        for name in IDENTITY {
            assert_eq!(removed.contains(name), name != "x-trousseau-key", "{name}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_status_headers_and_body() {
        for (status, code) in [(400, 3), (401, 16), (403, 7), (429, 8), (431, 3), (500, 14), (503, 14)] {
            let answer = http::Response::builder()
                .status(status)
                .header("www-authenticate", "Basic")
                .header("www-authenticate", "Bearer")
                .header("retry-after", "1")
                .header("strict-transport-security", "max-age=1")
                .body(Bytes::from_static(b"{}"))
                .expect("an answer");
            let response = answered(answer, &SentAsOurs::default());
            assert_eq!(response.status, Some(Status { code }));
            let Some(HttpResponse::Denied(denied)) = response.http_response else { unreachable!("it was refused") };
            assert_eq!((denied.status, denied.body), (Some(HttpStatus { code: status.into() }), Bytes::from("{}")));
            let told: Vec<_> = denied.headers.iter().filter_map(|option| Some(option.header.clone()?.value)).collect();
            assert_eq!(told, ["Basic", "Bearer", "1"]);
        }
    }

    #[test]
    fn nothing_of_a_message_is_printed() {
        let headers = vec![header("apikey", b"canary", b"canary")];
        let message = request(HttpRequest { headers, path: Bytes::from_static(b"/canary"), ..HttpRequest::default() });
        assert_eq!(format!("{message:?}"), "CheckRequest");
        let (asked, _) = asked(message).expect("HTTP");
        assert_eq!(format!("{asked:?}"), "Asked");
    }
}
