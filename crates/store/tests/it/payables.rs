//! Payment links, invoices, recurring payments.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::{InvoiceId, MailId, PaymentId, PaymentLinkId, RecurringPaymentId};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payables::{InvoiceLine, InvoiceStatus, PaymentLinkStatus, RecurringState};
use trousseau_domain::recurrence::Interval;
use trousseau_store::{
    DuePeriods, InvoiceFilter, InvoiceMailRow, InvoiceRow, PaymentLinkFilter, PaymentLinkRow, RecurringPaymentFilter,
    RecurringPaymentRow, both_engines,
};

use crate::samples::{at, commit, live, tenant, two_businesses};

pub(crate) fn usdc(units: i64) -> Money {
    Money::from_units(units, Asset::USDC).expect("not below zero")
}

pub(crate) fn link(tenant: &Tenant, bits: u128) -> PaymentLinkRow {
    let created_at = at(i64::try_from(bits).expect("small"));
    PaymentLinkRow {
        id: PaymentLinkId::from_bits(bits),
        tenant: tenant.clone(),
        amount: usdc(12_500_000),
        title: Some("Café crème 100%".parse().expect("a title")),
        description: Some("By the cup".parse().expect("a description")),
        redirect_url: Some("https://shop.example/thanks".parse().expect("an address")),
        logo_url: None,
        banner_url: Some("https://shop.example/banner.png".parse().expect("an address")),
        customer_reference: Some("C-7".parse().expect("a reference")),
        metadata: Metadata::default(),
        single_use: false,
        active: true,
        paid_at: None,
        paid_by: None,
        created_at,
        created_by: Actor::System,
        updated_at: created_at,
        deleted_at: None,
    }
}

pub(crate) fn invoice(tenant: &Tenant, bits: u128, number: u32) -> InvoiceRow {
    let created_at = at(i64::try_from(bits).expect("small"));
    InvoiceRow {
        id: InvoiceId::from_bits(bits),
        tenant: tenant.clone(),
        number,
        amount: usdc(3_000_000),
        title: "Workshop".parse().expect("a title"),
        lines: vec![InvoiceLine {
            description: "A day".parse().expect("a title"),
            quantity: 2,
            unit_amount: 1_500_000,
        }],
        due_at: at(1_000),
        customer_name: Some("Maison Éclair".parse().expect("a name")),
        customer_email: Some("billing@customer.example".parse().expect("an address")),
        customer_reference: None,
        redirect_url: None,
        metadata: Metadata::default(),
        with_pdf: true,
        period: None,
        paid_at: None,
        paid_by: None,
        voided_at: None,
        sent_at: None,
        reminded: None,
        remind_at: None,
        created_at,
        created_by: Actor::System,
        updated_at: created_at,
        deleted_at: None,
    }
}

fn due(now: i64, by_test_clocks: bool) -> DuePeriods<'static> {
    DuePeriods { now: at(now), by_test_clocks, of: None, after: None }
}

fn recurring(tenant: &Tenant, bits: u128) -> RecurringPaymentRow {
    RecurringPaymentRow {
        id: RecurringPaymentId::from_bits(bits),
        tenant: tenant.clone(),
        amount: usdc(9_000_000),
        name: Some("Monthly box".parse().expect("a title")),
        customer_name: None,
        customer_email: None,
        customer_wallet: Some("0xabc".parse().expect("a text")),
        customer_reference: None,
        redirect_url: None,
        metadata: Metadata::default(),
        anchor: at(100),
        interval: Interval::months(1).expect("an interval"),
        time_zone: "Europe/Paris".parse().expect("a zone"),
        with_pdf: false,
        state: RecurringState::Active,
        next_period: 1,
        next_due_at: Some(at(500)),
        held_at: None,
        created_at: at(1),
        created_by: Actor::System,
        updated_at: at(1),
        deleted_at: None,
    }
}

