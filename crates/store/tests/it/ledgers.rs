//! Payments, and what was seen of them.

use serde_json::json;
use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::evm::{EvmAddress, Salt};
use trousseau_domain::ids::{DepositId, KeyId, PaymentId, ReconciliationId};
use trousseau_domain::ledger::{Block, LedgerId, Marks, Moved, RawAmount, Transfer};
use trousseau_domain::money::Asset;
use trousseau_domain::movements::MovementKind;
use trousseau_domain::payments::{PaymentState, PaymentStatus, Terms};
use trousseau_domain::reconciliation::{Outcome, Sums};
use trousseau_domain::requests::UtcDay;
use trousseau_domain::time::Timestamp;
use trousseau_store::{
    CursorRow, DepositRow, Destination, DestinationRow, DifferenceRow, ForwarderRow, MovementRow, OutgoingRow, PaidFor,
    PaymentFilter, PaymentRow, PayoutAddressRow, ReconciliationRow, Span, Store, Subject, TakenBack, Takings,
    TestTransferRow, WatchedRow, both_engines,
};

use crate::payables::{invoice, link, usdc};
use crate::samples::{at, commit, live, tenant, two_businesses};

fn ledger() -> LedgerId {
    "test/b1".parse().expect("a ledger")
}

fn destination(address: &str) -> Destination {
    Destination { ledger: ledger(), network: "test:base".parse().expect("a network"), address: address.to_owned() }
}

fn payment(tenant: &Tenant, bits: u128, paid_for: PaidFor) -> PaymentRow {
    let created_at = at(i64::try_from(bits).expect("small"));
    PaymentRow {
        id: PaymentId::from_bits(bits),
        tenant: tenant.clone(),
        paid_for,
        destination: destination(&format!("test_{bits}")),
        terms: Terms { due: usdc(100), tolerance: usdc(1), expires_at: Some(at(1_000)), accepts_late: true },
        state: PaymentState::OPEN,
        seen: usdc(0),
        settled: usdc(0),
        payer: None,
        transaction_hash: None,
        token_digest: [7; 32],
        settled_at: None,
        revision: 0,
        created_at,
        created_by: Actor::Key { id: KeyId::from_bits(5), version: 2 },
        updated_at: created_at,
    }
}

fn deposit(bits: u128, block: u64, hash: &str, to: &str, payment: Option<u128>) -> DepositRow {
    DepositRow {
        id: DepositId::from_bits(bits),
        ledger: ledger(),
        transfer: Transfer {
            network: "test:base".parse().expect("a network"),
            block,
            block_hash: hash.to_owned(),
            log_index: 0,
            transaction_hash: format!("0x{bits}"),
            asset: Moved::Accepted,
            contract: None,
            from: "test_payer".to_owned(),
            to: to.to_owned(),
            amount: RawAmount::from_units(60),
        },
        units: Some(60),
        block_time: at(50),
        canonical: true,
        tenant: tenant("b1"),
        payment: payment.map(PaymentId::from_bits),
        seen_at: at(60),
        resolved_at: None,
        resolution: None,
    }
}

/// A link, an invoice, and a payment for each.
async fn two_payments(store: &Store) -> (PaymentRow, PaymentRow) {
    two_businesses(store).await;
    let here = tenant("b1");
    let (link, invoice) = (link(&here, 1), invoice(&here, 1, 1));
    let of_link = payment(&here, 1, PaidFor::PaymentLink(link.id));
    let of_invoice = payment(&here, 2, PaidFor::Invoice(invoice.id, None));
    commit!(store, |tx| {
        tx.insert_payment_link(&link).await.expect("inserts");
        tx.insert_invoice(&invoice).await.expect("inserts");
        tx.insert_payment(&of_link).await.expect("inserts");
        tx.insert_payment(&of_invoice).await.expect("inserts");
    });
    (of_link, of_invoice)
}

