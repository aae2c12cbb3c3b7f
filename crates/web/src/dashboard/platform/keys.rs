//! The operator's own keys: listed, made, revoked.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::actor::Actor;
use trousseau_domain::ids::{AccountId, PlatformKeyId};
use trousseau_domain::platform_keys::{PlatformScope, PlatformScopes};
use trousseau_domain::text::PlatformKeyName;
use trousseau_service::idempotency::Answered;
use trousseau_service::platform_keys::IssuedPlatformKey;
use trousseau_service::{PlatformKeyRow, ServiceError};

use super::{Administering, Area, ConfirmPage, once};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::{Frame, MenuLink};
use crate::dashboard::issued::{Crumb, IssuedPage};
use crate::dashboard::once::{kept, once_more, sent_once};
use crate::dashboard::session::Stop;
use crate::dashboard::text::{Texts, message};
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// A key as the list shows it.
#[derive(Debug)]
struct Row {
    name: String,
    id: String,
    mask: String,
    scopes: Vec<String>,
    created: Shown,
    created_by: String,
    used: Option<Shown>,
    revoked: Option<Shown>,
}

#[derive(Debug, Template)]
#[template(path = "platform/keys.html")]
struct ListPage<'a> {
    frame: &'a Frame,
    menu: Vec<MenuLink>,
    rows: Vec<Row>,
}

/// The keys, the newest first, revoked ones too.
pub(super) async fn list(admin: Administering, State(web): State<Web>) -> Result<Response, Stop> {
    let fail = |error| admin.refused(error, Area::Keys.path());
    let keys = web.app.platform().keys(&admin.context).await.map_err(fail)?;
    let administrators = web.app.people().platform_administrators().await.map_err(fail)?;
    let people: HashMap<AccountId, String> =
        administrators.into_iter().map(|account| (account.id, account.name.to_string())).collect();
    let (frame, t) = (&admin.frame, admin.frame.t);
    let row = |key: &PlatformKeyRow| Row {
        name: key.name.to_string(),
        id: key.id.to_string(),
        mask: format!("*****{}", key.last_three),
        scopes: key.scopes.clone(),
        created: frame.f.date(key.created_at),
        created_by: match &key.created_by {
            Actor::Member { id } => people.get(id).cloned().unwrap_or_else(|| t.get("platform-former")),
            _ => t.get("who-operator"),
        },
        used: key.last_used_at.map(|at| frame.f.relative(at)),
        revoked: key.revoked_at.map(|at| frame.f.date(at)),
    };
    Ok(frame.page(&ListPage { frame, menu: Area::Keys.menu(t), rows: keys.iter().map(row).collect() }))
}

/// What was typed for a new key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    once: String,
    name: String,
    scope: Vec<String>,
}

/// A scope that can be chosen.
#[derive(Debug)]
struct Choice {
    value: PlatformScope,
    about: String,
    chosen: bool,
}

#[derive(Debug, Template)]
#[template(path = "platform/create_key.html")]
struct FormPage<'a> {
    frame: &'a Frame,
    menu: Vec<MenuLink>,
    errors: FormErrors,
    given: Given,
    scopes: Vec<Choice>,
}

fn about(scope: PlatformScope, t: Texts) -> String {
    t.get(match scope {
        PlatformScope::Verify => message!("platform-scope-verify"),
        PlatformScope::Manage => message!("platform-scope-manage"),
    })
}

/// The form of a new key.
pub(super) async fn form(admin: Administering, State(web): State<Web>) -> Result<Response, Stop> {
    admin.prove_first()?;
    let given = Given { once: once(&web), ..Given::default() };
    Ok(draw(&admin, StatusCode::OK, FormErrors::new(), given))
}

fn draw(admin: &Administering, status: StatusCode, errors: FormErrors, given: Given) -> Response {
    let frame = &admin.frame;
    let choice = |value: PlatformScope| Choice {
        value,
        about: about(value, frame.t),
        chosen: given.scope.iter().any(|chosen| chosen == value.as_str()),
    };
    let scopes = PlatformScopes::default().iter().map(choice).collect();
    let template = FormPage { menu: Area::Keys.menu(frame.t), scopes, frame, errors, given };
    frame.page_with(status, &template)
}

