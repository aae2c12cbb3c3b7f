//! What a connection asks first: the two questions of [`crate::fast`], as bytes come in, and their answers as they go out.
//!
//! Most connections on which anything is asked often ask nothing else: those of gateways and of services that check keys.
//! Reading such a request takes no server of HTTP with all that it has to be ready for. Nothing is read here but a whole
//! head of HTTP/1.1 without a body; whatever else comes is left as it is, for a server that knows all of it.

use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use trousseau_domain::credential::{AcceptedForms, CredentialHeaders};
use trousseau_domain::decision::{Demand, Transport};
use trousseau_domain::ids::RequestId;
use trousseau_domain::time::Timestamp;
use trousseau_service::access::{Accepted, RequestFacts};
use trousseau_service::requests::CallTrace;

use crate::api::authorize::{self, Demands};
use crate::api::whoami::WhoamiBody;
use crate::authority::{Arrived, Sent, accept_for_gateway_at_once};
use crate::connection::{CallerAddress, Peer};
use crate::dialect::AUTHORIZE;
use crate::edge;
use crate::fast::{Application, Doors, Question, WHOAMI, collected};
use crate::fields::{Fields as _, Written, write_field};
use crate::limits;

/// Header fields that a question has room for; the server behind takes as many as hyper does.
const MOST_FIELDS: usize = 100;
/// The longest name of a field that [`Plain`] knows.
const LONGEST_NAME: usize = 15;
/// What a question begins with.
const BEGINNINGS: [&[u8]; 2] = [b"GET /v1/whoami", b"GET /v1/authorize"];

/// An answer that is still to come.
pub type Pending = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

/// What stands at the beginning of some bytes.
pub enum Next {
    /// A question of so many bytes. Its answer is written.
    Answered(usize),
    /// A question of so many bytes, whose answer takes longer.
    Asked(usize, Pending),
    /// Nothing or the beginning of a question, of which more has to be read.
    Incomplete,
    /// Something else. Nothing was done.
    Other,
}

impl std::fmt::Debug for Next {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Answered(_) => "Answered",
            Self::Asked(..) => "Asked",
            Self::Incomplete => "Incomplete",
            Self::Other => "Other",
        })
    }
}

/// The questions of one connection.
#[derive(Debug)]
pub struct Questions {
    doors: Arc<Doors>,
    peer: Peer,
    caller: CallerAddress,
    /// Who has to wait where it sends mostly bad keys.
    address: Option<IpAddr>,
    trace: CallTrace,
    date: Date,
}

impl Application {
    /// What a connection asks first.
    pub fn questions(&self, peer: Peer) -> Questions {
        let doors = Arc::clone(self.doors());
        let caller = doors.edge.caller(peer, &http::HeaderMap::new());
        let address = doors.edge.own_address(caller);
        Questions { doors, peer, caller, address, trace: CallTrace::default(), date: Date::default() }
    }
}

