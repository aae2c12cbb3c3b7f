//! Registering an endpoint, and changing one: one form.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::webhooks::signature::VerificationToken;
use trousseau_domain::webhooks::target::WebhookUrl;
use trousseau_domain::webhooks::{Dialect, EndpointDescription, MilestonEvent, WebhookEvent};
use trousseau_service::ServiceError;
use trousseau_service::idempotency::Answered;
use trousseau_service::webhooks::{EndpointChange, EndpointDraft, EndpointView, IssuedEndpoint};

use super::endpoints::{Row, dialect_label};
use super::secrets::{self, Moment};
use super::{Parts, at_home, base, endpoint_of, is_live, path_of};
use crate::dashboard::events::happened;
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::frame::Frame;
use crate::dashboard::once::{kept, once, once_more, sent_once};
use crate::dashboard::session::{Entered, Stop, WriteWebhooks};
use crate::dashboard::text::{Texts, message};
use crate::router::Web;

/// The form as it is sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    once: String,
    url: String,
    description: String,
    dialect: String,
    event: Vec<String>,
    token: String,
}

impl Fields {
    fn dialect(&self) -> Dialect {
        self.dialect.parse().unwrap_or(Dialect::Standard)
    }

    /// The types that were ticked, of those that the dialect has: the form without script shows both lists.
    fn event_types(&self) -> Vec<String> {
        let known = |name: &&String| match self.dialect() {
            Dialect::Standard => name.parse::<WebhookEvent>().is_ok(),
            Dialect::Mileston => name.parse::<MilestonEvent>().is_ok(),
        };
        self.event.iter().filter(known).cloned().collect()
    }
}

/// What the form says, once it makes sense.
struct Wanted {
    url: WebhookUrl,
    description: Option<EndpointDescription>,
    token: Option<VerificationToken>,
}

/// A type of event to tick.
#[derive(Debug)]
struct Choice {
    name: &'static str,
    /// What it is in words.
    label: String,
    ticked: bool,
}

/// The types of events about one thing.
#[derive(Debug)]
struct Group {
    label: String,
    choices: Vec<Choice>,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/webhooks/form.html")]
struct FormPage<'a> {
    frame: &'a Frame,
    base: String,
    action: String,
    /// The endpoint that is changed; none where one is registered.
    editing: Option<Row>,
    fields: Fields,
    is_mileston: bool,
    groups: Vec<Group>,
    mileston: Vec<Choice>,
    errors: FormErrors,
    live: bool,
}

fn groups(ticked: &[String], t: Texts) -> Vec<Group> {
    let mut by_thing: BTreeMap<u8, Group> = BTreeMap::new();
    for event in WebhookEvent::all() {
        let name = event.as_str();
        let (place, label) = match name.split_once('.').map_or(name, |(thing, _)| thing) {
            "payment" | "payment_link" | "invoice" | "recurring_payment" | "deposit" => {
                (0, t.get("webhooks-about-payments"))
            }
            "key" => (1, t.get("webhooks-about-keys")),
            "webhook_endpoint" => (2, t.get("webhooks-about-webhooks")),
            _ => (3, t.get("webhooks-about-business")),
        };
        let choice = Choice { name, label: happened(name, t), ticked: ticked.iter().any(|ticked| ticked == name) };
        by_thing.entry(place).or_insert_with(|| Group { label, choices: Vec::new() }).choices.push(choice);
    }
    by_thing.into_values().collect()
}

fn read(fields: &Fields, t: Texts, errors: &mut FormErrors) -> Option<Wanted> {
    let url = errors.read("url", fields.url.trim().parse::<WebhookUrl>(), t.get("webhooks-wrong-url"));
    let description = EndpointDescription::parse_optional(&fields.description);
    let description = errors.read("description", description, t.get("webhooks-wrong-description"));
    let token = fields.token.trim();
    let token = match fields.dialect() {
        Dialect::Mileston if !token.is_empty() => {
            errors.read("token", token.parse::<VerificationToken>(), t.get("webhooks-wrong-token"))
        }
        Dialect::Mileston | Dialect::Standard => None,
    };
    if !errors.is_empty() {
        return None;
    }
    Some(Wanted { url: url?, description: description?, token })
}

/// What the service found wrong, at the controls that it concerns.
fn told(problems: &[trousseau_service::FieldProblem], t: Texts, errors: &mut FormErrors) {
    for problem in problems {
        match problem.field {
            "event_types" => errors.add("events", t.get("webhooks-wrong-events")),
            "verification_token" => errors.add("token", t.get("webhooks-wrong-token")),
            _ => errors.add("url", t.get("webhooks-forbidden-url")),
        }
    }
}

fn draw(
    entered: &Entered<WriteWebhooks>,
    status: StatusCode,
    view: Option<&EndpointView>,
    fields: Fields,
    errors: FormErrors,
) -> Response {
    let frame = at_home(entered.frame.clone());
    let editing = view.map(|view| Row::of(&frame, view));
    let home = base(&frame);
    let chosen = fields.event.clone();
    let mileston = MilestonEvent::VOCABULARY.iter().map(|event| event.as_str());
    let template = FormPage {
        action: editing.as_ref().map_or_else(|| format!("{home}/create"), |row| format!("{}/edit", row.path)),
        is_mileston: fields.dialect() == Dialect::Mileston,
        groups: groups(&chosen, frame.t),
        mileston: mileston
            .map(|name| Choice { name, label: String::new(), ticked: chosen.iter().any(|chosen| chosen == name) })
            .collect(),
        live: is_live(entered),
        frame: &frame,
        base: home,
        editing,
        fields,
        errors,
    };
    frame.page_with(status, &template)
}

