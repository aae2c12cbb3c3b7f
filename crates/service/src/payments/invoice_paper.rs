//! An invoice on paper: the PDF that goes with its mail and is downloaded.
//!
//! It says what the invoice is and nothing of the day on which somebody looks at it, so the same invoice is the same file.

use qrcode::{Color, QrCode};
use trousseau_domain::business::Language;
use trousseau_domain::environment::Environment;
use trousseau_domain::money::Money;
use trousseau_domain::text::BusinessName;
use trousseau_domain::time::TimeZone;
use trousseau_store::InvoiceRow;

use crate::paper::{Face, HEIGHT, Ink, Paper, Picture, Style, WIDTH};

const LEFT: i32 = 500;
const RIGHT: i32 = WIDTH - 500;
/// Where the text of a sheet ends.
const BOTTOM: i32 = HEIGHT - 700;
/// Where the numbers of a line end.
const QUANTITY: i32 = 3_750;
const UNIT: i32 = 4_620;
/// Where the second column of facts begins.
const MIDDLE: i32 = 3_200;
/// What a logo may take.
const LOGO: (i32, i32) = (1_600, 480);
/// The height of the band that says TEST.
const BAND: i32 = 260;
/// Quiet modules around a QR code.
const QUIET: i32 = 2;

const BLACK: Ink = [0.11, 0.106, 0.094];
const GREY: Ink = [0.396, 0.38, 0.345];
const RULE: Ink = [0.84, 0.83, 0.8];
const AMBER: Ink = [1.0, 0.769, 0.302];
const BLUE: Ink = [0.141, 0.251, 0.784];

const fn regular(size: i32, ink: Ink) -> Style {
    Style { face: Face::Regular, size, ink }
}

const fn bold(size: i32, ink: Ink) -> Style {
    Style { face: Face::SemiBold, size, ink }
}

const TEXT: Style = regular(95, BLACK);
const SMALL: Style = regular(80, GREY);
const STRONG: Style = bold(95, BLACK);

/// What an invoice is printed with.
#[derive(Debug)]
pub(crate) struct Printed<'a> {
    /// Who bills.
    pub(crate) business: &'a BusinessName,
    /// Whose days count.
    pub(crate) zone: &'a TimeZone,
    /// What stands on top, if there is one.
    pub(crate) logo: Option<Picture>,
    /// The invoice.
    pub(crate) invoice: &'a InvoiceRow,
    /// The page on which it is paid.
    pub(crate) link: &'a str,
    /// In which language.
    pub(crate) language: Language,
}

/// What stands on the paper beside what people wrote.
struct Words {
    invoice: &'static str,
    test: &'static str,
    from: &'static str,
    to: &'static str,
    reference: &'static str,
    number: &'static str,
    issued: &'static str,
    due: &'static str,
    paid: &'static str,
    void: &'static str,
    description: &'static str,
    quantity: &'static str,
    unit: &'static str,
    amount: &'static str,
    total: &'static str,
    to_pay: &'static str,
    nothing: &'static str,
    pay: &'static str,
    /// What a unit of a well known currency stands for.
    par: fn(&str) -> Option<&'static str>,
    paying: &'static str,
    page: &'static str,
    of: &'static str,
}

const ENGLISH: Words = Words {
    invoice: "Invoice",
    test: "TEST – this is not a real invoice, and nothing is to be paid",
    from: "From",
    to: "Billed to",
    reference: "Reference",
    number: "Invoice number",
    issued: "Date of issue",
    due: "To be paid by",
    paid: "Paid on",
    void: "Called off on",
    description: "Description",
    quantity: "Quantity",
    unit: "Unit price",
    amount: "Amount",
    total: "Total",
    to_pay: "To be paid",
    nothing: "Nothing is to be paid any more",
    pay: "Pay online",
    par: |code| match code {
        "USDC" => Some("One USDC stands for one US dollar."),
        "EURC" => Some("One EURC stands for one euro."),
        _ => None,
    },
    paying: "The page shows the address, the networks and, once it is paid, the receipt.",
    page: "Page",
    of: "of",
};

