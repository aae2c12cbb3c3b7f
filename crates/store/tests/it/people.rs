//! Accounts, memberships, invitations, sessions and what belongs to them.

use trousseau_domain::actor::Actor;
use trousseau_domain::business::Language;
use trousseau_domain::ids::{AccountId, InvitationId, MailId, PasskeyId, SessionId};
use trousseau_domain::logo::{LogoDigest, LogoFormat};
use trousseau_domain::members::{Notice, Role};
use trousseau_store::{
    AccountRow, CeremonyKind, CeremonyRow, InvitationRow, InvitedTo, KeptFormRow, LogoRow, MailRow, MembershipRow,
    PasskeyRow, RecoveryCodeRow, Sealed, SealedPlace, SessionRow, Store, StoreError, TokenPurpose, TokenRow, TotpRow,
    UniqueRule, both_engines,
};

use crate::samples::{at, business_id, commit, two_businesses};

fn id(bits: u8) -> AccountId {
    AccountId::from_bits(bits.into())
}

fn account(bits: u8) -> AccountRow {
    AccountRow {
        id: id(bits),
        email: format!("p{bits}@example.com").parse().expect("good"),
        name: "Zoé Martin".parse().expect("good"),
        language: Language::French,
        platform_admin: false,
        password_hash: Some("$argon2id$...".to_owned()),
        totp: None,
        created_at: at(1),
        updated_at: at(1),
        revision: 0,
    }
}

fn membership(business: &str, bits: u8, role: Role) -> MembershipRow {
    MembershipRow {
        business: business_id(business),
        account: id(bits),
        role,
        created_at: at(2),
        created_by: Actor::Member { id: id(9) },
    }
}

fn session(bits: u8, of: u8) -> SessionRow {
    SessionRow {
        id: SessionId::from_bits(bits.into()),
        account: id(of),
        digest: [bits; 32],
        created_at: at(10),
        seen_at: at(10),
        idle_ends_at: at(100),
        ends_at: at(1_000),
        verified_at: at(10),
        address: Some("192.0.2.1".to_owned()),
        agent: None,
    }
}

/// Two businesses; accounts 1 to 3, the first two of them administrator and analyst of `b1`.
async fn some_people(store: &Store) {
    two_businesses(store).await;
    commit!(store, |tx| {
        for bits in 1..=3 {
            tx.insert_account(&account(bits)).await.expect("inserts");
        }
        assert!(tx.insert_membership(&membership("b1", 1, Role::Administrator)).await.expect("inserts"));
        assert!(tx.insert_membership(&membership("b1", 2, Role::Analyst)).await.expect("inserts"));
        assert!(tx.insert_membership(&membership("b2", 2, Role::Developer)).await.expect("inserts"));
    });
}

