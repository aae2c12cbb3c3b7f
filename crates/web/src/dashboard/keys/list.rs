//! The list of keys: found, filtered, sorted, paged, taken along.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use trousseau_domain::keys::{KeyKind, KeyStatus};
use trousseau_domain::members::Operation;
use trousseau_domain::scope::ScopeSet;
use trousseau_domain::text::SearchText;
use trousseau_service::keys::Allowance;
use trousseau_service::{KeyFilter, KeyOrder};

use super::usage::weeks;
use super::view::{Console, Row, kind_name, status_name};
use super::{at_home, base};
use crate::dashboard::csv::{Csv, is_file};
use crate::dashboard::filters::Check;
use crate::dashboard::format::Shown;
use crate::dashboard::frame::Frame;
use crate::dashboard::session::{Entered, ReadKeys, Stop};
use crate::dashboard::text::{Arg, Texts};
use crate::router::Web;

/// The word of the filter for secret keys that may do less than those usually may.
const RESTRICTED: &str = "restricted";
/// How many rows a page can have.
const ROWS: [u32; 4] = [10, 25, 50, 100];

/// What a list was asked for.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) q: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) sort: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) page: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) per_page: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) format: String,
}

impl Asked {
    fn kind(&self) -> Option<KeyKind> {
        if self.is_restricted() { Some(KeyKind::Secret) } else { self.kind.parse().ok() }
    }

    /// Whether secret keys are wanted that may do less than those usually may.
    fn is_restricted(&self) -> bool {
        self.kind == RESTRICTED
    }

    fn status(&self) -> Option<KeyStatus> {
        self.state.parse().ok()
    }

    fn rows(&self, console: &Console) -> u32 {
        self.per_page.parse().ok().filter(|rows| ROWS.contains(rows)).unwrap_or(console.rows)
    }

    fn page(&self) -> u64 {
        self.page.parse().ok().filter(|page| (1..=1_000_000).contains(page)).unwrap_or(1)
    }

    fn order(&self) -> KeyOrder {
        match self.sort.as_str() {
            "name" => KeyOrder::NameAsc,
            "-name" => KeyOrder::NameDesc,
            "number" => KeyOrder::NumberAsc,
            "-number" => KeyOrder::NumberDesc,
            "start" => KeyOrder::ValidFromAsc,
            "end" => KeyOrder::ValidUntilAsc,
            "-end" => KeyOrder::ValidUntilDesc,
            "used" => KeyOrder::LastUsedAsc,
            "-used" => KeyOrder::LastUsedDesc,
            _ => KeyOrder::ValidFromDesc,
        }
    }

    /// What to look for, once it was checked; `usual` is what a secret key may do unless chosen otherwise.
    fn filter(&self, usual: &ScopeSet) -> KeyFilter {
        KeyFilter {
            kind: self.kind(),
            lacking: self.is_restricted().then(|| usual.clone()),
            status: self.status(),
            search: self.search(),
            include_revoked: self.state == "all",
            ..KeyFilter::default()
        }
    }

    fn search(&self) -> Option<SearchText> {
        self.q.trim().parse().ok()
    }

    /// The address of the list that this asks for.
    pub(super) fn href(&self, base: &str) -> String {
        match serde_html_form::to_string(self) {
            Ok(query) if !query.is_empty() => format!("{base}?{query}"),
            _ => base.to_owned(),
        }
    }
}

/// A choice of a filter.
#[derive(Debug, Clone)]
struct Choice {
    value: &'static str,
    label: String,
    chosen: bool,
}

/// The head of a column.
#[derive(Debug, Clone)]
struct Column {
    label: String,
    /// Where sorting by it leads; none where it cannot be sorted by.
    sort: Option<Sort>,
    numeric: bool,
}

#[derive(Debug, Clone)]
struct Sort {
    id: &'static str,
    href: String,
    /// For `aria-sort`; none where the list is in another order.
    direction: Option<&'static str>,
    icon: &'static str,
}

/// How many keys of one kind there are.
#[derive(Debug, Clone)]
struct Fact {
    id: String,
    label: String,
    text: String,
    used: u32,
    most: u32,
    low: bool,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/keys/list.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    console: Console,
    base: String,
    asked: Asked,
    columns: Vec<Column>,
    rows: Vec<Row>,
    range: String,
    kinds: Vec<Choice>,
    states: Vec<Choice>,
    sizes: Vec<(u32, bool)>,
    previous: Option<String>,
    next: Option<String>,
    csv: String,
    facts: Vec<Fact>,
    last_verified: Option<Shown>,
    may_write: bool,
    filtered: String,
    unknown_key: bool,
    warning: bool,
}

/// The list, as a page or as a file.
pub(super) async fn show(
    State(web): State<Web>,
    entered: Entered<ReadKeys>,
    Query(asked): Query<Asked>,
) -> Result<Response, Stop> {
    Check::of(&entered.frame)
        .known("type", &asked.kind, |kind| kind == RESTRICTED || kind.parse::<KeyKind>().is_ok())
        .known("state", &asked.state, |state| state == "all" || state.parse::<KeyStatus>().is_ok())
        .search("q", &asked.q)
        .done(&base(&entered.frame))?;
    if is_file(&asked.format) { file(&web, entered, &asked).await } else { page(&web, entered, asked, false).await }
}