const FRENCH: Words = Words {
    invoice: "Facture",
    test: "TEST – ceci n’est pas une vraie facture, rien n’est à payer",
    from: "De",
    to: "Facturé à",
    reference: "Référence",
    number: "Numéro de facture",
    issued: "Date d’émission",
    due: "À payer au plus tard le",
    paid: "Payée le",
    void: "Annulée le",
    description: "Désignation",
    quantity: "Quantité",
    unit: "Prix unitaire",
    amount: "Montant",
    total: "Total",
    to_pay: "À payer",
    nothing: "Il n’y a plus rien à payer",
    pay: "Payer en ligne",
    par: |code| match code {
        "USDC" => Some("Un USDC vaut un dollar américain."),
        "EURC" => Some("Un EURC vaut un euro."),
        _ => None,
    },
    paying: "La page indique l’adresse, les réseaux et, une fois le paiement effectué, le reçu.",
    page: "Page",
    of: "sur",
};

const fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::French => &FRENCH,
    }
}

/// What the file is called.
pub(crate) fn file_name(invoice: &InvoiceRow, language: Language) -> String {
    let word = match language {
        Language::English => "invoice",
        Language::French => "facture",
    };
    let test = match invoice.tenant.environment {
        Environment::Test => "TEST-",
        Environment::Live => "",
    };
    format!("{word}-{test}{}.pdf", invoice.number)
}

/// The pen: where it stands on the sheet.
struct Pen<'a> {
    paper: Paper,
    y: i32,
    printed: &'a Printed<'a>,
    words: &'static Words,
}

/// The invoice as a file.
pub(crate) fn print(printed: &Printed<'_>) -> Vec<u8> {
    let mut pen = Pen { paper: Paper::new(), y: 0, printed, words: words(printed.language) };
    pen.top();
    pen.head();
    pen.facts();
    pen.lines();
    pen.sum();
    pen.how_to_pay();
    pen.feet();
    let title = format!("{} {} – {}", pen.words.invoice, printed.invoice.number, printed.business);
    pen.paper.finish(&title, printed.language.as_str())
}