both_engines! {
    async fn a_payment_comes_back_as_it_went_and_changes_one_at_a_time(database) {
        let store = database.store();
        let (mut row, other) = two_payments(store).await;
        assert_eq!(store.read().find_payment(&row.tenant, row.id).await.expect("reads"), Some(row.clone()));
        assert_eq!(store.read().find_payment(&live("b1"), row.id).await.expect("reads"), None);
        assert_eq!(store.read().find_shown_payment(other.id).await.expect("reads"), Some(other.clone()));
        row.state = PaymentState { status: PaymentStatus::Settled, floor: 99, ..row.state };
        row.seen = usdc(100);
        row.settled = usdc(100);
        row.payer = Some("test_payer".to_owned());
        row.transaction_hash = Some("0xAB".to_owned());
        row.settled_at = Some(at(70));
        assert!(commit!(store, |tx| tx.update_payment(&row).await.expect("updates")));
        assert!(!commit!(store, |tx| tx.update_payment(&row).await.expect("updates")), "somebody was faster");
        row.revision = 1;
        assert_eq!(store.read().find_payment(&row.tenant, row.id).await.expect("reads"), Some(row.clone()));
        let ids = |rows: Vec<PaymentRow>| rows.iter().map(|row| row.id.bits()).collect::<Vec<_>>();
        let all = PaymentFilter::default();
        let found = |text: &str| PaymentFilter { search: Some(text.parse().expect("a text")), ..all.clone() };
        let mut reader = store.read();
        for (filter, expected) in [
            (all.clone(), vec![2, 1]),
            (PaymentFilter { status: Some(PaymentStatus::Settled), ..all.clone() }, vec![1]),
            (PaymentFilter { payable: Some(other.paid_for.payable()), ..all.clone() }, vec![2]),
            (PaymentFilter { key_id: Some(KeyId::from_bits(5)), ..all.clone() }, vec![2, 1]),
            (PaymentFilter { key_id: Some(KeyId::from_bits(6)), ..all.clone() }, vec![]),
            (found("0xab"), vec![1]),
            (found("CRÈME".to_lowercase().as_str()), vec![1]),
            (found("c-7"), vec![1]),
            (found("workshop"), vec![2]),
            (found("billing@"), vec![2]),
            (found("Invoice 1"), vec![2]),
            (found("facture n° 1"), vec![2]),
            (found("#2"), vec![]),
            (found(&other.id.to_string()[..20]), vec![2, 1]),
            (found(&other.id.to_string()), vec![2]),
            // Any few digits stand somewhere in an id, an address or a hash.
            (found("0"), vec![1]),
            (PaymentFilter { created_from: Some(at(2)), ..all.clone() }, vec![2]),
            (PaymentFilter { created_before: Some(at(2)), ..all.clone() }, vec![1]),
        ] {
            let found = reader.list_payments(&row.tenant, &filter, None, 5).await.expect("lists");
            assert_eq!(ids(found), expected, "{filter:?}");
            let told = reader.list_payments_with_subjects(&row.tenant, &filter, None, 5).await.expect("lists");
            assert_eq!(ids(told.into_iter().map(|told| told.payment).collect()), expected, "{filter:?}");
        }
        assert_eq!(ids(reader.list_payments(&row.tenant, &all, Some(other.id), 5).await.expect("lists")), [1]);
        let told = reader.list_payments_with_subjects(&row.tenant, &all, None, 5).await.expect("lists");
        let of_invoice = Subject {
            number: Some(1),
            invoiced: Some("Workshop".parse().expect("a title")),
            customer_name: Some("Maison Éclair".parse().expect("a name")),
            customer_email: Some("billing@customer.example".parse().expect("an address")),
            ..Subject::default()
        };
        let of_link = Subject {
            name: Some("Café crème 100%".parse().expect("a title")),
            customer_reference: Some("C-7".parse().expect("a reference")),
            ..Subject::default()
        };
        let subjects: Vec<_> = told.into_iter().map(|told| told.subject).collect();
        assert_eq!(subjects, [of_invoice.clone(), of_link]);
        assert_eq!(reader.find_subject(&other.tenant, other.id).await.expect("reads"), Some(of_invoice));
        assert_eq!(reader.find_subject(&tenant("b2"), other.id).await.expect("reads"), None);
    }

    async fn a_payment_on_its_way_is_found_by_what_it_is_for(database) {
        let store = database.store();
        let (mut of_link, mut of_invoice) = two_payments(store).await;
        let (PaidFor::PaymentLink(link), PaidFor::Invoice(invoice, _)) = (of_link.paid_for, of_invoice.paid_for) else {
            panic!("one of each")
        };
        let being_paid = async || {
            let mut reader = store.read();
            let link = reader.is_payment_link_being_paid(link).await.expect("reads");
            (link, reader.is_invoice_being_paid(invoice).await.expect("reads"))
        };
        assert_eq!(being_paid().await, (false, false));
        of_link.state = PaymentState { status: PaymentStatus::Processing, ..of_link.state };
        assert!(commit!(store, |tx| tx.update_payment(&of_link).await.expect("updates")));
        assert_eq!(being_paid().await, (true, false));
        of_invoice.state = PaymentState { status: PaymentStatus::Processing, ..of_invoice.state };
        assert!(commit!(store, |tx| tx.update_payment(&of_invoice).await.expect("updates")));
        of_link.revision = 1;
        of_link.state = PaymentState { status: PaymentStatus::Settled, ..of_link.state };
        assert!(commit!(store, |tx| tx.update_payment(&of_link).await.expect("updates")));
        assert_eq!(being_paid().await, (false, true));
    }

    async fn what_came_in_for_good_is_summed(database) {
        let store = database.store();
        let (row, other) = two_payments(store).await;
        let most = usdc(i64::MAX);
        let day = 20_484;
        let noon = |day: i64| Timestamp::from_micros(day * 86_400_000_000 + 43_200_000_000).expect("a time");
        for (bits, status, settled, on) in [
            (3, PaymentStatus::Settled, usdc(1_500_001), day),
            (4, PaymentStatus::PartiallyRefunded, usdc(999_999), day),
            (5, PaymentStatus::Settled, most, day + 1),
            (6, PaymentStatus::Settled, most, day + 1),
            (7, PaymentStatus::Reversed, usdc(7), day + 1),
            (8, PaymentStatus::Settled, usdc(3), day - 1),
        ] {
            let mut more = payment(&row.tenant, bits, other.paid_for);
            more.state.status = status;
            more.settled = settled;
            more.settled_at = Some(noon(on));
            commit!(store, |tx| {
                tx.insert_payment(&more).await.expect("inserts");
                assert!(tx.update_payment(&more).await.expect("updates"));
            });
        }
        let from = UtcDay::of(noon(day));
        let rows = store.read().list_takings(&row.tenant, from).await.expect("sums");
        let told: Vec<_> = rows.iter().map(|row| (row.day, row.takings.amount, row.takings.payments)).collect();
        // Two of the most that there can be are shown as the most.
        assert_eq!(told, [(from, usdc(2_500_000), 2), (UtcDay::of(noon(day + 1)), most, 2)]);
        assert!(rows.iter().all(|row| row.key_id == Some(KeyId::from_bits(5))), "{rows:?}");
        let few = PaymentFilter { created_before: Some(at(5)), ..PaymentFilter::default() };
        let sums = store.read().sum_payments(&row.tenant, &few).await.expect("sums");
        assert_eq!(sums, [Takings { amount: usdc(2_500_000), payments: 2 }]);
        let nobody = PaymentFilter { key_id: Some(KeyId::from_bits(6)), ..PaymentFilter::default() };
        assert_eq!(store.read().sum_payments(&row.tenant, &nobody).await.expect("sums"), []);
        assert_eq!(store.read().sum_payments(&live("b1"), &few).await.expect("sums"), []);
    }

    async fn a_ledger_is_looked_at_by_one_at_a_time(database) {
        let store = database.store();
        let cursor = CursorRow {
            ledger: ledger(),
            height: 0,
            ledger_time: at(0),
            marks: Marks::default(),
            reorganisations: 0,
            deepest: 0,
            late_height: 0,
            revision: 0,
            updated_at: at(0),
        };
        commit!(store, |tx| {
            tx.insert_cursor(&cursor).await.expect("inserts");
            tx.insert_cursor(&CursorRow { height: 9, ..cursor.clone() }).await.expect("does nothing");
        });
        assert_eq!(store.read().find_cursor(&ledger()).await.expect("reads"), Some(cursor.clone()));
        let marks = Marks { safe: Some(2), finalized: None };
        let moved =
            CursorRow { height: 3, late_height: 2, deepest: 1, ledger_time: at(5), marks, reorganisations: 1, ..cursor };
        assert!(commit!(store, |tx| tx.move_cursor(&moved).await.expect("moves")));
        assert!(!commit!(store, |tx| tx.move_cursor(&moved).await.expect("moves")));
        let expected = CursorRow { revision: 1, ..moved };
        assert_eq!(store.read().find_cursor(&ledger()).await.expect("reads"), Some(expected));
    }

    async fn blocks_that_are_taken_back_take_their_deposits_with_them(database) {
        let store = database.store();
        let (row, _) = two_payments(store).await;
        let block = |number: u64, hash: &str| Block {
            number,
            hash: hash.to_owned(),
            parent: String::new(),
            at: at(50),
        };
        let seen = deposit(1, 2, "b", "test_1", Some(1));
        commit!(store, |tx| {
            for (number, hash) in [(1, "a"), (2, "b"), (3, "c")] {
                tx.insert_block(&ledger(), &block(number, hash)).await.expect("inserts");
            }
            assert_eq!(tx.keep_deposit(&seen).await.expect("keeps"), (Some(row.id), true));
            // Seen twice, kept once.
            let again = DepositRow { id: DepositId::from_bits(9), ..seen.clone() };
            assert_eq!(tx.keep_deposit(&again).await.expect("keeps"), (Some(row.id), false));
            tx.keep_deposit(&deposit(2, 3, "c", "test_spare", None)).await.expect("keeps");
        });
        assert_eq!(store.read().list_deposits_of(row.id).await.expect("lists"), std::slice::from_ref(&seen));
        let looked_at = store.read().list_payments_to_look_at(&ledger(), 2, at(0)).await.expect("lists");
        assert_eq!(looked_at, [row.id]);
        assert!(store.read().list_payments_to_look_at(&ledger(), 3, at(1_000)).await.expect("lists").is_empty());
        let late = store.read().list_payments_to_look_at(&ledger(), 3, at(1_001)).await.expect("lists");
        assert_eq!(late.len(), 2, "both have run out");
        // Not all of it was final at the last look: it may be by now, however far below it lies.
        let open = PaymentRow { seen: usdc(60), ..row.clone() };
        assert!(commit!(store, |tx| tx.update_payment(&open).await.expect("updates")));
        assert_eq!(store.read().list_payments_to_look_at(&ledger(), 3, at(1_000)).await.expect("lists"), [row.id]);
        let gone = commit!(store, |tx| tx.take_back_blocks(&ledger(), 1, at(99)).await.expect("takes back"));
        assert_eq!(gone, TakenBack { payments: vec![row.id], deposits: vec![(tenant("b1"), DepositId::from_bits(2))] });
        assert!(store.read().list_deposits_of(row.id).await.expect("lists").is_empty());
        assert_eq!(store.read().list_blocks(&ledger(), 5).await.expect("lists"), [block(1, "a")]);
        // The same block again brings the same deposit back.
        commit!(store, |tx| tx.keep_deposit(&seen).await.expect("keeps"));
        assert_eq!(store.read().list_deposits_of(row.id).await.expect("lists"), [seen]);
    }

    async fn movements_come_in_the_order_of_time_and_page_by_page(database) {
        let store = database.store();
        let (of_link, of_invoice) = two_payments(store).await;
        let moved = |bits: u128, payment: Option<u128>, seconds: i64| DepositRow {
            block_time: at(seconds),
            ..deposit(bits, u64::try_from(bits).expect("small"), &format!("hash-{bits}"), "test_1", payment)
        };
        // Two of the same instant, and one that is taken back at the instant of another.
        let all = [moved(1, Some(1), 50), moved(2, Some(2), 50), moved(3, None, 40), moved(9, Some(1), 60)];
        commit!(store, |tx| {
            for row in &all {
                tx.keep_deposit(row).await.expect("keeps");
            }
            tx.take_back_blocks(&ledger(), 8, at(50)).await.expect("takes back");
        });
        let here = tenant("b1");
        let told = |rows: &[MovementRow]| {
            rows.iter().map(|row| (row.kind, row.id.parse::<DepositId>().expect("an id").bits())).collect::<Vec<_>>()
        };
        let whole = Span::default();
        let expected = [
            (MovementKind::Deposit, 3),
            (MovementKind::Deposit, 1),
            (MovementKind::Deposit, 2),
            (MovementKind::Reversal, 9),
            (MovementKind::Deposit, 9),
        ];
        let mut reader = store.read();
        let rows = reader.list_movements(&here, whole, None, 9).await.expect("lists");
        assert_eq!(told(&rows), expected);
        assert_eq!((rows[0].payment, rows[0].paid_for, rows[0].number), (None, None, None));
        assert_eq!((rows[1].payment, rows[1].paid_for), (Some((of_link.id, usdc(100))), Some(of_link.paid_for)));
        assert_eq!((rows[2].paid_for, rows[2].number), (Some(of_invoice.paid_for), Some(1)));
        assert_eq!((rows[3].at, rows[3].canonical, rows[4].canonical), (at(50), false, false));
        for size in 1..=3 {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = reader.list_movements(&here, whole, after.as_ref(), size).await.expect("lists");
                let Some(last) = page.last() else { break };
                after = Some(last.place());
                found.extend(told(&page));
            }
            assert_eq!(found, expected, "{size} at a time");
        }
        let span = Span { from: Some(at(50)), before: Some(at(60)) };
        let some = reader.list_movements(&here, span, None, 9).await.expect("lists");
        assert_eq!(told(&some), expected[1..4]);
        assert!(reader.list_movements(&live("b1"), whole, None, 9).await.expect("lists").is_empty());
        // Held to be true again: nothing was taken back.
        commit!(store, |tx| tx.keep_deposit(&all[3]).await.expect("keeps"));
        let rows = store.read().list_movements(&here, whole, None, 9).await.expect("lists");
        assert!(rows.len() == 4 && rows.iter().all(|row| row.canonical), "{rows:?}");
    }

    async fn comparisons_are_kept_with_what_differs(database) {
        let store = database.store();
        let (row, _) = two_payments(store).await;
        let contract = EvmAddress::from_bytes([9; 20]);
        let run = |bits: u128, outcome| ReconciliationRow {
            id: ReconciliationId::from_bits(bits),
            ledger: ledger(),
            started_at: at(i64::try_from(bits).expect("small")),
            finished_at: at(99),
            outcome,
            block: Some(7),
            addresses: 3,
            differences: 1,
            failure: (outcome == Outcome::Incomplete).then(|| "gone".to_owned()),
        };
        let differs = DifferenceRow {
            tenant: row.tenant.clone(),
            payment: Some(row.id),
            address: "test_1".to_owned(),
            contract,
            sums: Sums { received: u128::MAX, sent: 0, balance: 1 },
        };
        let outgoing = OutgoingRow {
            block: 5,
            block_hash: "e".to_owned(),
            log_index: 2,
            transaction_hash: "0xe".to_owned(),
            contract,
            address: "test_1".to_owned(),
            recipient: EvmAddress::from_bytes([8; 20]),
            amount: RawAmount::from_units(60),
        };
        let hold = async |who: &'static str, now: i64, until: i64| {
            commit!(store, |tx| tx.hold_reconciliation(&ledger(), who, at(now), at(until)).await.expect("asks"))
        };
        assert_eq!(store.read().find_scanned_to(&ledger()).await.expect("reads"), None);
        commit!(store, |tx| tx.keep_deposit(&deposit(1, 4, "d", "test_1", Some(1))).await.expect("keeps"));
        assert_eq!(store.read().find_scanned_to(&ledger()).await.expect("reads"), Some(3), "before all that was seen");
        assert!(hold("a", 1, 10).await);
        assert!(!hold("b", 9, 20).await);
        assert!(hold("a", 9, 12).await && hold("b", 12, 20).await);
        assert!(!commit!(store, |tx| tx.release_reconciliation(&ledger(), "a").await.expect("asks")));
        assert!(commit!(store, |tx| tx.release_reconciliation(&ledger(), "b").await.expect("releases")));
        assert!(hold("a", 13, 20).await);
        commit!(store, |tx| {
            let some = std::slice::from_ref(&outgoing);
            for above in [3, 6] {
                assert!(tx.keep_outgoing(&ledger(), (above, 6), some).await.expect("keeps"));
            }
            assert!(!tx.keep_outgoing(&ledger(), (3, 5), &[]).await.expect("asks"), "it was read further meanwhile");
            tx.insert_reconciliation(&run(1, Outcome::Differs), std::slice::from_ref(&differs)).await.expect("inserts");
            tx.insert_reconciliation(&run(2, Outcome::Incomplete), &[]).await.expect("inserts");
        });
        let mut reader = store.read();
        assert_eq!(reader.find_scanned_to(&ledger()).await.expect("reads"), Some(6));
        let between = ("test_0", "test_2");
        assert_eq!(reader.list_outgoing(&ledger(), 5, between).await.expect("lists"), [outgoing]);
        assert_eq!(reader.list_outgoing(&ledger(), 4, between).await.expect("lists"), []);
        assert_eq!(reader.list_received(&ledger(), 4, between).await.expect("lists").len(), 1);
        assert_eq!(reader.list_received(&ledger(), 3, between).await.expect("lists"), []);
        let all = reader.list_reconciliations(&ledger(), false, 5).await.expect("lists");
        assert_eq!(all, [run(2, Outcome::Incomplete), run(1, Outcome::Differs)]);
        let ended = reader.list_reconciliations(&ledger(), true, 5).await.expect("lists");
        assert_eq!(ended, [run(1, Outcome::Differs)]);
        let id = ended[0].id;
        for (whose, expected) in [(None, 1), (Some(&row.tenant), 1), (Some(&live("b1")), 0), (Some(&tenant("b2")), 0)] {
            let found = reader.list_differences(id, whose, 5).await.expect("lists");
            assert_eq!(found.len(), expected, "{whose:?}");
        }
        assert_eq!(reader.list_differences(id, None, 5).await.expect("lists"), [differs]);
        // What a reorganisation takes back is read once more.
        commit!(store, |tx| tx.take_back_outgoing(&ledger(), 4).await.expect("forgets"));
        let mut reader = store.read();
        assert_eq!(reader.find_scanned_to(&ledger()).await.expect("reads"), Some(4));
        assert_eq!(reader.list_outgoing(&ledger(), 9, between).await.expect("lists"), []);
    }

    async fn what_no_payment_takes_waits_for_somebody(database) {
        let store = database.store();
        let (row, _) = two_payments(store).await;
        let here = tenant("b1");
        let spare = DestinationRow {
            destination: destination("test_spare"),
            tenant: here.clone(),
            payment: None,
            forwarder: None,
            child: None,
            created_at: at(1),
        };
        let stray = deposit(1, 2, "b", "test_spare", None);
        commit!(store, |tx| {
            tx.insert_destination(&spare).await.expect("inserts");
            tx.keep_deposit(&stray).await.expect("keeps");
        });
        let found = store.read().find_destination(&spare.destination).await.expect("reads");
        assert_eq!(found, Some(spare.clone()));
        assert_eq!(store.read().list_unmatched(&here, None, 5).await.expect("lists"), std::slice::from_ref(&stray));
        assert!(store.read().list_unmatched(&live("b1"), None, 5).await.expect("lists").is_empty());
        let reason = json!({ "reason": "a test" });
        commit!(store, |tx| {
            assert!(!tx.bind_destination(&tenant("b2"), &spare.destination, row.id).await.expect("refuses"));
            assert!(tx.bind_destination(&here, &spare.destination, row.id).await.expect("binds"));
            assert!(!tx.bind_destination(&here, &spare.destination, row.id).await.expect("refuses"), "only once");
        });
        assert!(store.read().list_unmatched(&here, None, 5).await.expect("lists").is_empty());
        assert_eq!(store.read().list_deposits_of(row.id).await.expect("lists").len(), 1);
        assert!(commit!(store, |tx| tx.resolve_deposit(stray.id, None, &reason, at(80)).await.expect("resolves")));
        assert!(!commit!(store, |tx| tx.resolve_deposit(stray.id, None, &reason, at(81)).await.expect("resolves")));
        let resolved = store.read().find_deposit(&here, stray.id).await.expect("reads").expect("there");
        assert_eq!((resolved.resolution, resolved.payment), (Some(reason), Some(row.id)));
    }

    async fn a_ledger_is_watched_by_one_at_a_time(database) {
        let store = database.store();
        let hold = async |who: &'static str, now: i64, until: i64| {
            commit!(store, |tx| tx.hold_ledger(&ledger(), who, at(now), at(until)).await.expect("asks"))
        };
        assert!(hold("a", 1, 10).await);
        assert!(!hold("b", 9, 20).await);
        assert!(hold("a", 9, 12).await, "kept");
        assert!(!hold("b", 11, 20).await);
        assert!(hold("b", 12, 20).await, "it had run out");
        assert!(!commit!(store, |tx| tx.release_ledger(&ledger(), "a").await.expect("asks")));
        assert!(commit!(store, |tx| tx.release_ledger(&ledger(), "b").await.expect("releases")));
        assert!(hold("a", 13, 20).await);
    }

    async fn addresses_are_listed_by_age_with_what_they_are_paid_in(database) {
        let store = database.store();
        let (row, _) = two_payments(store).await;
        let forwarder = ForwarderRow { payout: EvmAddress::from_bytes([7; 20]), salt: Salt::from_bytes([9; 32]) };
        let place = |address: &str, payment, created_at| DestinationRow {
            destination: destination(address),
            tenant: tenant("b1"),
            payment,
            forwarder: Some(forwarder),
            child: None,
            created_at: at(created_at),
        };
        commit!(store, |tx| {
            for row in [place("c", None, 5), place("a", Some(row.id), 5), place("b", None, 4), place("d", None, 6)] {
                tx.insert_destination(&row).await.expect("inserts");
            }
        });
        let found = store.read().find_destination(&destination("a")).await.expect("reads");
        assert_eq!(found, Some(place("a", Some(row.id), 5)));
        let watched = |address: &str, asset: Option<Asset>, created_at| WatchedRow {
            address: address.to_owned(),
            over_since: if asset.is_some() { None } else { Some(at(created_at)) },
            asset,
            created_at: at(created_at),
        };
        let mut reader = store.read();
        let first = reader.list_watched(&ledger(), at(4), None, 2).await.expect("lists");
        assert_eq!(first, [watched("b", None, 4), watched("a", Some(Asset::USDC), 5)]);
        let rest = reader.list_watched(&ledger(), at(4), first.last(), 9).await.expect("lists");
        assert_eq!(rest, [watched("c", None, 5), watched("d", None, 6)]);
        assert_eq!(reader.list_watched(&ledger(), at(6), None, 9).await.expect("lists").len(), 1);
        let elsewhere = "eip155:1".parse().expect("a ledger");
        assert!(reader.list_watched(&elsewhere, at(0), None, 9).await.expect("lists").is_empty());
    }

    async fn money_goes_to_one_place_per_network(database) {
        let store = database.store();
        two_businesses(store).await;
        let row = |network: &str, byte| PayoutAddressRow {
            tenant: live("b1"),
            network: network.parse().expect("a network"),
            address: EvmAddress::from_bytes([byte; 20]),
            set_at: at(i64::from(byte)),
            set_by: Actor::System,
        };
        commit!(store, |tx| {
            for row in [row("eip155:8453", 1), row("eip155:1", 2), row("eip155:8453", 3)] {
                tx.set_payout_address(&row).await.expect("sets");
            }
        });
        let mut reader = store.read();
        let all = reader.list_payout_addresses(&live("b1")).await.expect("lists");
        assert_eq!(all, [row("eip155:1", 2), row("eip155:8453", 3)]);
        let base = "eip155:8453".parse().expect("a network");
        assert_eq!(reader.find_payout_address(&live("b1"), &base).await.expect("reads"), Some(row("eip155:8453", 3)));
        for other in [tenant("b1"), live("b2")] {
            assert_eq!(reader.find_payout_address(&other, &base).await.expect("reads"), None);
        }
    }

    async fn a_transaction_is_for_one_payment(database) {
        let store = database.store();
        let (first, second) = two_payments(store).await;
        let place = &first.destination;
        assert_eq!(commit!(store, |tx| tx.claim_transaction(place, "0x1", first.id, at(1)).await.expect("claims")), first.id);
        assert_eq!(commit!(store, |tx| tx.claim_transaction(place, "0x1", second.id, at(2)).await.expect("claims")), first.id);
        assert_eq!(store.read().find_claim(&place.ledger, &place.network, "0x1").await.expect("reads"), Some(first.id));
        assert_eq!(store.read().find_claim(&place.ledger, &place.network, "0x2").await.expect("reads"), None);
    }

    async fn a_test_ledger_keeps_its_blocks_and_what_waits_for_one(database) {
        let store = database.store();
        two_businesses(store).await;
        let business = tenant("b1").business;
        let transfer = |number: u64| TestTransferRow {
            number,
            network: "test:base".parse().expect("a network"),
            transaction_hash: format!("0x{number}"),
            asset: Moved::Accepted,
            from: "test_payer".to_owned(),
            to: "test_1".to_owned(),
            amount: RawAmount::from_units(5),
            reverted: false,
            block: None,
        };
        let block = |number: u64, hash: &str| Block {
            number,
            hash: hash.to_owned(),
            parent: String::new(),
            at: at(50),
        };
        assert_eq!(store.read().find_test_ledger(&business).await.expect("reads"), None);
        commit!(store, |tx| {
            let mut ledger = tx.lock_test_ledger(&business).await.expect("makes");
            tx.insert_test_transfer(&business, &transfer(1)).await.expect("inserts");
            tx.insert_test_block(&business, &block(1, "a")).await.expect("inserts");
            tx.insert_test_transfer(&business, &transfer(2)).await.expect("inserts");
            tx.insert_test_block(&business, &block(2, "b")).await.expect("inserts");
            ledger.height = 2;
            ledger.transactions = 2;
            tx.update_test_ledger(&ledger).await.expect("updates");
            assert_eq!(tx.lock_test_ledger(&business).await.expect("locks"), ledger);
        });
        let blocks_of = |rows: Vec<TestTransferRow>| rows.iter().map(|row| row.block).collect::<Vec<_>>();
        let mut reader = store.read();
        assert_eq!(blocks_of(reader.list_test_transfers(&business, 1).await.expect("lists")), [Some(1), Some(2)]);
        assert_eq!(reader.list_test_blocks(&business, 2).await.expect("lists"), [block(2, "b")]);
        assert_eq!(reader.list_unseen_test_ledgers(5).await.expect("lists"), std::slice::from_ref(&business));
        commit!(store, |tx| tx.take_back_test_blocks(&business, 1, true).await.expect("takes back"));
        let waiting = store.read().find_test_transfer(&business, &transfer(2).network, "0x2").await.expect("reads");
        assert_eq!(waiting, Some(transfer(2)));
        commit!(store, |tx| {
            tx.insert_test_block(&business, &block(2, "x")).await.expect("inserts");
            tx.take_back_test_blocks(&business, 1, false).await.expect("takes back");
        });
        let gone = store.read().find_test_transfer(&business, &transfer(2).network, "0x2").await.expect("reads");
        assert_eq!(gone, None);
    }
}
