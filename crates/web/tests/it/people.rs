//! Accounts, members and sessions, by their use cases: what the pages rest on.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use trousseau_domain::business::Language;
use trousseau_domain::checkout::CheckoutSettings;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, PasskeyId, RequestId};
use trousseau_domain::keys::KeyKind;
use trousseau_domain::members::{EmailAddress, Role};
use trousseau_domain::metadata::Metadata;
use trousseau_service::businesses::{BusinessChange, BusinessDraft, CreatedBusiness};
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::{KeyChange, KeyDraft, KeyHandle};
use trousseau_service::logos::Logo;
use trousseau_service::people::account::ResetDone;
use trousseau_service::people::first_run::FirstRunDraft;
use trousseau_service::people::invitations::{Acceptance, Accepted, Invited};
use trousseau_service::people::sessions::NewSession;
use trousseau_service::people::sign_in::{SignInStep, StepUpProof};
use trousseau_service::people::{OneTimeToken, Password, PeopleError, SessionToken, SignedIn, Visit};
use trousseau_service::{Context, ServiceError};
use trousseau_store::{PasskeyRow, SecretKind};
use trousseau_testkit::app::TestApp;

const PASSWORD: &str = "correct horse battery staple";

fn email(text: &str) -> EmailAddress {
    text.parse().expect("an address")
}

fn from(address: &str) -> Visit<'static> {
    Visit { address: Some(address.parse::<IpAddr>().expect("an address")), ..Visit::default() }
}

