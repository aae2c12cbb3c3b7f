//! Developers > Webhooks.

use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::{PASSWORD, TestApp};
use trousseau_testkit::browser::Browser;
use trousseau_testkit::receiver::Receiver;

use super::{page, sent_otherwise, token};

/// The path of the only endpoint in a list.
async fn only_endpoint(member: &mut Browser, base: &str) -> String {
    let list = page(&member.get(base).await, 200);
    let start = format!("href=\"{base}/whe_");
    let (_, rest) = list.split_once(&start).expect("an endpoint is in the list");
    let (id, _) = rest.split_once('"').expect("an attribute ends");
    format!("{base}/whe_{id}")
}

#[tokio::test]
async fn an_endpoint_lives_on_its_pages() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mut member = app.member(business.id(), "developer").await;
        let base = format!("/b/{}/test/developers/webhooks", business.id());
        let create = format!("{base}/create");
        let receiver = Receiver::start().await;
        let url = receiver.url();

        let form = page(&member.get(&create).await, 200);
        assert!(
            form.contains("<span>Payment succeeded<span class=\"sub mono break\" translate=\"no\">payment.succeeded"),
            "{form}"
        );
        let bad = page(&member.submit(&create, &create, &[("url", "https://10.0.0.1/")]).await, 422);
        assert!(bad.contains("must not lead into a private network"), "{bad}");
        let made = page(
            &member
                .submit(&create, &create, &[("url", &url), ("description", "Orders"), ("event", "key.updated")])
                .await,
            200,
        );
        assert!(made.contains("whsec_") && made.contains("whpk_"), "{made}");
        let endpoint = only_endpoint(&mut member, &base).await;
        assert!(made.contains("href=\"/docs/webhooks#verify\""), "{made}");
        page(&member.get(&format!("{endpoint}?state=none")).await, 422);
        let shown = page(&member.get(&endpoint).await, 200);
        assert!(shown.contains("href=\"/docs/webhooks#verify\""), "{shown}");
        assert!(shown.contains(&url) && shown.contains("Orders") && !shown.contains("whsec_A"), "{shown}");

        let test = format!("{endpoint}/test");
        let sent = member.submit(&endpoint, &test, &[]).await;
        app.app.jobs().run_pending().await.expect("sent");
        assert_eq!(receiver.heard().len(), 1);
        let delivery = page(&member.follow(&sent).await, 200);
        assert!(delivery.contains("webhook.test") && delivery.contains("204"), "{delivery}");
        let path = sent.header("location").to_owned();
        let resent = member.submit(&path, &format!("{path}/resend"), &[]).await;
        page(&member.follow(&resent).await, 200);
        app.app.jobs().run_pending().await.expect("sent");
        assert_eq!(receiver.heard().len(), 2);

        let secret = page(&member.submit(&endpoint, &format!("{endpoint}/secret"), &[]).await, 200);
        assert!(secret.contains("whsec_"));
        let rotate = format!("{endpoint}/rotate");
        let form = page(&member.get(&rotate).await, 200);
        let (_, once) = form.split_once("name=\"once\" value=\"").expect("a name of its own");
        let once = once.split('"').next().expect("an end").to_owned();
        let rotated = page(&member.submit(&rotate, &rotate, &[("once", &once)]).await, 200);
        assert!(rotated.contains("whsec_") && rotated.contains("Messages are signed with the old secret too"));
        let twice = member.submit(&rotate, &rotate, &[("once", &once)]).await;
        assert_eq!((twice.status.as_u16(), twice.header("location")), (303, endpoint.as_str()), "a second click");
        let other = [("once", once.as_str()), ("overlap", "604800")];
        let other = page(&member.submit(&rotate, &rotate, &other).await, 409);
        assert!(other.contains("was sent before with other fields") && !other.contains(&once), "{other}");
        assert!(other.contains("<option value=\"604800\" selected>"), "{other}");
        let busy = page(&member.submit(&rotate, &rotate, &[]).await, 409);
        assert!(busy.contains("An earlier secret still signs.") && busy.contains("id=\"overlap-error\""), "{busy}");
        page(&member.submit(&rotate, &rotate, &[("overlap", "0")]).await, 200);
        let off = member.submit(&endpoint, &format!("{endpoint}/switch"), &[]).await;
        // The same form once more, from a second click: it stays off.
        let csrf = token(&mut member).await;
        let again = member.post(&format!("{endpoint}/switch"), &[("csrf", &csrf), ("to", "off")]).await;
        assert_eq!(again.status.as_u16(), 303);
        let off = page(&member.follow(&off).await, 200);
        assert!(off.contains("It was disabled by hand") && off.contains("is disabled."), "{off}");
        let edit = format!("{endpoint}/edit");
        let saved = member.submit(&edit, &edit, &[("description", "Shop"), ("event", "key.created")]).await;
        let saved = page(&member.follow(&saved).await, 200);
        assert!(saved.contains("Shop") && saved.contains("key.created"), "{saved}");
        let events = page(&member.get(&format!("/b/{}/test/developers/events", business.id())).await, 200);
        assert!(events.contains("Webhook endpoint changed"), "{events}");
        let delete = format!("{endpoint}/delete");
        let gone = member.submit(&delete, &delete, &[]).await;
        let gone = page(&member.follow(&gone).await, 200);
        assert!(gone.contains("No endpoint yet"), "{gone}");
        page(&member.get(&endpoint).await, 404);
        let fields = [("url", url.as_str()), ("description", "First"), ("event", "key.updated")];
        let other = [("description", "Second")];
        page(&sent_otherwise(&mut member, &create, &fields, &other, "value=\"Second\"").await, 200);
        let list = page(&member.get(&base).await, 200);
        assert!(list.contains("First") && list.contains("Second"), "{list}");
    }
}