impl Pen<'_> {
    fn is_test(&self) -> bool {
        self.printed.invoice.tenant.environment == Environment::Test
    }

    /// What every sheet begins with.
    fn top(&mut self) {
        self.y = 500;
        if self.is_test() {
            self.paper.fill(0, 0, WIDTH, BAND, AMBER);
            self.paper.text(LEFT, 165, bold(100, BLACK), self.words.test);
            self.y += BAND - 100;
        }
    }

    /// Goes on on another sheet where less than so much is left.
    fn need(&mut self, height: i32) -> bool {
        let full = self.y + height > BOTTOM;
        if full {
            self.paper.next_page();
            self.top();
        }
        full
    }

    /// Writes a text over as many lines as it takes.
    fn paragraph(&mut self, x: i32, width: i32, style: Style, leading: i32, text: &str) {
        for line in style.wrap(text, width) {
            self.y += leading;
            self.paper.text(x, self.y, style, &line);
        }
    }

    fn head(&mut self) {
        let top = self.y;
        let name = format!("{} {}", self.words.invoice, self.printed.invoice.number);
        self.paper.text_to(RIGHT, top + 160, bold(200, BLACK), &name);
        if let Some(logo) = self.printed.logo.clone() {
            let (width, height) = fitted(&logo, LOGO);
            self.paper.picture(LEFT, top, width, height, logo);
            self.y = top + height + 60;
        } else {
            // The name takes the place of the logo.
            self.paragraph(LEFT, 2_900, bold(160, BLACK), 190, self.printed.business.as_str());
        }
        self.y = self.y.max(top + 160) + 260;
    }

    fn facts(&mut self) {
        let invoice = self.printed.invoice;
        let (language, zone) = (self.printed.language, self.printed.zone);
        let day = |instant| language.day(zone.day_of(instant));
        let top = self.y;
        self.fact(LEFT, self.words.from, self.printed.business.as_str());
        let customer = invoice.customer_name.as_ref().map(ToString::to_string);
        let email = invoice.customer_email.as_ref().map(|email| email.as_str().to_owned());
        if let Some(first) = customer.as_ref().or(email.as_ref()) {
            self.fact(LEFT, self.words.to, first);
            if let (Some(_), Some(email)) = (&customer, &email) {
                self.y -= 110;
                self.paragraph(LEFT, 2_300, TEXT, 130, email);
                self.y += 110;
            }
        }
        if let Some(reference) = &invoice.customer_reference {
            self.fact(LEFT, self.words.reference, reference.as_str());
        }
        let left_end = self.y;
        self.y = top;
        self.fact(MIDDLE, self.words.number, &invoice.number.to_string());
        self.fact(MIDDLE, self.words.issued, &day(invoice.created_at));
        self.fact(MIDDLE, self.words.due, &language.day(zone.last_day_before(invoice.due_at)));
        if let Some(paid) = invoice.paid_at {
            self.fact(MIDDLE, self.words.paid, &day(paid));
        } else if let Some(end) = invoice.voided_at.or(invoice.deleted_at) {
            self.fact(MIDDLE, self.words.void, &day(end));
        }
        self.y = self.y.max(left_end) + 60;
        self.paragraph(LEFT, RIGHT - LEFT, bold(130, BLACK), 180, invoice.title.as_str());
        self.y += 140;
    }

    fn fact(&mut self, x: i32, name: &str, value: &str) {
        self.y += 110;
        self.paper.text(x, self.y, SMALL, name);
        self.paragraph(x, 2_300, TEXT, 130, value);
        self.y += 110;
    }

    fn table_head(&mut self) {
        self.y += 130;
        let y = self.y;
        self.paper.text(LEFT, y, SMALL, self.words.description);
        for (x, word) in [(QUANTITY, self.words.quantity), (UNIT, self.words.unit), (RIGHT, self.words.amount)] {
            self.paper.text_to(x, y, SMALL, word);
        }
        self.y += 70;
        self.rule(10);
    }

    fn rule(&mut self, thickness: i32) {
        self.paper.fill(LEFT, self.y, RIGHT - LEFT, thickness, RULE);
    }

    fn lines(&mut self) {
        let invoice = self.printed.invoice;
        let language = self.printed.language;
        let asset = invoice.amount.asset();
        let written = |units: i64| Money::from_units(units, asset).map(|money| language.amount(money));
        self.need(600);
        self.table_head();
        for line in &invoice.lines {
            let description = TEXT.wrap(line.description.as_str(), QUANTITY - LEFT - 550);
            if self.need(130 * i32::try_from(description.len()).unwrap_or(i32::MAX) + 110) {
                self.table_head();
            }
            self.y += 160;
            let y = self.y;
            for (index, text) in description.iter().enumerate() {
                if index > 0 {
                    self.y += 130;
                }
                self.paper.text(LEFT, self.y, TEXT, text);
            }
            let amount = line.amount().and_then(written).unwrap_or_default();
            self.number_to(QUANTITY, 500, y, &language.grouped(&line.quantity.to_string()));
            self.number_to(UNIT, UNIT - QUANTITY - 60, y, &written(line.unit_amount).unwrap_or_default());
            self.number_to(RIGHT, RIGHT - UNIT - 60, y, &amount);
            self.y += 80;
            self.rule(5);
        }
    }

    /// A number that ends at `x`; a very long one is written smaller, so that it meets no other.
    fn number_to(&mut self, x: i32, room: i32, y: i32, number: &str) {
        let sizes = (1..=TEXT.size).rev().map(|size| Style { size, ..TEXT });
        let style = sizes.into_iter().find(|style| style.width_of(number) <= room).unwrap_or(TEXT);
        self.paper.text_to(x, y, style, number);
    }

    /// A line of the sum, its name before its amount.
    fn sum_line(&mut self, style: Style, name: &str, amount: &str) {
        self.paper.text_to(RIGHT, self.y, style, amount);
        self.paper.text_to((RIGHT - style.width_of(amount) - 150).min(UNIT), self.y, style, name);
    }

    fn sum(&mut self) {
        self.need(520);
        let (invoice, language) = (self.printed.invoice, self.printed.language);
        let total = language.price(invoice.amount);
        self.y += 200;
        self.sum_line(TEXT, self.words.total, &total);
        self.y += 230;
        if self.is_open() {
            self.sum_line(bold(115, BLACK), self.words.to_pay, &total);
        } else {
            self.paper.text_to(RIGHT, self.y, STRONG, self.words.nothing);
        }
        self.y += 160;
    }

    /// Whether something is to be paid, whenever it is due.
    fn is_open(&self) -> bool {
        let invoice = self.printed.invoice;
        invoice.paid_at.is_none() && invoice.voided_at.is_none() && invoice.deleted_at.is_none()
    }

    fn how_to_pay(&mut self) {
        if !self.is_open() {
            return;
        }
        let link = self.printed.link;
        let code = QrCode::new(link).ok();
        self.need(1_200);
        self.y += 150;
        let top = self.y;
        let mut x = LEFT;
        let mut bottom = top;
        if let Some(code) = code {
            let modules = i32::try_from(code.width()).unwrap_or(0);
            // About a thousand tenths of a point on a side, in whole tenths for each module.
            let side = (1_000 / (modules + 2 * QUIET)).max(8);
            let dark = code.to_colors().into_iter().zip(0i32..).filter(|(color, _)| *color == Color::Dark);
            let dark = dark.map(|(_, index)| (index % modules, index / modules));
            self.paper.squares(LEFT, top, side, dark, BLACK);
            let whole = side * modules;
            self.paper.link(LEFT, top, whole, whole, link);
            x += whole + 200;
            bottom += whole;
        }
        self.y += 20;
        self.paragraph(x, RIGHT - x, STRONG, 100, self.words.pay);
        let style = regular(95, BLUE);
        for line in style.wrap(link, RIGHT - x) {
            self.y += 150;
            self.paper.text(x, self.y, style, &line);
            self.paper.link(x, self.y - 100, style.width_of(&line), 130, link);
        }
        self.y += 40;
        let code = self.printed.invoice.amount.asset().code();
        let par = (self.words.par)(code.as_str()).map(|par| format!("{par} ")).unwrap_or_default();
        self.paragraph(x, RIGHT - x, SMALL, 120, &format!("{par}{}", self.words.paying));
        self.y = self.y.max(bottom);
    }

    /// What every sheet ends with, once it is known how many there are.
    fn feet(&mut self) {
        let pages = self.paper.pages();
        let name = format!("{} {} · {}", self.words.invoice, self.printed.invoice.number, self.printed.business);
        let short = SMALL.wrap(&name, 3_900).into_iter().next().unwrap_or_default();
        for page in 0..pages {
            self.paper.turn_to(page);
            self.paper.text(LEFT, HEIGHT - 350, SMALL, &short);
            let count = format!("{} {} {} {pages}", self.words.page, page + 1, self.words.of);
            self.paper.text_to(RIGHT, HEIGHT - 350, SMALL, &count);
        }
    }
}

