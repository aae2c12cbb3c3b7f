//! Settings of a business: itself, its members, the notices of the reader.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{AccountId, BusinessId, InvitationId};
use trousseau_domain::members::{Notice, Operation, Role};
use trousseau_service::businesses::BusinessChange;
use trousseau_service::people::members::NoticeSetting;
use trousseau_service::people::{InvitedTo, PeopleError};
use trousseau_service::{Context, ServiceError};

use super::confirm::ConfirmPage;
use super::sign_in::Nothing;
use super::{domain_language, read_email};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::{Frame, Sub, Tab, redirect, role_name};
use crate::dashboard::kept::{Keepable, Kept};
use crate::dashboard::look::parse_language;
use crate::dashboard::session::{Entered, ReadBusiness, ReadMembers, Stop, WriteBusiness, WriteMembers, step_up};
use crate::dashboard::text::{Texts, message};
use crate::path::Path;
use crate::problem::Failure;
use crate::router::Web;

pub(super) fn below<P>(entered: &Entered<P>, path: &str) -> String {
    format!("/b/{}/{}/settings{path}", entered.tenant.business, entered.tenant.environment)
}

#[derive(Debug, Template)]
#[template(path = "people/settings.html")]
struct SettingsPage<'a> {
    frame: &'a Frame,
    errors: FormErrors,
    given: Given,
    business_id: String,
    profile: &'a str,
    action: String,
    may_write: bool,
}

/// The business as it is, or as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Given {
    name: String,
    time_zone: String,
    language: String,
}

/// The business.
pub(crate) async fn show(entered: Entered<ReadBusiness>) -> Response {
    show_with(&entered, StatusCode::OK, FormErrors::new())
}

/// The business as it is, with what is wrong with something that was sent.
pub(super) fn show_with<P>(entered: &Entered<P>, status: StatusCode, errors: FormErrors) -> Response {
    let given = Given {
        name: entered.business.name.to_string(),
        time_zone: entered.business.time_zone.to_string(),
        language: entered.business.language.clone(),
    };
    draw(entered, status, errors, given)
}

fn draw<P>(entered: &Entered<P>, status: StatusCode, errors: FormErrors, given: Given) -> Response {
    let frame = entered.frame.clone().at(Tab::Settings, Some(Sub::Business));
    let template = SettingsPage {
        frame: &frame,
        errors,
        given,
        business_id: entered.business.id.to_string(),
        profile: &entered.business.profile,
        action: below(entered, ""),
        may_write: entered.role.may(Operation::BusinessWrite),
    };
    frame.page_with(status, &template)
}

/// Changes the business.
pub(crate) async fn save(
    State(web): State<Web>,
    entered: Entered<WriteBusiness>,
    Form(given): Form<Given>,
) -> Result<Response, Stop> {
    let t = entered.frame.t;
    let mut errors = FormErrors::new();
    let name = errors.read("name", given.name.parse(), t.get("people-business-invalid"));
    let time_zone = errors.read("time_zone", given.time_zone.parse(), t.get("people-zone-invalid"));
    let language = parse_language(&given.language).map(domain_language);
    if !errors.is_empty() {
        return Ok(draw(&entered, StatusCode::UNPROCESSABLE_ENTITY, errors, given));
    }
    let change = BusinessChange { name, time_zone, language, ..BusinessChange::default() };
    let here = below(&entered, "");
    let changed = web.app.businesses().update(&entered.context, &entered.tenant.business, &change).await;
    let business = changed.map_err(|error| entered.refused(error, &here))?;
    Ok(entered.frame.done(&here, message!("flash-business-saved"), business.name.as_str()))
}

#[derive(Debug, Template)]
#[template(path = "people/members.html")]
struct MembersPage<'a> {
    frame: &'a Frame,
    errors: FormErrors,
    email: String,
    chosen: Role,
    members: Vec<MemberLine>,
    invitations: Vec<InvitationLine>,
    roles: Vec<RoleChoice>,
    base: String,
    may_write: bool,
    to_files: bool,
}

/// A role in a choice.
#[derive(Debug, Clone)]
struct RoleChoice {
    role: Role,
    name: String,
    about: String,
}

/// A member in the list.
#[derive(Debug)]
struct MemberLine {
    id: AccountId,
    name: String,
    email: String,
    /// The role in the choice: the member's own, unless another one was sent and waits.
    chosen: Role,
    role_name: String,
    since: Shown,
    seen: Option<Shown>,
    second_factor: bool,
    own: bool,
    /// The last administrator can be neither removed nor demoted.
    fixed: bool,
}

