//! The pages through their public HTTP interface, read as a browser without script reads them.

mod activity;
mod docs;
mod frame;
mod home;
mod keys;
mod pay;
mod payments;
mod people;
mod platform;
mod refunds;
mod webhooks;

use trousseau_testkit::app::Business;
use trousseau_testkit::browser::Browser;
use trousseau_testkit::client::Answer;

#[track_caller]
fn page(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.text()
}

/// Whether a word was drawn by chance: letters of both cases in no order, or digits among them.
fn is_drawn(word: &str) -> bool {
    let chance = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    !word.contains('_') && word.bytes().skip(1).any(chance)
}

/// The page without what differs from run to run.
fn steady(page: &str, business: &Business) -> String {
    let mut text = page.replace(business.id(), "BUSINESS");
    for ending in ["ending in </span>", "se terminant par </span>", ">*****"] {
        let mut parts = text.split(ending).map(ToOwned::to_owned).collect::<Vec<_>>();
        for part in parts.iter_mut().skip(1) {
            // The stars may be all that is shown for a screen reader to skip.
            if !part.starts_with('<') {
                part.replace_range(..3, "XYZ");
            }
        }
        text = parts.join(ending);
    }
    // How long a call took.
    let parts: Vec<&str> = text.split(" ms</").collect();
    let (last, timed) = parts.split_last().expect("a part");
    let timed: String =
        timed.iter().map(|part| part.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned() + "N ms</").collect();
    let text = timed + last;
    let mut steady = String::new();
    let mut word = String::new();
    for character in text.chars().chain(['\n']) {
        if character.is_ascii_alphanumeric() || character == '_' {
            word.push(character);
            continue;
        }
        steady.push_str(match word.len() {
            32 if word.bytes().all(|byte| byte.is_ascii_hexdigit()) => "HEX",
            16 if word.bytes().all(|byte| byte.is_ascii_hexdigit()) => "DIGEST",
            30 if word.starts_with("key_") => "key_ID",
            30 if word.starts_with("evt_") => "evt_ID",
            30 if word.starts_with("acc_") => "acc_ID",
            30 if word.starts_with("pay_") => "pay_ID",
            30 if word.starts_with("rfd_") => "rfd_ID",
            30 if word.starts_with("req_") => "req_ID",
            29 if word.starts_with("pk_") => "pk_ID",
            20 if is_drawn(&word) => "REFERENCE",
            _ if word.len() > 38 => "VALUE",
            _ => &word,
        });
        word.clear();
        steady.push(character);
    }
    // The id is shown in three parts.
    let parts = business.id().split_at(8);
    steady
        .replace(&format!("{}<span>", parts.0), "BUSI<span>")
        .replace(&parts.1[..parts.1.len() - 6], "NE")
        .replace(&format!("NE</span>{}", &parts.1[parts.1.len() - 6..]), "NE</span>SS")
}

/// The token of the forms of a signed-in browser.
async fn token(browser: &mut Browser) -> String {
    let page = browser.get("/b/none/test").await.text();
    page.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a token").0.to_owned()
}

/// The form at `path` with these fields, then, after a way back, with others, which the page asks about. What is answered
/// where it is sent once more from there.
async fn sent_otherwise(
    browser: &mut Browser,
    path: &str,
    first: &[(&str, &str)],
    other: &[(&str, &str)],
    kept: &str,
) -> Answer {
    let mut form = browser.fill(path, path, first).await;
    let answer = browser.post_filled(path, &form).await;
    assert!(matches!(answer.status.as_u16(), 200 | 303), "{path}: {}", answer.text());
    form.retain(|(name, _)| !other.iter().any(|(given, _)| given == name));
    form.extend(other.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let asked = page(&browser.post_filled(path, &form).await, 409);
    assert!(asked.contains("was sent before with other fields") && asked.contains("id=\"errors\""), "{path}: {asked}");
    assert!(asked.contains(kept), "{path}: {asked}");
    // Nothing was done, and the same name asks again.
    page(&browser.post_filled(path, &form).await, 409);
    browser.submit_shown(&asked, path, other).await
}