both_engines! {
    async fn a_payment_link_comes_back_as_it_went(database) {
        let store = database.store();
        two_businesses(store).await;
        let mut row = link(&tenant("b1"), 1);
        commit!(store, |tx| tx.insert_payment_link(&row).await.expect("inserts"));
        assert_eq!(store.read().find_payment_link(&row.tenant, row.id).await.expect("reads"), Some(row.clone()));
        for other in [tenant("b2"), live("b1")] {
            assert_eq!(store.read().find_payment_link(&other, row.id).await.expect("reads"), None);
        }
        row.title = None;
        row.single_use = true;
        row.updated_at = at(9);
        assert!(commit!(store, |tx| tx.update_payment_link(&row).await.expect("updates")));
        // The first payment counts; a second one does not take its place.
        let (first, second) = (PaymentId::from_bits(1), PaymentId::from_bits(2));
        assert!(commit!(store, |tx| tx.mark_payment_link_paid(row.id, first, at(10)).await.expect("marks")));
        assert!(!commit!(store, |tx| tx.mark_payment_link_paid(row.id, second, at(11)).await.expect("marks")));
        assert!(!commit!(store, |tx| tx.unmark_payment_link_paid(row.id, second).await.expect("unmarks")));
        let paid = store.read().find_shown_payment_link(row.id).await.expect("reads").expect("there");
        assert_eq!((paid.status(), paid.paid_at, paid.paid_by), (PaymentLinkStatus::Paid, Some(at(10)), Some(first)));
        assert!(commit!(store, |tx| tx.unmark_payment_link_paid(row.id, first).await.expect("unmarks")));
        row.deleted_at = Some(at(12));
        assert!(commit!(store, |tx| tx.update_payment_link(&row).await.expect("updates")));
        assert!(!commit!(store, |tx| tx.update_payment_link(&row).await.expect("updates")), "deleted is final");
        assert_eq!(store.read().find_shown_payment_link(row.id).await.expect("reads"), None);
    }

    async fn lists_of_payment_links_are_the_tenants_own_and_page_on(database) {
        let store = database.store();
        two_businesses(store).await;
        let here = tenant("b1");
        let rows: Vec<_> = (1..=3).map(|bits| link(&here, bits)).collect();
        commit!(store, |tx| {
            for row in &rows {
                tx.insert_payment_link(row).await.expect("inserts");
            }
            tx.insert_payment_link(&PaymentLinkRow { active: false, ..link(&tenant("b2"), 4) }).await.expect("inserts");
        });
        let ids = |rows: Vec<PaymentLinkRow>| rows.iter().map(|row| row.id.bits()).collect::<Vec<_>>();
        let all = PaymentLinkFilter::default();
        let mut reader = store.read();
        assert_eq!(ids(reader.list_payment_links(&here, &all, None, 2).await.expect("lists")), [3, 2]);
        assert_eq!(ids(reader.list_payment_links(&here, &all, Some(rows[1].id), 2).await.expect("lists")), [1]);
        let foreign = Some(PaymentLinkId::from_bits(4));
        assert!(reader.list_payment_links(&here, &all, foreign, 2).await.expect("lists").is_empty());
        let found = |text: &str| PaymentLinkFilter { search: Some(text.parse().expect("a text")), ..all.clone() };
        assert_eq!(ids(reader.list_payment_links(&here, &found("100%"), None, 5).await.expect("lists")), [3, 2, 1]);
        assert!(reader.list_payment_links(&here, &found("100_"), None, 5).await.expect("lists").is_empty());
        let inactive = PaymentLinkFilter { status: Some(PaymentLinkStatus::Inactive), ..all.clone() };
        assert!(reader.list_payment_links(&here, &inactive, None, 5).await.expect("lists").is_empty());
        assert_eq!(ids(reader.list_payment_links(&tenant("b2"), &inactive, None, 5).await.expect("lists")), [4]);
    }

    async fn an_invoice_comes_back_as_it_went_and_stands_where_the_clock_says(database) {
        let store = database.store();
        two_businesses(store).await;
        let here = tenant("b1");
        let mut row = invoice(&here, 1, 1);
        commit!(store, |tx| {
            assert_eq!(tx.read().next_invoice_number(&here).await.expect("reads"), 1);
            assert!(tx.insert_invoice(&row).await.expect("inserts"));
            assert_eq!(tx.read().next_invoice_number(&here).await.expect("reads"), 2);
            assert_eq!(tx.read().next_invoice_number(&live("b1")).await.expect("reads"), 1);
        });
        assert_eq!(store.read().find_invoice(&here, row.id).await.expect("reads"), Some(row.clone()));
        assert_eq!(store.read().find_invoice(&live("b1"), row.id).await.expect("reads"), None);
        let standing = |status| InvoiceFilter { status: Some(status), ..InvoiceFilter::default() };
        for (now, status) in [(at(999), InvoiceStatus::Pending), (at(1_000), InvoiceStatus::PastDue)] {
            let found = store.read().list_invoices(&here, &standing(status), now, None, 5).await.expect("lists");
            assert_eq!(found.len(), 1, "{status}");
        }
        row.voided_at = Some(at(7));
        assert!(commit!(store, |tx| tx.update_invoice(&row).await.expect("updates")));
        let void = store.read().list_invoices(&here, &standing(InvoiceStatus::Void), at(0), None, 5).await;
        assert_eq!(void.expect("lists").len(), 1);
        let payment = PaymentId::from_bits(1);
        assert!(commit!(store, |tx| tx.mark_invoice_paid(row.id, payment, at(8)).await.expect("marks")));
        assert!(!commit!(store, |tx| tx.mark_invoice_paid(row.id, payment, at(9)).await.expect("marks")));
        // Whoever read it before it was paid changes nothing of it.
        assert!(!commit!(store, |tx| tx.update_invoice(&row).await.expect("updates")));
        let paid = store.read().find_invoice(&here, row.id).await.expect("reads").expect("there");
        assert!(commit!(store, |tx| tx.update_invoice(&paid).await.expect("updates")));
        assert!(commit!(store, |tx| tx.unmark_invoice_paid(row.id, payment).await.expect("unmarks")));
        assert!(!commit!(store, |tx| tx.update_invoice(&paid).await.expect("updates")));
    }

    async fn invoices_of_one_instant_are_listed_by_their_numbers_and_found_by_them(database) {
        let store = database.store();
        two_businesses(store).await;
        let here = tenant("b1");
        // Their ids are in no order.
        let rows: Vec<_> = [(1, 7), (2, 1), (3, 12), (4, 2), (5, 3)]
            .into_iter()
            .map(|(bits, number)| InvoiceRow { created_at: at(9), ..invoice(&here, bits, number) })
            .collect();
        commit!(store, |tx| {
            for row in &rows {
                assert!(tx.insert_invoice(row).await.expect("inserts"));
            }
            let older = InvoiceRow { created_at: at(8), ..invoice(&here, 6, 13) };
            assert!(tx.insert_invoice(&older).await.expect("inserts"));
        });
        let mut reader = store.read();
        let all = InvoiceFilter::default();
        let numbers = |rows: Vec<InvoiceRow>| rows.iter().map(|row| row.number).collect::<Vec<_>>();
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = reader.list_invoices(&here, &all, at(10), after, 2).await.expect("lists");
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            listed.extend(numbers(page));
        }
        assert_eq!(listed, [12, 7, 3, 2, 1, 13]);
        let id = rows[0].id.to_string();
        for (text, expected) in [
            ("2", vec![2]),
            ("invoice 12", vec![12]),
            ("Facture n° 12", vec![12]),
            ("#7", vec![7]),
            ("0", vec![]),
            ("invoice", vec![]),
            ("-7", vec![]),
            (id.as_str(), vec![7]),
            (&id[3..], vec![]),
        ] {
            let filter = InvoiceFilter { search: Some(text.parse().expect("a text")), ..all.clone() };
            let found = reader.list_invoices(&here, &filter, at(10), None, 9).await.expect("lists");
            assert_eq!(numbers(found), expected, "{text}");
        }
    }

    async fn a_reminder_is_due_by_the_tenants_clock_and_marked_once(database) {
        let store = database.store();
        two_businesses(store).await;
        let here = tenant("b1");
        let row = InvoiceRow { sent_at: Some(at(2)), remind_at: Some(at(500)), ..invoice(&here, 1, 1) };
        let never = invoice(&here, 2, 2);
        let elsewhere = InvoiceRow { remind_at: Some(at(400)), reminded: Some(-3), ..invoice(&live("b2"), 3, 1) };
        commit!(store, |tx| {
            for row in [&row, &never, &elsewhere] {
                assert!(tx.insert_invoice(row).await.expect("inserts"));
            }
        });
        assert_eq!(store.read().find_invoice(&here, row.id).await.expect("reads"), Some(row.clone()));
        let due = async |now, only: Option<&Tenant>| {
            let rows = store.read().list_to_remind(now, true, only, 5).await.expect("lists");
            rows.iter().map(|row| row.id).collect::<Vec<_>>()
        };
        assert!(due(at(399), None).await.is_empty());
        assert_eq!(due(at(400), None).await, [elsewhere.id]);
        assert_eq!(due(at(500), None).await, [elsewhere.id, row.id]);
        assert_eq!(due(at(500), Some(&here)).await, [row.id]);
        assert!(due(at(500), Some(&live("b1"))).await.is_empty());
        // The clock of TEST counts for TEST alone.
        commit!(store, |tx| {
            let mut ledger = tx.lock_test_ledger(&here.business).await.expect("locks");
            ledger.clock_offset = 200;
            tx.update_test_ledger(&ledger).await.expect("updates");
        });
        assert_eq!(due(at(300), None).await, [row.id]);
        // Two nodes look at the same row.
        assert!(commit!(store, |tx| tx.mark_reminded(&row, Some(-3), Some(at(700))).await.expect("marks")));
        assert!(!commit!(store, |tx| tx.mark_reminded(&row, Some(-3), Some(at(700))).await.expect("marks")));
        let marked = InvoiceRow { reminded: Some(-3), remind_at: Some(at(700)), ..row.clone() };
        assert_eq!(store.read().find_invoice(&here, row.id).await.expect("reads"), Some(marked.clone()));
        assert!(due(at(400), None).await.contains(&elsewhere.id));
        commit!(store, |tx| assert!(tx.suspend_business(&"b2".parse().expect("good"), at(1)).await.expect("suspends")));
        assert!(due(at(400), None).await.is_empty());
        // What is paid meanwhile is not marked.
        let payment = PaymentId::from_bits(1);
        assert!(commit!(store, |tx| tx.mark_invoice_paid(row.id, payment, at(8)).await.expect("marks")));
        assert!(due(at(9_000), None).await.is_empty());
        assert!(!commit!(store, |tx| tx.mark_reminded(&marked, Some(0), None).await.expect("marks")));
    }

    async fn no_period_of_a_paused_recurring_payment_is_to_be_reminded_of(database) {
        let store = database.store();
        two_businesses(store).await;
        let here = tenant("b1");
        let mut row = recurring(&here, 1);
        let period = InvoiceRow { period: Some((row.id, 0)), remind_at: Some(at(5)), ..invoice(&here, 1, 1) };
        commit!(store, |tx| {
            tx.insert_recurring_payment(&row).await.expect("inserts");
            assert!(tx.insert_invoice(&period).await.expect("inserts"));
        });
        for (state, deleted_at, expected) in [
            (RecurringState::Active, None, 1),
            (RecurringState::Paused, None, 0),
            (RecurringState::Cancelled, None, 1),
            (RecurringState::Cancelled, Some(at(9)), 0),
        ] {
            (row.state, row.deleted_at) = (state, deleted_at);
            assert!(commit!(store, |tx| tx.update_recurring_payment(&row, 1).await.expect("updates")));
            let due = store.read().list_to_remind(at(5), true, None, 5).await.expect("lists");
            assert_eq!(due.len(), expected, "{state} {deleted_at:?}");
        }
    }

    async fn mails_are_counted_by_recipient_and_forgotten(database) {
        let store = database.store();
        two_businesses(store).await;
        let (here, other) = (tenant("b1"), live("b1"));
        let (first, second, third) = (invoice(&here, 1, 1), invoice(&here, 2, 2), invoice(&other, 3, 1));
        let mail = |bits: u128, invoice: &InvoiceRow, recipient: &str, when| InvoiceMailRow {
            id: MailId::from_bits(bits),
            tenant: invoice.tenant.clone(),
            invoice: invoice.id,
            recipient: recipient.parse().expect("an address"),
            at: at(when),
        };
        commit!(store, |tx| {
            for row in [&first, &second, &third] {
                assert!(tx.insert_invoice(row).await.expect("inserts"));
            }
            for mail in [
                mail(1, &first, "a@customer.example", 10),
                mail(2, &second, "a@customer.example", 20),
                mail(3, &first, "b@customer.example", 30),
                mail(4, &third, "a@customer.example", 40),
            ] {
                tx.insert_invoice_mail(&mail).await.expect("inserts");
            }
        });
        let recipient = "a@customer.example".parse().expect("an address");
        let mails = async |tenant: &Tenant, from| {
            store.read().list_invoice_mails(tenant, &recipient, at(from), 9).await.expect("lists")
        };
        assert_eq!(mails(&here, 10).await, [(first.id, at(10)), (second.id, at(20))]);
        assert_eq!(mails(&here, 11).await, [(second.id, at(20))]);
        assert_eq!(mails(&other, 0).await, [(third.id, at(40))]);
        commit!(store, |tx| {
            assert_eq!(tx.prune_invoice_mails(at(20), 9).await.expect("prunes"), 1);
            assert_eq!(tx.prune_invoice_mails(at(99), 2).await.expect("prunes"), 2);
        });
        assert_eq!(mails(&other, 0).await, [(third.id, at(40))]);
    }

    async fn a_period_is_made_once(database) {
        let store = database.store();
        two_businesses(store).await;
        let here = tenant("b1");
        let mut row = recurring(&here, 1);
        let period = |bits, number, index| InvoiceRow { period: Some((row.id, index)), ..invoice(&here, bits, number) };
        let (first, again, second) = (period(1, 1, 0), period(2, 2, 0), period(3, 2, 1));
        commit!(store, |tx| {
            tx.insert_recurring_payment(&row).await.expect("inserts");
            assert!(tx.insert_invoice(&first).await.expect("inserts"));
            assert!(!tx.insert_invoice(&again).await.expect("does nothing"));
            assert!(tx.insert_invoice(&second).await.expect("inserts"));
        });
        let mut reader = store.read();
        assert_eq!(reader.find_recurring_payment(&here, row.id).await.expect("reads"), Some(row.clone()));
        assert_eq!(reader.find_latest_period(&here, row.id).await.expect("reads"), Some(second));
        assert_eq!(reader.find_latest_period(&tenant("b2"), row.id).await.expect("reads"), None);
        assert!(!reader.has_overdue_period(&here, row.id, at(999)).await.expect("reads"));
        assert!(reader.has_overdue_period(&here, row.id, at(1_000)).await.expect("reads"));
        assert!(!reader.has_overdue_period(&tenant("b2"), row.id, at(1_000)).await.expect("reads"));
        assert!(reader.list_due_recurring_payments(&due(499, true), 5).await.expect("lists").is_empty());
        assert_eq!(reader.list_due_recurring_payments(&due(500, true), 5).await.expect("lists"), [row.clone()]);
        let all = RecurringPaymentFilter::default();
        assert_eq!(reader.list_recurring_payments(&here, &all, None, 5).await.expect("lists").len(), 1);
        assert!(reader.list_recurring_payments(&live("b1"), &all, None, 5).await.expect("lists").is_empty());
        row.next_period = 2;
        row.state = RecurringState::Paused;
        assert!(commit!(store, |tx| tx.update_recurring_payment(&row, 1).await.expect("updates")));
        assert!(!commit!(store, |tx| tx.update_recurring_payment(&row, 1).await.expect("updates")), "two at once");
        assert!(store.read().list_due_recurring_payments(&due(900, true), 5).await.expect("lists").is_empty());
    }

    async fn the_test_clock_of_a_business_makes_periods_due(database) {
        let store = database.store();
        two_businesses(store).await;
        let row = recurring(&tenant("b1"), 1);
        let real = recurring(&live("b1"), 2);
        commit!(store, |tx| {
            tx.insert_recurring_payment(&row).await.expect("inserts");
            tx.insert_recurring_payment(&real).await.expect("inserts");
            let mut ledger = tx.lock_test_ledger(&row.tenant.business).await.expect("locks");
            ledger.clock_offset = 400;
            tx.update_test_ledger(&ledger).await.expect("updates");
        });
        // LIVE knows no clock but the real one.
        let list = async |due: DuePeriods<'_>, most| {
            store.read().list_due_recurring_payments(&due, most).await.expect("lists")
        };
        assert_eq!(list(due(100, true), 5).await, std::slice::from_ref(&row));
        // One tenant's, and those behind another one.
        assert_eq!(list(due(900, true), 1).await, std::slice::from_ref(&row));
        let behind = DuePeriods { after: row.next_due_at.map(|at| (at, row.id)), ..due(900, true) };
        assert_eq!(list(behind, 5).await, std::slice::from_ref(&real));
        assert_eq!(list(DuePeriods { of: Some(&real.tenant), ..due(900, true) }, 1).await, std::slice::from_ref(&real));
        assert!(list(DuePeriods { of: Some(&tenant("b2")), ..due(900, true) }, 5).await.is_empty());
        assert!(store.read().list_due_recurring_payments(&due(100, false), 5).await.expect("lists").is_empty());
        commit!(store, |tx| assert!(tx.suspend_business(&real.tenant.business, at(1)).await.expect("suspends")));
        assert!(store.read().list_due_recurring_payments(&due(900, true), 5).await.expect("lists").is_empty());
    }
}
