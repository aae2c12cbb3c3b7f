//! Developers > Events: what happened to keys, people and settings, and by whom.

use std::collections::{HashMap, HashSet};

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use trousseau_domain::events::EventType;
use trousseau_domain::ids::{AccountId, EventId};
use trousseau_domain::members::Role;
use trousseau_service::webhooks::MOST_ENDPOINTS;
use trousseau_service::{EventFilter, EventRow, ServiceError};

use super::csv::{Csv, is_file};
use super::filters::{ByKey, Check, ROWS_PER_READ, beginning, end};
use super::format::Shown;
use super::frame::{Frame, Sub, Tab, role_name};
use super::names::{Actors, KeyLink, KeyNames, Who};
use super::session::{Entered, ReadLogs, Stop};
use super::text::{Arg, Texts, message};
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// How many events a page shows.
const ROWS: u32 = 50;

/// The routes of these pages.
pub(crate) fn routes() -> Router<Web> {
    let base = "/b/{business}/{environment}/developers/events";
    Router::new().route(base, get(list)).route(&format!("{base}/{{event}}"), get(show))
}

/// What happened, in words.
pub(crate) fn happened(kind: &str, t: Texts) -> String {
    // A row of a later release may tell of something that this one has no words for.
    let Ok(kind) = kind.parse::<EventType>() else { return kind.to_owned() };
    label(kind, t)
}

fn label(kind: EventType, t: Texts) -> String {
    t.get(match kind {
        EventType::BusinessCreated => message!("event-business-created"),
        EventType::BusinessUpdated => message!("event-business-updated"),
        EventType::BusinessSuspended => message!("event-business-suspended"),
        EventType::BusinessResumed => message!("event-business-resumed"),
        EventType::PayoutAddressSet => message!("event-payout-address-set"),
        EventType::PayoutKeyProposed => message!("event-payout-key-proposed"),
        EventType::KeyCreated => message!("event-key-created"),
        EventType::KeyImported => message!("event-key-imported"),
        EventType::KeyUpdated => message!("event-key-updated"),
        EventType::KeyRotated => message!("event-key-rotated"),
        EventType::KeyRevealed => message!("event-key-revealed"),
        EventType::KeyRevoked => message!("event-key-revoked"),
        EventType::KeyEnding => message!("event-key-ending"),
        EventType::KeyUsedFromNewNetwork => message!("event-key-new-network"),
        EventType::MemberInvited => message!("event-member-invited"),
        EventType::InvitationRevoked => message!("event-invitation-revoked"),
        EventType::MemberAdded => message!("event-member-added"),
        EventType::MemberRoleChanged => message!("event-member-role-changed"),
        EventType::MemberRemoved => message!("event-member-removed"),
        EventType::WebhookEndpointCreated => message!("event-webhook-created"),
        EventType::WebhookEndpointUpdated => message!("event-webhook-updated"),
        EventType::WebhookSecretRotated => message!("event-webhook-rotated"),
        EventType::WebhookSecretRevealed => message!("event-webhook-revealed"),
        EventType::WebhookEndpointDisabled => message!("event-webhook-disabled"),
        EventType::WebhookEndpointDeleted => message!("event-webhook-deleted"),
        EventType::WebhookTest => message!("event-webhook-test"),
        EventType::CheckoutSettingsUpdated => message!("event-checkout-settings-updated"),
        EventType::PaymentLinkCreated => message!("event-payment-link-created"),
        EventType::PaymentLinkUpdated => message!("event-payment-link-updated"),
        EventType::PaymentLinkDeleted => message!("event-payment-link-deleted"),
        EventType::InvoiceCreated => message!("event-invoice-created"),
        EventType::InvoiceUpdated => message!("event-invoice-updated"),
        EventType::InvoiceSent => message!("event-invoice-sent"),
        EventType::InvoiceReminded => message!("event-invoice-reminded"),
        EventType::InvoicePaid => message!("event-invoice-paid"),
        EventType::InvoiceVoided => message!("event-invoice-voided"),
        EventType::InvoiceDeleted => message!("event-invoice-deleted"),
        EventType::RecurringPaymentCreated => message!("event-recurring-payment-created"),
        EventType::RecurringPaymentUpdated => message!("event-recurring-payment-updated"),
        EventType::RecurringPaymentHeld => message!("event-recurring-payment-held"),
        EventType::RecurringPaymentCancelled => message!("event-recurring-payment-cancelled"),
        EventType::RecurringPaymentDeleted => message!("event-recurring-payment-deleted"),
        EventType::PaymentCreated => message!("event-payment-created"),
        EventType::PaymentPartiallyPaid => message!("event-payment-partially-paid"),
        EventType::PaymentProcessing => message!("event-payment-processing"),
        EventType::PaymentSucceeded => message!("event-payment-succeeded"),
        EventType::PaymentOverpaid => message!("event-payment-overpaid"),
        EventType::PaymentReorged => message!("event-payment-reorged"),
        EventType::PaymentExpired => message!("event-payment-expired"),
        EventType::PaymentCancelled => message!("event-payment-cancelled"),
        EventType::PaymentReviewRequired => message!("event-payment-review-required"),
        EventType::PaymentResolved => message!("event-payment-resolved"),
        EventType::PaymentReversed => message!("event-payment-reversed"),
        EventType::PaymentRefunded => message!("event-payment-refunded"),
        EventType::RefundCreated => message!("event-refund-created"),
        EventType::RefundUpdated => message!("event-refund-updated"),
        EventType::RefundFailed => message!("event-refund-failed"),
        EventType::DepositUnmatched => message!("event-deposit-unmatched"),
        EventType::DepositResolved => message!("event-deposit-resolved"),
    })
}