#[tokio::test]
async fn live_shows_a_secret_once_and_asks_who_sits_there() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let mut member = app.member(business.id(), "developer").await;
    let base = format!("/b/{}/live/developers/webhooks", business.id());
    let create = format!("{base}/create");
    app.advance(std::time::Duration::from_mins(11));
    let asked = member.get(&create).await;
    assert_eq!(asked.status.as_u16(), 303);
    assert!(asked.header("location").starts_with("/step-up"), "{asked:?}");
    let proof = asked.header("location").to_owned();
    member.submit(&proof, "/step-up", &[("password", PASSWORD)]).await;
    let mileston = [("url", "https://shop.example/hooks"), ("dialect", "mileston"), ("event", "invoice-paid")];
    let form = member.submit(&create, &create, &mileston).await;
    let made = page(&form, 200);
    assert!(made.contains("data-once") && made.contains("whsec_") && made.contains("v-token"), "{made}");
    assert_eq!(form.header("cache-control"), "no-store");
    let endpoint = only_endpoint(&mut member, &base).await;
    let shown = page(&member.get(&endpoint).await, 200);
    assert!(!shown.contains("whsec_") && !shown.contains(&format!("{endpoint}/secret")), "{shown}");
    assert!(shown.contains("invoice-paid"));
    let delete = format!("{endpoint}/delete");
    page(&member.submit(&delete, &delete, &[("url", "https://other.example/")]).await, 422);
    let gone = member.submit(&delete, &delete, &[("url", "https://shop.example/hooks")]).await;
    assert_eq!(gone.status.as_u16(), 303);

    let mut analyst = app.member(business.id(), "analyst").await;
    page(&analyst.get(&base).await, 403);
    let mut stranger = app.member(app.business("mileston").await.id(), "administrator").await;
    page(&stranger.get(&base).await, 404);
    page(&stranger.get(&endpoint).await, 404);
}

#[tokio::test]
async fn hostile_texts_stay_texts() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let mut member = app.member(business.id(), "developer").await;
    let base = format!("/b/{}/test/developers/webhooks", business.id());
    let create = format!("{base}/create");
    let receiver = Receiver::start().await;
    receiver.answer("500 <script>alert(1)</script>", "x-bad: <img src=x onerror=alert(1)>\r\n");
    let url = format!("{}?a=<b>\"'", receiver.url());
    let fields = [("url", url.as_str()), ("description", "<script>alert(1)</script>")];
    page(&member.submit(&create, &create, &fields).await, 200);
    let endpoint = only_endpoint(&mut member, &base).await;
    let sent = member.submit(&endpoint, &format!("{endpoint}/test"), &[]).await;
    app.app.jobs().run_pending().await.expect("sent");
    for path in [&base, &endpoint, sent.header("location")] {
        let shown = page(&member.get(path).await, 200);
        assert!(!shown.contains("<script>alert") && !shown.contains("<img src=x"), "{shown}");
    }
    let delivery = page(&member.get(sent.header("location")).await, 200);
    assert!(delivery.contains("x-bad: &#60;img src=x") && delivery.contains("Attempt 1"), "{delivery}");
}
