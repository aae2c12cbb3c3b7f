//! `trousseau member ...`

use serde_json::{Value, json};
use trousseau_domain::business::Language;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::members::{EmailAddress, Role};
use trousseau_domain::time::Timestamp;
use trousseau_service::people::AccountView;
use trousseau_service::people::invitations::Invited;
use trousseau_service::people::members::MemberView;
use trousseau_store::{InvitationRow, InvitedTo};

use super::read;
use crate::app::Opened;
use crate::cli::{self, Member};
use crate::exit::Failure;
use crate::output::{confirm, print, print_json, print_pairs, print_table};

pub(crate) async fn run(opened: &Opened, command: &Member, json: bool) -> Result<(), Failure> {
    let people = opened.app.people();
    match command {
        Member::Invite { email, business, role, platform: _, language } => {
            let email: EmailAddress = read("the address", email)?;
            let invited = if let (Some(business), Some(role)) = (business, role) {
                let business: BusinessId = read("--business", business)?;
                let role = match role {
                    cli::Role::Administrator => Role::Administrator,
                    cli::Role::Developer => Role::Developer,
                    cli::Role::Analyst => Role::Analyst,
                };
                people.invite(&opened.context, &business, &email, role).await?
            } else {
                let language = match language {
                    cli::Language::En => Language::English,
                    cli::Language::Fr => Language::French,
                };
                people.invite_to_platform(&opened.context, &email, language).await?
            };
            if json {
                return print_json(&invited_json(opened, &invited));
            }
            print_invited(opened, &invited)?;
            Ok(())
        }
        Member::List { business: Some(business), .. } => {
            let business: BusinessId = read("--business", business)?;
            opened.app.businesses().get(&business).await?;
            let members = people.members(&business).await?;
            let invitations = people.invitations(&business).await?;
            list(&members, &invitations, json)
        }
        Member::List { business: None, .. } => {
            let administrators = people.platform_administrators().await?;
            if json {
                let data: Vec<_> = administrators.iter().map(account_json).collect();
                return print_json(&json!({ "data": data }));
            }
            let cells = |account: &AccountView| {
                vec![account.email.to_string(), account.name.to_string(), account.id.to_string()]
            };
            let rows: Vec<_> = administrators.iter().map(cells).collect();
            print_table(&["EMAIL", "NAME", "ACCOUNT"], &rows, "No platform administrator yet.")
        }
        Member::Remove { email, business, platform: _, sure } => {
            let email: EmailAddress = read("the address", email)?;
            let account = people.find_account(&email).await?;
            if let Some(business) = business {
                let business: BusinessId = read("--business", business)?;
                confirm(&format!("{email} will see nothing of {business} any more."), sure.yes)?;
                people.remove_member(&opened.context, &business, account).await?;
            } else {
                confirm(&format!("{email} will see nothing of the platform any more."), sure.yes)?;
                people.remove_platform_administrator(&opened.context, account).await?;
            }
            if json {
                return print_json(&json!({ "removed": account }));
            }
            print(&format!("Removed {email}"))
        }
    }
}

fn list(members: &[MemberView], invitations: &[InvitationRow], json: bool) -> Result<(), Failure> {
    if json {
        let data: Vec<_> = members
            .iter()
            .map(|member| {
                let mut body = account_json(&member.account);
                body["role"] = json!(member.role);
                body["since"] = json!(member.since);
                body["last_seen_at"] = json!(member.seen_at);
                body
            })
            .collect();
        let invitations: Vec<_> = invitations.iter().map(invitation_json).collect();
        return print_json(&json!({ "data": data, "invitations": invitations }));
    }
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.truncated_to_second().to_string());
    let rows: Vec<_> = members
        .iter()
        .map(|member| {
            vec![
                member.account.email.to_string(),
                member.account.name.to_string(),
                member.role.to_string(),
                time(member.seen_at),
            ]
        })
        .chain(invitations.iter().map(|invitation| {
            vec![invitation.email.to_string(), "(invited)".to_owned(), role_of(invitation), "-".to_owned()]
        }))
        .collect();
    print_table(&["EMAIL", "NAME", "ROLE", "LAST SEEN"], &rows, "Nobody yet.")
}

fn role_of(invitation: &InvitationRow) -> String {
    match &invitation.to {
        InvitedTo::Business { role, .. } => role.to_string(),
        InvitedTo::Platform => "platform".to_owned(),
    }
}

fn account_json(account: &AccountView) -> Value {
    json!({
        "account_id": account.id,
        "email": account.email,
        "name": account.name,
        "language": account.language,
        "platform_administrator": account.platform_admin,
        "second_factor": account.has_totp,
        "created_at": account.created_at,
    })
}

fn invitation_json(invitation: &InvitationRow) -> Value {
    json!({
        "id": invitation.id,
        "email": invitation.email,
        "role": role_of(invitation),
        "created_at": invitation.created_at,
        "expires_at": invitation.expires_at,
    })
}

/// An invitation with its link.
pub(crate) fn invited_json(opened: &Opened, invited: &Invited) -> Value {
    let mut body = invitation_json(&invited.invitation);
    body["link"] = json!(opened.app.address().link(&invited.path));
    body
}

/// An invitation with its link, for a person at the machine.
pub(crate) fn print_invited(opened: &Opened, invited: &Invited) -> Result<(), Failure> {
    print_pairs(&[
        ("Invited", invited.invitation.email.to_string()),
        ("As", role_of(&invited.invitation)),
        ("Link", opened.app.address().link(&invited.path)),
        ("Good until", invited.invitation.expires_at.truncated_to_second().to_string()),
    ])?;
    print("\nThe link is good once and is shown now only. The running server mails it, too.")
}