/// What changed, member by member.
pub(crate) fn changes(event: &EventRow, t: Texts) -> Vec<String> {
    let from_to = |what: String, old: String, new: String| {
        t.with("changed-from-to", [("what", Arg::from(what)), ("old", old.into()), ("new", new.into())])
    };
    let role = |member: &str| {
        let role = event.data.get(member)?.as_str()?.parse::<Role>().ok()?;
        Some(role_name(role, t))
    };
    if let (Some(old), Some(new)) = (role("old"), role("new")) {
        return vec![from_to(t.get("events-role"), old, new)];
    }
    let Some(members) = event.data.get("changes").and_then(serde_json::Value::as_object) else { return Vec::new() };
    members
        .iter()
        .map(|(member, change)| {
            let name = t.get(match member.as_str() {
                "name" => message!("column-name"),
                "state" => message!("column-state"),
                "valid_from" => message!("column-start"),
                "valid_until" => message!("column-end"),
                "scopes" => message!("permissions"),
                "allowed_origins" => message!("origins"),
                "allowed_ips" => message!("ips"),
                "rate_limits" => message!("rates"),
                "quota_day" => message!("quota-day"),
                "quota_month" => message!("quota-month"),
                "profile" => message!("events-profile"),
                "time_zone" => message!("events-time-zone"),
                "language" => message!("events-language"),
                "url" => message!("webhooks-url"),
                "description" => message!("webhooks-description"),
                "event_types" => message!("webhooks-events"),
                "accent" => message!("checkout-accent"),
                "languages" => message!("checkout-languages"),
                "redirect_url" => message!("redirect-url"),
                "origins" => message!("checkout-origins"),
                "tolerance_amount" => message!("checkout-tolerance-amount"),
                "tolerance_per_mille" => message!("checkout-tolerance-per-mille"),
                "accepts_late" => message!("checkout-accepts-late"),
                _ => message!("metadata"),
            });
            match (change.get("old"), change.get("new")) {
                (Some(old), Some(new)) => from_to(name, told(old, t), told(new, t)),
                _ => name,
            }
        })
        .collect()
}