/// An open invitation in the list.
#[derive(Debug)]
struct InvitationLine {
    id: InvitationId,
    email: String,
    role_name: String,
    ends: Shown,
    ended: bool,
}

/// An invitation as it was sent.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Invite {
    email: String,
    role: String,
}

/// Another role as it was sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AnotherRole {
    role: String,
}

/// What waited for a proof, of the forms of the page of members.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pending {
    invite: Invite,
    /// The member whose role was to change, and the role.
    role: Option<(AccountId, String)>,
}

impl Keepable for Pending {}

impl Pending {
    /// The role that was sent for this member.
    fn role_of(&self, account: AccountId) -> Option<Role> {
        self.role.as_ref().filter(|(id, _)| *id == account).and_then(|(_, role)| role.parse().ok())
    }
}

impl From<Invite> for Pending {
    fn from(invite: Invite) -> Self {
        Self { invite, role: None }
    }
}

fn roles(t: Texts) -> Vec<RoleChoice> {
    Role::ALL
        .into_iter()
        .map(|role| RoleChoice {
            role,
            name: role_name(role, t),
            about: t.get(match role {
                Role::Administrator => message!("members-about-administrator"),
                Role::Developer => message!("members-about-developer"),
                Role::Analyst => message!("members-about-analyst"),
            }),
        })
        .collect()
}

/// The members and who is invited.
pub(crate) async fn members(
    State(web): State<Web>,
    entered: Entered<ReadMembers>,
    Kept(kept): Kept<Pending>,
) -> Result<Response, Stop> {
    draw_members(&web, &entered, StatusCode::OK, FormErrors::new(), kept.unwrap_or_default()).await
}

async fn draw_members<P>(
    web: &Web,
    entered: &Entered<P>,
    status: StatusCode,
    errors: FormErrors,
    given: Pending,
) -> Result<Response, Stop> {
    let frame = entered.frame.clone().at(Tab::Settings, Some(Sub::Members));
    let (t, f) = (frame.t, &frame.f);
    let business = &entered.tenant.business;
    let members = web.app.people().members(business).await.map_err(Failure::from)?;
    let invitations = web.app.people().invitations(business).await.map_err(Failure::from)?;
    let administrators = members.iter().filter(|member| member.role == Role::Administrator).count();
    let template = MembersPage {
        frame: &frame,
        errors,
        email: given.invite.email.clone(),
        chosen: given.invite.role.parse().unwrap_or(Role::Developer),
        members: members
            .iter()
            .map(|member| MemberLine {
                id: member.account.id,
                name: member.account.name.to_string(),
                email: member.account.email.to_string(),
                chosen: given.role_of(member.account.id).unwrap_or(member.role),
                role_name: role_name(member.role, t),
                since: f.date(member.since),
                seen: member.seen_at.map(|at| f.relative(at)),
                second_factor: member.account.has_totp,
                own: member.account.id == entered.person.account.id,
                fixed: member.role == Role::Administrator && administrators == 1,
            })
            .collect(),
        invitations: invitations
            .iter()
            .map(|invitation| InvitationLine {
                id: invitation.id,
                email: invitation.email.to_string(),
                role_name: match &invitation.to {
                    InvitedTo::Business { role, .. } => role_name(*role, t),
                    InvitedTo::Platform => String::new(),
                },
                ends: f.relative(invitation.expires_at),
                ended: invitation.expires_at <= f.now(),
            })
            .collect(),
        roles: roles(t),
        base: below(entered, ""),
        may_write: entered.role.may(Operation::MembersWrite),
        to_files: web.app.mailer().folder().is_some(),
    };
    Ok(frame.page_with(status, &template))
}

/// Invites somebody.
pub(crate) async fn invite(
    State(web): State<Web>,
    entered: Entered<WriteMembers>,
    Form(given): Form<Invite>,
) -> Result<Response, Stop> {
    let mut errors = FormErrors::new();
    let email = read_email(&mut errors, entered.frame.t, &given.email);
    let role: Option<Role> = errors.read("role", given.role.parse(), entered.frame.t.get("members-role-invalid"));
    let (Some(email), Some(role)) = (email, role) else {
        return draw_members(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, errors, given.into()).await;
    };
    let here = below(&entered, "/members");
    match web.app.people().invite(&entered.context, &entered.tenant.business, &email, role).await {
        Ok(_) => Ok(entered.frame.done(&here, message!("flash-invited"), email.as_str())),
        Err(ServiceError::People(PeopleError::AlreadyMember)) => {
            errors.add("email", entered.frame.t.get("members-already"));
            draw_members(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, errors, given.into()).await
        }
        Err(error) => Err(entered.refused_form(&web, error, &here, &Pending::from(given)).await),
    }
}

