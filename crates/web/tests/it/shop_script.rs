//! `/trousseau.js`, `/trousseau.mjs` and `/trousseau.d.ts`: what pages of shops load.

use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::TestApp;
use trousseau_testkit::client::Client;

async fn shop() -> Client {
    TestApp::on(TestDatabase::sqlite().await).await.anonymous().with("origin", "https://shop.example")
}

#[tokio::test]
async fn any_page_may_load_them_and_asks_anew_soon() {
    let shop = shop().await;
    for (path, media_type) in [
        ("/trousseau.js", "text/javascript; charset=utf-8"),
        ("/trousseau.mjs", "text/javascript; charset=utf-8"),
        ("/trousseau.d.ts", "application/typescript; charset=utf-8"),
    ] {
        let answer = shop.get(path).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        for (header, value) in [
            ("content-type", media_type),
            ("cache-control", "public, max-age=600"),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", ""),
            ("cross-origin-resource-policy", "cross-origin"),
            ("x-content-type-options", "nosniff"),
            ("set-cookie", ""),
        ] {
            assert_eq!(answer.header(header), value, "{path}: {header}");
        }
        let tag = answer.header("etag").to_owned();
        assert!(tag.len() == 34 && tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag}");
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let answer = shop.clone().with("if-none-match", &known).get(path).await;
            assert_eq!((answer.status.as_u16(), answer.text().as_str()), (304, ""), "{path}: {known}");
            assert_eq!((answer.header("etag"), answer.header("content-type")), (tag.as_str(), ""), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        }
        let changed = shop.clone().with("if-none-match", "\"of an earlier release\"").get(path).await;
        assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, tag.as_str()), "{path}");
    }
    assert_eq!(shop.post_empty("/trousseau.js").await.status.as_u16(), 405);
}

#[tokio::test]
async fn the_module_is_the_script_with_its_exports() {
    let shop = shop().await;
    let (script, module) = (shop.get("/trousseau.js").await, shop.get("/trousseau.mjs").await);
    let added = module.text().strip_prefix(&script.text()).map(ToOwned::to_owned).expect("the script comes first");
    assert!(added.contains("export { Trousseau, Trousseau as default }"), "{added}");
    assert_ne!(script.header("etag"), module.header("etag"));
    let script = script.text();
    // What a strict policy of a shop forbids, and what would tell others of its customers.
    for forbidden in
        ["eval(", "new Function", "innerHTML", ".style", "setAttribute(\"style\"", "document.cookie", "localStorage"]
    {
        assert!(!script.contains(forbidden), "{forbidden}");
    }
    assert!(script.len() < 24 * 1024, "{} bytes are no small file", script.len());
}