/// The largest size within bounds that keeps the shape of a picture.
fn fitted(picture: &Picture, (width, height): (i32, i32)) -> (i32, i32) {
    let side = |pixels: usize| i32::try_from(pixels.max(1)).unwrap_or(i32::MAX);
    let (columns, rows) = (side(picture.width), side(picture.height));
    if columns.saturating_mul(height) > rows.saturating_mul(width) {
        (width, (rows * width / columns).max(1))
    } else {
        ((columns * height / rows).max(1), height)
    }
}

#[cfg(test)]
mod tests {
    use trousseau_domain::actor::Actor;
    use trousseau_domain::environment::Tenant;
    use trousseau_domain::ids::InvoiceId;
    use trousseau_domain::metadata::Metadata;
    use trousseau_domain::money::Asset;
    use trousseau_domain::payables::InvoiceLine;
    use trousseau_domain::time::Timestamp;

    use super::*;

    fn invoice(lines: u32) -> InvoiceRow {
        let at: Timestamp = "2026-03-01T10:00:00Z".parse().expect("an instant");
        let line = |number| InvoiceLine {
            description: format!("Line {number}").parse().expect("a title"),
            quantity: number,
            unit_amount: 1_000_000,
        };
        InvoiceRow {
            id: InvoiceId::from_bits(1),
            tenant: Tenant::new("b1".parse().expect("an id"), Environment::Live),
            number: 7,
            amount: Money::from_units(i64::MAX, Asset::USDC).expect("above zero"),
            title: "漢字 🙂 Ελληνικά".parse().expect("a title"),
            lines: (1..=lines).map(line).collect(),
            due_at: at,
            customer_name: Some("x".repeat(200).parse().expect("a name")),
            customer_email: None,
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
            created_at: at,
            created_by: Actor::System,
            updated_at: at,
            deleted_at: None,
        }
    }