/// The form of a new endpoint.
pub(super) async fn create_form(State(web): State<Web>, entered: Entered<WriteWebhooks>) -> Result<Response, Stop> {
    entered.prove_first(&entered.frame.here)?;
    let once = once(&web);
    let fields = Fields { once, dialect: Dialect::Standard.to_string(), ..Fields::default() };
    Ok(draw(&entered, StatusCode::OK, None, fields, FormErrors::new()))
}

/// Registers the endpoint.
pub(super) async fn create(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let t = entered.frame.t;
    let mut errors = FormErrors::new();
    let Some(wanted) = read(&fields, t, &mut errors) else {
        return Ok(draw(&entered, StatusCode::UNPROCESSABLE_ENTITY, None, fields, errors));
    };
    let draft = EndpointDraft {
        url: wanted.url,
        description: wanted.description,
        dialect: fields.dialect(),
        event_types: fields.event_types(),
        token: wanted.token,
    };
    let render = |issued: &IssuedEndpoint| kept(&issued.view.endpoint.id);
    let path = format!("/{}/{}/webhook", entered.tenant.business, entered.tenant.environment);
    let idempotent = sent_once(&entered.person, &entered.frame, &path, &fields.once, &fields, &render);
    let home = base(&entered.frame);
    match web.app.webhooks().create(&entered.context, &entered.tenant, &draft, idempotent.as_ref()).await {
        Ok(Answered::Done(issued)) => Ok(secrets::page(&entered, &issued, Moment::Made)),
        Ok(Answered::Replayed(_)) => Ok(entered.frame.done(&home, message!("flash-form-sent-already"), "")),
        Err(ServiceError::Invalid(problems)) => {
            told(&problems, t, &mut errors);
            Ok(draw(&entered, StatusCode::UNPROCESSABLE_ENTITY, None, fields, errors))
        }
        Err(ServiceError::EndpointLimitReached(_)) => {
            errors.add("url", t.get("webhooks-full"));
            Ok(draw(&entered, StatusCode::CONFLICT, None, fields, errors))
        }
        Err(ServiceError::IdempotencyKeyReused) => {
            let fields = Fields { once: once_more(&web, t, &mut errors), ..fields };
            Ok(draw(&entered, StatusCode::CONFLICT, None, fields, errors))
        }
        Err(error) => Err(entered.refused(error, &format!("{home}/create"))),
    }
}

/// The form of an endpoint that is there.
pub(super) async fn edit_form(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    parts: Parts,
) -> Result<Response, Stop> {
    let view = endpoint_of(&web, &entered, &parts).await?;
    entered.prove_first(&entered.frame.here)?;
    let endpoint = &view.endpoint;
    let fields = Fields {
        url: endpoint.url.to_string(),
        description: endpoint.description.as_ref().map(ToString::to_string).unwrap_or_default(),
        dialect: endpoint.subscription.dialect().to_string(),
        event: endpoint.subscription.names().into_iter().map(ToOwned::to_owned).collect(),
        ..Fields::default()
    };
    Ok(draw(&entered, StatusCode::OK, Some(&view), fields, FormErrors::new()))
}

/// Changes the endpoint.
pub(super) async fn edit(
    State(web): State<Web>,
    entered: Entered<WriteWebhooks>,
    parts: Parts,
    Form(mut fields): Form<Fields>,
) -> Result<Response, Stop> {
    let view = endpoint_of(&web, &entered, &parts).await?;
    let (t, endpoint) = (entered.frame.t, &view.endpoint);
    // The dialect is not in the form: it never changes.
    fields.dialect = endpoint.subscription.dialect().to_string();
    let mut errors = FormErrors::new();
    let Some(wanted) = read(&fields, t, &mut errors) else {
        return Ok(draw(&entered, StatusCode::UNPROCESSABLE_ENTITY, Some(&view), fields, errors));
    };
    let change = EndpointChange {
        url: (wanted.url != endpoint.url).then_some(wanted.url),
        description: (wanted.description != endpoint.description).then_some(wanted.description),
        event_types: Some(fields.event_types()),
        state: None,
    };
    let page = path_of(&entered.frame, endpoint.id);
    match web.app.webhooks().update(&entered.context, &entered.tenant, endpoint.id, &change).await {
        Ok(new) => Ok(entered.frame.done(&page, message!("flash-webhook-saved"), new.endpoint.url.as_str())),
        Err(ServiceError::Invalid(problems)) => {
            told(&problems, t, &mut errors);
            Ok(draw(&entered, StatusCode::UNPROCESSABLE_ENTITY, Some(&view), fields, errors))
        }
        Err(error) => Err(entered.refused(error, &format!("{page}/edit"))),
    }
}

impl FormPage<'_> {
    fn dialects(&self) -> [(&'static str, String, String, bool); 2] {
        let t = self.frame.t;
        let choice = |dialect: Dialect, hint: String| {
            (dialect.as_str(), dialect_label(dialect, t), hint, (dialect == Dialect::Mileston) == self.is_mileston)
        };
        [
            choice(Dialect::Standard, t.get("webhooks-standard-hint")),
            choice(Dialect::Mileston, t.get("webhooks-mileston-hint")),
        ]
    }
}