/// Makes the key and shows its value, once.
pub(super) async fn create(
    admin: Administering,
    State(web): State<Web>,
    Form(given): Form<Given>,
) -> Result<Response, Stop> {
    let t = admin.frame.t;
    let mut errors = FormErrors::new();
    let name = errors.read("name", given.name.parse::<PlatformKeyName>(), t.get("platform-key-name-invalid"));
    let scopes: PlatformScopes = given.scope.iter().filter_map(|scope| scope.parse().ok()).collect();
    if scopes.iter().next().is_none() {
        errors.add("scopes", t.get("platform-scopes-none"));
    }
    let (Some(name), true) = (name, errors.is_empty()) else {
        return Ok(draw(&admin, StatusCode::UNPROCESSABLE_ENTITY, errors, given));
    };
    let render = |issued: &IssuedPlatformKey| kept(&issued.key.id);
    let idempotent = sent_once(&admin.person, &admin.frame, "/platform/keys", &given.once, &given, &render);
    match web.app.platform_keys().create(&admin.context, name, &scopes, idempotent.as_ref()).await {
        Ok(Answered::Done(issued)) => Ok(issued_page(&admin, &web, &issued)),
        Ok(Answered::Replayed(_)) => Ok(admin.frame.done(Area::Keys.path(), message!("flash-form-sent-already"), "")),
        Err(ServiceError::IdempotencyKeyReused) => {
            let given = Given { once: once_more(&web, t, &mut errors), ..given };
            Ok(draw(&admin, StatusCode::CONFLICT, errors, given))
        }
        Err(error) => Err(admin.refused(error, "/platform/keys/create")),
    }
}

fn issued_page(admin: &Administering, web: &Web, issued: &IssuedPlatformKey) -> Response {
    let (frame, t) = (&admin.frame, admin.frame.t);
    let value = issued.value.expose();
    let authorization = format!("Bearer {value}");
    frame.page(&IssuedPage {
        frame,
        crumb: Crumb { label: t.get("platform-keys"), href: Area::Keys.path().to_owned() },
        title: t.get("platform-key-made"),
        about: [issued.key.name.to_string(), issued.key.scopes.join(", ")].join(" · "),
        warning_title: t.get("issued-copy-title"),
        warning: t.get("platform-key-once"),
        lines: Vec::new(),
        prefix: "",
        rest: value,
        reference: None,
        authorization: &authorization,
        business: None,
        needs_id: false,
        address: web.app.address().as_str().to_owned(),
        // Every platform key may read them, whatever its scopes.
        example: "/metrics",
        file: format!("trousseau-platform-{}.env", issued.key.last_three),
        once: true,
        live: None,
    })
}

async fn key_of(admin: &Administering, web: &Web, path: &HashMap<String, String>) -> Result<PlatformKeyRow, Stop> {
    let not_found = || Failure::new(Kind::NotFound);
    let id: PlatformKeyId = path.get("key").and_then(|text| text.parse().ok()).ok_or_else(not_found)?;
    let keys = web.app.platform().keys(&admin.context).await;
    let keys = keys.map_err(|error| admin.refused(error, Area::Keys.path()))?;
    Ok(keys.into_iter().find(|key| key.id == id).ok_or_else(not_found)?)
}

/// Asks whether to revoke a key.
pub(super) async fn ask_revoke(
    admin: Administering,
    State(web): State<Web>,
    Path(path): Path<HashMap<String, String>>,
) -> Result<Response, Stop> {
    let key = key_of(&admin, &web, &path).await?;
    admin.prove_first()?;
    let (frame, t) = (&admin.frame, admin.frame.t);
    let consequence = match key.last_used_at {
        Some(at) => t.with("platform-key-revoke-used", [("used", frame.f.relative(at).text)]),
        None => t.get("platform-key-revoke-unused"),
    };
    Ok(frame.page(&ConfirmPage {
        frame,
        menu: Area::Keys.menu(t),
        errors: FormErrors::new(),
        back: Area::Keys.path().to_owned(),
        back_label: t.get("platform-keys"),
        question: t.with("revoke-question", [("name", key.name.as_str())]),
        consequence,
        action: format!("{}/{}/revoke", Area::Keys.path(), key.id),
        button: t.get("revoke-button"),
        danger: true,
        type_name: None,
    }))
}

/// The form has no fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// Revokes it.
pub(super) async fn revoke(
    admin: Administering,
    State(web): State<Web>,
    Path(path): Path<HashMap<String, String>>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let key = key_of(&admin, &web, &path).await?;
    let here = format!("{}/{}/revoke", Area::Keys.path(), key.id);
    match web.app.platform_keys().revoke(&admin.context, key.id).await {
        // Somebody else was faster: it is what was wanted.
        Ok(_) | Err(ServiceError::KeyRevoked) => {
            Ok(admin.frame.done(Area::Keys.path(), message!("flash-key-revoked"), key.name.as_str()))
        }
        Err(error) => Err(admin.refused(error, &here)),
    }
}