/// A member of the path.
#[derive(Debug, Deserialize)]
pub(crate) struct OneMember {
    #[serde(rename = "business")]
    _business: BusinessId,
    #[serde(rename = "environment")]
    _environment: Environment,
    account: AccountId,
}

/// An invitation of the path.
#[derive(Debug, Deserialize)]
pub(crate) struct OneInvitation {
    #[serde(rename = "business")]
    _business: BusinessId,
    #[serde(rename = "environment")]
    _environment: Environment,
    invitation: InvitationId,
}

/// The address of a member's role, opened as a page: the list of members.
pub(crate) async fn of_role(entered: Entered<ReadMembers>) -> Response {
    redirect(&below(&entered, "/members"))
}

/// Gives a member another role.
pub(crate) async fn change_role(
    State(web): State<Web>,
    entered: Entered<WriteMembers>,
    Path(member): Path<OneMember>,
    Form(given): Form<AnotherRole>,
) -> Result<Response, Stop> {
    let here = below(&entered, "/members");
    let role: Role = given.role.parse().map_err(|_| Failure::from(crate::problem::Kind::InvalidBody))?;
    let name = name_of(&web, &entered, member.account).await?;
    let changed = web.app.people().change_role(&entered.context, &entered.tenant.business, member.account, role).await;
    if let Err(error) = changed {
        let pending = Pending { role: Some((member.account, given.role)), ..Pending::default() };
        return Err(entered.refused_form(&web, error, &here, &pending).await);
    }
    Ok(entered.frame.done(&here, message!("flash-role-changed"), &name))
}

async fn name_of<P>(web: &Web, entered: &Entered<P>, account: AccountId) -> Result<String, Stop> {
    let members = web.app.people().members(&entered.tenant.business).await.map_err(Failure::from)?;
    let found = members.iter().find(|member| member.account.id == account);
    found.map(|member| member.account.name.to_string()).ok_or_else(|| Failure::from(ServiceError::NotFound).into())
}

/// Asks whether to remove a member.
pub(crate) async fn ask_removal(
    State(web): State<Web>,
    entered: Entered<WriteMembers>,
    Path(member): Path<OneMember>,
) -> Result<Response, Stop> {
    prove_first(&entered)?;
    let frame = entered.frame.clone().at(Tab::Settings, Some(Sub::Members));
    let t = frame.t;
    let name = name_of(&web, &entered, member.account).await?;
    let told = [("name", name.as_str()), ("business", entered.business.name.as_str())];
    let page = ConfirmPage {
        frame: &frame,
        errors: FormErrors::new(),
        title: t.get("members-remove-title"),
        question: t.with("members-remove-question", [("name", name.as_str())]),
        consequence: t.with("members-remove-consequence", told),
        action: below(&entered, &format!("/members/{}/remove", member.account)),
        button: t.get("people-remove"),
        back: below(&entered, "/members"),
        asks_code: false,
        once: None,
    };
    Ok(page.answer())
}

/// Asks for a proof of who sits there before a question, so that its answer takes effect at once, in TEST too.
fn prove_first(entered: &Entered<WriteMembers>) -> Result<(), Stop> {
    let proven = entered.person.session.is_proven_at(entered.frame.f.now());
    if proven { Ok(()) } else { Err(Stop::go(&step_up(&entered.frame.here))) }
}

/// Removes a member; their sessions end.
pub(crate) async fn remove(
    State(web): State<Web>,
    entered: Entered<WriteMembers>,
    Path(member): Path<OneMember>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let here = below(&entered, "/members");
    let name = name_of(&web, &entered, member.account).await?;
    let removed = web.app.people().remove_member(&entered.context, &entered.tenant.business, member.account).await;
    removed.map_err(|error| entered.refused(error, &here))?;
    // Whoever has removed themselves sees nothing here any more.
    let to = if member.account == entered.person.account.id { "/" } else { here.as_str() };
    Ok(entered.frame.done(to, message!("flash-member-removed"), &name))
}