both_engines! {
    async fn an_account_is_read_back_as_it_was_written(database) {
        let store = database.store();
        let secret = Sealed { bytes: vec![1, 2], kek_version: 3 };
        let full = AccountRow {
            platform_admin: true,
            totp: Some(TotpRow { secret, confirmed_at: Some(at(4)), last_step: Some(5) }),
            ..account(1)
        };
        let bare = AccountRow { password_hash: None, ..account(2) };
        assert_eq!(store.read().count_accounts().await.expect("counts"), 0);
        commit!(store, |tx| {
            tx.insert_account(&full).await.expect("inserts");
            tx.insert_account(&bare).await.expect("inserts");
        });
        let mut read = store.read();
        assert_eq!(read.count_accounts().await.expect("counts"), 2);
        assert_eq!(read.find_account(full.id).await.expect("reads").as_ref(), Some(&full));
        assert_eq!(read.find_account_by_email(&bare.email).await.expect("reads"), Some(bare));
        assert_eq!(read.find_account(id(9)).await.expect("reads"), None);
        assert_eq!(read.list_platform_administrators().await.expect("lists"), [full]);
    }

    async fn an_address_has_one_account(database) {
        let store = database.store();
        commit!(store, |tx| tx.insert_account(&account(1)).await.expect("inserts"));
        let mut tx = store.begin().await.expect("begins");
        let twin = AccountRow { id: id(7), ..account(1) };
        match tx.insert_account(&twin).await {
            Err(StoreError::Unique { constraint: UniqueRule::AccountEmail, .. }) => {}
            other => panic!("{other:?}"),
        }
    }

    async fn a_change_of_an_account_names_its_revision(database) {
        let store = database.store();
        commit!(store, |tx| tx.insert_account(&account(1)).await.expect("inserts"));
        commit!(store, |tx| {
            let mut locked = tx.lock_account(id(1)).await.expect("locks").expect("is there");
            assert_eq!(locked.revision, 1);
            locked.name = "Somebody".parse().expect("good");
            locked.totp = Some(TotpRow {
                secret: Sealed { bytes: vec![9], kek_version: 1 }, confirmed_at: None, last_step: None,
            });
            assert!(tx.update_account(&locked).await.expect("updates"));
            locked.revision = 0;
            assert!(!tx.update_account(&locked).await.expect("an old revision changes nothing"));
            assert!(tx.lock_account(id(9)).await.expect("locks").is_none());
        });
        commit!(store, |tx| {
            assert!(tx.use_totp_step(id(1), 7).await.expect("uses"));
            assert!(!tx.use_totp_step(id(1), 7).await.expect("is used"));
            assert!(!tx.use_totp_step(id(1), 6).await.expect("is older"));
            assert!(tx.use_totp_step(id(1), 8).await.expect("uses"));
            assert!(!tx.use_totp_step(id(9), 8).await.expect("has no app"));
        });
        let found = store.read().find_account(id(1)).await.expect("reads").expect("is there");
        assert_eq!((found.name.as_str(), found.totp.and_then(|totp| totp.last_step)), ("Somebody", Some(8)));
    }

    async fn a_business_has_one_logo_and_its_members_see_it(database) {
        let store = database.store();
        some_people(store).await;
        let logo = |business: &str, byte: u8| LogoRow {
            business: business_id(business),
            digest: LogoDigest::from_sha256([byte; 32]),
            format: LogoFormat::Webp,
            width: 64,
            height: 32,
            content: vec![byte; 3],
            created_at: at(1),
            created_by: Actor::System,
        };
        commit!(store, |tx| {
            for row in [logo("b1", 1), logo("b1", 2), logo("b2", 3)] {
                tx.put_logo(&row).await.expect("puts");
            }
        });
        let found = async |byte| store.read().find_logo(&LogoDigest::from_sha256([byte; 32])).await.expect("reads");
        assert_eq!(found(1).await, None, "the second one took its place");
        assert_eq!(found(2).await, Some((LogoFormat::Webp, vec![2; 3])));
        let logos = store.read().list_memberships(id(2)).await.expect("lists");
        let logos: Vec<_> = logos.iter().map(|joined| joined.logo.map(|digest| digest.as_bytes()[0])).collect();
        assert_eq!(logos, [Some(2), Some(3)]);
        commit!(store, |tx| {
            assert!(tx.delete_logo(&business_id("b1")).await.expect("deletes"));
            assert!(!tx.delete_logo(&business_id("b1")).await.expect("is gone"));
        });
        assert_eq!(found(2).await, None);
        let joined = store.read().list_memberships(id(1)).await.expect("lists");
        assert_eq!(joined[0].logo, None);
    }

    async fn a_kept_form_is_taken_once_by_its_session_and_page(database) {
        let store = database.store();
        let (mine, other) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let form = |id: &str, expires| KeptFormRow {
            id: id.to_owned(),
            session: mine,
            page: "/page".to_owned(),
            sealed: Sealed { bytes: vec![7], kek_version: 1 },
            created_at: at(1),
            expires_at: at(expires),
        };
        commit!(store, |tx| {
            for row in [form("a", 10), form("b", 10), form("c", 3)] {
                tx.insert_kept_form(&row).await.expect("keeps");
            }
        });
        assert_eq!(store.read().count_kept_forms(mine, at(5)).await.expect("counts"), 2);
        assert_eq!(store.read().count_kept_forms(other, at(5)).await.expect("counts"), 0);
        commit!(store, |tx| {
            for (id, session, page) in [("a", other, "/page"), ("a", mine, "/other"), ("x", mine, "/page"), ("c", mine, "/page")] {
                assert_eq!(tx.take_kept_form(id, session, page, at(5)).await.expect("asks"), None, "{id} {page}");
            }
            let sealed = Sealed { bytes: vec![7], kek_version: 1 };
            assert_eq!(tx.take_kept_form("a", mine, "/page", at(5)).await.expect("takes"), Some(sealed));
            assert_eq!(tx.take_kept_form("a", mine, "/page", at(5)).await.expect("asks"), None);
            tx.prune_people(at(5), at(0), at(0), 10).await.expect("prunes");
        });
        let left = database.texts("SELECT id FROM kept_forms").await;
        assert_eq!(left, ["b"]);
    }

    async fn sealed_cells_move_to_another_key_and_only_from_what_they_were(database) {
        let store = database.store();
        let secret = Sealed { bytes: vec![1, 2], kek_version: 1 };
        let totp = Some(TotpRow { secret, confirmed_at: None, last_step: None });
        commit!(store, |tx| {
            tx.insert_account(&AccountRow { totp, ..account(1) }).await.expect("inserts");
            tx.insert_account(&account(2)).await.expect("inserts");
        });
        for place in SealedPlace::ALL {
            let cells = store.read().list_cells_on_other_kek(place, 2, 10).await.expect("lists");
            let expected = usize::from(place == SealedPlace::TotpSecret);
            assert_eq!(cells.len(), expected, "{place:?}");
            assert_eq!(store.read().count_cells_by_kek(place).await.expect("counts").len(), expected, "{place:?}");
        }
        let cells = store.read().list_cells_on_other_kek(SealedPlace::TotpSecret, 2, 10).await.expect("lists");
        assert_eq!(cells[0].row, id(1).to_string());
        let new = Sealed { bytes: vec![3], kek_version: 2 };
        commit!(store, |tx| {
            assert!(tx.rewrap_cell(&cells[0], &new).await.expect("moves"));
            assert!(!tx.rewrap_cell(&cells[0], &new).await.expect("it is another one now"));
        });
        let totp = store.read().find_account(id(1)).await.expect("reads").and_then(|account| account.totp);
        assert_eq!(totp.map(|totp| totp.secret), Some(new));
    }

    async fn members_belong_to_their_business(database) {
        let store = database.store();
        some_people(store).await;
        let (b1, b2) = (business_id("b1"), business_id("b2"));
        let mut read = store.read();
        assert_eq!(read.find_role(&b1, id(2)).await.expect("reads"), Some(Role::Analyst));
        assert_eq!(read.find_role(&b2, id(1)).await.expect("reads"), None);
        assert_eq!(read.count_members(&b1, None).await.expect("counts"), 2);
        assert_eq!(read.count_members(&b1, Some(Role::Administrator)).await.expect("counts"), 1);
        let members = read.list_members(&b1).await.expect("lists");
        let seen: Vec<_> = members.iter().map(|row| (row.account.id, row.membership.role)).collect();
        assert_eq!(seen, [(id(1), Role::Administrator), (id(2), Role::Analyst)]);
        assert_eq!(members[0].membership.created_by, Actor::Member { id: id(9) });
        let mine = read.list_memberships(id(2)).await.expect("lists");
        let mine: Vec<_> = mine.iter().map(|joined| (joined.business.id.as_str(), joined.role)).collect();
        assert_eq!(mine, [("b1", Role::Analyst), ("b2", Role::Developer)]);
        assert!(read.list_memberships(id(3)).await.expect("lists").is_empty());
        commit!(store, |tx| {
            assert!(!tx.insert_membership(&membership("b1", 2, Role::Developer)).await.expect("is a member"));
            assert!(!tx.set_role(&b1, id(2), Role::Developer, Role::Analyst).await.expect("another role"));
            assert!(tx.set_role(&b1, id(2), Role::Analyst, Role::Developer).await.expect("changes"));
            assert!(!tx.delete_membership(&b2, id(1)).await.expect("no member"));
            tx.set_notice(&b2, id(2), Notice::MemberAdded, false).await.expect("keeps");
            assert!(tx.delete_membership(&b2, id(2)).await.expect("removes"));
        });
        assert_eq!(store.read().find_role(&b1, id(2)).await.expect("reads"), Some(Role::Developer));
        assert!(store.read().list_notice_settings(&b2, id(2)).await.expect("lists").is_empty());
    }

    async fn a_business_waits_while_nobody_is_in_it_or_invited(database) {
        let store = database.store();
        some_people(store).await;
        assert_eq!(store.read().find_business_without_members(at(5)).await.expect("reads"), None);
        commit!(store, |tx| assert!(tx.delete_membership(&business_id("b2"), id(2)).await.expect("removes")));
        let waiting = store.read().find_business_without_members(at(5)).await.expect("reads");
        assert_eq!(waiting.map(|row| row.id), Some(business_id("b2")));
        commit!(store, |tx| tx.insert_invitation(&invitation(1, "b2")).await.expect("inserts"));
        assert_eq!(store.read().find_business_without_members(at(5)).await.expect("reads"), None);
        assert!(store.read().find_business_without_members(at(500)).await.expect("reads").is_some());
    }

    async fn notices_are_chosen_per_business_and_person(database) {
        let store = database.store();
        some_people(store).await;
        let b1 = business_id("b1");
        commit!(store, |tx| {
            tx.set_notice(&b1, id(1), Notice::KeyEnding, true).await.expect("keeps");
            tx.set_notice(&b1, id(1), Notice::KeyEnding, false).await.expect("keeps");
            tx.set_notice(&b1, id(1), Notice::MemberAdded, true).await.expect("keeps");
        });
        let chosen = store.read().list_notice_settings(&b1, id(1)).await.expect("lists");
        assert_eq!(chosen, [(Notice::KeyEnding, false), (Notice::MemberAdded, true)]);
        assert!(store.read().list_notice_settings(&b1, id(2)).await.expect("lists").is_empty());
        assert!(store.read().list_notice_settings(&business_id("b2"), id(1)).await.expect("lists").is_empty());
    }

    async fn sessions_end_by_time_and_by_hand(database) {
        let store = database.store();
        some_people(store).await;
        commit!(store, |tx| for (bits, of) in [(1, 1), (2, 1), (3, 2)] {
            tx.insert_session(&session(bits, of)).await.expect("inserts");
        });
        let mut read = store.read();
        let (found, owner) = read.find_session(&[1; 32], at(50)).await.expect("reads").expect("is there");
        assert_eq!((found, owner.id), (session(1, 1), id(1)));
        for (digest, now) in [([1; 32], 100), ([1; 32], 2_000), ([7; 32], 50)] {
            assert!(read.find_session(&digest, at(now)).await.expect("reads").is_none(), "{now}");
        }
        let mine = SessionId::from_bits(1);
        assert!(read.find_session_of(id(1), mine, at(50)).await.expect("reads").is_some());
        assert!(read.find_session_of(id(2), mine, at(50)).await.expect("reads").is_none());
        commit!(store, |tx| {
            assert!(tx.touch_session(id(1), mine, at(60), at(160)).await.expect("touches"));
            assert!(!tx.touch_session(id(1), mine, at(60), at(160)).await.expect("was seen then"));
            assert!(!tx.touch_session(id(2), mine, at(70), at(170)).await.expect("not theirs"));
            assert!(!tx.verify_session(id(2), mine, &[8; 32], at(70)).await.expect("not theirs"));
            assert!(tx.verify_session(id(1), mine, &[8; 32], at(70)).await.expect("verifies"));
        });
        assert!(store.read().find_session(&[1; 32], at(80)).await.expect("reads").is_none());
        let (moved, ..) = store.read().find_session(&[8; 32], at(150)).await.expect("reads").expect("is there");
        assert_eq!((moved.seen_at, moved.verified_at), (at(60), at(70)));
        let listed = store.read().list_sessions(id(1), at(90)).await.expect("lists");
        assert_eq!(listed.iter().map(|row| row.id.bits()).collect::<Vec<_>>(), [1, 2]);
        commit!(store, |tx| {
            assert!(!tx.delete_session(id(2), mine).await.expect("not theirs"));
            assert_eq!(tx.delete_sessions(id(1), Some(mine)).await.expect("ends"), 1);
            assert!(tx.delete_session(id(1), mine).await.expect("ends"));
            assert_eq!(tx.delete_sessions(id(2), None).await.expect("ends"), 1);
        });
    }

    async fn failures_are_counted_and_forgiven(database) {
        let store = database.store();
        let (one, two) = ([1; 32], [2; 32]);
        assert_eq!(store.read().find_attempts(&one).await.expect("reads"), None);
        commit!(store, |tx| {
            assert_eq!(tx.count_failure(&one, at(10), at(0)).await.expect("counts").failures, 1);
            assert_eq!(tx.count_failure(&one, at(20), at(5)).await.expect("counts").failures, 2);
            assert_eq!(tx.count_failure(&two, at(20), at(5)).await.expect("counts").failures, 1);
            tx.block_attempts(&one, at(99)).await.expect("blocks");
        });
        let row = store.read().find_attempts(&one).await.expect("reads").expect("is there");
        assert_eq!((row.failures, row.last_at, row.blocked_until), (2, at(20), Some(at(99))));
        commit!(store, |tx| {
            let row = tx.count_failure(&one, at(500), at(400)).await.expect("counts");
            assert_eq!((row.failures, row.blocked_until), (1, Some(at(99))));
            tx.clear_attempts(&two).await.expect("clears");
        });
        assert_eq!(store.read().find_attempts(&two).await.expect("reads"), None);
    }

    async fn devices_are_known_to_one_account(database) {
        let store = database.store();
        some_people(store).await;
        commit!(store, |tx| {
            tx.remember_device(id(1), &[5; 32], at(1)).await.expect("keeps");
            tx.remember_device(id(1), &[5; 32], at(2)).await.expect("keeps");
        });
        assert!(store.read().knows_device(id(1), &[5; 32]).await.expect("reads"));
        assert!(!store.read().knows_device(id(2), &[5; 32]).await.expect("reads"));
        assert!(!store.read().knows_device(id(1), &[6; 32]).await.expect("reads"));
        commit!(store, |tx| assert_eq!(tx.forget_devices(id(1)).await.expect("forgets"), 1));
        assert!(!store.read().knows_device(id(1), &[5; 32]).await.expect("reads"));
    }

    async fn tokens_are_good_once_in_time_and_for_one_purpose(database) {
        let store = database.store();
        some_people(store).await;
        let token = |bits: u8, account| TokenRow {
            digest: [bits; 32], account, created_at: at(1), expires_at: at(100), failures: 0,
        };
        commit!(store, |tx| {
            tx.insert_token(TokenPurpose::Reset, &token(1, Some(id(1)))).await.expect("inserts");
            tx.insert_token(TokenPurpose::Reset, &token(2, None)).await.expect("inserts");
            tx.insert_token(TokenPurpose::FirstRun, &token(3, None)).await.expect("inserts");
            tx.insert_token(TokenPurpose::SecondFactor, &token(4, Some(id(2)))).await.expect("inserts");
        });
        let mut read = store.read();
        let found = read.find_token(TokenPurpose::Reset, &[1; 32], at(99)).await.expect("reads");
        assert_eq!(found, Some(token(1, Some(id(1)))));
        assert!(read.find_token(TokenPurpose::Reset, &[1; 32], at(100)).await.expect("reads").is_none());
        assert!(read.find_token(TokenPurpose::FirstRun, &[1; 32], at(50)).await.expect("reads").is_none());
        let count = read.count_tokens_since(id(1), TokenPurpose::Reset, at(0)).await.expect("counts");
        assert_eq!(count, 1);
        commit!(store, |tx| {
            assert!(!tx.use_token(TokenPurpose::FirstRun, &[1; 32], at(50)).await.expect("another purpose"));
            assert!(!tx.use_token(TokenPurpose::Reset, &[1; 32], at(100)).await.expect("too late"));
            assert!(tx.use_token(TokenPurpose::Reset, &[1; 32], at(50)).await.expect("uses"));
            assert!(!tx.use_token(TokenPurpose::Reset, &[1; 32], at(50)).await.expect("is used"));
            assert!(tx.fail_token(TokenPurpose::SecondFactor, &[4; 32], 2, at(50)).await.expect("one is left"));
            assert!(!tx.fail_token(TokenPurpose::SecondFactor, &[4; 32], 2, at(50)).await.expect("none is left"));
            assert!(!tx.use_token(TokenPurpose::SecondFactor, &[4; 32], at(50)).await.expect("has ended"));
            assert_eq!(tx.delete_tokens(TokenPurpose::FirstRun, None).await.expect("takes back"), 1);
            assert_eq!(tx.delete_tokens(TokenPurpose::Reset, Some(id(1))).await.expect("takes back"), 1);
        });
        assert!(store.read().find_token(TokenPurpose::Reset, &[2; 32], at(50)).await.expect("reads").is_some());
    }

    async fn one_of_many_uses_of_a_token_wins(database) {
        let store = database.store().clone();
        let row = TokenRow { digest: [1; 32], account: None, created_at: at(1), expires_at: at(100), failures: 0 };
        commit!(store, |tx| tx.insert_token(TokenPurpose::FirstRun, &row).await.expect("inserts"));
        let tasks: Vec<_> = (0..10).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                commit!(store, |tx| tx.use_token(TokenPurpose::FirstRun, &[1; 32], at(5)).await.expect("asks"))
            })
        }).collect();
        let mut winners = 0;
        for task in tasks {
            winners += u32::from(task.await.expect("no panic"));
        }
        assert_eq!(winners, 1);
    }

    async fn invitations_are_answered_once(database) {
        let store = database.store();
        some_people(store).await;
        let platform = InvitationRow { to: InvitedTo::Platform, ..invitation(2, "b1") };
        commit!(store, |tx| {
            tx.insert_invitation(&invitation(1, "b1")).await.expect("inserts");
            tx.insert_invitation(&platform).await.expect("inserts");
            tx.insert_invitation(&invitation(3, "b2")).await.expect("inserts");
        });
        let mut read = store.read();
        assert_eq!(read.find_invitation(&[1; 32], at(5)).await.expect("reads"), Some(invitation(1, "b1")));
        assert_eq!(read.find_invitation(&[2; 32], at(5)).await.expect("reads"), Some(platform));
        assert_eq!(read.find_invitation(&[1; 32], at(100)).await.expect("reads"), None);
        assert_eq!(read.list_invitations(&business_id("b2")).await.expect("lists"), [invitation(3, "b2")]);
        // Another one of the same address to the same place takes its place.
        commit!(store, |tx| tx.insert_invitation(&invitation(4, "b1")).await.expect("inserts"));
        assert_eq!(store.read().find_invitation(&[1; 32], at(5)).await.expect("reads"), None);
        assert!(store.read().find_invitation(&[3; 32], at(5)).await.expect("reads").is_some());
        let number = |bits: u8| InvitationId::from_bits(bits.into());
        commit!(store, |tx| {
            assert!(!tx.accept_invitation(number(1), id(3), at(6)).await.expect("taken back"));
            assert!(!tx.accept_invitation(number(4), id(3), at(100)).await.expect("too late"));
            assert!(tx.accept_invitation(number(4), id(3), at(6)).await.expect("accepts"));
            assert!(!tx.accept_invitation(number(4), id(3), at(6)).await.expect("is accepted"));
            assert!(!tx.revoke_invitation(&business_id("b1"), number(3), at(6)).await.expect("not theirs"));
            assert!(tx.revoke_invitation(&business_id("b2"), number(3), at(6)).await.expect("revokes"));
            assert!(!tx.accept_invitation(number(3), id(3), at(6)).await.expect("taken back"));
        });
    }

    async fn passkeys_belong_to_one_account(database) {
        let store = database.store();
        some_people(store).await;
        let passkey = |bits: u8, of: u8| PasskeyRow {
            id: PasskeyId::from_bits(bits.into()),
            account: id(of),
            credential_id: vec![bits, 0, 255],
            name: "Laptop".parse().expect("good"),
            credential: "{}".to_owned(),
            created_at: at(bits.into()),
            last_used_at: None,
        };
        commit!(store, |tx| {
            tx.insert_passkey(&passkey(1, 1)).await.expect("inserts");
            tx.insert_passkey(&passkey(2, 1)).await.expect("inserts");
            assert!(!tx.use_passkey(id(2), passkey(1, 1).id, "{1}", at(7)).await.expect("not theirs"));
            assert!(tx.use_passkey(id(1), passkey(1, 1).id, "{1}", at(7)).await.expect("uses"));
        });
        let used = PasskeyRow { credential: "{1}".to_owned(), last_used_at: Some(at(7)), ..passkey(1, 1) };
        let mut read = store.read();
        assert_eq!(read.list_passkeys(id(1)).await.expect("lists"), [used.clone(), passkey(2, 1)]);
        assert_eq!(read.find_passkey_by_credential(&[1, 0, 255]).await.expect("reads"), Some(used));
        let mut tx = store.begin().await.expect("begins");
        let twin = PasskeyRow { credential_id: vec![1, 0, 255], ..passkey(9, 2) };
        assert!(matches!(
            tx.insert_passkey(&twin).await,
            Err(StoreError::Unique { constraint: UniqueRule::Passkey, .. })
        ));
        drop(tx);
        commit!(store, |tx| {
            assert!(!tx.delete_passkey(id(2), passkey(1, 1).id).await.expect("not theirs"));
            assert!(tx.delete_passkey(id(1), passkey(1, 1).id).await.expect("removes"));
        });
    }

    async fn ceremonies_are_taken_once(database) {
        let store = database.store();
        some_people(store).await;
        let row = |bits: u8| CeremonyRow {
            digest: [bits; 32],
            kind: CeremonyKind::Authentication,
            account: Some(id(1)),
            state: "{}".to_owned(),
            created_at: at(1),
            expires_at: at(100),
        };
        commit!(store, |tx| for bits in 1..=2 { tx.insert_ceremony(&row(bits)).await.expect("inserts") });
        let (login, registration) = (CeremonyKind::Authentication, CeremonyKind::Registration);
        commit!(store, |tx| {
            assert_eq!(tx.take_ceremony(registration, &[1; 32], at(5)).await.expect("asks"), None);
            assert_eq!(tx.take_ceremony(login, &[1; 32], at(5)).await.expect("takes"), Some(row(1)));
            assert_eq!(tx.take_ceremony(login, &[1; 32], at(5)).await.expect("is taken"), None);
            assert_eq!(tx.take_ceremony(login, &[2; 32], at(100)).await.expect("has ended"), None);
        });
    }

    async fn recovery_codes_are_used_once_and_replaced(database) {
        let store = database.store();
        some_people(store).await;
        let code = |number: u32, byte: u8| RecoveryCodeRow { number, salt: vec![byte; 16], digest: [byte; 32] };
        commit!(store, |tx| {
            tx.replace_recovery_codes(id(1), &[code(1, 1), code(2, 2)]).await.expect("replaces");
            assert!(tx.use_recovery_code(id(1), 1, at(5)).await.expect("uses"));
            assert!(!tx.use_recovery_code(id(1), 1, at(5)).await.expect("is used"));
            assert!(!tx.use_recovery_code(id(2), 2, at(5)).await.expect("not theirs"));
        });
        assert_eq!(store.read().list_recovery_codes(id(1)).await.expect("lists"), [code(2, 2)]);
        commit!(store, |tx| tx.replace_recovery_codes(id(1), &[code(1, 9)]).await.expect("replaces"));
        assert_eq!(store.read().list_recovery_codes(id(1)).await.expect("lists"), [code(1, 9)]);
    }

    async fn mails_are_leased_postponed_and_finished(database) {
        let store = database.store();
        let mail = |bits: u8| MailRow {
            id: MailId::from_bits(bits.into()),
            account: None,
            template: "reset".to_owned(),
            sealed: Sealed { bytes: vec![bits], kek_version: 1 },
            created_at: at(1),
            attempt: 0,
            next_at: at(bits.into()),
        };
        commit!(store, |tx| for bits in 1..=3 { tx.insert_mail(&mail(bits)).await.expect("inserts") });
        assert_eq!(store.read().count_mails().await.expect("counts"), 3);
        let claimed = commit!(store, |tx| tx.claim_mails(at(2), at(50), 9).await.expect("claims"));
        let mut seen: Vec<_> = claimed.iter().map(|row| (row.id.bits(), row.attempt, row.next_at)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(1, 1, at(50)), (2, 1, at(50))]);
        commit!(store, |tx| {
            assert!(tx.claim_mails(at(2), at(60), 9).await.expect("asks").is_empty());
            assert!(!tx.postpone_mail(mail(1).id, 7, at(99)).await.expect("another attempt"));
            assert!(tx.postpone_mail(mail(1).id, 1, at(99)).await.expect("postpones"));
            assert!(!tx.finish_mail(mail(2).id, 0).await.expect("another attempt"));
            assert!(tx.finish_mail(mail(2).id, 1).await.expect("finishes"));
        });
        assert_eq!(store.read().count_mails().await.expect("counts"), 2);
    }

    async fn what_is_past_its_time_is_pruned(database) {
        let store = database.store();
        some_people(store).await;
        let token = TokenRow { digest: [1; 32], account: None, created_at: at(1), expires_at: at(100), failures: 0 };
        commit!(store, |tx| {
            tx.insert_session(&session(1, 1)).await.expect("inserts");
            tx.insert_session(&SessionRow { idle_ends_at: at(900), ..session(2, 1) }).await.expect("inserts");
            tx.insert_token(TokenPurpose::FirstRun, &token).await.expect("inserts");
            tx.count_failure(&[1; 32], at(10), at(0)).await.expect("counts");
            tx.remember_device(id(1), &[5; 32], at(1)).await.expect("keeps");
        });
        commit!(store, |tx| {
            assert_eq!(tx.prune_people(at(100), at(10), at(1), 9).await.expect("prunes"), 1);
            assert_eq!(tx.prune_people(at(100), at(11), at(2), 9).await.expect("prunes"), 1);
            assert_eq!(tx.prune_people(at(100), at(11), at(2), 9).await.expect("nothing is left"), 0);
        });
        assert!(store.read().find_session(&[2; 32], at(100)).await.expect("reads").is_some());
        assert!(!store.read().knows_device(id(1), &[5; 32]).await.expect("reads"));
    }
}

fn invitation(bits: u8, business: &str) -> InvitationRow {
    InvitationRow {
        id: InvitationId::from_bits(bits.into()),
        digest: [bits; 32],
        to: InvitedTo::Business { id: business_id(business), role: Role::Developer },
        email: "new@example.com".parse().expect("good"),
        created_at: at(2),
        created_by: Actor::System,
        expires_at: at(100),
    }
}
