//! What a customer is written about an invoice: that it is there, and that it is due.
//!
//! Whatever people typed stands on lines of its own text: none of it can hold a line break, and the mail is plain text.

use std::fmt::Write as _;

use trousseau_domain::business::Language;
use trousseau_domain::environment::Environment;
use trousseau_domain::money::Money;
use trousseau_domain::reminders::Reminder;
use trousseau_store::{BusinessRow, InvoiceRow};

/// Lines of an invoice that a mail repeats; the page and the PDF have all of them.
const LINES_IN_MAIL: usize = 20;

/// A mail about an invoice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InvoiceLetter<'a> {
    /// Who bills.
    pub(crate) business: &'a BusinessRow,
    /// The invoice.
    pub(crate) invoice: &'a InvoiceRow,
    /// The page on which it is paid.
    pub(crate) link: &'a str,
    /// Which reminder it is, if it is one.
    pub(crate) reminder: Option<Reminder>,
}

impl InvoiceLetter<'_> {
    /// Which text it is.
    pub(crate) const fn template(&self) -> &'static str {
        match self.reminder {
            None => "invoice",
            Some(_) => "invoice_reminder",
        }
    }

    fn is_test(&self) -> bool {
        self.invoice.tenant.environment == Environment::Test
    }

    /// The last day on which it is in time, in the business's zone.
    fn last_day(&self, language: Language) -> String {
        language.day(self.business.time_zone.last_day_before(self.invoice.due_at))
    }

    /// What is billed, a line each.
    fn lines(&self, language: Language) -> String {
        let asset = self.invoice.amount.asset();
        let mut text = String::new();
        for line in self.invoice.lines.iter().take(LINES_IN_MAIL) {
            let price = line.amount().and_then(|units| Money::from_units(units, asset));
            let price = price.map(|money| language.price(money)).unwrap_or_default();
            let colon = match language {
                Language::English => ":",
                Language::French => "\u{a0}:",
            };
            let quantity = language.grouped(&line.quantity.to_string());
            let _ = writeln!(text, "- {quantity}\u{a0}× {}{colon} {price}", line.description);
        }
        match (self.invoice.lines.len().saturating_sub(LINES_IN_MAIL), language) {
            (0, _) => {}
            (1, Language::English) => text.push_str("- and one line more\n"),
            (more, Language::English) => _ = writeln!(text, "- and {more} lines more"),
            (1, Language::French) => text.push_str("- et une autre ligne\n"),
            (more, Language::French) => _ = writeln!(text, "- et {more} autres lignes"),
        }
        text
    }

    /// Subject and text in a language.
    pub(crate) fn render(&self, language: Language) -> (String, String) {
        let (subject, text) = match language {
            Language::English => self.english(),
            Language::French => self.french(),
        };
        match (self.is_test(), language) {
            (false, _) => (subject, text),
            (true, Language::English) => (
                format!("[TEST] {subject}"),
                format!(
                    "*** THIS IS A TEST ***\nIt is not a real invoice, nothing is to be paid, and whoever sent it was \
                     trying things out.\n\n{text}"
                ),
            ),
            (true, Language::French) => (
                format!("[TEST] {subject}"),
                format!(
                    "*** CECI EST UN TEST ***\nCe n’est pas une vraie facture, rien n’est à payer, et la personne qui \
                     l’envoie fait des essais.\n\n{text}"
                ),
            ),
        }
    }

    fn english(&self) -> (String, String) {
        let (number, business) = (self.invoice.number, &self.business.name);
        let day = self.last_day(Language::English);
        let (subject, what) = match self.reminder {
            None => (format!("Invoice {number} from {business}"), "sends you an invoice."),
            Some(Reminder::Ahead) => (
                format!("Due on {day}: invoice {number} from {business}"),
                "reminds you of an invoice that is due soon.",
            ),
            Some(Reminder::OnTheDay) => {
                (format!("Due today: invoice {number} from {business}"), "reminds you of an invoice that is due today.")
            }
            Some(Reminder::Late | Reminder::Last) => {
                (format!("Past due: invoice {number} from {business}"), "reminds you of an invoice that is past due.")
            }
        };
        let mut text = self.greeting("Hello", ",");
        let zone = self.business.time_zone.name();
        let _ = write!(
            text,
            "{business} {what}\n\nInvoice {number}: {}\n\n{}\nTo be paid: {}\nNo later than: {day} ({zone})\n\nSee it \
             and pay it here:\n\n{}\n\n",
            self.invoice.title,
            self.lines(Language::English),
            Language::English.price(self.invoice.amount),
            self.link,
        );
        if self.has_pdf() {
            text.push_str("The invoice is attached as PDF.\n\n");
        }
        if self.reminder.is_some() {
            text.push_str("If you have paid in the meantime, ignore this message.\n\n");
        }
        text.push_str("You get this message because your address was given for this invoice.\n");
        (subject, text)
    }

    fn french(&self) -> (String, String) {
        let (number, business) = (self.invoice.number, &self.business.name);
        let day = self.last_day(Language::French);
        let (subject, what) = match self.reminder {
            None => (format!("Facture {number} de {business}"), "vous adresse une facture."),
            Some(Reminder::Ahead) => (
                format!("À payer au plus tard le {day}\u{a0}: facture {number} de {business}"),
                "vous rappelle une facture qui arrive à échéance.",
            ),
            Some(Reminder::OnTheDay) => (
                format!("À payer aujourd’hui\u{a0}: facture {number} de {business}"),
                "vous rappelle une facture qui arrive à échéance aujourd’hui.",
            ),
            Some(Reminder::Late | Reminder::Last) => (
                format!("En retard\u{a0}: facture {number} de {business}"),
                "vous rappelle une facture dont l’échéance est passée.",
            ),
        };
        let mut text = self.greeting("Bonjour", ",");
        let zone = self.business.time_zone.name();
        let _ = write!(
            text,
            "{business} {what}\n\nFacture {number}\u{a0}: {}\n\n{}\nÀ payer\u{a0}: {}\nAu plus tard le\u{a0}: {day} \
             ({zone})\n\nVoir et payer la facture\u{a0}:\n\n{}\n\n",
            self.invoice.title,
            self.lines(Language::French),
            Language::French.price(self.invoice.amount),
            self.link,
        );
        if self.has_pdf() {
            text.push_str("La facture est jointe au format PDF.\n\n");
        }
        if self.reminder.is_some() {
            text.push_str("Si vous avez payé entre-temps, ignorez ce message.\n\n");
        }
        text.push_str("Vous recevez ce message parce que votre adresse a été donnée pour cette facture.\n");
        (subject, text)
    }

    /// Whether the file goes with it: with the invoice, and not with each reminder of it.
    pub(crate) const fn has_pdf(&self) -> bool {
        self.invoice.with_pdf && self.reminder.is_none()
    }

    fn greeting(&self, hello: &str, comma: &str) -> String {
        match &self.invoice.customer_name {
            Some(name) => format!("{hello} {name}{comma}\n\n"),
            None => format!("{hello}{comma}\n\n"),
        }
    }
}