impl Questions {
    /// Reads what stands at the beginning of `bytes`; the answer is written behind what is in `out`, if it is there at once.
    /// `closes` where the connection ends with it.
    pub fn next(&mut self, bytes: &[u8], closes: bool, out: &mut Vec<u8>) -> Next {
        if !may_be_question(bytes) {
            return Next::Other;
        }
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut read = httparse::Request::new(&mut []);
        let length = match read.parse_with_uninit_headers(bytes, &mut fields) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Next::Incomplete,
            Err(_) => return Next::Other,
        };
        if read.method != Some("GET") || read.version != Some(1) {
            return Next::Other;
        }
        let question = match read.path {
            Some(WHOAMI) => Some(Question::Whoami),
            Some(AUTHORIZE) => Some(Question::Authorize),
            _ => None,
        };
        let plain = question.and_then(|question| Some((question, Plain::of(read.headers)?)));
        if let Some((question, plain)) = &plain
            && attempt(out, |out| self.answer_at_once(*question, plain, closes, out))
        {
            return Next::Answered(length);
        }
        match whole(&read) {
            // One that is plain was judged a line above.
            Some((Question::Authorize, request))
                if plain.is_none() && attempt(out, |out| self.answer_gateway_at_once(&request, closes, out)) =>
            {
                Next::Answered(length)
            }
            Some((question, request)) => {
                let (doors, peer) = (Arc::clone(&self.doors), self.peer);
                let answered = async move {
                    let (method, uri, fields) = (request.method(), request.uri(), request.headers());
                    collected(doors.answer(question, method, uri, fields, peer).await).await
                };
                Next::Asked(length, Box::pin(answered))
            }
            None => Next::Other,
        }
    }

    /// Writes an answer that took longer. `closes` where the connection ends with it.
    pub fn write(&mut self, response: &Response<Bytes>, closes: bool, out: &mut Vec<u8>) {
        let status = response.status();
        let reason = status.canonical_reason().unwrap_or_default();
        out.extend_from_slice(b"HTTP/1.1 ");
        for text in [status.as_str(), " ", reason, "\r\n"] {
            out.extend_from_slice(text.as_bytes());
        }
        for (name, value) in response.headers().iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
            write_field(out, name.as_str(), |out| out.extend_from_slice(value.as_bytes()));
        }
        end_head(response.body().len(), self.date.at(self.doors.now()), closes, out);
        out.extend_from_slice(response.body());
    }

    /// Writes the answer to a question whose key is found good at once; otherwise nothing has happened, but that something
    /// may have been written.
    fn answer_at_once(&mut self, question: Question, plain: &Plain<'_>, closes: bool, out: &mut Vec<u8>) -> Option<()> {
        let Self { doors, caller: came_from, address, trace, date, .. } = self;
        // A gateway stands for others, whose doing its questions are.
        let address = address.filter(|_| matches!(question, Question::Whoami));
        if doors.edge.has_traces() || address.is_some_and(|address| doors.edge.slows(address)) {
            return None;
        }
        let request_id = doors.edge.request_id();
        let facts = RequestFacts {
            headers: plain.credential(),
            accepted: AcceptedForms::All,
            method: "GET",
            path: question.route(),
            route: question.route(),
            query: None,
            origin: None,
            from_browser: false,
            address: came_from.ip,
            transport: if came_from.protected { Transport::Protected } else { Transport::Plain },
            user_agent: plain.user_agent.and_then(readable),
            request_id,
            trace,
            is_question: true,
        };
        let accepted = doors.web.app.access().accept_at_once(&facts, &Demand::default())?;
        let told = Told { request_id, assertion: None, closes };
        doors.write_accepted(question, accepted, told, date, out);
        doors.edge.heard_of(address, StatusCode::OK);
        Some(())
    }

    /// The same for a question of a gateway, which says in its head what its caller has said.
    fn answer_gateway_at_once(&mut self, request: &Request<()>, closes: bool, out: &mut Vec<u8>) -> Option<()> {
        let Self { doors, peer, trace, date, .. } = self;
        let (uri, headers) = (request.uri(), request.headers());
        if doors.edge.has_traces() || edge::check(&doors.edge, headers, uri).is_err() {
            return None;
        }
        let demands = Demands::of_query(uri).and_then(|demands| demands.and_of_headers(headers));
        let (demand, audience) = demands.ok()?.into_parts();
        let request_id = doors.edge.request_id();
        let arrived = Arrived {
            route: AUTHORIZE,
            original: None,
            caller: doors.edge.caller(*peer, headers),
            request_id,
            trace: trace.clone(),
            is_question: true,
        };
        let sent = Sent::new(request.method(), uri, headers, arrived);
        let accepted = accept_for_gateway_at_once(&sent, &doors.web, &demand)?;
        let sign = |audience| doors.web.app.assertions().sign(&accepted.caller, &audience, request_id);
        let told = Told { request_id, assertion: audience.map(sign), closes };
        doors.write_accepted(Question::Authorize, accepted, told, date, out);
        Some(())
    }
}

/// What an answer tells beside who calls.
struct Told {
    request_id: RequestId,
    assertion: Option<String>,
    /// That the connection ends with it.
    closes: bool,
}

impl Doors {
    /// Writes the good answer to a question and notes it.
    fn write_accepted(&self, question: Question, accepted: Accepted, told: Told, date: &mut Date, out: &mut Vec<u8>) {
        let (Told { request_id, assertion, closes }, caller) = (told, &accepted.caller);
        out.extend_from_slice(self.good_head(question));
        if matches!(question, Question::Authorize) {
            authorize::tell(caller, assertion.as_deref(), &self.web, &mut Written(out));
        }
        limits::write(&mut Written(out), &accepted.allowances);
        edge::name(&mut Written(out), request_id);
        match question {
            Question::Whoami => WhoamiBody::of(caller).in_pieces(|pieces| {
                end_head(pieces.iter().map(|piece| piece.len()).sum(), date.at(accepted.at), closes, out);
                for piece in pieces {
                    out.extend_from_slice(piece);
                }
            }),
            Question::Authorize => end_head(0, date.at(accepted.at), closes, out),
        }
        let took = accepted.took();
        self.measure(question, "GET", StatusCode::OK, took);
        self.web.app.requests().record_accepted(accepted, took);
    }
}