/// A value of an event in words.
fn told(value: &serde_json::Value, t: Texts) -> String {
    match value {
        serde_json::Value::Null => t.get("none"),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(entries) if entries.is_empty() => t.get("none"),
        serde_json::Value::Array(entries) => entries.iter().map(|entry| told(entry, t)).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// What a list was asked for.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Asked {
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
    /// The number of a key: a parameter called *key* would be taken for a key's value, and refused.
    #[serde(skip_serializing_if = "String::is_empty")]
    number: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    to: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    after: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    format: String,
}

impl Asked {
    fn href(&self, base: &str) -> String {
        match serde_html_form::to_string(self) {
            Ok(query) if !query.is_empty() => format!("{base}?{query}"),
            _ => base.to_owned(),
        }
    }
}

/// An event as the list shows it.
#[derive(Debug)]
struct Row {
    href: String,
    what: String,
    kind: String,
    changes: Vec<String>,
    key: Option<KeyLink>,
    about: Option<About>,
    who: Who,
    /// Whether it is about the whole business.
    whole: bool,
    at: Shown,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/events.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    base: String,
    asked: Asked,
    filtered: bool,
    kinds: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    next: Option<String>,
    csv: String,
}

fn base<P>(entered: &Entered<P>) -> String {
    format!("/b/{}/{}{}", entered.tenant.business, entered.tenant.environment, Sub::Events.path())
}

/// What an event is about that is no key: by what it is called, with the way to its page.
#[derive(Debug)]
struct About {
    text: String,
    /// Its page; none where it has none, or is gone.
    href: Option<String>,
}

impl About {
    fn of(frame: &Frame, event: &EventRow, endpoints: &HashSet<String>) -> Option<Self> {
        let base = frame.place.as_ref()?.base();
        let text = |path: &str| event.data.pointer(path).and_then(serde_json::Value::as_str);
        // Events of webhooks carry the id of the endpoint among their particulars.
        if event.kind.starts_with("webhook") {
            let id = text("/id").or_else(|| text("/endpoint_id"))?;
            // No page is left of one that is gone.
            let href = endpoints.contains(id).then(|| format!("{base}{}/{id}", Sub::Webhooks.path()));
            return Some(Self { text: text("/url").unwrap_or(id).to_owned(), href });
        }
        let subject = event.subject.as_deref()?;
        let (member, path) = match subject.split_once('_')?.0 {
            "pay" => ("payment", Tab::Payments.path()),
            "inv" => ("invoice", Tab::Invoices.path()),
            "plink" => ("payment_link", Tab::PaymentLinks.path()),
            "rec" => ("recurring_payment", Tab::RecurringPayments.path()),
            "rfd" => ("refund", "/payments/refunds"),
            _ => return Some(Self { text: subject.to_owned(), href: None }),
        };
        let called = ["title", "name"].into_iter().find_map(|name| text(&format!("/{member}/{name}")));
        let number = event.data.pointer(&format!("/{member}/number")).and_then(serde_json::Value::as_u64);
        let number = number.map(|number| frame.t.with("number-sign", [("number", number.to_string())]));
        let named: Vec<String> = number.into_iter().chain(called.map(str::to_owned)).collect();
        Some(Self {
            text: if named.is_empty() { subject.to_owned() } else { named.join(" · ") },
            href: (!event.kind.ends_with(".deleted")).then(|| format!("{base}{path}/{subject}")),
        })
    }
}

/// The names that the pages speak by.
struct Names {
    keys: KeyNames,
    actors: Actors,
    /// The ids of the webhook endpoints that are there, where events are about some.
    endpoints: HashSet<String>,
}

impl Names {
    async fn of(web: &Web, entered: &Entered<ReadLogs>) -> Result<Self, ServiceError> {
        let (keys, actors) = (KeyNames::of(web, entered).await?, Actors::of(web, entered).await?);
        Ok(Self { keys, actors, endpoints: HashSet::new() })
    }

    /// Those that these events are to be shown by.
    async fn for_events(
        mut self,
        web: &Web,
        entered: &Entered<ReadLogs>,
        events: &[EventRow],
    ) -> Result<Self, ServiceError> {
        if events.iter().any(|event| event.kind.starts_with("webhook")) {
            let there = web.app.webhooks().list(&entered.tenant, None, MOST_ENDPOINTS).await?;
            self.endpoints = there.data.iter().map(|view| view.endpoint.id.to_string()).collect();
        }
        Ok(self)
    }

    fn row(&self, frame: &Frame, base: &str, event: &EventRow) -> Row {
        Row {
            href: format!("{base}/{}", event.id),
            what: happened(&event.kind, frame.t),
            kind: event.kind.clone(),
            changes: changes(event, frame.t),
            key: event.key_id.and_then(|id| self.keys.link(id)),
            about: About::of(frame, event, &self.endpoints),
            who: self.actors.who(&event.actor, &self.keys),
            whole: event.environment.is_none(),
            at: frame.f.relative(event.at),
        }
    }
}

/// The events that are asked for: none where the number of the key is nobody's.
fn filter(asked: &Asked, entered: &Entered<ReadLogs>, keys: &KeyNames) -> Option<EventFilter> {
    let (key, zone) = (ByKey::read(&asked.number, keys), &entered.business.time_zone);
    (key != ByKey::Nobody).then(|| EventFilter {
        kind: asked.kind.parse().ok(),
        key_id: key.key(),
        from: beginning(&asked.from, zone),
        until: end(&asked.to, zone),
        subject: None,
    })
}

/// The events, newest first, as a page or as a file.
pub(crate) async fn list(
    entered: Entered<ReadLogs>,
    State(web): State<Web>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    Check::of(&entered.frame).choice::<EventType>("type", &asked.kind).span(&asked.from, &asked.to).done(&base)?;
    let names = Names::of(&web, &entered).await.map_err(|error| entered.refused(error, &base))?;
    let filter = filter(&asked, &entered, &names.keys);
    if is_file(&asked.format) {
        return file(&web, &entered, filter, &names).await;
    }
    let (events, has_more) = match &filter {
        Some(filter) => {
            let page = web.app.events().list(&entered.tenant, filter, asked.after.parse().ok(), ROWS).await;
            let page = entered.gone_on(page, &base)?;
            (page.data, page.has_more)
        }
        None => (Vec::new(), false),
    };
    let next = events.last().filter(|_| has_more).map(|last| {
        let asked = Asked { after: last.id.to_string(), ..asked.clone() };
        asked.href(&base)
    });
    let names = names.for_events(&web, &entered, &events).await.map_err(|error| entered.refused(error, &base))?;
    let frame = entered.frame.clone().at(Tab::Developers, Some(Sub::Events));
    Ok(frame.page(&ListPage {
        rows: events.iter().map(|event| names.row(&frame, &base, event)).collect(),
        kinds: EventType::VOCABULARY.iter().map(|kind| (kind.as_str(), label(*kind, frame.t))).collect(),
        filtered: filter != Some(EventFilter::default()),
        csv: Asked { format: "csv".to_owned(), after: String::new(), ..asked.clone() }.href(&base),
        frame: &frame,
        base,
        asked,
        next,
    }))
}

/// The same events as a file. Times are in UTC.
async fn file(
    web: &Web,
    entered: &Entered<ReadLogs>,
    filter: Option<EventFilter>,
    names: &Names,
) -> Result<Response, Stop> {
    let mut csv =
        Csv::of(&entered.frame, &["id", "created_at", "type", "environment", "key", "actor", "request_id", "data"]);
    if let Some(filter) = &filter {
        let read = |after| web.app.events().list(&entered.tenant, filter, after, ROWS_PER_READ);
        let row = |event: &EventRow| {
            [
                event.id.to_string(),
                event.at.to_string(),
                event.kind.clone(),
                event.environment.map(|environment| environment.to_string()).unwrap_or_default(),
                event.key_id.and_then(|id| names.keys.number(id)).map(|number| number.to_string()).unwrap_or_default(),
                names.actors.in_file(&event.actor, &names.keys),
                event.request_id.map(|id| id.to_string()).unwrap_or_default(),
                event.data.to_string(),
            ]
        };
        let written = csv.rows(read, |event: &EventRow| event.id, row).await;
        written.map_err(|error| entered.refused(error, &base(entered)))?;
    }
    Ok(csv.finish(&format!("events-{}-{}.csv", entered.tenant.business, entered.tenant.environment)))
}

#[derive(Debug, Template)]
#[template(path = "dashboard/event.html")]
struct EventPage<'a> {
    frame: &'a Frame,
    base: String,
    id: String,
    row: Row,
    at: Shown,
    /// The member it is about.
    person: Option<Who>,
    request_id: Option<String>,
    /// The call that caused it, where the request log has it.
    call: Option<String>,
    data: String,
}

