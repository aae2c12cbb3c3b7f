//! The Guide and the API reference: every page in both languages, for every profile.

use std::collections::BTreeSet;

use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::TestApp;
use trousseau_testkit::browser::Browser;

async fn browser() -> Browser {
    TestApp::on(TestDatabase::sqlite().await).await.browser()
}

/// The addresses on this site that the page links to.
fn links(page: &str) -> BTreeSet<String> {
    page.split(" href=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"').map(|(href, _)| href.to_owned()))
        .filter(|href| href.starts_with('/') && !href.starts_with("/assets/"))
        .collect()
}

/// What a person reads of a page: the text between the tags, without code.
fn read(page: &str) -> String {
    let main =
        page.split_once("<main").and_then(|(_, rest)| rest.split_once("</main>")).expect("a page has a main part");
    let mut text = String::new();
    let mut code = 0_usize;
    for part in main.0.split('<').skip(1) {
        let (tag, words) = part.split_once('>').unwrap_or((part, ""));
        match tag.split([' ', '/']).next().unwrap_or_default() {
            "code" | "pre" | "summary" => code += 1,
            "" if matches!(tag, "/code" | "/pre" | "/summary") => code -= 1,
            _ => {}
        }
        if code == 0 {
            text.push_str(words);
            text.push(' ');
        }
    }
    text
}

#[tokio::test]
async fn every_page_of_the_documentation_can_be_opened_in_both_languages() {
    for language in ["en", "fr"] {
        let mut browser = browser().await.speaking(language);
        let mut open: Vec<String> = vec!["/docs".to_owned()];
        let mut seen = BTreeSet::from([open[0].clone()]);
        while let Some(path) = open.pop() {
            let answer = browser.get(&path).await;
            assert_eq!(answer.status, 200, "{path}");
            if path == "/openapi.json" || path == "/" {
                continue;
            }
            let page = answer.text();
            assert!(page.contains(&format!("<html lang=\"{language}\"")), "{path}");
            assert_eq!(page.matches("<h1").count(), 1, "{path} has one heading");
            assert!(!page.contains("{{"), "{path}: {page}");
            for link in links(&page).into_iter().filter(|link| link != "/") {
                let link = link.split('#').next().unwrap_or_default().to_owned();
                if seen.insert(link.clone()) {
                    open.push(link);
                }
            }
        }
        for path in
            ["/docs/refusals", "/docs/api", "/docs/api/create-key", "/problems/scope-missing", "/docs?profile=codat"]
        {
            assert!(seen.contains(path), "{path} is linked to: {seen:?}");
        }
    }
}

#[tokio::test]
async fn french_pages_are_typeset() {
    let mut browser = browser().await.speaking("fr");
    for path in ["/docs", "/docs/rules?profile=payline", "/docs/leaks", "/docs/api/rotate-key", "/problems/key-in-url"]
    {
        let text = read(&browser.get(path).await.text());
        for (at, _) in text.match_indices(['\'', ':', ';', '!', '?']) {
            let before = text[..at].chars().next_back();
            let context: String = text[..at].chars().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect();
            match text[at..].chars().next() {
                Some('\'') => panic!("{path}: an apostrophe of the keyboard after {context:?}"),
                // Addresses, times and parts of code have no space at all.
                _ => assert_ne!(before, Some(' '), "{path}: a space that may break after {context:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_is_said_follows_the_rules_of_the_profile() {
    let mut browser = browser().await;
    for (path, profile, said, not_said) in [
        ("/docs/kinds", "mileston", "Mileston_LIVE_CHECKOUTKEY_", "There is one kind"),
        ("/docs/kinds", "payline", "20 letters and digits. It says nothing", "CHECKOUTKEY"),
        ("/docs/rules", "payline", "At most 50 keys in each environment", "Revoking, which some call deleting"),
        ("/docs/rules", "codat", "At most 10 keys.", "in each environment"),
        ("/docs/business-id", "codat", "do not need it", "Without the ID a call is refused"),
        ("/docs/business-id", "payline", "14 digits", "UUID"),
        ("/docs/test-and-live", "codat", "has one environment, LIVE", "Amber band"),
        ("/docs/rotate", "mileston", "Rotate with an overlap", "Make a second key"),
        ("/docs/rotate", "payline", "Make a second key", "Rotate with an overlap"),
    ] {
        let page = browser.get(&format!("{path}?profile={profile}")).await.text();
        assert!(page.contains(said), "{path} {profile}: {said}");
        assert!(!page.contains(not_said), "{path} {profile}: {not_said}");
    }
    let unknown = browser.get("/docs/kinds?profile=%3Cb%3E").await;
    assert!(unknown.status == 200 && !unknown.text().contains("<b>&"), "another name is the default profile");
}

#[tokio::test]
async fn the_search_shows_what_it_found_and_repeats_the_words_as_text() {
    let mut browser = browser().await;
    let page = browser.get("/docs/api?q=overlap_seconds").await.text();
    assert!(page.contains("2 calls") && page.contains("/docs/api/rotate-key"), "{page}");
    let page = browser.get("/docs/api?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E").await.text();
    assert!(page.contains("No call has all these words"), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
}

#[tokio::test]
async fn the_page_of_a_problem_is_a_page_for_people_and_a_text_for_programs() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let page = app.browser().speaking("fr").get("/problems/scope-missing").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("vary"), "accept");
    assert!(page.text().contains("Il manque une portée à la clé"), "{}", page.text());
    let plain = app.anonymous().get("/problems/scope-missing").await;
    assert_eq!(plain.header("content-type"), "text/plain; charset=utf-8");
    assert!(plain.text().contains("code: scope_missing"), "{}", plain.text());
    assert_eq!(app.browser().get("/problems/no-such").await.status, 404);
}

#[tokio::test]
async fn programs_that_read_get_a_summary() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let answer = app.anonymous().with("host", "keys.example.com").get("/llms.txt").await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let text = answer.text();
    assert!(text.starts_with("# Trousseau\n") && text.contains("https://keys.example.com/docs/api/whoami"), "{text}");
}

#[tokio::test]
async fn samples_call_this_installation_with_the_key_from_the_environment() {
    let mut browser = browser().await;
    let page = browser.get("/docs/api/create-key").await.text();
    for part in ["$API_KEY", "process.env.API_KEY", "os.environ[", "/v1/keys", "keys:write"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