/// Whether this writes an answer. Otherwise nothing is written, and the answer that takes longer tells why, of a panic too.
fn attempt(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> bool {
    let before = out.len();
    let answered = catch_unwind(AssertUnwindSafe(|| write(out)));
    let is_answered = matches!(answered, Ok(Some(())));
    if !is_answered {
        out.truncate(before);
    }
    is_answered
}

/// The last fields of a head and its end.
fn end_head(body_bytes: usize, date: &[u8], closes: bool, out: &mut Vec<u8>) {
    if closes {
        Written(out).put_fixed("connection", "close");
    }
    Written(out).put("content-length", itoa::Buffer::new().format(body_bytes).as_bytes());
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\n");
}

/// Whether a question may begin like this.
fn may_be_question(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| {
        let compared = beginning.len().min(bytes.len());
        bytes[..compared] == beginning[..compared]
    })
}

/// The fields of a question that says nothing but who asks, and what every client says.
#[derive(Debug, Default)]
struct Plain<'a> {
    authorization: Option<&'a [u8]>,
    apikey: Option<&'a [u8]>,
    x_api_key: Option<&'a [u8]>,
    business_id: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
}

impl<'a> Plain<'a> {
    /// `None` where any field is there that may mean something else, or one that should be there once is not.
    fn of(fields: &[httparse::Header<'a>]) -> Option<Self> {
        let mut plain = Self::default();
        for field in fields {
            let mut name = [0; LONGEST_NAME];
            let name = name.get_mut(..field.name.len())?;
            name.copy_from_slice(field.name.as_bytes());
            name.make_ascii_lowercase();
            let place = match &*name {
                b"host" | b"accept" | b"accept-encoding" | b"accept-language" | b"cache-control" | b"content-type"
                | b"cookie" | b"pragma" => continue,
                b"connection" if field.value.eq_ignore_ascii_case(b"keep-alive") => continue,
                b"user-agent" => &mut plain.user_agent,
                b"apikey" => &mut plain.apikey,
                b"authorization" => &mut plain.authorization,
                b"businessid" => &mut plain.business_id,
                b"x-api-key" => &mut plain.x_api_key,
                _ => return None,
            };
            if place.replace(field.value).is_some() {
                return None;
            }
        }
        Some(plain)
    }

    fn credential(&self) -> CredentialHeaders<'_> {
        CredentialHeaders {
            authorization: self.authorization.as_slice(),
            apikey: self.apikey.as_slice(),
            x_api_key: self.x_api_key.as_slice(),
            business_id: self.business_id.as_slice(),
        }
    }
}

/// A value that is visible ASCII, as [`HeaderValue::to_str`] has it.
fn readable(value: &[u8]) -> Option<&str> {
    let is_visible = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    std::str::from_utf8(value).ok().filter(|_| is_visible)
}

/// The whole request, if it is a question and asks nothing of its connection.
fn whole(read: &httparse::Request<'_, '_>) -> Option<(Question, Request<()>)> {
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = read.path.filter(|path| path.starts_with('/'))?.parse::<Uri>().ok()?;
    request.headers_mut().reserve(read.headers.len());
    for field in &*read.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        match name.as_str() {
            "connection" if field.value.eq_ignore_ascii_case(b"keep-alive") => {}
            // What these mean is for a server to say.
            "connection" | "content-length" | "expect" | "transfer-encoding" | "upgrade" => return None,
            _ => {}
        }
        request.headers_mut().append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Question::of(&request).map(|question| (question, request))
}

/// The field that tells the present instant (RFC 9110 section 6.6.1), written once a second.
#[derive(Debug, Default)]
struct Date {
    second: Option<i64>,
    field: Vec<u8>,
}

impl Date {
    fn at(&mut self, now: Timestamp) -> &[u8] {
        let second = now.as_seconds();
        if self.second.replace(second) != Some(second) {
            let since = Duration::from_secs(u64::try_from(second).unwrap_or(0));
            let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since);
            self.field.clear();
            Written(&mut self.field).put("date", text.as_bytes());
        }
        &self.field
    }
}
