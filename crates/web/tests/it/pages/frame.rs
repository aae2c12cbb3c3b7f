//! What stands around every page: its headers, its choices, its failures.

use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::TestApp;
use trousseau_testkit::browser::Browser;

async fn browser() -> Browser {
    TestApp::on(TestDatabase::sqlite().await).await.browser()
}

#[tokio::test]
async fn a_page_that_is_not_there_says_so_in_the_language_of_its_reader() {
    for (language, title) in [("en", "There is nothing here"), ("fr", "Il n’y a rien ici")] {
        let answer = browser().await.speaking(language).get("/b/none/test/developers/nothing").await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("content-language"), language);
        let text = answer.text();
        assert!(text.contains(&format!("<html lang=\"{language}\"")) && text.contains(title), "{text}");
        assert!(text.contains(answer.header("x-request-id")), "the page names its request");
        assert!(!text.contains("developers/nothing\"><"), "the address is no text of the page");
    }
}

#[tokio::test]
async fn pages_load_nothing_but_what_this_site_serves_and_are_kept_by_nobody() {
    let answer = browser().await.get("/b/none/test/nothing").await;
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("script-src 'self'; style-src 'self'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    let text = answer.text();
    for inline in ["<style", " style=", " onclick=", "<script>", "http://", "https://"] {
        assert!(!text.contains(inline), "{inline}: {text}");
    }
}

#[tokio::test]
async fn assets_are_named_by_their_content_and_kept_for_ever() {
    let mut browser = browser().await;
    let page = browser.get("/b/none/test/nothing").await.text();
    let (_, rest) = page.split_once("/assets/").expect("the page has a style");
    let (digest, _) = rest.split_once('/').expect("a digest");
    for (name, media_type) in [
        ("ui.css", "text/css; charset=utf-8"),
        ("ui.js", "text/javascript; charset=utf-8"),
        ("htmx.js", "text/javascript; charset=utf-8"),
        ("htmx-LICENSE.txt", "text/plain; charset=utf-8"),
        ("inter-latin.woff2", "font/woff2"),
        ("inter-LICENSE.txt", "text/plain; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let answer = browser.get(&format!("/assets/{digest}/{name}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, media_type), "{name}");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert!(!answer.body.is_empty());
        let other = browser.get(&format!("/assets/0000000000000000/{name}")).await;
        assert_eq!((other.status.as_u16(), other.header("cache-control")), (200, "no-store"));
    }
    assert_eq!(browser.get(&format!("/assets/{digest}/none.css")).await.status, 404);
}

#[tokio::test]
async fn language_and_theme_are_kept_in_cookies() {
    let mut browser = browser().await;
    let answer = browser.post("/preferences", &[("language", "fr"), ("return", "/b/none/test/nothing?x=1")]).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/b/none/test/nothing?x=1"));
    let answer = browser.post("/preferences", &[("theme", "dark"), ("return", "//elsewhere.example")]).await;
    assert_eq!(answer.header("location"), "/");
    let page = browser.get("/b/none/test/nothing").await.text();
    assert!(page.contains("lang=\"fr\" data-theme=\"dark\""), "{page}");
    browser.post("/preferences", &[("theme", "system")]).await;
    assert!(!browser.get("/b/none/test/nothing").await.text().contains("data-theme"));
}

#[tokio::test]
async fn forms_of_other_sites_have_no_effect() {
    let mut browser = browser().await;
    let answer = browser.post_from_elsewhere("/preferences", &[("language", "fr")]).await;
    assert_eq!(answer.status, 403);
    assert!(answer.headers.get("set-cookie").is_none());
    assert!(answer.text().contains("This form was not accepted"), "{}", answer.text());
    // In a session the token is asked for too.
    let mut signed_in = browser.with_cookie("__Host-trousseau_session", "someone");
    assert_eq!(signed_in.post("/preferences", &[("language", "fr")]).await.status, 403);
    assert_eq!(signed_in.post("/preferences", &[("language", "fr"), ("csrf", "0")]).await.status, 403);
    let answer = signed_in.get("/b/none/test/nothing").await;
    let page = answer.text();
    let token = page.split_once("name=\"csrf\" value=\"").expect("a token").1.split_once('"').expect("its end").0;
    assert_eq!(token.len(), 32);
    assert_eq!(signed_in.post("/preferences", &[("language", "fr"), ("csrf", token)]).await.status, 303);
}

#[tokio::test]
async fn forms_have_a_size_and_a_type() {
    let mut browser = browser().await;
    let long = "x".repeat(64 * 1024);
    assert_eq!(browser.post("/preferences", &[("return", &long)]).await.status, 413);
    let client = TestApp::on(TestDatabase::sqlite().await).await.anonymous().with("sec-fetch-site", "same-origin");
    let answer = client.post("/preferences", &serde_json::json!({"language": "fr"})).await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn programs_get_their_problems_and_people_their_pages() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let program = app.anonymous().with("accept", "application/json");
    assert_eq!(program.get("/b/none/test/nothing").await.header("content-type"), "application/problem+json");
    assert_eq!(app.browser().get("/v1/none").await.header("content-type"), "application/problem+json");
    let answer = app.browser().get("/b/none/test/nothing?api_key=1").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("There is an API key in the address"));
}