/// Asks whether to take back an invitation.
pub(crate) async fn ask_revocation(
    State(web): State<Web>,
    entered: Entered<WriteMembers>,
    Path(one): Path<OneInvitation>,
) -> Result<Response, Stop> {
    let here = below(&entered, "/members");
    let invitations = web.app.people().invitations(&entered.tenant.business).await.map_err(Failure::from)?;
    let found = invitations.into_iter().find(|invitation| invitation.id == one.invitation);
    let Some(invitation) = found else { return Err(Stop::go(&here)) };
    prove_first(&entered)?;
    let frame = entered.frame.clone().at(Tab::Settings, Some(Sub::Members));
    let t = frame.t;
    let email = [("email", invitation.email.as_str())];
    let page = ConfirmPage {
        frame: &frame,
        errors: FormErrors::new(),
        title: t.get("members-revoke-title"),
        question: t.with("members-revoke-question", email),
        consequence: t.with("members-revoke-consequence", email),
        action: below(&entered, &format!("/invitations/{}/revoke", one.invitation)),
        button: t.get("members-revoke"),
        back: here,
        asks_code: false,
        once: None,
    };
    Ok(page.answer())
}

/// Takes back an invitation.
pub(crate) async fn revoke_invitation(
    State(web): State<Web>,
    entered: Entered<WriteMembers>,
    Path(one): Path<OneInvitation>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let here = below(&entered, "/members");
    let business = &entered.tenant.business;
    let done = web.app.people().revoke_invitation(&entered.context, business, one.invitation).await;
    done.map_err(|error| entered.refused(error, &here))?;
    Ok(entered.frame.done(&here, message!("flash-invitation-revoked"), ""))
}

#[derive(Debug, Template)]
#[template(path = "people/notices.html")]
struct NoticesPage<'a> {
    frame: &'a Frame,
    notices: Vec<NoticeLine>,
    action: String,
    email: String,
}

/// A notice in the list.
#[derive(Debug)]
struct NoticeLine {
    notice: Notice,
    label: String,
    wanted: bool,
}

/// The notices that are wanted, as they were sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    notice: Vec<String>,
}

fn notice_name(notice: Notice, t: Texts) -> String {
    t.get(match notice {
        Notice::LiveKeyCreated => message!("notice-live-key-created"),
        Notice::LiveKeyWidened => message!("notice-live-key-widened"),
        Notice::LiveKeyRotated => message!("notice-live-key-rotated"),
        Notice::LiveKeyRevealed => message!("notice-live-key-revealed"),
        Notice::LiveKeyRevoked => message!("notice-live-key-revoked"),
        Notice::MemberAdded => message!("notice-member-added"),
        Notice::KeyEnding => message!("notice-key-ending"),
        Notice::NewNetwork => message!("notice-new-network"),
        Notice::WebhookDisabled => message!("notice-webhook-disabled"),
    })
}

/// Which notices the reader gets.
pub(crate) async fn notices(State(web): State<Web>, entered: Entered<ReadBusiness>) -> Result<Response, Stop> {
    let frame = entered.frame.clone().at(Tab::Settings, Some(Sub::Notices));
    let settings = web.app.people().notices(&entered.person, &entered.tenant.business).await.map_err(Failure::from)?;
    let t = frame.t;
    let template = NoticesPage {
        frame: &frame,
        notices: settings
            .iter()
            .map(|setting| NoticeLine {
                notice: setting.notice,
                label: notice_name(setting.notice, t),
                wanted: setting.wanted,
            })
            .collect(),
        action: below(&entered, "/notices"),
        email: entered.person.account.email.to_string(),
    };
    Ok(frame.page(&template))
}

/// Chooses which notices come.
pub(crate) async fn save_notices(
    State(web): State<Web>,
    entered: Entered<ReadBusiness>,
    Form(given): Form<Wanted>,
) -> Result<Response, Stop> {
    let here = below(&entered, "/notices");
    let business = &entered.tenant.business;
    let offered = web.app.people().notices(&entered.person, business).await.map_err(Failure::from)?;
    let settings: Vec<NoticeSetting> = offered
        .into_iter()
        .map(|setting| NoticeSetting {
            wanted: given.notice.iter().any(|wanted| wanted == setting.notice.as_str()),
            ..setting
        })
        .collect();
    let context: &Context = &entered.context;
    let done = web.app.people().set_notices(context, &entered.person, business, &settings).await;
    done.map_err(|error| entered.refused(error, &here))?;
    Ok(entered.frame.done(&here, message!("flash-notices-saved"), ""))
}
