//! Every form of presenting a key, and every broken one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trousseau_testkit::app::TestApp;

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[tokio::test]
async fn each_form_says_the_same_of_a_key() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let (id, key) = (business.id(), business.value("test", "secret"));
        let anonymous = || app.anonymous();
        let expected = app.key(id, key).get("/v1/whoami").await.expect(200);
        assert_eq!(expected["business_id"], id);
        assert_eq!(expected["environment"], "test");
        assert_eq!(expected["kind"], "secret");
        assert_eq!(expected["key_id"], business.key("test", "secret")["id"]);
        for client in [
            anonymous().with("apikey", key).with("businessid", id),
            anonymous().with("x-api-key", key).with("businessid", id),
            anonymous().with("authorization", basic(key)).with("businessid", id),
            anonymous().with("authorization", basic(&format!("{key}:"))).with("businessid", id),
            anonymous().with("authorization", basic(&format!("{id}:{key}"))),
            anonymous()
                .with("authorization", business.key("test", "secret")["authorization"].as_str().unwrap_or_default()),
            anonymous().with("authorization", format!("bEARER {key}")).with("businessid", id),
        ] {
            assert_eq!(client.get("/v1/whoami").await.expect(200), expected);
        }
    }
}

#[tokio::test]
async fn each_broken_form_gets_its_answer() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let other = app.business("mileston").await;
        let (id, key) = (business.id(), business.value("test", "secret"));
        let anonymous = || app.anonymous();
        let mut wrong = key.to_owned();
        wrong.pop();
        for (client, status, code) in [
            (anonymous(), 401, "credential_missing"),
            (anonymous().bearer(key), 401, "business_id_missing"),
            (anonymous().bearer(&wrong).with("businessid", id), 401, "key_malformed"),
            (anonymous().with("authorization", "Basic %%%"), 401, "credential_malformed"),
            (anonymous().with("authorization", "Digest x"), 401, "scheme_unsupported"),
            (anonymous().bearer(key).with("apikey", key).with("businessid", id), 400, "ambiguous_credentials"),
            (app.key(other.id(), key), 401, "unauthorized"),
            (app.key(id, "unknownunknownunknown"), 401, "unauthorized"),
            (app.key(id, key).with("origin", "https://shop.example"), 403, "browser_not_allowed"),
            (app.key(id, key).with("sec-fetch-mode", "cors"), 200, ""),
            (app.platform(), 403, "kind_not_allowed"),
        ] {
            let answer = client.get("/v1/whoami").await;
            let body = answer.expect(status);
            if status >= 400 {
                assert_eq!(body["code"], code);
            }
            if status == 401 {
                assert!(answer.header("www-authenticate").starts_with("Basic realm=\"trousseau\""));
            }
            assert!(!answer.text().contains(key));
        }
    }
}

#[tokio::test]
async fn a_live_key_over_a_plain_network_is_refused() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = app.key(business.id(), business.value("live", "secret"));
        client.get("/v1/whoami").await.expect(200);
        let away = trousseau_web::connection::Peer {
            address: std::net::SocketAddr::from(([203, 0, 113, 9], 40_000)),
            tls: false,
        };
        assert_eq!(client.from(away).get("/v1/whoami").await.expect(403)["code"], "https_required");
    }
}