fn people_error<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> PeopleError {
    match result {
        Err(ServiceError::People(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn request() -> RequestId {
    RequestId::from_random([7; 16])
}

fn draft(business: Option<&str>) -> FirstRunDraft {
    FirstRunDraft {
        name: "Camille Martin".parse().expect("a name"),
        email: email("admin@example.com"),
        password: Password::new(PASSWORD),
        language: Language::English,
        business: business.map(|name| name.parse().expect("a name")),
        time_zone: None,
    }
}

async fn signed_in(app: &TestApp, token: &SessionToken) -> SignedIn {
    app.app.people().session(token).await.expect("the database answers").expect("a session")
}

/// The first person, signed in, and their business.
async fn first_person(app: &TestApp) -> (SessionToken, BusinessId) {
    let people = app.app.people();
    let link = people.first_run_link(&Context::system()).await.expect("made").expect("nobody is here");
    let done = people.complete_first_run(&link, &draft(Some("Atelier")), &Visit::default()).await.expect("done");
    (done.session.token, done.business.id)
}

async fn sign_in(app: &TestApp, address: &str, password: &str) -> Result<NewSession, ServiceError> {
    match app.app.people().sign_in(&email(address), &Password::new(password), &from("192.0.2.1")).await? {
        SignInStep::Done(session) => Ok(session),
        SignInStep::SecondFactor(_) => panic!("no second factor was set up"),
    }
}

async fn accept_new(app: &TestApp, token: &OneTimeToken) -> Result<Accepted, ServiceError> {
    let new = Acceptance::New {
        name: "Somebody New".parse().expect("a name"),
        password: Password::new(PASSWORD),
        language: Language::French,
    };
    app.app.people().accept(token, new, &Visit::default()).await
}

/// Somebody invited to the business in this role, signed in.
async fn member(app: &TestApp, business: &BusinessId, address: &str, role: Role) -> SessionToken {
    let invited = app.app.people().invite(&Context::system(), business, &email(address), role).await.expect("invited");
    accept_new(app, &invited.token).await.expect("accepted").session.expect("somebody new").token
}

fn context(person: &SignedIn, business: &BusinessId) -> Context {
    let role = person.membership(business).expect("a member").role;
    Context::member(person, business, role, request())
}

#[tokio::test]
async fn the_first_start_has_one_winner_and_is_then_closed() {
    for app in TestApp::on_every_engine().await {
        let people = app.app.people();
        let early = people.first_run_link(&Context::system()).await.expect("made").expect("nobody is here");
        let link = people.first_run_link(&Context::system()).await.expect("made").expect("nobody is here");
        assert_eq!(people_error(people.first_run(&early).await), PeopleError::LinkEnded, "it was replaced");
        assert!(people.first_run(&link).await.expect("good").business.is_none());
        let (one, two, here) = (draft(Some("One")), draft(Some("Two")), Visit::default());
        let (one, two) =
            tokio::join!(people.complete_first_run(&link, &one, &here), people.complete_first_run(&link, &two, &here));
        let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(people_error(lost), PeopleError::LinkEnded);
        let done = won.expect("one of them wins");
        assert_eq!(done.keys.len(), 4);
        let person = signed_in(&app, &done.session.token).await;
        assert!(person.account.platform_admin);
        assert_eq!(person.membership(&done.business.id).expect("a member").role, Role::Administrator);
        assert!(people.first_run_link(&Context::system()).await.expect("asked").is_none());
        let entries = app.database.texts("SELECT details || COALESCE(target, '') || actor FROM audit_entries").await;
        assert!(!entries.is_empty());
        for entry in entries {
            assert!(!entry.contains("Camille") && !entry.contains("example.com"), "{entry}");
        }
    }
}

#[tokio::test]
async fn the_first_link_ends_after_half_an_hour_and_takes_over_a_waiting_business() {
    for app in TestApp::on_every_engine().await {
        let waiting = app.business("mileston").await;
        let people = app.app.people();
        let link = people.first_run_link(&Context::system()).await.expect("made").expect("nobody is here");
        app.advance(Duration::from_mins(30));
        assert_eq!(people_error(people.first_run(&link).await), PeopleError::LinkEnded);
        let link = people.first_run_link(&Context::system()).await.expect("made").expect("nobody is here");
        let weak = FirstRunDraft { password: Password::new("password1234"), ..draft(None) };
        let refused = people.complete_first_run(&link, &weak, &Visit::default()).await;
        assert!(matches!(refused, Err(ServiceError::Invalid(_))), "{refused:?}");
        let done = people.complete_first_run(&link, &draft(None), &Visit::default()).await.expect("done");
        assert_eq!(done.business.id.as_str(), waiting.id());
        assert!(done.keys.is_empty());
    }
}

#[tokio::test]
async fn a_session_ends_by_idleness_by_age_and_by_hand() {
    for app in TestApp::on_every_engine().await {
        first_person(&app).await;
        let people = app.app.people();
        let one = sign_in(&app, "admin@example.com", PASSWORD).await.expect("signed in");
        let two = sign_in(&app, "admin@example.com", PASSWORD).await.expect("signed in");
        assert_ne!(one.token.expose(), two.token.expose());
        for _ in 0..8 {
            app.advance(Duration::from_mins(110));
            signed_in(&app, &one.token).await;
        }
        assert!(people.session(&two.token).await.expect("asked").is_none(), "nobody used it for two hours");
        for _ in 0..190 {
            app.advance(Duration::from_mins(110));
            if people.session(&one.token).await.expect("asked").is_none() {
                break;
            }
        }
        assert!(people.session(&one.token).await.expect("asked").is_none(), "it is two weeks old");
        let three = sign_in(&app, "admin@example.com", PASSWORD).await.expect("signed in");
        let four = sign_in(&app, "admin@example.com", PASSWORD).await.expect("signed in");
        let person = signed_in(&app, &three.token).await;
        assert_eq!(people.sessions(&person).await.expect("listed").len(), 2);
        let account = Context::account(&person, request());
        assert!(people.end_other_sessions(&account, &person).await.expect("ended") >= 1);
        assert_eq!(people.sessions(&person).await.expect("listed").len(), 1);
        assert!(people.session(&four.token).await.expect("asked").is_none());
        people.sign_out(&person).await.expect("signed out");
        assert!(people.session(&three.token).await.expect("asked").is_none());
    }
}

#[tokio::test]
async fn a_session_is_known_while_nothing_can_be_written() {
    for app in TestApp::on_every_engine().await {
        let (token, _) = first_person(&app).await;
        let session = signed_in(&app, &token).await;
        app.advance(Duration::from_mins(2));
        // Whoever holds its row, and on SQLite the only writer, keeps everybody from noting that it was seen.
        let now = app.app.now();
        let mut tx = app.database.store().begin_alone().await.expect("begins");
        tx.touch_session(session.account.id, session.session.id, now, session.session.ends_at).await.expect("held");
        let known = tokio::time::timeout(Duration::from_secs(2), app.app.people().session(&token)).await;
        assert!(matches!(known, Ok(Ok(Some(_)))), "{known:?}");
        drop(tx);
        signed_in(&app, &token).await;
        let noted = signed_in(&app, &token).await.session.seen_at;
        assert_eq!(noted, now);
    }
}

#[tokio::test]
async fn nobody_learns_whether_an_address_has_an_account() {
    for app in TestApp::on_every_engine().await {
        first_person(&app).await;
        let people = app.app.people();
        let mut answers = Vec::new();
        for address in ["admin@example.com", "nobody@example.com"] {
            let mut seen = Vec::new();
            for _ in 0..5 {
                seen.push(people_error(sign_in(&app, address, "wrong wrong wrong").await));
            }
            people
                .request_reset(&email(address), Language::English, &from("192.0.2.7"))
                .await
                .expect("the same answer");
            answers.push(seen);
        }
        assert_eq!(answers[0], answers[1]);
        let queued = app.database.texts("SELECT template FROM mails").await;
        assert_eq!(queued, ["reset", "reset"], "both cost the same");
        assert_eq!(app.mails().await.len(), 1, "and one goes out");
        // So it is beyond what is mailed to one address.
        let mut rows = Vec::new();
        for address in ["admin@example.com", "nobody@example.com"] {
            for _ in 0..5 {
                let asked = people.request_reset(&email(address), Language::English, &from("192.0.2.7")).await;
                asked.expect("the same answer");
            }
            let links = app.database.texts("SELECT purpose FROM one_time_tokens WHERE purpose = 'reset'").await.len();
            rows.push((links, app.database.texts("SELECT template FROM mails").await.len()));
        }
        assert_eq!(rows, [(7, 5), (12, 10)]);
    }
}

#[tokio::test]
async fn one_source_asks_for_so_many_links_and_passkeys_whatever_the_address() {
    for app in TestApp::on_every_engine().await {
        let people = app.app.people();
        let (office, elsewhere) = (from("203.0.113.5"), from("203.0.113.6"));
        let reset = async |number: u32, visit: &Visit<'_>| {
            people.request_reset(&email(&format!("nobody{number}@example.com")), Language::English, visit).await
        };
        let passkey = async |number: u32, visit: &Visit<'_>| {
            people.start_passkey_sign_in(&email(&format!("nobody{number}@example.com")), visit).await
        };
        for number in 1..=100 {
            reset(number, &office).await.expect("asked");
            passkey(number, &office).await.expect("asked");
        }
        assert!(matches!(people_error(reset(101, &office).await), PeopleError::TooManyAttempts { .. }));
        assert!(matches!(people_error(passkey(101, &office).await), PeopleError::TooManyAttempts { .. }));
        reset(101, &elsewhere).await.expect("asked");
        passkey(101, &elsewhere).await.expect("asked");
    }
}

#[tokio::test]
async fn too_many_wrong_passwords_lock_the_source_out_and_never_the_owner() {
    for app in TestApp::on_every_engine().await {
        let people = app.app.people();
        let link = people.first_run_link(&Context::system()).await.expect("made").expect("nobody is here");
        let done = people.complete_first_run(&link, &draft(Some("Atelier")), &Visit::default()).await.expect("done");
        let device = done.session.device.expect("a new device");
        let owner = email("admin@example.com");
        let wrong = Password::new("wrong wrong wrong");
        let right = Password::new(PASSWORD);
        let attacker = from("203.0.113.5");
        for attempt in 1..=10 {
            let error = people_error(people.sign_in(&owner, &wrong, &attacker).await);
            assert_eq!(error, PeopleError::SignInRefused, "{attempt}");
            // The growing delays are waited out.
            app.advance(Duration::from_secs(161));
        }
        let locked = people_error(people.sign_in(&owner, &right, &attacker).await);
        assert!(matches!(locked, PeopleError::TooManyAttempts { .. }), "{locked:?}");
        // Elsewhere the owner comes in, and on a known device even beside the attacker.
        people.sign_in(&owner, &right, &from("192.0.2.1")).await.expect("another source");
        let known = Visit { device: Some(&device), ..from("203.0.113.5") };
        people.sign_in(&owner, &right, &known).await.expect("a known device");
        // So does the link by mail, from the locked source itself.
        people.request_reset(&owner, Language::English, &attacker).await.expect("asked");
        let token = OneTimeToken::parse(&app.mailed_token("/reset").await).expect("ours");
        let new = Password::new("another long passphrase");
        let done = people.complete_reset(&token, &new, &attacker).await.expect("reset");
        assert!(matches!(done, ResetDone::SignedIn(_)));
        people.sign_in(&owner, &new, &attacker).await.expect("forgiven");
        app.advance(Duration::from_mins(31));
        people.sign_in(&owner, &new, &attacker).await.expect("and the lock has ended");
    }
}

#[tokio::test]
async fn right_sign_ins_lock_no_source_and_take_back_no_wrong_one() {
    for app in TestApp::on_every_engine().await {
        first_person(&app).await;
        let people = app.app.people();
        let (owner, office) = (email("admin@example.com"), from("203.0.113.5"));
        let (right, wrong) = (Password::new(PASSWORD), Password::new("wrong wrong wrong"));
        for attempt in 1..=105 {
            let signed = people.sign_in(&owner, &right, &office).await;
            assert!(matches!(signed, Ok(SignInStep::Done(_))), "{attempt}: {signed:?}");
        }
        let guess = async |number: u32| {
            people_error(people.sign_in(&email(&format!("nobody{number}@example.com")), &wrong, &office).await)
        };
        for number in 1..=99 {
            assert_eq!(guess(number).await, PeopleError::SignInRefused, "{number}");
        }
        // The hundredth is right, so it blocks nobody; the hundredth wrong one does.
        people.sign_in(&owner, &right, &office).await.expect("signed in");
        assert_eq!(guess(100).await, PeopleError::SignInRefused);
        assert!(matches!(guess(101).await, PeopleError::TooManyAttempts { .. }));
    }
}

#[tokio::test]
async fn many_guesses_at_a_time_are_as_many_as_one_after_the_other() {
    for app in TestApp::on_every_engine().await {
        first_person(&app).await;
        let (owner, attacker) = (email("admin@example.com"), from("203.0.113.5"));
        let guesses: Vec<_> = (0..30).map(|_| Password::new("wrong wrong wrong")).collect();
        let mut looked_at = 0;
        let mut running = Vec::new();
        for guess in guesses {
            let (app, owner) = (app.app.clone(), owner.clone());
            running.push(tokio::spawn(async move { app.people().sign_in(&owner, &guess, &attacker).await.map(drop) }));
        }
        for guess in running {
            looked_at += u32::from(people_error(guess.await.expect("no panic")) == PeopleError::SignInRefused);
        }
        assert!(looked_at <= 4, "{looked_at}");
    }
}

#[tokio::test]
async fn a_reset_link_is_good_once_and_for_a_quarter_of_an_hour() {
    for app in TestApp::on_every_engine().await {
        let (session, _) = first_person(&app).await;
        let people = app.app.people();
        let owner = email("admin@example.com");
        let new = Password::new("another long passphrase");
        people.request_reset(&owner, Language::English, &Visit::default()).await.expect("asked");
        let late = OneTimeToken::parse(&app.mailed_token("/reset").await).expect("ours");
        app.advance(Duration::from_mins(15));
        assert_eq!(people_error(people.complete_reset(&late, &new, &Visit::default()).await), PeopleError::LinkEnded);
        people.request_reset(&owner, Language::English, &Visit::default()).await.expect("asked");
        let link = OneTimeToken::parse(&app.mailed_token("/reset").await).expect("ours");
        people.reset(&link).await.expect("good");
        let weak = people.complete_reset(&link, &Password::new("camille-2026!"), &Visit::default()).await;
        assert!(matches!(weak, Err(ServiceError::Invalid(_))), "{weak:?}");
        people.complete_reset(&link, &new, &Visit::default()).await.expect("reset");
        assert_eq!(people_error(people.complete_reset(&link, &new, &Visit::default()).await), PeopleError::LinkEnded);
        assert!(people.session(&session).await.expect("asked").is_none(), "all sessions ended");
        people_error(sign_in(&app, "admin@example.com", PASSWORD).await);
        sign_in(&app, "admin@example.com", "another long passphrase").await.expect("signed in");
        // One account's mailbox is not filled by others.
        for _ in 0..10 {
            people.request_reset(&owner, Language::English, &Visit::default()).await.expect("the same answer");
        }
        let resets = app.mails().await.iter().filter(|mail| mail.contains("/reset/")).count();
        assert_eq!(resets, 5);
    }
}

#[tokio::test]
async fn a_passkey_is_a_way_in_and_no_second_factor() {
    for app in TestApp::on_every_engine().await {
        let (session, business) = first_person(&app).await;
        let people = app.app.people();
        let owner = signed_in(&app, &session).await.account;
        let mut tx = app.database.store().begin().await.expect("begins");
        let passkey = PasskeyRow {
            id: PasskeyId::from_bits(1),
            account: owner.id,
            credential_id: vec![1; 20],
            name: "Laptop".parse().expect("a name"),
            credential: "{}".to_owned(),
            created_at: owner.created_at,
            last_used_at: None,
        };
        tx.insert_passkey(&passkey).await.expect("inserts");
        tx.commit().await.expect("commits");
        // The password opens the account by itself, so nobody is told of a second factor, and a reset asks for none.
        sign_in(&app, owner.email.as_str(), PASSWORD).await.expect("signed in");
        assert!(!people.members(&business).await.expect("listed")[0].account.has_totp);
        people.request_reset(&owner.email, Language::English, &Visit::default()).await.expect("asked");
        let link = OneTimeToken::parse(&app.mailed_token("/reset").await).expect("ours");
        let done = people.complete_reset(&link, &Password::new("another long passphrase"), &Visit::default()).await;
        assert!(matches!(done, Ok(ResetDone::SignedIn(_))), "{done:?}");
    }
}

#[tokio::test]
async fn an_authenticator_app_is_asked_for_and_no_code_is_good_twice() {
    for app in TestApp::on_every_engine().await {
        let (session, _) = first_person(&app).await;
        let people = app.app.people();
        let person = signed_in(&app, &session).await;
        let account = Context::account(&person, request());
        let enrolment = people.start_totp(&account, &person).await.expect("begun");
        assert!(enrolment.uri.starts_with("otpauth://totp/Mileston:admin%40example.com?secret="));
        assert_eq!(people.pending_totp(&account, &person).await.expect("pending").secret, enrolment.secret);
        assert!(sign_in(&app, "admin@example.com", PASSWORD).await.is_ok(), "it does not count yet");
        let refused = people.confirm_totp(&account, &person, "000000").await;
        assert_eq!(people_error(refused), PeopleError::SignInRefused);
        let code = code_at(&enrolment.secret, app.app.now().as_seconds());
        let codes = people.confirm_totp(&account, &person, &code).await.expect("confirmed");
        assert_eq!(codes.0.len(), 10);
        assert!(signed_in(&app, &session).await.account.has_totp);

        let here = Visit::default();
        let step = || async {
            let owner = email("admin@example.com");
            match people.sign_in(&owner, &Password::new(PASSWORD), &from("192.0.2.1")).await.expect("right") {
                SignInStep::SecondFactor(step) => step,
                SignInStep::Done(_) => panic!("a code is asked for"),
            }
        };
        let first = step().await;
        let again = people.second_factor(&first, &code, &here).await;
        assert_eq!(people_error(again), PeopleError::SignInRefused, "the code was used to confirm");
        app.advance(Duration::from_secs(30));
        let code = code_at(&enrolment.secret, app.app.now().as_seconds());
        people.second_factor(&first, &code, &here).await.expect("signed in");
        assert_eq!(people_error(people.second_factor(&first, &code, &here).await), PeopleError::LinkEnded);
        app.advance(Duration::from_mins(6));
        // A recovery code instead, in whatever spelling, once.
        let recovery = codes.0[3].to_uppercase().replace('-', " ");
        people.second_factor(&step().await, &recovery, &here).await.expect("signed in");
        let next = step().await;
        assert_eq!(people_error(people.second_factor(&next, &recovery, &here).await), PeopleError::SignInRefused);
        let person = signed_in(&app, &session).await;
        assert_eq!(people.recovery_codes_left(&person).await.expect("counted"), 9);
        // Neither the secret nor a code stands in the database.
        for kept in app.database.texts("SELECT COALESCE(password_hash, '') FROM accounts").await {
            assert!(kept.starts_with("$argon2id$"), "{kept}");
        }
    }
}

/// The code of an app, made by other hands: HOTP as RFC 4226 states it.
pub(crate) fn code_at(secret: &str, seconds: i64) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut key, mut buffer, mut bits) = (Vec::new(), 0usize, 0u32);
    for c in secret.chars() {
        buffer = ((buffer << 5) | alphabet.find(c).expect("base 32")) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            key.push(u8::try_from((buffer >> bits) & 0xff).expect("eight bits"));
        }
    }
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key).expect("any length");
    mac.update(&(seconds / 30).to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes(hash[offset..offset + 4].try_into().expect("four")) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// A business made with the invitation of its first administrator; it has its TEST keys.
async fn invited_to_new(app: &TestApp) -> (BusinessId, Invited) {
    let new = BusinessDraft {
        name: "Atelier".parse().expect("a name"),
        id: None,
        profile: None,
        time_zone: None,
        language: Language::English,
        metadata: Metadata::default(),
        invite: Some(email("owner@example.com")),
    };
    let made = app.app.businesses().create(&Context::system(), &new, None).await.expect("made");
    let Answered::Done(CreatedBusiness { business, keys, invitation }) = made else { panic!("nothing is replayed") };
    assert!(keys.iter().all(|issued| issued.view.key.tenant.environment == Environment::Test));
    assert_eq!(keys.len(), 2);
    (business.id, invitation.expect("invited"))
}

#[tokio::test]
async fn the_invited_person_alone_gets_the_first_live_keys() {
    for app in TestApp::on_every_engine().await {
        let (business, invited) = invited_to_new(&app).await;
        assert_eq!(app.mailed_token("/invitations").await, invited.token.expose());
        let people = app.app.people();
        assert!(!people.invitation(&invited.token).await.expect("good").has_account);
        let accepted = accept_new(&app, &invited.token).await.expect("accepted");
        assert_eq!(accepted.keys.len(), 2);
        assert!(accepted.keys.iter().all(|issued| issued.view.key.tenant.environment == Environment::Live));
        let answer = app.key(business.as_str(), accepted.keys[0].value.expose()).get("/v1/whoami").await;
        assert_eq!(answer.expect(200)["environment"], "live");
        assert_eq!(people_error(accept_new(&app, &invited.token).await), PeopleError::LinkEnded);
        // Whoever comes later gets none.
        let invited =
            people.invite(&Context::system(), &business, &email("two@example.com"), Role::Administrator).await;
        let accepted = accept_new(&app, &invited.expect("invited").token).await.expect("accepted");
        assert!(accepted.keys.is_empty());
        let mails = app.mails().await;
        assert!(mails.iter().any(|mail| mail.contains("To: owner@example.com") && mail.contains("Somebody New")));
    }
}

/// A PNG without its picture: what its first bytes say is enough.
fn logo() -> Logo {
    Logo::read(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x40\x08\x06\0\0\0\0\0\0\0".to_vec()).expect("a picture")
}

#[tokio::test]
async fn a_suspended_business_is_read_by_its_people_and_not_changed() {
    for app in TestApp::on_every_engine().await {
        let (session, business) = first_person(&app).await;
        let people = app.app.people();
        let admin = signed_in(&app, &session).await;
        let may = context(&admin, &business);
        let token = member(&app, &business, "dev@example.com", Role::Developer).await;
        let developer = signed_in(&app, &token).await.account.id;
        let waiting = people.invite(&may, &business, &email("x@example.com"), Role::Analyst).await.expect("invited");
        let operator = Context::system();
        app.app.logos().put(&may, &business, logo()).await.expect("kept");
        app.app.businesses().suspend(&operator, &business, None).await.expect("suspended");
        let refuses = |result: Result<(), ServiceError>, what: &str| {
            assert!(matches!(result, Err(ServiceError::BusinessSuspended)), "{what}: {result:?}");
        };
        let change = BusinessChange { language: Some(Language::French), ..BusinessChange::default() };
        let tenant = Tenant::new(business.clone(), Environment::Test);
        let checkout = CheckoutSettings { accepts_late: false, ..CheckoutSettings::default() };
        refuses(app.app.businesses().update(&may, &business, &change).await.map(drop), "update");
        refuses(app.app.checkout().save(&may, &tenant, &checkout).await, "checkout");
        refuses(app.app.logos().put(&may, &business, logo()).await.map(drop), "a logo");
        refuses(app.app.logos().remove(&may, &business).await, "no logo");
        refuses(people.change_role(&may, &business, developer, Role::Analyst).await, "a role");
        let notices = people.notices(&admin, &business).await.expect("read");
        refuses(people.set_notices(&may, &admin, &business, &notices).await, "notices");
        refuses(people.revoke_invitation(&may, &business, waiting.invitation.id).await, "an invitation");
        refuses(accept_new(&app, &waiting.token).await.map(drop), "accepting");
        assert!(people.members(&business).await.expect("read").len() == 2, "the developer and who asks");
        // Whoever is to see nothing any more is taken out all the same, and the operator goes on.
        people.remove_member(&may, &business, developer).await.expect("removed");
        app.app.businesses().update(&operator, &business, &change).await.expect("changed");
        app.app.businesses().resume(&operator, &business, None).await.expect("resumed");
        accept_new(&app, &waiting.token).await.expect("the link stayed good");
    }
}

#[tokio::test]
async fn the_first_administrator_of_a_suspended_business_gets_its_live_keys_later() {
    for app in TestApp::on_every_engine().await {
        let (business, invited) = invited_to_new(&app).await;
        let (businesses, operator) = (app.app.businesses(), Context::system());
        businesses.suspend(&operator, &business, None).await.expect("suspended");
        let refused = accept_new(&app, &invited.token).await;
        assert!(matches!(refused, Err(ServiceError::BusinessSuspended)), "{refused:?}");
        businesses.resume(&operator, &business, None).await.expect("resumed");
        assert_eq!(accept_new(&app, &invited.token).await.expect("accepted").keys.len(), 2);
    }
}

#[tokio::test]
async fn an_invitation_ends_is_taken_back_and_is_for_one_account() {
    for app in TestApp::on_every_engine().await {
        let (session, business) = first_person(&app).await;
        let people = app.app.people();
        let admin = signed_in(&app, &session).await;
        let invite = |address: &'static str, role| {
            let business = business.clone();
            async move { people.invite(&Context::system(), &business, &email(address), role).await.expect("invited") }
        };
        let late = invite("late@example.com", Role::Developer).await;
        app.advance(Duration::from_hours(7 * 24));
        assert_eq!(people_error(accept_new(&app, &late.token).await), PeopleError::LinkEnded);
        let withdrawn = invite("taken@example.com", Role::Developer).await;
        people.revoke_invitation(&Context::system(), &business, withdrawn.invitation.id).await.expect("taken back");
        assert_eq!(people_error(accept_new(&app, &withdrawn.token).await), PeopleError::LinkEnded);
        let again = people.invite(&Context::system(), &business, &admin.account.email, Role::Developer).await;
        assert_eq!(people_error(again), PeopleError::AlreadyMember);
        // Somebody with an account accepts as its owner only.
        let other = app.business("mileston").await;
        let other: BusinessId = other.id().parse().expect("an id");
        let invited = people.invite(&Context::system(), &other, &email("x@example.com"), Role::Analyst).await;
        let invited = invited.expect("invited");
        let token = sign_in(&app, "admin@example.com", PASSWORD).await.expect("signed in").token;
        let admin = signed_in(&app, &token).await;
        let refused = people.accept(&invited.token, Acceptance::Known(&admin), &Visit::default()).await;
        assert_eq!(people_error(refused), PeopleError::OtherAccount);
        let mine = people.invite(&Context::system(), &other, &admin.account.email, Role::Analyst).await;
        let mine = mine.expect("invited");
        assert_eq!(people_error(accept_new(&app, &mine.token).await), PeopleError::SignInFirst);
        let accepted = people.accept(&mine.token, Acceptance::Known(&admin), &Visit::default()).await;
        let accepted = accepted.expect("accepted");
        assert!(accepted.session.is_none() && accepted.keys.is_empty());
        assert_eq!(signed_in(&app, &token).await.memberships.len(), 2);
    }
}

#[tokio::test]
async fn invitations_end_with_the_right_of_whoever_made_them() {
    for app in TestApp::on_every_engine().await {
        let (session, business) = first_person(&app).await;
        let people = app.app.people();
        let admin = signed_in(&app, &session).await;
        let may = context(&admin, &business);
        let mut ended = Vec::new();
        for (address, removed) in [("two@example.com", false), ("three@example.com", true)] {
            let token = member(&app, &business, address, Role::Administrator).await;
            let second = signed_in(&app, &token).await;
            let friend = email(&format!("friend.of.{address}"));
            let theirs = context(&second, &business);
            ended.push(people.invite(&theirs, &business, &friend, Role::Administrator).await.expect("invited"));
            let id = second.account.id;
            if removed {
                people.remove_member(&may, &business, id).await.expect("removed");
            } else {
                people.change_role(&may, &business, id, Role::Developer).await.expect("demoted");
            }
        }
        let stays = people.invite(&may, &business, &email("x@example.com"), Role::Analyst).await.expect("invited");
        for invited in &ended {
            assert_eq!(people_error(people.invitation(&invited.token).await), PeopleError::LinkEnded);
            assert_eq!(people_error(accept_new(&app, &invited.token).await), PeopleError::LinkEnded);
        }
        accept_new(&app, &stays.token).await.expect("the others' are good");
        let told = app.database.texts("SELECT type FROM events WHERE type = 'invitation.revoked'").await;
        assert_eq!(told.len(), 2);
    }
}

#[tokio::test]
async fn an_invitation_to_the_platform_ends_with_whoever_made_it() {
    for app in TestApp::on_every_engine().await {
        let (session, _) = first_person(&app).await;
        let people = app.app.people();
        let admin = signed_in(&app, &session).await;
        let account = Context::account(&admin, request());
        let invite = async |address: &str| {
            people.invite_to_platform(&account, &email(address), Language::English).await.expect("invited")
        };
        let (used, ended) = (invite("two@example.com").await, invite("three@example.com").await);
        accept_new(&app, &used.token).await.expect("accepted");
        people.remove_platform_administrator(&Context::system(), admin.account.id).await.expect("removed");
        assert_eq!(people_error(people.invitation(&ended.token).await), PeopleError::LinkEnded);
        assert_eq!(people_error(accept_new(&app, &ended.token).await), PeopleError::LinkEnded);
    }
}

#[tokio::test]
async fn who_becomes_platform_administrator_is_signed_in_anew() {
    for app in TestApp::on_every_engine().await {
        let (_, business) = first_person(&app).await;
        let people = app.app.people();
        let old = member(&app, &business, "two@example.com", Role::Analyst).await;
        let accepting = sign_in(&app, "two@example.com", PASSWORD).await.expect("signed in").token;
        let person = signed_in(&app, &accepting).await;
        let proven = person.session.verified_at;
        app.advance(Duration::from_mins(20));
        let invited = people.invite_to_platform(&Context::system(), &person.account.email, Language::English).await;
        let link = invited.expect("invited").token;
        let accepted = people.accept(&link, Acceptance::Known(&person), &Visit::default()).await.expect("accepted");
        for gone in [&old, &accepting] {
            assert!(people.session(gone).await.expect("asked").is_none(), "what was known before opens nothing");
        }
        let now = signed_in(&app, &accepted.renewed.expect("another secret")).await;
        assert!(now.account.platform_admin);
        assert_eq!((now.session.id, now.session.verified_at), (person.session.id, proven), "accepting proves nothing");
    }
}

#[tokio::test]
async fn the_last_administrator_stays_and_a_changed_role_ends_sessions() {
    for app in TestApp::on_every_engine().await {
        let (session, business) = first_person(&app).await;
        let people = app.app.people();
        let admin = signed_in(&app, &session).await;
        let may = context(&admin, &business);
        let (id, analyst) = (admin.account.id, Role::Analyst);
        let last = PeopleError::LastAdministrator;
        assert_eq!(people_error(people.change_role(&may, &business, id, analyst).await), last);
        assert_eq!(people_error(people.remove_member(&may, &business, id).await), last);
        assert_eq!(people_error(people.remove_member(&Context::system(), &business, id).await), last);
        let token = member(&app, &business, "dev@example.com", Role::Developer).await;
        let developer = signed_in(&app, &token).await;
        // Another's last proof is theirs alone: a developer manages nobody.
        let refused = people.remove_member(&context(&developer, &business), &business, id).await;
        assert!(matches!(refused, Err(ServiceError::Forbidden)), "{refused:?}");
        people.change_role(&may, &business, developer.account.id, Role::Administrator).await.expect("changed");
        assert!(people.session(&token).await.expect("asked").is_none(), "the session ended with the role");
        // What was asked for with the old role is refused inside the transaction.
        let stale = context(&developer, &business);
        let refused = people.invite(&stale, &business, &email("y@example.com"), analyst).await;
        assert!(matches!(refused, Err(ServiceError::CallerRefused)), "{refused:?}");
        // Two administrators that remove each other at once: one stays.
        let token = sign_in(&app, "dev@example.com", PASSWORD).await.expect("signed in").token;
        let second = signed_in(&app, &token).await;
        let other = context(&second, &business);
        let (one, two) = tokio::join!(
            people.remove_member(&may, &business, second.account.id),
            people.remove_member(&other, &business, id)
        );
        assert_eq!(u32::from(one.is_ok()) + u32::from(two.is_ok()), 1, "{one:?} {two:?}");
        assert_eq!(people.members(&business).await.expect("listed").len(), 1);
    }
}

#[tokio::test]
async fn live_keys_and_members_ask_for_a_recent_proof() {
    for app in TestApp::on_every_engine().await {
        let (session, business) = first_person(&app).await;
        let people = app.app.people();
        let keys = app.app.keys();
        let admin = signed_in(&app, &session).await;
        let may = context(&admin, &business);
        let live = Tenant::new(business.clone(), Environment::Live);
        let test = Tenant::new(business.clone(), Environment::Test);
        let secret = KeyDraft::new(KeyKind::Secret);
        let made = keys.create(&may, &live, &secret, None).await.expect("just signed in");
        let Answered::Done(made) = made else { panic!("nothing is replayed") };
        let id = made.view.key.id;
        app.advance(Duration::from_mins(10));
        let wants_proof = |result: Result<(), ServiceError>, what: &str| {
            assert!(matches!(result, Err(ServiceError::StepUpRequired)), "{what}: {result:?}");
        };
        let narrower = KeyChange {
            scopes: Some(["payments:read".parse().expect("a scope")].into_iter().collect()),
            ..KeyChange::default()
        };
        let wider = KeyChange {
            scopes: Some(
                ["payments:read", "payments:write"].map(|scope| scope.parse().expect("a scope")).into_iter().collect(),
            ),
            ..KeyChange::default()
        };
        wants_proof(keys.create(&may, &live, &secret, None).await.map(drop), "create");
        let overlap = trousseau_domain::keys::Overlap::None;
        wants_proof(keys.rotate(&may, &live, id, overlap, None).await.map(drop), "rotate");
        wants_proof(keys.reveal(&may, &live, id, None).await.map(drop), "reveal");
        wants_proof(keys.readable_value(&may, &live, id).await.map(drop), "read");
        wants_proof(keys.revoke(&may, &live, id, None).await.map(drop), "revoke");
        wants_proof(people.invite(&may, &business, &email("z@example.com"), Role::Analyst).await.map(drop), "invite");
        wants_proof(people.change_role(&may, &business, admin.account.id, Role::Analyst).await, "change a role");
        wants_proof(people.remove_member(&may, &business, admin.account.id).await, "remove");
        keys.update(&may, &live, KeyHandle::Id(id), &narrower).await.expect("narrowing needs none");
        wants_proof(keys.update(&may, &live, KeyHandle::Id(id), &wider).await.map(drop), "widen");
        keys.create(&may, &test, &secret, None).await.expect("TEST needs none");
        // A proof, and it goes on; the session has another secret by then.
        let wrong = Password::new("wrong wrong wrong");
        let account = Context::account(&admin, request());
        let refused = people.step_up(&account, &admin, &StepUpProof::Password(&wrong)).await;
        assert_eq!(people_error(refused), PeopleError::SignInRefused);
        let right = Password::new(PASSWORD);
        let token = people.step_up(&account, &admin, &StepUpProof::Password(&right)).await.expect("proven");
        assert!(people.session(&session).await.expect("asked").is_none());
        signed_in(&app, &token).await;
        keys.update(&may, &live, KeyHandle::Id(id), &wider).await.expect("proven");
        keys.revoke(&may, &live, id, None).await.expect("proven");
    }
}

#[tokio::test]
async fn each_role_does_what_the_table_says_and_nobody_reaches_another_business() {
    for app in TestApp::on_every_engine().await {
        let (_, business) = first_person(&app).await;
        let other = app.business("mileston").await;
        let other: BusinessId = other.id().parse().expect("an id");
        let keys = app.app.keys();
        let test = Tenant::new(business.clone(), Environment::Test);
        for (role, address, writes) in
            [(Role::Developer, "dev@example.com", true), (Role::Analyst, "ana@example.com", false)]
        {
            let token = member(&app, &business, address, role).await;
            let person = signed_in(&app, &token).await;
            let may = context(&person, &business);
            let made = keys.create(&may, &test, &KeyDraft::new(KeyKind::Secret), None).await;
            assert_eq!(made.is_ok(), writes, "{role}: {made:?}");
            let change = BusinessChange { language: Some(Language::French), ..BusinessChange::default() };
            let changed = app.app.businesses().update(&may, &business, &change).await;
            assert!(matches!(changed, Err(ServiceError::Forbidden)), "{role}: {changed:?}");
            let theirs = Tenant::new(other.clone(), Environment::Test);
            let elsewhere = keys.create(&may, &theirs, &KeyDraft::new(KeyKind::Secret), None).await;
            assert!(matches!(elsewhere, Err(ServiceError::NotFound)), "{role}: {elsewhere:?}");
            let platform = app.app.businesses().suspend(&may, &business, None).await;
            assert!(matches!(platform, Err(ServiceError::Forbidden)), "{role}: {platform:?}");
        }
    }
}

#[tokio::test]
async fn passkeys_are_asked_for_in_the_same_way_whoever_it_is() {
    for app in TestApp::on_every_engine().await {
        let (session, _) = first_person(&app).await;
        let people = app.app.people();
        assert!(people.offers_passkeys());
        let person = signed_in(&app, &session).await;
        let account = Context::account(&person, request());
        let asked = people.start_passkey(&account, &person).await.expect("asked");
        assert_eq!(asked.options["publicKey"]["rp"]["id"], "localhost");
        let name = "Laptop".parse().expect("a name");
        let nonsense = people.finish_passkey(&account, &person, &asked.handle, &name, &json!({})).await;
        assert_eq!(people_error(nonsense), PeopleError::SignInRefused);
        let again = people.finish_passkey(&account, &person, &asked.handle, &name, &json!({})).await;
        assert_eq!(people_error(again), PeopleError::LinkEnded, "what was asked is waited for once");
        let mut shapes = Vec::new();
        let visit = Visit::default();
        for address in ["admin@example.com", "nobody@example.com"] {
            let one = people.start_passkey_sign_in(&email(address), &visit).await.expect("asked");
            let two = people.start_passkey_sign_in(&email(address), &visit).await.expect("asked");
            let allowed = |ceremony: &trousseau_service::people::passkeys::Ceremony| {
                ceremony.options["publicKey"]["allowCredentials"].clone()
            };
            assert_eq!(allowed(&one), allowed(&two));
            assert!(!allowed(&one).as_array().expect("a list").is_empty());
            let answer = people.finish_passkey_sign_in(&one.handle, &json!({}), &Visit::default()).await;
            shapes.push(people_error(answer));
        }
        assert_eq!(shapes[0], shapes[1]);
        // Guesses are counted whoever they are about.
        for address in ["admin@example.com", "nobody@example.com"] {
            let guess = async || {
                let asked = people.start_passkey_sign_in(&email(address), &visit).await.expect("asked");
                people_error(people.finish_passkey_sign_in(&asked.handle, &json!({}), &from("203.0.113.5")).await)
            };
            for attempt in 1..=10 {
                assert_eq!(guess().await, PeopleError::SignInRefused, "{address} {attempt}");
                app.advance(Duration::from_secs(161));
            }
            assert!(matches!(guess().await, PeopleError::TooManyAttempts { .. }), "{address}");
            app.advance(Duration::from_mins(90));
        }
    }
}

/// How many rows there are under each version of the key-encryption key, the oldest first.
async fn rows_by_kek(app: &TestApp) -> Vec<u64> {
    let status = app.app.secrets().status().await.expect("known");
    let kek = status.into_iter().find(|status| status.kind == SecretKind::Kek).expect("one of the two");
    kek.versions.iter().map(|version| version.rows).collect()
}

#[tokio::test]
async fn a_rotation_moves_all_that_is_sealed_and_all_of_it_opens_afterwards() {
    for app in TestApp::on_every_engine().await {
        let (session, business) = first_person(&app).await;
        let people = app.app.people();
        let person = signed_in(&app, &session).await;
        let account = Context::account(&person, request());
        // Three values of keys; the LIVE secret's is not kept.
        assert_eq!(rows_by_kek(&app).await, [3]);
        let enrolment = people.start_totp(&account, &person).await.expect("begun");
        let system = Context::system();
        people.invite(&system, &business, &email("new@example.com"), Role::Analyst).await.expect("invited");
        let kept = people.keep_form(&person, "/account", "what was typed").await.expect("kept").expect("there is room");
        assert_eq!(rows_by_kek(&app).await, [6]);

        let rotation = app.app.secrets().rotate(&[SecretKind::Kek], system.actor(), None).await.expect("rotated");
        assert_eq!((rotation.moved.rewrapped, rotation.moved.refused), (6, 0));
        assert_eq!(rows_by_kek(&app).await, [0, 6]);

        let code = code_at(&enrolment.secret, app.app.now().as_seconds());
        people.confirm_totp(&account, &person, &code).await.expect("the secret opens");
        assert_eq!(app.mailed_token("/invitations").await.len(), 43, "the mail opens");
        let form = people.take_form(&person, "/account", &kept).await.expect("asked").expect("the form opens");
        assert_eq!(form.as_str(), "what was typed");
    }
}

#[tokio::test]
async fn a_sealed_value_of_another_row_stays_where_it_is_and_is_counted() {
    for app in TestApp::on_every_engine().await {
        let (session, _) = first_person(&app).await;
        let people = app.app.people();
        let person = signed_in(&app, &session).await;
        for page in ["/one", "/two"] {
            people.keep_form(&person, page, "fields").await.expect("kept").expect("there is room");
        }
        // Somebody who can write to the database puts the one into the row of the other.
        app.database
            .run(
                "UPDATE kept_forms SET sealed = (SELECT f.sealed FROM kept_forms f WHERE f.page = '/one') \
                 WHERE page = '/two'",
            )
            .await
            .expect("changed");
        let system = Context::system();
        let rotation = app.app.secrets().rotate(&[SecretKind::Kek], system.actor(), None).await.expect("rotated");
        assert_eq!((rotation.moved.rewrapped, rotation.moved.refused), (4, 1));
        assert_eq!(rows_by_kek(&app).await, [1, 4]);
    }
}

#[tokio::test]
async fn a_kept_form_is_shown_once_to_its_own_session_and_page_and_for_ten_minutes() {
    for app in TestApp::on_every_engine().await {
        let (session, business) = first_person(&app).await;
        let people = app.app.people();
        let person = signed_in(&app, &session).await;
        let token = member(&app, &business, "other@example.com", Role::Developer).await;
        let other = signed_in(&app, &token).await;
        let keep = || async { people.keep_form(&person, "/page", "fields").await.expect("kept").expect("room") };
        let kept = keep().await;
        for (who, page) in [(&other, "/page"), (&person, "/page/other")] {
            assert!(people.take_form(who, page, &kept).await.expect("asked").is_none(), "{page}");
        }
        assert!(people.take_form(&person, "/page", &kept).await.expect("asked").is_some());
        assert!(people.take_form(&person, "/page", &kept).await.expect("asked").is_none(), "once");
        let late = keep().await;
        for table in app.database.texts("SELECT id FROM kept_forms").await {
            assert!(!table.contains(late.expose()), "what brings it back is not kept");
        }
        app.advance(Duration::from_mins(10));
        assert!(people.take_form(&person, "/page", &late).await.expect("asked").is_none(), "too late");
        for _ in 0..20 {
            keep().await;
        }
        assert!(people.keep_form(&person, "/page", "fields").await.expect("asked").is_none(), "enough is enough");
    }
}