/// The list as a page; `unknown_key` says that a pasted value was nobody's here.
pub(super) async fn page(
    web: &Web,
    entered: Entered<ReadKeys>,
    asked: Asked,
    unknown_key: bool,
) -> Result<Response, Stop> {
    let frame = at_home(entered.frame.clone());
    let (t, base) = (frame.t, base(&frame));
    let console = Console::of(&entered.profile);
    let keys = web.app.keys();
    let fail = |error| entered.refused(error, &base);
    let (rows_per_page, wanted) = (asked.rows(&console), asked.page());
    let usual = entered.profile.default_scopes(web.app.settings().catalogue(), KeyKind::Secret);
    let list = |page: u64| {
        let (filter, order) = (asked.filter(&usual), asked.order());
        let tenant = entered.tenant.clone();
        async move {
            let offset = (page - 1).saturating_mul(u64::from(rows_per_page));
            keys.list_counted(&tenant, &filter, order, offset, rows_per_page).await
        }
    };
    let mut found = list(wanted).await.map_err(fail)?;
    let last_page = found.total.div_ceil(u64::from(rows_per_page)).max(1);
    let current = wanted.min(last_page);
    if current != wanted {
        found = list(current).await.map_err(fail)?;
    }
    let room = keys.allowances(&entered.tenant).await.map_err(fail)?;
    let mut weeks = weeks(web, &entered, &found.data).await.map_err(fail)?;
    let last_verified = web.app.requests().last_verified(&entered.tenant).await.map_err(fail)?;
    let rows: Vec<Row> = found
        .data
        .iter()
        .map(|view| {
            let row = Row::of(&frame, &entered.profile, web.app.settings().catalogue(), view);
            Row { week: weeks.remove(&view.key.id), ..row }
        })
        .collect();
    let at_page = |page: u64| Asked { page: page.to_string(), ..asked.clone() }.href(&base);
    let template = ListPage {
        columns: columns(&asked, &console, &base, t),
        range: range(&frame, current, rows_per_page, rows.len(), found.total),
        kinds: kinds(&asked, &console, t),
        states: states(&asked, t),
        sizes: ROWS.map(|rows| (rows, rows == rows_per_page)).to_vec(),
        previous: (current > 1).then(|| at_page(current - 1)),
        next: (current < last_page).then(|| at_page(current + 1)),
        csv: Asked { format: "csv".to_owned(), page: String::new(), per_page: String::new(), ..asked.clone() }
            .href(&base),
        facts: facts(&room, t),
        last_verified: last_verified.map(|at| frame.f.relative(at)),
        may_write: entered.role.may(Operation::KeysWrite),
        filtered: filtered(&asked, t),
        warning: !web.app.address().is_private(),
        frame: &frame,
        console,
        base: base.clone(),
        rows,
        unknown_key,
        asked,
    };
    Ok(frame.page(&template))
}

fn columns(asked: &Asked, console: &Console, base: &str, t: Texts) -> Vec<Column> {
    let sorted = |label: String, id: &'static str, numeric: bool| {
        let current = if asked.sort.is_empty() { "-start" } else { asked.sort.as_str() };
        let down = current.strip_prefix('-') == Some(id);
        let up = current == id;
        let sort = if down || (!up && !matches!(id, "start" | "used")) { id.to_owned() } else { format!("-{id}") };
        let (direction, icon) = match (up, down) {
            (true, _) => (Some("ascending"), "up"),
            (_, true) => (Some("descending"), "down"),
            _ => (None, "updown"),
        };
        let href = Asked { sort, page: String::new(), ..asked.clone() }.href(base);
        Column { label, sort: Some(Sort { id, href, direction, icon }), numeric }
    };
    let plain = |label: String, numeric: bool| Column { label, sort: None, numeric };
    let first = if console.named {
        sorted(t.get("column-name"), "name", false)
    } else {
        sorted(t.get("column-id"), "number", false)
    };
    let mut columns = vec![first, plain(t.get("column-reference"), false)];
    columns.push(plain(if console.named { t.get("column-key") } else { t.get("column-masked") }, false));
    if console.dates {
        columns.push(sorted(t.get("column-start"), "start", false));
        columns.push(sorted(t.get("column-end"), "end", false));
    } else {
        columns.push(sorted(t.get("column-created"), "start", false));
    }
    columns.push(sorted(t.get("column-usage"), "used", true));
    columns.push(plain(t.get("column-state"), false));
    columns
}