/// One event with all that is kept of it.
pub(crate) async fn show(
    entered: Entered<ReadLogs>,
    State(web): State<Web>,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Response, Stop> {
    let base = base(&entered);
    let refused = |error| entered.refused(error, &base);
    let id: EventId = path.get("event").and_then(|text| text.parse().ok()).ok_or(Failure::new(Kind::NotFound))?;
    let event = web.app.events().get(&entered.tenant, id).await.map_err(refused)?;
    let names = Names::of(&web, &entered).await.map_err(refused)?;
    let names = names.for_events(&web, &entered, std::slice::from_ref(&event)).await.map_err(refused)?;
    let frame = entered.frame.clone().at(Tab::Developers, Some(Sub::Events));
    let call = match event.request_id {
        Some(id) => match web.app.requests().get(&entered.tenant, id).await {
            Ok(call) => {
                let (business, environment) = (&entered.tenant.business, entered.tenant.environment);
                Some(format!("/b/{business}/{environment}{}/{}", Sub::Requests.path(), call.reference))
            }
            // What a person did on a page is no call, and calls are forgotten before events.
            Err(ServiceError::NotFound) => None,
            Err(error) => return Err(refused(error)),
        },
        None => None,
    };
    let account = event.data.get("account_id").and_then(serde_json::Value::as_str);
    let person = account.and_then(|text| text.parse::<AccountId>().ok()).map(|id| names.actors.person(id));
    Ok(frame.page(&EventPage {
        row: names.row(&frame, &base, &event),
        at: frame.f.moment(event.at),
        id: event.id.to_string(),
        request_id: event.request_id.map(|id| id.to_string()),
        data: serde_json::to_string_pretty(&event.data).unwrap_or_default(),
        frame: &frame,
        base,
        person,
        call,
    }))
}