    fn printed(invoice: &InvoiceRow, language: Language, logo: Option<Picture>) -> Vec<u8> {
        let (business, zone) = ("Atelier Lumière".parse().expect("a name"), "Europe/Paris".parse().expect("a zone"));
        let link = "https://keys.example.com/pay/invoice/inv_1";
        print(&Printed { business: &business, zone: &zone, logo, invoice, link, language })
    }

    fn holds(file: &[u8], text: &str) -> bool {
        file.windows(text.len()).any(|window| window == text.as_bytes())
    }

    #[test]
    fn the_same_invoice_is_the_same_file() {
        let logo = Picture { width: 2, height: 1, colors: vec![9; 6], cover: Some(vec![0, 255]) };
        for language in [Language::English, Language::French] {
            let invoice = invoice(3);
            let file = printed(&invoice, language, Some(logo.clone()));
            assert!(file == printed(&invoice, language, Some(logo.clone())));
            assert!(file.starts_with(b"%PDF-") && holds(&file, "/Count 1") && holds(&file, "/SMask"));
            assert!(file != printed(&invoice, language, None));
            // When it was looked at or sent tells nothing on paper; what was paid does.
            let sent = InvoiceRow { sent_at: Some(invoice.due_at), reminded: Some(3), ..invoice.clone() };
            assert!(file == printed(&sent, language, Some(logo.clone())));
            let paid = InvoiceRow { paid_at: Some(invoice.due_at), ..invoice };
            assert!(file != printed(&paid, language, Some(logo.clone())));
        }
    }

    #[test]
    fn a_long_invoice_takes_several_sheets() {
        for (lines, pages) in [(1, 1), (100, 5)] {
            let file = printed(&invoice(lines), Language::English, None);
            let found = (1..10).find(|count| holds(&file, &format!("/Count {count}\n")));
            assert_eq!(found, Some(pages), "{lines} lines");
        }
    }

    #[test]
    fn a_logo_keeps_its_shape() {
        let picture = |width, height| Picture { width, height, colors: Vec::new(), cover: None };
        for ((width, height), size) in
            [((480, 144), (1_600, 480)), ((480, 48), (1_600, 160)), ((100, 100), (480, 480)), ((1, 480), (1, 480))]
        {
            assert_eq!(fitted(&picture(width, height), LOGO), size);
        }
    }
}