fn kinds(asked: &Asked, console: &Console, t: Texts) -> Vec<Choice> {
    let restricted = asked.is_restricted();
    let mut choices = vec![Choice { value: "", label: t.get("all-types"), chosen: asked.kind().is_none() }];
    for kind in [KeyKind::Secret, KeyKind::Checkout] {
        let chosen = asked.kind() == Some(kind) && !restricted;
        choices.push(Choice { value: kind.as_str(), label: kind_name(kind, t), chosen });
    }
    if console.rights {
        choices.push(Choice { value: RESTRICTED, label: t.get("kind-restricted"), chosen: restricted });
    }
    choices
}

fn states(asked: &Asked, t: Texts) -> Vec<Choice> {
    let all = asked.state == "all";
    let current = asked.status();
    let mut choices = vec![
        Choice { value: "", label: t.get("all-but-revoked"), chosen: !all && current.is_none() },
        Choice { value: "all", label: t.get("all-states"), chosen: all },
    ];
    for status in [KeyStatus::Active, KeyStatus::Scheduled, KeyStatus::Inactive, KeyStatus::Expired, KeyStatus::Revoked]
    {
        let label = status_name(status, t);
        choices.push(Choice { value: status.as_str(), label, chosen: current == Some(status) });
    }
    choices
}

fn facts(room: &[Allowance], t: Texts) -> Vec<Fact> {
    room.iter()
        .map(|room| {
            let (id, label) = match room.kind {
                Some(KeyKind::Secret) => ("secret", t.get("active-secret-keys")),
                Some(KeyKind::Checkout) => ("checkout", t.get("active-checkout-keys")),
                None => ("all", t.get("active-keys")),
            };
            let numbers = [("used", Arg::from(room.used)), ("most", Arg::from(room.most))];
            let low = room.used >= room.most;
            Fact {
                id: format!("room-{id}"),
                label,
                text: t.with("used-of-most", numbers),
                used: room.used,
                most: room.most,
                low,
            }
        })
        .collect()
}

fn range(frame: &Frame, page: u64, rows: u32, shown: usize, total: u64) -> String {
    let first = (page - 1) * u64::from(rows) + 1;
    let last = first + u64::try_from(shown).unwrap_or(0).saturating_sub(1);
    let (first, last) = (frame.f.number(first), frame.f.number(last));
    frame.t.with("keys-range", [("first", Arg::from(first)), ("last", Arg::from(last)), ("total", Arg::from(&total))])
}

/// The filters in words, for a list that found nothing.
fn filtered(asked: &Asked, t: Texts) -> String {
    let mut parts = Vec::new();
    parts.extend(asked.search().map(|text| t.with("filter-text", [("text", text.as_str())])));
    if asked.is_restricted() {
        parts.push(t.get("kind-restricted"));
    } else {
        parts.extend(asked.kind().map(|kind| kind_name(kind, t)));
    }
    parts.extend(asked.status().map(|status| status_name(status, t)));
    parts.join(" · ")
}

/// The whole list as a file, with the same filters and order. Times are in UTC, and no value of a key is in it.
async fn file(web: &Web, entered: Entered<ReadKeys>, asked: &Asked) -> Result<Response, Stop> {
    let mut csv = Csv::of(
        &entered.frame,
        &[
            "number",
            "id",
            "name",
            "kind",
            "external_reference",
            "masked_value",
            "state",
            "status",
            "valid_from",
            "valid_until",
            "scopes",
            "allowed_origins",
            "allowed_ips",
            "rate_limits",
            "quota_day",
            "quota_month",
            "created_at",
            "last_used_at",
        ],
    );
    let usual = entered.profile.default_scopes(web.app.settings().catalogue(), KeyKind::Secret);
    let (filter, order) = (asked.filter(&usual), asked.order());
    let mut offset = 0;
    loop {
        let page = web.app.keys().list_counted(&entered.tenant, &filter, order, offset, 100).await;
        let page = page.map_err(|error| entered.refused(error, &base(&entered.frame)))?;
        for view in &page.data {
            let key = &view.key;
            let words = |texts: Vec<String>| texts.join(" ");
            csv.row(&[
                key.number.to_string(),
                key.id.to_string(),
                key.name.as_ref().map(ToString::to_string).unwrap_or_default(),
                key.kind.to_string(),
                key.external_reference.clone().unwrap_or_default(),
                view.masked_value(),
                key.state.to_string(),
                view.status.to_string(),
                key.valid_from.to_string(),
                key.valid_until.map(|end| end.to_string()).unwrap_or_default(),
                words(key.scopes.iter().map(ToString::to_string).collect()),
                words(super::view::texts(&key.allowed_origins)),
                words(super::view::texts(&key.allowed_ips)),
                words(key.limits.rates.texts()),
                key.limits.quota.day.map(|calls| calls.to_string()).unwrap_or_default(),
                key.limits.quota.month.map(|calls| calls.to_string()).unwrap_or_default(),
                key.created_at.to_string(),
                key.last_used_at.map(|at| at.to_string()).unwrap_or_default(),
            ]);
        }
        offset += 100;
        if page.data.is_empty() || offset >= page.total {
            break;
        }
    }
    Ok(csv.finish(&format!("api-keys-{}-{}.csv", entered.tenant.business, entered.tenant.environment)))
}
